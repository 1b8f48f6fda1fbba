# SPDX-License-Identifier: GPL-2.0-only
"""Reads a table in the form of an .ini file."""

import configparser


class TableError(Exception):
    """A table says something that makes no sense."""


def read(path):
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",),
                                       comment_prefixes=("#",))
    try:
        with open(path, encoding="utf-8") as source:
            parser.read_file(source)
    except (OSError, configparser.Error) as error:
        raise TableError(f"{path}: {error}") from None
    return parser
