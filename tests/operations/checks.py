"""What the tests of operations measure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import numpy.typing as npt
import torch

from typegrad.operations import Operation, Parameter, ParameterOperation
from typegrad.types import Array

from .row import Inputs, Row

torch.set_num_threads(1)


class Call:
    """An operation applied to inputs, parameters among them; the inputs cannot be written to."""

    def __init__(self, row: Row, inputs: Inputs) -> None:
        self.inputs = tuple(np.array(x, copy=None) for x in inputs)
        for x in self.inputs:
            x.flags.writeable = False
        if row.parameters:
            self.operation = row.make(*[bound(value) for value in self.inputs[1:]])
            arguments = self.inputs[:1]
        else:
            self.operation = row.make()
            arguments = self.inputs
        self.output: Array = forward(self.operation, arguments)

    def gradients(self, output_grad: Array) -> tuple[Array, ...]:
        """Gradient of the inner product of `output_grad` and the output, for each input."""
        operation: Any = self.operation
        grads = operation.backward(output_grad)
        if isinstance(self.operation, ParameterOperation):
            return (grads, *[parameter.grad for parameter in self.operation.parameters])
        return grads if isinstance(grads, tuple) else (grads,)


def forward(operation: Operation, inputs: Inputs) -> Array:
    """Call `forward`, whose signature differs by arity."""
    anything: Any = operation
    output: Array = anything.forward(*inputs)
    return output


def bound(value: Array) -> Parameter:
    """Parameter with this value and a gradient of zero."""
    parameter = Parameter(value.shape, lambda shape, _: np.zeros(shape))
    parameter.bind(value, np.zeros_like(value))
    return parameter


def weights(output: Array) -> Array:
    """What to multiply an output by so that one number says all."""
    rng = np.random.default_rng(output.size)
    return np.asarray(rng.normal(size=output.shape)).astype(output.dtype)


def directions(row: Row, inputs: Inputs, seed: int = 17) -> Inputs:
    """A direction for each input to move in."""
    rng = np.random.default_rng(seed)
    moves = [np.asarray(rng.normal(size=x.shape)) for x in inputs]
    return tuple(moves if row.project is None else map(row.project, moves))


def central_difference(f: Callable[[float], float], step: float = 1e-3) -> float:
    """Derivative of f at 0, by differences of fourth order."""
    near = f(step) - f(-step)
    far = f(2 * step) - f(-2 * step)
    return (8 * near - far) / (12 * step)


def inner(left: tuple[Array, ...], right: tuple[Array, ...]) -> float:
    """Inner product of two lists of arrays."""
    return float(sum(np.sum(a * b) for a, b in zip(left, right, strict=True)))


def assert_derivative(row: Row, inputs: Inputs, tolerance: float = 2e-8) -> None:
    """Compare gradients with a central difference along a random direction."""
    call = Call(row, inputs)
    weight = weights(call.output)
    grads = call.gradients(weight)
    assert [g.shape for g in grads] == [x.shape for x in inputs]
    move = directions(row, inputs)

    def along(t: float) -> float:
        moved = tuple(np.asarray(x + t * v) for x, v in zip(inputs, move, strict=True))
        return inner((Call(row, moved).output,), (weight,))

    scale = 1.0 + sum(float(np.sum(np.abs(g * v))) for g, v in zip(grads, move, strict=True))
    assert abs(inner(grads, move) - central_difference(along)) <= tolerance * scale


def peer_torch(f: Callable[..., Any], inputs: Inputs) -> tuple[Array, tuple[Array, ...]]:
    """Value and gradients of f's output times `weights`, by PyTorch."""
    tensors = [torch.tensor(np.array(x), requires_grad=True) for x in inputs]
    output = f(*tensors)
    value: Array = output.detach().numpy()
    (output * torch.tensor(weights(value))).sum().backward()
    grads = [
        np.zeros(tensor.shape) if tensor.grad is None else tensor.grad.numpy() for tensor in tensors
    ]
    return value, tuple(grads)


def peer_jax(f: Callable[..., Any], inputs: Inputs) -> tuple[Array, tuple[Array, ...]]:
    """Value and gradients of f's output times `weights`, by JAX."""

    @jax.jit  # one compilation for all, where each operation would have its own
    def value_and_gradients(*arrays: Any) -> Any:
        output, pull_back = jax.vjp(f, *arrays)
        return output, pull_back(weights(output))

    with jax.enable_x64(True):
        value, grads = value_and_gradients(*map(np.array, inputs))
        return np.array(value), tuple(map(np.array, grads))


def assert_close(actual: Array, expected: npt.ArrayLike, rtol: float, atol: float) -> None:
    """Equal shapes, and values within the tolerances."""
    wanted = np.asarray(expected)
    assert actual.shape == wanted.shape
    np.testing.assert_allclose(actual, wanted, rtol=rtol, atol=atol)
