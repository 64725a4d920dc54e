"""Values of arguments, checked."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import Any


def _number(text: str, convert: Callable[[str], float], allowed: Callable[[float], bool],
            expected: str) -> Any:  # fmt: skip
    try:
        value = convert(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or not allowed(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not {expected}")
    return value


def count(text: str) -> int:
    """A whole number of 1 or more."""
    count: int = _number(text, int, lambda value: value >= 1, "a whole number of 1 or more")
    return count


def count_or_auto(text: str) -> int | str:
    """A whole number of 1 or more, or the word auto."""
    if text == "auto":
        return text
    expected = "a whole number of 1 or more, or auto"
    count: int = _number(text, int, lambda value: value >= 1, expected)
    return count


def whole(text: str) -> int:
    """A whole number, not negative."""
    whole: int = _number(text, int, lambda value: value >= 0, "a whole number, not negative")
    return whole


def positive(text: str) -> float:
    """A positive number."""
    value: float = _number(text, float, lambda value: value > 0, "a positive number")
    return value


def not_negative(text: str) -> float:
    """A number, not negative."""
    value: float = _number(text, float, lambda value: value >= 0, "a number, not negative")
    return value


def share(text: str) -> float:
    """A share, from 0 to below 1."""
    value: float = _number(text, float, lambda value: 0 <= value < 1, "a share, from 0 to below 1")
    return value


def widths(text: str) -> tuple[int, ...]:
    """Whole numbers of 1 or more, with commas between them."""
    return tuple(count(part) for part in text.split(","))


def quantiles(text: str) -> tuple[float, ...]:
    """Positive numbers, with commas between them."""
    return tuple(positive(part) for part in text.split(","))


def any_number(text: str) -> float:
    """A number."""
    value: float = _number(text, float, math.isfinite, "a number")
    return value
