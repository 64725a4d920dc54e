"""Figure of a learning-rate range test (extra ``plot``)."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING

import numpy as np

from typegrad.plotting import clean_axes, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from typegrad.benchmark.learning_rate_report import LearningRateReport

_LINE, _EACH, _BEST = "#4477aa", "#999999", "#d95f02"


def draw_learning_rates(report: LearningRateReport) -> Figure:
    """Smoothed loss against learning rate: of each training, and their median.

    Losses far above the first, where trainings diverge, are cut off.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    figure = new_figure(6.4, 4.4)
    axes = figure.add_subplot()
    with warnings.catch_warnings():  # the median where all have ended is NaN
        warnings.simplefilter("ignore", RuntimeWarning)
        middle = np.nanmedian(report.smoothed, axis=0)
    for number, row in enumerate(report.smoothed):
        axes.plot(report.rates, row, color=_EACH, linewidth=0.8,
                  label=f"{len(report.seeds)} trainings" if number == 0 else None)  # fmt: skip
    axes.plot(report.rates, middle, color=_LINE, linewidth=2.2, label="median")
    if not math.isnan(report.suggestion):
        axes.axvspan(report.low, report.high, color=_BEST, alpha=0.15, linewidth=0)
        axes.axvline(report.suggestion, color=_BEST, linewidth=1.8,
                     label=f"take {report.suggestion:.2g} "
                     f"({report.low:.2g} to {report.high:.2g})")  # fmt: skip
    finite = middle[np.isfinite(middle)]
    if finite.size:
        span = max(float(finite[0] - finite.min()), 0.05 * abs(float(finite[0])), 1e-12)
        axes.set_ylim(float(finite.min()) - 0.1 * span, float(finite[0]) + 0.5 * span)
    axes.set_xscale("log")
    axes.set_xlabel("learning rate", fontsize=11)
    axes.set_ylabel("loss of a step's batch, smoothed", fontsize=11)
    clean_axes(axes)
    figure.legend(loc="outside upper left", ncols=3, frameon=False, fontsize=10)
    return figure
