"""NIST's files are read as they are meant."""

from __future__ import annotations

import re

import numpy as np
import pytest

from examples.nonlinear_regression import problems
from examples.nonlinear_regression.models import MODELS
from examples.nonlinear_regression.problems import DATA, digits, load


def test_each_file_has_a_model() -> None:
    assert {path.stem for path in DATA.glob("*.dat")} == MODELS.keys()
    assert len(MODELS) == 27


def test_levels_of_difficulty() -> None:
    levels = [load(name).difficulty for name in MODELS]
    assert [levels.count(level) for level in ("Lower", "Average", "Higher")] == [8, 11, 8]
    assert levels == sorted(levels, key=["Lower", "Average", "Higher"].index)


@pytest.mark.parametrize("name", MODELS)
def test_sizes_are_those_that_the_file_states(name: str) -> None:
    text = (DATA / f"{name}.dat").read_text(encoding="ascii")
    problem = load(name)
    observations = re.search(r"Number of Observations: +(\d+)", text)
    parameters = re.search(r"(\d) Parameters", text)
    assert observations is not None
    assert parameters is not None
    assert problem.y.shape == problem.x.shape[-1:] == (int(observations[1]),)
    shapes = {v.shape for v in (*problem.starts, problem.parameters, problem.deviations)}
    assert shapes == {(int(parameters[1]),)}


def test_a_problem_with_two_predictors_whose_model_is_of_the_logarithm() -> None:
    nelson = load("Nelson")
    assert nelson.x.shape == (2, 128)
    np.testing.assert_array_equal(nelson.x[:, -1], [64, 275])
    np.testing.assert_allclose(np.exp(nelson.y[:2]), [15, 17])
    np.testing.assert_array_equal(nelson.starts, [[2, 1e-4, -0.01], [2.5, 5e-9, -0.05]])
    np.testing.assert_array_equal(
        nelson.parameters, [2.5906836021e00, 5.6177717026e-09, -5.7701013174e-02]
    )
    np.testing.assert_array_equal(
        nelson.deviations, [1.9149996413e-02, 6.1124096540e-09, 3.9572366543e-03]
    )
    assert nelson.sum_of_squares == 3.7976833176


@pytest.mark.parametrize(
    ("found", "expected"), [(2.0, 11), (2.0 + 2e-6, 6), (2.0 - 2e-3, 3), (-7.0, 0), (np.inf, 0)]
)
def test_digits(found: float, expected: float) -> None:
    assert digits(np.array([found, 5.0]), np.array([2.0, 5.0])) == pytest.approx(expected)


def test_a_file_without_certified_values() -> None:
    with pytest.raises(ValueError, match="no line matches") as error:
        problems._found("Sum: (.*)", "nothing")
    assert str(error.value) == "no line matches 'Sum: (.*)'"
