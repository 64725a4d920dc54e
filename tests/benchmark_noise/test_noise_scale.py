"""The gradient noise scale, on problems where it is known in closed form."""

from __future__ import annotations

import json
import math
from itertools import combinations
from typing import Any

import numpy as np
import pytest

import typegrad as tg
from typegrad.gradient_moments import gradient_moments
from typegrad.noise_scale import gradient_noise_scale, two_batch_noise_scale
from typegrad.per_example import per_example_gradients
from typegrad.types import Array, Vector

SCALES = np.linspace(0.4, 1.6, 6)
"""Standard deviations of the inputs."""

NOISE = 0.7
"""Standard deviation of the target's noise."""


def linear_regression(
    rows: int, seed: int, distance: float | None = None
) -> tuple[tg.NeuralNetwork, Array, Array, Vector]:
    """Gaussian inputs and noise; with a distance, weights so far from the true ones, returned."""
    rng = np.random.default_rng([seed, rows])
    x = rng.normal(size=(rows, len(SCALES))) * SCALES
    true = rng.normal(size=len(SCALES))
    y = x @ true + NOISE * rng.normal(size=rows)
    network = tg.NeuralNetwork(
        tg.Dense(len(SCALES), 1, bias=False), loss=tg.MSELoss(), seed=seed, dtype=np.float64
    )
    if distance is not None:
        direction = rng.normal(size=len(SCALES))
        network.flat.values[...] = true + distance * direction / np.linalg.norm(direction)
    return network, x, y[:, None], true


def true_noise_scale(network: tg.NeuralNetwork, true: Vector) -> float:
    """tr(Sigma) / |G|^2 for inputs N(0, C), noise of variance s^2 and the loss (x.w - y)^2.

    With e = w - w*: G = 2 C e, and by Isserlis' theorem
    Sigma = 4 ((s^2 + e'Ce) C + C e e' C).
    """
    covariance = SCALES**2
    error = network.flat.values - true
    length = float(np.sum((2.0 * covariance * error) ** 2))
    excess = NOISE**2 + float(np.sum(covariance * error**2))
    trace = 4.0 * (excess * covariance.sum() + float(np.sum((covariance * error) ** 2)))
    return trace / length if length else math.inf


@pytest.mark.parametrize("seed", range(3))
def test_the_truth_is_in_the_interval_at_every_checked_point_of_training(seed: int) -> None:
    network, x, y, true = linear_regression(4000, seed)
    # Measured on fresh examples: of those trained on, the mean gradient comes to zero.
    training, fresh = slice(0, 2000), slice(2000, 4000)
    trainer = tg.Trainer(network, tg.SGD(0.01), engine="eager")
    truths, estimates = [], []
    for epoch in range(12):
        estimates.append(gradient_noise_scale(network, x[fresh], y[fresh], confidence=0.99))
        truths.append(true_noise_scale(network, true))
        if epoch < 11:
            trainer.fit(x[training], y[training], epochs=epoch + 1, initial_epoch=epoch, seed=seed)
    # The weights come close to the optimum, where the gradient is hard to tell from zero.
    assert truths[0] < 20
    assert truths[-1] > 1000
    for truth, estimate in zip(truths, estimates, strict=True):
        assert estimate.low <= truth <= estimate.high
        assert estimate.low <= estimate.value <= estimate.high
    assert estimates[0].high < 30


@pytest.mark.parametrize("rows", [60, 400])
@pytest.mark.parametrize("distance", [0.0, 0.1, 0.5, 3.0])
def test_intervals_cover_the_truth_as_often_as_they_say(rows: int, distance: float) -> None:
    inside = 0
    for seed in range(200):
        network, x, y, true = linear_regression(rows, seed, distance)
        estimate = gradient_noise_scale(network, x, y)
        inside += estimate.low <= true_noise_scale(network, true) <= estimate.high
    # 200 intervals of 95 %: below 180 with probability 0.002.
    assert inside >= 180


def test_a_lower_confidence_covers_less_often() -> None:
    inside = 0
    for seed in range(200):
        network, x, y, true = linear_regression(200, seed, 0.5)
        estimate = gradient_noise_scale(network, x, y, confidence=0.5)
        inside += estimate.low <= true_noise_scale(network, true) <= estimate.high
    assert 75 <= inside <= 130


