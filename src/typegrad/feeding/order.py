"""The order of an epoch's rows: a function of seed and epoch, so that training can go on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from typegrad.engines.base import never
from typegrad.feeding.prefetch import Prefetcher
from typegrad.types import IntArray

Shuffle: TypeAlias = bool | Literal["blocks"]
"""What `Trainer.fit` takes as `shuffle`."""

_BLOCK_ROWS = 8192
_BLOCKS_TOGETHER = 16

_CACHED_ROWS = 1 << 17
"""Rows whose numbers fit in a core's cache."""


_THREADED_ROWS = 1 << 15
"""Rows whose order takes longer to make than to hand over from another thread."""


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
    blocks: Blocks, shuffle: Shuffle, seed: int, epochs: Iterable[int]
) -> AbstractContextManager[Iterator[IntArray]]:
    """Orders of epochs, each made while the one before it is used where that is worth it."""
    orders = (epoch_order(blocks, shuffle, seed, epoch) for epoch in epochs)
    if shuffle is False or blocks.lengths.sum() < _THREADED_ROWS:
        return nullcontext(orders)
    return Prefetcher(orders, never, ahead=1)


def epoch_order(blocks: Blocks, shuffle: Shuffle, seed: int, epoch: int) -> IntArray:
    """Return all rows in the order in which an epoch takes them."""
    n = int(blocks.lengths.sum())
    if shuffle is False:
        return np.arange(n)
    generator = np.random.default_rng([seed, epoch])
    if shuffle is True:
        return _permutation(n, generator)
    return _shuffled_by_blocks(blocks, generator)


def _permutation(n: int, generator: np.random.Generator) -> IntArray:
    """All orders are equally likely.

    A swap with a random place is slow where the numbers do not fit in the cache. There, each
    goes to a random one of 256 heaps first, and heaps are shuffled by themselves (Rao, 1961;
    Sandelius, 1962).
    """
    if n <= _CACHED_ROWS:
        return generator.permutation(n)
    heaps = np.frombuffer(generator.bytes(n), np.uint8)
    order: IntArray = np.argsort(heaps, kind="stable")
    sizes = np.zeros(256, np.int64)
    for start in range(0, n, _CACHED_ROWS):  # A whole count would take a copy in int64.
        sizes += np.bincount(heaps[start : start + _CACHED_ROWS], minlength=256)
    for heap in np.split(order, np.cumsum(sizes)[:-1]):
        generator.shuffle(heap)
    return order


def _shuffled_by_blocks(blocks: Blocks, generator: np.random.Generator) -> IntArray:
    """Blocks in random order; the rows of some that follow one another, in random order."""
    stops = np.cumsum(blocks.lengths)
    order: IntArray = np.empty(stops[-1], np.int64)
    filled = 0
    chosen = generator.permutation(len(stops)).tolist()
    for first in range(0, len(chosen), blocks.together):
        start = filled
        for block in chosen[first : first + blocks.together]:
            length = int(blocks.lengths[block])
            order[filled : filled + length] = np.arange(stops[block] - length, stops[block])
            filled += length
        generator.shuffle(order[start:filled])
    return order
