"""Figures of a report on batch sizes (extra ``plot``).

Each function draws one figure and returns it; nothing is shown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from typegrad.benchmark.measurements import NoisePoint
from typegrad.benchmark.recommendation import number
from typegrad.benchmark.resampling import Estimate
from typegrad.benchmark.units import duration
from typegrad.errors import DataError
from typegrad.plotting import clean_axes, new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from typegrad.benchmark.report import BatchSizeReport

COLORS = ("#4477aa", "#ee6677", "#228833", "#aa3377", "#66ccee", "#ccbb44")
"""Of lines, told apart by people who do not see all colours too (Paul Tol's bright scheme)."""

INK, PALE, BEST = "#333333", "#999999", "#d95f02"
_SIZE = (6.4, 4.4)
_LABEL = 10


def draw_throughput(report: BatchSizeReport) -> Figure:
    """Examples per second against batch size, for each engine."""
    figure, axes = _axes("batch size (rows)", "examples per second")
    for engine, color in zip(report.engines, _cycle(COLORS), strict=False):
        points = [report.analysis.throughput(engine, size) for size in report.batch_sizes]
        _line_with_intervals(axes, report.batch_sizes, points, color, _engine_label(report, engine))
    _mark_recommended(axes, report, lambda size: report.analysis.throughput(
        report.engines[0], size))  # fmt: skip
    _size_axis(axes, report.batch_sizes)
    axes.set_yscale("log")
    _plain_numbers(axes.yaxis)
    _legend(figure, axes)
    return figure


def draw_seconds(report: BatchSizeReport) -> Figure:
    """Seconds to the target against batch size, for each engine; sizes that miss it at the top."""
    figure, axes = _axes("batch size (rows)", "time to the target")
    drawn = False
    for engine, color in zip(report.engines, _cycle(COLORS), strict=False):
        found = [
            (size, estimate)
            for size in report.batch_sizes
            if (estimate := report.analysis.seconds_to_target(engine, size)) is not None
        ]
        if found:
            drawn = True
            sizes, points = zip(*found, strict=True)
            _line_with_intervals(axes, sizes, points, color, _engine_label(report, engine))
    _mark_recommended(axes, report, lambda size: report.analysis.seconds_to_target(
        report.engines[0], size))  # fmt: skip
    missed = [size for size in report.batch_sizes if report.analysis.steps_to_target(size) is None]
    if missed:
        axes.plot(missed, [0.97] * len(missed), "x", color=INK, transform=_x_of_data(axes),
                  label="target not reached")  # fmt: skip
    _size_axis(axes, report.batch_sizes)
    if drawn:
        axes.set_yscale("log")
        _durations(axes.yaxis)
    else:
        _say(axes, "no size reached the target")
    _legend(figure, axes)
    return figure


def draw_tradeoff(report: BatchSizeReport) -> Figure:
    """Examples against steps to the target, with the fitted law."""
    figure, axes = _axes("steps to the target", "examples to the target")
    fit = report.tradeoff
    if fit is not None:
        sizes = np.geomspace(report.batch_sizes[0], report.batch_sizes[-1], 200)
        axes.plot(fit.steps_at(sizes), fit.examples_at(sizes), color=PALE, linewidth=2.0, zorder=1,
                  label="fit: (S/Sₘᵢₙ - 1)(E/Eₘᵢₙ - 1) = 1")  # fmt: skip
        if report.batch_sizes[0] <= fit.critical_batch_size <= report.batch_sizes[-1]:
            at = fit.critical_batch_size
            axes.plot(fit.steps_at(at), fit.examples_at(at), "D", color=BEST, markersize=8,
                      zorder=3, label=f"critical batch size {number(at)} "
                      f"({number(fit.critical_low)} to {number(fit.critical_high)})")  # fmt: skip
    drawn = False
    for size in report.batch_sizes:
        steps = report.analysis.steps_to_target(size)
        examples = report.analysis.examples_to_target(size)
        if steps is None or examples is None:
            continue
        drawn = True
        axes.errorbar(steps.value, examples.value, xerr=_bars([steps]), yerr=_bars([examples]),
                      fmt="o", color=COLORS[0], elinewidth=1.0, zorder=2)  # fmt: skip
        axes.annotate(str(size), (steps.value, examples.value), xytext=(6, 6), color=INK,
                      textcoords="offset points", fontsize=_LABEL)  # fmt: skip
    if drawn:
        _log_log(axes)
    else:
        _say(axes, "no size reached the target")
    _legend(figure, axes)
    return figure


def draw_noise(report: BatchSizeReport) -> Figure:
    """Gradient noise scale along training: of the recommended size, and in grey of the others."""
    figure, axes = _axes("examples gone through", "gradient noise scale (rows)")
    if not report.noise_scales:
        _say(axes, "not measured")
        return figure
    by_size: dict[int, list[NoisePoint]] = {}
    for point in report.noise_scales:
        by_size.setdefault(point.batch_size, []).append(point)
    best = report.recommend("time")
    shown = best.batch_size if best is not None else max(by_size)
    limit = _noise_limit(report.noise_scales)
    for size, points in by_size.items():
        rows = size * np.array([point.step for point in points])
        values = np.minimum([point.noise_scale for point in points], limit)
        if size != shown:
            axes.plot(rows, values, color=PALE, linewidth=0.8, alpha=0.6, zorder=1)
            continue
        low = [min(point.low, limit) for point in points]
        high = [min(point.high, limit) for point in points]
        axes.fill_between(rows, low, high, color=COLORS[0], alpha=0.2, linewidth=0, zorder=2)
        axes.plot(rows, values, color=COLORS[0], linewidth=2.0, marker="o", markersize=4, zorder=3,
                  label=f"training with batches of {size}, 95 % interval")  # fmt: skip
    if len(by_size) > 1:
        axes.plot([], [], color=PALE, linewidth=0.8, label="other batch sizes")
    if best is not None:
        axes.axhline(best.batch_size, color=BEST, linestyle="--", linewidth=1.5,
                     label=f"recommended batch size, {best.batch_size}")  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    positive = [point.noise_scale for point in report.noise_scales if point.noise_scale > 0.0]
    axes.set_ylim(0.5 * min(positive, default=1.0), limit)
    _log_log(axes)
    _legend(figure, axes)
    return figure


FIGURES: Mapping[str, Callable[[BatchSizeReport], Figure]] = {
    "seconds_to_target": draw_seconds,
    "throughput": draw_throughput,
    "tradeoff": draw_tradeoff,
    "noise_scale": draw_noise,
}
"""All figures, by the names of their files."""


def save_figures(
    report: BatchSizeReport, folder: str | PathLike[str], suffix: str = "png"
) -> list[Path]:
    """Write all figures into a folder, which is made if need be; return the files.

    Raises
    ------
    DataError
        If the folder cannot be made, or a file not be written, or the format is not known.
    MissingExtraError
        If matplotlib is not installed.
    """
    place = Path(folder)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{place} cannot be made: {error.strerror or error}") from error
    files = []
    for name, draw in FIGURES.items():
        files.append(place / f"{name}.{suffix}")
        save_figure(draw(report), files[-1])
    return files


def _axes(x: str, y: str) -> tuple[Figure, Axes]:
    figure = new_figure(*_SIZE)
    axes = figure.add_subplot()
    axes.set_xlabel(x, fontsize=11)
    axes.set_ylabel(y, fontsize=11)
    axes.tick_params(labelsize=_LABEL)
    clean_axes(axes)
    return figure, axes


def _legend(figure: Figure, axes: Axes) -> None:
    """Above the axes, where it hides nothing."""
    if axes.get_legend_handles_labels()[0]:
        figure.legend(loc="outside upper left", ncols=2, frameon=False, fontsize=_LABEL)


def _line_with_intervals(
    axes: Axes, sizes: Sequence[int], points: Sequence[Estimate], color: str, label: str
) -> None:
    values = [point.value for point in points]
    axes.errorbar(sizes, values, yerr=_bars(points), color=color, marker="o", markersize=4.5,
                  linewidth=1.6, elinewidth=1.0, capsize=2.0, label=label)  # fmt: skip


def _bars(points: Sequence[Estimate]) -> Any:
    """Lengths of error bars, down and up."""
    return np.array(
        [
            [max(point.value - point.low, 0.0) for point in points],
            [max(point.high - point.value, 0.0) if point.high < math.inf else 0.0
             for point in points],
        ]
    )  # fmt: skip


def _mark_recommended(
    axes: Axes, report: BatchSizeReport, value: Callable[[int], Estimate | None]
) -> None:
    best = report.recommend("time")
    if best is None:
        return
    at = value(best.batch_size)
    if at is None:
        return
    axes.plot([best.batch_size], [at.value], "o", markersize=14, markerfacecolor="none",
              markeredgecolor=BEST, markeredgewidth=2.0, zorder=4,
              label=f"recommended: {best.batch_size}")  # fmt: skip


def _engine_label(report: BatchSizeReport, engine: str) -> str:
    ran = report.analysis.timing(engine, report.batch_sizes[0]).ran
    return engine if ran == engine else f"{engine} ({ran})"


def _size_axis(axes: Axes, sizes: Sequence[int]) -> None:
    axes.set_xscale("log")
    axes.set_xticks(list(sizes), [str(size) for size in sizes])
    axes.minorticks_off()
    if len(sizes) > 9:
        axes.tick_params(axis="x", labelrotation=45)
    margin = 1.3
    axes.set_xlim(sizes[0] / margin, sizes[-1] * margin)


def _log_log(axes: Axes) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    _plain_numbers(axes.xaxis)
    _plain_numbers(axes.yaxis)


def _say(axes: Axes, text: str) -> None:
    """Write where there is nothing to draw."""
    axes.set_yticks([])
    axes.text(0.5, 0.5, text, ha="center", va="center", fontsize=13, color=INK,
              transform=axes.transAxes)  # fmt: skip


def _plain_numbers(axis: Any) -> None:
    """Label powers of ten and, where there are few of them, what is between."""
    from matplotlib.ticker import FuncFormatter, LogLocator

    axis.set_major_locator(LogLocator(subs=_between(axis)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axis.set_minor_formatter("")


def _durations(axis: Any) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator

    axis.set_major_locator(LogLocator(subs=_between(axis)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: duration(value)))
    axis.set_minor_formatter("")


def _between(axis: Any) -> tuple[float, ...]:
    low, high = axis.get_view_interval()
    decades = math.log10(high / low)
    if decades > 4:
        return (1.0,)
    return (1.0, 3.0) if decades > 2 else (1.0, 2.0, 5.0)


def _noise_limit(points: Sequence[NoisePoint]) -> float:
    """Above it, up to infinity, estimates are drawn at the edge."""
    finite = [point.noise_scale for point in points if point.noise_scale < math.inf]
    return max(3.0 * max(finite, default=1.0), 1.0)


def _x_of_data(axes: Axes) -> Any:
    """A transform for x in data and y as a share of the axes."""
    return axes.get_xaxis_transform()


def _cycle(colors: Sequence[str]) -> Sequence[str]:
    return [*colors] * 3
