"""The search for the operation whose result is the first that is not finite."""

from __future__ import annotations

import numpy as np

import typegrad as tg
from typegrad.engines.diagnosis import describe_first_nonfinite
from typegrad.types import Array


def make_network(*layers: tg.Layer) -> tg.NeuralNetwork:
    return tg.NeuralNetwork(*layers, loss=tg.MSELoss(), seed=0, dtype=np.float64)


def describe(network: tg.NeuralNetwork, x: Array) -> str | None:
    def run() -> None:
        loss = network.loss
        loss.forward(network.forward(x), np.zeros((len(x), 1)))
        network.backward(loss.backward())

    return describe_first_nonfinite(network, run)


def test_nothing_found() -> None:
    assert describe(make_network(tg.Dense(2, 1)), np.ones((3, 2))) is None


def test_the_first_of_all_is_named() -> None:
    """Everything after it has infinity or NaN as well."""
    network = make_network(
        tg.Dense(2, 2, bias=False), tg.Residual(tg.Dense(2, 2), tg.LayerNorm(2)), tg.Dense(2, 1)
    )
    network.parameters["0.weight"].value[...] = 1e200
    found = describe(network, np.full((3, 2), 1e150))
    assert found is not None
    assert found.startswith("the output of ")
    assert " in layer 0, Dense(2, 2" in found
    assert " has infinity; the largest number it got is 1e+200. " in found


def test_operations_within_layers_within_layers() -> None:
    network = make_network(tg.Residual(tg.Residual(tg.Dense(2, 2))), tg.Dense(2, 1))
    name = next(name for name in network.parameters if name.endswith("weight"))
    network.parameters[name].value[...] = 1e200
    found = describe(network, np.full((3, 2), 1e150))
    assert found is not None
    assert " in layer 0, Residual(Residual(Dense(2, 2)))" in found


def test_infinity_on_the_way_is_no_fault_where_the_results_are_finite() -> None:
    """A number that is not finite inside a formula is the formula's own business."""

    class Saturating(tg.operations.ElementwiseOperation):
        def output(self, x: Array) -> Array:
            return 1.0 / (1.0 + np.exp(-x))

        def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
            return output_grad * y * (1.0 - y)

    network = tg.NeuralNetwork(Saturating(), loss=tg.MSELoss(), dtype=np.float64)
    assert describe(network, np.full((3, 1), -1e6)) is None


def test_nothing_listens_afterwards() -> None:
    network = make_network(tg.Dense(2, 1))
    network.parameters["0.weight"].value[...] = 1e308
    assert describe(network, np.full((3, 2), 10.0)) is not None
    with np.errstate(all="ignore"):
        assert np.isinf(network.forward(np.full((3, 2), 10.0))).all()
