"""L-BFGS against SciPy and PyTorch, its line search, and what goes wrong."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import scipy.optimize
import torch

from typegrad.errors import DTypeError, NumericalError, ShapeError
from typegrad.optimizers import LBFGS, FullBatchOptimizer, optimizer_from_config
from typegrad.optimizers.line_search import Point, WolfeSearch
from typegrad.schedules import ConstantSchedule
from typegrad.types import Array, FloatDType, Vector

Function = Callable[[Vector], tuple[float, Vector]]


class Problem:
    """A function of one buffer, that counts its evaluations and reuses its gradient's memory."""

    def __init__(
        self, function: Function, start: Vector, dtype: FloatDType | type[np.floating] = np.float64
    ) -> None:
        self.function = function
        self.parameters = start.astype(dtype)
        self.gradient = np.zeros_like(self.parameters)
        self.evaluations = 0

    def __call__(self) -> tuple[float, Vector]:
        self.evaluations += 1
        loss, gradient = self.function(self.parameters.copy())
        self.gradient[...] = gradient
        return loss, self.gradient

    def minimize(self, optimizer: LBFGS, most: int = 1000) -> float:
        loss = math.inf
        while not optimizer.converged and optimizer.steps < most:
            loss = optimizer.minimize_step(self, self.parameters)
        return loss


def rosenbrock(x: Vector) -> tuple[float, Vector]:
    return float(scipy.optimize.rosen(x)), scipy.optimize.rosen_der(x)


def quadratic(x: Vector) -> tuple[float, Vector]:
    scales = np.logspace(0, 3, x.size)
    return float(0.5 * np.sum(scales * (x - 1.0) ** 2)), scales * (x - 1.0)


def logistic(w: Vector) -> tuple[float, Vector]:
    """Mean logistic loss with a small ridge, on 200 random examples."""
    generator = np.random.default_rng(3)
    x = generator.normal(size=(200, w.size))
    labels = np.where(x @ np.arange(w.size) + generator.normal(size=200) > 0.0, 1.0, -1.0)
    margins = labels * (x @ w)
    loss = np.mean(np.logaddexp(0.0, -margins)) + 0.005 * w @ w
    weights = -labels / (1.0 + np.exp(margins)) / 200
    return float(loss), x.T @ weights + 0.01 * w


def history(optimizer: LBFGS) -> Array:
    return np.asarray(optimizer.state_dict()["position_changes"])


STARTS: dict[str, tuple[Function, Vector]] = {
    "rosenbrock-2": (rosenbrock, np.array([-1.2, 1.0])),
    "rosenbrock-10": (rosenbrock, np.tile([-1.2, 1.0], 5)),
    "quadratic": (quadratic, np.zeros(20)),
    "logistic": (logistic, np.zeros(6)),
}
each_problem = pytest.mark.parametrize(("function", "start"), STARTS.values(), ids=STARTS.keys())


@each_problem
def test_reaches_scipys_minimum_with_about_as_many_evaluations(
    function: Function, start: Vector
) -> None:
    problem = Problem(function, start)
    loss = problem.minimize(LBFGS(tolerance_grad=1e-8, tolerance_change=0.0))
    options = {"ftol": 0.0, "gtol": 1e-8}
    theirs = scipy.optimize.minimize(function, start, jac=True, method="L-BFGS-B", options=options)
    np.testing.assert_allclose(problem.parameters, theirs.x, atol=1e-6)
    assert loss == function(problem.parameters)[0]
    assert loss <= theirs.fun + 1e-12
    assert np.max(np.abs(function(problem.parameters)[1])) <= 1e-8
    assert problem.evaluations <= 1.5 * theirs.nfev


