"""Right models whose widths are known only at run time; nobody may complain."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal

import numpy as np

import typegrad as tg


def number(value: int) -> int:
    """Return a width as a program reads it from somewhere."""
    return value


def width_in_a_variable() -> None:
    n_hidden = number(32)
    tg.NeuralNetwork([tg.Dense(13, n_hidden), tg.Dense(n_hidden, 1)], loss=tg.MSELoss())
    tg.NeuralNetwork(tg.Dense(13, n_hidden) >> tg.Dense(n_hidden, 1), loss=tg.MSELoss())


def computed_width() -> None:
    columns = ["a", "b", "c"]
    tg.NeuralNetwork(tg.Dense(len(columns), 2 * len(columns)), tg.Dense(6, 1), loss=tg.MSELoss())


def unlisted_widths() -> None:
    tg.NeuralNetwork(tg.Dense(13, 1001) >> tg.Tanh() >> tg.Dense(1001, 1), loss=tg.MSELoss())
    tg.NeuralNetwork([tg.Dense(13, 1001), tg.BatchNorm(1001)], loss=tg.MSELoss())


def loop_that_appends() -> None:
    layers: list[tg.LayerLike] = []
    width = 13
    for next_width in (64, 32, 16):
        layers.append(tg.Dense(width, next_width))
        layers.append(tg.Tanh())
        width = next_width
    layers.append(tg.Dense(width, 1))
    tg.NeuralNetwork(layers, loss=tg.MSELoss())


def loop_that_composes() -> None:
    model: tg.Layer = tg.Dense(13, 64)
    for before, after in itertools.pairwise((64, 32, 16, 1)):
        model = model >> tg.Tanh() >> tg.Dense(before, after)
    tg.NeuralNetwork(model, loss=tg.MSELoss())


def assigned_anew_line_by_line() -> None:
    model = tg.Dense(13, 32) >> tg.Tanh()
    # E[plain]: Incompatible types in assignment
    model = model >> tg.Dense(32, 64)
    # E[plain]
    model = model >> tg.Dropout(0.1) >> tg.Dense(64, 1)
    # E[pyrefly]
    found: tg.Layer[Literal[13], Literal[1]] = model
    tg.NeuralNetwork(found, loss=tg.MSELoss())


def assigned_anew_with_an_operator() -> None:
    model = tg.Dense(13, 32)
    # E[plain]: Incompatible types in assignment
    model >>= tg.Tanh()
    tg.NeuralNetwork(model, loss=tg.MSELoss())


def assigned_anew_with_an_annotation() -> None:
    layers: tg.Layer = tg.Dense(13, 32) >> tg.Tanh()
    layers = layers >> tg.Dense(32, 64)
    layers = layers >> tg.Dense(64, 1)
    tg.NeuralNetwork(layers, loss=tg.MSELoss())


def assigned_anew_in_a_branch() -> None:
    for deep in (False, True):
        model = tg.Dense(13, 32) >> tg.ReLU()
        if deep:
            # E[plain]: Incompatible types in assignment
            model = model >> tg.Dense(32, 64)
            # E[plain]
            model = model >> tg.Dense(64, 32)
        tg.NeuralNetwork(model >> tg.Dense(32, 1), loss=tg.MSELoss())


class Growing:
    """A user's class whose attribute is assigned anew."""

    def __init__(self, deep: bool) -> None:
        self.model = tg.Dense(3, 8) >> tg.Tanh()
        if deep:
            # E[plain]: Incompatible types in assignment
            self.model = self.model >> tg.Dense(8, 4)


def attributes_assigned_anew() -> None:
    assert Growing(deep=True).model.out_features == 4


def networks_and_trainers_assigned_anew() -> None:
    network = tg.NeuralNetwork([tg.Dense(3, 4), tg.Dense(4, 1)], loss=tg.MSELoss())
    trainer = tg.Trainer(network, tg.Adam())
    trainer.fit(np.ones((5, 3)), np.ones((5, 1)), epochs=1)
    network = tg.NeuralNetwork([tg.Dense(8, 2)], loss=tg.GaussianNLLLoss())
    network.predict(np.zeros((5, 8)))
    trainer = tg.Trainer(network, tg.Adam())
    trainer.fit(np.ones((5, 8)), np.ones((5, 1)), epochs=1)
    network = tg.NeuralNetwork(tg.Dense(9, 4) >> tg.Dense(4, 2), loss=tg.MAELoss())
    network.predict(np.zeros((5, 9)))


def lists_added() -> None:
    body = [tg.Dense(13, 32), tg.Dense(32, 16)]
    activations = [tg.Tanh(), tg.Sigmoid()]
    # E[plain]: Unsupported operand types for +
    tg.NeuralNetwork(body + activations, loss=tg.MSELoss())
    more = [tg.Dense(13, 32), tg.BatchNorm(32)] + [tg.Dense(32, 32), tg.Tanh()] * 1
    tg.NeuralNetwork(more + [tg.Dropout(0.1)] + [tg.Dense(32, 1)], loss=tg.MSELoss())  # noqa: RUF005


def loop_over_equal_layers() -> None:
    model = tg.Dense(13, 32) >> tg.ReLU()
    for _ in range(3):
        model = model >> tg.Dense(32, 32) >> tg.ReLU()
    tg.NeuralNetwork(model >> tg.Dense(32, 1), loss=tg.MSELoss())


