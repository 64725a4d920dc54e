"""Layers that do not fit together."""

from __future__ import annotations

from typing import Literal

import typegrad as tg


class Rooms(tg.Dim):
    size = 13


class Hidden(tg.Dim):
    size = 32


def next_layer_expects_another_width() -> None:
    """The next layer expects another width, layers joined with `>>`."""
    # E[types]
    # E[mypy]: operand types for >> ("Dense[Literal[13], Literal[32]]" and "Dense[Literal[64]
    # E[pyright]: ">>" not supported for types "Dense[Literal[13], Literal[32]]" and "Dense[
    # E[run]: Dense(64, 1) expects 64 input features, but Dense(13, 32) before it gives 32
    tg.NeuralNetwork(tg.Dense(13, 32) >> tg.Dense(64, 1), loss=tg.MSELoss())


def next_layer_expects_another_width_in_a_list() -> None:
    """The next layer expects another width, in a list."""
    # E[plugin]: Dense(64, 1) expects 64 input features, but Dense(13, 32) before it gives 32
    # E[run]: Dense(64, 1) expects 64 input features, but Dense(13, 32) before it gives 32
    tg.NeuralNetwork([tg.Dense(13, 32), tg.Dense(64, 1)], loss=tg.MSELoss())


def next_layer_expects_another_width_in_arguments() -> None:
    """The next layer expects another width, as arguments."""
    # E[plugin]: Dense(64, 1) expects 64 input features, but Dense(13, 32) before it gives 32
    # E[run]: Dense(64, 1) expects 64 input features, but Dense(13, 32) before it gives 32
    tg.NeuralNetwork(tg.Dense(13, 32), tg.Dense(64, 1), loss=tg.MSELoss())


def activation_in_between() -> None:
    """Another width behind an activation, `>>`."""
    # E[types]
    # E[mypy]: operand types for >> ("Chain[Literal[13], Literal[32]]" and "Dense[Literal[64]
    # E[run]: Dense(64, 1) expects 64 input features, but Dense(13, 32) before it gives 32
    _ = tg.Dense(13, 32) >> tg.Tanh() >> tg.Dense(64, 1)


def activation_and_dropout_in_between_in_a_list() -> None:
    """Another width behind an activation and a dropout, in a list."""
    # E[plugin]: Dense(64, 1) expects 64 input features, but Dense(13, 32) before it gives 32
    # E[run]: Dense(64, 1) expects 64 input features, but Dense(13, 32) before it gives 32
    tg.Chain(tg.Dense(13, 32), tg.Tanh(), tg.Dropout(0.1), tg.Dense(64, 1))


def features_in_the_place_of_outputs() -> None:
    """`in_features` and `out_features` exchanged."""
    # E[types]
    # E[run]: Dense(1, 64) expects 1 input features, but Dense(13, 64) before it gives 64
    _ = tg.Dense(13, 64) >> tg.ReLU() >> tg.Dense(1, 64)


def first_of_three_links() -> None:
    """The first of three links is wrong."""
    # E[types]
    # E[run]: Dense(33, 16) expects 33 input features, but Dense(13, 32) before it gives 32
    _ = tg.Dense(13, 32) >> tg.Dense(33, 16) >> tg.Dense(16, 1)


def batch_norm_of_another_width() -> None:
    """`BatchNorm` with the inputs' instead of the layer's width."""
    # E[types]
    # E[mypy]: "Dense[Literal[13], Literal[32]]" and "BatchNorm[Literal[13]]"
    # E[run]: BatchNorm(13) expects 13 input features, but Dense(13, 32) before it gives 32
    _ = tg.Dense(13, 32) >> tg.BatchNorm(13) >> tg.ReLU()


def layer_norm_of_another_width_in_a_list() -> None:
    """`LayerNorm` of another width, in a list."""
    # E[plugin]: LayerNorm(64) expects 64 input features, but Dense(13, 32) before it gives 32
    # E[run]: LayerNorm(64) expects 64 input features, but Dense(13, 32) before it gives 32
    tg.NeuralNetwork([tg.Dense(13, 32), tg.LayerNorm(64)], loss=tg.MSELoss())


def width_of_batch_norm_forgotten_downstream() -> None:
    """Wrong behind `BatchNorm` and `Dropout`."""
    # E[types]
    # E[run]: Dense(64, 1) expects 64 input features, but BatchNorm(32) before it gives 32
    _ = tg.Dense(13, 32) >> tg.BatchNorm(32) >> tg.Dropout(0.5) >> tg.Dense(64, 1)


