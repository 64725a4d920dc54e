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
        key = self.seed & _MASK
        for part in (self.step, *self.path):
            key = _mix_integer(key ^ _mix_integer(part))
        row = np.arange(self.first_row, self.first_row + rows, dtype=np.uint64)
        row_keys = _mix(np.uint64(key) + row * np.uint64(_GOLDEN))
        column = np.arange(1, columns + 1, dtype=np.uint64) * np.uint64(_GOLDEN)
        bits = _mix(row_keys[:, None] + column)
        return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


INFERENCE = Mode(training=False)
"""The mode of prediction and evaluation."""


def _mix(
    z: np.ndarray[tuple[int, ...], np.dtype[np.uint64]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint64]]:
    """Finalizer of SplitMix64, element-wise."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def _mix_integer(z: int) -> int:
    """Do the same for one Python integer, after adding the generator's increment."""
    z = (z + _GOLDEN) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)
