"""Linear, one- and two-hidden-layer networks on Boston housing, by Trainer (chapter 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, islice, repeat

import numpy as np

import typegrad as tg
from examples.book.book_mode import BookDense, row_orders
from examples.book.boston import Score, Split, draw_predictions, load, score
from examples.figures import output_directory, save_figures

SEED = 20190501
EPOCHS, EVALUATE_EVERY, BATCH_SIZE, LEARNING_RATE = 50, 10, 32, 0.01

NETWORKS: dict[str, tuple[int, ...]] = {
    "linear": (13, 1),
    "network": (13, 13, 1),
    "deep network": (13, 13, 13, 1),
}
"""Widths, from the inputs to the output."""


@dataclass(frozen=True)
class Result:
    """A trained network, its loss on the test part every 10 epochs, and its errors there."""

    network: tg.NeuralNetwork
    validation_losses: tuple[float, ...]
    score: Score


def build(widths: Sequence[int], streams: Sequence[np.random.RandomState]) -> tg.NeuralNetwork:
    """Sigmoid layers and a linear one; each draws from a stream of its own."""
    hidden = [
        BookDense(before, after, stream, tg.Sigmoid())
        for before, after, stream in zip(widths[:-2], widths[1:-1], streams[:-1], strict=True)
    ]
    last = BookDense(widths[-2], widths[-1], streams[-1])
    return tg.NeuralNetwork([*hidden, last], loss=tg.MSELoss(), dtype=np.float64)


def train(widths: Sequence[int], data: Split) -> Result:
    """Train as the book does.

    Its layers are set up in the first batch, after the first permutation, and each seeds the
    global generator anew. Later permutations go on where the last layer left it. Its early
    stopping has nothing to do, since every evaluation is better than the one before.
    """
    layer_streams = [np.random.RandomState(SEED) for _ in widths[1:]]
    network = build(widths, layer_streams)
    order_streams = chain([np.random.RandomState(SEED)], repeat(layer_streams[-1]))
    orders = islice(row_orders(len(data.x_train), order_streams), EPOCHS)
    trainer = tg.Trainer(network, tg.SGD(LEARNING_RATE))
    losses = []
    for epoch, rows in enumerate(orders, start=1):
        trainer.fit(
            data.x_train[rows], data.y_train[rows], epochs=1, batch_size=BATCH_SIZE, shuffle=False
        )
        if epoch % EVALUATE_EVERY == 0:
            losses.append(trainer.evaluate(data.x_test, data.y_test)["loss"])
    return Result(network, tuple(losses), score(network, data))


def main() -> None:
    """Train three networks; print validation losses and errors, draw predictions."""
    directory = output_directory(__doc__)
    data = load()
    results = {name: train(widths, data) for name, widths in NETWORKS.items()}
    epochs = range(EVALUATE_EVERY, EPOCHS + 1, EVALUATE_EVERY)
    print("Validation loss after so many epochs, then errors on the test part")
    print(f"{'':14}" + "".join(f"{epoch:9}" for epoch in epochs) + f"{'MAE':>8}{'RMSE':>7}")
    for name, result in results.items():
        losses = "".join(f"{loss:9.3f}" for loss in result.validation_losses)
        print(f"{name:14}{losses}{result.score.mae:8.2f}{result.score.rmse:7.2f}")
    networks = {name: result.network for name, result in results.items()}
    save_figures(directory, {"chapter3_predictions": lambda: draw_predictions(networks, data)})


if __name__ == "__main__":
    main()
