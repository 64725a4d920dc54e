"""What layers accept and refuse, how they name their parts, and what they keep."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import typegrad as tg
from typegrad.errors import DataError, DTypeError, ShapeError, StateError
from typegrad.initializers import Constant, GlorotUniform, HeUniform, LeCunNormal, Normal, Zeros
from typegrad.layers import INFERENCE, Mode
from typegrad.types import Array

TRAINING = Mode(training=True, seed=5)


def exactly(message: str) -> str:
    return re.escape(message) + "$"


def built(*layers: tg.Layer, dtype: type = np.float64) -> tg.NeuralNetwork:
    return tg.NeuralNetwork(*layers, loss=tg.MSELoss(), seed=0, dtype=dtype)


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (
            tg.Dense(64, 1),
            (32, 13),
            "Dense(64, 1) got input of shape (32, 13); it expects (batch, 64)",
        ),
        (tg.Dense(4, 1), (4,), "Dense(4, 1) got input of shape (4,); it expects (batch, 4)"),
        (
            tg.Dense(4, 1),
            (2, 3, 4),
            "Dense(4, 1) got input of shape (2, 3, 4); it expects (batch, 4)",
        ),
        (tg.Dense(4, 1), (), "Dense(4, 1) got input of shape (); it expects (batch, 4)"),
        (tg.BatchNorm(4), (2, 3), "BatchNorm(4) got input of shape (2, 3); it expects (batch, 4)"),
        (tg.LayerNorm(4), (2, 3), "LayerNorm(4) got input of shape (2, 3); it expects (batch, 4)"),
        (
            tg.ColumnEmbedding(3, {0: 2}),
            (2, 4),
            "ColumnEmbedding(3, {0: 2}) got input of shape (2, 4); it expects (batch, 3)",
        ),
        (
            tg.Chain(tg.Tanh(), tg.Dense(4, 1)),
            (2, 3),
            "Dense(4, 1) got input of shape (2, 3); it expects (batch, 4)",
        ),
    ],
)
def test_inputs_of_wrong_shape(layer: tg.Layer, shape: tuple[int, ...], message: str) -> None:
    network = built(layer)
    for mode in (INFERENCE, TRAINING):
        with pytest.raises(ShapeError, match=exactly(message)):
            network.forward(np.zeros(shape), mode)


@pytest.mark.parametrize("layer", [tg.Dense(2, 1), tg.Chain(tg.Tanh()), tg.BatchNorm(2)])
def test_a_list_is_no_input(layer: tg.Layer) -> None:
    built(layer)
    not_an_array: Any = [[1.0, 2.0]]
    with pytest.raises(DTypeError, match="the input is a list; expected an array, such as"):
        layer.forward(not_an_array)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tg.Dense(0, 1), "Dense: in_features is 0; expected 1 or more"),
        (lambda: tg.Dense(1, -2), "Dense: out_features is -2; expected 1 or more"),
        (lambda: tg.Embedding(0, 2), "Embedding: num_embeddings is 0; expected 1 or more"),
        (lambda: tg.Embedding(2, 0), "Embedding: embedding_dim is 0; expected 1 or more"),
        (
            lambda: tg.BatchNorm(2, momentum=0),
            "BatchNorm: momentum is 0; expected 0 < momentum <= 1",
        ),
        (
            lambda: tg.BatchNorm(2, momentum=1.5),
            "BatchNorm: momentum is 1.5; expected 0 < momentum <= 1",
        ),
        (
            lambda: tg.ColumnEmbedding(3, {3: 2}),
            "ColumnEmbedding: column 3 with 2 categories does not fit an input of 3 columns",
        ),
        (
            lambda: tg.ColumnEmbedding(3, {-1: 2}),
            "ColumnEmbedding: column -1 with 2 categories does not fit an input of 3 columns",
        ),
        (
            lambda: tg.ColumnEmbedding(3, {1: 0}),
            "ColumnEmbedding: column 1 with 0 categories does not fit an input of 3 columns",
        ),
        (tg.Chain, "Chain needs at least one layer; it got none"),
        (
            lambda: tg.Residual(tg.Dense(3, 2)),  # type: ignore[layer-size]
            "Residual(Dense(3, 2)) takes 3 features but gives 2; "
            "the input can only be added to as many",
        ),
        (
            lambda: tg.make_activation("rleu"),
            "activation is 'rleu'; expected an operation or one of elu, gelu, leaky_relu, relu, "
            "selu, sigmoid, silu, softmax, softplus, tanh",
        ),
    ],
)
def test_options_that_make_no_sense(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=exactly(message)):
        make()


class TestDense:
    def test_parameters_and_decay(self) -> None:
        network = built(tg.Dense(3, 2, "relu"))
        weight, bias = network.parameters.values()
        assert list(network.parameters) == ["0.weight", "0.bias"]
        assert (weight.decay, bias.decay) == (True, False)
        assert not bias.value.any()
        assert list(built(tg.Dense(3, 2, bias=False)).parameters) == ["0.weight"]

    @pytest.mark.parametrize(
        ("activation", "initializer"),
        [
            (None, GlorotUniform()),
            ("tanh", GlorotUniform()),
            ("sigmoid", GlorotUniform()),
            ("softmax", GlorotUniform()),
            ("selu", LeCunNormal()),
            ("relu", HeUniform()),
            ("leaky_relu", HeUniform()),
            ("elu", HeUniform()),
            ("gelu", HeUniform()),
            ("silu", HeUniform()),
            ("softplus", HeUniform()),
        ],
    )
    def test_the_initializer_fits_the_activation(
        self, activation: Any, initializer: object
    ) -> None:
        assert tg.Dense(3, 2, activation).weight.initializer == initializer

    def test_an_initializer_given_is_used(self) -> None:
        network = built(tg.Dense(3, 2, "relu", initializer=Constant(0.25)))
        np.testing.assert_array_equal(network.parameters["0.weight"].value, np.full((3, 2), 0.25))

    def test_one_activation_given_twice_is_not_shared(self) -> None:
        relu = tg.ReLU()
        first, second = tg.Dense(2, 2, relu), tg.Dense(2, 2, relu)
        activation = tg.Activation(relu)
        copies = [first.activation, second.activation, activation.operation]
        assert len({id(each) for each in [relu, *copies]}) == 4
        assert all(type(each) is tg.ReLU for each in copies)

    def test_gradients_are_right_where_one_activation_was_given_to_two_layers(self) -> None:
        tanh = tg.Tanh()
        shared = built(tg.Dense(2, 3, tanh), tg.Dense(3, 2, tanh))
        apart = built(tg.Dense(2, 3, tg.Tanh()), tg.Dense(3, 2, tg.Tanh()))
        x = np.random.default_rng(0).standard_normal((4, 2))
        for network in (shared, apart):
            network.backward(network.forward(x))
        np.testing.assert_array_equal(shared.flat.grads, apart.flat.grads)
        assert shared.flat.grads.any()

    def test_a_copied_activation_does_not_bring_its_last_run(self) -> None:
        relu = tg.ReLU()
        relu.forward(np.ones((2, 2)))
        with pytest.raises(StateError, match=re.escape("ReLU().backward was called before")):
            tg.Activation(relu).backward(np.ones((2, 2)))
        assert relu.backward(np.ones((2, 2))).all()

    def test_options_of_the_activation_are_kept(self) -> None:
        layer = tg.Dense(2, 2, tg.LeakyReLU(0.2))
        assert layer.activation == tg.LeakyReLU(0.2)


class TestBatchNorm:
    def test_running_statistics_and_inference_equal_pytorchs_over_several_steps(self) -> None:
        rng = np.random.default_rng(0)
        layer = tg.BatchNorm(3, momentum=0.3, epsilon=1e-3)
        network = built(layer)
        reference = torch.nn.BatchNorm1d(3, momentum=0.3, eps=1e-3, dtype=torch.float64)
        for step in range(6):
            x = rng.normal(2.0, 3.0, (5 + step, 3))
            output_grad = rng.standard_normal(x.shape)
            x_reference = torch.tensor(x, requires_grad=True)
            network.zero_grad()
            reference.zero_grad()
            y = network.forward(x, TRAINING)
            y_reference = reference(x_reference)
            np.testing.assert_allclose(y, y_reference.detach().numpy(), rtol=1e-12, atol=1e-13)
            y_reference.backward(torch.from_numpy(output_grad))
            x_grad = network.backward(output_grad)
            assert x_reference.grad is not None
            np.testing.assert_allclose(x_grad, x_reference.grad.numpy(), rtol=1e-11, atol=1e-13)
            assert reference.weight.grad is not None
            np.testing.assert_allclose(layer.gain.grad, reference.weight.grad.numpy(), rtol=1e-12)
            for ours, theirs in (
                (layer.running_mean, reference.running_mean),
                (layer.running_variance, reference.running_var),
            ):
                assert theirs is not None
                np.testing.assert_allclose(ours.value, theirs.numpy(), rtol=1e-13)
            network.flat.values -= 0.1 * network.flat.grads
            with torch.no_grad():
                for parameter in reference.parameters():
                    assert parameter.grad is not None
                    parameter.sub_(0.1 * parameter.grad)
        reference.eval()
        x = rng.standard_normal((4, 3))
        with torch.no_grad():
            expected = reference(torch.from_numpy(x)).numpy()
        np.testing.assert_allclose(network.forward(x), expected, rtol=1e-12)

    def test_inference_and_single_rows_leave_the_running_statistics(self) -> None:
        layer = tg.BatchNorm(2)
        network = built(layer)
        x = np.random.default_rng(0).normal(5.0, 2.0, (6, 2))
        network.forward(x, TRAINING)
        kept = network.state_dict()
        network.forward(x)
        alone = network.forward(x[:1], TRAINING)
        for name, array in network.state_dict().items():
            np.testing.assert_array_equal(array, kept[name])
        np.testing.assert_array_equal(alone, network.forward(x[:1]))
        assert np.isfinite(alone).all()

    def test_running_statistics_are_float64_buffers_of_the_state(self) -> None:
        network = built(tg.BatchNorm(2), dtype=np.float32)
        network.forward(np.ones((3, 2), np.float32), TRAINING)
        assert list(network.buffers) == ["0.running_mean", "0.running_variance"]
        assert list(network.state_dict()) == [
            "0.gain",
            "0.shift",
            "0.running_mean",
            "0.running_variance",
        ]
        assert network.state_dict()["0.running_mean"].dtype == np.float64

    def test_no_weight_decay(self) -> None:
        network = built(tg.BatchNorm(2), tg.LayerNorm(2))
        assert not network.flat.decay_mask.any()

    def test_a_constant_feature_gives_the_shift(self) -> None:
        network = built(tg.BatchNorm(2))
        x = np.full((5, 2), 3.0)
        np.testing.assert_array_equal(network.forward(x, TRAINING), np.zeros((5, 2)))


class TestEmbedding:
    @pytest.mark.parametrize(
        ("codes", "message"),
        [
            ([0.0, 3.0], "the code at (1,) is 3.0; expected a whole number from 0 to 2"),
            ([-1.0, 0.0], "the code at (0,) is -1.0; expected a whole number from 0 to 2"),
            ([0.0, 1.0, 0.5], "the code at (2,) is 0.5; expected a whole number from 0 to 2"),
            ([0.0, np.nan], "the code at (1,) is nan; expected a whole number from 0 to 2"),
            ([np.inf, 0.0], "the code at (0,) is inf; expected a whole number from 0 to 2"),
        ],
    )
    def test_codes_that_are_no_category(self, codes: list[float], message: str) -> None:
        network = built(tg.Embedding(3, 2))
        with pytest.raises(DataError, match=re.escape(message) + "$"):
            network.forward(np.array(codes))

    def test_columns_keep_their_order_and_widths_follow_the_rule(self) -> None:
        layer = tg.ColumnEmbedding(5, {3: 4, 1: 200})
        assert [table.shape for table in layer.tables] == [(4, 2), (200, 50)]
        assert layer.out_features == 3 + 2 + 50
        network = built(layer)
        x = np.array([[10.0, 199.0, 20.0, 3.0, 30.0]])
        y = network.forward(x)
        first, second = (table.value for table in layer.tables)
        np.testing.assert_array_equal(y[0], [10.0, 20.0, 30.0, *first[3], *second[199]])

    def test_a_dimension_given_holds_for_all_columns(self) -> None:
        layer = tg.ColumnEmbedding(3, {0: 4, 1: 9}, embedding_dim=6)
        assert [table.shape for table in layer.tables] == [(4, 6), (9, 6)]

    def test_vectors_are_decayed_and_start_normal(self) -> None:
        assert tg.Embedding(3, 2).weight.initializer == Normal()
        assert tg.Embedding(3, 2, initializer=Zeros()).weight.initializer == Zeros()

    def test_into_dense(self) -> None:
        network = built(tg.Embedding(3, 2), tg.Flatten(), tg.Dense(4, 1))
        assert network.forward(np.array([[0.0, 1.0], [2.0, 2.0]])).shape == (2, 1)


class TestContainers:
    def test_links_are_checked_when_built(self) -> None:
        with pytest.raises(
            ShapeError,
            match=exactly(
                "Dense(64, 1) expects 64 input features, but Dense(13, 32) before it gives 32"
            ),
        ):
            tg.Chain(tg.Dense(13, 32), tg.Dense(64, 1))  # type: ignore[layer-size]

    def test_links_are_checked_through_layers_that_keep_the_features(self) -> None:
        with pytest.raises(
            ShapeError,
            match=exactly(
                "BatchNorm(64) expects 64 input features, but Dense(13, 32) before it gives 32"
            ),
        ):
            tg.Chain(tg.Dense(13, 32), tg.Tanh(), tg.Dropout(0.5), tg.BatchNorm(64))  # type: ignore[layer-size]

    def test_links_are_checked_into_nested_chains(self) -> None:
        with pytest.raises(
            ShapeError,
            match=exactly(
                "Chain(Activation(Tanh()), Dense(8, 2)) expects 8 input features, "
                "but Dense(13, 32) before it gives 32"
            ),
        ):
            tg.Chain(tg.Dense(13, 32), tg.Chain(tg.Tanh(), tg.Dense(8, 2)))  # type: ignore[layer-size]

    def test_widths_that_are_not_known_pass(self) -> None:
        chain = tg.Chain(tg.Flatten(), tg.Dense(6, 2))
        assert (chain.in_features, chain.out_features) == (None, 2)
        assert built(chain).forward(np.ones((4, 2, 3))).shape == (4, 2)

    def test_features_of_a_chain(self) -> None:
        chain = tg.Chain(tg.Tanh(), tg.Dropout(0.1), tg.Dense(5, 2), tg.Tanh())
        assert (chain.in_features, chain.out_features) == (5, 2)
        assert tg.Chain(tg.Tanh()).output_features(7) == 7

    @pytest.mark.parametrize(
        "wrong",
        [tg.Tanh, tg.Add(), tg.MSELoss(), None, lambda x: x],
        ids=["class", "binary", "loss", "None", "function"],
    )
    def test_only_layers_and_elementwise_operations(self, wrong: Any) -> None:
        message = (
            f"{wrong!r} is neither a Layer nor an element-wise operation such as Tanh(); "
            "did you pass a class instead of an object?"
        )
        with pytest.raises(TypeError, match=exactly(message)):
            tg.Chain(wrong)

    def test_a_layer_must_not_occur_twice(self) -> None:
        layer = tg.Dense(3, 3)
        message = "Dense(3, 3) occurs twice; build a second layer instead of sharing it"
        with pytest.raises(StateError, match=exactly(message)):
            tg.Chain(layer, layer)
        with pytest.raises(StateError, match=exactly(message)):
            tg.Chain(layer, tg.Residual(tg.Tanh(), layer))

    def test_residual_adds_the_input_of_whatever_width(self) -> None:
        network = built(tg.Residual(tg.Tanh()))
        x = np.random.default_rng(0).standard_normal((3, 4))
        np.testing.assert_array_equal(network.forward(x), x + np.tanh(x))

    def test_residual_never_broadcasts(self) -> None:
        network = built(tg.Residual(tg.Flatten(), tg.Dense(4, 1)))
        message = (
            "Residual(Flatten(), Dense(4, 1)) got input of shape (2, 4), but its layers give "
            "(2, 1); the input can only be added to an output of its own shape"
        )
        with pytest.raises(ShapeError, match=exactly(message)):
            network.forward(np.ones((2, 4)))

    def test_texts(self) -> None:
        assert str(tg.Residual(tg.Dense(2, 2), tg.ReLU())) == (
            "Residual(Dense(2, 2), Activation(ReLU()))"
        )
        assert str(tg.Embedding(3, 2)) == "Embedding(3, 2)"
        assert str(tg.Flatten()) == "Flatten()"


class Scale(tg.ParameterOperation[Array]):
    def output(self, x: Array, factor: Array) -> Array:
        return x * factor

    def input_grad(self, output_grad: Array, x: Array, y: Array, factor: Array) -> Array:
        return output_grad * factor

    def parameter_grads(
        self, output_grad: Array, x: Array, y: Array, factor: Array
    ) -> tuple[Array]:
        return (np.sum(output_grad * x, axis=0),)


class ScaleFeatures(tg.Layer):
    """A user's layer made of operations."""

    def __init__(self, features: int) -> None:
        self.in_features = self.out_features = features
        self.factor = tg.Parameter((features,), Constant(3.0), decay=False)
        self.operations = (Scale(self.factor),)


