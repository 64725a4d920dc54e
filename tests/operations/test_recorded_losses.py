"""Losses recorded on tensors: the same value and gradient, and second derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from typegrad.tensor import Tensor

from .checks import assert_close, central_difference
from .loss_table import ROWS, LossRow, Pair
from .row import sample

each_sample = pytest.mark.parametrize(
    ("row", "pair"),
    [pytest.param(row, pair, id=f"{row}-{pair[0].shape}") for row in ROWS for pair in row.samples],
)


@each_sample
def test_second_derivative_equals_central_differences(row: LossRow, pair: Pair) -> None:
    prediction, target = pair
    prediction = prediction / max(1.0, float(np.max(np.abs(prediction))))
    onto, move = sample(*prediction.shape, seed=8), sample(*prediction.shape, seed=9)
    weight = np.arange(1.0, len(prediction) + 1)
    plain, loss = row.make(), row.make()
    x: Any = Tensor(prediction, requires_grad=True)
    recorded: Any = loss.forward(x, target, sample_weight=weight)
    assert recorded.item() == pytest.approx(plain.forward(prediction, target, weight), rel=1e-14)
    recorded.backward(create_graph=True)
    assert_close(np.asarray(x.grad.numpy()), plain.backward(), rtol=1e-14, atol=1e-16)
    total: Any = np.sum(x.grad * onto)
    x.grad = None
    if total.requires_grad:  # not where the loss is linear
        total.backward()
    second = np.zeros(prediction.shape) if x.grad is None else x.grad.numpy()

    def first_derivative(t: float) -> float:
        plain.forward(prediction + t * move, target, weight)
        return float(np.sum(plain.backward() * onto))

    change = central_difference(first_derivative, 1e-5)
    assert float(np.sum(second * move)) == pytest.approx(change, rel=1e-8, abs=1e-9)
