"""Right models of many shapes; nobody may complain."""

from __future__ import annotations

from typing import Literal, assert_type

import numpy as np
from typing_extensions import TypeVar

import typegrad as tg
from typegrad.types import Array

In = TypeVar("In")
Mid = TypeVar("Mid")
Out = TypeVar("Out")
Width = TypeVar("Width", bound=tg.Size)


class Rooms(tg.Dim):
    size = 13


class Hidden(tg.Dim):
    size = 4 * Rooms.size


def widths_are_part_of_the_type() -> None:
    assert_type(tg.Dense(13, 32), tg.Dense[Literal[13], Literal[32]])
    assert_type(tg.Dense(Rooms, Hidden), tg.Dense[Rooms, Hidden])
    assert_type(tg.Dense(Rooms, 1, "tanh"), tg.Dense[Rooms, Literal[1]])
    assert_type(tg.BatchNorm(32), tg.BatchNorm[Literal[32]])
    chain = tg.Tanh() >> tg.Dense(3, 1)
    assert_type(chain, tg.Chain[Literal[3], Literal[1]])


def composition_carries_widths() -> None:
    model = tg.Dense(13, 32) >> tg.Tanh() >> tg.Dropout(0.2) >> tg.Dense(32, 1)
    # E[pyrefly]
    layer: tg.Layer[Literal[13], Literal[1]] = model
    assert (layer.in_features, layer.out_features) == (13, 1)
    tg.NeuralNetwork(model, loss=tg.MSELoss())


def activations_in_a_row() -> None:
    assert len((tg.Tanh() >> tg.Sigmoid() >> tg.Dense(3, 1)).layers) == 3
    assert len((tg.Dense(3, 2) >> tg.Sigmoid() >> tg.Softplus()).layers) == 3
    assert len((tg.Dropout(0.1) >> tg.Tanh() >> tg.Dropout(0.1)).layers) == 3
    assert len((tg.ReLU() >> tg.Dropout(0.1) >> tg.Dense(3, 1)).layers) == 3


def parts_built_beforehand() -> None:
    body = tg.Dense(13, 32) >> tg.ReLU() >> tg.Dense(32, 16)
    head = tg.ReLU() >> tg.Dense(16, 1)
    tg.NeuralNetwork(body >> head, loss=tg.MSELoss())


def residual_blocks() -> None:
    block = tg.Residual(tg.Dense(32, 64) >> tg.ReLU() >> tg.Dense(64, 32))
    other = tg.Residual(tg.Dense(32, 16), tg.ReLU(), tg.Dense(16, 32))
    tg.NeuralNetwork(
        tg.Dense(13, 32) >> block >> other >> tg.Residual(tg.Tanh()) >> tg.Dense(32, 1),
        loss=tg.MSELoss(),
    )


def embeddings() -> None:
    tg.NeuralNetwork([tg.Embedding(50, 5), tg.Flatten(), tg.Dense(20, 1)], loss=tg.MSELoss())
    tg.NeuralNetwork(tg.Embedding(50, 5) >> tg.Dense(5, 1), loss=tg.MSELoss())
    columns = tg.ColumnEmbedding(8, {0: 12}, 4)
    tg.NeuralNetwork(tg.BatchNorm(8) >> columns >> tg.Dense(11, 1), loss=tg.MSELoss())


def named_widths() -> None:
    tg.NeuralNetwork(
        tg.Dense(Rooms, Hidden) >> tg.BatchNorm(Hidden) >> tg.ReLU() >> tg.Dense(Hidden, 1),
        loss=tg.MSELoss(),
    )
    tg.NeuralNetwork([tg.Dense(Rooms, Hidden), tg.Dense(Hidden, 1)], loss=tg.MSELoss())


def one_of_two_widths() -> None:
    for wide in (False, True):
        if wide:
            hidden = tg.Dense(13, 64)
            head = tg.Dense(64, 1)
        else:
            hidden = tg.Dense(13, 32)
            head = tg.Dense(32, 1)
        tg.NeuralNetwork([hidden, head], loss=tg.MSELoss())


def one_of_two_layers() -> None:
    for normalise in (False, True):
        middle = tg.BatchNorm(32) if normalise else tg.Dropout(0.1)
        tg.NeuralNetwork(tg.Dense(13, 32), middle, tg.Dense(32, 1), loss=tg.MSELoss())
        tg.NeuralNetwork(
            [
                tg.Dense(13, 32),
                tg.Dense(32, 64) if normalise else tg.Dense(32, 128),
                tg.Dense(64, 1) if normalise else tg.Dense(128, 1),
            ],
            loss=tg.MSELoss(),
        )


