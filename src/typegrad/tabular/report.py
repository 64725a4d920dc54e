"""The table of metrics that is printed after a training."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TypeAlias

Metrics: TypeAlias = Mapping[str, Mapping[str, Mapping[str, float]]]
"""``metrics[part][predictor][metric]``, such as ``metrics["test"]["network"]["rmse"]``."""

_TITLES = {"rmse": "RMSE", "mae": "MAE", "r2": "R2"}


def metrics_table(metrics: Metrics, rows: Mapping[str, int]) -> str:
    """Lay out metrics, a line for each predictor on each part of the table.

    Examples
    --------
    >>> metrics = {"test": {"network": {"rmse": 1.5, "mae": 1.25, "r2": 0.875}}}
    >>> print(metrics_table(metrics, {"test": 20}))
    part  rows  predictor  RMSE   MAE     R2
    test    20  network    1.50  1.25  0.875
    """
    all_values = [values for predictors in metrics.values() for values in predictors.values()]
    names = list(all_values[0])
    formats = {name: _format(name, [values[name] for values in all_values]) for name in names}
    lines = [("part", "rows", "predictor", *(_TITLES.get(name, name) for name in names))]
    for part, predictors in metrics.items():
        for position, (predictor, values) in enumerate(predictors.items()):
            heading = (part, f"{rows[part]:,}") if position == 0 else ("", "")
            numbers = (f"{values[name]:{formats[name]}}" for name in names)
            lines.append((*heading, predictor, *numbers))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(_aligned(line, widths) for line in lines)


def _format(name: str, values: Iterable[float]) -> str:
    """Format in which three digits of the smallest error show, and all errors line up."""
    if name == "r2":
        return "z.3f"  # z: no minus before a zero
    sizes = [value for value in values if value > 0]
    smallest, largest = min(sizes, default=1.0), max(sizes, default=1.0)
    if not 1e-3 <= smallest <= largest < 1e6:
        return ".3g"
    return f".{max(2 - math.floor(math.log10(smallest)), 0)}f"


def _aligned(line: tuple[str, ...], widths: list[int]) -> str:
    texts = {0, 2}
    cells = [
        cell.ljust(width) if column in texts else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(line, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()