def flatten_missing() -> None:
    """`Flatten` forgotten behind an embedding of four columns."""
    # E[types]
    # E[mypy]: "Embedding[Literal[5]]" and "Dense[Literal[20], Literal[1]]"
    # E[run]: Dense(20, 1) expects 20 input features, but Embedding(50, 5) before it gives 5
    _ = tg.Embedding(50, 5) >> tg.Dense(20, 1)


def flatten_missing_in_a_list() -> None:
    """`Flatten` forgotten, in a list."""
    # E[plugin]: Dense(20, 1) expects 20 input features, but Embedding(50, 5) before it gives 5
    # E[run]: Dense(20, 1) expects 20 input features, but Embedding(50, 5) before it gives 5
    tg.NeuralNetwork([tg.Embedding(50, 5), tg.Dense(20, 1)], loss=tg.MSELoss())


def residual_that_narrows() -> None:
    """A residual block that gives fewer features than it takes."""
    # E[plugin]: Residual(Dense(32, 16)) takes 32 features but gives 16; the input can only be
    # E[run]: Residual(Dense(32, 16)) takes 32 features but gives 16; the input can only be added
    _ = tg.Dense(13, 32) >> tg.Residual(tg.Dense(32, 16))


def residual_of_several_layers_that_narrows() -> None:
    """A residual block of several layers that does not come back to its width."""
    # E[plugin]: takes 32 features but gives 31; the input can only be added to as many
    # E[run]: takes 32 features but gives 31; the input can only be added to as many
    tg.Residual(tg.Dense(32, 64), tg.ReLU(), tg.Dense(64, 31))


def residual_in_the_middle() -> None:
    """A residual block of another width than the layer before it."""
    # E[mypy, pyright, ty]
    # E[run]: expects 64 input features, but Dense(13, 32) before it gives 32
    _ = tg.Dense(13, 32) >> tg.Residual(tg.Dense(64, 64) >> tg.ReLU())


def chain_in_a_chain() -> None:
    """A part built beforehand does not fit."""
    head = tg.Dense(16, 8) >> tg.ReLU() >> tg.Dense(8, 1)
    body = tg.Dense(13, 32) >> tg.ReLU()
    # E[mypy, pyright, ty]
    # E[mypy]: "Chain[Literal[13], Literal[32]]" and "Chain[Literal[16], Literal[1]]"
    # E[run]: Dense(16, 8) expects 16 input features, but Dense(13, 32) before it gives 32
    tg.NeuralNetwork(body >> head, loss=tg.MSELoss())


def unusual_width() -> None:
    """A width that is not among the listed ones."""
    # E[plugin]: Dense(1002, 1) expects 1002 input features, but Dense(13, 1001) before it
    # E[run]: Dense(1002, 1) expects 1002 input features, but Dense(13, 1001) before it gives 1001
    tg.NeuralNetwork([tg.Dense(13, 1001), tg.Dense(1002, 1)], loss=tg.MSELoss())


def named_widths_exchanged() -> None:
    """Named widths in the wrong order."""
    # E[types]
    # E[mypy]: incompatible type "type[Rooms]"; expected "type[Hidden]"
    # E[run]: Dense(13, 1) expects 13 input features, but Dense(13, 32) before it gives 32
    _ = tg.Dense(Rooms, Hidden) >> tg.Dense(Rooms, 1)


def named_widths_exchanged_in_a_list() -> None:
    """Named widths in the wrong order, in a list."""
    # E[plugin]: Dense(Rooms, 1) expects Rooms input features, but Dense(Rooms, Hidden) before it
    # E[run]: Dense(13, 1) expects 13 input features, but Dense(13, 32) before it gives 32
    tg.NeuralNetwork([tg.Dense(Rooms, Hidden), tg.Dense(Rooms, 1)], loss=tg.MSELoss())


class Head(tg.Layer[Literal[32], Literal[1]]):
    """A user's layer whose type names its widths."""

    def __init__(self) -> None:
        self.in_features, self.out_features = 32, 1
        self.linear = tg.Dense(32, 1)
        self.operations = self.linear.operations


def layer_of_ones_own() -> None:
    """A user's own layer that names its widths, `>>`."""
    # E[types]
    # E[mypy]: "Dense[Literal[13], Literal[64]]" and "Head"
    # E[run]: Head() expects 32 input features, but Dense(13, 64) before it gives 64
    _ = tg.Dense(13, 64) >> Head()