def test_both_terms_are_unbiased() -> None:
    found = []
    for seed in range(400):
        network, x, y, _ = linear_regression(20, seed, 0.5)
        # The same distance in the same direction, for one truth.
        network.flat.values[...] = np.linalg.lstsq(SCALES[:, None] * np.eye(6), np.ones(6))[0]
        rng = np.random.default_rng([seed, 1])
        y = (x @ (network.flat.values - 0.2) + NOISE * rng.normal(size=20))[:, None]
        estimate = gradient_noise_scale(network, x, y)
        found.append([estimate.trace, estimate.squared_gradient])
    covariance = SCALES**2
    error = np.full(6, 0.2)
    trace = 4.0 * (
        (NOISE**2 + np.sum(covariance * error**2)) * covariance.sum()
        + np.sum((covariance * error) ** 2)
    )
    squared = np.sum((2.0 * covariance * error) ** 2)
    spread = np.std(found, axis=0) / math.sqrt(len(found))
    assert np.all(np.abs(np.mean(found, axis=0) - [trace, squared]) < 3.5 * spread)


def deep_network(dtype: Any = np.float64) -> tg.NeuralNetwork:
    return tg.NeuralNetwork(
        tg.Dense(3, 5, "tanh"), tg.Dense(5, 2, bias=False), loss=tg.HuberLoss(), seed=0, dtype=dtype
    )


def examples(rows: int, seed: int = 0) -> tuple[Array, Array, Vector]:
    rng = np.random.default_rng(seed)
    weights = rng.uniform(0.2, 3.0, rows)
    return rng.normal(size=(rows, 3)), rng.normal(size=(rows, 2)), weights


def explicit(network: tg.NeuralNetwork, x: Array, y: Array, weights: Vector) -> Array:
    """All gradients as a matrix, one example a row."""
    gradients = per_example_gradients(network, x, y).values()
    matrix = np.concatenate([grads.reshape(len(x), -1) for grads in gradients], axis=1)
    return np.asarray(matrix * weights[:, None])


def test_moments_are_those_of_the_explicit_gradients() -> None:
    network = deep_network()
    x, y, weights = examples(300)
    matrix = explicit(network, x, y, weights)
    mean = matrix.mean(axis=0)
    moments = gradient_moments(network, x, y, weights)
    assert len(moments) == 300
    np.testing.assert_allclose(moments.squares, np.sum(matrix**2, axis=1))
    np.testing.assert_allclose(moments.along_mean, matrix @ mean, atol=1e-14)
    np.testing.assert_allclose(moments.squared_mean, mean @ mean)
    covariance = np.cov(matrix.T)
    # An estimate from products of pairs: unbiased, where that of the matrix is a little large.
    np.testing.assert_allclose(moments.squared_covariance, np.sum(covariance**2), rtol=0.1)


def test_many_rows_go_block_by_block() -> None:
    network = deep_network()
    x, y, weights = examples(5000)
    matrix = explicit(network, x, y, weights)
    moments = gradient_moments(network, x, y, weights)
    np.testing.assert_allclose(moments.squares, np.sum(matrix**2, axis=1))
    np.testing.assert_allclose(moments.along_mean, matrix @ matrix.mean(axis=0), atol=1e-14)


def test_the_value_is_the_formula_with_the_covariance() -> None:
    network = deep_network()
    x, y, weights = examples(200)
    matrix = explicit(network, x, y, weights)
    mean, trace = matrix.mean(axis=0), np.trace(np.cov(matrix.T))
    sample = gradient_noise_scale(network, x, y, sample_weight=weights)
    assert sample.trace == pytest.approx(trace)
    assert sample.squared_gradient == pytest.approx(mean @ mean - trace / 200)
    assert sample.value == pytest.approx(trace / (mean @ mean - trace / 200))
    assert sample.examples == 200
    everything = gradient_noise_scale(network, x, y, sample_weight=weights, population=True)
    assert everything.value == pytest.approx(trace * 199 / 200 / (mean @ mean))
    assert everything.low == everything.value == everything.high


