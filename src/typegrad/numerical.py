"""Derivatives by finite differences: to learn from, and to check gradients with."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from typegrad.errors import DTypeError, ShapeError
from typegrad.types import Array

__all__ = ["numerical_derivative", "numerical_gradient", "partial_derivative"]

Value = TypeVar("Value", float, Array)


def numerical_derivative(f: Callable[[Value], Value], x: Value, h: float = 1e-7) -> Value:
    """Central difference (f(x + h) - f(x - h)) / (2 h).

    Parameters
    ----------
    f
        Function of a number, or an element-wise function of an array.
    x
        Where: a number, or an array for the derivative at each of its elements.
    h
        Half the distance of the two points. The error is about
        ``h**2 / 6 * f'''(x) + 1e-16 * f(x) / h``. Arrays are computed with in float64 at least,
        since float32 would round x + h to x.

    Raises
    ------
    ValueError
        If `h` is not positive.

    Examples
    --------
    >>> round(numerical_derivative(lambda x: x**2, 3.0), 10)
    5.9999999902
    """
    _check_step("numerical_derivative", h)
    if isinstance(x, np.ndarray | np.generic):
        x = x.astype(np.result_type(x.dtype, np.float64))
    return (f(x + h) - f(x - h)) / (2 * h)


def partial_derivative(
    f: Callable[..., float], index: int, *arguments: float, h: float = 1e-7
) -> float:
    """Central difference of `f` in its argument number `index`, the others held.

    Examples
    --------
    >>> round(partial_derivative(lambda x, y: x**2 * y + 3 * y**2, 0, 2.0, 3.0), 4)
    12.0
    """
    if not 0 <= index < len(arguments):
        raise IndexError(
            f"partial_derivative: index is {index}, but there are {len(arguments)} arguments, "
            "counted from 0"
        )

    def along(value: float) -> float:
        return f(*arguments[:index], value, *arguments[index + 1 :])

    return numerical_derivative(along, arguments[index], h)


def numerical_gradient(f: Callable[[Array], float], x: npt.ArrayLike, h: float = 1e-6) -> Array:
    """Gradient of a scalar function of an array, by central differences in each element.

    Parameters
    ----------
    f
        Function of an array that returns a number. It is called twice for each element.
    x
        Array of any shape; computed with in float64 and left as it is.
    h
        Half the distance of the two points.

    Returns
    -------
    ndarray
        float64, of the shape of `x`.

    Raises
    ------
    ShapeError
        If `f` returns an array of more than one element.
    DTypeError
        If `x` is not made of real numbers.
    ValueError
        If `h` is not positive.

    Examples
    --------
    >>> numerical_gradient(lambda x: float(np.sum(x**2)), np.array([1.0, 2.0])).round(6)
    array([2., 4.])
    """
    _check_step("numerical_gradient", h)
    point = np.array(x)
    if point.dtype.kind not in "fiu":
        raise DTypeError(f"numerical_gradient: x has dtype {point.dtype}; expected real numbers")
    point = point.astype(np.float64)
    gradient = np.zeros_like(point)
    for index in np.ndindex(point.shape):
        centre = point[index]
        ends = []
        for shifted in (centre + h, centre - h):
            point[index] = shifted
            ends.append(_as_number(f(point.copy())))
        point[index] = centre
        gradient[index] = (ends[0] - ends[1]) / (2 * h)
    return gradient


def _check_step(function: str, h: float) -> None:
    if not h > 0:
        raise ValueError(f"{function}: h is {h}; expected a positive number")


def _as_number(value: float | Array) -> float:
    array = np.asarray(value)
    if array.size != 1:
        raise ShapeError(
            f"numerical_gradient: f returned an array of shape {array.shape}; "
            "expected a number, sum or average it first"
        )
    return float(array.reshape(()))
