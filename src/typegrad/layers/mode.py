"""Mode: whether a forward pass is for training, and what its random masks are keyed by."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from typegrad.types import Array

_GOLDEN = 0x9E3779B97F4A7C15
_MASK = 0xFFFFFFFFFFFFFFFF


@dataclass(frozen=True)
class Mode:
    """How a layer runs: for inference or for training.

    Random masks come from a counter-based generator: each number is a hash of (seed,
    layer, step, row, column). They therefore do not depend on the order of computation, on
    threads, or on how a batch is cut into parts.

    Parameters
    ----------
    training
        Whether layers behave as in training: `Dropout` drops, `BatchNorm` uses the batch's
        own statistics.
    seed
        Seed of the random masks.
    step
        Number of the optimizer's step.
    first_row
        Place of this pass's first row in the batch of the step.
    path
        Places of the layer in the network and in the layers around it.
    """

    training: bool
    seed: int = 0
    step: int = 0
    first_row: int = 0
    path: tuple[int, ...] = ()

    def inside(self, index: int) -> Mode:
        """Mode for the layer at place `index` of a container."""
        return replace(self, path=(*self.path, index)) if self.training else self

    def uniform(self, rows: int, columns: int) -> Array:
        """Uniform numbers in [0, 1), float64 of shape (rows, columns).

        The hash is the finalizer of SplitMix64 (Steele, Lea and Flood, 2014), applied in
        turn to the key, to the row and to the column.
        """
        out = np.empty((rows, columns))
        UniformNumbers(out).draw(self)
        return out

    def key(self) -> int:
        """Hash of seed, step and path: 64 bits."""
        key = self.seed & _MASK
        for part in (self.step, *self.path):
            key = _mix_integer(key ^ _mix_integer(part))
        return key


INFERENCE = Mode(training=False)
"""The mode of prediction and evaluation."""


class UniformNumbers:
    """Draws a mode's uniform numbers into an array, again and again, without new memory.

    Parameters
    ----------
    out : ndarray of float64, shape (rows, columns)
        Where the numbers are put.
    """

    def __init__(self, out: Array) -> None:
        rows, columns = out.shape
        self._out = out
        self._spare = out.view(np.uint64)
        self._bits = np.empty_like(self._spare)
        self._rows = np.arange(rows, dtype=np.uint64) * np.uint64(_GOLDEN)
        self._row_keys = np.empty_like(self._rows)
        self._spare_keys = np.empty_like(self._rows)
        self._columns = np.arange(1, columns + 1, dtype=np.uint64) * np.uint64(_GOLDEN)

    def draw(self, mode: Mode) -> None:
        """Put the numbers of ``mode.uniform`` into the array."""
        start = np.array((mode.key() + mode.first_row * _GOLDEN) & _MASK, np.uint64)
        np.add(self._rows, start, self._row_keys)
        _mix(self._row_keys, self._spare_keys)
        # Spread first: NumPy's broadcasting sums would take a buffer.
        np.copyto(self._bits, self._columns)
        np.copyto(self._spare, self._row_keys[:, None])
        np.add(self._bits, self._spare, self._bits)
        _mix(self._bits, self._spare)
        np.right_shift(self._bits, _SHIFT, self._bits)
        np.copyto(self._out, self._bits, "same_kind")
        np.multiply(self._out, 2.0**-53, self._out)


_Bits = np.ndarray[tuple[int, ...], np.dtype[np.uint64]]

_SHIFT = np.array(11, np.uint64)
"""A float64 holds 53 of 64 bits."""

_ROUNDS = tuple(
    (np.array(shift, np.uint64), np.array(factor, np.uint64))
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
)


def _mix(z: _Bits, spare: _Bits) -> None:
    """Finalizer of SplitMix64, element-wise and in place."""
    for shift, factor in _ROUNDS:
        np.right_shift(z, shift, spare)
        np.bitwise_xor(z, spare, z)
        np.multiply(z, factor, z)
    np.right_shift(z, np.uint64(31), spare)
    np.bitwise_xor(z, spare, z)


def _mix_integer(z: int) -> int:
    """Do the same for one Python integer, after adding the generator's increment."""
    z = (z + _GOLDEN) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)
