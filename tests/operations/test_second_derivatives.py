"""Every operation of the table, recorded on tensors: first and second derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from typegrad.tensor import Tensor
from typegrad.types import Array

from .checks import Call, assert_close, central_difference, directions, inner, weights
from .row import Inputs, Row
from .table import ROWS

each_sample = pytest.mark.parametrize(
    ("row", "inputs"),
    [
        pytest.param(row, inputs, id=f"{row}-{'-'.join(str(x.shape) for x in inputs)}")
        for row in ROWS
        for inputs in row.samples
    ],
)


class Recorded:
    """An operation's output and gradients as tensors, which can be differentiated again."""

    def __init__(self, row: Row, inputs: Inputs, *, create_graph: bool) -> None:
        self.inputs = [Tensor(x, requires_grad=True) for x in inputs]
        operation = Call(row, inputs).operation
        output: Any = Tensor.__apply_operation__(operation, tuple(self.inputs))
        self.value: Array = np.asarray(output.numpy())
        output.backward(weights(self.value), create_graph=create_graph)
        self.grads = [tensor.grad for tensor in self.inputs]


def second_gradients(recorded: Recorded, onto: Inputs) -> tuple[Array, ...]:
    """Gradients of the inner product of the first gradients and `onto`."""
    total: Any = sum(
        np.sum(grad * move)
        for grad, move in zip(recorded.grads, onto, strict=True)
        if grad is not None
    )
    for tensor in recorded.inputs:
        tensor.grad = None
    if total.requires_grad:  # otherwise the operation is linear in all its inputs
        total.backward()
    return tuple(
        np.zeros(x.shape) if x.grad is None else np.asarray(x.grad.numpy()) for x in recorded.inputs
    )


@each_sample
def test_tensors_give_the_same_value_and_gradient(row: Row, inputs: Inputs) -> None:
    plain = Call(row, inputs)
    recorded = Recorded(row, inputs, create_graph=False)
    assert_close(recorded.value, plain.output, rtol=1e-14, atol=0)
    for grad, expected in zip(recorded.grads, plain.gradients(weights(plain.output)), strict=True):
        assert grad is not None
        assert_close(np.asarray(grad.numpy()), expected, rtol=1e-14, atol=1e-15)


@each_sample
def test_second_derivative_equals_central_differences(row: Row, inputs: Inputs) -> None:
    onto = directions(row, inputs, seed=5)
    move = directions(row, inputs)

    def first_derivative(t: float) -> float:
        moved = tuple(np.asarray(x + t * v) for x, v in zip(inputs, move, strict=True))
        call = Call(row, moved)
        return inner(call.gradients(weights(call.output)), onto)

    found = second_gradients(Recorded(row, inputs, create_graph=True), onto)
    scale = 1.0 + sum(float(np.sum(np.abs(h * v))) for h, v in zip(found, move, strict=True))
    assert abs(inner(found, move) - central_difference(first_derivative)) <= 5e-8 * scale
