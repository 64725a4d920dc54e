"""One row of the table of operations, and helpers that write rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from typegrad.operations import Operation
from typegrad.types import Array, Shape

Inputs = tuple[Array, ...]
Draw = Callable[[Shape, np.random.Generator], Array]
"""Draws an operand of a shape, at a distance from where the operation has a kink."""

Peer = Literal["torch", "jax"]


@dataclass(frozen=True, eq=False)
class Bad:
    """Inputs that are refused, and exactly how."""

    make: Callable[[], Operation]
    inputs: Inputs
    error: type[Exception]
    message: str


@dataclass(frozen=True, eq=False)
class Kink:
    """Inputs at a tie, kink or edge, the gradients there of the output's sum, and who agrees."""

    inputs: Inputs
    grads: tuple[Array, ...]
    agrees: tuple[Peer, ...]


@dataclass(frozen=True, eq=False)
class Row:
    """What all tests of one operation follow from.

    `make` gets the `Parameter` objects where `parameters` is true. `value` is an independent
    reference; `torch` and `jax` are the same function in those libraries. `draws` has a
    function for each operand where the shapes can be anything that broadcasts. `project`
    maps any direction to one in which the inputs may move (a symmetric one, say).
    """

    name: str
    make: Callable[..., Operation]
    samples: Sequence[Inputs]
    value: Callable[..., npt.ArrayLike]
    torch: Callable[..., Any] | None = None
    jax: Callable[..., Any] | None = None
    bad: Sequence[Bad] = ()
    kinks: Sequence[Kink] = ()
    draws: tuple[Draw, ...] = ()
    parameters: bool = False
    project: Callable[[Array], Array] | None = None
    second: bool = True
    single_tolerance: float = 2e-5
    keeps_dtype: bool = True

    def __str__(self) -> str:
        return self.name


def between(low: float, high: float, *, avoid: Sequence[float] = ()) -> Draw:
    """Uniform numbers, none within 0.04 of those to avoid."""

    def draw(shape: Shape, rng: np.random.Generator) -> Array:
        x = np.asarray(rng.uniform(low, high, shape))
        for kink in avoid:
            x = np.asarray(np.where(np.abs(x - kink) < 0.04, x + 0.08, x))
        return x

    return draw


def spaced(offset: float = 0.0) -> Draw:
    """Different numbers, 0.1 apart, in random order; equal to none of another offset."""

    def draw(shape: Shape, rng: np.random.Generator) -> Array:
        count = int(np.prod(shape))
        order = rng.permutation(count) - count // 2
        return np.asarray(0.1 * order.reshape(shape) + offset)

    return draw


def sample(*shape: int, seed: int = 0) -> Array:
    """Normal numbers that depend on shape and seed alone."""
    return np.asarray(np.random.default_rng([seed, *shape]).normal(size=shape))


def drawn(draws: Sequence[Draw], *shapes: Shape) -> Inputs:
    """One operand of each shape."""
    rng = np.random.default_rng([len(shapes), *[length for shape in shapes for length in shape]])
    return tuple(draw(shape, rng) for draw, shape in zip(draws, shapes, strict=True))


def each_element(f: Callable[..., float]) -> Callable[..., Array]:
    """Turn a function of numbers into one of arrays, by a loop over elements."""

    def apply(*inputs: Array) -> Array:
        arrays = np.broadcast_arrays(*inputs)
        flat = [f(*map(float, values)) for values in zip(*[a.flat for a in arrays], strict=True)]
        return np.array(flat, dtype=np.float64).reshape(arrays[0].shape)

    return apply


ELEMENTWISE_SHAPES: tuple[Shape, ...] = ((3, 4), (5,), (), (0,), (2, 0, 3), (2, 3, 4), (1, 1))
BROADCAST_SHAPES: tuple[tuple[Shape, Shape], ...] = (
    ((3, 4), (3, 4)),
    ((3, 1), (3, 4)),
    ((3, 4), (1, 4)),
    ((4,), (3, 4)),
    ((3, 4), (4,)),
    ((), (3, 4)),
    ((3, 4), ()),
    ((), ()),
    ((3, 1), (1, 4)),
    ((2, 3, 4), (3, 1)),
    ((1,), (2, 1, 3)),
    ((0, 3), (1, 3)),
    ((1,), (0,)),
    ((), (2, 0)),
)


def elementwise(
    name: str, make: Callable[[], Operation], value: Callable[..., Any], draw: Draw, **rest: Any
) -> Row:
    """Row of an operation on the elements of one array."""
    samples = [drawn((draw,), shape) for shape in ELEMENTWISE_SHAPES]
    return Row(name, make, samples, value, draws=(draw,), **rest)


def broadcasting(
    name: str,
    make: Callable[[], Operation],
    value: Callable[..., Any],
    draws: tuple[Draw, Draw],
    **rest: Any,
) -> Row:
    """Row of an operation on the elements of two arrays, with every way of broadcasting them."""
    samples = [drawn(draws, *shapes) for shapes in BROADCAST_SHAPES]
    return Row(name, make, samples, value, draws=draws, **rest)


def kink(x: Sequence[float], grad: Sequence[float], *agrees: Peer) -> Kink:
    """Kink of an operation on one vector."""
    return Kink((np.array(x),), (np.array(grad),), agrees)
