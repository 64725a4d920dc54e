"""What `Trainer.fit` takes in place of arrays: rows that are read when they are needed."""

from __future__ import annotations

from typing import Protocol, TypeAlias, runtime_checkable

import numpy.typing as npt

from typegrad.types import IntArray

DatasetRows: TypeAlias = (
    tuple[npt.ArrayLike, npt.ArrayLike] | tuple[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike]
)
"""Inputs and targets of some rows, or inputs, targets and weights."""


@runtime_checkable
class Dataset(Protocol):
    """Rows that need not be in memory: any object with these two methods will do.

    Examples
    --------
    >>> import numpy as np
    >>> import typegrad as tg
    >>> class Squares:
    ...     def __len__(self) -> int:
    ...         return 1000
    ...
    ...     def take(self, indices: IntArray) -> DatasetRows:
    ...         x = indices.reshape(-1, 1) / 1000
    ...         return x, x**2
    >>> isinstance(Squares(), Dataset)
    True
    >>> network = tg.NeuralNetwork(tg.Dense(1, 1), loss=tg.MSELoss(), seed=0)
    >>> len(tg.Trainer(network, tg.SGD(0.1)).fit(Squares(), epochs=2, seed=0))
    2
    """

    def __len__(self) -> int:
        """Return the number of rows."""
        ...

    def take(self, indices: IntArray, /) -> DatasetRows:
        """Read some rows.

        Parameters
        ----------
        indices
            Numbers of rows from 0 on, each larger than the one before it.

        Returns
        -------
        tuple
            ``(x, y)`` or ``(x, y, sample_weight)``, each with a row for each index, in that
            order. If one call returns weights, all must. Training calls this on a thread of
            its own while the rows before are being trained on; never on two at once.
        """
        ...


@runtime_checkable
class BlockedDataset(Dataset, Protocol):
    """A data set that reads consecutive rows, a block of them, at far less cost than scattered.

    ``Trainer.fit(..., shuffle="blocks")`` goes by its blocks.
    """

    @property
    def block_lengths(self) -> tuple[int, ...]:
        """Rows of each block, in order."""
        ...

    @property
    def blocks_together(self) -> int:
        """How many blocks' rows to shuffle with each other: as many as it can keep at hand."""
        ...
