"""Reverse mode: grad, value_and_grad, vjp."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar, overload

import numpy as np

from typegrad.autodiff.recorded import RecordedCall, plain
from typegrad.autodiff.signatures import FunctionOfOne, FunctionOfTwo
from typegrad.autodiff.tree import leaves, map_leaves, matching_leaves
from typegrad.errors import DTypeError, ShapeError
from typegrad.tensor.tensor import Tensor

P = ParamSpec("P")
X = TypeVar("X")
Y = TypeVar("Y")
V = TypeVar("V")
Aux = TypeVar("Aux")

ArgNums = int | tuple[int, ...]


@overload
def grad(f: np.ufunc, argnums: ArgNums = 0, has_aux: bool = False) -> Callable[..., Any]: ...
@overload
def grad(
    f: Callable[Concatenate[X, P], tuple[Any, Aux]],
    argnums: Literal[0] = 0,
    *,
    has_aux: Literal[True],
) -> FunctionOfOne[X, P, tuple[X, Aux]]: ...
@overload
def grad(
    f: Callable[Concatenate[X, P], Any],
    argnums: Literal[0] = 0,
    has_aux: Literal[False] = False,
) -> FunctionOfOne[X, P, X]: ...
@overload
def grad(
    f: Callable[Concatenate[X, Y, P], Any],
    argnums: Literal[1],
    has_aux: Literal[False] = False,
) -> FunctionOfTwo[X, Y, P, Y]: ...
@overload
def grad(
    f: Callable[Concatenate[X, Y, P], Any],
    argnums: tuple[Literal[0], Literal[1]],
    has_aux: Literal[False] = False,
) -> FunctionOfTwo[X, Y, P, tuple[X, Y]]: ...
@overload
def grad(f: Callable[..., Any], argnums: ArgNums, has_aux: bool = False) -> Callable[..., Any]: ...
def grad(f: Callable[..., Any], argnums: ArgNums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """Make the function that computes the gradient of `f`.

    Means what ``jax.grad`` means. It nests to any order: ``grad(grad(f))``.

    Parameters
    ----------
    f
        Function that returns a number. Its arguments are floats, arrays of float32 or float64,
        or tuples, lists and dicts of these; those not differentiated can be anything.
        It is written with NumPy's functions and operators, and must not change its arguments:
        arrays among them are read-only while it runs.
    argnums
        Position, or positions, of the arguments to differentiate with respect to.
    has_aux
        Whether `f` returns a pair, of the number and of anything else.

    Returns
    -------
    callable
        Takes what `f` takes. Returns the gradient, built like the argument: arrays of the
        same shapes and dtypes, and floats for floats; a tuple of gradients if `argnums` is one.
        With `has_aux`, a pair of that and of the second thing `f` returned.

    Raises
    ------
    ShapeError
        When called, if `f` returns an array of one or more axes.
    DTypeError
        When called, if an argument to differentiate is not made of floating-point numbers.

    Examples
    --------
    >>> import numpy as np
    >>> grad(lambda x: np.sum(x**3))(np.array([1.0, 2.0]))
    array([ 3., 12.])
    >>> float(grad(grad(np.sin))(0.5) + np.sin(0.5))
    0.0
    """
    both = value_and_grad(f, argnums, has_aux)

    @wraps(f)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        value, gradients = both(*args, **kwargs)
        return (gradients, value[1]) if has_aux else gradients

    return gradient


@overload
def value_and_grad(
    f: np.ufunc, argnums: ArgNums = 0, has_aux: bool = False
) -> Callable[..., tuple[Any, Any]]: ...
@overload
def value_and_grad(
    f: Callable[Concatenate[X, P], tuple[V, Aux]],
    argnums: Literal[0] = 0,
    *,
    has_aux: Literal[True],
) -> FunctionOfOne[X, P, tuple[tuple[V, Aux], X]]: ...
@overload
def value_and_grad(
    f: Callable[Concatenate[X, P], V],
    argnums: Literal[0] = 0,
    has_aux: Literal[False] = False,
) -> FunctionOfOne[X, P, tuple[V, X]]: ...
@overload
def value_and_grad(
    f: Callable[Concatenate[X, Y, P], V],
    argnums: Literal[1],
    has_aux: Literal[False] = False,
) -> FunctionOfTwo[X, Y, P, tuple[V, Y]]: ...
@overload
def value_and_grad(
    f: Callable[Concatenate[X, Y, P], V],
    argnums: tuple[Literal[0], Literal[1]],
    has_aux: Literal[False] = False,
) -> FunctionOfTwo[X, Y, P, tuple[V, tuple[X, Y]]]: ...
@overload
def value_and_grad(
    f: Callable[..., Any], argnums: ArgNums, has_aux: bool = False
) -> Callable[..., tuple[Any, Any]]: ...
def value_and_grad(
    f: Callable[..., Any], argnums: ArgNums = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """Make the function that computes `f` and its gradient, in one pass each way.

    Like `grad`, but what it makes returns a pair of what `f` returned and of the gradient.

    Examples
    --------
    >>> import numpy as np
    >>> value, gradient = value_and_grad(lambda x: np.sum(x**2))(np.array([1.0, 2.0]))
    >>> float(value), gradient
    (5.0, array([2., 4.]))
    """
    positions = (argnums,) if isinstance(argnums, int) else argnums

    @wraps(f)
    def value_and_gradient(*args: Any, **kwargs: Any) -> Any:
        call = RecordedCall("grad", f, args, kwargs, positions)
        output = _first(call.output) if has_aux else call.output
        value = plain(call.output, call.start)
        found = call.gradients(scalar_seed(output, "grad"))
        if isinstance(argnums, int) and len(found) == 1 and not isinstance(args[argnums], _TREES):
            return value, found[0]
        rest = iter(found)
        gradients = tuple(map_leaves(lambda _: next(rest), args[i]) for i in positions)
        return value, gradients[0] if isinstance(argnums, int) else gradients

    return value_and_gradient


_TREES = (tuple, list, dict)


def _first(output: Any) -> Any:
    if not isinstance(output, tuple) or len(output) != 2:
        raise TypeError(
            "grad: with has_aux the function returns a pair (number, anything); "
            f"it returned a {type(output).__name__}"
        )
    return output[0]


def scalar_seed(output: Any, function: str) -> list[tuple[Tensor, Any]]:
    """Pair of the output and 1, or nothing if the output is a constant."""
    if type(output) is Tensor:
        if output.shape != ():
            raise ShapeError(
                f"{function}: the function returned an array of shape {output.shape}; expected a "
                "number: sum or average it, or use jacobian"
            )
        return [(output, output.dtype.type(1))] if output.requires_grad else []
    if not isinstance(output, np.ndarray | np.generic | float | int) or np.ndim(output) != 0:
        raise ShapeError(
            f"{function}: the function returned a {type(output).__name__}; expected a number, "
            "or set has_aux for a pair of a number and something else"
        )
    return []


def vjp(f: Callable[P, Y], *primals: P.args, **kwargs: P.kwargs) -> tuple[Y, Callable[[Y], Any]]:
    """Compute ``f(*primals)``, and the function from cotangents to vector-Jacobian products.

    Means what ``jax.vjp`` means.

    Parameters
    ----------
    f
        Function of arrays, see `grad`, that returns an array or a tree of them.
    *primals
        Its arguments; all are differentiated with respect to.
    **kwargs
        Keyword arguments of `f`, not differentiated.

    Returns
    -------
    output, pull_back
        ``pull_back(cotangent)``, with a cotangent built like the output, returns a tuple with
        the product for each of `primals`. It can be called any number of times.

    Examples
    --------
    >>> import numpy as np
    >>> output, pull_back = vjp(np.sin, np.array([0.0, 1.0]))
    >>> pull_back(np.array([2.0, 0.0]))
    (array([2., 0.]),)
    """
    call = RecordedCall("vjp", f, primals, kwargs, range(len(primals)))
    shape_of_output = map_leaves(lambda leaf: leaf, call.output)

    def pull_back(cotangent: Any) -> Any:
        seeds = paired(shape_of_output, cotangent, "the cotangent")
        rest = iter(call.gradients(seeds, retain=True))
        return tuple(map_leaves(lambda _: next(rest), primal) for primal in primals)

    return plain(call.output, call.start), pull_back


def paired(output: Any, cotangent: Any, what: str) -> list[tuple[Tensor, Any]]:
    """Pairs of a tensor in `output` and of its part of `cotangent`, in shape and dtype of it."""
    pairs = []
    parts = matching_leaves(cotangent, output, what)
    for (path, leaf), part in zip(leaves(output), parts, strict=True):
        if np.shape(part) != np.shape(leaf):
            raise ShapeError(f"{what}{path} has shape {np.shape(part)}; expected {np.shape(leaf)}")
        if type(leaf) is Tensor and leaf.requires_grad:
            pairs.append((leaf, as_direction(part, leaf.dtype, f"{what}{path}")))
    return pairs


def as_direction(part: Any, dtype: np.dtype[Any], what: str) -> Any:
    """Bring a tangent or cotangent to `dtype`; a copy, so that it can be kept."""
    if type(part) is Tensor:
        return part if part.dtype == dtype else part.astype(dtype)
    array = np.array(part)
    if array.dtype.kind not in "fiub":
        raise DTypeError(f"{what} has dtype {array.dtype}; expected real numbers")
    return array.astype(dtype, copy=False)[()]
