"""Per-example gradients and their norms, against a loop over examples."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import typegrad as tg
from typegrad.per_example import per_example_gradient_norms, per_example_gradients
from typegrad.types import Array

rng = np.random.default_rng(0)


def build(*layers: Any, loss: Any = None, dtype: npt.DTypeLike = np.float64) -> tg.NeuralNetwork:
    loss = tg.MSELoss() if loss is None else loss
    return tg.NeuralNetwork(*layers, loss=loss, seed=0, dtype=dtype)


NETWORKS: dict[str, Any] = {
    "one layer": lambda: build(tg.Dense(3, 2)),
    "without bias": lambda: build(tg.Dense(3, 4, "tanh", bias=False), tg.Dense(4, 2)),
    "three layers": lambda: build(
        tg.Dense(3, 5, "relu"), tg.Dense(5, 4), tg.Tanh(), tg.Dense(4, 2)
    ),
    "other loss": lambda: build(tg.Dense(3, 5, "gelu"), tg.Dense(5, 2), loss=tg.HuberLoss()),
    "softmax inside": lambda: build(tg.Dense(3, 5, "softmax"), tg.Dense(5, 2)),
    "flattened": lambda: build(tg.Flatten(), tg.Dense(3, 2)),
}


def loop(network: tg.NeuralNetwork, x: Array, y: Array) -> dict[str, Array]:
    found: dict[str, list[Array]] = {name: [] for name in network.parameters}
    for row, target in zip(x, y, strict=True):
        network.zero_grad()
        network.loss.forward(network.forward(row[None]), target[None])
        network.backward(network.loss.backward())
        for name, parameter in network.parameters.items():
            found[name].append(parameter.grad.copy())
    network.zero_grad()
    return {name: np.stack(grads) for name, grads in found.items()}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("rows", [1, 7])
def test_gradients_and_norms_are_those_of_a_loop(name: str, rows: int) -> None:
    network = NETWORKS[name]()
    x, y = rng.normal(size=(rows, 3)), rng.normal(size=(rows, 2))
    expected = loop(network, x, y)
    gradients = per_example_gradients(network, x, y)
    assert list(gradients) == list(network.parameters)
    squares = np.zeros(rows)
    for parameter, grads in expected.items():
        np.testing.assert_allclose(gradients[parameter], grads, rtol=1e-10, atol=1e-14)
        squares += np.sum(grads**2, axis=tuple(range(1, grads.ndim)))
    norms = per_example_gradient_norms(network, x, y)
    np.testing.assert_allclose(norms, np.sqrt(squares), rtol=1e-10)


def test_their_mean_is_the_gradient_of_the_loss() -> None:
    network = NETWORKS["three layers"]()
    x, y = rng.normal(size=(9, 3)), rng.normal(size=(9, 2))
    network.loss.forward(network.forward(x), y)
    network.backward(network.loss.backward())
    for name, grads in per_example_gradients(network, x, y).items():
        np.testing.assert_allclose(
            np.mean(grads, axis=0), network.parameters[name].grad, rtol=1e-10, atol=1e-14
        )


def test_nothing_of_the_network_changes() -> None:
    network = NETWORKS["three layers"]()
    x, y = rng.normal(size=(4, 3)), rng.normal(size=(4, 2))
    network.loss.forward(network.forward(x), y)
    per_example_gradients(network, x[:2], y[:2])
    per_example_gradient_norms(network, x[:2], y[:2])
    assert not network.flat.grads.any()
    assert network.loss.backward().shape == (4, 2)
    assert network.backward(network.loss.backward()).shape == (4, 3)


def test_single_precision_stays() -> None:
    network = build(tg.Dense(3, 2), dtype=np.float32)
    x, y = np.ones((4, 3), np.float32), np.ones((4, 2), np.float32)
    assert per_example_gradients(network, x, y)["0.weight"].dtype == np.float32
    assert per_example_gradient_norms(network, x, y).dtype == np.float32


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (tg.BatchNorm(3), "BatchNorm(3)"),
        (tg.LayerNorm(3), "LayerNorm(3)"),
        (tg.Dropout(0.5), "Dropout(0.5)"),
        (tg.Residual(tg.Dense(3, 3)), "Residual(Dense(3, 3))"),
        (tg.Softmax(axis=0), "Activation(Softmax(axis=0))"),
    ],
)
def test_other_layers_are_refused(layer: Any, text: str) -> None:
    network = build(layer, tg.Dense(3, 2))
    with pytest.raises(TypeError) as error:
        per_example_gradients(network, np.ones((4, 3)), np.ones((4, 2)))
    assert str(error.value) == (
        f"per-example gradients: {text} is not supported; "
        "expected Dense layers and element-wise activations"
    )


def test_inputs_that_do_not_fit() -> None:
    network = build(tg.Dense(3, 2))
    with pytest.raises(tg.ShapeError, match=r"it expects \(batch, 3\)"):
        per_example_gradient_norms(network, np.ones((4, 2)), np.ones((4, 2)))
