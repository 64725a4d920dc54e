"""Plans: lists of bound calls, and the calls that are more than a NumPy function."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from typegrad.engines.planned_step import Uniform
from typegrad.errors import ShapeError
from typegrad.layers.mode import UniformNumbers
from typegrad.tracing.primitives import Opaque
from typegrad.tracing.scalar import Scalar, ScalarFormulas, Values
from typegrad.types import AnyArray

Step: TypeAlias = Callable[[], object]
"""A call with all its arguments bound."""


@dataclass
class Plan:
    """A graph, bound to memory.

    Attributes
    ----------
    steps
        Called one after the other, they compute outputs and updates.
    inputs, outputs
        Where inputs must be put, and outputs are found, by name.
    scalars
        Numbers that must be set before the steps are called.
    """

    steps: list[Step]
    inputs: dict[str, AnyArray]
    outputs: dict[str, AnyArray]
    scalars: ScalarSlots

    def run(self) -> None:
        """Call all steps."""
        for step in self.steps:
            step()


class ScalarSlots:
    """Arrays without axes that hold what is computed from named numbers."""

    def __init__(self) -> None:
        self._arrays: dict[tuple[Hashable, str], AnyArray] = {}
        self._scalars: list[Scalar] = []
        self._formulas: ScalarFormulas | None = None

    def array(self, scalar: Scalar, dtype: np.dtype[Any]) -> AnyArray:
        """Return the array that holds a scalar in a dtype."""
        key = (scalar.key, str(dtype))
        if key not in self._arrays:
            self._arrays[key] = np.zeros((), dtype)
            self._scalars.append(scalar)
            self._formulas = None
        return self._arrays[key]

    def set(self, values: Values) -> None:
        """Compute all of them."""
        if self._formulas is None:
            self._formulas = ScalarFormulas(self._scalars)
        for array, value in zip(self._arrays.values(), self._formulas(values), strict=True):
            array[()] = value


class MaskStep:
    """Draws the uniform numbers of a random mask."""

    def __init__(self, function: Uniform, out: AnyArray) -> None:
        self.function = function
        self.numbers: UniformNumbers = UniformNumbers(out)

    def __call__(self) -> None:
        self.numbers.draw(self.function.mode)


class OpaqueStep:
    """Runs something as it is written, and copies what it returns to where it belongs."""

    def __init__(self, function: Opaque, arguments: list[AnyArray], targets: list[AnyArray]):
        self.function = function
        self.arguments = arguments
        self.targets = targets

    def __call__(self) -> None:
        result = self.function(*self.arguments)
        parts = result if isinstance(result, tuple) else (result,)
        for target, part in zip(self.targets, parts, strict=True):
            _copy_result(target, part, self.function.name)


class CopiedResult:
    """Calls a function and copies its result."""

    def __init__(self, compute: partial[Any], target: AnyArray) -> None:
        self.compute = compute
        self.target = target

    def __call__(self) -> None:
        _copy_result(self.target, self.compute(), str(self.compute.func))


def _copy_result(target: AnyArray, result: Any, name: str) -> None:
    if np.shape(result) != target.shape:
        raise ShapeError(
            f"{name} returned shape {np.shape(result)}, but {target.shape} for a batch of the "
            'same size before; use engine="eager" for results whose shape depends on values'
        )
    np.copyto(target, result)
