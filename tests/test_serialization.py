"""Save and load: what comes back is what was saved, and training goes on as if uninterrupted."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import typegrad as tg
from typegrad import initializers as init
from typegrad.callbacks import Callback, EpochEnd
from typegrad.operations import ElementwiseOperation, Parameter
from typegrad.optimizers import BaseOptimizer
from typegrad.serialization import Checkpoint, load, load_checkpoint, save
from typegrad.serialization.models import describe_history, restore_history
from typegrad.serialization.values import Encoder, built_in_definitions
from typegrad.tabular import TableModel, train_table
from typegrad.types import Array, Shape

X = np.random.default_rng(0).normal(size=(40, 5))
Y = X @ np.arange(1.0, 6.0)[:, None] + 3.0


def standardised(rows: Array, columns: list[int] | None = None) -> tg.Standardizer:
    return tg.Standardizer(columns).fit(rows)


NETWORKS: dict[str, Callable[[], tg.NeuralNetwork]] = {
    "dense": lambda: tg.NeuralNetwork(tg.Dense(5, 1), loss=tg.MSELoss(), seed=1),
    "float64": lambda: tg.NeuralNetwork(
        tg.Dense(5, 4, tg.Tanh()), tg.Dense(4, 1), loss=tg.MAELoss(), seed=1, dtype=np.float64
    ),
    "normalised": lambda: tg.NeuralNetwork(
        tg.Dense(5, 4, bias=False),
        tg.BatchNorm(4, momentum=0.25, epsilon=1e-3),
        tg.LayerNorm(4, epsilon=1e-2),
        tg.Dropout(0.25),
        tg.LeakyReLU(0.2),
        tg.Dense(4, 1),
        loss=tg.HuberLoss(0.5),
        seed=2,
    ),
    "nested": lambda: tg.NeuralNetwork(
        tg.Residual(
            tg.Dense(5, 7, "elu"), tg.Chain(tg.GELU("tanh"), tg.Dense(7, 5)), tg.Softplus()
        ),
        tg.Dense(5, 3),
        loss=tg.QuantileLoss((0.05, 0.5, 0.9), non_crossing=True),
        seed=3,
    ),
    "embedding": lambda: tg.NeuralNetwork(
        tg.ColumnEmbedding(5, {1: 4, 3: 2}, embedding_dim=3),
        tg.Dense(9, 2),
        loss=tg.GaussianNLLLoss(1e-4),
        seed=4,
    ),
    "flattened": lambda: tg.NeuralNetwork(
        tg.Embedding(6, 2, initializer=init.Uniform(0.5)),
        tg.Flatten(),
        tg.Dense(10, 1),
        loss=tg.LogCoshLoss(),
        seed=5,
    ),
    "initialised": lambda: tg.NeuralNetwork(
        tg.Dense(5, 4, "selu", initializer=init.OrthogonalNormal(2.0)),
        tg.Dense(4, 4, initializer=init.Constant(0.5)),
        tg.Dense(4, 1, initializer=init.HeNormal()),
        loss=tg.PoissonNLLLoss(),
        seed=6,
    ),
    "scaled": lambda: tg.NeuralNetwork(
        tg.Dense(5, 1),
        loss=tg.MSELoss(),
        seed=7,
        input_scaler=standardised(X, [0, 2, 4]),
        target_scaler=standardised(Y),
    ),
}


def inputs_for(network: tg.NeuralNetwork) -> Array:
    codes = np.array([[0.5, 3.0, 0.25, 1.0, -2.0], [1.5, 0.0, 0.5, 0.0, 4.0]])
    return codes if "Embedding(5" in repr(network) else np.abs(np.round(codes))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_comes_back_as_it_was(name: str, tmp_path: Path) -> None:
    network = NETWORKS[name]()
    for buffer in network.buffers.values():
        buffer.assign(np.linspace(0.5, 2.0, buffer.shape[0]))
    file = tmp_path / "model.safetensors"
    save(network, file)
    again = load(file, tg.NeuralNetwork)
    assert repr(again) == repr(network)
    assert again.dtype == network.dtype
    state = again.state_dict()
    assert list(state) == list(network.state_dict())
    for key, value in network.state_dict().items():
        assert state[key].dtype == value.dtype
        np.testing.assert_array_equal(state[key], value)
    x = inputs_for(network)
    np.testing.assert_array_equal(again.predict(x), network.predict(x))
    encode = Encoder().encode
    assert [encode(layer, "") for layer in again.layers] == [
        encode(layer, "") for layer in network.layers
    ]
    other = tmp_path / "other.safetensors"
    save(again, other)
    assert other.read_bytes() == file.read_bytes()


def test_each_class_of_a_network_can_be_named_in_a_file() -> None:
    names = set(built_in_definitions())
    layers = {"Activation", "BatchNorm", "Chain", "ColumnEmbedding", "Dense", "Dropout"}
    assert layers | {"Embedding", "Flatten", "LayerNorm", "Residual"} <= names
    assert {operation.__name__ for operation in tg.ACTIVATIONS.values()} <= names
    assert {name for name in dir(tg) if name.endswith("Loss")} - names == {
        "Loss",
        "ElementwiseLoss",
    }
    assert set(init.__all__) <= names


@pytest.mark.parametrize("activation", sorted(tg.ACTIVATIONS))
def test_each_activation_comes_back(activation: str, tmp_path: Path) -> None:
    operation = tg.make_activation(activation)
    network = tg.NeuralNetwork(tg.Dense(5, 3, operation), loss=tg.MSELoss(), seed=0)
    save(network, tmp_path / "m")
    again = load(tmp_path / "m", tg.NeuralNetwork)
    np.testing.assert_array_equal(again.predict(X), network.predict(X))


def test_initializers_are_kept_but_not_run(tmp_path: Path) -> None:
    network = NETWORKS["initialised"]()
    save(network, tmp_path / "m")
    again = load(tmp_path / "m", tg.NeuralNetwork)
    kept = [parameter.initializer for parameter in again.parameters.values()]
    assert kept == [parameter.initializer for parameter in network.parameters.values()]
    assert kept[0] == init.OrthogonalNormal(2.0)


def test_files_are_what_safetensors_writes(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.numpy")
    network = NETWORKS["scaled"]()
    save(network, tmp_path / "m")
    tensors = safetensors.load_file(tmp_path / "m")
    assert set(tensors) == {
        "network.0.weight",
        "network.0.bias",
        "input_scaler.mean",
        "input_scaler.scale",
        "input_scaler.columns",
        "target_scaler.mean",
        "target_scaler.scale",
    }
    np.testing.assert_array_equal(tensors["network.0.weight"], network.parameters["0.weight"].value)


# --- going on with a training ---------------------------------------------------------------


class StopAfter(Callback):
    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_epoch_end(self, event: EpochEnd) -> None:
        if event.record.epoch == self.epoch:
            event.trainer.stop("enough")


OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "adamw": lambda: tg.AdamW(tg.OneCycleSchedule(0.01)),
    "sgd": lambda: tg.SGD(0.01, momentum=0.9),
    "plateau": lambda: tg.Adam(tg.ReduceOnPlateau(0.05, patience=1)),
    "lbfgs": tg.LBFGS,
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_goes_on_as_if_it_had_never_stopped(name: str, tmp_path: Path) -> None:
    def build() -> tg.NeuralNetwork:
        dropout = [] if name == "lbfgs" else [tg.Dropout(0.2)]
        return tg.NeuralNetwork(
            [tg.Dense(5, 8, "relu"), *dropout, tg.Dense(8, 1)],
            loss=tg.MSELoss(),
            seed=0,
            input_scaler=tg.Standardizer(),
            target_scaler=tg.Standardizer(),
        )

    def fit(network: tg.NeuralNetwork, optimizer: Any, **settings: Any) -> tg.History:
        callbacks = settings.pop("callbacks", [])
        trainer = tg.Trainer(network, optimizer, callbacks=callbacks)
        return trainer.fit(X, Y, epochs=8, batch_size=16, **settings)

    whole = build()
    fit(whole, OPTIMIZERS[name](), seed=11)
    part, optimizer = build(), OPTIMIZERS[name]()
    history = fit(part, optimizer, seed=11, callbacks=[StopAfter(3)])
    save(part, tmp_path / "run", optimizer=optimizer, history=history)
    run = load_checkpoint(tmp_path / "run")
    assert run.history is not None
    assert run.history == history
    assert all(record.evaluated for record in history.records)
    assert run.version == tg.__version__
    assert isinstance(run.optimizer, BaseOptimizer)
    assert repr(run.optimizer) == repr(optimizer)
    fit(run.network, run.optimizer, seed=run.history.seed, initial_epoch=len(run.history))
    np.testing.assert_array_equal(run.network.flat.values, whole.flat.values)


def test_an_optimizer_that_has_not_begun(tmp_path: Path) -> None:
    network = NETWORKS["dense"]()
    save(network, tmp_path / "m", optimizer=tg.Adam(0.5, betas=(0.8, 0.9)))
    run = load_checkpoint(tmp_path / "m")
    assert repr(run.optimizer) == repr(tg.Adam(0.5, betas=(0.8, 0.9)))
    assert run.optimizer is not None
    assert run.optimizer.steps == 0
    assert run.history is None


def test_a_history_with_metrics_that_are_no_numbers(tmp_path: Path) -> None:
    record = tg.EpochRecord(1, 0.5, 0.1, 2.0, None, {"r2": float("nan"), "rmse": float("inf")})
    history = tg.History(seed=2**63, records=[record], best_epoch=1, notes=["a note"])
    save(NETWORKS["dense"](), tmp_path / "m", history=history)
    again = load_checkpoint(tmp_path / "m").history
    assert again is not None
    assert np.isnan(again.metrics["r2"]).all()
    assert again.metrics["rmse"].tolist() == [float("inf")]
    assert (again.seed, again.best_epoch, again.notes) == (2**63, 1, ["a note"])


def test_a_table_model_comes_back(tmp_path: Path) -> None:
    table = tg.Table(
        {
            "size": [1.0, 2.0, None, 4.0, 5.0, 6.0, 7.0, 8.0],
            "kind": ["a", "b", "a", None, "b", "a", "b", "a"],
            "price": [1.0, 3.0, 2.0, 5.0, 6.0, 5.5, 8.0, 8.5],
        }
    )
    model = train_table(table, "price", hidden=(4,), epochs=2, categories="embedding", seed=0).model
    save(model, tmp_path / "m")
    again = load(tmp_path / "m", TableModel)
    np.testing.assert_array_equal(again.predict(table), model.predict(table))
    assert again.evaluate(table) == model.evaluate(table)
    assert again.details == model.details
    assert again.encoder.to_dict() == model.encoder.to_dict()
    assert load_checkpoint(tmp_path / "m").network is not again.network
    with pytest.raises(tg.FileFormatError, match="holds a TableModel; expected a NeuralNetwork"):
        load(tmp_path / "m", tg.NeuralNetwork)
    checkpoint = Checkpoint(again, None, None, "")
    assert checkpoint.network is again.network


# --- classes of a user's own ----------------------------------------------------------------


class Cube(ElementwiseOperation):
    def output(self, x: Array) -> Array:
        return x * x * x

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return output_grad * 3.0 * x * x


class Doubled(tg.Layer):
    """Keeps what its constructor takes: numbers, lists, dictionaries, layers."""

    def __init__(
        self, inner: tg.Layer, *, sizes: list[int], names: dict[int, str], pair: tuple[Any, ...]
    ) -> None:
        self.inner = inner
        self.sizes = sizes
        self.names = names
        self.pair = pair
        self.in_features = inner.in_features
        self.out_features = inner.out_features
        self.offset = Parameter((), init.Constant(0.5))

    def forward(self, x: Array, mode: tg.Mode = tg.INFERENCE) -> Array:
        return self.inner.forward(x, mode) * 2.0 + self.offset.value


def small_numbers(shape: Shape, generator: np.random.Generator) -> Array:
    return 0.01 * generator.standard_normal(shape)


def own_network() -> tg.NeuralNetwork:
    inner = tg.Dense(5, 2, Cube(), initializer=small_numbers)
    layer = Doubled(inner, sizes=[1, 2], names={3: "c"}, pair=(np.float64(0.5), None, True))
    return tg.NeuralNetwork(layer, tg.Dense(2, 1), loss=tg.MSELoss(), seed=0)


def test_classes_and_functions_of_your_own(tmp_path: Path) -> None:
    network = own_network()
    save(network, tmp_path / "m")
    again = load(tmp_path / "m", tg.NeuralNetwork, custom=[Cube, Doubled, small_numbers])
    np.testing.assert_array_equal(again.predict(X), network.predict(X))
    layer = again.layers[0]
    assert isinstance(layer, Doubled)
    assert (layer.sizes, layer.names, layer.pair) == ([1, 2], {3: "c"}, (0.5, None, True))
    assert layer.inner is not None
    assert getattr(layer.inner, "initializer", None) is small_numbers


def test_nothing_is_imported_because_a_file_names_it(tmp_path: Path) -> None:
    save(own_network(), tmp_path / "m")
    with pytest.raises(
        tg.FileFormatError,
        match=r"m: layer 0 is a 'Doubled', which is not part of typegrad; if it is yours, "
        r"pass it: load\(path, custom=\[Doubled\]\)",
    ):
        load(tmp_path / "m", custom=[Cube])


def test_custom_must_be_classes_with_names_of_their_own(tmp_path: Path) -> None:
    save(NETWORKS["dense"](), tmp_path / "m")
    not_a_class: Any = 3
    with pytest.raises(ValueError, match="custom has 3; expected classes and functions"):
        load(tmp_path / "m", custom=[not_a_class])

    class Dense(tg.Layer):
        pass

    with pytest.raises(ValueError, match="custom: the name 'Dense' is taken; rename the class"):
        load(tmp_path / "m", custom=[Dense])


# --- what cannot be saved -------------------------------------------------------------------


class Forgetful(tg.Layer):
    def __init__(self, width: int) -> None:
        self.in_features = self.out_features = width


class Changing(tg.Layer):
    def __init__(self, width: int) -> None:
        self.width = width - 1
        self.in_features = self.out_features = 5
        self.factor = Parameter((width,), init.Zeros())


class Open(tg.Layer):
    def __init__(self, **options: int) -> None:
        self.options = options


class Holder(tg.Layer):
    def __init__(self, value: object) -> None:
        self.value = value


def lambda_initializer() -> Any:
    return lambda shape, generator: np.zeros(shape)


class Twin(tg.Layer):
    pass


def twin() -> type[tg.Layer]:
    class Twin(tg.Layer):
        pass

    return Twin


UNSAVEABLE: dict[str, tuple[Callable[[], list[tg.Layer]], str]] = {
    "attribute missing": (
        lambda: [Forgetful(5)],
        r"Forgetful cannot be saved: its constructor takes 'width', but there is no attribute "
        r"of that name; set self.width in __init__",
    ),
    "another value": (
        lambda: [Changing(4)],
        r"the network cannot be saved, since it could not be made again: the tensor "
        r"network.0.factor is float32 of shape \(4,\); expected float32 of shape \(3,\)",
    ),
    "keywords": (lambda: [Open(a=1)], r"Open cannot be saved: .* takes 'options'"),
    "array": (
        lambda: [Holder(np.zeros(2))],
        r"layer 0: Holder.value is of type ndarray; what is saved must be numbers, texts",
    ),
    "infinity": (
        lambda: [Holder(float("inf"))],
        r"layer 0: Holder.value is inf; only finite numbers can be saved",
    ),
    "lambda": (
        lambda: [tg.Dense(5, 1, initializer=lambda_initializer())],
        r"layer 0: Dense.initializer is a lambda; use a function or class with a name",
    ),
    "two classes of one name": (
        lambda: [Twin(), twin()()],
        r"layer 1: two classes or functions are named 'Twin'; rename one of them",
    ),
}


@pytest.mark.parametrize("name", UNSAVEABLE)
def test_what_could_not_be_loaded_is_not_saved(name: str, tmp_path: Path) -> None:
    build, message = UNSAVEABLE[name]
    network = tg.NeuralNetwork(*build(), loss=tg.MSELoss(), seed=0)
    with pytest.raises(tg.DataError, match=message):
        save(network, tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_only_models_are_saved(tmp_path: Path) -> None:
    something: Any = {}
    with pytest.raises(TypeError, match=r"^save got a dict; expected a NeuralNetwork or a TableM"):
        save(something, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_a_scaler_must_be_fitted(tmp_path: Path) -> None:
    network = tg.NeuralNetwork(tg.Dense(5, 1), loss=tg.MSELoss(), target_scaler=tg.Standardizer())
    with pytest.raises(
        tg.StateError, match="the network's target_scaler is not fitted; train the network, then"
    ):
        save(network, tmp_path / "m")


# --- writing whole or not at all ------------------------------------------------------------


def test_a_failure_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "m"
    save(NETWORKS["dense"](), file)
    before = file.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(tg.DataError, match=r"m cannot be written: No space left on device$"):
        save(NETWORKS["float64"](), file)
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_saving_needs_safetensors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "safetensors.numpy", None)
    with pytest.raises(
        tg.MissingExtraError, match=r"Saving a model needs safetensors.*typegrad\[save\]"
    ):
        save(NETWORKS["dense"](), tmp_path / "m")
    monkeypatch.setitem(__import__("sys").modules, "safetensors", None)
    with pytest.raises(tg.MissingExtraError, match="Loading a model needs safetensors"):
        load(tmp_path / "m")


def test_the_choice_of_a_batch_size_is_kept(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(100, 2))
    network = tg.NeuralNetwork(tg.Dense(2, 1), loss=tg.MSELoss(), seed=0)
    trainer = tg.Trainer(network, tg.SGD(0.01))
    history = trainer.fit(x, x[:, :1], epochs=2, batch_size="auto", seed=0)
    tg.save(network, tmp_path / "m.safetensors", history=history)
    restored = tg.load_checkpoint(tmp_path / "m.safetensors").history
    assert restored is not None
    assert restored.batch_choice is not None
    assert restored.batch_size == history.batch_size
    assert restored.batch_choice == history.batch_choice


def test_a_history_without_a_batch_size_is_read() -> None:
    """As files have it that were written before it was recorded."""
    described = describe_history(tg.History(seed=0))
    del described["batch_size"], described["batch_choice"]
    assert restore_history(described) == tg.History(seed=0)


@pytest.mark.parametrize("choice", [3, {}, {"batch_size": "many"}, []])
def test_a_wrong_choice_of_a_batch_size(choice: Any) -> None:
    described = {**describe_history(tg.History(seed=0)), "batch_choice": choice}
    with pytest.raises(
        tg.FileFormatError, match=r"^the history has a wrong choice of batch size: "
    ):
        restore_history(described)