def sometimes_one_layer_more() -> None:
    for deep in (False, True):
        model: tg.Layer = tg.Dense(13, 32) >> tg.ReLU()
        if deep:
            model = model >> tg.Dense(32, 64) >> tg.ReLU() >> tg.Dense(64, 32)
        tg.NeuralNetwork(model >> tg.Dense(32, 1), loss=tg.MSELoss())


def networks_of_other_widths_in_one_variable() -> None:
    for deep in (False, True):
        if deep:
            network = tg.NeuralNetwork([tg.Dense(3, 8), tg.Dense(8, 1)], loss=tg.MSELoss())
        else:
            network = tg.NeuralNetwork([tg.Dense(3, 1)], loss=tg.MSELoss())
        network.predict(np.zeros((2, 3)))


def lists_in_variables() -> None:
    plain = [tg.Dense(13, 32), tg.Dense(32, 1)]
    assert [layer.out_features for layer in plain] == [32, 1]
    tg.NeuralNetwork(plain, loss=tg.MSELoss())
    mixed = [tg.Dense(13, 32), tg.Tanh(), tg.Dropout(0.1), tg.Dense(32, 1)]
    tg.NeuralNetwork(mixed, loss=tg.MSELoss())
    start, end = [tg.Dense(13, 32)], [tg.Dense(32, 1)]
    tg.NeuralNetwork([*start, *end], loss=tg.MSELoss())
    tg.NeuralNetwork(tuple(tg.Dense(3, 3) for _ in range(3)), loss=tg.MSELoss())


class Double(tg.Layer):
    """A user's layer that says nothing of its widths."""

    def __init__(self) -> None:
        self.inner = tg.Dense(13, 26)
        self.operations = self.inner.operations