@each_problem
def test_is_as_good_as_pytorchs(function: Function, start: Vector) -> None:
    torch.set_num_threads(1)
    problem = Problem(function, start)
    loss = problem.minimize(LBFGS())

    theirs = torch.tensor(start, requires_grad=True)
    evaluations = 0

    def closure() -> torch.Tensor:
        nonlocal evaluations
        evaluations += 1
        value, gradient = function(theirs.detach().numpy())
        theirs.grad = torch.tensor(gradient)
        return torch.tensor(value)

    make: Any = torch.optim.LBFGS  # step's closure is typed too narrowly there
    optimizer = make([theirs], max_iter=1000, max_eval=5000, history_size=10,
                     line_search_fn="strong_wolfe")  # fmt: skip
    optimizer.step(closure)
    assert loss <= function(theirs.detach().numpy())[0] + 1e-9
    assert problem.evaluations <= 1.3 * evaluations


@each_problem
def test_every_iteration_satisfies_the_strong_wolfe_conditions(
    function: Function, start: Vector
) -> None:
    problem, optimizer = Problem(function, start), LBFGS()
    while not optimizer.converged:
        before = problem.parameters.copy()
        loss_before, gradient_before = function(before)
        loss = optimizer.minimize_step(problem, problem.parameters)
        moved = problem.parameters - before
        slope_before, slope = gradient_before @ moved, function(problem.parameters)[1] @ moved
        assert slope_before < 0.0
        assert loss <= loss_before + 1e-4 * slope_before
        assert abs(slope) <= 0.9 * abs(slope_before) * (1.0 + 1e-6)


def test_float32_stays_float32_and_converges() -> None:
    problem = Problem(rosenbrock, np.array([-1.2, 1.0]), np.float32)
    optimizer = LBFGS()
    problem.minimize(optimizer)
    np.testing.assert_allclose(problem.parameters, 1.0, atol=1e-3)
    state = optimizer.state_dict()
    for name in ("position_changes", "gradient_changes"):
        assert np.asarray(state[name]).dtype == np.float32


def test_the_history_is_limited() -> None:
    problem, optimizer = Problem(quadratic, np.zeros(20)), LBFGS(history_size=3)
    for _ in range(6):
        optimizer.minimize_step(problem, problem.parameters)
    assert history(optimizer).shape == (3, 20)


def test_two_loops_apply_the_bfgs_matrix() -> None:
    """With a full history, the direction is that of the BFGS matrix built up explicitly."""
    problem, optimizer = Problem(quadratic, np.zeros(4)), LBFGS()
    for _ in range(3):
        optimizer.minimize_step(problem, problem.parameters)
    state = optimizer.state_dict()
    moves, changes = np.asarray(state["position_changes"]), np.asarray(state["gradient_changes"])
    inverse = (moves[-1] @ changes[-1]) / (changes[-1] @ changes[-1]) * np.eye(4)
    for s, y in zip(moves, changes, strict=True):
        left = np.eye(4) - np.outer(s, y) / (s @ y)
        inverse = left @ inverse @ left.T + np.outer(s, s) / (s @ y)
    before, gradient = problem.parameters.copy(), quadratic(problem.parameters)[1]
    optimizer.minimize_step(problem, problem.parameters)
    moved, expected = problem.parameters - before, -inverse @ gradient
    cosine = moved @ expected / (np.linalg.norm(moved) * np.linalg.norm(expected))
    assert cosine == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("steps", [0, 5])
def test_a_saved_state_goes_on_identically(steps: int) -> None:
    first, optimizer = Problem(rosenbrock, np.array([-1.2, 1.0])), LBFGS(history_size=4)
    for _ in range(steps):
        optimizer.minimize_step(first, first.parameters)
    second, copy = Problem(rosenbrock, first.parameters), LBFGS(history_size=4)
    copy.load_state_dict(optimizer.state_dict())
    for _ in range(10):
        losses = [
            each.minimize_step(problem, problem.parameters)
            for each, problem in ((optimizer, first), (copy, second))
        ]
        assert losses[0] == losses[1]
    assert np.array_equal(first.parameters, second.parameters)
    assert copy.steps == steps + 10


