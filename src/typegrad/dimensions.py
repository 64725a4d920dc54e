"""Widths as part of a layer's type: named ones, and the numbers that checkers know.

``Dense(13, 32)`` has the type ``Dense[Literal[13], Literal[32]]``, ``Dense(Rooms, 32)`` the
type ``Dense[Rooms, Literal[32]]``. A width that is only known at run time, or that `Size`
does not list, is `Any` in the type and fits all; the mypy plugin knows every number.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
from typing_extensions import TypeVar

__all__ = ["Dim", "Size"]


class Dim:
    """A width with a name, which a type checker tells from every other width.

    The number may come from anywhere; the checker compares names, so that it finds a layer
    in the wrong place even where widths happen to be equal or are only known at run time.

    Examples
    --------
    >>> import typegrad as tg
    >>> class Rooms(tg.Dim):
    ...     size = 13
    >>> class Hidden(tg.Dim):
    ...     size = 2 * Rooms.size
    >>> tg.Dense(Rooms, Hidden) >> tg.Tanh() >> tg.Dense(Hidden, 1)
    Chain(Dense(13, 26), Activation(Tanh()), Dense(26, 1))
    """

    size: ClassVar[int]
    """How many features it stands for."""


# fmt: off
Size: TypeAlias = Literal[
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25,
    26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48,
    49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63, 64, 72, 80, 96, 100, 112, 120,
    128, 144, 150, 160, 192, 200, 224, 240, 250, 256, 300, 320, 384, 400, 448, 500, 512, 600,
    640, 700, 768, 784, 800, 896, 900, 1000, 1024, 1200, 1280, 1500, 1536, 1792, 2000, 2048,
    2560, 3000, 3072, 4000, 4096, 5000, 5120, 8000, 8192, 10000, 16384,
]
# fmt: on
"""Numbers that every checker carries through a model: few, since some take the cube of the time."""

In_co = TypeVar("In_co", covariant=True, default=Any)
"""Features that a layer takes."""
Out_co = TypeVar("Out_co", covariant=True, default=Any)
"""Features that a layer gives."""

# Not bound: functions that are generic over layers would otherwise not accept one another.
First = TypeVar("First")
Last = TypeVar("Last")

Taken = TypeVar("Taken", bound=Size)
Given = TypeVar("Given", bound=Size)
TakenDim = TypeVar("TakenDim", bound=Dim)
GivenDim = TypeVar("GivenDim", bound=Dim)


def as_width(owner: str, name: str, width: int | type[Dim]) -> int:
    """Return the number of features that an argument stands for.

    Raises
    ------
    TypeError
        If it is neither a whole number nor a `Dim` with a size.
    ValueError
        If it is less than 1.
    """
    number: object = getattr(width, "size", None) if isinstance(width, type) else width
    if not isinstance(number, int | np.integer) or isinstance(number, bool):
        raise TypeError(
            f"{owner}: {name} is {width!r}; expected a whole number, or a subclass of tg.Dim "
            "with a size, such as `class Hidden(tg.Dim): size = 32`"
        )
    if number < 1:
        raise ValueError(f"{owner}: {name} is {number}; expected 1 or more")
    return int(number)
