"""Predictions by native code: equal to NumPy's up to rounding, the same for a row anywhere."""

from __future__ import annotations

import copy
import gc
import logging
import pickle
import threading
import weakref
from typing import Any

import numpy as np
import pytest

import typegrad as tg
from typegrad import network as network_module
from typegrad import predictor as predictor_module
from typegrad.engines.compiled import engine as engine_module
from typegrad.engines.compiled import forward_code
from typegrad.errors import DTypeError, MissingExtraError, ShapeError, StateError
from typegrad.types import AnyArray, Array

from .training import LAYERS, LOSSES, Case

TOLERANCE = {"float32": 2e-6, "float64": 1e-14}
"""Relative to the largest prediction."""

dtypes = pytest.mark.parametrize("dtype", TOLERANCE)
every_target = pytest.mark.usefixtures("every_target")


def network_for(case: Case, dtype: str, *, scaled: bool) -> tg.NeuralNetwork:
    """A network of a case, with scalers if that is wanted."""
    network = tg.NeuralNetwork(*case.layers(), loss=case.loss(), seed=2, dtype=dtype)
    if scaled:
        columns = (network.out_features or 1) // (case.loss().output_features(1) or 1)
        generator = np.random.default_rng(0)
        network.input_scaler = tg.Standardizer().fit(3.0 + 2.0 * generator.normal(size=(50, 4)))
        targets = 1e3 + 20.0 * generator.normal(size=(50, columns))
        network.target_scaler = tg.Standardizer().fit(targets)
    return network


def plain(*layers: Any, **options: Any) -> tg.NeuralNetwork:
    return tg.NeuralNetwork(*layers, loss=tg.MSELoss(), seed=4, **options)


def small() -> tg.NeuralNetwork:
    return plain(tg.Dense(4, 6, "tanh"), tg.Dense(6, 2))


def rows(count: int, width: int = 4) -> Array:
    return np.asarray(np.random.default_rng(count).normal(3.0, 2.0, (count, width)))


def assert_close(found: AnyArray, expected: AnyArray, dtype: str) -> None:
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    scale = np.max(np.abs(expected), initial=1e-30)
    assert np.max(np.abs(found - expected), initial=0.0) <= TOLERANCE[dtype] * scale


@every_target
@pytest.mark.parametrize("scaled", [False, True])
@dtypes
@pytest.mark.parametrize("name", [*LAYERS, *LOSSES])
def test_equals_eager(
    name: str, dtype: str, scaled: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "typegrad")
    case = {**LAYERS, **LOSSES}[name]
    first, last = case.codes
    network = network_for(case, dtype, scaled=scaled and first == last)
    x = rows(50)
    x[:, first:last] = np.random.default_rng(2).integers(0, 3, (50, last - first))
    for buffer in network.buffers.values():
        buffer.value[...] = np.random.default_rng(1).uniform(0.5, 2.0, buffer.value.shape)
    expected = network.predict(x, engine="eager")
    found = network.predict(x, engine="compiled")
    assert_close(found, expected, dtype)
    assert "no native code" not in caplog.text
    if network.in_features is None:
        return
    predict = tg.CompiledPredictor(network)
    for index in (0, 49):
        assert predict(x[index]).tobytes() == found[index].tobytes()


@every_target
@dtypes
@pytest.mark.parametrize("second", [1, 3, 17, 100])
@pytest.mark.parametrize("first", [1, 3, 17, 100])
def test_widths(first: int, second: int, dtype: str) -> None:
    network = plain(tg.Dense(first, second, "gelu"), tg.Dense(second, first), dtype=dtype)
    for count in (1, 5, 193):
        x = rows(count, first)
        found = network.predict(x, engine="compiled")
        assert_close(found, network.predict(x, engine="eager"), dtype)


@every_target
def test_the_same_bits_for_any_threads_and_any_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forward_code, "WORK_PER_THREAD", 1)
    network = plain(tg.Dense(5, 70, "tanh"), tg.Dense(70, 3))
    x = rows(1000, 5)
    one, two, three = (tg.CompiledPredictor(network, threads=n) for n in (1, 2, 3))
    expected = one(x)
    assert two(x).tobytes() == three(x).tobytes() == expected.tobytes()
    assert network.predict(x, 7, engine="compiled").tobytes() == expected.tobytes()
    assert np.array([one(row) for row in x]).tobytes() == expected.tobytes()


