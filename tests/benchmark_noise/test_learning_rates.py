"""The learning-rate range test."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest

import typegrad as tg
from typegrad.benchmark import LearningRateReport, learning_rates
from typegrad.optimizers import Optimizer
from typegrad.types import Array

mpl.use("agg")


def data(rows: int = 200) -> tuple[Array, Array]:
    x = np.random.default_rng(0).normal(size=(rows, 3))
    return x, x @ np.array([[1.0], [2.0], [3.0]])


def linear(seed: int) -> tg.NeuralNetwork:
    return tg.NeuralNetwork(tg.Dense(3, 1), loss=tg.MSELoss(), seed=seed)


def run(optimizer: Optimizer | None = None, **options: Any) -> LearningRateReport:
    build = options.pop("build_network", linear)
    given = {"highest": 10.0, "seeds": 4} | options
    return learning_rates(build, optimizer or tg.SGD(), *data(), **given)


def test_the_suggestion_trains_well() -> None:
    """For this loss the Hessian is about 2, so gradient descent is stable below a rate of 1."""
    report = run()
    assert 0.02 < report.suggestion < 0.5
    assert report.low <= report.suggestion <= report.high
    losses = {}
    for rate in (report.suggestion / 100.0, report.suggestion):
        network = linear(9)
        history = tg.Trainer(network, tg.SGD(rate)).fit(*data(), epochs=5, seed=0)
        losses[rate] = history.training_loss[-1]
    assert losses[report.suggestion] < 0.01 * losses[report.suggestion / 100.0]
    assert all(reason.startswith("diverged: ") for reason in report.stop_reasons)


def test_losses_are_those_of_training_with_rising_rates() -> None:
    """Against steps by hand, without engine, trainer or schedule."""
    report = run(tg.SGD(momentum=0.5), steps=20, lowest=1e-4, highest=1e-2, seeds=[3])
    x, y = data()
    rows = np.random.default_rng([3, 0]).permutation(200)
    weights = linear(3)
    values = weights.flat.values.astype(np.float64)
    velocity = np.zeros_like(values)
    for step, rate in enumerate(np.geomspace(1e-4, 1e-2, 20)):
        if step == 6:  # the seventh batch would have 8 rows only
            break
        batch = rows[32 * step : 32 * step + 32]
        inputs = np.hstack([x[batch], np.ones((32, 1))])
        error = inputs @ values - y[batch, 0]
        assert report.losses[0, step] == pytest.approx(np.mean(error**2), rel=1e-5)
        velocity = 0.5 * velocity + 2.0 * inputs.T @ error / 32
        values = values - rate * velocity
    assert report.rates.shape == (20,)
    assert report.stop_reasons == ("finished",)
    assert np.isfinite(report.losses).all()


def test_it_is_a_function_of_its_arguments_on_every_engine() -> None:
    reports = [run(tg.Adam(), steps=60, engine=engine) for engine in ("planned", "eager")]
    np.testing.assert_array_equal(reports[0].losses, reports[1].losses)
    assert reports[0].suggestion == reports[1].suggestion


def test_the_optimizer_and_the_data_stay_as_they_are() -> None:
    optimizer = tg.Adam(0.5)
    x, y = data()
    before = x.copy(), y.copy()
    learning_rates(linear, optimizer, x, y, steps=20, seeds=1)
    assert optimizer.steps == 0
    assert optimizer.learning_rate == 0.5
    np.testing.assert_array_equal((x, y)[0], before[0])
    np.testing.assert_array_equal((x, y)[1], before[1])


def test_numbers_that_are_not_finite_end_a_training_not_the_test() -> None:
    report = run(highest=1e30, steps=40)
    assert np.isnan(report.losses[:, -1]).all()
    assert np.isfinite(report.losses[:, 0]).all()
    assert math.isfinite(report.suggestion)


def test_losses_that_are_not_finite_from_the_start() -> None:
    def broken(seed: int) -> tg.NeuralNetwork:
        network = linear(seed)
        network.flat.values[...] = 1e30
        return network

    report = run(build_network=broken)
    assert np.isnan(report.losses).all()
    assert math.isnan(report.suggestion)
    assert report.confidence == 0.0
    assert report.stop_reasons[0].startswith("diverged: step 1: ")
    assert str(report).startswith("No learning rate to suggest: the loss did not fall.\n")
    assert "all have diverged" in str(report)
    assert report.to_dict()["suggestion"] is None
    assert report.plot() is not None


def make_report(losses: Any, **options: Any) -> LearningRateReport:
    losses = np.array(losses, np.float64)
    fields: dict[str, Any] = {
        "rates": np.geomspace(1e-4, 1.0, losses.shape[1]),
        "losses": losses,
        "seeds": tuple(range(len(losses))),
        "stop_reasons": ("finished",) * len(losses),
        "batch_size": 32,
        "optimizer": tg.Adam().config(),
    }
    return LearningRateReport(**(fields | options))


def valley(lowest_at: float, steps: int = 401) -> Array:
    """A loss that falls from 4 to 1 and rises again."""
    distance = np.abs(np.log10(np.geomspace(1e-4, 1.0, steps) / lowest_at))
    return np.asarray(np.minimum(4.0, 1.0 + distance**2))


def test_the_rule() -> None:
    report = make_report([valley(3e-3), valley(1e-2), valley(3e-2)])
    np.testing.assert_allclose(report.suggestions, np.array([3e-3, 1e-2, 3e-2]) / 3.0, rtol=0.03)
    assert report.suggestion == pytest.approx(1e-2 / 3.0, rel=0.03)
    assert report.low == report.suggestions.min()
    assert report.high == report.suggestions.max()
    assert report.confidence == 0.75
    assert report.notes == ()


def test_smoothing_does_not_shift() -> None:
    noise = np.random.default_rng(0).normal(scale=0.3, size=(6, 401))
    report = make_report(valley(1e-2) + noise)
    assert report.suggestion == pytest.approx(1e-2 / 3.0, rel=0.5)
    exact = make_report([valley(1e-2)])
    np.testing.assert_allclose(exact.smoothed, exact.losses, atol=0.1)
    line = make_report([np.linspace(5.0, 1.0, 401)])
    np.testing.assert_allclose(line.smoothed, line.losses)


def test_the_interval_covers_the_median_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(200):
        rates = 10.0 ** rng.normal(-2.0, 0.3, 5)
        report = make_report([valley(rate, 101) for rate in rates])
        inside += report.low <= 1e-2 / 3.0 <= report.high
    assert report.confidence == pytest.approx(0.9375)
    assert 175 <= inside <= 198


def test_a_loss_that_still_falls_at_the_highest_rate() -> None:
    report = make_report([np.linspace(4.0, 1.0, 101)] * 2)
    assert report.notes == (
        "the loss was still falling at the highest rate, 1: the suggestion may be too low; "
        "give a higher one",
    )
    assert str(report).endswith("Note: " + report.notes[0] + ".")


def test_a_loss_that_falls_in_some_trainings_only() -> None:
    level = np.full(401, 4.0)
    report = make_report([valley(1e-2), valley(1e-2), level])
    assert report.suggestion == pytest.approx(1e-2 / 3.0, rel=0.03)
    assert report.notes == ("the loss fell in 2 of 3 trainings only; try more steps",)
    assert math.isnan(make_report([valley(1e-2), level]).suggestion)


def test_text() -> None:
    report = make_report([valley(1e-2), valley(1e-2)])
    first, empty, heads, *rows = str(report).splitlines()
    assert first == (
        "Take learning rate 0.0033 (2 trainings suggest 0.0033 to 0.0033), with batches of 32."
    )
    assert empty == ""
    assert heads.split() == ["rate", "loss", "from", "to", "trainings"]
    assert len(rows) == 17
    assert rows[8].split() == ["1.00e-02", "1.004", "1.004", "1.004", "2", "of", "2"]


def test_json_and_data_frame(tmp_path: Path) -> None:
    report = run(steps=40)
    report.to_json(tmp_path / "rates.json")
    read = json.loads((tmp_path / "rates.json").read_text())
    assert read == report.to_dict()
    assert read["suggestion"] == report.suggestion
    assert read["losses"][0][0] == report.losses[0, 0]
    assert read["optimizer"]["class"] == "SGD"
    frame = report.to_dataframe()
    assert list(frame.columns) == ["seed", "learning_rate", "loss", "smoothed_loss"]
    assert len(frame) == 4 * 40
    assert frame["loss"].iloc[40] == report.losses[1, 0]
    assert frame["seed"].iloc[40] == 1


def test_the_figure_has_the_suggestion() -> None:
    report = make_report([valley(1e-2), valley(2e-2)])
    figure = report.plot()
    axes = figure.axes[0]
    assert axes.get_xlabel() == "learning rate"
    assert axes.get_xscale() == "log"
    drawn = [line for line in axes.lines if str(line.get_label()).startswith("take ")]
    assert drawn[0].get_xdata() == [report.suggestion, report.suggestion]
    figure.draw_without_rendering()


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"lowest": 0.0}, ValueError, "lowest is 0.0 and highest 10.0; expected positive numbers"),
        ({"lowest": 20.0}, ValueError, "lowest is 20.0 and highest 10.0; expected positive"),
        ({"steps": 19}, ValueError, "steps is 19; expected a whole number of 20 or more"),
        ({"batch_size": 300}, ValueError, "batch_size is 300, but there are 200 rows"),
        ({"seeds": 0}, ValueError, "seeds is 0; expected a whole number of 1 or more"),
        ({"seeds": [1, 1]}, ValueError, "seeds is [1, 1]; expected a number of seeds, or differ"),
        ({"engine": "fast"}, ValueError, "engine is 'fast'; expected one of "),
        ({"optimizer": tg.LBFGS()}, TypeError, "optimizer is LBFGS("),
    ],
)
def test_wrong_use(options: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error) as raised:
        run(**options)
    assert str(raised.value).startswith(text)