def test_evaluations_are_not_repeated_but_for_a_reason() -> None:
    problem, optimizer = Problem(quadratic, np.zeros(3)), LBFGS()
    optimizer.minimize_step(problem, problem.parameters)
    known = problem.evaluations
    optimizer.minimize_step(problem, problem.parameters)
    searched = problem.evaluations - known
    assert searched == 1  # the first trial was accepted
    known = problem.evaluations
    optimizer.minimize_step(partial(problem), problem.parameters)
    assert problem.evaluations - known == 2  # another function: its start is evaluated
    problem.parameters += 0.1  # somebody moved the parameters
    seen = problem.parameters.copy()
    calls: list[Vector] = []

    def watched() -> tuple[float, Vector]:
        calls.append(problem.parameters.copy())
        return problem()

    optimizer.minimize_step(watched, problem.parameters)
    assert np.array_equal(calls[0], seen)
    problem.parameters += 0.1
    seen = problem.parameters.copy()
    calls.clear()
    optimizer.minimize_step(watched, problem.parameters)
    assert np.array_equal(calls[0], seen)


def test_convergence_by_gradient_by_change_and_by_rounding() -> None:
    problem, optimizer = Problem(quadratic, np.ones(3)), LBFGS()
    assert optimizer.status == "running"
    assert optimizer.minimize_step(problem, problem.parameters) == 0.0
    assert (optimizer.status, optimizer.steps) == ("gradient is zero", 0)

    problem, optimizer = Problem(quadratic, np.zeros(3)), LBFGS(tolerance_change=1e6)
    optimizer.minimize_step(problem, problem.parameters)
    assert (optimizer.status, optimizer.converged) == ("change is small", True)

    def steep_but_flat(x: Vector) -> tuple[float, Vector]:
        return 1e20 + float(x @ x), 2.0 * x

    problem, optimizer = Problem(steep_but_flat, np.ones(2)), LBFGS(max_evaluations=5)
    assert optimizer.minimize_step(problem, problem.parameters) == 1e20
    assert (optimizer.status, optimizer.converged) == ("no descent", True)
    assert problem.parameters.tolist() == [1.0, 1.0]


def test_a_failed_search_drops_the_history_and_goes_on_along_the_gradient() -> None:
    problem, optimizer = Problem(rosenbrock, np.array([-1.2, 1.0])), LBFGS()
    for _ in range(5):
        optimizer.minimize_step(problem, problem.parameters)
    before, loss = problem.parameters.copy(), rosenbrock(problem.parameters)[0]
    evaluations = 0

    def worse_elsewhere() -> tuple[float, Vector]:
        nonlocal evaluations
        evaluations += 1
        value, gradient = rosenbrock(problem.parameters)
        return value + 1e3 * (evaluations > 1), gradient

    assert optimizer.minimize_step(worse_elsewhere, problem.parameters) == loss
    assert np.array_equal(problem.parameters, before)
    assert optimizer.status == "running"
    assert history(optimizer).size == 0
    assert problem.minimize(optimizer) < 1e-8


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_shortens_the_step(bad: float) -> None:
    def barrier(x: Vector) -> tuple[float, Vector]:
        """Minus log of x, plus x: least at 1, without a value for x <= 0."""
        if x[0] <= 0.0:
            return bad, np.array([bad])
        return float(x[0] - np.log(x[0])), 1.0 - 1.0 / x

    problem = Problem(barrier, np.array([30.0]))
    optimizer = LBFGS(100.0)
    loss = optimizer.minimize_step(problem, problem.parameters)
    assert 0.0 < problem.parameters[0] < 30.0
    assert loss == barrier(problem.parameters)[0]
    optimizer = LBFGS()
    problem.minimize(optimizer)
    assert problem.parameters[0] == pytest.approx(1.0, abs=1e-4)


def test_negative_curvature_drops_the_history() -> None:
    """With so few evaluations, the search accepts decrease alone on a concave slope."""

    def concave(x: Vector) -> tuple[float, Vector]:
        return float(-x @ x), -2.0 * x

    problem, optimizer = Problem(concave, np.ones(2)), LBFGS(max_evaluations=1)
    losses = [optimizer.minimize_step(problem, problem.parameters) for _ in range(3)]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] < -2.0
    assert history(optimizer).size == 0


