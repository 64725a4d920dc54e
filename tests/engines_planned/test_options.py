"""What counts as a change of a layer's or an operation's attributes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import typegrad as tg
from typegrad.engines.planned_options import Options


def start() -> tuple[tg.NeuralNetwork, Any, Options]:
    layer: Any = tg.Dropout(0.5)
    layer.gone = None
    layer.table = np.arange(3.0)
    layer.names = ["a", ("b", {"c": 1})]
    layer.groups = ([1, 2], [3])
    network = tg.NeuralNetwork(tg.Dense(2, 3), layer, tg.Dense(3, 1), loss=tg.MSELoss())
    options = Options(network)
    options.remember(())
    return network, layer, options


def rename(layer: Any) -> None:
    del layer.gone
    layer.other = None


CHANGES: dict[str, Callable[[Any], Any]] = {
    "a number": lambda layer: setattr(layer, "rate", 0.25),
    "a new attribute": lambda layer: setattr(layer, "new", None),
    "another name": rename,
    "a number of an array": lambda layer: layer.table.__setitem__(1, 7.0),
    "another array": lambda layer: setattr(layer, "table", np.arange(4.0)),
    "an element": lambda layer: layer.names.append("d"),
    "an element of another list": lambda layer: layer.groups[1].insert(0, layer.groups[0].pop()),
    "an element within": lambda layer: layer.names[1][1].update(c=2),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_changes_are_seen(change: Callable[[Any], Any]) -> None:
    network, layer, options = start()
    assert not options.changed()
    change(layer)
    assert options.changed()
    del network


def test_equal_values_are_no_change() -> None:
    network, layer, options = start()
    layer.rate = float("0.5")
    layer.table = np.arange(3.0)
    layer.names = ["a", ("b", {"c": 1})]
    assert not options.changed()
    layer.names.append("d")
    assert options.changed()
    network.flat.values[...] = 1.0


def test_parameters_are_no_options() -> None:
    network, _, options = start()
    network.flat.values[...] = 1.0
    assert not options.changed()
