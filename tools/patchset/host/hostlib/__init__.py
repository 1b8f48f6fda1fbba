# SPDX-License-Identifier: GPL-2.0-only
"""What tools/patchset/host/run is made of."""