def test_a_direction_that_does_not_descend_is_replaced_by_the_gradients() -> None:
    """A history of negative curvature, as a file could bring it."""
    problem, optimizer = Problem(quadratic, np.zeros(2)), LBFGS()
    pair = {"position_changes": np.eye(1, 2), "gradient_changes": -np.eye(1, 2)}
    optimizer.load_state_dict({"steps": 1, "status": "running", **pair})
    loss = quadratic(problem.parameters)[0]
    assert optimizer.minimize_step(problem, problem.parameters) < loss


def test_the_buffer_is_as_before_when_an_evaluation_is_interrupted() -> None:
    problem, optimizer = Problem(quadratic, np.zeros(3)), LBFGS()

    def interrupted() -> tuple[float, Vector]:
        if problem.evaluations == 1:
            raise KeyboardInterrupt
        return problem()

    with pytest.raises(KeyboardInterrupt):
        optimizer.minimize_step(interrupted, problem.parameters)
    assert problem.parameters.tolist() == [0.0, 0.0, 0.0]
    assert optimizer.steps == 0


def test_the_rate_is_the_first_step_tried() -> None:
    lengths = []
    for rate in (1.0, 0.5):
        problem = Problem(logistic, np.zeros(6))
        optimizer = LBFGS(ConstantSchedule(1.0))
        optimizer.minimize_step(problem, problem.parameters, rate)
        lengths.append(float(np.abs(problem.parameters).sum()))
    assert lengths[0] == pytest.approx(2.0 * lengths[1])


def test_reset_and_config() -> None:
    problem, optimizer = Problem(quadratic, np.zeros(3)), LBFGS(0.5, history_size=7)
    problem.minimize(optimizer)
    optimizer.reset()
    assert (optimizer.steps, optimizer.converged) == (0, False)
    copy = optimizer_from_config(json.loads(json.dumps(optimizer.config())))
    assert isinstance(copy, FullBatchOptimizer)
    assert copy.config() == optimizer.config()


# --- the line search by itself ---


def on_a_line(function: Callable[[float], tuple[float, float]]) -> Callable[[float], Point]:
    return lambda step: Point(step, *function(step), np.zeros(0))


@pytest.mark.parametrize("first_step", [1e-3, 0.1, 1.0, 10.0, 1e3])
@pytest.mark.parametrize(
    "function",
    [
        lambda a: (-a / (a * a + 2.0), (a * a - 2.0) / (a * a + 2.0) ** 2),
        lambda a: ((a - 3.0) ** 4, 4.0 * (a - 3.0) ** 3),
        lambda a: (
            (math.sin(3.0 * a) - 2.0 * a + 0.1 * a * a, 3.0 * math.cos(3.0 * a) - 2 + 0.2 * a)
            if a > 0.5
            else (math.sin(1.5) - 1.0 + 0.025 - 1.6878 * (a - 0.5), -1.6878)
        ),
    ],
    ids=["more-thuente-1", "quartic", "waves"],
)
def test_the_search_finds_a_wolfe_point(
    function: Callable[[float], tuple[float, float]], first_step: float
) -> None:
    evaluate = on_a_line(function)
    search = WolfeSearch(evaluate, evaluate(0.0), 40, curvature=0.1)
    point = search.search(first_step)
    loss, slope = function(0.0)
    assert function(point.step)[0] <= loss + 1e-4 * point.step * slope
    assert abs(function(point.step)[1]) <= 0.1 * abs(slope)


def test_the_search_ends_with_the_best_point_of_an_endless_descent() -> None:
    evaluate = on_a_line(lambda a: (-a, -1.0))
    search = WolfeSearch(evaluate, evaluate(0.0), 4)
    assert search.search(1.0).step == pytest.approx(1000.0)
    assert search.evaluations == 4


def test_the_search_stops_when_the_bracket_cannot_shrink() -> None:
    start = Point(0.0, 0.0, -1.0, np.zeros(0))
    search = WolfeSearch(lambda step: Point(step, 1.0, math.nan, np.zeros(0)), start, 10_000)
    assert search.search(5e-324) is start
    assert search.evaluations < 10_000


