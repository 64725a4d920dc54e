"""The order of an epoch's rows: a function of seed and epoch, so that training can go on."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from typegrad.engines.base import never
from typegrad.feeding.prefetch import Prefetcher
from typegrad.types import IntArray

Shuffle: TypeAlias = bool | Literal["blocks"]
"""What `Trainer.fit` takes as `shuffle`."""

IntDType: TypeAlias = np.dtype[np.integer[Any]]

LONG: IntDType = np.dtype(np.int64)
SHORT: IntDType = np.dtype(np.uint32)

_BLOCK_ROWS = 8192
_BLOCKS_TOGETHER = 16

_SHUFFLED_ROWS = 1 << 20
"""Rows whose numbers fit in the processor's cache: 8 MB."""

_PART_ROWS = 1 << 17
"""Rows whose numbers fit in a core's own cache."""

_THREADED_ROWS = 1 << 15
"""Rows whose order takes longer to make than to hand over from another thread."""

_PAUSE, _PAUSE_PER_ROW, _LONGEST_PAUSE = 1e-3, 3e-9, 0.05
"""Seconds from an epoch's beginning after which the next one's order is made.

NumPy keeps other threads from running Python code while it shuffles. An epoch that has come to
native code by then does not notice.
"""


@dataclass(frozen=True)
class Blocks:
    """Consecutive rows that are near each other where they are kept.

    Attributes
    ----------
    lengths
        Rows of each block.
    together
        How many blocks' rows are shuffled with each other.
    read_whole
        Whether to read a row of a block means to read all of it.
    """

    lengths: IntArray
    together: int
    read_whole: bool = False

    def warning(self, shuffle: Shuffle) -> str | None:
        """Say so if this way to shuffle reads everything again and again."""
        if shuffle is not True or not self.read_whole or len(self.lengths) <= self.together:
            return None
        return (
            f"shuffle=True reads all {len(self.lengths)} blocks of the data set, which keeps "
            f"{self.together} at hand, for every part of an epoch; "
            'shuffle="blocks" reads each once an epoch'
        )


def default_blocks(n: int) -> Blocks:
    """Cut rows that can be read one as well as another into blocks."""
    lengths = np.full(-(-n // _BLOCK_ROWS), _BLOCK_ROWS)
    lengths[-1] = n - lengths[:-1].sum()
    return Blocks(lengths, _BLOCKS_TOGETHER)


def check_shuffle(shuffle: object) -> Shuffle:
    """Raise ValueError unless this is a way to shuffle."""
    if isinstance(shuffle, bool | np.bool_):
        return bool(shuffle)
    if shuffle == "blocks":
        return "blocks"
    raise ValueError(f'shuffle is {shuffle!r}; expected True, False or "blocks"')


def epoch_orders(
    blocks: Blocks,
    shuffle: Shuffle,
    seed: int,
    epochs: Iterable[int],
    dtype: IntDType = LONG,
) -> AbstractContextManager[Iterator[IntArray]]:
    """Orders of epochs, each made while the one before it is used where that is worth it."""
    rows = int(blocks.lengths.sum())
    is_threaded = shuffle is not False and rows >= _THREADED_ROWS
    if is_threaded:
        epochs = _with_pauses(epochs, min(_PAUSE + _PAUSE_PER_ROW * rows, _LONGEST_PAUSE))
    orders = (epoch_order(blocks, shuffle, seed, epoch, dtype) for epoch in epochs)
    return Prefetcher(orders, never, ahead=1) if is_threaded else nullcontext(orders)


def _with_pauses(epochs: Iterable[int], seconds: float) -> Iterator[int]:
    """Give the first epoch at once, and each of the others after a pause."""
    for index, epoch in enumerate(epochs):
        if index:
            time.sleep(seconds)
        yield epoch


def epoch_order(
    blocks: Blocks, shuffle: Shuffle, seed: int, epoch: int, dtype: IntDType = LONG
) -> IntArray:
    """Return all rows in the order in which an epoch takes them; the dtype does not change it."""
    n = int(blocks.lengths.sum())
    if shuffle is False:
        return np.arange(n, dtype=dtype)
    generator = np.random.default_rng([seed, epoch])
    if shuffle is True:
        return _permutation(n, generator, dtype)
    return _shuffled_by_blocks(blocks, generator, dtype)


def _permutation(n: int, generator: np.random.Generator, dtype: IntDType) -> IntArray:
    """All orders are equally likely.

    A swap with a random place is slow where the numbers do not fit in the cache. There, each
    goes to a random one of 256 heaps first, and heaps are shuffled by themselves (Rao, 1961;
    Sandelius, 1962).
    """
    if n <= _SHUFFLED_ROWS:
        return _shuffled(np.arange(n), generator).astype(dtype, copy=False)
    order: IntArray = np.empty(n, dtype)
    heap_of = np.frombuffer(generator.bytes(n), np.uint8)
    parts = [slice(start, start + _PART_ROWS) for start in range(0, n, _PART_ROWS)]
    counts = np.array([np.bincount(heap_of[part], minlength=256) for part in parts])
    stops = np.cumsum(counts.sum(axis=0))
    free = stops - counts.sum(axis=0)
    for part, count in zip(parts, counts, strict=True):
        # Sorted by heap, the part's rows fill what is free of the first heap, the second, ...
        rows = np.argsort(heap_of[part], kind="stable")
        rows += part.start
        taken = 0
        for start, size in zip(free.tolist(), count.tolist(), strict=True):
            order[start : start + size] = rows[taken : taken + size]
            taken += size
        free += count
    for start, stop in zip([0, *stops[:-1].tolist()], stops.tolist(), strict=True):
        order[start:stop] = _shuffled(order[start:stop], generator)
    return order


def _shuffled(rows: IntArray, generator: np.random.Generator) -> IntArray:
    """Return rows in random order; NumPy shuffles 64-bit integers in two thirds of the time."""
    mixed = rows.astype(LONG)
    generator.shuffle(mixed)
    return mixed


def _shuffled_by_blocks(
    blocks: Blocks, generator: np.random.Generator, dtype: IntDType
) -> IntArray:
    """Blocks in random order; the rows of some that follow one another, in random order."""
    stops = np.cumsum(blocks.lengths)
    order: IntArray = np.empty(stops[-1], dtype)
    filled = 0
    chosen = generator.permutation(len(stops)).tolist()
    for first in range(0, len(chosen), blocks.together):
        start = filled
        for block in chosen[first : first + blocks.together]:
            length = int(blocks.lengths[block])
            order[filled : filled + length] = np.arange(stops[block] - length, stops[block])
            filled += length
        order[start:filled] = _shuffled(order[start:filled], generator)
    return order
