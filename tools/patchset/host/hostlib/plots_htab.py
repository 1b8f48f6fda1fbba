# SPDX-License-Identifier: GPL-2.0-only
"""Curves of the bench of KVM_PPC_GET_HTAB_FD, as SVG.

Both axes are logarithmic: each label stands for a multiple of that before.
"""

import math

import pygal

from hostlib import figures_htab

CHART = {"width": 900, "legend_at_bottom": True, "logarithmic": True, "js": [],
         "y_title": "instructions"}


def _powers(values):
    """Powers of ten, from below the lowest value to beyond the highest."""
    return [10 ** n for n in range(math.floor(math.log10(min(values))),
                                   math.ceil(math.log10(max(values))) + 1)]


def _save(path, title, x_title, labels, series):
    """`series`: {title: values}, each with a value for each label."""
    scale = _powers([value for values in series.values() for value in values])
    chart = pygal.Line(title=title, x_title=x_title,
                       range=(scale[0], scale[-1]), **CHART)
    chart.x_labels = labels
    chart.y_labels = scale
    chart.value_formatter = lambda value: f"{value:,.0f}"
    for name, values in series.items():
        chart.add(name, values)
    chart.render_to_file(str(path))


def _sizes(path, name, runs, titles, orders):
    _save(path, f"{name}: passes over tables of 4,096 valid entries",
          "entries of the table", [figures_htab.amount(one) for one in orders],
          {f"{figures_htab.pass_of('sparse', what)}, {titles[kernel]}":
           [runs[kernel].figure("sparse", order, what) for order in orders]
           for what in ("first", "later0") for kernel in figures_htab.KERNELS})


def _changes(path, name, runs, titles):
    ours = runs["ours"]
    orders = ours.orders("sparse", "later1")
    numbers = ours.changes(orders[0])
    _save(path, f"{name}: later passes, after changes", "changes",
          [f"{number:,}" for number in numbers],
          {f"{figures_htab.amount(order)} entries, {titles[kernel]}":
           [runs[kernel].figure("sparse", order, f"later{number}")
            for number in numbers]
           for order in orders for kernel in figures_htab.KERNELS})


def host(directory, name, runs, titles, orders):
    """All of one host; `orders` are at equal distances."""
    _sizes(directory / f"{name}-size.svg", name, runs, titles, orders)
    _changes(directory / f"{name}-changes.svg", name, runs, titles)