def test_points_without_a_cubic_are_bisected() -> None:
    losses = {1.0: (-0.5, 1e200), 0.5: (-0.4, 0.0)}
    search = WolfeSearch(
        on_a_line(lambda step: losses[step]), Point(0.0, 0.0, -1e-200, np.zeros(0)), 2
    )
    assert search.search(1.0).step == 1.0


# --- bad inputs ---


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: LBFGS(history_size=0),
            "LBFGS: history_size is 0, but must be a whole number in [1, inf)",
        ),
        (
            lambda: LBFGS(max_evaluations=-1),
            "LBFGS: max_evaluations is -1, but must be a whole number in [1, inf)",
        ),
        (
            lambda: LBFGS(tolerance_grad=-1.0),
            "LBFGS: tolerance_grad is -1.0, but must be a number in [0, inf)",
        ),
        (
            lambda: LBFGS(tolerance_change=math.nan),
            "LBFGS: tolerance_change is nan, but must be a number in [0, inf)",
        ),
        (
            lambda: LBFGS(0.0).minimize_step(lambda: (0.0, np.zeros(1)), np.zeros(1)),
            "LBFGS: learning_rate is 0.0, but must be a number in (0, inf)",
        ),
    ],
)
def test_a_bad_option_is_named(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make()


@pytest.mark.parametrize(
    ("loss", "gradient"), [(math.nan, 0.0), (math.inf, 0.0), (0.0, math.nan), (0.0, math.inf)]
)
def test_a_start_that_is_not_finite_is_an_error(loss: float, gradient: float) -> None:
    message = (
        "LBFGS: loss or gradient are NaN or infinite at the parameters it starts from; "
        "scale the data, or start from other parameters"
    )
    with pytest.raises(NumericalError, match=f"^{re.escape(message)}$"):
        LBFGS().minimize_step(lambda: (loss, np.full(1, gradient)), np.zeros(1))


def test_a_gradient_of_another_shape_is_an_error() -> None:
    with pytest.raises(
        ShapeError, match=re.escape("LBFGS: gradient has shape (2,), but parameters have (1,)")
    ):
        LBFGS().minimize_step(lambda: (0.0, np.zeros(2)), np.zeros(1))


@pytest.mark.parametrize(
    ("parameters", "error", "given"),
    [
        (np.ones(4), ShapeError, "4 of float64"),
        (np.ones(3, np.float32), DTypeError, "3 of float32"),
    ],
)
def test_one_optimizer_is_not_for_two_networks(
    parameters: Vector, error: type[Exception], given: str
) -> None:
    problem, optimizer = Problem(quadratic, np.zeros(3)), LBFGS()
    optimizer.minimize_step(problem, problem.parameters)
    message = (
        f"LBFGS: the history belongs to 3 parameters of float64, but got {given}: "
        f"use one optimizer for each network, or reset() it"
    )
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        optimizer.minimize_step(problem, parameters)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"status": "asleep"},
            "LBFGS: the state's 'status' is 'asleep', but must be one of "
            "('running', 'gradient is zero', 'change is small', 'no descent')",
        ),
        (
            {"position_changes": None},
            "LBFGS: the state's 'position_changes' is 'NoneType', but must be a matrix",
        ),
        (
            {"position_changes": np.zeros((11, 3))},
            "LBFGS: the state's history is 11, but must be at most 10 long",
        ),
        (
            {"gradient_changes": np.zeros((1, 2))},
            "LBFGS: the state's 'gradient_changes' is 'float64 of shape (1, 2)', "
            "but must be float64 of shape (0, 0)",
        ),
        (
            {"more": 1},
            "LBFGS: state has the entries ['gradient_changes', 'more', 'position_changes', "
            "'status'], but must have ['gradient_changes', 'position_changes', 'status']",
        ),
    ],
)
def test_a_foreign_state_is_refused(changed: dict[str, Any], message: str) -> None:
    optimizer = LBFGS()
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        optimizer.load_state_dict({**optimizer.state_dict(), **changed})