class Gated(tg.Layer):
    """A user's layer with inner layers in a list and a dict, and its own passes."""

    def __init__(self, features: int) -> None:
        self.in_features = self.out_features = features
        self.branches = [tg.Dense(features, features, "sigmoid")]
        self.named = {"value": tg.Dense(features, features)}
        self.calls = tg.Buffer(np.zeros(()))
        self.product = tg.Multiply()
        self.itself = self

    def forward(self, x: Array, mode: Mode = INFERENCE) -> Array:
        self.check_input(x)
        self.calls.assign(self.calls.value + 1)
        gate = self.branches[0].forward(x, mode.inside(0))
        return self.product.forward(gate, self.named["value"].forward(x, mode.inside(1)))

    def backward(self, output_grad: Array) -> Array:
        gate_grad, value_grad = self.product.backward(output_grad)
        value_part = self.named["value"].backward(value_grad)
        return self.branches[0].backward(gate_grad) + value_part


class TestUserLayers:
    def test_made_of_operations(self) -> None:
        network = built(ScaleFeatures(2), tg.Dense(2, 1))
        x = np.array([[1.0, 2.0], [3.0, 4.0]])
        np.testing.assert_array_equal(network.layers[0].forward(x), 3 * x)
        network.layers[0].backward(np.ones((2, 2)))
        np.testing.assert_array_equal(network.parameters["0.factor"].grad, [4.0, 6.0])
        assert str(network.layers[0]) == "ScaleFeatures()"

    def test_parts_are_found_in_lists_dicts_and_layers_in_order_and_once(self) -> None:
        network = built(Gated(3))
        assert list(network.parameters) == [
            "0.branches.0.weight",
            "0.branches.0.bias",
            "0.named.value.weight",
            "0.named.value.bias",
        ]
        assert list(network.buffers) == ["0.calls"]
        assert network.layers[0].multiply_adds() == 18

    def test_with_passes_of_its_own(self) -> None:
        network = built(Gated(3))
        rng = np.random.default_rng(1)
        x, output_grad = rng.standard_normal((2, 5, 3))
        network.forward(x, TRAINING)
        grad = network.backward(output_grad)
        h = 1e-6
        for direction in rng.standard_normal((3, 5, 3)):
            change = network.forward(x + h * direction) - network.forward(x - h * direction)
            expected = float(np.sum(output_grad * change)) / (2 * h)
            assert float(np.sum(grad * direction)) == pytest.approx(expected, rel=1e-7)
        assert network.state_dict()["0.calls"] == 7

    def test_widths_of_users_layers_are_checked(self) -> None:
        message = "ScaleFeatures() expects 3 input features, but ScaleFeatures() before it gives 2"
        with pytest.raises(ShapeError, match=exactly(message)):
            tg.Chain(ScaleFeatures(2), ScaleFeatures(3))

    def test_parts_of_one_kind(self) -> None:
        names = [name for name, _ in tg.named_parts(Gated(2), tg.Layer)]
        assert names == ["branches.0", "named.value"]


def test_buffers_hold_copies_in_float64() -> None:
    initial = np.ones(2, np.float32)
    buffer = tg.Buffer(initial)
    buffer.assign(np.array([2, 3]))
    assert buffer.value.dtype == np.float64
    assert buffer.shape == (2,)
    np.testing.assert_array_equal(initial, 1.0)
    np.testing.assert_array_equal(buffer.value, [2.0, 3.0])
