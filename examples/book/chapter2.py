"""Linear regression and a network with one hidden layer on Boston housing (chapter 2)."""

from __future__ import annotations

from itertools import islice, repeat

import numpy as np

import typegrad as tg
from examples.book.book_mode import (
    BookDense,
    HalfSquaredLoss,
    SharedBiasLinear,
    row_batches,
    row_orders,
    summed_step,
)
from examples.book.boston import Split, closed_form, draw_predictions, load, score
from examples.figures import output_directory, save_figures

BATCH_SIZE = 23
LEARNING_RATE = 0.001


def linear_network(stream: np.random.RandomState) -> tg.NeuralNetwork:
    """Linear regression, trained on the mean squared error."""
    return tg.NeuralNetwork(BookDense(13, 1, stream), loss=tg.MSELoss(), dtype=np.float64)


def hidden_network(stream: np.random.RandomState) -> tg.NeuralNetwork:
    """A network with 13 sigmoid units, trained without the squared error's factor 2."""
    return tg.NeuralNetwork(
        BookDense(13, 13, stream, tg.Sigmoid(), SharedBiasLinear),
        BookDense(13, 1, stream),
        loss=HalfSquaredLoss(),
        dtype=np.float64,
    )


def train(
    network: tg.NeuralNetwork, data: Split, iterations: int, stream: np.random.RandomState
) -> None:
    """Take steps on batches of permuted rows."""
    optimizer = tg.SGD(LEARNING_RATE)
    batches = row_batches(row_orders(len(data.x_train), repeat(stream)), BATCH_SIZE)
    for rows in islice(batches, iterations):
        summed_step(network, optimizer, data.x_train[rows], data.y_train[rows])


def trained_linear_network(data: Split) -> tg.NeuralNetwork:
    """Train linear regression as the book does: 1,000 iterations, seed 180708."""
    stream = np.random.RandomState(180708)
    network = linear_network(stream)
    train(network, data, 1_000, stream)
    return network


def trained_hidden_network(data: Split) -> tg.NeuralNetwork:
    """Train the network as the book does: 10,000 iterations, seed 180807."""
    stream = np.random.RandomState(180807)
    network = hidden_network(stream)
    train(network, data, 10_000, stream)
    return network


def main() -> None:
    """Train both; print their errors beside the closed form's, draw predictions."""
    directory = output_directory(__doc__)
    data = load()
    networks = {
        "closed form": closed_form(data),
        "gradient descent": trained_linear_network(data),
        "network": trained_hidden_network(data),
    }
    print("Boston housing, test part, in thousands of dollars")
    print(f"{'':18}{'MAE':>8}{'RMSE':>8}")
    for name, network in networks.items():
        result = score(network, data)
        print(f"{name:18}{result.mae:8.4f}{result.rmse:8.4f}")
    save_figures(directory, {"chapter2_predictions": lambda: draw_predictions(networks, data)})


if __name__ == "__main__":
    main()
