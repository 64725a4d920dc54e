"""Numbers with units, for people."""

from __future__ import annotations

from typegrad.benchmark.recommendation import number

_TIMES = ((60.0, 1.0 / 60.0, "min"), (1.0, 1.0, "s"), (1e-3, 1e3, "ms"), (0.0, 1e6, "µs"))
_COUNTS = ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k"))
"""From which number on, how many and which letter."""


def duration(seconds: float) -> str:
    """Write a time with a unit that suits it.

    >>> duration(0.00755), duration(42.0), duration(150.0)
    ('7.55 ms', '42 s', '2.5 min')
    """
    _, factor, unit = next(each for each in _TIMES if seconds >= each[0])
    return f"{number(seconds * factor)} {unit}"


def duration_interval(low: float, high: float) -> str:
    """Write an interval of times, with the unit once where both have the same.

    >>> duration_interval(0.007, 0.0081), duration_interval(0.9, 1.2)
    ('7 to 8.1 ms', '900 ms to 1.2 s')
    """
    first, last = duration(low), duration(high)
    same = first.split()[1] == last.split()[1]
    return f"{first.split()[0] if same else first} to {last}"


def short_count(value: float) -> str:
    """Write a count with few characters.

    >>> short_count(1_470_000), short_count(58_400), short_count(3820)
    ('1.47 M', '58.4 k', '3,820')
    """
    for least, unit, letter in _COUNTS:
        if value >= least:
            return f"{value / unit:.3g} {letter}"
    return number(value)
