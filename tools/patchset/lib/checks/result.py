# SPDX-License-Identifier: GPL-2.0-only
"""What a check returns."""
from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """How much was looked at, in which unit, and a line for each finding."""

    looked: int
    unit: str
    findings: list