def layer_of_ones_own_in_a_list() -> None:
    """A user's own layer that names its widths, in a list."""
    # E[plugin]: Head() expects 32 input features, but Dense(13, 64) before it gives 64
    # E[run]: Head() expects 32 input features, but Dense(13, 64) before it gives 64
    tg.NeuralNetwork([tg.Dense(13, 64), Head()], loss=tg.MSELoss())


def layers_in_a_tuple_variable() -> None:
    """Layers in a variable that holds a tuple."""
    layers = (tg.Dense(13, 32), tg.Tanh(), tg.Dense(64, 1))
    # E[plugin]: Dense(64, 1) expects 64 input features, but Dense(13, 32) before it gives 32
    # E[run]: Dense(64, 1) expects 64 input features, but Dense(13, 32) before it gives 32
    tg.NeuralNetwork(*layers, loss=tg.MSELoss())


def column_embedding_of_too_few_columns() -> None:
    """`ColumnEmbedding` for another number of columns than come in."""
    # E[plugin, pyright, ty, pyrefly]
    # E[run]: expects 9 input features, but BatchNorm(8) before it gives 8
    _ = tg.BatchNorm(8) >> tg.ColumnEmbedding(9, {0: 12})


def first_layer_of_unknown_width() -> None:
    """The first layer's inputs counted at run time, the next one wrong."""
    columns = len("columns")
    # E[plugin]: Dense(64, 1) expects 64 input features, but Dense(..., 32) before it gives 32
    # E[pyright, ty, pyrefly]
    # E[run]: Dense(64, 1) expects 64 input features, but Dense(7, 32) before it gives 32
    _ = tg.Dense(columns, 32) >> tg.Dense(64, 1)


def first_layer_of_unknown_width_and_an_activation() -> None:
    """The same with an activation in between."""
    columns = len("columns")
    # E[plugin]: Dense(64, 1) expects 64 input features, but Dense(..., 32) before it gives 32
    # E[pyright, ty, pyrefly]
    # E[run]: Dense(64, 1) expects 64 input features, but Dense(7, 32) before it gives 32
    _ = tg.Dense(columns, 32) >> tg.Tanh() >> tg.Dense(64, 1)


def first_line_of_several() -> None:
    """A model that grows line by line, wrong in its second line."""
    model = tg.Dense(13, 32) >> tg.Tanh()
    # E[types]
    # E[plugin]: Dense(64, 1) expects 64 input features, but Chain(...) before it gives 32
    # E[run]: Dense(64, 1) expects 64 input features, but Dense(13, 32) before it gives 32
    model = model >> tg.Dense(64, 1)


def last_line_of_several() -> None:
    """A model that grows line by line, wrong in its third line."""
    model = tg.Dense(13, 32) >> tg.Tanh()
    # E[plain]
    model = model >> tg.Dense(32, 48)
    # E[types]
    # E[plugin]: Dense(64, 1) expects 64 input features, but Chain(...) before it gives 48
    # E[run]: Dense(64, 1) expects 64 input features, but Dense(32, 48) before it gives 48
    model = model >> tg.Dense(64, 1)


class Growing:
    """A user's class whose model grows, wrongly."""

    def __init__(self) -> None:
        self.model = tg.Dense(13, 32) >> tg.Tanh()
        # E[types]
        # E[plugin]: Dense(64, 1) expects 64 input features, but Chain(...) before it gives 32
        self.model = self.model >> tg.Dense(64, 1)


def attribute_that_grows() -> None:
    """A model in an attribute, wrong in its second line."""
    # E[run]: Dense(64, 1) expects 64 input features, but Dense(13, 32) before it gives 32
    Growing()


def network_of_a_class() -> None:
    """A network whose layers a subclass gives."""

    class Regression(tg.NeuralNetwork):
        def __init__(self) -> None:
            # E[plugin]: Dense(64, 1) expects 64 input features, but Dense(13, 32) before it
            # E[run]: Dense(64, 1) expects 64 input features, but Dense(13, 32) before it gives
            super().__init__([tg.Dense(13, 32), tg.Dense(64, 1)], loss=tg.MSELoss())

    Regression()


def residual_block_of_a_class() -> None:
    """A residual block whose layers a subclass gives."""

    class Block(tg.Residual):
        def __init__(self) -> None:
            # E[plugin]: takes 32 features but gives 31; the input can only be added to as many
            # E[run]: takes 32 features but gives 31; the input can only be added to as many
            super().__init__(tg.Dense(32, 64), tg.ReLU(), tg.Dense(64, 31))

    Block()
