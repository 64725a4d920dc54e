"""Metrics agree with scikit-learn's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sklearn.metrics

import typegrad as tg
from typegrad.metrics import METRICS, select_metrics
from typegrad.types import Array, Vector

THEIRS = {
    "mse": sklearn.metrics.mean_squared_error,
    "rmse": sklearn.metrics.root_mean_squared_error,
    "mae": sklearn.metrics.mean_absolute_error,
    "r2": sklearn.metrics.r2_score,
}


def make_data(outputs: int) -> tuple[Array, Array, Vector]:
    generator = np.random.default_rng(1)
    target = generator.normal(3.0, 2.0, size=(31, outputs))
    prediction = target + generator.normal(size=(31, outputs))
    weight = generator.uniform(0.0, 2.0, 31)
    weight[5] = 0.0
    return prediction, target, weight


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("name", ["mse", "mae", "r2"])
def test_equals_scikit_learn(name: str, outputs: int, weighted: bool) -> None:
    prediction, target, weight = make_data(outputs)
    used = weight if weighted else None
    assert METRICS[name](prediction, target, used) == pytest.approx(
        THEIRS[name](target, prediction, sample_weight=used), rel=1e-13
    )


@pytest.mark.parametrize("weighted", [False, True])
def test_rmse_is_the_root_of_the_mean_over_all_outputs(weighted: bool) -> None:
    """scikit-learn averages the outputs' roots; with one output both are the same."""
    used = make_data(1)[2] if weighted else None
    prediction, target, _ = make_data(1)
    assert METRICS["rmse"](prediction, target, used) == pytest.approx(
        THEIRS["rmse"](target, prediction, sample_weight=used), rel=1e-13
    )
    prediction, target, _ = make_data(3)
    assert METRICS["rmse"](prediction, target, used) == pytest.approx(
        THEIRS["mse"](target, prediction, sample_weight=used) ** 0.5, rel=1e-13
    )


def test_max_error() -> None:
    prediction, target, weight = make_data(1)
    prediction[5] += 100.0  # Its weight is zero.
    assert METRICS["max_error"](prediction, target, None) == pytest.approx(
        sklearn.metrics.max_error(target, prediction)
    )
    kept = weight > 0
    assert METRICS["max_error"](prediction, target, weight) == pytest.approx(
        sklearn.metrics.max_error(target[kept], prediction[kept])
    )
    assert METRICS["max_error"](prediction, target, weight) < 50.0


@pytest.mark.parametrize("name", METRICS)
def test_vectors_and_float32_are_taken(name: str) -> None:
    prediction, target, weight = make_data(1)
    expected = METRICS[name](prediction, target, weight)
    assert METRICS[name](prediction[:, 0], target[:, 0], weight) == expected
    value = METRICS[name](
        prediction.astype(np.float32), target.astype(np.float32), weight.astype(np.float32)
    )
    assert value == pytest.approx(expected, rel=1e-5)
    assert type(value) is float


@pytest.mark.parametrize("value", [0.0, 3.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
def test_r2_of_a_constant_target(value: float, weighted: bool) -> None:
    """The mean of equal numbers may be rounded, and is with 0.1; that is no variance."""
    target = np.full((31, 1), value)
    used = make_data(1)[2] if weighted else None
    assert METRICS["r2"](target.copy(), target, used) == 1.0
    assert METRICS["r2"](target + 0.5, target, used) == 0.0


def test_r2_of_one_constant_and_one_other_output() -> None:
    prediction, target, _ = make_data(2)
    target[:, 1] = 7.0
    assert METRICS["r2"](prediction, target, None) == pytest.approx(
        THEIRS["r2"](target, prediction), rel=1e-13
    )


def test_r2_ignores_rows_without_weight() -> None:
    target = np.array([[1.0], [1.0], [9.0]])
    assert METRICS["r2"](target + 1.0, target, np.array([1.0, 2.0, 0.0])) == 0.0


def test_r2_where_squares_vanish() -> None:
    target = np.array([[1e-200], [2e-200]])
    assert METRICS["r2"](target, target, None) == 1.0


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize(
    ("prediction", "target"),
    [((4, 1), (4,)), ((4, 1), (4, 2)), ((3, 1), (4, 1)), ((0, 1), (0, 1)), ((), ())],
)
def test_shapes_must_be_equal(
    name: str, prediction: tuple[int, ...], target: tuple[int, ...]
) -> None:
    with pytest.raises(tg.ShapeError) as caught:
        METRICS[name](np.zeros(prediction), np.zeros(target), None)
    assert str(caught.value) == (
        f"metrics: the prediction has shape {prediction} and the target {target}; "
        "expected equal shapes with at least one example"
    )


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.ones(3), "metrics: sample_weight has shape (3,); expected (4,)"),
        (np.ones((4, 1)), "metrics: sample_weight has shape (4, 1); expected (4,)"),
        (np.zeros(4), "metrics: sample_weight is zero for all 4 examples"),
        (
            np.array([1.0, -1.0, 1.0, 1.0]),
            "metrics: sample_weight[1] is -1.0; expected finite numbers, not negative",
        ),
    ],
)
def test_bad_weights(name: str, weight: Vector, message: str) -> None:
    with pytest.raises(tg.TypegradError) as caught:
        METRICS[name](np.ones((4, 1)), np.zeros((4, 1)), weight)
    assert str(caught.value) == message


def bias(prediction: Array, target: Array, sample_weight: Vector | None) -> float:
    return float(np.average(prediction - target, axis=0, weights=sample_weight)[0])


def loss(prediction: Array, target: Array, sample_weight: Vector | None) -> float:
    return 0.0


def test_functions_go_by_their_names() -> None:
    assert select_metrics(["mae", bias]) == {"mae": METRICS["mae"], "bias": bias}
    x = np.random.default_rng(0).normal(size=(20, 2))
    network = tg.NeuralNetwork(tg.Dense(2, 1), loss=tg.MSELoss(), seed=0, dtype=np.float64)
    trainer = tg.Trainer(network, tg.SGD(0.01), metrics=[bias])
    history = trainer.fit(x, x[:, :1], epochs=2)
    expected = np.mean(network.predict(x) - x[:, :1])
    assert history.metrics["training_bias"][-1] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (
            ["rsme"],
            "metric is 'rsme'; expected a function or one of mse, rmse, mae, max_error, r2",
        ),
        ("rmse", "metrics is 'rmse'; expected a list such as ['rmse']"),
        ([3], "metric is 3; expected a function or one of mse, rmse, mae, max_error, r2"),
        (
            ["mae", "mae"],
            "metric 'mae' has a name that is already taken; give the function another __name__",
        ),
        (
            [lambda p, t, w: 0.0, lambda p, t, w: 1.0],
            "metric '<lambda>' has a name that is already taken; "
            "give the function another __name__",
        ),
        (
            [loss],
            "metric 'loss' has a name that is already taken; give the function another __name__",
        ),
    ],
)
def test_bad_metrics(chosen: Any, message: str) -> None:
    network = tg.NeuralNetwork(tg.Dense(2, 1), loss=tg.MSELoss())
    with pytest.raises(ValueError, match="metric") as caught:
        tg.Trainer(network, tg.SGD(0.1), metrics=chosen)
    assert str(caught.value) == message
