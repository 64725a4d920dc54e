"""NaN and infinity: the first guilty operation is named, and nothing is spoilt."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import typegrad as tg
from typegrad.operations import ElementwiseOperation
from typegrad.types import Array


class Logarithm(ElementwiseOperation):
    """Infinite at zero, NaN below."""

    def output(self, x: Array) -> Array:
        return np.log(x)

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return output_grad / x


class SquareRoot(ElementwiseOperation):
    """At zero the value is finite and the gradient is not."""

    def output(self, x: Array) -> Array:
        return np.sqrt(np.maximum(x, 0.0))

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return output_grad * 0.5 / np.where(x > 0, y, 0.0)


def make_data() -> tuple[Array, Array]:
    """The row before the last is the only one that is all zeros."""
    x = np.random.default_rng(0).uniform(1.0, 2.0, size=(20, 2))
    x[18] = 0.0
    return x, x[:, :1]


def make_network(
    *layers: Any,
    loss: tg.Loss | None = None,
    dtype: Any = np.float64,
    scaler: tg.Standardizer | None = None,
) -> Any:
    chosen = loss or tg.MSELoss()
    return tg.NeuralNetwork(*layers, loss=chosen, seed=0, dtype=dtype, target_scaler=scaler)


def positive_dense() -> tg.Dense:
    return tg.Dense(2, 3, bias=False, initializer=tg.initializers.Constant(0.5))


def fit_and_fail(network: tg.NeuralNetwork, **options: Any) -> tuple[str, tg.History]:
    """Return message and history; check that weights and buffers are those before the step."""
    x, y = options.pop("data", make_data())
    optimizer = options.pop("optimizer", tg.SGD(1e-3, momentum=0.5))
    before: list[dict[str, Any]] = [network.state_dict()]

    class Keep(tg.Callback):
        step_interval = 1
        reason = ""

        def on_step_end(self, event: tg.StepEnd) -> None:
            before.append(network.state_dict())

        def on_train_end(self, event: tg.TrainEnd) -> None:
            self.reason = event.history.stop_reason

    keep = Keep()
    settings = {"shuffle": False, "epochs": 3, "batch_size": 5, **options}
    accumulation_steps = settings.pop("accumulation_steps", 1)
    trainer = tg.Trainer(
        network, optimizer, callbacks=[keep], accumulation_steps=accumulation_steps
    )
    with pytest.raises(tg.NumericalError) as caught:
        trainer.fit(x, y, **settings)
    for name, array in network.state_dict().items():
        np.testing.assert_array_equal(array, before[-1][name], err_msg=name)
    history = vars(caught.value)["history"]
    assert isinstance(history, tg.History)
    assert history.stop_reason == keep.reason == str(caught.value)
    return str(caught.value), history


ADVICE = (
    "Lower the learning rate, clip the gradient (clip_norm=1.0), or standardise inputs and target"
)


def test_forward_culprit() -> None:
    """Row 18 is in the fourth batch; batch normalisation has run before it is found."""
    network = make_network(
        tg.BatchNorm(2), Scaler(2), positive_dense(), Logarithm(), tg.Dense(3, 1)
    )
    network.parameters["1.scale"].value[...] = 0.0
    message, history = fit_and_fail(network)
    assert message == (
        "step 1: the output of Logarithm() in layer 3, Activation(Logarithm()) has infinity; "
        f"the largest number it got is 0. {ADVICE}"
    )
    assert len(history) == 0


class Scaler(tg.Layer):
    """Multiplies by a number of its own, in plain NumPy: no operation stands in it."""

    def __init__(self, features: int) -> None:
        self.in_features = self.out_features = features
        self.scale = tg.Parameter((features,), tg.initializers.Constant(1.0), decay=False)

    def forward(self, x: Array, mode: tg.layers.Mode = tg.layers.INFERENCE) -> Array:
        self._x = x
        return x * self.scale.value

    def backward(self, output_grad: Array) -> Array:
        self.scale.grad[...] += np.sum(output_grad * self._x, axis=0)
        return output_grad * self.scale.value


def test_culprit_in_a_later_batch() -> None:
    network = make_network(positive_dense(), Logarithm(), tg.Dense(3, 1))
    message, history = fit_and_fail(network)
    assert message.startswith("step 4: the output of Logarithm() in layer 1, ")
    assert len(history) == 0


def test_history_keeps_whole_epochs() -> None:
    """A loss that grows step by step dies some epochs later."""
    x = np.random.default_rng(0).normal(size=(20, 2))
    network = make_network(tg.Dense(2, 1), dtype=np.float32)
    message, history = fit_and_fail(network, data=(x, x[:, :1]), optimizer=tg.SGD(1e3), epochs=100)
    assert message.endswith(ADVICE)
    assert "MSELoss() in the loss has infinity" in message
    assert len(history) >= 1
    assert np.isfinite(history.training_loss).all()
    assert np.isfinite(network.flat.values).all()


def test_backward_culprit() -> None:
    """Value fine, gradient infinite: the operation that a user wrote, not its neighbours."""
    network = make_network(
        tg.Dense(2, 4, bias=False),
        tg.BatchNorm(4),
        positive_dense_of(4),
        SquareRoot(),
        tg.Dense(3, 1),
    )
    network.parameters["1.gain"].value[...] = 0.0
    network.parameters["1.shift"].value[...] = 0.0
    message, _ = fit_and_fail(network)
    assert message.startswith(
        "step 1: the gradient of SquareRoot() in layer 3, Activation(SquareRoot()) has "
    )
    assert "the largest number it got is" in message


def positive_dense_of(features: int) -> tg.Dense:
    return tg.Dense(features, 3, bias=False, initializer=tg.initializers.Constant(0.5))


def test_backward_culprit_within_a_residual() -> None:
    network = make_network(
        tg.Residual(
            tg.Dense(2, 2, bias=False, initializer=tg.initializers.Constant(1.0)), SquareRoot()
        ),
        tg.Dense(2, 1),
    )
    message, _ = fit_and_fail(network)
    assert message.startswith("step 4: the gradient of SquareRoot() in layer 0, Residual(")


def test_the_loss_itself() -> None:
    class LogLoss(tg.losses.ElementwiseLoss):
        def terms(self, prediction: Array, target: Array) -> Array:
            return np.log(prediction) * target

        def term_grads(self, prediction: Array, target: Array) -> Array:
            return target / prediction

    message, _ = fit_and_fail(make_network(tg.Dense(2, 1), loss=LogLoss()))
    assert message.startswith("step 4: the output of LogLoss() in the loss has NaN; ")


@pytest.mark.parametrize("accumulation_steps", [1, 2])
def test_buffers_are_those_before_the_step(accumulation_steps: int) -> None:
    """`fit_and_fail` compares them; the first steps did change them."""
    network = make_network(
        tg.BatchNorm(2), positive_dense(), tg.ReLU(), Reciprocal(), tg.Dense(3, 1)
    )
    x, y = make_data()
    message, _ = fit_and_fail(network, data=(x, y), accumulation_steps=accumulation_steps)
    assert "Reciprocal() in layer 3" in message


class Reciprocal(ElementwiseOperation):
    def output(self, x: Array) -> Array:
        return 1.0 / x

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return -output_grad * y * y


def test_a_weight_that_is_nan_from_the_start() -> None:
    network = make_network(tg.Dense(2, 3, tg.Tanh()), tg.Dense(3, 1))
    network.parameters["1.weight"].value[0] = np.nan
    message, _ = fit_and_fail(network)
    assert message == (
        "step 1: the output of Linear() in layer 1, Dense(3, 1) has NaN, and so has what it "
        "got: a weight, or the result of what is no operation"
    )


def test_a_gradient_made_by_no_operation() -> None:
    """The layer's gradient is written by hand; its parameter is named."""

    class Broken(Scaler):
        def backward(self, output_grad: Array) -> Array:
            self.scale.grad[...] = np.nan
            return output_grad

    message, _ = fit_and_fail(make_network(tg.Dense(2, 3), Broken(3), tg.Dense(3, 1)))
    assert message == (
        "step 1: the gradient of parameter 1.scale is not finite, "
        "though the result of every operation is"
    )


