"""Pictures: what is drawn, labelled and written; matplotlib's global state stays alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import typegrad as tg
from typegrad.plotting import figure_format, plot_fit, plot_history, plot_predictions, save_figure

ACTUAL = np.array([1.0, 2.0, 3.0, 4.0])
PREDICTED = np.array([1.0, 2.5, 2.5, 4.0])


def history(*losses: float, validation: list[float | None] | None = None) -> tg.History:
    shown = validation or [None] * len(losses)
    return tg.History(
        seed=0,
        records=[
            tg.EpochRecord(epoch, loss, 0.1, 0.0, other)
            for epoch, (loss, other) in enumerate(zip(losses, shown, strict=True), 1)
        ],
    )


def lines(axes: Any) -> dict[str, list[list[float]]]:
    """Points of the curves by label."""
    return {
        line.get_label(): [np.asarray(data).tolist() for data in line.get_data()]
        for line in axes.get_lines()
    }


def test_loss_curves() -> None:
    trained = history(8.0, 4.0, 2.0, validation=[9.0, None, 3.0])
    trained.best_epoch = 3
    axes = plot_history(trained).axes[0]
    curves = lines(axes)
    assert curves["training"] == [[1, 2, 3], [8.0, 4.0, 2.0]]
    assert curves["validation"] == [[1, 3], [9.0, 3.0]]
    assert curves["best epoch (3)"][0] == [3, 3]
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == list(curves)
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_yscale()) == ("epoch", "loss", "linear")


def test_history_draws_itself() -> None:
    assert set(lines(history(2.0, 1.0).plot().axes[0])) == {"training"}


@pytest.mark.parametrize(
    ("losses", "scale"), [((100.0, 1.0), "log"), ((1.0, -0.5), "linear"), ((1.0, 0.0), "linear")]
)
def test_a_logarithmic_axis_where_it_helps(losses: tuple[float, ...], scale: str) -> None:
    assert plot_history(history(*losses)).axes[0].get_yscale() == scale


@pytest.mark.parametrize(
    ("last", "labels"), [(0.3, ["0.5", "1", "2", "5"]), (1e-6, ["0.01", "0.0001"])]
)
def test_labels_of_a_logarithmic_axis_are_plain_numbers(last: float, labels: list[str]) -> None:
    figure = plot_history(history(7.0, last))
    figure.draw_without_rendering()
    axis = figure.axes[0].yaxis
    ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
    shown = {tick.label1.get_text() for tick in ticks} - {""}
    assert shown >= set(labels)
    assert not any("$" in label for label in shown)
    assert ("0.5" in shown) == (last == 0.3)


def test_one_epoch_is_a_point() -> None:
    axes = plot_history(history(1.0, validation=[2.0])).axes[0]
    assert [line.get_marker() for line in axes.get_lines()] == ["o", "o"]


def test_predicted_against_actual() -> None:
    axes = plot_predictions(ACTUAL[:, None], PREDICTED[:, None], name="strength, MPa").axes[0]
    np.testing.assert_array_equal(
        np.asarray(axes.collections[0].get_offsets()), np.stack([ACTUAL, PREDICTED], axis=1)
    )
    assert axes.get_xlabel() == "actual strength, MPa"
    assert axes.get_ylabel() == "predicted strength, MPa"
    assert axes.get_xlim() == axes.get_ylim()
    diagonal = axes.get_lines()[0]
    np.testing.assert_array_equal(diagonal.get_xdata(), diagonal.get_ydata())
    assert axes.texts[0].get_text() == "RMSE 0.3536\nR² 0.900\n4 rows"


def test_many_points_are_small_and_transparent() -> None:
    points: list[Any] = [
        plot_predictions(np.arange(float(n)), np.arange(float(n))).axes[0].collections[0]
        for n in (10, 5_000)
    ]
    few, many = points
    assert many.get_sizes()[0] < few.get_sizes()[0]


def test_one_row() -> None:
    axes = plot_predictions([2.0], [2.0]).axes[0]
    assert axes.get_xlim() == (1.0, 3.0)


def test_both_side_by_side(tmp_path: Path) -> None:
    figure = plot_fit(history(2.0, 1.0), ACTUAL, PREDICTED, "a title", name="y")
    assert [axes.get_xlabel() for axes in figure.axes] == ["epoch", "actual y"]
    assert figure.get_suptitle() == "a title"
    assert plot_fit(history(2.0), ACTUAL, PREDICTED).get_suptitle() == ""
    save_figure(figure, tmp_path / "fit.PNG")
    assert (tmp_path / "fit.PNG").read_bytes().startswith(b"\x89PNG")
    save_figure(figure, tmp_path / "fit.svg")
    assert b"<svg" in (tmp_path / "fit.svg").read_bytes()
    assert len(list(tmp_path.iterdir())) == 2


def test_what_cannot_be_drawn(tmp_path: Path) -> None:
    with pytest.raises(tg.DataError, match="the history has no epochs; there is nothing to draw"):
        plot_history(history())
    for actual, predicted in (
        (ACTUAL, PREDICTED[:3]),
        (ACTUAL, PREDICTED[:, None]),
        (np.zeros((2, 2)), np.zeros((2, 2))),
        (np.zeros(0), np.zeros(0)),
        (np.float64(1.0), np.float64(1.0)),
    ):
        with pytest.raises(tg.ShapeError, match=r"expected both \(n,\), or both \(n, 1\), with"):
            plot_predictions(actual, predicted)
    with pytest.raises(tg.DataError, match="predicted has nan at row 1; expected numbers"):
        plot_predictions([1.0, 2.0], [1.0, np.nan])
    with pytest.raises(tg.DataError, match=r"pictures are written as .*png.*; give the file one"):
        save_figure(plot_predictions(ACTUAL, PREDICTED), tmp_path / "fit.xyz")
    with pytest.raises(tg.DataError, match="give the file one of these suffixes"):
        figure_format("fit")
    assert list(tmp_path.iterdir()) == []


def test_matplotlib_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "matplotlib.figure", raising=False)
    with pytest.raises(tg.MissingExtraError, match=r"Plotting needs matplotlib.*typegrad\[plot\]"):
        plot_history(history(1.0))


def test_no_global_figure_is_made(tmp_path: Path) -> None:
    program = (
        "import sys, typegrad.plotting as p\n"
        "p.save_figure(p.plot_predictions([1, 2], [1, 3]), sys.argv[1])\n"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "a.png")],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert result.stdout.strip() == "False", result.stderr
