"""Plain tables, and the numbers that stand in them."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: the first column to the left, the others to the right."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        return "  ".join([first[0].ljust(first[1]), *(text.rjust(width) for text, width in others)])

    print(title)
    print(line(header))
    print("  ".join("-" * width for width in widths))
    for row in rows:
        print(line(row))
    print()


def half_spread(values: Sequence[float]) -> float:
    """Half the distance between the quartiles, relative to the median; 0 for a single value."""
    if len(values) < 2:
        return 0.0
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / 2 / middle


def median_with_spread(values: Sequence[float], decimals: int = 0) -> str:
    """Median ± half the distance between the quartiles in percent, such as ``"155 ±1%"``."""
    return f"{statistics.median(values):.{decimals}f} ±{100 * half_spread(values):.0f}%"


def median_ratio(values: Sequence[float], references: Sequence[float]) -> float:
    """Median of the ratios of two contestants' times, taken in the same rounds.

    What slows the machine down for a while slows both, and leaves such a ratio as it is.
    """
    pairs = zip(values, references, strict=True)
    return statistics.median(value / reference for value, reference in pairs)


def write_json(path: Path, content: object) -> None:
    """Write results for other programs."""
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
