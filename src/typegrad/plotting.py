"""Pictures of a training: loss curves, and predicted against actual values (extra ``plot``).

Every function returns a matplotlib ``Figure`` that belongs to the caller. Nothing is shown,
and matplotlib's global state (``pyplot``) is not touched.
"""

from __future__ import annotations

import io
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from typegrad.errors import DataError, ShapeError, import_extra
from typegrad.history import History
from typegrad.metrics import r2_score, root_mean_squared_error
from typegrad.output_files import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_fit", "plot_history", "plot_predictions", "save_figure"]

_TRAINING, _VALIDATION, _ACCENT = "#4477aa", "#ee6677", "#333333"
GRID = "#dddddd"
_DPI = 150
_LOG_RANGE = 10.0
"""A loss that falls by more than this factor is drawn on a logarithmic axis."""

_FEW_DECADES = 1e3
"""Up to this factor there is room for labels between the powers of ten."""


def plot_history(history: History) -> Figure:
    """Draw training and validation loss by epoch, with the epoch whose weights were kept.

    Losses are those that were minimised: of standardised targets where these are standardised.

    Raises
    ------
    DataError
        If the history has no epochs.
    MissingExtraError
        If matplotlib is not installed.
    """
    figure = new_figure(6.4, 4.2)
    _draw_losses(figure.add_subplot(), history)
    return figure


def plot_predictions(
    actual: npt.ArrayLike, predicted: npt.ArrayLike, *, name: str = "value"
) -> Figure:
    """Draw predicted against actual values; on the diagonal a prediction is exact.

    Parameters
    ----------
    actual, predicted
        Finite numbers of one shape, (n,) or (n, 1), at least one.
    name
        What they are, for the axes, with its unit.

    Raises
    ------
    ShapeError
        If shapes differ or are not those.
    DataError
        If a value is not finite.
    MissingExtraError
        If matplotlib is not installed.
    """
    pair = _columns(actual, predicted)
    figure = new_figure(4.8, 4.8)
    _draw_predictions(figure.add_subplot(), *pair, name)
    return figure


def plot_fit(
    history: History,
    actual: npt.ArrayLike,
    predicted: npt.ArrayLike,
    title: str = "",
    *,
    name: str = "value",
) -> Figure:
    """Draw `plot_history` and `plot_predictions` side by side."""
    pair = _columns(actual, predicted)
    figure = new_figure(10.4, 4.6)
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1.0))
    _draw_losses(left, history)
    _draw_predictions(right, *pair, name)
    if title:
        figure.suptitle(title, fontsize=12)
    return figure


def save_figure(figure: Figure, path: str | PathLike[str]) -> None:
    """Write a figure to a file whose suffix says the format, such as .png, .pdf or .svg.

    The file is written whole, or what was there stays.

    Raises
    ------
    DataError
        If the format is not known or the file cannot be written.
    """
    kind = figure_format(path)
    data = io.BytesIO()
    figure.savefig(data, format=kind, dpi=_DPI)
    write_whole(path, data.getvalue())


def figure_format(path: str | PathLike[str]) -> str:
    """Format of a picture by its file's suffix.

    Raises
    ------
    DataError
        If there is none that matplotlib can write.
    MissingExtraError
        If matplotlib is not installed.
    """
    kind = Path(path).suffix.lower().removeprefix(".")
    kinds: dict[str, str] = new_figure(1, 1).canvas.get_supported_filetypes()
    if kind not in kinds:
        raise DataError(
            f"{path}: pictures are written as {', '.join(sorted(kinds))}; "
            "give the file one of these suffixes"
        )
    return kind


def new_figure(width: float, height: float) -> Figure:
    """Make a figure of this size, in inches, that no window will show.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    module = import_extra("matplotlib.figure", "plot", "Plotting")
    figure: Figure = module.Figure(figsize=(width, height), layout="constrained")
    return figure


def _draw_losses(axes: Axes, history: History) -> None:
    if not len(history):
        raise DataError("the history has no epochs; there is nothing to draw")
    epochs, training, validation = (
        history.epochs, history.training_loss, history.validation_loss
    )  # fmt: skip
    marker = "o" if len(history) == 1 else None
    axes.plot(epochs, training, color=_TRAINING, marker=marker, label="training")
    measured = ~np.isnan(validation)
    if measured.any():
        axes.plot(
            epochs[measured],
            validation[measured],
            color=_VALIDATION,
            marker="o" if measured.sum() == 1 else None,
            label="validation",
        )
    if history.best_epoch is not None:
        axes.axvline(
            history.best_epoch,
            color=_ACCENT,
            linestyle=":",
            linewidth=1.2,
            label=f"best epoch ({history.best_epoch})",
        )
    losses = np.concatenate([training, validation[measured]])
    if losses.min() > 0 and losses.max() > _LOG_RANGE * losses.min():
        axes.set_yscale("log", subs=(2, 5))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(
            "{x:g}" if losses.max() < _FEW_DECADES * losses.min() else ""
        )
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss")
    if len(history) == 1:
        axes.set_xticks(epochs)
    else:
        axes.locator_params(axis="x", integer=True)
    axes.legend(frameon=False)
    clean_axes(axes)


def _draw_predictions(axes: Axes, actual: Any, predicted: Any, name: str) -> None:
    low = min(actual.min(), predicted.min())
    high = max(actual.max(), predicted.max())
    margin = 0.04 * (high - low) or 1.0
    limits = (low - margin, high + margin)
    axes.plot(limits, limits, color=_ACCENT, linewidth=1.0, zorder=1)
    size, opacity = (22.0, 0.65) if len(actual) <= 2_000 else (6.0, 0.3)
    axes.scatter(actual, predicted, s=size, alpha=opacity, color=_TRAINING, linewidths=0, zorder=2)
    axes.set(
        xlim=limits,
        ylim=limits,
        aspect="equal",
        xlabel=f"actual {name}",
        ylabel=f"predicted {name}",
    )
    columns = predicted[:, np.newaxis], actual[:, np.newaxis]
    axes.text(
        0.04,
        0.96,
        f"RMSE {root_mean_squared_error(*columns):.4g}\nR² {r2_score(*columns):.3f}\n"
        f"{len(actual):,} rows",
        transform=axes.transAxes,
        verticalalignment="top",
    )
    clean_axes(axes)


def clean_axes(axes: Axes) -> None:
    """Leave a light grid, and two of the four spines."""
    axes.grid(color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _columns(actual: npt.ArrayLike, predicted: npt.ArrayLike) -> tuple[Any, Any]:
    """Both as float64 of shape (n,)."""
    pair = np.asarray(actual, np.float64), np.asarray(predicted, np.float64)
    shapes = [array.shape for array in pair]
    is_column = len(shapes[0]) == 1 or (len(shapes[0]) == 2 and shapes[0][1] == 1)
    if shapes[0] != shapes[1] or not is_column or not shapes[0][0]:
        raise ShapeError(
            f"actual has shape {shapes[0]} and predicted {shapes[1]}; "
            "expected both (n,), or both (n, 1), with at least one row"
        )
    for name, array in zip(("actual", "predicted"), pair, strict=True):
        if not np.isfinite(array).all():
            row = int(np.flatnonzero(~np.isfinite(array))[0])
            raise DataError(f"{name} has {array.ravel()[row]} at row {row}; expected numbers")
    return pair[0].ravel(), pair[1].ravel()
