"""Every layer from one table: shapes, gradient checks, PyTorch, dtypes.

To test a new layer, add a row to `ROWS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch.nn import functional

import typegrad as tg
from typegrad.layers import INFERENCE, Mode
from typegrad.types import Array, Shape

TRAINING = Mode(training=True, seed=5)
State = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Row:
    """A layer, the shapes it is tested with, and PyTorch's functions for the same."""

    name: str
    layer: Callable[[], tg.Layer]
    input_shape: Shape
    output_shape: Shape
    reference: Callable[[torch.Tensor, State], torch.Tensor]
    mode: Mode = INFERENCE
    codes: int = 0
    """If not zero, the input holds categories below this number in its first column."""


def dense(x: torch.Tensor, state: State, name: str) -> torch.Tensor:
    return functional.linear(x, state[f"{name}.weight"].T, state.get(f"{name}.bias"))


def nested(x: torch.Tensor, state: State) -> torch.Tensor:
    inner = torch.tanh(dense(x, state, "0.layers.0"))
    inner = inner + torch.relu(dense(inner, state, "0.layers.1.layers.0"))
    return x + dense(inner, state, "0.layers.2")


def column_embedding(x: torch.Tensor, state: State) -> torch.Tensor:
    return torch.cat(
        [
            x[:, [1, 3]],
            functional.embedding(x[:, 0].long(), state["0.tables.0"]),
            functional.embedding(x[:, 2].long(), state["0.tables.1"]),
        ],
        dim=1,
    )


def batch_norm(training: bool) -> Callable[[torch.Tensor, State], torch.Tensor]:
    def reference(x: torch.Tensor, state: State) -> torch.Tensor:
        return functional.batch_norm(
            x,
            state["0.running_mean"].detach().clone(),
            state["0.running_variance"].detach().clone(),
            state["0.gain"],
            state["0.shift"],
            training=training,
            eps=1e-5,
        )

    return reference


ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "elu": functional.elu,
    "gelu": functional.gelu,
    "leaky_relu": functional.leaky_relu,
    "relu": functional.relu,
    "selu": functional.selu,
    "sigmoid": torch.sigmoid,
    "silu": functional.silu,
    "softmax": lambda x: functional.softmax(x, dim=-1),
    "softplus": functional.softplus,
    "tanh": torch.tanh,
}


def dense_with(name: str) -> Row:
    def make() -> tg.Dense:
        return tg.Dense(4, 3, tg.make_activation(name))

    def reference(x: torch.Tensor, state: State) -> torch.Tensor:
        return ACTIVATIONS[name](dense(x, state, "0"))

    return Row(f"Dense {name}", make, (5, 4), (5, 3), reference)


ROWS = [
    Row("Dense", lambda: tg.Dense(4, 3), (5, 4), (5, 3), lambda x, s: dense(x, s, "0")),
    Row("Dense no bias", lambda: tg.Dense(4, 3, bias=False), (5, 4), (5, 3),
        lambda x, s: dense(x, s, "0")),
    Row("Dense one row", lambda: tg.Dense(1, 1), (1, 1), (1, 1), lambda x, s: dense(x, s, "0")),
    *[dense_with(name) for name in ACTIVATIONS],
    Row("Tanh", lambda: tg.Chain(tg.Tanh()), (5, 4), (5, 4), lambda x, s: torch.tanh(x)),
    Row(
        "Chain",
        lambda: tg.Chain(tg.Dense(4, 6), tg.Tanh(), tg.Dense(6, 2)),
        (5, 4),
        (5, 2),
        lambda x, s: dense(torch.tanh(dense(x, s, "0")), s, "2"),
    ),
    Row(
        "nested Residual",
        lambda: tg.Residual(
            tg.Dense(4, 6, tg.Tanh()), tg.Residual(tg.Dense(6, 6, tg.ReLU())), tg.Dense(6, 4)
        ),
        (5, 4),
        (5, 4),
        nested,
    ),
    Row("Flatten", tg.Flatten, (5, 2, 3), (5, 6), lambda x, s: x.flatten(1)),
    Row("Flatten of vectors", tg.Flatten, (5,), (5, 1), lambda x, s: x[:, None]),
    Row("LayerNorm", lambda: tg.LayerNorm(6), (5, 6), (5, 6),
        lambda x, s: functional.layer_norm(x, (6,), s["0.gain"], s["0.shift"], 1e-5)),
    Row("LayerNorm epsilon", lambda: tg.LayerNorm(6, epsilon=0.1), (5, 6), (5, 6),
        lambda x, s: functional.layer_norm(x, (6,), s["0.gain"], s["0.shift"], 0.1)),
    Row("BatchNorm training", lambda: tg.BatchNorm(4), (7, 4), (7, 4), batch_norm(True), TRAINING),
    Row("BatchNorm two rows", lambda: tg.BatchNorm(4), (2, 4), (2, 4), batch_norm(True), TRAINING),
    Row("BatchNorm inference", lambda: tg.BatchNorm(4), (7, 4), (7, 4), batch_norm(False)),
    Row("BatchNorm one row in training", lambda: tg.BatchNorm(4), (1, 4), (1, 4),
        batch_norm(False), TRAINING),
    Row("Embedding", lambda: tg.Embedding(4, 3), (6,), (6, 3),
        lambda x, s: functional.embedding(x.long(), s["0.weight"]), codes=4),
    Row("Embedding of several columns", lambda: tg.Embedding(4, 3), (6, 2), (6, 2, 3),
        lambda x, s: functional.embedding(x.long(), s["0.weight"]), codes=4),
    Row("ColumnEmbedding", lambda: tg.ColumnEmbedding(4, {0: 3, 2: 5}), (9, 4), (9, 7),
        column_embedding, codes=3),
]  # fmt: skip

