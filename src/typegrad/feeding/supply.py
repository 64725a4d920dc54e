"""Supplies: examples in the order of an epoch for an engine, or in their own to evaluate on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from typegrad.data.moments import ROWS_AT_A_TIME
from typegrad.engines.base import TrainingData, never
from typegrad.feeding.conversion import Converter
from typegrad.feeding.order import (
    LONG,
    SHORT,
    Blocks,
    IntDType,
    default_blocks,
    epoch_order,
)
from typegrad.feeding.prefetch import Prefetcher
from typegrad.feeding.sources import Source
from typegrad.types import AnyArray, IntArray, Vector

_PART_BYTES = 4 << 20
"""Of converted rows that go to an engine at once; three more such parts are under way."""


@dataclass(frozen=True)
class Block:
    """Some rows to evaluate on; `targets` are in their own units."""

    data: TrainingData
    targets: npt.NDArray[np.float64]


class Supply(ABC):
    """Examples that were checked, converted and standardised, or will be when they are read.

    Attributes
    ----------
    total_weight
        What a mean over all examples divides by.
    blocks
        What shuffling by blocks goes by.
    order_dtype
        For the numbers of rows that `parts` is given.
    """

    total_weight: float
    blocks: Blocks
    order_dtype: IntDType = LONG

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of examples."""

    @abstractmethod
    def parts(
        self, order: IntArray, rows_per_step: int, should_stop: Callable[[], bool]
    ) -> AbstractContextManager[Iterator[tuple[TrainingData, IntArray]]]:
        """Cut an epoch into parts: data, and the rows of it to use, in order.

        Each part but the last has whole steps. `should_stop` is asked while rows are waited
        for; True ends the parts early.
        """

    @abstractmethod
    def some(self, count: int, seed: int) -> TrainingData:
        """Examples in memory: all that are there already, or `count` at random, block by block."""

    @abstractmethod
    def in_order(self) -> AbstractContextManager[Iterator[Block]]:
        """All examples, `ROWS_AT_A_TIME` at once."""


class HeldSupply(Supply):
    """Examples in memory."""

    def __init__(self, data: TrainingData, targets: AnyArray) -> None:
        self.data = data
        self.targets = targets
        self.total_weight: float = _total_weight(data.weights, len(data))
        self.blocks: Blocks = default_blocks(len(data))

    def __len__(self) -> int:
        return len(self.data)

    def parts(
        self, order: IntArray, rows_per_step: int, should_stop: Callable[[], bool]
    ) -> AbstractContextManager[Iterator[tuple[TrainingData, IntArray]]]:
        return nullcontext(iter([(self.data, order)]))

    def some(self, count: int, seed: int) -> TrainingData:
        return self.data

    def in_order(self) -> AbstractContextManager[Iterator[Block]]:
        return nullcontext(self._block(rows) for rows in _slices(len(self)))

    def _block(self, rows: slice) -> Block:
        weights = None if self.data.weights is None else self.data.weights[rows]
        return Block(
            TrainingData(self.data.inputs[rows], self.data.targets[rows], weights),
            self.targets[rows].astype(np.float64, copy=False),
        )


class StreamedSupply(Supply):
    """Examples that are read and converted on a thread while those before are being used.

    In memory are the numbers of rows, weights, and a few parts.

    Parameters
    ----------
    numbers
        Of the source's rows, ascending; None for all.
    weights
        Of the examples, with mean one.
    """

    def __init__(
        self,
        source: Source,
        numbers: IntArray | None,
        weights: Vector | None,
        converter: Converter,
    ) -> None:
        self._source = source
        self._numbers = numbers
        self._weights = weights
        self._convert = converter
        self.total_weight: float = _total_weight(weights, len(self))
        self.blocks: Blocks = source.blocks(numbers)
        # Half the memory. Engines never see these.
        self.order_dtype: IntDType = SHORT if len(self) <= np.iinfo(SHORT).max else LONG

    def __len__(self) -> int:
        return len(self._source) if self._numbers is None else len(self._numbers)

    def parts(
        self, order: IntArray, rows_per_step: int, should_stop: Callable[[], bool]
    ) -> AbstractContextManager[Iterator[tuple[TrainingData, IntArray]]]:
        steps = max(1, _PART_BYTES // (self._convert.row_bytes * rows_per_step))
        count = steps * rows_per_step
        made = (self._part(order[start : start + count]) for start in range(0, len(order), count))
        return Prefetcher(made, should_stop)

    def some(self, count: int, seed: int) -> TrainingData:
        chosen = epoch_order(self.blocks, "blocks", seed, 0)[:count]
        return self._read(np.sort(chosen)).data

    def in_order(self) -> AbstractContextManager[Iterator[Block]]:
        made = (self._read(np.arange(rows.start, rows.stop)) for rows in _slices(len(self)))
        return Prefetcher(made, never)

    def _part(self, examples: IntArray) -> tuple[TrainingData, IntArray]:
        ascending = np.argsort(examples)
        data = self._read(examples[ascending].astype(np.int64)).data
        # The engine finds each row where sorting has put it.
        places: IntArray = np.empty_like(ascending)
        places[ascending] = np.arange(len(ascending))
        return data, places

    def _read(self, examples: IntArray) -> Block:
        numbers = examples if self._numbers is None else self._numbers[examples]
        rows = self._source.read(numbers)
        weights = None if self._weights is None else self._weights[examples]
        return Block(self._convert(rows, weights), rows.targets.astype(np.float64, copy=False))


def _slices(n: int) -> Iterator[slice]:
    return (slice(start, min(start + ROWS_AT_A_TIME, n)) for start in range(0, n, ROWS_AT_A_TIME))


def _total_weight(weights: Vector | None, n: int) -> float:
    return float(n) if weights is None else float(weights.sum())
