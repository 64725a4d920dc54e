"""What optimizers and engines work on begins where a cache line does."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import typegrad as tg
from typegrad.aligned import ALIGNMENT, aligned_copy, aligned_zeros

LENGTHS = (1, 17, 1000, 100_000)


def is_aligned(array: Any) -> bool:
    return bool(array.ctypes.data % ALIGNMENT == 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
def test_arrays(dtype: type) -> None:
    for length in LENGTHS:
        zeros = aligned_zeros(length, np.dtype(dtype))
        assert (zeros.shape, zeros.dtype, is_aligned(zeros)) == ((length,), dtype, True)
        assert not zeros.any()
        numbers: Any = np.arange(length).astype(dtype)
        copied = aligned_copy(numbers)
        assert is_aligned(copied)
        np.testing.assert_array_equal(copied, numbers, strict=True)
        assert not np.may_share_memory(copied, numbers)
    assert aligned_zeros(0, np.dtype(dtype)).shape == (0,)


def test_a_networks_buffers_and_an_optimizers_state() -> None:
    network = tg.NeuralNetwork(tg.Dense(300, 17), tg.Dense(17, 1), loss=tg.MSELoss(), seed=0)
    optimizer = tg.Adam()
    for each in (network, copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        np.testing.assert_array_equal(each.flat.values, network.flat.values)
        assert is_aligned(each.flat.values)
        assert is_aligned(each.flat.grads)
        optimizer.reset()
        optimizer.prepare(each.flat.values)
        loaded = tg.Adam()
        loaded.load_state_dict(optimizer.state_dict())
        states = [*optimizer.state.values(), *loaded.state.values()]
        assert len(states) == 4
        assert all(map(is_aligned, states))
