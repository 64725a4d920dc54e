"""Scalar: a Python number that is not known yet, such as a step's learning rate."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, MutableMapping
from functools import wraps
from typing import Any, ClassVar, NoReturn, TypeAlias

import numpy as np

from typegrad.tracing.errors import TraceError

Number: TypeAlias = int | float
Values: TypeAlias = MutableMapping[Any, Number]
"""Numbers by name; and of Scalars that were computed from them, which is done once."""
_Refusal: TypeAlias = Callable[..., NoReturn]

_SYMBOLS = {
    operator.add: "+",
    operator.sub: "-",
    operator.mul: "*",
    operator.truediv: "/",
    operator.pow: "**",
}


class Scalar:
    """A number computed by Python's operators from named numbers.

    Unlike an array it has no dtype: like a Python float it takes that of the arrays it meets.

    Parameters
    ----------
    text
        The formula, for people.
    example
        Its value at the time of tracing.
    compute
        Computes it from the values of the named numbers.
    """

    def __init__(self, text: str, example: Number, compute: Callable[[Values], Number]) -> None:
        self.text = text
        self.example = example
        self._compute = compute

    @classmethod
    def named(cls, name: str, example: Number) -> Scalar:
        """Return the number that is called `name`."""
        return cls(name, example, lambda values: values[name])

    def evaluate(self, values: Values) -> Number:
        """Compute it from the values of the named numbers, unless it is among them already."""
        found = values.get(self)
        if found is None:
            found = values[self] = self._compute(values)
        return found

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **keywords: Any) -> Any:
        """Leave formulas with Tracers to them; with arrays alone there is nobody to write it."""
        if any(hasattr(part, "__apply_operation__") for part in inputs):
            return NotImplemented
        raise TraceError(f"it combines {self.text} with an array that is not traced")

    def __add__(self, other: Any) -> Any:
        return _combine(operator.add, self, other)

    def __radd__(self, other: Any) -> Any:
        return _combine(operator.add, other, self)

    def __sub__(self, other: Any) -> Any:
        return _combine(operator.sub, self, other)

    def __rsub__(self, other: Any) -> Any:
        return _combine(operator.sub, other, self)

    def __mul__(self, other: Any) -> Any:
        return _combine(operator.mul, self, other)

    def __rmul__(self, other: Any) -> Any:
        return _combine(operator.mul, other, self)

    def __truediv__(self, other: Any) -> Any:
        return _combine(operator.truediv, self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return _combine(operator.truediv, other, self)

    def __pow__(self, other: Any) -> Any:
        return _combine(operator.pow, self, other)

    def __rpow__(self, other: Any) -> Any:
        return _combine(operator.pow, other, self)

    def __neg__(self) -> Scalar:
        evaluate = self.evaluate
        return Scalar(f"-{self.text}", -self.example, lambda values: -evaluate(values))

    def _unknown(self, *_: object) -> NoReturn:
        raise TraceError(f"it needs the value of {self.text} when it is planned")

    __bool__: ClassVar[_Refusal] = _unknown
    __float__: ClassVar[_Refusal] = _unknown
    __int__: ClassVar[_Refusal] = _unknown
    __index__: ClassVar[_Refusal] = _unknown
    __lt__: ClassVar[_Refusal] = _unknown
    __le__: ClassVar[_Refusal] = _unknown
    __gt__: ClassVar[_Refusal] = _unknown
    __ge__: ClassVar[_Refusal] = _unknown

    def __repr__(self) -> str:
        return self.text


def of_scalars(function: Callable[..., float]) -> Callable[..., float]:
    """Let a function of numbers take Scalars too, whatever Python code it has: loops, branches.

    With a Scalar among its arguments, it gives one that is computed when the values are known.
    """

    @wraps(function)
    def call(*arguments: Any) -> Any:
        if not any(isinstance(argument, Scalar) for argument in arguments):
            return function(*arguments)
        parts = [_evaluator(argument) for argument in arguments]
        return Scalar(
            f"{function.__qualname__}({', '.join(map(str, arguments))})",
            function(*map(_example, arguments)),
            lambda values: _call(function, [part(values) for part in parts]),
        )

    return call


def _call(function: Callable[..., float], arguments: list[Any]) -> Any:
    """Call a function of numbers, or once for each number where there are arrays of them."""
    if any(isinstance(argument, np.ndarray) for argument in arguments):
        return np.vectorize(function, otypes=[float])(*arguments)
    return function(*arguments)


def _combine(symbol: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    if not all(isinstance(part, Scalar | int | float) for part in (left, right)):
        return NotImplemented
    left_value, right_value = _evaluator(left), _evaluator(right)
    compute = _power if symbol is operator.pow else symbol
    return Scalar(
        f"({left} {_SYMBOLS[symbol]} {right})",
        symbol(_example(left), _example(right)),
        lambda values: compute(left_value(values), right_value(values)),
    )


def _power(base: Any, exponent: Any) -> Any:
    """Return ``base ** exponent``; of an array by exp2, within 2^-53 of what it should be.

    NumPy's power takes two and a half times as long, and fifty times where it underflows, as
    Adam's powers do after 5000 steps.
    """
    if isinstance(exponent, np.ndarray) and isinstance(base, float) and 0.0 < base < 1.0:
        return np.exp2(exponent * math.log2(base))
    return base**exponent


def _example(part: Any) -> Any:
    return part.example if isinstance(part, Scalar) else part


def _evaluator(part: Any) -> Callable[[Values], Any]:
    if isinstance(part, Scalar):
        return part.evaluate
    return lambda values: part
