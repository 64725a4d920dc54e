"""Losses that do not fit the network or the data."""

from __future__ import annotations

import numpy as np

import typegrad as tg


def one_output_for_three_quantiles() -> None:
    """One output for a loss of three quantiles."""
    # E[plugin]: QuantileLoss wants 3 outputs for each target column, but Dense(32, 1) gives 1
    # E[run]: QuantileLoss wants 3 outputs for each target column, but Dense(32, 1) gives 1
    tg.NeuralNetwork([tg.Dense(13, 32), tg.Dense(32, 1)], loss=tg.QuantileLoss((0.1, 0.5, 0.9)))


def three_outputs_for_two_quantiles() -> None:
    """Three outputs for a loss of two quantiles."""
    # E[plugin]: QuantileLoss wants 2 outputs for each target column, but Dense(13, 3) gives 3
    # E[run]: QuantileLoss wants 2 outputs for each target column, but Dense(13, 3) gives 3
    tg.NeuralNetwork(tg.ReLU() >> tg.Dense(13, 3), loss=tg.QuantileLoss([0.1, 0.9]))


def one_output_for_mean_and_variance() -> None:
    """One output for a loss of mean and variance."""
    # E[plugin]: GaussianNLLLoss wants 2 outputs for each target column, but Dense(32, 1) gives 1
    # E[run]: GaussianNLLLoss wants 2 outputs for each target column, but Dense(32, 1) gives 1
    tg.NeuralNetwork(tg.Dense(13, 32) >> tg.Dense(32, 1), loss=tg.GaussianNLLLoss())


def class_instead_of_a_loss() -> None:
    """The class of a loss instead of a loss."""
    # E[types]
    # E[run]: expected a Loss object such as tg.MSELoss()
    tg.NeuralNetwork([tg.Dense(13, 1)], loss=tg.MSELoss)


def loss_forgotten() -> None:
    """No loss."""
    # E[types]
    # E[run]: missing 1 required keyword-only argument: 'loss'
    tg.NeuralNetwork([tg.Dense(13, 1)])


def name_instead_of_a_loss() -> None:
    """The name of a loss, as Keras takes it."""
    # E[types]
    # E[run]: expected a Loss object such as tg.MSELoss()
    tg.NeuralNetwork(tg.Dense(13, 1), loss="mse")


def target_without_columns() -> None:
    """A target of shape (n,) where the network gives (n, 1), in `fit`."""
    network = tg.NeuralNetwork([tg.Dense(3, 1)], loss=tg.MSELoss())
    trainer = tg.Trainer(network, tg.Adam())
    # E[plugin]: MSELoss(): the prediction has shape (n, 1) and the target (5,); make the target a
    # E[run]: the prediction has shape (5, 1) and the target (5,); make the target a column
    trainer.fit(np.ones((5, 3)), np.ones(5), epochs=1)


def target_whose_type_has_one_axis() -> None:
    """The same, the target in a variable whose type has one axis."""
    network = tg.NeuralNetwork(tg.Dense(3, 1), loss=tg.HuberLoss())
    target = np.ones(5)
    # E[plugin]: HuberLoss(...): the prediction has shape (n, 1) and the target (n,); make
    # E[run]: the prediction has shape (5, 1) and the target (5,); make the target a column
    tg.Trainer(network, tg.Adam()).fit(np.ones((5, 3)), target, epochs=1)


def prediction_and_target_of_other_ranks() -> None:
    """(n, 1) against (n,) in a loss by itself."""
    # E[plugin]: MSELoss(): the prediction has shape (5, 1) and the target (5,); make the target a
    # E[run]: the prediction has shape (5, 1) and the target (5,); make the target a column
    tg.MSELoss().forward(np.ones((5, 1)), np.ones(5))


def too_many_target_columns() -> None:
    """Two target columns for one output."""
    network = tg.NeuralNetwork([tg.Dense(3, 4), tg.Dense(4, 1)], loss=tg.MAELoss())
    # E[plugin]: MAELoss(): the prediction has shape (n, 1) and the target (5, 2); they must be
    # E[run]: the prediction has shape (5, 1) and the target (5, 2); they must be equal
    tg.Trainer(network, tg.Adam()).fit(np.ones((5, 3)), np.ones((5, 2)), epochs=1)
