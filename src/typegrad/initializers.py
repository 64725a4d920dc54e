"""Initializers: how a parameter gets its first value.

Each is called as ``initializer(shape, generator)`` and returns a float64 array of that
shape. For a weight of shape (fan_in, ..., fan_out), with any axes between counted as
part of both, the variances are those of Glorot and Bengio (2010), He et al. (2015) and
LeCun et al. (1998); orthogonal matrices are those of Saxe et al. (2014).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from typegrad.errors import ShapeError
from typegrad.types import Array, Shape

__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "LeCunNormal",
    "LeCunUniform",
    "Normal",
    "OrthogonalNormal",
    "OrthogonalUniform",
    "Uniform",
    "Zeros",
]


@dataclass(frozen=True)
class Zeros:
    """All zeros."""

    def __call__(self, shape: Shape, generator: np.random.Generator) -> Array:
        return np.zeros(shape)


@dataclass(frozen=True)
class Constant:
    """All equal to `value`."""

    value: float

    def __call__(self, shape: Shape, generator: np.random.Generator) -> Array:
        return np.full(shape, self.value)


@dataclass(frozen=True)
class Normal:
    """Normal distribution of mean zero and the given standard deviation."""

    standard_deviation: float = 1.0

    def __call__(self, shape: Shape, generator: np.random.Generator) -> Array:
        return self.standard_deviation * generator.standard_normal(shape)


@dataclass(frozen=True)
class Uniform:
    """Uniform distribution on [-limit, limit)."""

    limit: float = 1.0

    def __call__(self, shape: Shape, generator: np.random.Generator) -> Array:
        return generator.uniform(-self.limit, self.limit, shape)


def fans(shape: Shape) -> tuple[int, int]:
    """Number of inputs and of outputs that a weight of this shape connects.

    Raises
    ------
    ShapeError
        If the shape has less than two axes, so that it connects nothing.
    """
    if len(shape) < 2:
        raise ShapeError(
            f"a parameter of shape {shape} has no fan-in and fan-out; "
            "initialize it with Zeros, Constant, Normal or Uniform"
        )
    between = math.prod(shape[1:-1])
    return shape[0] * between, between * shape[-1]


def glorot_variance(shape: Shape) -> float:
    """2 / (fan_in + fan_out)."""
    return 2.0 / sum(fans(shape))


def he_variance(shape: Shape) -> float:
    """2 / fan_in."""
    return 2.0 / fans(shape)[0]


def lecun_variance(shape: Shape) -> float:
    """1 / fan_in."""
    return 1.0 / fans(shape)[0]


def normal(variance: float, shape: Shape, generator: np.random.Generator) -> Array:
    """Draw from a normal distribution of that variance."""
    return math.sqrt(variance) * generator.standard_normal(shape)


def uniform(variance: float, shape: Shape, generator: np.random.Generator) -> Array:
    """Draw from a uniform distribution around zero of that variance."""
    limit = math.sqrt(3.0 * variance)
    return generator.uniform(-limit, limit, shape)


@dataclass(frozen=True)
class GlorotNormal:
    """Normal of variance 2 / (fan_in + fan_out): for tanh and sigmoid."""

    def __call__(self, shape: Shape, generator: np.random.Generator) -> Array:
        return normal(glorot_variance(shape), shape, generator)


@dataclass(frozen=True)
class GlorotUniform:
    """Uniform of variance 2 / (fan_in + fan_out): for tanh and sigmoid."""

    def __call__(self, shape: Shape, generator: np.random.Generator) -> Array:
        return uniform(glorot_variance(shape), shape, generator)


@dataclass(frozen=True)
class HeNormal:
    """Normal of variance 2 / fan_in: for ReLU and its kin."""

    def __call__(self, shape: Shape, generator: np.random.Generator) -> Array:
        return normal(he_variance(shape), shape, generator)


@dataclass(frozen=True)
class HeUniform:
    """Uniform of variance 2 / fan_in: for ReLU and its kin."""

    def __call__(self, shape: Shape, generator: np.random.Generator) -> Array:
        return uniform(he_variance(shape), shape, generator)


@dataclass(frozen=True)
class LeCunNormal:
    """Normal of variance 1 / fan_in: for SELU."""

    def __call__(self, shape: Shape, generator: np.random.Generator) -> Array:
        return normal(lecun_variance(shape), shape, generator)


@dataclass(frozen=True)
class LeCunUniform:
    """Uniform of variance 1 / fan_in: for SELU."""

    def __call__(self, shape: Shape, generator: np.random.Generator) -> Array:
        return uniform(lecun_variance(shape), shape, generator)


def orthogonalize(draw: Array, gain: float) -> Array:
    """Orthonormal rows or columns of the draw's QR decomposition, times `gain`.

    All axes but the last are taken together as rows.
    """
    rows = draw.reshape(-1, draw.shape[-1])
    tall = rows if rows.shape[0] >= rows.shape[1] else rows.T
    q, r = np.linalg.qr(tall)
    # Fixing the signs makes the distribution uniform (Haar) for normal draws.
    q = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)
    result = q if tall is rows else q.T
    return gain * result.reshape(draw.shape)


@dataclass(frozen=True)
class OrthogonalNormal:
    """Orthonormal rows or columns from the QR decomposition of normal draws, times `gain`."""

    gain: float = 1.0

    def __call__(self, shape: Shape, generator: np.random.Generator) -> Array:
        fans(shape)
        return orthogonalize(generator.standard_normal(shape), self.gain)


@dataclass(frozen=True)
class OrthogonalUniform:
    """Orthonormal rows or columns from the QR decomposition of uniform draws, times `gain`."""

    gain: float = 1.0

    def __call__(self, shape: Shape, generator: np.random.Generator) -> Array:
        fans(shape)
        return orthogonalize(generator.uniform(-1.0, 1.0, shape), self.gain)
