"""Where flat vectors lie: a read never waits for a write to another one."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from typegrad.aligned import ALIGNMENT
from typegrad.engines.compiled.layout import PAGE, FlatVectors, PaddedParameters

NEAR = 3 * ALIGNMENT


@pytest.mark.parametrize("dtype", [np.dtype("float32"), np.dtype("float64")])
@pytest.mark.parametrize("floats", [1, 961, 1023, 1024, 5261, 130_000])
def test_vectors_lie_apart(floats: int, dtype: np.dtype[np.floating]) -> None:
    """In the part of an address that processors compare first, and by whole vectors."""
    layout = PaddedParameters([(floats,)], ALIGNMENT // dtype.itemsize)
    names = ("mean", "mean_square", "largest")
    vectors = FlatVectors.zeros(layout, names, dtype)
    padded = (vectors.values, vectors.grads, vectors.mask, *vectors.state.values())
    flat = [vector.array for vector in padded]
    assert tuple(vectors.state) == names
    for number, vector in enumerate(flat):
        vector[...] = number
        assert vector.size == layout.size
    places = [vector.ctypes.data for vector in flat]
    assert all(place % ALIGNMENT == 0 for place in places)
    assert all(NEAR <= (b - a) % PAGE <= PAGE - NEAR for a, b in permutations(places, 2))
    for number, vector in enumerate(flat):
        np.testing.assert_array_equal(vector, number)