def test_gradients_that_overflow_only_when_added() -> None:
    """Each batch's gradient is a float32 number, their sum is not."""

    class Huge(tg.losses.ElementwiseLoss):
        def terms(self, prediction: Array, target: Array) -> Array:
            return prediction * 1e-30

        def term_grads(self, prediction: Array, target: Array) -> Array:
            return np.full_like(prediction, 2.5e38)

    x = np.ones((4, 1), np.float32)
    network = make_network(tg.Dense(1, 1, bias=False), loss=Huge(), dtype=np.float32)
    message, _ = fit_and_fail(
        network, data=(x * 2.5, x), batch_size=2, accumulation_steps=2, optimizer=tg.SGD(0.1)
    )
    assert message == (
        "step 1: the gradient of parameter 0.weight is not finite, "
        "though the result of every operation is"
    )


def test_huge_but_finite_gradients_are_no_error() -> None:
    """Their sum overflows, they do not; clipping makes them harmless."""

    class Steep(tg.losses.ElementwiseLoss):
        def terms(self, prediction: Array, target: Array) -> Array:
            return np.zeros_like(prediction)

        def term_grads(self, prediction: Array, target: Array) -> Array:
            return np.full_like(prediction, 3e38)

    x = np.ones((4, 3), np.float32)
    network = make_network(tg.Dense(3, 1), loss=Steep(), dtype=np.float32)
    before = network.flat.values.copy()
    tg.Trainer(network, tg.SGD(1.0), clip_norm=1.0, metrics=()).fit(
        x, x[:, :1], epochs=1, batch_size=4
    )
    np.testing.assert_allclose(network.flat.values, before - 0.5, rtol=1e-6)


