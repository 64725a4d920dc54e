"""Accumulated gradients are the large batch's; clipping acts on the complete gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import typegrad as tg
from typegrad.engines.base import StepSettings, clip_gradient
from typegrad.types import Array, Vector

ROWS = 47


def make_data() -> tuple[Array, Array, Vector]:
    generator = np.random.default_rng(5)
    x = generator.normal(size=(ROWS, 3))
    y = np.sin(3 * x[:, :1]) + x[:, 1:2]
    return x, y, generator.uniform(0.0, 2.0, ROWS)


def train(
    batch_size: int,
    accumulation_steps: int = 1,
    *,
    weighted: bool = False,
    clip_norm: float | None = None,
) -> tuple[tg.History, Vector]:
    network = tg.NeuralNetwork(
        tg.Dense(3, 16, tg.Tanh()),
        tg.Dropout(0.3),
        tg.Dense(16, 8, tg.ReLU()),
        tg.Dropout(0.2),
        tg.Dense(8, 1),
        loss=tg.MSELoss(),
        seed=0,
        dtype=np.float64,
    )
    trainer = tg.Trainer(
        network,
        tg.SGD(0.05, momentum=0.9),
        accumulation_steps=accumulation_steps,
        clip_norm=clip_norm,
    )
    x, y, weight = make_data()
    history = trainer.fit(
        x, y, epochs=6, batch_size=batch_size, seed=11, sample_weight=weight if weighted else None
    )
    return history, network.flat.values


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("small", "steps"),
    [(5, 4), (10, 2), (20, 1), (4, 5), (1, 20)],
)
def test_accumulation_equals_the_large_batch(small: int, steps: int, weighted: bool) -> None:
    """47 rows in steps of 20: the last step has 7 rows, in batches of 5 and 2."""
    expected_history, expected = train(20, weighted=weighted)
    history, weights = train(small, steps, weighted=weighted)
    np.testing.assert_allclose(weights, expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(history.training_loss, expected_history.training_loss, rtol=1e-10)


def test_clipping_sees_the_sum() -> None:
    _, expected = train(20, clip_norm=0.1)
    _, weights = train(5, 4, clip_norm=0.1)
    _, unclipped = train(20)
    np.testing.assert_allclose(weights, expected, rtol=1e-9, atol=1e-12)
    assert np.max(np.abs(expected - unclipped)) > 1e-3


def test_more_accumulation_than_rows_is_one_step() -> None:
    history, weights = train(10, 1000)
    _, expected = train(ROWS)
    np.testing.assert_allclose(weights, expected, rtol=1e-9, atol=1e-12)
    assert len(history) == 6


def clipped(gradient: Vector, **limits: Any) -> Vector:
    result = gradient.copy()
    clip_gradient(result, StepSettings(**limits))
    return result


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1e-3, 1.0, 1e30, 1e-30])
def test_norm_clipping_keeps_the_direction(dtype: type[np.floating], size: float) -> None:
    """Also where the squares of float32 numbers are out of range."""
    gradient = (np.array([3.0, 0.0, -4.0]) * size).astype(dtype)
    limit = size / 2
    np.testing.assert_allclose(
        clipped(gradient, clip_norm=limit), np.array([0.6, 0.0, -0.8]) * limit, rtol=1e-6
    )


def test_short_gradients_are_not_scaled_up() -> None:
    gradient = np.array([0.3, -0.4])
    np.testing.assert_array_equal(clipped(gradient, clip_norm=0.5), gradient)
    np.testing.assert_array_equal(clipped(np.zeros(2), clip_norm=0.5), np.zeros(2))


def test_norm_is_clipped_before_values() -> None:
    gradient = np.array([30.0, 40.0])
    np.testing.assert_allclose(clipped(gradient, clip_norm=5.0, clip_value=3.5), [3.0, 3.5])


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
@pytest.mark.parametrize("name", ["clip_norm", "clip_value"])
def test_bad_limits(name: str, value: float) -> None:
    network = tg.NeuralNetwork(tg.Dense(1, 1), loss=tg.MSELoss())
    limits: dict[str, Any] = {name: value}
    with pytest.raises(
        ValueError, match=f"^Trainer: {name} is {value}; expected a positive number$"
    ):
        tg.Trainer(network, tg.SGD(0.1), **limits)
