# SPDX-License-Identifier: GPL-2.0-only
"""Curves of live migrations, as SVG: what each part of the table took."""

import math

import pygal

CHART = {"width": 900, "legend_at_bottom": True, "js": [], "logarithmic": True,
         "x_title": "part", "dots_size": 2, "show_minor_x_labels": False,
         "x_labels_major_every": 5}


def _powers(values):
    """Powers of ten, from below the lowest value to beyond the highest."""
    return [10 ** n for n in range(math.floor(math.log10(min(values))),
                                   math.ceil(math.log10(max(values))) + 1)]


def _save(path, title, unit, series):
    """`series`: {title: values}, of each part one."""
    scale = _powers([value for values in series.values() for value in values])
    chart = pygal.Line(title=title, y_title=unit, range=(scale[0], scale[-1]),
                       **CHART)
    most = max(map(len, series.values()))
    chart.x_labels = [str(number) for number in range(1, most + 1)]
    chart.y_labels = scale
    chart.value_formatter = lambda value: f"{value:,.10g}"
    for name, values in series.items():
        chart.add(name, values)
    chart.render_to_file(str(path))


def draw(directory, columns):
    """`columns`: {title: Migration}"""
    _save(directory / "bytes.svg", "bytes of each part of the table", "bytes",
          {name: [part.sent for part in one.parts]
           for name, one in columns.items()})
    _save(directory / "time.svg", "time that each part takes", "ms",
          {name: [max(part.took, 1) / 1000 for part in one.parts]
           for name, one in columns.items()})
