"""Scalar: a Python number that is not known yet, such as a step's learning rate."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import partial, wraps
from itertools import repeat
from typing import Any, ClassVar, NoReturn, TypeAlias

import numpy as np

from typegrad.tracing.errors import TraceError

Number: TypeAlias = int | float
Values: TypeAlias = Mapping[str, Number]
"""Numbers by name, or arrays of them."""
_Refusal: TypeAlias = Callable[..., NoReturn]

_SYMBOLS = {
    operator.add: "+",
    operator.sub: "-",
    operator.mul: "*",
    operator.truediv: "/",
    operator.pow: "**",
}


DEEPEST, LARGEST = 100, 1000
"""Operations that may follow on each other, as each is a call within another where formulas are
written; and all of a formula, as often as it is written with them. A loop in somebody's update may
have any number, and doubles the formula where it uses a number twice."""


class Scalar:
    """A number computed by Python's operators from named numbers.

    Unlike an array it has no dtype: like a Python float it takes that of the arrays it meets.

    Parameters
    ----------
    text
        The formula, for people; of a named number, its name.
    example
        Its value at the time of tracing.
    function, arguments
        Which function of numbers and other Scalars it is; None for a named number.

    Raises
    ------
    TraceError
        If more than `DEEPEST` operations follow on each other, or it has more than `LARGEST`.
    """

    def __init__(
        self,
        text: str,
        example: Number,
        function: Callable[..., Number] | None = None,
        arguments: Sequence[Any] = (),
    ) -> None:
        self.text = text
        self.example = example
        self.function = function
        self.arguments: tuple[Any, ...] = tuple(arguments)
        parts = [part for part in self.arguments if isinstance(part, Scalar)]
        self.depth: int = 1 + max((part.depth for part in parts), default=-1)
        self.size: int = 1 + sum(part.size for part in parts)
        if self.depth > DEEPEST or self.size > LARGEST:
            raise TraceError(
                f"it makes a number by more than {DEEPEST} operations one after the other, or by "
                f"a formula of more than {LARGEST}"
            )

    @property
    def key(self) -> Hashable:
        """Equal for Scalars that are the same formula: texts may name different functions."""
        if self.function is None:
            return self.text
        parts = (
            part.key if isinstance(part, Scalar) else (type(part), repr(part))
            for part in self.arguments
        )
        return (self.function, *parts)

    @classmethod
    def named(cls, name: str, example: Number) -> Scalar:
        """Return the number that is called `name`."""
        return cls(name, example)

    def evaluate(self, values: Values) -> Number:
        """Compute it from the values of the named numbers."""
        value: Number = ScalarFormulas([self])(values)[0]
        return value

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
        return Scalar(f"-{self.text}", -self.example, operator.neg, (self,))

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


class ScalarFormulas:
    """Scalars as one Python function, which computes each part of their formulas once.

    Each step of training calls it, and without code that goes through formulas it takes a fifth
    of the time.

    Parameters
    ----------
    scalars
        What to compute.
    given
        Which parts of formulas are not computed, but among the numbers that it needs.

    Attributes
    ----------
    names : tuple of str and Scalar
        The numbers that it needs: named ones by their names.
    count : int
        How many it computes.
    compute : callable
        Computes all of them, from the numbers in the order of `names`.
    """

    def __init__(
        self, scalars: Iterable[Scalar], *, given: Callable[[Scalar], bool] | None = None
    ) -> None:
        self._given = given
        self._names: dict[str | Scalar, str] = {}
        self._symbols: dict[int, str] = {}
        self._kept: dict[str, Any] = {}
        self._lines: list[str] = []
        results = [self._symbol(scalar) for scalar in scalars]
        self.names: tuple[str | Scalar, ...] = tuple(self._names)
        self.count: int = len(results)
        lines = [f"def compute({', '.join(self._names.values())}):", *self._lines]
        lines.append(f" return [{', '.join(results)}]")
        # Of names that were made here: none that was given enters the code.
        exec("\n".join(lines), self._kept)
        self.compute: Callable[..., list[Any]] = self._kept["compute"]

    def __call__(self, values: Mapping[Any, Number]) -> list[Any]:
        """Compute all of them from the numbers that it needs, by their names."""
        return self.compute(*[values[name] for name in self.names])

    def _symbol(self, part: Any) -> str:
        """Return what the function calls a Scalar or a number, once it has computed it."""
        if id(part) not in self._symbols:
            self._symbols[id(part)] = self._new_symbol(part)
        return self._symbols[id(part)]

    def _new_symbol(self, part: Any) -> str:
        if not isinstance(part, Scalar):
            return self._keep(part)
        if self._given is not None and self._given(part):
            return self._names.setdefault(part, f"n{len(self._names)}")
        if part.function is None:
            return self._names.setdefault(part.text, f"n{len(self._names)}")
        function = self._keep(part.function)
        arguments = ", ".join(map(self._symbol, part.arguments))
        result = f"x{len(self._lines)}"
        self._lines.append(f" {result} = {function}({arguments})")
        return result

    def _keep(self, thing: Any) -> str:
        name = f"k{len(self._kept)}"
        self._kept[name] = thing
        return name


def of_scalars(function: Callable[..., float]) -> Callable[..., float]:
    """Let a function of numbers take Scalars too, whatever Python code it has: loops, branches.

    With a Scalar among its arguments, it gives one that is computed when the values are known.
    """
    compute = partial(_call, function)

    @wraps(function)
    def call(*arguments: Any) -> Any:
        if not any(isinstance(argument, Scalar) for argument in arguments):
            return function(*arguments)
        return Scalar(
            f"{function.__qualname__}({', '.join(map(str, arguments))})",
            function(*map(_example, arguments)),
            compute,
            (tuple(isinstance(_example(argument), int) for argument in arguments), *arguments),
        )

    return call


def _call(function: Callable[..., float], are_whole: Sequence[bool], *arguments: Any) -> Any:
    """Call a function of numbers, or once for each number where there are arrays of them.

    It is given Python's numbers, and integers where it was when it was traced.
    """
    if not any(isinstance(argument, np.ndarray) for argument in arguments):
        return function(*arguments)
    columns = [
        (each.astype(np.int64) if is_whole else each).tolist()
        if isinstance(each, np.ndarray)
        else repeat(each)
        for each, is_whole in zip(arguments, are_whole, strict=True)
    ]
    return np.array([function(*row) for row in zip(*columns, strict=False)], np.float64)


def _combine(symbol: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    if not all(isinstance(part, Scalar | int | float) for part in (left, right)):
        return NotImplemented
    return Scalar(
        f"({left} {_SYMBOLS[symbol]} {right})",
        symbol(_example(left), _example(right)),
        power if symbol is operator.pow else symbol,
        (left, right),
    )


def is_power_of_fraction(scalar: Scalar) -> bool:
    """Whether it is a number between 0 and 1 to the power of a named number."""
    if scalar.function is not power:
        return False
    base, exponent = scalar.arguments
    is_fraction = isinstance(base, float) and 0.0 < base < 1.0
    return is_fraction and isinstance(exponent, Scalar) and exponent.function is None


def power(base: Any, exponent: Any) -> Any:
    """Return ``base ** exponent``; of an array by exp2, within 2^-53 of what it should be.

    NumPy's power takes two and a half times as long, and fifty times where it underflows.
    """
    if isinstance(exponent, np.ndarray) and isinstance(base, float) and 0.0 < base < 1.0:
        return np.exp2(exponent * math.log2(base))
    return base**exponent


def _example(part: Any) -> Any:
    return part.example if isinstance(part, Scalar) else part
