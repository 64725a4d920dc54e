"""NeuralNetwork: what it is built of, its passes and its predictions."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

import typegrad as tg
from typegrad.errors import DTypeError, ShapeError, StateError
from typegrad.initializers import Constant
from typegrad.layers import Mode
from typegrad.types import AnyArray, Array, Shape

TRAINING = Mode(training=True, seed=5)


def exactly(message: str) -> str:
    return re.escape(message) + "$"


def small(seed: int | np.random.Generator | None = 0, **options: Any) -> tg.NeuralNetwork:
    return tg.NeuralNetwork(
        tg.Dense(3, 4, tg.Tanh()), tg.BatchNorm(4), tg.Dense(4, 1), loss=tg.MSELoss(), seed=seed,
        **options,
    )  # fmt: skip


X = np.random.default_rng(0).standard_normal((7, 3))


def assert_states_equal(state: dict[str, Any], expected: dict[str, Any]) -> None:
    assert list(state) == list(expected)
    for name, array in state.items():
        np.testing.assert_array_equal(array, expected[name])


class TestBuilding:
    def test_arguments_a_list_and_any_iterable_are_the_same(self) -> None:
        def layers() -> list[tg.LayerLike]:
            return [tg.Dense(3, 4), tg.Tanh(), tg.Dense(4, 1)]

        networks = [
            tg.NeuralNetwork(*layers(), loss=tg.MSELoss(), seed=1),
            tg.NeuralNetwork(layers(), loss=tg.MSELoss(), seed=1),
            tg.NeuralNetwork(tuple(layers()), loss=tg.MSELoss(), seed=1),
            tg.NeuralNetwork((layer for layer in layers()), loss=tg.MSELoss(), seed=1),
        ]
        assert len({str(network) for network in networks}) == 1
        for network in networks:
            np.testing.assert_array_equal(network.predict(X), networks[0].predict(X))

    def test_text(self) -> None:
        assert str(tg.NeuralNetwork(tg.Dense(3, 1), tg.ReLU(), loss=tg.MAELoss())) == (
            "NeuralNetwork(Dense(3, 1), Activation(ReLU()), loss=MAELoss(), dtype=float32)"
        )

    def test_features(self) -> None:
        network = small()
        assert (network.in_features, network.out_features) == (3, 1)
        assert len(network.layers) == 3

    @pytest.mark.parametrize(
        ("build", "message"),
        [
            (
                lambda: tg.NeuralNetwork(tg.Dense(13, 32), tg.Dense(64, 1), loss=tg.MSELoss()),
                "Dense(64, 1) expects 64 input features, but Dense(13, 32) before it gives 32",
            ),
            (
                lambda: tg.NeuralNetwork(tg.Dense(4, 3), loss=tg.GaussianNLLLoss()),
                "GaussianNLLLoss(min_variance=1e-06) wants 2 outputs for each target column, "
                "but Dense(4, 3) gives 3",
            ),
            (
                lambda: tg.NeuralNetwork([], loss=tg.MSELoss()),
                "Chain needs at least one layer; it got none",
            ),
        ],
    )
    def test_what_does_not_fit(self, build: Callable[[], object], message: str) -> None:
        with pytest.raises(ShapeError, match=exactly(message)):
            build()

    def test_a_loss_whose_outputs_fit(self) -> None:
        network = tg.NeuralNetwork(tg.Dense(4, 6), loss=tg.GaussianNLLLoss())
        assert network.predict(np.zeros((2, 4))).shape == (2, 6)

    def test_outputs_that_are_not_known_are_not_checked(self) -> None:
        assert tg.NeuralNetwork(tg.Flatten(), loss=tg.GaussianNLLLoss()).out_features is None

    @pytest.mark.parametrize("loss", [tg.MSELoss, "mse", None])
    def test_the_loss_must_be_an_object(self, loss: Any) -> None:
        message = f"loss is {loss!r}; expected a Loss object such as tg.MSELoss()"
        with pytest.raises(TypeError, match=exactly(message)):
            tg.NeuralNetwork(tg.Dense(3, 1), loss=loss)

    def test_a_class_is_no_layer(self) -> None:
        wrong: Any = tg.Tanh
        with pytest.raises(TypeError, match="did you pass a class instead of an object"):
            tg.NeuralNetwork(wrong, loss=tg.MSELoss())

    def test_layers_of_one_network_cannot_be_used_in_another(self) -> None:
        network = small()
        before = network.state_dict()
        message = (
            "parameter 1.weight already belongs to a network; build new layers for a second network"
        )
        with pytest.raises(StateError, match=exactly(message)):
            tg.NeuralNetwork(tg.Tanh(), network.layers[0], loss=tg.MSELoss())
        assert_states_equal(network.state_dict(), before)

    def test_a_layer_cannot_occur_twice(self) -> None:
        layer = tg.Dense(3, 3)
        message = "Dense(3, 3) occurs twice; build a second layer instead of sharing it"
        with pytest.raises(StateError, match=exactly(message)):
            tg.NeuralNetwork(layer, tg.Tanh(), layer, loss=tg.MSELoss())

    def test_layers_outlive_an_initializer_that_fails(self) -> None:
        good = tg.Dense(3, 3)
        bad = tg.Dense(3, 1, initializer=fails)
        with pytest.raises(ArithmeticError, match="no value"):
            tg.NeuralNetwork(good, bad, loss=tg.MSELoss())
        assert not good.weight.is_bound
        assert tg.NeuralNetwork(good, tg.Dense(3, 1), loss=tg.MSELoss()).predict(X).shape == (7, 1)

    @pytest.mark.parametrize("shape", [(), (2,), (1, 2), (2, 3)])
    def test_an_initializer_must_return_the_parameters_shape(self, shape: Shape) -> None:
        def initializer(_: Shape, generator: np.random.Generator) -> Array:
            return np.zeros(shape)

        message = f"the initializer of parameter 0.weight returned shape {shape}; expected (3, 2)"
        with pytest.raises(ShapeError, match=exactly(message)):
            tg.NeuralNetwork(tg.Dense(3, 2, initializer=initializer), loss=tg.MSELoss())

    def test_a_network_without_parameters(self) -> None:
        network = tg.NeuralNetwork(tg.Tanh(), loss=tg.MSELoss())
        np.testing.assert_array_equal(network.predict(X), np.tanh(X.astype(np.float32)))
        assert network.flat.values.shape == (0,)


def fails(shape: Shape, generator: np.random.Generator) -> Array:
    raise ArithmeticError("no value")


class TestDType:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64, "float64"])
    def test_all_is_computed_in_the_networks_dtype(self, dtype: npt.DTypeLike) -> None:
        network = small(dtype=dtype)
        assert network.dtype == dtype
        x = X.astype(dtype)
        y = network.forward(x, TRAINING)
        assert y.dtype == dtype
        assert network.backward(np.ones_like(y)).dtype == dtype
        assert network.flat.values.dtype == network.flat.grads.dtype == dtype
        assert network.predict(X).dtype == dtype

    def test_float32_is_the_default(self) -> None:
        assert small().dtype == np.float32

    @pytest.mark.parametrize(
        ("dtype", "name"),
        [
            (int, "int64"),
            (np.float16, "float16"),
            (complex, "complex128"),
            (None, "None"),
            ("flaot32", "'flaot32'"),
        ],
    )
    def test_other_dtypes(self, dtype: Any, name: str) -> None:
        message = f"NeuralNetwork: dtype is {name}; expected float32 or float64"
        with pytest.raises(DTypeError, match=exactly(message)):
            small(dtype=dtype)

    @pytest.mark.parametrize(
        ("x", "given"), [(X, "float64"), (np.ones((2, 3), int), "int64"), ([[1.0]], "list")]
    )
    def test_forward_does_not_convert(self, x: Any, given: str) -> None:
        message = (
            f"NeuralNetwork.forward got {given}, but the network is float32; "
            "convert the input with .astype('float32')"
        )
        with pytest.raises(DTypeError, match=exactly(message)):
            small().forward(x)


def test_forward_backward_and_loss_equal_pytorchs() -> None:
    network = tg.NeuralNetwork(
        tg.Dense(3, 5, tg.Tanh()), tg.Dense(5, 4, "gelu"), tg.Dense(4, 2),
        loss=tg.MSELoss(), seed=2, dtype=np.float64,
    )  # fmt: skip
    modules = [torch.nn.Linear(*sizes, dtype=torch.float64) for sizes in ((3, 5), (5, 4), (4, 2))]
    with torch.no_grad():
        for index, module in enumerate(modules):
            module.weight.copy_(torch.tensor(network.parameters[f"{index}.weight"].value.T))
            module.bias.copy_(torch.tensor(network.parameters[f"{index}.bias"].value))
    reference = torch.nn.Sequential(
        modules[0], torch.nn.Tanh(), modules[1], torch.nn.GELU(), modules[2]
    )
    target = np.random.default_rng(1).standard_normal((7, 2))
    loss = network.loss.forward(network.forward(X, TRAINING), target)
    x_grad = network.backward(network.loss.backward())
    x = torch.tensor(X, requires_grad=True)
    expected = torch.nn.functional.mse_loss(reference(x), torch.tensor(target))
    torch.autograd.backward(expected)
    assert loss == pytest.approx(expected.item(), rel=1e-13)
    assert x.grad is not None
    np.testing.assert_allclose(x_grad, x.grad.numpy(), rtol=1e-12, atol=1e-15)
    for index, module in enumerate(modules):
        for ours, theirs in (("weight", module.weight.grad), ("bias", module.bias.grad)):
            assert theirs is not None
            grad = network.parameters[f"{index}.{ours}"].grad
            np.testing.assert_allclose(grad.T, theirs.numpy(), rtol=1e-12, atol=1e-15)
    network.zero_grad()
    assert not network.flat.grads.any()


class TestPredict:
    @pytest.mark.parametrize("batch_size", [1, 2, 3, 7, 8, 100])
    def test_batches_give_what_all_rows_at_once_give(self, batch_size: int) -> None:
        network = small(dtype=np.float64)
        network.forward(X + 1.0, TRAINING)
        expected = network.predict(X)
        np.testing.assert_allclose(network.predict(X, batch_size=batch_size), expected, rtol=1e-12)

    @pytest.mark.parametrize("batch_size", [0, -3])
    def test_batch_sizes_that_make_no_sense(self, batch_size: int) -> None:
        message = f"batch_size is {batch_size}; expected 1 or more, or None"
        with pytest.raises(ValueError, match=exactly(message)):
            small().predict(X, batch_size=batch_size)

    @pytest.mark.parametrize(
        ("network", "shape"),
        [
            (small(), (0, 1)),
            (tg.NeuralNetwork(tg.Dense(3, 4), loss=tg.GaussianNLLLoss()), (0, 4)),
            (tg.NeuralNetwork(tg.Tanh(), loss=tg.MSELoss()), (0, 3)),
        ],
    )
    @pytest.mark.parametrize("batch_size", [None, 4])
    def test_no_rows(self, network: tg.NeuralNetwork, shape: Shape, batch_size: int | None) -> None:
        y = network.predict(np.zeros((0, 3)), batch_size=batch_size)
        assert y.shape == shape
        assert y.dtype == np.float32

    @pytest.mark.parametrize(
        ("x", "error", "message"),
        [
            (
                [1.0, 2.0, 3.0],
                ShapeError,
                "x has shape (3,); the network expects (rows, 3); for one row use x.reshape(1, -1)",
            ),
            (np.ones((2, 4)), ShapeError, "x has shape (2, 4); the network expects (rows, 3)"),
            (
                np.ones((2, 3, 1)),
                ShapeError,
                "x has shape (2, 3, 1); the network expects (rows, 3)",
            ),
            (5.0, ShapeError, "x is a single number; the network expects rows"),
            ([[1.0, 2.0], [3.0]], DTypeError, "x has rows of different lengths; expected a table"),
            (
                [["a", "b", "c"]],
                DTypeError,
                "x has dtype <U1; expected real numbers, "
                "and for text a TableEncoder that turns it into numbers",
            ),
            (
                np.ones((2, 3), complex),
                DTypeError,
                "x has dtype complex128; expected real numbers, "
                "and for text a TableEncoder that turns it into numbers",
            ),
        ],
    )
    def test_inputs_that_do_not_fit(self, x: Any, error: type[Exception], message: str) -> None:
        with pytest.raises(error, match=exactly(message)):
            small().predict(x)

    @pytest.mark.parametrize("dtype", [int, np.float16, np.float64, bool, np.uint8])
    def test_real_inputs_are_converted(self, dtype: type) -> None:
        x: AnyArray = np.array([[1, 0, 1], [0, 0, 1]], dtype)
        network = small()
        np.testing.assert_array_equal(network.predict(x), network.predict(x.astype(np.float32)))
        np.testing.assert_array_equal(network.predict(x.tolist()), network.predict(x))

    def test_layers_infer_and_keep_their_state(self) -> None:
        network = tg.NeuralNetwork(
            tg.Dense(3, 50), tg.BatchNorm(50), tg.Dropout(0.5), loss=tg.MSELoss(), seed=0
        )
        before = network.state_dict()
        first, second = network.predict(X), network.predict(X)
        np.testing.assert_array_equal(first, second)
        assert (first != 0).all()
        assert_states_equal(network.state_dict(), before)

    def test_training_mode_reaches_every_layer(self) -> None:
        network = tg.NeuralNetwork(
            tg.Residual(tg.BatchNorm(3), tg.Dropout(0.5)), loss=tg.MSELoss(), dtype=np.float64
        )
        y = network.forward(X, TRAINING) - X
        assert (y == 0).any()
        assert network.buffers["0.layers.0.running_mean"].value.any()


class TestScalers:
    def test_predictions_are_in_the_datas_own_units(self) -> None:
        rng = np.random.default_rng(4)
        x = rng.normal([10.0, -500.0, 0.01], [2.0, 100.0, 0.001], (30, 3))
        y = rng.normal([1000.0, 1.0], [50.0, 0.1], (30, 2))
        network = tg.NeuralNetwork(
            tg.Dense(3, 2), loss=tg.MSELoss(), seed=0, dtype=np.float64,
            input_scaler=tg.Standardizer().fit(x), target_scaler=tg.Standardizer().fit(y),
        )  # fmt: skip
        standardized = (x - x.mean(axis=0)) / x.std(axis=0)
        np.testing.assert_allclose(network.prepare_inputs(x), standardized, rtol=1e-12)
        np.testing.assert_allclose(
            network.prepare_targets(y), (y - y.mean(axis=0)) / y.std(axis=0), rtol=1e-11, atol=1e-13
        )
        expected = network.forward(standardized) * y.std(axis=0) + y.mean(axis=0)
        np.testing.assert_allclose(network.predict(x), expected, rtol=1e-12)
        np.testing.assert_allclose(network.predict(x, batch_size=7), expected, rtol=1e-12)

    def test_inputs_are_standardised_before_they_become_float32(self) -> None:
        x = 1e8 + np.arange(6.0).reshape(-1, 1)
        network = tg.NeuralNetwork(
            tg.Dense(1, 1, initializer=Constant(1.0)),
            loss=tg.MSELoss(),
            input_scaler=tg.Standardizer().fit(x),
        )
        expected = (x - x.mean()) / x.std()
        np.testing.assert_allclose(network.predict(x), expected, rtol=1e-6)
        assert network.predict(x).dtype == np.float32

    def test_standard_deviations_are_scaled_but_not_shifted(self) -> None:
        y = np.array([[90.0], [110.0]])
        network = tg.NeuralNetwork(
            tg.Dense(1, 2, initializer=Constant(0.0)),
            loss=tg.GaussianNLLLoss(),
            dtype=np.float64,
            target_scaler=tg.Standardizer().fit(y),
        )
        deviation = 10.0 * np.sqrt(np.log(2.0) + 1e-6)
        np.testing.assert_allclose(
            network.predict(np.ones((1, 1))), [[100.0, deviation]], rtol=1e-12
        )

    def test_a_scaler_must_be_fitted(self) -> None:
        for network in (
            small(input_scaler=tg.Standardizer()),
            small(target_scaler=tg.Standardizer()),
        ):
            with pytest.raises(StateError, match="this Standardizer is not fitted"):
                network.predict(X)

    def test_without_scalers_nothing_is_changed(self) -> None:
        network = small(dtype=np.float64)
        np.testing.assert_array_equal(network.prepare_inputs(X), X)
        np.testing.assert_array_equal(network.prepare_targets([1, 2]), [1.0, 2.0])
        location, scale = network.target_location_and_scale()
        assert (location.tolist(), scale.tolist()) == ([0.0], [1.0])


def test_predictions_keep_the_digits_of_a_large_target() -> None:
    offset = 1e9  # float32 numbers of this size lie 64 apart
    y = offset + np.linspace(-100.0, 100.0, 50).reshape(-1, 1)
    network = tg.NeuralNetwork(
        tg.Dense(1, 1), loss=tg.MSELoss(), target_scaler=tg.Standardizer().fit(y)
    )
    network.load_state_dict({"0.weight": np.ones((1, 1)), "0.bias": np.zeros(1)})
    z = (y - y.mean()) / y.std()
    np.testing.assert_allclose(network.predict(z), y, rtol=0, atol=1e-4)
