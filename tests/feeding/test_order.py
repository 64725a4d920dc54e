"""The order of an epoch: a permutation, uniform, and a function of seed and epoch."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from typegrad.feeding.order import (
    SHORT,
    Blocks,
    Shuffle,
    check_shuffle,
    default_blocks,
    epoch_order,
    epoch_orders,
)
from typegrad.types import IntArray

LARGE = 1_100_000
"""Rows that are shuffled in heaps."""


def heaped_order(n: int) -> IntArray:
    """One large order, for what has to hold of all."""
    return epoch_order(default_blocks(n), True, seed=3, epoch=5)


@pytest.mark.parametrize("shuffle", [True, False, "blocks"])
@pytest.mark.parametrize("n", [1, 2, 8192, 8193, 1 << 20, (1 << 20) + 1, LARGE])
def test_each_row_comes_once(n: int, shuffle: Shuffle) -> None:
    order = epoch_order(default_blocks(n), shuffle, seed=0, epoch=0)
    np.testing.assert_array_equal(np.sort(order), np.arange(n))
    assert (shuffle is False) == np.array_equal(order, np.arange(n)) or n < 3


@pytest.mark.parametrize("shuffle", [True, False, "blocks"])
@pytest.mark.parametrize("n", [1000, LARGE])
def test_the_dtype_does_not_change_the_order(n: int, shuffle: Shuffle) -> None:
    long = epoch_order(default_blocks(n), shuffle, seed=1, epoch=2)
    short = epoch_order(default_blocks(n), shuffle, 1, 2, SHORT)
    assert long.itemsize == 2 * short.itemsize == 8
    np.testing.assert_array_equal(long, short)


def test_small_orders_are_numpys() -> None:
    order = epoch_order(default_blocks(1000), True, seed=1, epoch=2)
    np.testing.assert_array_equal(order, np.random.default_rng([1, 2]).permutation(1000))


@pytest.mark.parametrize("shuffle", [True, "blocks"])
@pytest.mark.parametrize("n", [1000, LARGE])
def test_order_is_a_function_of_seed_and_epoch(n: int, shuffle: Shuffle) -> None:
    blocks = default_blocks(n)
    first = epoch_order(blocks, shuffle, seed=1, epoch=2)
    np.testing.assert_array_equal(first, epoch_order(blocks, shuffle, seed=1, epoch=2))
    for seed, epoch in ((1, 3), (2, 2)):
        assert not np.array_equal(first, epoch_order(blocks, shuffle, seed, epoch))


def test_large_orders_are_as_random_as_small_ones() -> None:
    """Place and number are independent: a table of 64 by 64 parts has no more than chance."""
    order = heaped_order(LARGE)
    parts = 64
    places = np.arange(LARGE) * parts // LARGE
    counts, _, _ = np.histogram2d(places, order * parts // LARGE, bins=parts)
    expected = LARGE / parts**2
    chi_squared = float(((counts - expected) ** 2 / expected).sum())
    freedom = (parts - 1) ** 2
    assert abs(chi_squared - freedom) < 4.5 * np.sqrt(2 * freedom)
    # Neighbours are as far from each other as two random rows: a third of all, on average.
    steps = np.abs(np.diff(order)) / LARGE
    assert abs(steps.mean() - 1 / 3) < 4.5 * np.sqrt(1 / 18 / LARGE) * 1.5


def test_blocks_are_shuffled_within_groups() -> None:
    lengths = np.array([5, 3, 7, 1, 4])
    order = epoch_order(Blocks(lengths, together=2), "blocks", seed=0, epoch=0)
    block_of = np.repeat(np.arange(5), lengths)[order]
    group_sizes = []
    seen: set[int] = set()
    start = 0
    while start < len(order):
        # A group ends where both of its blocks are complete.
        chosen = list(dict.fromkeys(block_of[start:].tolist()))
        group = set(chosen[:2])
        size = int(lengths[list(group)].sum())
        assert set(block_of[start : start + size].tolist()) == group
        assert not group & seen
        seen |= group
        group_sizes.append(len(group))
        start += size
    assert group_sizes == [2, 2, 1]
    assert not np.array_equal(order, np.sort(order))


def test_orders_of_epochs_are_those_of_single_calls() -> None:
    for n in (100, LARGE):
        blocks = default_blocks(n)
        with epoch_orders(blocks, True, 7, range(2, 5)) as orders:
            made = list(orders)
        assert len(made) == 3
        for epoch, order in zip(range(2, 5), made, strict=True):
            np.testing.assert_array_equal(order, epoch_order(blocks, True, 7, epoch))
    assert "typegrad-prefetch" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("shuffle", ["rows", 1, None, 0, "Blocks"])
def test_unknown_ways_to_shuffle(shuffle: Any) -> None:
    with pytest.raises(ValueError, match="shuffle is") as caught:
        check_shuffle(shuffle)
    assert str(caught.value) == f'shuffle is {shuffle!r}; expected True, False or "blocks"'


def test_numpy_booleans_are_booleans() -> None:
    assert check_shuffle(np.True_) is True
    assert check_shuffle(np.False_) is False
    assert check_shuffle("blocks") == "blocks"
