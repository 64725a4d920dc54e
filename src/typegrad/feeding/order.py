"""The order of an epoch's rows: a function of seed and epoch, so that training can go on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from typegrad.types import IntArray

Shuffle: TypeAlias = bool | Literal["blocks"]
"""What `Trainer.fit` takes as `shuffle`."""

_BLOCK_ROWS = 8192
_BLOCKS_TOGETHER = 16


@dataclass(frozen=True)
class Blocks:
    """Consecutive rows that are near each other where they are kept.

    Attributes
    ----------
    lengths
        Rows of each block.
    together
        How many blocks' rows are shuffled with each other.
    """

    lengths: IntArray
    together: int


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


def epoch_order(blocks: Blocks, shuffle: Shuffle, seed: int, epoch: int) -> IntArray:
    """Return all rows in the order in which an epoch takes them."""
    n = int(blocks.lengths.sum())
    if shuffle is False:
        return np.arange(n)
    generator = np.random.default_rng([seed, epoch])
    if shuffle is True:
        return generator.permutation(n)
    return _shuffled_by_blocks(blocks, generator)


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