def test_inputs_of_other_dtypes_and_layouts() -> None:
    predict = tg.CompiledPredictor(small())
    x = np.arange(12).reshape(3, 4)
    expected = predict(x.astype(np.float32))
    for other in (x, x.astype(float), x.tolist(), np.asfortranarray(x), x.astype(">f8")):
        assert predict(other).tobytes() == expected.tobytes()
        assert predict(other[1]).tobytes() == expected[1].tobytes()
    assert predict(np.zeros((0, 4))).shape == (0, 2)
    assert np.isnan(predict(np.full(4, np.nan))).all()


def test_results_are_arrays_of_their_own() -> None:
    predict = tg.CompiledPredictor(small())
    first = predict(np.ones(4))
    before = first.copy()
    predict(np.zeros(4))
    assert first.tobytes() == before.tobytes()


def test_what_is_refused() -> None:
    predict = tg.CompiledPredictor(small())
    for wrong in (np.zeros(3), np.zeros((2, 3)), np.zeros((1, 2, 4)), np.float64(1.0)):
        with pytest.raises(ShapeError) as info:
            predict(wrong)
        assert str(info.value) == (
            f"x has shape {np.shape(wrong)}; the predictor expects a row of shape (4,), "
            "or rows of shape (n, 4)"
        )
    with pytest.raises(DTypeError, match=r"^x has dtype complex128; expected real numbers"):
        predict(np.zeros(4, complex))
    with pytest.raises(ShapeError, match=r"^CompiledPredictor: the network does not say how many"):
        tg.CompiledPredictor(plain(tg.Tanh()))
    with pytest.raises(ValueError, match="threads is 0; expected"):
        tg.CompiledPredictor(small(), threads=0)
    unfitted = plain(tg.Dense(4, 1), input_scaler=tg.Standardizer())
    with pytest.raises(StateError, match="not fitted"):
        tg.CompiledPredictor(unfitted)


class Sorted(tg.ElementwiseOperation):
    def output(self, x: Array) -> Array:
        return np.sort(x, axis=1)

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return output_grad


class Centred(Sorted):
    """What becomes of a row depends on those beside it."""

    def output(self, x: Array) -> Array:
        result: Array = x - np.sum(x, axis=0)
        return result


@pytest.mark.parametrize("operation", [Sorted, Centred])
def test_what_has_no_native_code(
    operation: type[tg.ElementwiseOperation], caplog: pytest.LogCaptureFixture
) -> None:
    network = plain(tg.Dense(4, 5), tg.Activation(operation()), tg.Dense(5, 1))
    with pytest.raises(StateError, match=r"^CompiledPredictor: there is no native code for "):
        tg.CompiledPredictor(network)
    x = np.ones((3, 4))
    with caplog.at_level(logging.INFO, "typegrad"):
        found = network.predict(x, engine="compiled")
    assert caplog.messages[-1].startswith("predictions run in NumPy: there is no native code for")
    assert found.tobytes() == network.predict(x, engine="eager").tobytes()


def test_refresh_takes_over_weights_options_and_scalers() -> None:
    network = network_for(LOSSES["MSELoss"], "float32", scaled=True)
    predict = tg.CompiledPredictor(network)
    x = rows(5)
    before = predict(x)

    def assert_refreshed() -> None:
        nonlocal before
        assert predict(x).tobytes() == before.tobytes()
        predict.refresh()
        after = network.predict(x, engine="compiled")
        assert predict(x).tobytes() == after.tobytes() != before.tobytes()
        assert_close(after, network.predict(x, engine="eager"), "float32")
        before = after

    network.flat.values *= 0.5
    assert_refreshed()
    assert network.target_scaler is not None
    network.target_scaler.fit(np.array([[0.0, 1.0], [2.0, 5.0]]))
    assert_refreshed()
    network.input_scaler = None
    assert_refreshed()
    network.layers[0].operations = (*network.layers[0].operations, tg.Sigmoid())
    assert_refreshed()


