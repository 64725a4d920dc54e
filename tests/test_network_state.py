"""NeuralNetwork: parameters, state, copies and summary."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import typegrad as tg
from typegrad.errors import DTypeError, ShapeError, StateError
from typegrad.initializers import Constant, HeUniform
from typegrad.layers import Mode
from typegrad.types import Array

TRAINING = Mode(training=True, seed=5)


def exactly(message: str) -> str:
    return re.escape(message) + "$"


def small(seed: int | np.random.Generator | None = 0, **options: Any) -> tg.NeuralNetwork:
    return tg.NeuralNetwork(
        tg.Dense(3, 4, tg.Tanh()), tg.BatchNorm(4), tg.Dense(4, 1), loss=tg.MSELoss(), seed=seed,
        **options,
    )  # fmt: skip


X = np.random.default_rng(0).standard_normal((7, 3))


def weight_of(network: tg.NeuralNetwork) -> Array:
    return network.parameters["0.weight"].value


def assert_states_equal(state: dict[str, Any], expected: dict[str, Any]) -> None:
    assert list(state) == list(expected)
    for name, array in state.items():
        np.testing.assert_array_equal(array, expected[name])


class TestParameters:
    def test_names_and_order_are_those_of_the_layers(self) -> None:
        network = tg.NeuralNetwork(
            tg.Dense(3, 4, tg.ReLU()),
            tg.Residual(tg.Dense(4, 4), tg.Chain(tg.LayerNorm(4))),
            tg.Dense(4, 1, bias=False),
            loss=tg.MSELoss(),
        )
        assert list(network.parameters) == [
            "0.weight",
            "0.bias",
            "1.layers.0.weight",
            "1.layers.0.bias",
            "1.layers.1.layers.0.gain",
            "1.layers.1.layers.0.shift",
            "2.weight",
        ]
        in_order = [parameter.value.ravel() for parameter in network.parameters.values()]
        np.testing.assert_array_equal(network.flat.values, np.concatenate(in_order))

    def test_the_decay_mask_follows_the_parameters(self) -> None:
        expected = [1.0] * 12 + [0.0] * 4 + [0.0] * 8 + [1.0] * 4 + [0.0]
        np.testing.assert_array_equal(small().flat.decay_mask, expected)

    def test_a_seed_gives_the_same_values_each_time_and_another_one_others(self) -> None:
        np.testing.assert_array_equal(small(3).flat.values, small(3).flat.values)
        np.testing.assert_array_equal(
            small(3).flat.values, small(np.random.default_rng(3)).flat.values
        )
        assert not np.isclose(weight_of(small(3)), weight_of(small(4))).any()
        assert not np.isclose(weight_of(small(None)), weight_of(small(None))).any()

    def test_a_generator_gives_two_networks_different_values(self) -> None:
        generator = np.random.default_rng(3)
        assert not np.isclose(weight_of(small(generator)), weight_of(small(generator))).any()

    def test_layers_of_one_shape_start_differently(self) -> None:
        network = tg.NeuralNetwork(
            [tg.Dense(3, 3, tg.Tanh()) for _ in range(3)], loss=tg.MSELoss(), seed=0
        )
        first, second, third = (network.parameters[f"{i}.weight"].value for i in range(3))
        assert not np.isclose(first, second).any()
        assert not np.isclose(first, third).any()
        assert not np.isclose(second, third).any()

    def test_a_layer_added_at_the_end_does_not_change_the_others(self) -> None:
        longer = tg.NeuralNetwork(
            tg.Dense(3, 4, tg.Tanh()), tg.BatchNorm(4), tg.Dense(4, 1), tg.Dense(1, 1),
            loss=tg.MSELoss(), seed=0,
        )  # fmt: skip
        np.testing.assert_array_equal(longer.flat.values[:29], small().flat.values)

    def test_no_global_random_state_is_used(self) -> None:
        before = np.random.get_state(legacy=False)  # noqa: NPY002 - to see that it stays
        small(0).forward(X.astype(np.float32), TRAINING)
        after = np.random.get_state(legacy=False)  # noqa: NPY002
        assert repr(before) == repr(after)

    def test_first_values_come_from_the_layers_initializers(self) -> None:
        network = tg.NeuralNetwork(
            tg.Dense(50, 40, "relu"), tg.Dense(40, 2, initializer=Constant(0.5)), loss=tg.MSELoss()
        )
        assert np.abs(network.parameters["0.weight"].value).max() <= np.sqrt(6 / 50)
        assert network.parameters["0.weight"].initializer == HeUniform()
        np.testing.assert_array_equal(network.parameters["1.weight"].value, 0.5)
        np.testing.assert_array_equal(network.parameters["1.bias"].value, 0.0)

    def test_a_tied_weight_is_one_parameter(self) -> None:
        first, second = tg.Dense(3, 3), tg.Dense(3, 3)
        second.weight = first.weight
        second.operations = (tg.WeightMultiply(first.weight),)
        second.bias = None
        network = tg.NeuralNetwork(first, second, loss=tg.MSELoss(), seed=0, dtype=np.float64)
        assert list(network.parameters) == ["0.weight", "0.bias"]
        assert network.flat.values.size == 12
        rng = np.random.default_rng(1)
        output_grad, direction = rng.standard_normal((7, 3)), rng.standard_normal(12)
        network.forward(X)
        network.backward(output_grad)
        values, h = network.flat.values.copy(), 1e-6
        ends = []
        for step in (h, -h):
            network.flat.values[:] = values + step * direction
            ends.append(float(np.sum(output_grad * network.forward(X))))
        expected = (ends[0] - ends[1]) / (2 * h)
        assert float(network.flat.grads @ direction) == pytest.approx(expected, rel=1e-7)


class TestState:
    def trained(self, seed: int) -> tg.NeuralNetwork:
        network = small(seed, dtype=np.float64)
        network.forward(X + seed, TRAINING)
        return network

    def test_round_trip(self) -> None:
        first, second = self.trained(1), self.trained(2)
        assert not np.allclose(first.predict(X), second.predict(X))
        second.load_state_dict(first.state_dict())
        np.testing.assert_array_equal(second.predict(X), first.predict(X))
        np.testing.assert_array_equal(second.flat.values, first.flat.values)
        assert np.shares_memory(weight_of(second), second.flat.values)

    def test_the_state_is_a_copy(self) -> None:
        network = self.trained(1)
        state = network.state_dict()
        network.flat.values[:] = 0.0
        network.buffers["1.running_mean"].assign(np.zeros(4))
        assert state["0.weight"].any()
        assert state["1.running_mean"].any()
        state["0.weight"][...] = 7.0
        assert not network.flat.values.any()
        network.load_state_dict(state)
        state["0.weight"][...] = 8.0
        np.testing.assert_array_equal(weight_of(network), 7.0)

    def test_names_are_those_of_parameters_and_buffers(self) -> None:
        network = self.trained(1)
        assert list(network.state_dict()) == [*network.parameters, *network.buffers]

    @pytest.mark.parametrize(
        ("change", "error", "message"),
        [
            (
                {"2.bias": None},
                StateError,
                "load_state_dict: the state is of another network; "
                "missing: ['2.bias'], unknown: none",
            ),
            (
                {"3.bias": np.zeros(1)},
                StateError,
                "load_state_dict: the state is of another network; "
                "missing: none, unknown: ['3.bias']",
            ),
            (
                {"2.bias": None, "1.gain": None, "a": np.zeros(1)},
                StateError,
                "load_state_dict: the state is of another network; "
                "missing: ['1.gain', '2.bias'], unknown: ['a']",
            ),
            (
                {"2.weight": np.zeros((1, 4))},
                ShapeError,
                "load_state_dict: 2.weight has shape (1, 4); expected (4, 1)",
            ),
            (
                {"2.bias": np.zeros(())},
                ShapeError,
                "load_state_dict: 2.bias has shape (); expected (1,)",
            ),
            (
                {"1.running_variance": np.zeros(1)},
                ShapeError,
                "load_state_dict: 1.running_variance has shape (1,); expected (4,)",
            ),
            (
                {"1.running_variance": np.array(["a", "b", "c", "d"])},
                DTypeError,
                "load_state_dict: 1.running_variance has dtype <U1; expected real numbers, "
                "and for text a TableEncoder that turns it into numbers",
            ),
        ],
    )
    def test_nothing_changes_unless_everything_fits(
        self, change: dict[str, Any], error: type[Exception], message: str
    ) -> None:
        network = self.trained(1)
        before = network.state_dict()
        state = {**self.trained(2).state_dict(), **change}
        state = {name: array for name, array in state.items() if array is not None}
        with pytest.raises(error, match=exactly(message)):
            network.load_state_dict(state)
        assert_states_equal(network.state_dict(), before)

    def test_values_are_converted_to_the_networks_dtype(self) -> None:
        single, double = small(1), small(2, dtype=np.float64)
        single.load_state_dict(double.state_dict())
        assert single.flat.values.dtype == np.float32
        np.testing.assert_array_equal(single.flat.values, double.flat.values.astype(np.float32))

    @pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
    def test_copies_are_whole_networks(
        self, duplicate: Callable[[tg.NeuralNetwork], tg.NeuralNetwork]
    ) -> None:
        network = self.trained(1)
        copied = duplicate(network)
        expected = network.predict(X)
        np.testing.assert_array_equal(copied.predict(X), expected)
        copied.flat.values[:] *= 2.0
        assert not np.allclose(copied.predict(X), expected)
        np.testing.assert_array_equal(network.predict(X), expected)
        copied.forward(X, TRAINING)
        copied.backward(np.ones((7, 1)))
        assert copied.flat.grads.any()
        assert not network.flat.grads.any()


class TestSummary:
    def test_all_kinds_of_layers(self) -> None:
        network = tg.NeuralNetwork(
            tg.ColumnEmbedding(9, {8: 12}, embedding_dim=2),
            tg.Dense(10, 1000, tg.ReLU()),
            tg.BatchNorm(1000),
            tg.Dropout(0.1),
            tg.Residual(tg.Dense(1000, 1000, tg.Tanh(), bias=False)),
            tg.LayerNorm(1000),
            tg.Dense(1000, 2),
            loss=tg.GaussianNLLLoss(),
            dtype=np.float64,
        )
        assert network.summary() == (
            "Layer                           Output shape   Parameters  Multiply-adds\n"
            "------------------------------------------------------------------------\n"
            "0  ColumnEmbedding(9, {8: 12})  (batch, 10)            24              0\n"
            "1  Dense(10, 1000)              (batch, 1000)      11,000         10,000\n"
            "2  BatchNorm(1000)              (batch, 1000)       2,000              0\n"
            "3  Dropout(0.1)                 (batch, 1000)           0              0\n"
            "4  Residual(Dense(1000, 1000))  (batch, 1000)   1,000,000      1,000,000\n"
            "5  LayerNorm(1000)              (batch, 1000)       2,000              0\n"
            "6  Dense(1000, 2)               (batch, 2)          2,002          2,000\n"
            "------------------------------------------------------------------------\n"
            "Total                                           1,017,026      1,012,000\n"
            "GaussianNLLLoss(min_variance=1e-06), float64, 8,136.2 kB"
        )

    def test_where_the_inputs_width_is_not_known(self) -> None:
        network = tg.NeuralNetwork(tg.Embedding(3, 2), tg.Flatten(), loss=tg.MSELoss())
        assert network.summary() == (
            "Layer               Output shape  Parameters  Multiply-adds\n"
            "-----------------------------------------------------------\n"
            "0  Embedding(3, 2)  ?                      6              0\n"
            "1  Flatten()        ?                      0              0\n"
            "-----------------------------------------------------------\n"
            "Total                                      6              0\n"
            "MSELoss(), float32, 0.0 kB"
        )

    def test_it_changes_nothing_and_zeros_do_not_warn(self) -> None:
        class Logarithm(tg.ElementwiseOperation):
            def output(self, x: Array) -> Array:
                return np.log(x)

            def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
                return output_grad / x

        network = tg.NeuralNetwork(
            Logarithm(), tg.BatchNorm(3), loss=tg.MSELoss(), dtype=np.float64
        )
        network.forward(np.exp(X), TRAINING)
        before = network.state_dict()
        assert "(batch, 3)" in network.summary()
        assert_states_equal(network.state_dict(), before)

    def test_it_may_come_between_forward_and_backward(self) -> None:
        network = tg.NeuralNetwork(
            tg.Dense(3, 8, tg.Tanh()),
            tg.BatchNorm(8),
            tg.Residual(tg.Dropout(0.5)),
            loss=tg.MSELoss(),
            dtype=np.float64,
            seed=0,
        )
        network.forward(X, TRAINING)
        expected = network.backward(np.ones((len(X), 8)))
        gradients = network.flat.grads.copy()
        network.zero_grad()
        network.summary()
        np.testing.assert_array_equal(network.backward(np.ones((len(X), 8))), expected)
        np.testing.assert_array_equal(network.flat.grads, gradients)