def test_layers_without_a_formula_take_a_loop_with_the_same_result() -> None:
    plain = deep_network()
    wrapped = tg.NeuralNetwork(
        tg.Dense(3, 5, "tanh"),
        tg.Dropout(0.5),
        tg.Dense(5, 2, bias=False),
        loss=tg.HuberLoss(),
        seed=0,
        dtype=np.float64,
    )
    wrapped.flat.values[...] = plain.flat.values
    wrapped.flat.grads[...] = 3.0
    x, y, weights = examples(80)
    expected = gradient_moments(plain, x, y, weights)
    found = gradient_moments(wrapped, x, y, weights)
    np.testing.assert_allclose(found.squares, expected.squares)
    np.testing.assert_allclose(found.along_mean, expected.along_mean, atol=1e-15)
    assert found.squared_covariance == pytest.approx(expected.squared_covariance)
    assert (wrapped.flat.grads == 3.0).all()


def test_single_precision_is_summed_in_double() -> None:
    x, y, _ = examples(400)
    network, single = deep_network(), deep_network(np.float32)
    single.flat.values[...] = network.flat.values
    found = gradient_noise_scale(single, x.astype(np.float32), y.astype(np.float32))
    expected = gradient_noise_scale(network, x, y)
    assert found.value == pytest.approx(expected.value, rel=1e-4)
    assert found.high == pytest.approx(expected.high, rel=1e-4)


def test_the_same_gradient_from_every_example_is_no_noise() -> None:
    network = deep_network()
    x, y = np.ones((20, 3)), np.ones((20, 2))
    estimate = gradient_noise_scale(network, x, y)
    assert estimate.value == pytest.approx(0.0, abs=1e-12)
    assert estimate.high == pytest.approx(0.0, abs=1e-6)


def test_no_gradient_at_all() -> None:
    network = deep_network()
    x = np.zeros((20, 3))
    estimate = gradient_noise_scale(network, x, np.asarray(network.forward(x)))
    assert (estimate.value, estimate.low, estimate.high) == (0.0, 0.0, 0.0)


def test_gradients_that_cancel_leave_the_noise_scale_open_above() -> None:
    """At the minimum of the examples' own loss their mean gradient is zero."""
    network, x, y, _ = linear_regression(200, 0)
    network.flat.values[...] = np.linalg.lstsq(x, y)[0][:, 0]
    estimate = gradient_noise_scale(network, x, y)
    assert estimate.squared_gradient < 0
    assert estimate.value == estimate.high == math.inf
    assert 20 < estimate.low < math.inf
    everything = gradient_noise_scale(network, x, y, population=True)
    assert everything.value > 1e12


def test_two_examples_say_next_to_nothing() -> None:
    network, x, y, _ = linear_regression(2, 0)
    estimate = gradient_noise_scale(network, x, y)
    assert estimate.low < 1
    assert estimate.high == math.inf


def test_text_and_json() -> None:
    network, x, y, _ = linear_regression(200, 0)
    network.flat.values[...] = np.linalg.lstsq(x, y)[0][:, 0]
    estimate = gradient_noise_scale(network, x, y, confidence=0.9)
    assert str(estimate) == (f"noise scale inf examples (90% interval {estimate.low:.3g} to inf)")
    described = json.loads(json.dumps(estimate.to_dict(), allow_nan=False))
    assert described["value"] is None
    assert described["low"] == estimate.low
    assert described["examples"] == 200


def test_two_batches_agree_in_expectation() -> None:
    """The mean over all pairs of batches that there are is exactly the per-example estimate."""
    network = deep_network()
    x, y, weights = examples(8)
    expected = gradient_noise_scale(network, x, y, sample_weight=weights)
    matrix = explicit(network, x, y, weights)
    norms = {}
    for size in (2, 5):
        means = [matrix[list(rows)].mean(axis=0) for rows in combinations(range(8), size)]
        norms[size] = np.mean([mean @ mean for mean in means])
    squared = (5 * norms[5] - 2 * norms[2]) / 3
    trace = (norms[2] - norms[5]) / (1 / 2 - 1 / 5)
    assert squared == pytest.approx(expected.squared_gradient)
    assert trace == pytest.approx(expected.trace)
    drawn = two_batch_noise_scale(
        network, x, y, small=2, big=5, sample_weight=weights, repeats=4000, seed=1
    )
    assert drawn.trace == pytest.approx(expected.trace, rel=0.08)
    assert drawn.squared_gradient == pytest.approx(expected.squared_gradient, abs=0.05 * norms[5])


