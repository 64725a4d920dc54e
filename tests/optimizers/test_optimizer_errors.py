"""What step-by-step optimizers say about faulty hooks, options, arrays and states."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from typegrad.errors import DTypeError, ShapeError
from typegrad.optimizers import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    AdamW,
    BaseOptimizer,
    Lion,
    NAdam,
    Optimizer,
    RMSProp,
    optimizer_from_config,
)
from typegrad.schedules import CosineSchedule
from typegrad.types import Vector


@dataclass(frozen=True)
class Faulty(Optimizer):
    fault: str = "none"

    def init(self, parameters: Vector) -> dict[str, Vector]:
        size = 1 if self.fault == "init" else parameters.size
        return {"a": np.zeros(size, parameters.dtype)}

    def update(
        self,
        parameters: Vector,
        gradient: Vector,
        state: dict[str, Vector],
        learning_rate: float,
        step: int,
    ) -> tuple[Vector, dict[str, Vector]]:
        if self.fault == "in place":
            parameters -= gradient
        if self.fault == "names":
            return parameters - gradient, {"b": gradient}
        if self.fault == "dtype":
            return parameters - np.float64(1.0) * gradient, state
        if self.fault == "state":
            return parameters - gradient, {"a": gradient[:2]}
        return parameters - gradient, state


@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        ("init", ShapeError, "Faulty: init's state 'a' has shape (1,), but parameters have (3,)"),
        ("in place", ValueError, "output array is read-only"),
        (
            "names",
            ValueError,
            "Faulty: update's new state has the entries ['b'], but must have ['a']",
        ),
        (
            "dtype",
            DTypeError,
            "Faulty: update's new parameters is float64, but parameters are float32",
        ),
        (
            "state",
            ShapeError,
            "Faulty: update's new state 'a' has shape (2,), but parameters have (3,)",
        ),
    ],
)
def test_a_faulty_hook_is_named_and_changes_nothing(
    fault: str, error: type[Exception], message: str
) -> None:
    parameters = np.ones(3, np.float32)
    optimizer = Faulty(0.1, fault=fault)
    with pytest.raises(error, match=re.escape(message)):
        optimizer.step(parameters, np.ones(3, np.float32))
    assert parameters.tolist() == [1.0, 1.0, 1.0]
    assert optimizer.steps == 0


WRONG_TYPE: list[Any] = ["0.1", 1, 0.9]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(-0.1), "SGD: learning_rate is -0.1, but must be a number in [0, inf)"),
        (
            lambda: SGD(math.nan),
            "SGD: learning_rate is nan, but must be a number in [0, inf)",
        ),
        (
            lambda: Adam(WRONG_TYPE[0]),
            "Adam: learning_rate is '0.1', but must be a number in [0, inf)",
        ),
        (
            lambda: SGD(weight_decay=-1.0),
            "SGD: weight_decay is -1.0, but must be a number in [0, inf)",
        ),
        (lambda: SGD(momentum=1.0), "SGD: momentum is 1.0, but must be a number in [0, 1)"),
        (
            lambda: SGD(nesterov=True),
            "SGD: momentum is 0.0, but must be positive with nesterov=True",
        ),
        (
            lambda: SGD(nesterov=WRONG_TYPE[1]),
            "SGD: nesterov is 1, but must be True or False",
        ),
        (
            lambda: Adam(betas=(0.9, 1.0)),
            "Adam: betas[1] is 1.0, but must be a number in [0, 1)",
        ),
        (
            lambda: AdamW(betas=WRONG_TYPE[2]),
            "AdamW: betas is 0.9, but must be a pair of numbers",
        ),
        (
            lambda: Lion(betas=(-0.5, 0.9)),
            "Lion: betas[0] is -0.5, but must be a number in [0, 1)",
        ),
        (lambda: Adam(epsilon=-1e-8), "Adam: epsilon is -1e-08, but must be a number in [0, inf)"),
        (
            lambda: NAdam(momentum_decay=-1.0),
            "NAdam: momentum_decay is -1.0, but must be a number in [0, inf)",
        ),
        (lambda: RMSProp(alpha=2.0), "RMSProp: alpha is 2.0, but must be a number in [0, 1)"),
        (lambda: Adadelta(rho=True), "Adadelta: rho is True, but must be a number in [0, 1)"),
        (
            lambda: Adagrad(initial_accumulator_value=-1),
            "Adagrad: initial_accumulator_value is -1, but must be a number in [0, inf)",
        ),
        (
            lambda: SGD().step(np.ones(1), np.ones(1), -1.0),
            "SGD: learning_rate is -1.0, but must be a number in [0, inf)",
        ),
        (
            lambda: SGD(CosineSchedule(0.1)).step(np.ones(1), np.ones(1)),
            "SGD has a CosineSchedule, which needs to know how many steps there will be: give "
            "each step its rate, from rates(start, stop, total_steps)",
        ),
        (
            lambda: optimizer_from_config({"class": "Adm"}),
            "there is no optimizer 'Adm'; there are ",
        ),
        (
            lambda: optimizer_from_config({"class": "Adam", "beta": 0.9}),
            "Adam has no option 'beta'; its options are learning_rate, weight_decay, betas, "
            "epsilon, amsgrad",
        ),
        (
            lambda: optimizer_from_config({"class": "Faulty"}),
            "Faulty: option 'learning_rate' is missing",
        ),
    ],
)
def test_a_bad_option_is_named(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


def read_only() -> Vector:
    parameters = np.ones(3)
    parameters.flags.writeable = False
    return parameters


@pytest.mark.parametrize(
    ("parameters", "gradient", "error", "message"),
    [
        (
            [1.0],
            np.ones(1),
            DTypeError,
            "SGD: parameters must be an array of float32 or float64, not list",
        ),
        (
            np.ones(3, np.int64),
            np.ones(3),
            DTypeError,
            "SGD: parameters must be an array of float32 or float64, not int64",
        ),
        (
            np.ones((2, 2)),
            np.ones((2, 2)),
            ShapeError,
            "SGD: parameters must be one flat vector, not of shape (2, 2): "
            "give the buffer that all parameters are views into",
        ),
        (
            read_only(),
            np.ones(3),
            ValueError,
            "SGD: parameters are read-only, but are updated in place: give a copy",
        ),
        (np.ones(3), [1.0], DTypeError, "SGD: gradient must be an array, not list"),
        (
            np.ones(3),
            np.ones(1),
            ShapeError,
            "SGD: gradient has shape (1,), but parameters have (3,)",
        ),
        (
            np.ones(3),
            np.ones(3, np.float32),
            DTypeError,
            "SGD: gradient is float32, but parameters are float64",
        ),
    ],
)
def test_bad_arrays_are_named(
    parameters: Vector, gradient: Vector, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        SGD().step(parameters, gradient)


def test_a_mask_of_another_shape_is_refused() -> None:
    with pytest.raises(
        ShapeError, match=re.escape("SGD: decay_mask has shape (1,), but parameters have (3,)")
    ):
        SGD(weight_decay=0.1).step(np.ones(3), np.ones(3), decay_mask=np.ones(1))


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
    optimizer = Adam()
    optimizer.step(np.ones(3), np.ones(3))
    message = (
        f"Adam: state 'mean' belongs to 3 parameters of float64, but got {given}: "
        f"use one optimizer for each network, or reset() it"
    )
    with pytest.raises(error, match=re.escape(message)):
        optimizer.step(parameters, parameters)


@pytest.mark.parametrize(
    ("state", "error", "message"),
    [
        (
            {"velocity": np.zeros(3)},
            ValueError,
            "SGD: the state's 'steps' is None, but must be a whole number, not negative",
        ),
        (
            {"steps": 1, "mean": np.zeros(3)},
            ValueError,
            "SGD: state has the entries ['mean'], but must have ['velocity']",
        ),
        ({"steps": 1}, ValueError, "SGD: state has the entries [], but must have ['velocity']"),
        (
            {"steps": 1, "velocity": np.zeros(4)},
            ShapeError,
            "SGD: state 'velocity' has shape (4,), but parameters have (3,)",
        ),
        (
            {"steps": 1, "velocity": np.zeros(3, np.float32)},
            DTypeError,
            "SGD: state 'velocity' is float32, but parameters are float64",
        ),
        (
            {"steps": 1, "velocity": "zero"},
            DTypeError,
            "SGD: state 'velocity' must be an array, not str",
        ),
        (
            {"steps": 1, "velocity": np.zeros(3), "schedule.best": 1.0},
            ValueError,
            "SGD: state has the entries ['best'], but must have []",
        ),
    ],
)
def test_a_foreign_state_is_refused_and_changes_nothing(
    state: dict[str, Vector | int], error: type[Exception], message: str
) -> None:
    optimizer = SGD(0.1, momentum=0.9)
    optimizer.step(np.ones(3), np.ones(3))
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        optimizer.load_state_dict(state)
    assert optimizer.steps == 1
    assert optimizer.state["velocity"].tolist() == [1.0, 1.0, 1.0]


def test_a_state_of_the_wrong_size_is_refused_when_parameters_come() -> None:
    optimizer = SGD(0.1, momentum=0.9)
    optimizer.load_state_dict({"steps": 1, "velocity": np.zeros(4)})
    with pytest.raises(ShapeError, match="belongs to 4 parameters of float64, but got 3"):
        optimizer.step(np.ones(3), np.ones(3))


def test_a_matrix_is_no_state() -> None:
    with pytest.raises(ShapeError, match=re.escape("has shape (2, 2), but parameters have (1,)")):
        SGD(0.1, momentum=0.9).load_state_dict({"steps": 1, "velocity": np.zeros((2, 2))})


def test_two_classes_of_one_name_are_refused() -> None:
    twins = [type("Twin", (SGD,), {"__module__": module}) for module in ("here", "there")]
    with pytest.raises(ValueError, match=r"^optimizer 'Twin' is defined in here and there: rename"):
        optimizer_from_config({"class": "Twin"})
    assert all(issubclass(twin, BaseOptimizer) for twin in twins)


def test_a_class_that_was_defined_again_replaces_the_first() -> None:
    again = [type("Again", (SGD,), {"__module__": "notebook"}) for _ in range(2)]
    assert type(optimizer_from_config({"class": "Again"})) is again[-1]
