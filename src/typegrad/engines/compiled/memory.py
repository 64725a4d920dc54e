"""Constant arrays that programs name by address."""

from __future__ import annotations

from typing import Any

import numpy as np

from typegrad.aligned import aligned_zeros
from typegrad.engines.compiled.layout import padded
from typegrad.engines.compiled.program import ABSOLUTE, Operand
from typegrad.types import AnyArray, Array


class Constants:
    """Keeps constant arrays alive, each in whole vectors."""

    def __init__(self, dtype: np.dtype[Any], lanes: int) -> None:
        self._dtype = dtype
        self._lanes = lanes
        self._kept: list[Any] = []
        self._numbers: dict[str, Operand] = {}
        self._copies: list[tuple[Array, Array]] = []
        self._watched: list[tuple[AnyArray, bytes]] = []

    def number(self, value: float) -> Operand:
        """Return a vector of one number."""
        # By its text: 0.0 and -0.0 are equal, and NaN is not even itself.
        if repr(value) not in self._numbers:
            self._numbers[repr(value)] = self.row(value, self._lanes)
        return self._numbers[repr(value)]

    def row(self, value: float, count: int) -> Operand:
        """Return a row of one number."""
        row = aligned_zeros(padded(count, self._lanes), self._dtype)
        row[...] = value
        return self._keep(row)

    def copy_of(self, values: Array) -> Operand:
        """Return a copy of a row that `refresh` brings up to date."""
        row = aligned_zeros(padded(values.size, self._lanes), self._dtype)
        self._copies.append((row[: values.size], values))
        self.refresh()
        return self._keep(row)

    def refresh(self) -> None:
        """Copy what was copied once more: it may have changed."""
        for copy, values in self._copies:
            copy[...] = values.reshape(-1)

    def watch(self, values: AnyArray) -> None:
        """Note numbers that are part of the programs."""
        self._watched.append((values, values.tobytes()))

    def are_as_noted(self) -> bool:
        """Whether all that was noted is as it was."""
        # Most often there is nothing to look at, and each epoch asks.
        watched = self._watched
        return not watched or all(values.tobytes() == content for values, content in watched)

    def room(self, rows: int, width: int) -> tuple[Operand, Array]:
        """Return padded rows of zeros, and a view of them that is written to."""
        stride = padded(width, self._lanes)
        memory = aligned_zeros(rows * stride, self._dtype)
        view: Array = memory.reshape(rows, stride)[:, :width]
        return self._keep(memory, stride), view

    def matrix(self, rows: int, stride: int) -> Operand:
        """Return zeros, for what is computed anew for each step."""
        return self._keep(aligned_zeros(rows * stride, self._dtype), stride)

    def _keep(self, array: Any, stride: int = 0) -> Operand:
        self._kept.append(array)
        return Operand(ABSOLUTE, array.ctypes.data, stride)
