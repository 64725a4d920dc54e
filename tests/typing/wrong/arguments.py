"""Arguments of a wrong kind."""

from __future__ import annotations

import typegrad as tg


def class_instead_of_an_activation() -> None:
    """The class of an activation instead of an object, `>>`."""
    # E[types]
    # E[run]: did you pass a class instead of an object?
    _ = tg.Dense(13, 32) >> tg.Tanh >> tg.Dense(32, 1)


def class_in_a_list_of_layers() -> None:
    """The same, in a list."""
    # E[types]
    # E[run]: did you pass a class instead of an object?
    tg.NeuralNetwork([tg.Dense(13, 32), tg.Tanh, tg.Dense(32, 1)], loss=tg.MSELoss())


def misspelled_activation() -> None:
    """A misspelled name of an activation."""
    # E[types]
    # E[run]: activation is 'rleu'; expected an operation or one of elu, gelu
    tg.Dense(13, 32, "rleu")


def operation_on_two_arrays_as_activation() -> None:
    """An operation on two arrays as a layer."""
    # E[types]
    # E[run]: Add() is neither a Layer nor an element-wise operation such as Tanh()
    tg.Chain(tg.Dense(13, 32), tg.Add())


def widths_instead_of_layers() -> None:
    """Widths instead of layers, as scikit-learn's `hidden_layer_sizes`."""
    # E[types]
    # E[run]: 13 is neither a Layer nor an element-wise operation such as Tanh()
    tg.NeuralNetwork([13, 32, 1], loss=tg.MSELoss())


def width_as_text() -> None:
    """A width as text, as `argparse` gives it."""
    # E[types]
    # E[run]: Dense: in_features is '13'; expected a whole number, or a subclass of tg.Dim
    tg.Dense("13", 32)


def width_from_a_division() -> None:
    """A width computed with `/`."""
    # E[types]
    # E[run]: Dense: out_features is 16.0; expected a whole number, or a subclass of tg.Dim
    tg.Dense(32, 32 / 2)


def one_width_missing() -> None:
    """Keras' `Dense(32)`, with one width."""
    # E[types]
    # E[run]: missing 1 required positional argument: 'out_features'
    tg.Dense(32)


def rate_of_another_name() -> None:
    """PyTorch's name of the learning rate."""
    # E[types]
    # E[run]: got an unexpected keyword argument 'lr'
    tg.Adam(lr=0.001)


def parameters_for_the_optimizer() -> None:
    """PyTorch's way to make an optimizer."""
    network = tg.NeuralNetwork(tg.Dense(3, 1), loss=tg.MSELoss())
    # E[types]
    # E[run]: Adam
    tg.Adam(network.parameters)


def class_instead_of_an_optimizer() -> None:
    """The class of an optimizer instead of an object."""
    network = tg.NeuralNetwork(tg.Dense(3, 1), loss=tg.MSELoss())
    # E[types]
    # E[run]: Adam
    tg.Trainer(network, tg.Adam).fit([[1.0, 2.0, 3.0]], [[1.0]], epochs=1)


def epochs_forgotten() -> None:
    """No number of epochs."""
    network = tg.NeuralNetwork(tg.Dense(3, 1), loss=tg.MSELoss())
    # E[types]
    # E[run]: missing 1 required keyword-only argument: 'epochs'
    tg.Trainer(network, tg.Adam()).fit([[1.0, 2.0, 3.0]], [[1.0]])
