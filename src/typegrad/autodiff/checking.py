"""Comparing derivatives with finite differences."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from typegrad.autodiff.forward import jvp, value_of
from typegrad.autodiff.gradient import vjp
from typegrad.autodiff.tree import Tree, leaves, map_leaves
from typegrad.types import Array


def check_gradients(
    f: Callable[..., Any],
    *args: Any,
    order: int = 2,
    rtol: float = 1e-5,
    atol: float = 1e-6,
    step: float = 1e-5,
    generator: np.random.Generator | None = None,
) -> None:
    """Compare the derivatives of `f` with central differences, along random directions.

    For directions v of the arguments and u of the output, the difference quotient
    <u, f(x + h v) - f(x - h v)> / (2 h) is compared with <u, J v> from `jvp` and with
    <J^T u, v> from `vjp`; for second derivatives the same is done for J^T u as a function of x,
    and so on. One direction finds any error but those orthogonal to it, which random
    directions are not.

    Parameters
    ----------
    f
        Function of arrays, see `grad`, that returns an array or a tree of them.
    *args
        Where; computed with in float64. All are differentiated with respect to. Keep away
        from kinks by more than `step`.
    order
        Highest order of the derivatives to compare.
    rtol, atol
        How far they may differ: ``atol + rtol * size``.
    step
        h above.
    generator
        Draws the directions; always the same ones if None.

    Raises
    ------
    AssertionError
        If derivatives differ; says which, and by how much.

    Examples
    --------
    >>> check_gradients(lambda x: np.sum(np.tanh(x) ** 3), np.array([0.5, -1.0]))
    """
    rng = np.random.default_rng(0) if generator is None else generator
    names = f"{getattr(f, '__name__', repr(f))}"
    point = map_leaves(lambda leaf: np.asarray(leaf, np.float64)[()], args)
    for number in range(1, order + 1):
        _check_once(f, point, rng, (rtol, atol, step), f"{names}, order {number}")
        f = _transposed(f, _direction(vjp(f, *point)[0], rng))


def _check_once(
    f: Callable[..., Any],
    point: tuple[Any, ...],
    rng: np.random.Generator,
    tolerances: tuple[float, float, float],
    what: str,
) -> None:
    rtol, atol, step = tolerances
    output, pull_back = vjp(f, *point)
    along, onto = _direction(point, rng), _direction(output, rng)
    ahead, behind = (f(*_moved(point, along, distance)) for distance in (step, -step))
    expected = (_inner(onto, ahead) - _inner(onto, behind)) / (2.0 * step)
    found = {
        "vjp": _inner(pull_back(onto), along),
        "jvp": _inner(onto, jvp(f, point, along)[1]),
    }
    for function, value in found.items():
        difference = abs(value - expected)
        # Written so that NaN counts as a difference.
        if not difference <= atol + rtol * abs(expected):
            raise AssertionError(
                f"check_gradients({what}): {function} gives {value:.10g} along random directions, "
                f"but central differences give {expected:.10g}; they differ by {difference:.3g}, "
                f"more than {atol:g} + {rtol:g} * size"
            )


def _transposed(f: Callable[..., Any], onto: Tree) -> Callable[..., Any]:
    """Make the function J^T u of the arguments, for a fixed direction u of the output."""

    def product(*args: Any) -> Any:
        return vjp(f, *args)[1](onto)

    return product


def _direction(tree: Tree, rng: np.random.Generator) -> Tree:
    """Normal numbers in a tree like `tree`."""
    return map_leaves(lambda leaf: rng.normal(size=np.shape(leaf)), tree)


def _moved(point: Tree, along: Tree, distance: float) -> Tree:
    directions = _values(along)
    return map_leaves(lambda leaf: leaf + distance * next(directions), point)


def _inner(left: Tree, right: Tree) -> float:
    """Sum of products of corresponding elements."""
    pairs = zip(_values(left), _values(right), strict=True)
    return float(sum(np.sum(a * b) for a, b in pairs))


def _values(tree: Tree) -> Iterator[Array]:
    return (value_of(leaf) for _, leaf in leaves(tree))