class Narrow(tg.Dense):
    """A user's kind of `Dense` that computes its width."""

    def __init__(self, width: int) -> None:
        super().__init__(width, width // 2, "relu")


class Head(tg.Dense[Literal[32], Literal[1]]):
    """A user's kind of `Dense` with fixed widths."""

    def __init__(self) -> None:
        super().__init__(32, 1)


class Block(tg.Layer[Width, Width]):
    """A user's layer that is generic in its width."""

    def __init__(self, width: Width) -> None:
        number = int(width)
        self.chain = tg.Chain(tg.Dense(number, number), tg.Tanh())
        self.in_features = self.out_features = number

    def forward(self, x: Array, mode: tg.Mode = tg.INFERENCE) -> Array:
        return self.chain.forward(x, mode)

    def backward(self, output_grad: Array) -> Array:
        return self.chain.backward(output_grad)


class Regression(tg.NeuralNetwork):
    """A user's kind of network."""

    def __init__(self, features: int, hidden: int = 16) -> None:
        super().__init__(
            tg.Dense(features, hidden), tg.Tanh(), tg.Dense(hidden, 1), loss=tg.MSELoss(), seed=0
        )


def inheritance() -> None:
    tg.NeuralNetwork([tg.Dense(3, 13), Double(), tg.Dense(26, 1)], loss=tg.MSELoss())
    tg.NeuralNetwork(tg.Dense(3, 13) >> Double() >> tg.Dense(26, 1), loss=tg.MSELoss())
    tg.NeuralNetwork([tg.Dense(3, 64), Narrow(64), Head()], loss=tg.MSELoss())
    tg.NeuralNetwork(tg.Dense(3, 64) >> Narrow(64) >> Head(), loss=tg.MSELoss())
    tg.NeuralNetwork(tg.Dense(13, 8) >> Block(8) >> tg.Dense(8, 1), loss=tg.MSELoss())
    Regression(3).predict(np.zeros((2, 3)))
    tg.Trainer(Regression(3), tg.Adam()).fit(np.zeros((2, 3)), np.zeros((2, 1)), epochs=1)


def joined(before: tg.Layer[In, Mid], after: tg.Layer[Mid, Out]) -> tg.Layer[In, Out]:
    """A user's function that is generic in widths."""
    return before >> after


def generic_functions() -> None:
    model = joined(joined(tg.Dense(13, 32), tg.Dense(32, 16)), tg.Dense(16, 1))
    network = tg.NeuralNetwork(model, loss=tg.MSELoss())
    assert network.out_features == 1


def any_network(network: tg.NeuralNetwork) -> int:
    """A user's function that takes any network."""
    return int(network.flat.values.size)


def networks_as_arguments() -> None:
    assert any_network(tg.NeuralNetwork(tg.Dense(3, 1), loss=tg.MSELoss())) == 4
    networks: list[tg.NeuralNetwork] = [
        tg.NeuralNetwork(tg.Dense(3, 1) >> tg.Dense(1, 1), loss=tg.QuantileLoss((0.5,))),
        tg.NeuralNetwork([tg.Dense(3, 2)], loss=tg.GaussianNLLLoss(), dtype=np.float64),
    ]
    assert [any_network(network) for network in networks] == [6, 8]


def losses() -> None:
    tg.NeuralNetwork([tg.Dense(3, 6)], loss=tg.QuantileLoss())
    tg.NeuralNetwork([tg.Dense(3, 4)], loss=tg.GaussianNLLLoss())
    tg.NeuralNetwork([tg.Dense(3, 5)], loss=tg.CrossEntropyLoss())
    network = tg.NeuralNetwork(tg.Dense(3, 3), loss=tg.QuantileLoss((0.1, 0.5, 0.9)))
    assert network.loss.quantiles[1] == 0.5
    classes = tg.NeuralNetwork(tg.Dense(3, 2), loss=tg.CrossEntropyLoss())
    tg.Trainer(classes, tg.Adam()).fit(np.ones((4, 3)), np.zeros(4), epochs=1)


def arrays() -> None:
    network = tg.NeuralNetwork(tg.Dense(3, 1), loss=tg.MSELoss())
    double = tg.NeuralNetwork(tg.Dense(3, 1), loss=tg.MSELoss(), dtype=np.float64)
    x = np.random.default_rng(0).standard_normal((4, 3))
    network.forward(x.astype(np.float32))
    network.forward(np.zeros((4, 3), np.float32))
    network.forward(np.zeros((4, 3), "float32"))
    network.forward(np.asarray(x, dtype=network.dtype))
    double.forward(x)
    double.forward(np.zeros((4, 3)))
    network.predict(x)
    network.predict(x.tolist())
    network.predict([[1.0, 2.0, 3.0]])
    network.predict(np.zeros(12).reshape(4, 3))
    network.predict(np.linspace(0.0, 1.0, 12).reshape(-1, 3))
    target = np.linspace(0.0, 1.0, 4)
    tg.Trainer(network, tg.Adam()).fit(x, target[:, None], epochs=1)
    tg.Trainer(network, tg.Adam()).fit(x, target.reshape(-1, 1), epochs=1)
    tg.Trainer(network, tg.Adam()).fit(x, x[:, :1], epochs=1)
    tg.MSELoss().forward(np.ones(5), np.ones(5))


def rows_in_any_shape(x: np.ndarray, y: Array) -> None:
    """A user's function whose arrays have no shape in their types."""
    network = tg.NeuralNetwork(tg.Dense(3, 1), loss=tg.MSELoss(), dtype=np.float64)
    network.forward(x)
    network.forward(y)
    network.predict(y)
    tg.Trainer(network, tg.Adam()).fit(x, y[:, :1], epochs=1)


def arrays_as_arguments() -> None:
    x = np.ones((4, 3))
    rows_in_any_shape(x, x)


def operands_of_one_type() -> None:
    """Python asks only the left one of two operands of one type."""
    width = len("width")
    models: list[tg.Layer] = [
        tg.Dense(32, 32) >> tg.Dense(32, 32) >> tg.Dense(32, 1) >> tg.Dense(1, 5),
        tg.Dense(32, 32) >> tg.Dense(32, 1) >> tg.Dense(1, 5),
        tg.Dense(width, width) >> tg.Dense(width, width) >> tg.Dense(width, 1),
        tg.Dense(5, width) >> tg.Dense(5, width),
        tg.Dense(width, 5) >> tg.Dense(width, 5),
        tg.BatchNorm(32) >> tg.BatchNorm(32) >> tg.Dense(32, 1),
        tg.Dense(1001, 1001) >> tg.Dense(1001, 1001) >> tg.Dense(1001, 1),
        tg.Dense(Hidden, Hidden) >> tg.Dense(Hidden, Hidden),
        tg.Dense(3, Hidden) >> (tg.Dense(Hidden, 3) >> tg.Tanh()) >> tg.Dense(3, 1),
    ]
    square = tg.Dense(5, 5) >> tg.Tanh()
    assert len((square >> (tg.Dense(5, 5) >> tg.Tanh())).layers) == 4
    # E[pyrefly]
    assert_type(tg.Dropout(0.1) >> tg.Dense(3, 1), tg.Chain[Literal[3], Literal[1]])
    # E[pyrefly]
    assert_type(tg.Dense(3, 3) >> tg.Dense(3, 1), tg.Chain[Literal[3], Literal[1]])
    for model, other in zip(models, [tg.Dense(5, 5), tg.Dropout(0.5)], strict=False):
        assert len((model >> other).layers) > 1


def lists_of_layers_one_by_one() -> None:
    layers = [tg.Dense(3, 8), tg.Dense(8, 1)]
    x: Array = np.zeros((2, 3))
    tg.NeuralNetwork(layers, loss=tg.MSELoss(), dtype=np.float64)
    for layer in layers:
        x = layer.forward(x)
    assert x.shape == (2, 1)
