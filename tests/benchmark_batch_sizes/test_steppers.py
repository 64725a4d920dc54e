"""Engines and contestants take the same steps."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

import typegrad as tg
from typegrad.benchmark import steppers
from typegrad.benchmark.jax_stepper import JaxStepper
from typegrad.benchmark.problem import Problem, prepare_problem
from typegrad.benchmark.steppers import EngineStepper, check_engines, make_stepper, peak_bytes
from typegrad.benchmark.torch_stepper import TorchStepper
from typegrad.errors import MissingExtraError
from typegrad.types import AnyArray

RATE = 0.05
ROWS = 60


def problem(
    optimizer: tg.Optimizer,
    *layers: Any,
    loss: tg.Loss | None = None,
    dtype: str = "float32",
    weights: AnyArray | None = None,
) -> Problem:
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(ROWS, 3)), 2.0 * generator.normal(size=(ROWS, 1))

    def build(seed: int) -> tg.NeuralNetwork:
        made = [layer() for layer in layers]
        return tg.NeuralNetwork(*made, loss=loss or tg.MSELoss(), seed=seed, dtype=dtype)

    return prepare_problem(build, optimizer, x, y, validation_data=(x, y), sample_weight=weights)


def dense(activation: Any = None, *, bias: bool = True) -> Any:
    return lambda: tg.Dense(3, 4, activation, bias=bias)


def last() -> tg.Dense:
    return tg.Dense(4, 1)


OPTIMIZERS = [
    tg.SGD(RATE),
    tg.SGD(RATE, momentum=0.9, weight_decay=0.1),
    tg.SGD(RATE, momentum=0.9, nesterov=True),
    tg.Adam(RATE, betas=(0.8, 0.95), epsilon=1e-6),
    tg.Adam(RATE, weight_decay=0.1),
    tg.AdamW(RATE, weight_decay=0.1),
]
ACTIVATIONS = [
    "relu", "selu", "sigmoid", "silu", "softplus", "tanh", "gelu", tg.GELU("tanh"),
    tg.ELU(0.7), tg.LeakyReLU(0.2),
]  # fmt: skip


def compare(given: Problem, kind: Any) -> None:
    mine = EngineStepper(given, "eager", RATE)
    theirs = kind(given, RATE)
    rows = np.random.default_rng(1).permutation(ROWS)
    for stepper in (mine, theirs):
        stepper.run(rows, 16)
    expected = mine.network.parameters.values()
    for parameter, value in zip(expected, theirs.weights(), strict=True):
        np.testing.assert_allclose(value, parameter.value, rtol=2e-4, atol=2e-6)
    start = given.build_network(0).flat.values
    assert not np.allclose(mine.network.flat.values, start, atol=1e-3)


@pytest.mark.parametrize("kind", [TorchStepper, JaxStepper])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
def test_optimizers(kind: Any, optimizer: tg.Optimizer) -> None:
    compare(problem(optimizer, dense("tanh"), last), kind)


@pytest.mark.parametrize("kind", [TorchStepper, JaxStepper])
@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
def test_activations(kind: Any, activation: Any) -> None:
    compare(problem(tg.SGD(RATE), dense(activation), last), kind)


@pytest.mark.parametrize("kind", [TorchStepper, JaxStepper])
@pytest.mark.parametrize("loss", [tg.MAELoss(), tg.HuberLoss(0.5)], ids=str)
def test_losses(kind: Any, loss: tg.Loss) -> None:
    compare(problem(tg.SGD(RATE), dense("tanh"), last, loss=loss), kind)


@pytest.mark.parametrize("kind", [TorchStepper, JaxStepper])
def test_activations_as_layers_and_layers_without_bias(kind: Any) -> None:
    compare(problem(tg.SGD(RATE), dense(bias=False), tg.Tanh, last), kind)


def test_torch_in_float64() -> None:
    compare(problem(tg.AdamW(RATE), dense("tanh"), last, dtype="float64"), TorchStepper)


@pytest.mark.parametrize("name", ["auto", "eager", "planned"])
def test_a_rate_of_zero_changes_no_weight(name: str) -> None:
    given = problem(tg.AdamW(RATE), dense("tanh"), last)
    stepper = make_stepper(given, name)
    assert isinstance(stepper, EngineStepper)
    before = stepper.network.flat.values.copy()
    stepper.run(np.arange(ROWS), 16)
    np.testing.assert_array_equal(stepper.network.flat.values, before)
    assert stepper.name == ("compiled" if name == "auto" else name)


def test_contestants_by_name() -> None:
    given = problem(tg.SGD(RATE), dense("tanh"), last)
    assert isinstance(make_stepper(given, "torch"), TorchStepper)
    assert isinstance(make_stepper(given, "jax"), JaxStepper)


REFUSED = [
    (tg.SGD(RATE), (dense("tanh"), lambda: tg.Dropout(0.5), last), None, "layer 1, Dropout(0.5); "
     "it can do Dense layers and activations: leave 'torch' out of the engines"),
    (tg.SGD(RATE), (dense("softmax"), last), None, "the activation Softmax(axis=-1): leave"),
    (tg.Lion(RATE), (dense(), last), None, "the optimizer Lion(learning_rate=0.05, "),
    (tg.Adam(RATE, amsgrad=True), (dense(), last), None, "it can do SGD, Adam, AdamW (no amsgrad)"),
    (tg.SGD(RATE), (dense(), last), tg.LogCoshLoss(), "the loss LogCoshLoss(); it can do MSELoss, "
     "MAELoss, HuberLoss: leave"),
]  # fmt: skip


@pytest.mark.parametrize(("optimizer", "layers", "loss", "message"), REFUSED)
def test_what_has_no_counterpart_is_named(
    optimizer: tg.Optimizer, layers: Any, loss: tg.Loss | None, message: str
) -> None:
    with pytest.raises(TypeError, match="engine 'torch' has no counterpart of ") as caught:
        make_stepper(problem(optimizer, *layers, loss=loss), "torch")
    assert message in str(caught.value)


def test_contestants_know_no_sample_weights() -> None:
    weighted = problem(tg.SGD(RATE), dense(), last, weights=np.arange(ROWS) + 1.0)
    with pytest.raises(TypeError, match="engine 'jax' has no counterpart of sample_weight"):
        make_stepper(weighted, "jax")


def test_jax_knows_no_float64() -> None:
    with pytest.raises(TypeError, match="engine 'jax' computes in float32, and the network is fl"):
        make_stepper(problem(tg.SGD(RATE), dense(), last, dtype="float64"), "jax")


def test_a_contestants_loss_that_is_not_finite_is_told() -> None:
    given = problem(tg.SGD(RATE), dense(), last)
    given.training.targets[0] = np.inf
    for name in ("torch", "jax"):
        with pytest.raises(FloatingPointError, match="loss is not finite"):
            make_stepper(given, name).run(np.arange(ROWS), 16)


def test_unknown_engines() -> None:
    with pytest.raises(ValueError, match="there is no engine 'numpy'; expected some of 'auto', "):
        check_engines(["auto", "numpy"])
    with pytest.raises(ValueError, match="engine 'auto' is given twice"):
        check_engines(["auto", "auto"])
    with pytest.raises(ValueError, match="engines is empty; expected at least one name"):
        check_engines([])
    with pytest.raises(ValueError, match="engines is 'auto'; expected several names"):
        check_engines("auto")


def test_a_contestant_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steppers, "find_spec", lambda name: None if name == "jax" else find_spec)
    assert check_engines(["auto", "torch"]) == ("auto", "torch")
    with pytest.raises(MissingExtraError, match="engine 'jax' needs jax, which is not installed"):
        check_engines(["auto", "jax"])


def test_memory_grows_with_the_batch() -> None:
    given = problem(tg.AdamW(RATE), dense("tanh"), last)
    small, large = peak_bytes(given, "planned", 1), peak_bytes(given, "planned", 60)
    assert small is not None
    assert large is not None
    assert 0 < small < large
    assert peak_bytes(given, "torch", 1) is None
