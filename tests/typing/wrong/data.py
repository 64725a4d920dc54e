"""Data that does not fit the network."""

from __future__ import annotations

import numpy as np

import typegrad as tg
from typegrad.types import Matrix


def inputs_with_another_number_of_columns() -> None:
    """Inputs with another number of columns, in `predict`."""
    network = tg.NeuralNetwork([tg.Dense(13, 32), tg.Dense(32, 1)], loss=tg.MSELoss())
    # E[plugin]: x has shape (5, 12); the network expects (rows, 13)
    # E[run]: x has shape (5, 12); the network expects (rows, 13)
    network.predict(np.zeros((5, 12)))


def inputs_transposed_in_fit() -> None:
    """Inputs transposed, in `fit`."""
    network = tg.NeuralNetwork(tg.Dense(3, 1), loss=tg.MSELoss())
    generator = np.random.default_rng(0)
    # E[plugin]: x has shape (3, 100); the network expects (rows, 3)
    # E[run]: x has shape (3, 100); the network expects (rows, 3)
    tg.Trainer(network, tg.SGD(0.1)).evaluate(generator.normal(size=(3, 100)), np.ones((3, 1)))


def one_row_without_its_axis() -> None:
    """One row without the axis of rows."""
    network = tg.NeuralNetwork(tg.Dense(3, 1), loss=tg.MSELoss())
    # E[plugin]: x has shape (3,); the network expects (rows, 3); for one row use x.reshape(1, -1)
    # E[run]: x has shape (3,); the network expects (rows, 3); for one row use x.reshape(1, -1)
    network.predict([0.5, 1.5, -2.0])


def float64_into_a_float32_network() -> None:
    """float64 into a float32 network's `forward`."""
    network = tg.NeuralNetwork(tg.Dense(3, 1), loss=tg.MSELoss())
    # E[types]
    # E[mypy]: "ndarray[Any, dtype[float64]]"; expected "ndarray[Any, dtype[floating[_32Bit]]]"
    # E[run]: got float64, but the network is float32; convert the input with .astype('float32')
    network.forward(np.zeros((5, 3)))


def random_numbers_into_a_float32_network() -> None:
    """float64 random numbers into a float32 network."""
    network = tg.NeuralNetwork([tg.Dense(3, 1)], loss=tg.MSELoss())
    x = np.random.default_rng(0).standard_normal((5, 3))
    # E[types]
    # E[run]: got float64, but the network is float32; convert the input with .astype('float32')
    network.forward(x)


def whole_numbers_into_forward() -> None:
    """Whole numbers into `forward`."""
    network = tg.NeuralNetwork(tg.Dense(3, 1), loss=tg.MSELoss())
    x = np.zeros((5, 3), np.int64)
    # E[types]
    # E[run]: got int64, but the network is float32; convert the input with .astype('float32')
    network.forward(x)


def list_into_forward() -> None:
    """A list into `forward`, which takes arrays."""
    network = tg.NeuralNetwork(tg.Dense(2, 1), loss=tg.MSELoss())
    # E[types]
    # E[run]: NeuralNetwork.forward got list, but the network is float32
    network.forward([[1.0, 2.0]])


def mean_absolute_percentage_error(prediction: Matrix, target: Matrix) -> float:
    """A user's function whose types say how many axes it wants."""
    if target.ndim != prediction.ndim:
        raise ValueError("as many axes, please")
    return float(np.mean(np.abs((prediction - target) / target)))


def vector_where_a_matrix_is_wanted() -> None:
    """A vector for a user's function whose type says `Matrix`."""
    # E[types]
    # E[mypy]: "ndarray[tuple[int], dtype[float64]]"; expected "ndarray[tuple[int, int], dtype[
    # E[run]: as many axes, please
    mean_absolute_percentage_error(np.ones((5, 1)), np.ones(5))
