"""The table that `NeuralNetwork.summary` returns."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np

from typegrad.layers import Chain, Layer, named_parts
from typegrad.losses.base import Loss
from typegrad.operations.parameter import Parameter
from typegrad.types import Array, FloatDType


def summarize(chain: Chain, loss: Loss, dtype: FloatDType) -> str:
    """Lay out one line a layer, and totals."""
    shapes = output_shapes(chain, dtype)
    rows = [
        (
            f"{index}  {layer}",
            shape,
            f"{parameter_count(layer):,}",
            f"{layer.multiply_adds():,}",
        )
        for index, (layer, shape) in enumerate(zip(chain.layers, shapes, strict=True))
    ]
    header = ("Layer", "Output shape", "Parameters", "Multiply-adds")
    count = parameter_count(chain)
    total = ("Total", "", f"{count:,}", f"{chain.multiply_adds():,}")
    widths = [max(len(row[column]) for row in (header, total, *rows)) for column in range(4)]
    lines = [_line(row, widths) for row in (header, *rows, total)]
    rule = "-" * (sum(widths) + 6)
    size = count * dtype.itemsize / 1000
    return "\n".join(
        [lines[0], rule, *lines[1:-1], rule, lines[-1], f"{loss}, {dtype}, {size:,.1f} kB"]
    )


def _line(row: tuple[str, str, str, str], widths: list[int]) -> str:
    left = [text.ljust(width) for text, width in zip(row[:2], widths[:2], strict=True)]
    right = [text.rjust(width) for text, width in zip(row[2:], widths[2:], strict=True)]
    return "  ".join(left + right).rstrip()


def parameter_count(layer: Layer) -> int:
    """Count the trained numbers of a layer."""
    return sum(parameter.size for _, parameter in named_parts(layer, Parameter))


def output_shapes(chain: Chain, dtype: FloatDType) -> list[str]:
    """Shape of each layer's output, such as ``(batch, 32)``; ``?`` where it is not known.

    Found by passing one row of zeros through, where the input's width is known.
    """
    if chain.in_features is None:
        return ["?"] * len(chain.layers)
    x: Array = np.zeros((1, chain.in_features), dtype)
    shapes = []
    # A copy, whose layers can keep what they like: the network's own may be between forward
    # and backward. The parameters, which are large and only read, are not copied.
    shared: dict[int, Any] = {id(each): each for _, each in named_parts(chain, Parameter)}
    # Only the shapes matter: a layer may divide by zero here.
    with np.errstate(all="ignore"):
        for layer in deepcopy(chain, shared).layers:
            x = layer.forward(x)
            shapes.append("(" + ", ".join(["batch", *(str(n) for n in x.shape[1:])]) + ")")
    return shapes