def test_an_update_that_overflows() -> None:
    x, y = make_data()
    network = make_network(tg.BatchNorm(2), tg.Dense(2, 1), dtype=np.float32)
    message, _ = fit_and_fail(network, data=(x, y * 1e4), optimizer=tg.SGD(3e38))
    assert message == (
        "step 1: the update of SGD with learning rate 3e+38 makes weights NaN or infinite. "
        "Lower the learning rate"
    )


def test_huge_targets() -> None:
    x, y = make_data()
    for dtype, factor in ((np.float32, 1e30), (np.float64, 1e200)):
        message, _ = fit_and_fail(make_network(tg.Dense(2, 1), dtype=dtype), data=(x, y * factor))
        assert message.startswith("step 1: the output of MSELoss() in the loss has infinity; ")


def test_standardised_huge_targets_are_no_problem() -> None:
    x, y = make_data()
    network = tg.NeuralNetwork(
        tg.Dense(2, 1),
        loss=tg.MSELoss(),
        dtype=np.float64,
        input_scaler=tg.Standardizer(),
        target_scaler=tg.Standardizer(),
    )
    trainer = tg.Trainer(network, tg.LBFGS(), metrics=["r2"])
    history = trainer.fit(x * 1e100, y * 1e100, epochs=50)
    assert history.metrics["training_r2"][-1] > 0.999


def test_huge_validation_targets_are_reported_as_numbers() -> None:
    """They harm no weights, so training goes on; no warnings either."""
    x, y = make_data()
    network = make_network(tg.Dense(2, 1))
    history = tg.Trainer(network, tg.SGD(0.01)).fit(
        x, y, epochs=2, validation_data=(x, y * 1e200), early_stopping=5
    )
    assert history.stop_reason == "finished"
    assert np.isinf(history.validation_loss).all()
    assert history.best_epoch is None
    assert np.isinf(history.metrics["validation_rmse"]).all()


def test_numbers_out_of_the_networks_range() -> None:
    x, y = make_data()
    trainer = tg.Trainer(make_network(tg.Dense(2, 1), dtype=np.float32), tg.SGD(0.01))
    x[3, 1] = 1e39
    with pytest.raises(tg.DataError) as caught:
        trainer.fit(x, y, epochs=1)
    assert str(caught.value) == (
        "x has 1e+39 at row 3, column 1, which is too large for the network's float32; "
        "rescale it, or build the network with dtype=float64"
    )
    x, y = make_data()
    scaled = make_network(tg.Dense(2, 1), dtype=np.float32, scaler=tg.Standardizer())
    with pytest.raises(tg.DataError, match=r"^y has -?\d\.\d+e\+\d+ at row 0, column 0, which is"):
        tg.Trainer(scaled, tg.SGD(0.01)).fit(x, y * 1e60, epochs=1)
    wide = make_network(tg.Dense(2, 1), scaler=tg.Standardizer())
    with pytest.raises(tg.DataError, match=r"is too large for the network's float64; rescale it$"):
        tg.Trainer(wide, tg.SGD(0.01)).fit(x, np.sign(y) * 1.7e308, epochs=1)
    with pytest.raises(tg.DataError, match=r"^validation y has -1e\+39 at row 18, column 0, which"):
        trainer.fit(x, y, epochs=1, validation_data=(x, np.where(y == 0, -1e39, y)))