def comprehension() -> None:
    widths = (13, 64, 64, 1)
    tg.NeuralNetwork(
        [tg.Dense(before, after) for before, after in itertools.pairwise(widths)],
        loss=tg.MSELoss(),
    )
    tg.NeuralNetwork(
        (tg.Dense(before, after) for before, after in itertools.pairwise(widths)),
        loss=tg.MSELoss(),
    )


def generator_function() -> None:
    def layers(widths: Sequence[int]) -> Iterator[tg.LayerLike]:
        for before, after in itertools.pairwise(widths):
            yield tg.Dense(before, after)
            yield tg.Dropout(0.1)

    tg.NeuralNetwork(layers([13, 8, 1]), loss=tg.MSELoss())


def stars() -> None:
    hidden = [tg.Dense(32, 32, "relu") for _ in range(number(3))]
    tg.NeuralNetwork(tg.Dense(13, 32), *hidden, tg.Dense(32, 1), loss=tg.MSELoss())
    first = tg.Dense(13, 32)
    more = [tg.Dense(32, 32), tg.Tanh(), tg.Dense(32, 1)]
    tg.NeuralNetwork([first, *more], loss=tg.MSELoss())


def star_between_layers_of_other_widths() -> None:
    middle = [tg.Dense(32, 48), tg.Dense(48, 64)]
    tg.NeuralNetwork(tg.Dense(13, 32), *middle, tg.Dense(64, 1), loss=tg.MSELoss())


def options_as_a_dictionary() -> None:
    options: dict[str, Any] = {"dtype": np.float64, "seed": 3}
    network = tg.NeuralNetwork(tg.Dense(3, 1), loss=tg.MSELoss(), **options)
    network.forward(np.zeros((2, 3)))
    everything: dict[str, Any] = {"loss": tg.MSELoss(), "dtype": np.float64}
    tg.NeuralNetwork([tg.Dense(3, 1)], **everything).forward(np.zeros((2, 3)))


def partial() -> None:
    dense = functools.partial(tg.Dense, activation=tg.ReLU(), bias=False)
    regression = functools.partial(tg.NeuralNetwork, loss=tg.MSELoss(), seed=0)
    regression(dense(13, 32), tg.Dense(32, 1))
    regression([dense(13, 64), dense(64, 1)])


def reduction() -> None:
    layers: list[tg.Layer] = [tg.Dense(13, 32), tg.Dropout(0.1), tg.Dense(32, 1)]
    chain = functools.reduce(lambda before, after: before >> after, layers)
    tg.NeuralNetwork(chain, loss=tg.MSELoss())


def factories() -> None:
    makers: dict[str, Callable[[int], tg.Layer]] = {
        "batch": tg.BatchNorm,
        "layer": tg.LayerNorm,
        "dense": lambda width: tg.Dense(width, width),
    }
    for make in makers.values():
        tg.NeuralNetwork(tg.Dense(13, 32), make(32), tg.Dense(32, 1), loss=tg.MSELoss())


def function_of_the_same_name_as_a_layer() -> None:
    def dense(width: int) -> tg.Layer:
        return tg.Dense(width, 32)

    def quantile_loss(*levels: float) -> tg.QuantileLoss:
        return tg.QuantileLoss((0.1, *levels, 0.9))

    tg.NeuralNetwork([tg.Dense(13, 64), dense(64), tg.Dense(32, 1)], loss=tg.MSELoss())
    tg.NeuralNetwork([tg.Dense(13, 4)], loss=quantile_loss(0.3, 0.7))


def quantiles_in_a_variable() -> None:
    levels = [0.05, 0.5, 0.95, 0.99]
    tg.NeuralNetwork([tg.Dense(13, 4)], loss=tg.QuantileLoss(levels))
    tg.NeuralNetwork([tg.Dense(13, len(levels))], loss=tg.QuantileLoss(quantiles=levels))


def search_over_architectures() -> None:
    networks: list[tg.NeuralNetwork] = []
    for widths in ((13, 32, 1), (13, 64, 16, 1)):
        layers = [tg.Dense(before, after) for before, after in itertools.pairwise(widths)]
        networks.append(tg.NeuralNetwork(layers, loss=tg.MSELoss(), seed=1))
    assert [len(network.layers) for network in networks] == [2, 3]


def recursion() -> None:
    def tower(width: int) -> tg.Layer:
        if width == 1:
            return tg.Chain(tg.Tanh())
        return tg.Dense(width, width // 2) >> tg.Tanh() >> tower(width // 2)

    tg.NeuralNetwork(tg.Dense(13, 16) >> tower(16), loss=tg.MSELoss())


def layers_from_a_dictionary() -> None:
    parts = {"in": tg.Dense(13, 32), "act": tg.Tanh(), "out": tg.Dense(32, 1)}
    tg.NeuralNetwork(parts.values(), loss=tg.MSELoss())
    tg.NeuralNetwork([tg.Dense(1, 1), *()], loss=tg.MSELoss())


def anything() -> None:
    layers: Any = [tg.Dense(13, 32), tg.Dense(32, 1)]
    tg.NeuralNetwork(layers, loss=tg.MSELoss())
    some: Iterable[Any] = (tg.Dense(13, 32), tg.Dense(32, 1))
    tg.NeuralNetwork(some, loss=tg.MSELoss())
