"""Whole matrices of derivatives: jacobian and hessian."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar, overload

import numpy as np

from typegrad.autodiff.forward import Pushforward
from typegrad.autodiff.gradient import ArgNums, grad
from typegrad.autodiff.recorded import RecordedCall, requires_grad
from typegrad.autodiff.signatures import FunctionOfOne
from typegrad.autodiff.tree import leaves, map_leaves
from typegrad.tensor.tensor import Tensor
from typegrad.types import Array, Shape

P = ParamSpec("P")
X = TypeVar("X", float, Array)
Layout = Literal["numerator", "denominator"]


@overload
def jacobian(
    f: np.ufunc, argnums: ArgNums = 0, layout: Layout = "numerator"
) -> Callable[..., Any]: ...
@overload
def jacobian(
    f: Callable[Concatenate[X, P], Array],
    argnums: Literal[0] = 0,
    layout: Layout = "numerator",
) -> FunctionOfOne[X, P, Array]: ...
@overload
def jacobian(
    f: Callable[..., Any], argnums: ArgNums = 0, layout: Layout = "numerator"
) -> Callable[..., Any]: ...
def jacobian(
    f: Callable[..., Any], argnums: ArgNums = 0, layout: Layout = "numerator"
) -> Callable[..., Any]:
    """Make the function that computes all partial derivatives of `f`.

    Means what ``jax.jacobian`` means. It takes one pass for each element of the output, or of
    the input where these are fewer.

    Parameters
    ----------
    f
        Function of arrays, see `grad`, that returns an array or a tree of them.
    argnums
        Position, or positions, of the arguments to differentiate with respect to.
    layout
        ``"numerator"``: of shape (*output's shape, *input's shape), so that row i holds the
        derivatives of output i. ``"denominator"``: (*input's shape, *output's shape), for vectors
        its transpose.

    Returns
    -------
    callable
        Takes what `f` takes. Returns an array; where output or argument are trees, a tree
        built like the output, whose leaves are trees built like the argument.

    Examples
    --------
    >>> def f(v):
    ...     x, y = v
    ...     return np.stack([3.0 * x**2 * y, 2.0 * x + y**8])
    >>> jacobian(f)(np.array([1.0, 2.0]))
    array([[  12.,    3.],
           [   2., 1024.]])
    >>> jacobian(f, layout="denominator")(np.array([1.0, 2.0]))
    array([[  12.,    2.],
           [   3., 1024.]])
    """
    if layout not in ("numerator", "denominator"):
        raise ValueError(f"jacobian: layout is {layout!r}; expected 'numerator' or 'denominator'")
    positions = (argnums,) if isinstance(argnums, int) else argnums

    @wraps(f)
    def jacobian_of_f(*args: Any, **kwargs: Any) -> Any:
        call = RecordedCall("jacobian", f, args, kwargs, positions)
        rows = iter(_blocks(call))

        def block_row(output: Any) -> Any:
            blocks = iter(next(rows))
            axes = np.ndim(output)

            def block(_: Any) -> Any:
                found = next(blocks)
                return _denominator(found, axes) if layout == "denominator" else found

            trees = tuple(map_leaves(block, args[position]) for position in positions)
            return trees[0] if isinstance(argnums, int) else trees

        return map_leaves(block_row, call.output)

    return jacobian_of_f


@overload
def hessian(f: np.ufunc, argnums: ArgNums = 0) -> Callable[..., Any]: ...
@overload
def hessian(f: Callable[Concatenate[X, P], Any]) -> FunctionOfOne[X, P, Array]: ...
@overload
def hessian(f: Callable[..., Any], argnums: ArgNums = 0) -> Callable[..., Any]: ...
def hessian(f: Callable[..., Any], argnums: ArgNums = 0) -> Callable[..., Any]:
    """Make the function that computes all second derivatives of `f`: ``jacobian(grad(f))``.

    Means what ``jax.hessian`` means.

    Parameters
    ----------
    f
        Function that returns a number, see `grad`.
    argnums
        Position, or positions, of the arguments to differentiate with respect to.

    Returns
    -------
    callable
        Takes what `f` takes. Returns an array of shape (*x.shape, *x.shape) for an array x, and
        for trees a tree of trees.

    Examples
    --------
    >>> hessian(lambda v: v[0] ** 2 * v[1])(np.array([3.0, 5.0]))
    array([[10.,  6.],
           [ 6.,  0.]])
    """
    return jacobian(grad(f, argnums), argnums)


def _blocks(call: RecordedCall) -> list[list[Any]]:
    """Numerator-layout Jacobians: for each output, of each input."""
    outputs = [leaf for _, leaf in leaves(call.output)]
    in_size = sum(tensor.size for tensor in call.inputs)
    if in_size < sum(np.size(output) for output in outputs):
        return _by_columns(call, outputs)
    return [_by_rows(call, output) for output in outputs]


def _by_rows(call: RecordedCall, output: Any) -> list[Any]:
    """Blocks of one output, from a backward pass for each of its elements."""
    shape = np.shape(output)
    rows: list[list[Any]] = []
    if requires_grad(output):
        for seed in _units(shape, output.dtype):
            rows.append(call.gradients([(output, seed)], retain=True))
    return [
        _joined([row[index] for row in rows], shape, tensor, axis=0)
        for index, tensor in enumerate(call.inputs)
    ]


def _by_columns(call: RecordedCall, outputs: list[Any]) -> list[list[Any]]:
    """Blocks of all outputs, from a derivative along each element of the inputs."""
    push = Pushforward(call)
    still = [np.zeros(tensor.shape, tensor.dtype)[()] for tensor in call.inputs]
    columns = [
        [
            push([*still[:index], unit, *still[index + 1 :]])
            for unit in _units(tensor.shape, tensor.dtype)
        ]
        for index, tensor in enumerate(call.inputs)
    ]
    return [
        [
            _joined([column[place] for column in columns[index]], np.shape(output), tensor, axis=-1)
            for index, tensor in enumerate(call.inputs)
        ]
        for place, output in enumerate(outputs)
    ]


def _units(shape: Shape, dtype: np.dtype[Any]) -> list[Array]:
    """All arrays of `shape` with a single 1."""
    size = int(np.prod(shape))
    return [row.reshape(shape)[()] for row in np.eye(size, dtype=dtype)]


def _joined(parts: list[Any], out_shape: Shape, tensor: Tensor, axis: int) -> Any:
    """Stack derivatives into an array of shape (*out_shape, *tensor.shape)."""
    shape = (*out_shape, *tensor.shape)
    if not parts:
        return np.zeros(shape, tensor.dtype)
    return np.reshape(np.stack(parts, axis=axis), shape)


def _denominator(block: Any, out_axes: int) -> Any:
    """Move the output's axes behind the input's."""
    axes = (*range(out_axes, block.ndim), *range(out_axes))
    return np.transpose(block, axes)
