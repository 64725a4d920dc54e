"""Names for the arrays that pass typegrad's boundary.

Formulas inside the package use `Array`; `Vector` and `Matrix` are for signatures
where the number of dimensions matters. A checker rejects an array that is known to
have another number of dimensions and accepts one whose number is not known.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, np.dtype[np.floating[Any]]]
"""Floating-point array of any shape."""

Vector: TypeAlias = np.ndarray[tuple[int], np.dtype[np.floating[Any]]]
"""Floating-point array of shape (n,)."""

Matrix: TypeAlias = np.ndarray[tuple[int, int], np.dtype[np.floating[Any]]]
"""Floating-point array of shape (n, m)."""

IntArray: TypeAlias = np.ndarray[Any, np.dtype[np.integer[Any]]]
"""Integer array of any shape."""

AnyArray: TypeAlias = np.ndarray[Any, np.dtype[Any]]
"""Array of any shape and dtype."""

Shape: TypeAlias = tuple[int, ...]
"""Lengths of an array's axes."""

FloatDType: TypeAlias = np.dtype[np.floating[Any]]
"""float32 or float64."""
