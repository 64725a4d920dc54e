"""Directional derivatives: jvp and hvp.

The product of a Jacobian J with a vector v comes from two backward passes: the first
gives J^T u, which is linear in u, and the second differentiates <J^T u, v> with respect
to u, which gives J v (Townsend, "A new trick for calculating Jacobian vector products",
2017).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from typegrad.autodiff.gradient import as_direction, scalar_seed
from typegrad.autodiff.recorded import RecordedCall, plain, requires_grad, result_like
from typegrad.autodiff.tree import leaves, map_leaves, matching_leaves
from typegrad.errors import ShapeError
from typegrad.tensor.backpropagation import backpropagate, dependents
from typegrad.tensor.recording import recording
from typegrad.tensor.tensor import Tensor, variable

Y = TypeVar("Y")


class Pushforward:
    """Products of a recorded call's Jacobian with vectors.

    Attributes
    ----------
    duals : list of Tensor or None
        For each output the u above; None for a constant.
    transposed : list
        For each input its part of J^T u.
    """

    def __init__(self, call: RecordedCall) -> None:
        self.call = call
        self.outputs: list[Any] = [leaf for _, leaf in leaves(call.output)]
        self.duals: list[Tensor | None] = [
            variable(np.ones_like(output._data)[()]) if requires_grad(output) else None
            for output in self.outputs
        ]
        seeds = [
            (output, dual)
            for output, dual in zip(self.outputs, self.duals, strict=True)
            if dual is not None
        ]
        self.transposed: list[Any] = call.pull_back(seeds) if seeds else [None] * len(call.inputs)

    def __call__(self, directions: Sequence[Any]) -> list[Any]:
        """Derivatives of the outputs along `directions`, one for each of the call's inputs."""
        roots = [
            (product, direction)
            for product, direction in zip(self.transposed, directions, strict=True)
            if requires_grad(product)
        ]
        return [
            result_like(value_of(output), derivative, set())
            for output, derivative in zip(self.outputs, self._backward(roots), strict=True)
        ]

    def _backward(self, roots: list[tuple[Tensor, Any]]) -> list[Any]:
        """Gradients with respect to the duals."""
        numbers = [None if dual is None else dual._number for dual in self.duals]
        stops = {number for number in numbers if number is not None}
        if not roots:
            return [None] * len(numbers)
        start = min(stops)
        linked = any(root._oldest < start or requires_grad(direction) for root, direction in roots)
        with recording(linked):
            ends = backpropagate(
                roots,
                stops=stops,
                start=start,
                within=dependents([root for root, _ in roots], stops) if linked else None,
                create_graph=linked,
                outside=start,
                retain_graph=True,
            )
        return [ends[number][1] if number in ends else None for number in numbers]


def value_of(output: Any) -> Any:
    """Plain value of an output: an array, or a number where there are no axes."""
    return np.asarray(output._data if type(output) is Tensor else output)[()]


def jvp(f: Callable[..., Y], primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Y, Y]:
    """Compute ``f(*primals)`` and its derivative along `tangents`.

    Means what ``jax.jvp`` means.

    Parameters
    ----------
    f
        Function of arrays, see `grad`, that returns an array or a tree of them.
    primals
        Its arguments, in a tuple or list.
    tangents
        A direction for each of them, built like it.

    Returns
    -------
    output, derivative
        Built alike.

    Raises
    ------
    ShapeError
        If a tangent does not have its primal's shape.

    Examples
    --------
    >>> jvp(lambda x, y: x * y, (2.0, 3.0), (1.0, 10.0))[1].item()
    23.0
    """
    call = RecordedCall("jvp", f, tuple(primals), {}, range(len(primals)))
    rest = iter(Pushforward(call)(directions(call, primals, tangents)))
    derivative: Y = map_leaves(lambda _: next(rest), call.output)
    return plain(call.output, call.start), derivative


def hvp(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """Hessian-vector product: the derivative of ``grad(f)`` along `tangents`.

    Equals ``jvp(grad(f), primals, tangents)[1]``, as JAX's documentation defines it, but is
    the gradient of the inner product of gradient and tangents, which takes fewer passes.

    Parameters
    ----------
    f
        Function that returns a number, see `grad`.
    primals
        Its arguments, in a tuple or list.
    tangents
        A direction for each of them, built like it.

    Returns
    -------
    ndarray, float or tree of them
        Built like the first of `primals`.

    Examples
    --------
    >>> import numpy as np
    >>> hvp(lambda x: np.sum(x**3), (np.array([1.0, 2.0]),), (np.array([1.0, 1.0]),))
    array([ 6., 12.])
    """
    call = RecordedCall("hvp", f, tuple(primals), {}, range(len(primals)))
    along = directions(call, primals, tangents)
    gradients = call.pull_back(scalar_seed(call.output, "hvp"), record_it=True)
    seeds = [
        (gradient, direction)
        for gradient, direction in zip(gradients, along, strict=True)
        if requires_grad(gradient)
    ]
    rest = iter(call.gradients(seeds))
    return map_leaves(lambda _: next(rest), primals[0])


def directions(call: RecordedCall, primals: Sequence[Any], tangents: Sequence[Any]) -> list[Any]:
    """Leaves of `tangents`, each in the shape and dtype of the input it belongs to."""
    if len(primals) != len(tangents):
        raise ShapeError(
            f"{call.function} got {len(primals)} primals and {len(tangents)} tangents; "
            "expected one tangent for each"
        )
    parts = matching_leaves(tuple(tangents), tuple(primals), "the tangent")
    found = []
    for tensor, part in zip(call.inputs, parts, strict=True):
        if np.shape(part) != tensor.shape:
            raise ShapeError(
                f"{call.function}: a tangent has shape {np.shape(part)}; "
                f"expected the primal's shape {tensor.shape}"
            )
        found.append(as_direction(part, tensor.dtype, f"{call.function}: a tangent"))
    return found
