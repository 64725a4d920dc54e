"""A training step reduced to what no step in NumPy can do without."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from typegrad.operations.transposed import times_transposed

BLOCK = 2**16
"""Parameters that are updated at a time: what belongs to them stays in the cache."""

Call = Callable[[], Any]


def essential_calls(widths: Sequence[int], rows: int, optimizer: str) -> list[Call]:
    """Return the calls: products of all layers, and passes over parameters.

    There are those forward, the gradients of the weights, and the gradients of the inputs but for
    the first layer's; and as few element-wise calls as the optimizer's formula can be written in.
    All else that a step does is left out: rows, activations, the loss, biases.

    Parameters
    ----------
    widths
        Of all layers, the input's first.
    rows
        Of a batch.
    optimizer
        "adam" or "sgd".
    """
    generator = np.random.default_rng(0)

    def matrix(*shape: int) -> Any:
        return generator.standard_normal(shape, np.float32)

    calls: list[Call] = []
    for number, (inputs, outputs) in enumerate(pairwise(widths)):
        x, weight = matrix(rows, inputs), matrix(inputs, outputs)
        output_grad = matrix(rows, outputs)
        calls.append(partial(np.dot, x, weight, matrix(rows, outputs)))
        calls.append(partial(np.dot, x.T, output_grad, matrix(inputs, outputs)))
        if number > 0:
            calls.append(partial(times_transposed, output_grad, weight))
    count = sum(inputs * outputs + outputs for inputs, outputs in pairwise(widths))
    passes = _adam_passes if optimizer == "adam" else _sgd_passes
    arrays = np.abs(matrix(5, count))
    for start in range(0, count, BLOCK):
        calls += passes(*arrays[:, start : start + BLOCK])
    return calls


def _sgd_passes(p: Any, g: Any, _m: Any, _v: Any, t: Any) -> list[Call]:
    """Gradient descent: p -= rate * g."""
    return [partial(np.multiply, g, np.float32(0.0), t), partial(np.subtract, p, t, p)]


def _adam_passes(p: Any, g: Any, m: Any, v: Any, t: Any) -> list[Call]:
    """Adam with means that are larger by 1 / (1 - beta), which saves two multiplications."""
    one = np.float32(1.0)
    return [
        partial(np.multiply, m, one, m),
        partial(np.add, m, g, m),
        partial(np.multiply, g, g, t),
        partial(np.multiply, v, one, v),
        partial(np.add, v, t, v),
        partial(np.sqrt, v, t),
        partial(np.add, t, one, t),
        partial(np.divide, m, t, t),
        partial(np.multiply, t, np.float32(0.0), t),
        partial(np.subtract, p, t, p),
    ]