def test_intervals_of_two_batches_cover_the_estimate_from_all_examples() -> None:
    network, x, y, _ = linear_regression(500, 0, 1.0)
    exact = gradient_noise_scale(network, x, y).value
    before = network.flat.values.copy()
    network.flat.grads[...] = 2.0
    inside = 0
    for seed in range(100):
        estimate = two_batch_noise_scale(network, x, y, small=4, big=64, repeats=60, seed=seed)
        assert estimate.low <= estimate.value <= estimate.high
        inside += estimate.low <= exact <= estimate.high
    assert inside >= 88
    assert (network.flat.values == before).all()
    assert (network.flat.grads == 2.0).all()


@pytest.mark.parametrize("distance", [0.0, 0.05])
def test_two_batches_near_the_minimum_leave_infinity_open(distance: float) -> None:
    network, x, y, _ = linear_regression(2000, 0, distance)
    opened = 0
    for seed in range(20):
        estimate = two_batch_noise_scale(network, x, y, small=4, big=16, repeats=20, seed=seed)
        assert 0.0 <= estimate.low <= estimate.value <= estimate.high
        opened += math.isinf(estimate.high)
    assert opened >= 15


def test_two_batches_are_a_function_of_the_seed() -> None:
    network, x, y, _ = linear_regression(100, 0)
    first, second, third = (
        two_batch_noise_scale(network, x, y, small=4, big=32, repeats=5, seed=seed)
        for seed in (3, 3, 4)
    )
    assert first == second != third


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0, math.nan])
def test_a_confidence_that_is_none(confidence: float) -> None:
    network, x, y, _ = linear_regression(10, 0)
    text = f"^confidence is {confidence}; expected a number between 0 and 1$"
    with pytest.raises(ValueError, match=text):
        gradient_noise_scale(network, x, y, confidence=confidence)
    with pytest.raises(ValueError, match=text):
        two_batch_noise_scale(network, x, y, small=1, big=2, confidence=confidence)


def test_examples_that_do_not_fit() -> None:
    network, x, y, _ = linear_regression(10, 0)
    with pytest.raises(tg.ShapeError) as error:
        gradient_noise_scale(network, x[:1], y[:1])
    assert str(error.value) == (
        "gradient noise: x has shape (1, 6) and y (1, 1); expected as many rows in both, at least 2"
    )
    with pytest.raises(tg.ShapeError, match="expected as many rows in both"):
        two_batch_noise_scale(network, x, y[:4], small=1, big=2)
    with pytest.raises(tg.DTypeError) as wrong:
        gradient_noise_scale(network, x.astype(np.float32), y)
    assert str(wrong.value) == (
        "gradient noise: x is float32 and y float64, but the network is float64; "
        "prepare them with network.prepare_inputs and prepare_targets"
    )
    with pytest.raises(tg.ShapeError, match=r"gradient noise: sample_weight has shape \(3,\)"):
        gradient_noise_scale(network, x, y, sample_weight=np.ones(3))


@pytest.mark.parametrize(
    ("sizes", "text"),
    [
        ((0, 4), "small is 0; expected a whole number of 1 or more"),
        ((4, 4), "big is 4; expected a whole number of 5 or more"),
        ((4, 11), "big is 11, but there are 10 examples; expected no more"),
    ],
)
def test_batch_sizes_that_do_not_fit(sizes: tuple[int, int], text: str) -> None:
    network, x, y, _ = linear_regression(10, 0)
    with pytest.raises(ValueError, match=f"^{text}$"):
        two_batch_noise_scale(network, x, y, small=sizes[0], big=sizes[1])


def test_one_pair_of_batches_has_no_interval() -> None:
    network, x, y, _ = linear_regression(10, 0)
    with pytest.raises(ValueError, match=r"^repeats is 1; expected a whole number of 2 or more$"):
        two_batch_noise_scale(network, x, y, small=1, big=2, repeats=1)


def test_gradients_that_are_not_finite() -> None:
    network, x, y, _ = linear_regression(10, 0)
    y[3] = np.inf
    with np.errstate(all="ignore"), pytest.raises(tg.NumericalError) as error:
        gradient_noise_scale(network, x, y)
    assert str(error.value) == (
        "gradient noise: the gradient of example 3 has NaN or infinity, or its square is too "
        "large; has the training diverged?"
    )
