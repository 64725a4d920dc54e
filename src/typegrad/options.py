"""Options with checked values; those of optimizers and schedules with a JSON description."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, ClassVar, NoReturn, Self, TypeVar

import numpy as np

from typegrad.errors import DTypeError
from typegrad.types import FloatDType

__all__ = ["Configured", "Interval", "check_choice", "check_count", "check_float_dtype"]


_T = TypeVar("_T")


def check_count(name: str, value: object, at_least: int = 1) -> int:
    """Require a whole number of so much or more; return it as a Python int."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < at_least:
        raise ValueError(f"{name} is {value!r}; expected a whole number of {at_least} or more")
    return int(value)


def check_choice(name: str, value: object, choices: tuple[_T, ...]) -> _T:
    """Require one of some values; return it."""
    for choice in choices:
        if value == choice:
            return choice
    raise ValueError(f"{name} is {value!r}; expected one of {', '.join(map(repr, choices))}")


def check_float_dtype(owner: str, dtype: Any) -> FloatDType:
    """Require float32 or float64, however it is given; return NumPy's dtype object.

    Raises
    ------
    DTypeError
        If it is another, none at all, or None, which NumPy takes for float64.
    """
    try:
        wanted: Any = None if dtype is None else np.dtype(dtype)
    except TypeError:
        wanted = None
    if wanted not in (np.float32, np.float64):
        given = repr(dtype) if wanted is None else wanted
        raise DTypeError(f"{owner}: dtype is {given}; expected float32 or float64")
    checked: FloatDType = wanted
    return checked


@dataclass(frozen=True)
class Interval:
    """Numbers that an option may have; infinity is never among them.

    >>> print(Interval(0.0, 1.0, low_included=True)), 1.0 in Interval(0.0, 1.0)
    [0, 1)
    (None, False)
    """

    low: float
    high: float = math.inf
    low_included: bool = False
    high_included: bool = False

    def __contains__(self, value: object) -> bool:
        if not isinstance(value, (int, float)):
            return False
        above = value >= self.low if self.low_included else value > self.low
        below = value <= self.high if self.high_included else value < self.high
        return above and below

    def __str__(self) -> str:
        left, right = "(["[self.low_included], ")]"[self.high_included]
        return f"{left}{self.low:g}, {self.high:g}{right}"


POSITIVE = Interval(0.0)
NON_NEGATIVE = Interval(0.0, low_included=True)
FRACTION = Interval(0.0, 1.0, low_included=True)
"""[0, 1): decay rates of running means, and shares of a training run."""

FACTOR = Interval(0.0, 1.0, high_included=True)
"""(0, 1]: what a learning rate is multiplied by."""

COUNT = Interval(1.0, low_included=True)
ANY_NUMBER = Interval(-math.inf, low_included=True, high_included=True)


@dataclass(frozen=True, eq=False)
class Configured:
    """A frozen dataclass whose constructor arguments are options that JSON can describe.

    Options are numbers, booleans, strings, tuples of them, or again `Configured`. NumPy
    scalars become Python's: those are "weak" in NumPy's promotion, so that a formula on
    float32 arrays stays in float32 whatever the option was read from.
    """

    kind: ClassVar[str] = "object"
    """What error messages call it."""

    def __post_init__(self) -> None:
        for name, value in self._options():
            object.__setattr__(self, name, _plain(value))
        self.check_options()

    def check_options(self) -> None:
        """Hook: raise ValueError for options that make no sense; the default accepts all."""

    def check_number(self, name: str, interval: Interval, *, whole: bool = False) -> None:
        """Raise ValueError unless the option ``name`` is a number (a whole one) in an interval."""
        self.check_value(name, getattr(self, name), interval, whole=whole)

    def check_value(
        self, name: str, value: object, interval: Interval, *, whole: bool = False
    ) -> None:
        """Raise ValueError unless ``value``, called ``name``, is a number in an interval."""
        noun = "whole number" if whole else "number"
        right_type = not isinstance(value, bool) and (isinstance(value, int) or not whole)
        if not right_type or value not in interval:
            self.refuse(name, value, f"a {noun} in {interval}")

    def check_flag(self, name: str) -> None:
        """Raise ValueError unless an option is True or False."""
        if not isinstance(getattr(self, name), bool):
            self.refuse(name, getattr(self, name), "True or False")

    def check_names(self, what: str, given: Iterable[str], expected: Iterable[str]) -> None:
        """Raise ValueError unless two sets of names are equal."""
        if sorted(given) != sorted(expected):
            raise ValueError(
                f"{type(self).__name__}: {what} has the entries {sorted(given)}, "
                f"but must have {sorted(expected)}"
            )

    def refuse(self, name: str, value: object, expected: str) -> NoReturn:
        """Raise the ValueError that says which option has which value, and what it may be."""
        raise ValueError(f"{type(self).__name__}: {name} is {value!r}, but must be {expected}")

    def config(self) -> dict[str, Any]:
        """Describe class and options in JSON's types, for `from_config`.

        The class goes by its name alone, so that a description survives a move of the
        class to another module.
        """
        described = {name: _json_value(value) for name, value in self._options()}
        return {"class": type(self).__name__, **described}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Make the object that `config` described.

        Parameters
        ----------
        config
            ``{"class": name, option: value, ...}``; options left out have their defaults. The
            name is looked for among the concrete subclasses of this class that have been
            imported; so classes of a user's own are found too.

        Raises
        ------
        ValueError
            If there is no class or no option of that name, an option is missing, or a value
            is not allowed.
        """
        options = {name: _from_json(value) for name, value in config.items()}
        found = cls._find_class(options.pop("class", None))
        known = {option.name: option for option in fields(found) if option.init}
        for name in options:
            if name not in known:
                raise ValueError(
                    f"{found.__name__} has no option {name!r}; its options are {', '.join(known)}"
                )
        for name, option in known.items():
            if name not in options and option.default is option.default_factory is MISSING:
                raise ValueError(f"{found.__name__}: option {name!r} is missing")
        return found(**options)

    @classmethod
    def _find_class(cls, name: object) -> type[Self]:
        classes = [each for each in _subclasses(cls) if not inspect.isabstract(each)]
        found = {each.__module__: each for each in classes if each.__name__ == name}
        if not found:
            names = ", ".join(sorted({each.__name__ for each in classes}))
            raise ValueError(
                f"there is no {cls.kind} {name!r}; there are {names} "
                f"(a class of your own must be imported first)"
            )
        if len(found) > 1:
            places = " and ".join(sorted(found))
            raise ValueError(f"{cls.kind} {name!r} is defined in {places}: rename one of them")
        # Of several in one module, the last: a notebook's cell that was run again.
        return next(iter(found.values()))

    def _options(self) -> Iterator[tuple[str, object]]:
        for option in fields(self):
            if option.init:
                yield option.name, getattr(self, option.name)


_C = TypeVar("_C", bound=Configured)


def _subclasses(base: type[_C]) -> Iterator[type[_C]]:
    for cls in base.__subclasses__():
        yield cls
        yield from _subclasses(cls)


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (tuple, list)):
        return tuple(_plain(part) for part in value)
    return value


def _json_value(value: object) -> object:
    if isinstance(value, Configured):
        return value.config()
    return [_json_value(part) for part in value] if isinstance(value, tuple) else value


def _from_json(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value
