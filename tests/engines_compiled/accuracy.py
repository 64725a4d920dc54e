"""How exact native functions are, and the numbers to try them on."""

from __future__ import annotations

from typing import Any

import numpy as np

from typegrad.types import AnyArray, Array

ULPS = {
    "exp": 1.5, "expm1": 2.0, "log": 1.5, "log1p": 2.0, "log2": 2.2, "log10": 2.2, "tanh": 3.0,
    "sin": 2.0, "cos": 2.0,
}  # fmt: skip
"""Largest errors that are allowed, in units in the last place.

Those of log2 and log10 are half as large, but where there are no fused multiply-adds.
"""

ULPS_OF_SHORT_FORMULAS = {("tanh", "float32"): 6.0}
"""The same where a formula of fewer terms was chosen, for its speed."""


def allowed_ulps(name: str, dtype: str) -> float:
    """Return the largest error that is allowed."""
    return ULPS_OF_SHORT_FORMULAS.get((name, dtype), ULPS[name])


def special_values(dtype: str) -> Array:
    """What functions may do wrong: infinities, denormal and huge numbers, signed zeros."""
    limits = np.finfo(dtype)
    positive = [
        0.0, 1.0, 0.5, 2.0, 3.7, 20.0, 88.7, 104.0, 709.0, 746.0, 1e5, float(limits.max),
        float(limits.tiny), float(limits.smallest_subnormal), float(limits.tiny) / 3,
        float(limits.eps), float(limits.eps) / 4, float(np.inf), 1e-3, 0.3465, 0.3466,
    ]  # fmt: skip
    values = np.array([*positive, *[-x for x in positive], np.nan])
    with np.errstate(over="ignore"):
        cast: Array = values.astype(dtype)
    return cast


def samples(dtype: str) -> Array:
    """Numbers of all sizes, dense where functions change."""
    generator = np.random.default_rng(0)
    limits = np.finfo(dtype)
    exponents = generator.uniform(limits.minexp, limits.maxexp, 60_000)
    spread = np.exp2(exponents) * generator.choice([-1.0, 1.0], 60_000)
    near = [generator.uniform(-width, width, 60_000) for width in (1e-3, 0.7, 3.0, 20.0, 90.0)]
    with np.errstate(over="ignore"):
        cast: Array = np.concatenate([spread, *near]).astype(dtype)
    return cast


def ulps(found: Array, exact: Any) -> Array:
    """Errors in units in the last place of a result; `exact` is more precise."""
    with np.errstate(all="ignore"):
        rounded = exact.astype(found.dtype)
        unit = np.spacing(np.abs(rounded)).astype(exact.dtype)
        errors: Array = np.abs(found.astype(exact.dtype) - exact) / unit
        same = (found == rounded) | (np.isnan(found) & np.isnan(rounded))
    errors[same] = 0.0
    # At the edge of the range, infinity for the largest number is one unit off.
    limits = np.finfo(found.dtype)
    errors[np.isinf(found) & (np.abs(exact) >= limits.max)] = 0.0
    return errors


def ulps_of_largest(found: AnyArray, expected: AnyArray, dtype: np.dtype[Any]) -> float:
    """Largest difference of two arrays, in units in the last place of their largest number."""
    assert found.shape == expected.shape
    unit = np.spacing(dtype.type(np.max(np.abs(expected), initial=0.0)))
    return float(np.max(np.abs(found - expected), initial=0.0) / unit)