rows = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


def built(row: Row, dtype: type = np.float64) -> tg.NeuralNetwork:
    """Make a network of the layer alone, with random parameters and buffers."""
    network = tg.NeuralNetwork(row.layer(), loss=tg.MSELoss(), seed=1, dtype=dtype)
    rng = np.random.default_rng(2)
    network.flat.values[:] = rng.standard_normal(network.flat.values.size)
    for buffer in network.buffers.values():
        buffer.assign(rng.uniform(0.5, 2.0, buffer.shape))
    return network


def sample(row: Row) -> Array:
    rng = np.random.default_rng(3)
    if not row.codes:
        return np.asarray(rng.standard_normal(row.input_shape))
    codes = np.asarray(rng.integers(0, row.codes, row.input_shape)).astype(np.float64)
    if row.name == "ColumnEmbedding":
        codes[:, [1, 3]] = rng.standard_normal((len(codes), 2))
    return codes


def assert_equal_to_rounding(actual: Array, expected: torch.Tensor | None, what: str) -> None:
    assert expected is not None, what
    wanted = expected.detach().numpy()
    assert actual.shape == wanted.shape, what
    scale = float(np.abs(wanted).max(initial=0.0))
    np.testing.assert_allclose(actual, wanted, rtol=1e-12, atol=1e-12 * scale, err_msg=what)


@rows
def test_shapes_and_agreement_with_pytorch(row: Row) -> None:
    network, x = built(row), sample(row)
    state = {
        name: torch.tensor(array, requires_grad=True)
        for name, array in network.state_dict().items()
    }
    y = network.forward(x, row.mode)
    x_reference = torch.tensor(x, requires_grad=True)
    y_reference = row.reference(x_reference, state)
    assert y.shape == row.output_shape
    assert_equal_to_rounding(y, y_reference, "output")

    output_grad: Array = np.asarray(np.random.default_rng(4).standard_normal(row.output_shape))
    x_grad = network.backward(output_grad)
    torch.autograd.backward(y_reference, torch.from_numpy(output_grad))
    for name, parameter in network.parameters.items():
        assert_equal_to_rounding(parameter.grad, state[name].grad, name)
    if x_reference.grad is None:
        assert not x_grad.any()
    else:
        assert_equal_to_rounding(x_grad, x_reference.grad, "input")


@rows
def test_gradients_by_random_projection(row: Row) -> None:
    network, x = built(row), sample(row)
    rng = np.random.default_rng(6)
    network.forward(x, row.mode)
    output_grad = np.asarray(rng.standard_normal(row.output_shape))
    x_grad = network.backward(output_grad)
    grads, values = network.flat.grads.copy(), network.flat.values.copy()
    running = {name: buffer.value.copy() for name, buffer in network.buffers.items()}

    def projected(step: float) -> float:
        network.flat.values[:] = values + step * parameter_direction
        for name, buffer in network.buffers.items():
            buffer.assign(running[name])
        return float(np.sum(output_grad * network.forward(x + step * x_direction, row.mode)))

    for _ in range(5):
        parameter_direction = rng.standard_normal(values.size)
        x_direction = np.zeros_like(x)
        if not row.codes:
            x_direction = np.asarray(rng.standard_normal(x.shape))
        elif x.shape[-1] == 4:
            x_direction[:, [1, 3]] = rng.standard_normal((len(x), 2))
        h = 1e-5
        expected = (projected(h) - projected(-h)) / (2 * h)
        analytic = float(grads @ parameter_direction + np.sum(x_grad * x_direction))
        size = np.linalg.norm(grads) + np.linalg.norm(x_grad)
        assert analytic == pytest.approx(expected, rel=1e-7, abs=1e-8 * float(size))


@rows
def test_gradients_add_up_over_backward_passes(row: Row) -> None:
    network, x = built(row), sample(row)
    y = network.forward(x, row.mode)
    network.backward(np.ones_like(y))
    once = network.flat.grads.copy()
    network.backward(np.ones_like(y))
    np.testing.assert_array_equal(network.flat.grads, 2 * once)
    network.zero_grad()
    assert not network.flat.grads.any()


@rows
def test_float32_stays_float32_and_is_near_float64(row: Row) -> None:
    single, double = built(row, np.float32), built(row)
    double.load_state_dict(single.state_dict())
    x = sample(row).astype(np.float32)
    y = single.forward(x, row.mode)
    expected = double.forward(x.astype(np.float64), row.mode)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, expected, rtol=1e-3, atol=1e-5 * (1 + np.abs(expected).max()))
    assert single.backward(np.ones_like(y)).dtype == np.float32
    assert single.flat.grads.dtype == np.float32


@rows
def test_the_input_is_left_as_it_was(row: Row) -> None:
    network, x = built(row), sample(row)
    before = x.copy()
    y = network.forward(x, row.mode)
    output_grad = np.ones_like(y)
    network.backward(output_grad)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(output_grad, 1.0)


@rows
def test_no_rows(row: Row) -> None:
    network = built(row)
    y = network.forward(np.zeros((0, *row.input_shape[1:])), row.mode)
    assert y.shape == (0, *row.output_shape[1:])
    assert network.backward(y).shape == (0, *row.input_shape[1:])
    assert not network.flat.grads.any()


def test_every_layer_has_a_row() -> None:
    """Dropout, whose masks PyTorch cannot reproduce, has its own file."""
    tested = {type(row.layer()) for row in ROWS} | {tg.Dropout}
    exported = {
        value
        for value in [getattr(tg, name) for name in dir(tg)]
        if isinstance(value, type) and issubclass(value, tg.Layer)
    }
    assert exported - tested == {tg.Layer, tg.ElementwiseLayer, tg.Activation}
