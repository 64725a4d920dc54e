"""Primitives that are no functions of NumPy's, and the record of a ufunc's methods."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any

import numpy as np

from typegrad.types import AnyArray, Shape


@dataclass(frozen=True)
class Ufunc:
    """A ufunc, called by itself or by one of its methods ``reduce`` and ``accumulate``."""

    ufunc: np.ufunc
    method: str = "__call__"

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        return getattr(self.ufunc, self.method)(*arguments, **keywords)

    @property
    def __name__(self) -> str:
        """The ufunc's own name, with the method's."""
        name = self.ufunc.__name__
        return name if self.method == "__call__" else f"{name}.{self.method}"


@dataclass(frozen=True)
class Guard:
    """A condition that Python branched on when the formula was traced.

    The graph holds for data that takes the same branch. For other data it raises
    `GuardFailed`, and the formula has to run as it is written.
    """

    expected: bool

    @property
    def __name__(self) -> str:
        return f"guard_{'true' if self.expected else 'false'}"

    def __call__(self, condition: AnyArray) -> None:
        if bool(condition) is not self.expected:
            raise GuardFailed


class GuardFailed(Exception):  # noqa: N818 - no error: it says to take the other way
    """Python would have branched otherwise than it did when the formula was traced."""


@dataclass(frozen=True, eq=False)
class Opaque:
    """Something that runs as it is written, because it could not be traced.

    `run` takes the first arrays, as many as `reads` says, and returns an array or a tuple of
    arrays. The others must be as they were, since it may have kept them from an earlier run.
    """

    name: str
    run: Any
    reads: int

    @property
    def __name__(self) -> str:
        return self.name

    def __call__(self, *arrays: AnyArray) -> Any:
        return self.run(*arrays[: self.reads])


def getitem(x: AnyArray, index: Any) -> Any:
    """Return x[index]; lists in the index have become arrays."""
    return x[index]


def setitem(x: AnyArray, index: Any, value: Any) -> AnyArray:
    """Copy of x in which x[index] is the value."""
    changed = x.copy(order="K")
    changed[index] = value
    return changed


def add_at(x: AnyArray, index: Any, value: Any) -> AnyArray:
    """Copy of x to which np.add.at added the value."""
    changed = x.copy(order="K")
    np.add.at(changed, index, value)
    return changed


def astype(x: AnyArray, dtype: np.dtype[Any]) -> AnyArray:
    """Return x.astype(dtype), which copies."""
    return x.astype(dtype)


def power(x: AnyArray, exponent: Any) -> Any:
    """Return x ** exponent, for which NumPy has short cuts that np.power lacks."""
    return operator.pow(x, exponent)


def fill(shape: Shape, value: Any, dtype: np.dtype[Any]) -> AnyArray:
    """Array with one value everywhere."""
    return np.full(shape, value, dtype)


def zero_gradient(shape: Shape, dtype: np.dtype[Any]) -> AnyArray:
    """Gradient before anything was added: adding to it can be left out."""
    return np.zeros(shape, dtype)


def where(condition: AnyArray, chosen: Any, other: Any) -> AnyArray:
    """np.where with three arguments."""
    chosen_or_other: AnyArray = np.where(condition, chosen, other)
    return chosen_or_other
