"""Dropout: its masks, and what they depend on."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

import typegrad as tg
from typegrad.layers import INFERENCE, Mode

TRAINING = Mode(training=True, seed=11)
ONES = np.ones((400, 50))


def mask(mode: Mode, rate: float = 0.5, rows: int = 8, columns: int = 6) -> np.ndarray:
    return tg.Dropout(rate).forward(np.ones((rows, columns)), mode)


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.5, 0.9])
def test_drops_at_the_rate_and_scales_the_rest_to_keep_the_mean(rate: float) -> None:
    y = tg.Dropout(rate).forward(ONES, TRAINING)
    kept = y != 0
    np.testing.assert_array_equal(y[kept], 1 / (1 - rate))
    spread = np.sqrt(rate * (1 - rate) / y.size)
    assert 1 - kept.mean() == pytest.approx(rate, abs=4 * spread)
    assert y.mean() == pytest.approx(1.0, abs=4 * spread / (1 - rate))


@pytest.mark.parametrize("mode", [INFERENCE, Mode(training=False, seed=3)])
def test_inference_lets_all_pass(mode: Mode) -> None:
    layer = tg.Dropout(0.5)
    np.testing.assert_array_equal(layer.forward(ONES, mode), ONES)
    np.testing.assert_array_equal(layer.backward(3.0 * ONES), 3.0 * ONES)


def test_rate_zero_lets_all_pass_in_training() -> None:
    layer = tg.Dropout(0.0)
    np.testing.assert_array_equal(layer.forward(ONES, TRAINING), ONES)
    np.testing.assert_array_equal(layer.backward(ONES), ONES)


def test_the_gradient_goes_through_the_same_mask() -> None:
    rng = np.random.default_rng(0)
    x, output_grad = rng.standard_normal((2, 30, 4))
    layer = tg.Dropout(0.4)
    y = layer.forward(x, TRAINING)
    assert (y == 0).any()
    np.testing.assert_allclose(layer.backward(output_grad), output_grad * y / x, rtol=1e-15)


def test_inference_after_training_has_no_mask_left() -> None:
    layer = tg.Dropout(0.5)
    layer.forward(ONES, TRAINING)
    layer.forward(ONES)
    np.testing.assert_array_equal(layer.backward(ONES), ONES)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(5,), (5, 3), (5, 3, 2), (0, 3)])
def test_shape_and_dtype_are_kept(dtype: type, shape: tuple[int, ...]) -> None:
    layer = tg.Dropout(0.3)
    y = layer.forward(np.ones(shape, dtype), TRAINING)
    assert y.shape == shape
    assert y.dtype == dtype
    assert layer.backward(y).dtype == dtype


def test_seed_step_and_place_determine_the_mask() -> None:
    base = replace(TRAINING, step=3, path=(1,))
    np.testing.assert_array_equal(mask(base), mask(replace(base)))
    for other in (
        replace(base, seed=12),
        replace(base, step=4),
        replace(base, path=(2,)),
        replace(base, first_row=8),
    ):
        assert (mask(base) != mask(other)).any()


def test_masks_do_not_depend_on_how_a_batch_is_cut() -> None:
    whole = mask(TRAINING, rows=10)
    parts = [
        mask(replace(TRAINING, first_row=start), rows=rows) for start, rows in ((0, 4), (4, 6))
    ]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_float32_and_float64_drop_the_same_elements() -> None:
    layer = tg.Dropout(0.3)
    single = layer.forward(ONES.astype(np.float32), TRAINING)
    np.testing.assert_array_equal(single != 0, layer.forward(ONES, TRAINING) != 0)


def test_layers_of_one_network_drop_different_elements() -> None:
    identity = tg.Chain(tg.Dropout(0.5))
    twice = tg.Chain(tg.Residual(tg.Dropout(0.5)), tg.Dropout(0.5))
    x = np.ones((50, 4))
    first = identity.forward(x, TRAINING) != 0
    inner = twice.layers[0].forward(x, TRAINING.inside(0)) != 1
    second = twice.layers[1].forward(x, TRAINING.inside(1)) != 0
    assert (first != second).any()
    assert (first != inner).any()
    assert (inner != second).any()


@pytest.mark.parametrize("rate", [1.0, -0.1, float("nan"), 50])
def test_rates_that_make_no_sense(rate: float) -> None:
    message = f"Dropout: rate is {rate}; expected 0 <= rate < 1"
    with pytest.raises(ValueError, match=re.escape(message) + "$"):
        tg.Dropout(rate)


def test_text() -> None:
    assert str(tg.Dropout(0.25)) == "Dropout(0.25)"
