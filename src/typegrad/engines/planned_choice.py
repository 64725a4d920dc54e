"""np.where without a branch on each element."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from typegrad.engines.planned_plan import Step
from typegrad.types import AnyArray

BITS: Mapping[Any, Any] = {np.dtype(np.float32): np.int32, np.dtype(np.float64): np.int64}
"""Integers of the same size as floating-point numbers."""


def choose_by_bits(
    arrays: Sequence[AnyArray], out: AnyArray, mask: AnyArray, difference: AnyArray
) -> list[Step]:
    """Return steps for ``other ^ ((chosen ^ other) & mask)``.

    `arrays` are condition, chosen and other; `mask` and `difference` are memory for integers.
    """
    condition, chosen, other = arrays
    chosen, other = chosen.view(mask.dtype), other.view(mask.dtype)
    target = out.view(mask.dtype)
    steps: list[Step] = [
        partial(np.copyto, mask, condition),
        partial(np.negative, mask, mask),  # 1 becomes all ones
    ]
    if other.ndim == 0 and not other:
        return [*steps, partial(np.bitwise_and, chosen, mask, target)]
    return [
        *steps,
        partial(np.bitwise_xor, chosen, other, difference),
        partial(np.bitwise_and, difference, mask, difference),
        partial(np.bitwise_xor, difference, other, target),
    ]
