# SPDX-License-Identifier: GPL-2.0-only
"""Bar charts of the bench, as SVG."""

import math
import statistics

import pygal

from hostlib import figures

CHART = {"width": 900, "legend_at_bottom": True, "print_values": True,
         "logarithmic": True, "zero": 1, "js": []}


def _powers(values):
    """Powers of ten, from one to beyond the highest value."""
    return [10 ** n for n in range(math.ceil(math.log10(max(values))) + 1)]


def bars(path, title, labels, series):
    """`series`: {title: values}, each with a value for each label; the chart's
    rows go upwards."""
    scale = _powers([value for values in series.values() for value in values])
    chart = pygal.HorizontalBar(title=title, range=(scale[0], scale[-1]),
                                **CHART)
    chart.x_labels = labels[::-1]
    chart.y_labels = scale
    chart.value_formatter = lambda value: f"{value:,.10g}"
    for name, values in series.items():
        chart.add(name, [round(value, 1) for value in values[::-1]])
    chart.render_to_file(str(path))


def _phase(path, runs, titles, cases, phase, title):
    """What is measured of some cases in one phase, a bar for each kernel."""
    series = {titles[name]: [runs[name].per_page(case, phase) for case in cases]
              for name in figures.KERNELS
              if runs[name].figure(cases[0], phase, "ns") is not None}
    bars(path, title, [figures.CASES[case] for case in cases], series)


def host(directory, name, runs, titles):
    """All charts of one host."""
    small = [case for case in figures.CASES if case not in figures.HUGE]
    touched = [case for case in small if case != "mapped"]
    for file, cases, phase, title in (
            ("call-4k", small, "call", "ioctl, instructions per 4K page"),
            ("call-2m", figures.HUGE, "call", "ioctl, instructions per 2M page"),
            ("guest-after", touched, "after",
             "first touch after the ioctl, instructions per 4K page"),
            ("guest-without", touched, "without",
             "first touch without the ioctl, instructions per 4K page")):
        _phase(directory / f"{name}-{file}.svg", runs, titles, cases, phase,
               f"{name}: {title}")


def parallel(path, rounds, titles):
    bars(path, "ioctl on populated memory, ms of real time (medians)",
          [titles[name] for name in rounds],
          {words: [statistics.median(getattr(one, which)) / 1e6
                   for one in rounds.values()]
           for which, words in (("one", "one vCPU"), ("two", "two vCPUs"))})
