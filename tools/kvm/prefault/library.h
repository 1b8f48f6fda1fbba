/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef LIBRARY_H
#define LIBRARY_H

#define LIBRARY_NAME	"libkvm-prefault.so"

#endif /* LIBRARY_H */
