"""Every optimizer follows PyTorch's, update by update."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from typegrad.optimizers import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    AdamW,
    NAdam,
    Optimizer,
    RAdam,
    RMSProp,
)
from typegrad.types import FloatDType, Vector

SIZE = 12
RATE = 0.01
THEIR_NAMES = {"epsilon": "eps", "learning_rate": "lr"}


class Row(NamedTuple):
    """Two factories of the same optimizer; PyTorch's takes a list of parameters."""

    name: str
    ours: Callable[[], Optimizer]
    theirs: Callable[[Any], torch.optim.Optimizer]


def row(name: str, ours: Any, theirs: Any, /, **options: Any) -> Row:
    """Give both the same options."""
    their_options = {THEIR_NAMES.get(key, key): value for key, value in options.items()}
    return Row(name, partial(ours, RATE, **options), partial(theirs, lr=RATE, **their_options))


ROWS = [
    row("sgd", SGD, torch.optim.SGD),
    row("sgd-decay", SGD, torch.optim.SGD, weight_decay=0.1),
    row("sgd-momentum", SGD, torch.optim.SGD, momentum=0.9),
    row("sgd-nesterov-decay", SGD, torch.optim.SGD, momentum=0.8, nesterov=True, weight_decay=0.1),
    row("rmsprop", RMSProp, torch.optim.RMSprop),
    row("rmsprop-centered", RMSProp, torch.optim.RMSprop, centered=True, alpha=0.9),
    row("rmsprop-momentum", RMSProp, torch.optim.RMSprop, momentum=0.9, epsilon=1e-4),
    row("rmsprop-all", RMSProp, torch.optim.RMSprop, centered=True, momentum=0.5, weight_decay=0.1),
    row("adagrad", Adagrad, torch.optim.Adagrad),
    row(
        "adagrad-decay",
        Adagrad,
        torch.optim.Adagrad,
        initial_accumulator_value=0.1,
        weight_decay=0.1,
        epsilon=1e-3,
    ),
    row("adadelta", Adadelta, torch.optim.Adadelta),
    row("adadelta-decay", Adadelta, torch.optim.Adadelta, rho=0.95, epsilon=1e-4, weight_decay=0.1),
    row("adam", Adam, torch.optim.Adam),
    row("adam-decay", Adam, torch.optim.Adam, weight_decay=0.1, betas=(0.8, 0.9), epsilon=1e-3),
    row("adam-amsgrad", Adam, torch.optim.Adam, amsgrad=True, betas=(0.5, 0.7)),
    row("adamw", AdamW, torch.optim.AdamW),
    row("adamw-amsgrad", AdamW, torch.optim.AdamW, weight_decay=0.3, amsgrad=True),
    row("nadam", NAdam, torch.optim.NAdam),
    row("nadam-decay", NAdam, torch.optim.NAdam, momentum_decay=0.1, weight_decay=0.1),
    row("radam", RAdam, torch.optim.RAdam),
    row("radam-decay", RAdam, torch.optim.RAdam, betas=(0.8, 0.9), weight_decay=0.1),
    row("radam-short-memory", RAdam, torch.optim.RAdam, betas=(0.8, 0.5)),
]
each_row = pytest.mark.parametrize("optimizers", ROWS, ids=[each.name for each in ROWS])


@pytest.fixture(autouse=True)
def double_precision_scalars() -> Iterator[None]:
    """PyTorch keeps NAdam's scalars in its default dtype."""
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    yield
    torch.set_default_dtype(default)


Gradient = Callable[[Vector, int], Vector]


def random_gradient(parameters: Vector, step: int) -> Vector:
    gradient = np.random.default_rng(step).normal(size=parameters.size)
    gradient[:3] *= (1e-4, 0.0, 1e3)
    return gradient.astype(parameters.dtype)


def quadratic_gradient(parameters: Vector, step: int) -> Vector:
    scales = np.linspace(0.1, 10.0, parameters.size, dtype=parameters.dtype)
    return scales * (parameters - parameters.dtype.type(0.5))


def rosenbrock_gradient(parameters: Vector, step: int) -> Vector:
    x, following = parameters[:-1], parameters[1:]
    gradient = np.zeros_like(parameters)
    gradient[:-1] = -400.0 * x * (following - x * x) - 2.0 * (1.0 - x)
    gradient[1:] += 200.0 * (following - x * x)
    return gradient * parameters.dtype.type(0.01)


def start(dtype: FloatDType) -> Vector:
    return np.random.default_rng(7).normal(size=SIZE).astype(dtype)


def follow(optimizers: Row, gradient: Gradient, steps: int, dtype: FloatDType) -> float:
    """Return the largest relative difference; both get the gradient at our parameters."""
    parameters = start(dtype)
    theirs = torch.nn.Parameter(torch.tensor(parameters))
    ours, other = optimizers.ours(), optimizers.theirs([theirs])
    worst = 0.0
    for step in range(1, steps + 1):
        slope = gradient(parameters, step)
        ours.step(parameters, slope)
        theirs.grad = torch.tensor(slope)
        other.step()
        scale = np.maximum(np.abs(parameters), 1e-2)
        difference = np.abs(parameters - theirs.detach().numpy()) / scale
        worst = max(worst, float(difference.max()))
    assert parameters.dtype == dtype
    assert all(value.dtype == dtype for value in ours.state.values())
    assert not np.array_equal(parameters, start(dtype))
    return worst


@each_row
@pytest.mark.parametrize("gradient", [random_gradient, quadratic_gradient, rosenbrock_gradient])
def test_twenty_steps_equal_pytorch_in_float64(optimizers: Row, gradient: Gradient) -> None:
    assert follow(optimizers, gradient, 20, np.dtype(np.float64)) < 1e-12


@each_row
def test_two_hundred_steps_equal_pytorch_in_float64(optimizers: Row) -> None:
    assert follow(optimizers, random_gradient, 200, np.dtype(np.float64)) < 1e-12


@each_row
def test_twenty_steps_equal_pytorch_in_float32(optimizers: Row) -> None:
    assert follow(optimizers, random_gradient, 20, np.dtype(np.float32)) < 1e-5


def test_nadam_goes_on_after_its_momentum_product_has_vanished() -> None:
    options = {"betas": (0.1, 0.9)}
    optimizers = row("nadam", NAdam, torch.optim.NAdam, **options)
    assert follow(optimizers, random_gradient, 50, np.dtype(np.float64)) < 1e-12


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (SGD, torch.optim.SGD),
        (RMSProp, torch.optim.RMSprop),
        (Adagrad, torch.optim.Adagrad),
        (Adadelta, torch.optim.Adadelta),
        (Adam, torch.optim.Adam),
        (AdamW, torch.optim.AdamW),
        (NAdam, torch.optim.NAdam),
        (RAdam, torch.optim.RAdam),
    ],
)
def test_defaults_are_pytorchs_but_for_the_rate_of_sgd(ours: Any, theirs: Any) -> None:
    defaults = theirs([torch.nn.Parameter(torch.zeros(1))]).defaults
    options = ours().config()
    del options["class"]
    rate = options.pop("learning_rate")
    assert rate == (0.01 if ours is SGD else defaults["lr"])
    for name, value in options.items():
        expected = defaults[THEIR_NAMES.get(name, name)]
        assert value == (list(expected) if isinstance(expected, tuple) else expected), name
