"""The counter-based generator of random masks: its distribution and what it is keyed by.

The seeds are fixed, so that the statistical tests give the same result each time; their
bounds are those of the statistics' sampling distributions.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from typegrad.layers import INFERENCE, Mode

TRAINING = Mode(training=True, seed=20240607)


def test_numbers_are_in_the_unit_interval() -> None:
    numbers = TRAINING.uniform(1000, 100)
    assert numbers.shape == (1000, 100)
    assert numbers.dtype == np.float64
    assert numbers.min() >= 0.0
    assert numbers.max() < 1.0


MODES = [
    TRAINING,
    Mode(training=True, seed=0),
    Mode(training=True, seed=1, step=1),
    Mode(training=True, seed=0, step=10**6, path=(3, 1)),
    Mode(training=True, seed=-1, first_row=10**9),
    Mode(training=True, seed=2**64 - 1, path=(0, 0, 0)),
]


@pytest.mark.parametrize("mode", MODES)
def test_the_distribution_is_uniform(mode: Mode) -> None:
    numbers = mode.uniform(2000, 50).ravel()
    assert stats.kstest(numbers, "uniform").pvalue > 1e-3
    counts = np.bincount((numbers * 256).astype(int), minlength=256)
    assert stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("mode", MODES)
def test_low_bits_are_uniform_too(mode: Mode) -> None:
    low = (mode.uniform(2000, 50).ravel() * 2.0**53).astype(np.int64) & 255
    assert stats.chisquare(np.bincount(low, minlength=256)).pvalue > 1e-3


def test_pairs_of_neighbours_fill_the_square_evenly() -> None:
    numbers = TRAINING.uniform(1000, 100)
    for first, second in (
        (numbers[:, :-1], numbers[:, 1:]),
        (numbers[:-1], numbers[1:]),
        (numbers[:-1, :-1], numbers[1:, 1:]),
    ):
        cells = (first * 16).astype(int) * 16 + (second * 16).astype(int)
        assert stats.chisquare(np.bincount(cells.ravel(), minlength=256)).pvalue > 1e-3


def test_rows_and_columns_are_uncorrelated() -> None:
    numbers = TRAINING.uniform(400, 400)
    for matrix in (numbers, numbers.T):
        correlations = np.asarray(np.corrcoef(matrix))[np.triu_indices(400, 1)]
        # For independent rows: about normal, of standard deviation 1 / sqrt(400).
        scaled = correlations * np.sqrt(400)
        assert np.abs(scaled).max() < 6.0
        assert scaled.std() == pytest.approx(1.0, abs=0.02)


def test_streams_of_other_seeds_steps_and_layers_are_uncorrelated() -> None:
    modes = [
        Mode(training=True, seed=seed, step=step, path=path)
        for seed, step, path in itertools.product(
            (0, 1, 2), (0, 1, 2, 3), ((), (0,), (1,), (0, 0), (0, 1), (1, 0))
        )
    ]
    streams = np.array([mode.uniform(50, 50).ravel() for mode in modes])
    correlations = np.corrcoef(streams)[np.triu_indices(len(modes), 1)]
    assert np.abs(correlations * 50).max() < 5.0


def test_first_columns_of_successive_steps_are_uniform() -> None:
    numbers = [Mode(training=True, seed=5, step=step).uniform(1, 1)[0, 0] for step in range(5000)]
    assert stats.kstest(numbers, "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(numbers[:-1], numbers[1:])[0, 1]) * np.sqrt(5000) < 4.0


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_masks_drop_at_the_rate_asked_for(rate: float) -> None:
    numbers = TRAINING.uniform(1000, 100)
    dropped = numbers < rate
    spread = np.sqrt(rate * (1 - rate))
    assert dropped.mean() == pytest.approx(rate, abs=4 * spread / np.sqrt(dropped.size))
    # Rows and columns each vary as binomial counts do, neither more nor less.
    for axis, count in ((0, 100), (1, 1000)):
        means = dropped.mean(axis=axis)
        scaled = (means - rate) / (spread / np.sqrt(dropped.shape[axis]))
        assert np.sum(scaled**2) == pytest.approx(count, abs=5 * np.sqrt(2 * count))


def test_no_number_occurs_twice() -> None:
    # 53 bits: among 10^6 numbers the expected number of equal pairs is 10^12 / 2^54 < 1e-4.
    assert np.unique(TRAINING.uniform(1000, 1000)).size == 1_000_000


def test_parts_of_a_batch_get_the_numbers_of_the_whole() -> None:
    whole = TRAINING.uniform(10, 4)
    parts = [
        Mode(training=True, seed=TRAINING.seed, first_row=start).uniform(rows, 4)
        for start, rows in ((0, 3), (3, 6), (9, 1), (10, 0))
    ]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_more_columns_do_not_change_the_first_ones() -> None:
    np.testing.assert_array_equal(TRAINING.uniform(5, 8)[:, :3], TRAINING.uniform(5, 3))


def test_the_same_key_gives_the_same_numbers_and_any_other_key_others() -> None:
    base = Mode(training=True, seed=1, step=2, path=(3,))
    numbers = base.uniform(3, 3)
    np.testing.assert_array_equal(numbers, Mode(True, 1, 2, 0, (3,)).uniform(3, 3))
    for other in (
        Mode(True, 2, 2, 0, (3,)),
        Mode(True, 1, 3, 0, (3,)),
        Mode(True, 1, 2, 0, (4,)),
        Mode(True, 1, 2, 0, (3, 0)),
        Mode(True, 2, 1, 0, (3,)),
        Mode(True, 1, 3, 0, (2,)),
        Mode(True, 1, 2, 3, (3,)),
    ):
        assert not np.isclose(numbers, other.uniform(3, 3)).any()


def test_the_numbers_stay_the_same_from_release_to_release() -> None:
    """Worked out apart, in Python integers, from the description in `Mode.uniform`."""

    def finalize(z: int) -> int:
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % 2**64
        return z ^ (z >> 31)

    golden = 0x9E3779B97F4A7C15
    key = 42
    for part in (7, 2, 1):
        key = finalize(((key ^ finalize((part + golden) % 2**64)) + golden) % 2**64)
    expected = np.empty((3, 4))
    for row in range(3):
        row_key = finalize((key + (5 + row) * golden) % 2**64)
        for column in range(4):
            bits = finalize((row_key + (column + 1) * golden) % 2**64)
            expected[row, column] = (bits >> 11) / 2**53
    mode = Mode(training=True, seed=42, step=7, first_row=5, path=(2, 1))
    np.testing.assert_array_equal(mode.uniform(3, 4), expected)


def test_inside_extends_the_path_in_training_only() -> None:
    assert TRAINING.inside(2).inside(0).path == (2, 0)
    assert TRAINING.inside(2).seed == TRAINING.seed
    assert INFERENCE.inside(2) is INFERENCE
    assert TRAINING.path == ()