def test_threads_at_once() -> None:
    """Each gets the predictions of its own rows."""
    predict = tg.CompiledPredictor(small())
    x = rows(200)
    expected = predict(x)
    wrong = []

    def work(start: int) -> None:
        for _ in range(20):
            for i in range(start, 200, 4):
                if predict(x[i]).tobytes() != expected[i].tobytes():
                    wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


class TestNetworkPredict:
    """`NeuralNetwork.predict`."""

    def test_auto_goes_by_rows_and_parameters(self, monkeypatch: pytest.MonkeyPatch) -> None:
        network = small()
        x = rows(50)
        eager, compiled = (network.predict(x, engine=name) for name in ("eager", "compiled"))
        assert eager.tobytes() != compiled.tobytes()
        monkeypatch.setattr(network_module, "LARGE_PREDICTION", 50 * network.flat.values.size)
        assert network.predict(x).tobytes() == compiled.tobytes()
        assert (
            network.predict(x[:49]).tobytes() == network.predict(x[:49], engine="eager").tobytes()
        )
        monkeypatch.setattr(predictor_module, "find_spec", lambda name: None)
        assert network.predict(x).tobytes() == eager.tobytes()

    def test_weights_are_those_of_the_moment(self) -> None:
        network = small()
        before = network.predict(rows(3), engine="compiled")
        network.flat.values *= 2.0
        after = network.predict(rows(3), engine="compiled")
        assert before.tobytes() != after.tobytes()
        assert_close(after, network.predict(rows(3), engine="eager"), "float32")

    def test_rows_of_another_width(self) -> None:
        network = plain(tg.Tanh(), tg.Flatten())
        for width in (3, 5):
            x = rows(4, width)
            found = network.predict(x, engine="compiled")
            assert_close(found, network.predict(x, engine="eager"), "float32")

    def test_no_rows(self) -> None:
        assert small().predict(np.zeros((0, 4)), engine="compiled").shape == (0, 2)

    def test_errors_are_those_of_every_engine(self) -> None:
        for engine in ("eager", "compiled"):
            with pytest.raises(ShapeError, match=r"the network expects \(rows, 4\)"):
                small().predict(np.zeros((2, 3)), engine=engine)
        with pytest.raises(ValueError, match=r"^engine is 'planned'; expected one of 'auto', "):
            small().predict(rows(1), engine="planned")  # type: ignore[arg-type]

    def test_without_the_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object) -> None:
            raise MissingExtraError("The compiled engine needs llvmlite")

        monkeypatch.setattr(forward_code, "library_for", fail)
        with pytest.raises(MissingExtraError, match="The compiled engine needs llvmlite"):
            small().predict(rows(1), engine="compiled")

    def test_native_code_goes_with_its_network(self) -> None:
        network = small()
        x = rows(3)
        expected = network.predict(x, engine="compiled")
        for twin in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
            assert twin.predict(x, engine="compiled").tobytes() == expected.tobytes()
        gone = weakref.ref(network)
        del network
        gc.collect()
        assert gone() is None


def test_evaluation_during_compiled_training(monkeypatch: pytest.MonkeyPatch) -> None:
    x = rows(60)
    native_calls: list[int] = []
    run = forward_code.ForwardCode.run

    def count(self: Any, inputs: Any, threads: int) -> Any:
        native_calls.append(len(inputs))
        return run(self, inputs, threads)

    monkeypatch.setattr(forward_code.ForwardCode, "run", count)

    def fit(worth: int, *layers: Any) -> tg.History:
        monkeypatch.setattr(engine_module, "WORTH_FORWARD_CODE", worth)
        trainer = tg.Trainer(plain(*layers), tg.SGD(0.001), engine="compiled")
        return trainer.fit(x, x[:, :2], epochs=3, validation_split=0.5, seed=0)

    def layers() -> list[Any]:
        return [tg.Dense(4, 6, "tanh"), tg.Dense(6, 2)]

    in_numpy = fit(10**9, *layers())
    assert not native_calls
    native = fit(0, *layers())
    assert native_calls == [30] * 3
    assert in_numpy.training_loss.tobytes() == native.training_loss.tobytes()
    np.testing.assert_allclose(native.validation_loss, in_numpy.validation_loss, rtol=1e-5)
