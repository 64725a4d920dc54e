"""Numbers of many steps at once: those that steps taken one by one would have."""

from __future__ import annotations

import math

import numpy as np
import pytest

from typegrad.engines.compiled.step_numbers import FIRST_POWERS, powers

FIRSTS = (0, 1, FIRST_POWERS - 2, FIRST_POWERS, 3 * FIRST_POWERS - 1, 700_001, 10**9)


@pytest.mark.parametrize("base", [0.9, 0.999, 0.5, 1e-3, 1.0 - 2.0**-53])
@pytest.mark.parametrize("first", FIRSTS)
def test_powers(base: float, first: int) -> None:
    found = powers(base, first, 5)
    expected = [math.pow(base, first + i) for i in range(5)]
    np.testing.assert_allclose(found, expected, rtol=4 * 2.0**-52, atol=5e-324, strict=True)


def test_the_bits_of_a_power_depend_on_the_exponent_alone() -> None:
    together = powers(0.999, FIRST_POWERS - 700, 2 * FIRST_POWERS)
    apart = [powers(0.999, FIRST_POWERS - 700 + i, 1)[0] for i in range(2 * FIRST_POWERS)]
    assert together.tolist() == apart
