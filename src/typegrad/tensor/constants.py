"""What a recording keeps of values that are no tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from typegrad.errors import DTypeError
from typegrad.types import AnyArray

SCALARS: frozenset[type] = frozenset(
    {float, int, bool, np.bool_, np.float16, np.float32, np.float64}
    | {np.dtype(code).type for code in np.typecodes["AllInteger"]}
)
"""Types of real numbers, which nothing can change."""

REAL_KINDS = "fiub"
"""Kinds of dtypes that hold real numbers: floating-point, integer, unsigned, boolean."""


def as_constant(value: Any) -> Any:
    """Turn an operand that is neither tensor, array nor number into an array.

    Raises
    ------
    TypeError
        If it does not consist of real numbers.
    """
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(
            "a masked array cannot be combined with a Tensor, which has no mask; "
            "use .filled(value) or np.where"
        )
    array = np.array(value)
    if array.dtype.kind not in REAL_KINDS:
        raise TypeError(
            f"a {type(value).__name__} cannot be combined with a Tensor; "
            "expected a number or an array of real numbers"
        )
    return array


def as_tensor_data(data: Any) -> Any:
    """Copy `data` into an array of a tensor's own; a number where it has no axes.

    Raises
    ------
    DTypeError
        If it does not consist of real numbers, or of ones that tensors do not hold.
    """
    array = np.array(data)
    if array.dtype.kind not in "iub" and array.dtype not in (np.float32, np.float64):
        raise DTypeError(
            f"Tensor: the data has dtype {array.dtype}; expected float32, float64, "
            "integers or booleans"
        )
    return array[()] if array.ndim == 0 else array


def unchangeable(array: AnyArray) -> AnyArray:
    """Return `array` if nobody can write to its memory, else a copy.

    What is recorded is read again by backward, so a change in between would give a wrong
    gradient. An array that owns its memory and is read-only is safe; so is a read-only
    view into such an array, or into memory that is not NumPy's.
    """
    if array.flags.writeable:
        return array.copy()
    base = array.base
    if isinstance(base, np.ndarray) and base.flags.writeable:
        return array.copy()
    return array
