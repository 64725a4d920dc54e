"""Files that are damaged, foreign or made to do harm give one error that names the file."""

from __future__ import annotations

import copy
import errno
import json
import os
import struct
import tracemalloc
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import typegrad as tg
from typegrad.serialization import load, load_checkpoint, save
from typegrad.serialization.container import Content, read_content, write_content
from typegrad.tabular import TableModel
from typegrad.types import AnyArray

TABLE = tg.Table({"x": [0.0, 1.0, 2.0, 3.0], "k": ["a", "b", "a", "b"], "y": [1.0, 3.0, 2.0, 5.0]})


def small_model() -> tuple[TableModel, tg.AdamW, tg.History]:
    encoder = tg.TableEncoder.fit(TABLE, "y")
    network = tg.NeuralNetwork(
        tg.Dense(3, 2, "relu"),
        tg.BatchNorm(2),
        tg.Residual(tg.Dense(2, 2)),
        tg.Dense(2, 1),
        loss=tg.HuberLoss(0.5),
        seed=0,
        input_scaler=tg.Standardizer(encoder.number_columns),
        target_scaler=tg.Standardizer(),
    )
    optimizer = tg.AdamW(tg.CosineSchedule(0.01))
    history = tg.Trainer(network, optimizer).fit(
        encoder.features(TABLE), encoder.target(TABLE), epochs=2, seed=0
    )
    return TableModel(network, encoder, {"rows": {"training": 4}}), optimizer, history


@cache
def valid_bytes() -> bytes:
    model, optimizer, history = small_model()
    with TemporaryDirectory() as folder:
        file = Path(folder) / "m"
        save(model, file, optimizer=optimizer, history=history)
        return file.read_bytes()


@cache
def valid_state() -> dict[str, AnyArray]:
    return small_model()[0].network.state_dict()


def check_equal_or_refused(data: bytes) -> None:
    """Loading gives the model that was saved, or `FileFormatError` with the file's name."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "m"
        file.write_bytes(data)
        try:
            checkpoint = load_checkpoint(file)
        except tg.FileFormatError as error:
            named = str(file) in str(error)
        else:
            named = True
            compare(checkpoint.network)
        assert named


def compare(network: tg.NeuralNetwork) -> None:
    """Require the weights that were saved."""
    state = network.state_dict()
    assert state.keys() == valid_state().keys()
    for name, value in valid_state().items():
        np.testing.assert_array_equal(state[name], value)


@settings(max_examples=150, deadline=None)
@given(st.floats(0, 1, exclude_max=True))
@example(0.0)
def test_truncated(share: float) -> None:
    data = valid_bytes()
    check_equal_or_refused(data[: int(share * len(data))])


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1))
def test_flipped(flips: list[tuple[float, int]]) -> None:
    data = bytearray(valid_bytes())
    for place, bits in flips:
        data[int(place * len(data))] ^= bits
    check_equal_or_refused(bytes(data))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_anything_at_all(data: bytes) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "m"
        file.write_bytes(data)
        with pytest.raises(tg.FileFormatError, match="m is not a safetensors file"):
            load(file)


def header_of(data: bytes) -> dict[str, Any]:
    length = struct.unpack("<Q", data[:8])[0]
    header: dict[str, Any] = json.loads(data[8 : 8 + length])
    return header


def with_header(text: bytes, rest: bytes = b"") -> bytes:
    return struct.pack("<Q", len(text)) + text + rest


FOREIGN: dict[str, tuple[Callable[[], bytes], str]] = {
    "huge header": (lambda: struct.pack("<Q", 2**62) + b"{}", "m is not a safetensors file"),
    "other safetensors": (
        lambda: with_header(b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', b"\0" * 4),
        "m: this safetensors file holds no model of typegrad",
    ),
    "other metadata": (
        lambda: with_header(b'{"__metadata__":{"format":"pt"}}'),
        "m: this safetensors file holds no model of typegrad",
    ),
    "offsets beyond the file": (
        lambda: with_header(
            b'{"__metadata__":{"typegrad":"{}"},'
            b'"w":{"dtype":"F32","shape":[1000000000,1000],"data_offsets":[0,4000000000000]}}'
        ),
        "m is not a safetensors file, or is damaged",
    ),
    "not JSON": (
        lambda: with_header(b'{"__metadata__":{"typegrad":"import os"}}'),
        r"m: its description cannot be read: it is not JSON \(Expecting value",
    ),
    "nested deeply": (
        lambda: with_header(
            b'{"__metadata__":{"typegrad":"' + b"[" * 100_000 + b"]" * 100_000 + b'"}}'
        ),
        r"m: its description cannot be read: it is not JSON \(maximum recursion",
    ),
    "a list": (
        lambda: with_header(b'{"__metadata__":{"typegrad":"[1]"}}'),
        "m: its description is not one of typegrad",
    ),
    "NaN": (
        lambda: with_header(b'{"__metadata__":{"typegrad":"{\\"version\\":NaN}"}}'),
        "m: its description cannot be read: its description has the number NaN",
    ),
    "a number beyond floats": (
        lambda: with_header(b'{"__metadata__":{"typegrad":"{\\"version\\":1e999}"}}'),
        "its description has the number 1e999",
    ),
    "no content": (
        lambda: with_header(
            b'{"__metadata__":{"typegrad":"{\\"version\\":1,\\"sha256\\":\\"\\",\\"content\\":3}"}}'
        ),
        "m: its description is not one of typegrad",
    ),
    "newer": (
        lambda: with_header(
            b'{"__metadata__":{"typegrad":"{\\"version\\":2,\\"sha256\\":\\"\\",'
            b'\\"content\\":{}}"}}'
        ),
        "m: its format is version 2; this typegrad reads version 1, a newer one may read it",
    ),
    "half precision": (
        lambda: with_header(
            b'{"__metadata__":{"typegrad":"{\\"version\\":1,\\"sha256\\":\\"\\",'
            b'\\"content\\":{}}"},"w":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}',
            b"\0" * 2,
        ),
        "m: it has tensors of the dtype BF16",
    ),
    "wrong checksum": (
        lambda: valid_bytes()[:-1] + bytes([valid_bytes()[-1] ^ 1]),
        "m is damaged: its checksum does not fit what it holds",
    ),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_and_damaged(name: str, tmp_path: Path) -> None:
    build, message = FOREIGN[name]
    file = tmp_path / "m"
    file.write_bytes(build())
    with pytest.raises(tg.FileFormatError, match=message) as error:
        load(file)
    assert str(error.value).startswith(str(file))
    assert "\n" not in str(error.value)


def test_files_that_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(tg.DataError, match=r"none: there is no such file$"):
        load(tmp_path / "none")
    with pytest.raises(tg.DataError, match="is no file; give a file that typegrad saved"):
        load(tmp_path)
    with pytest.raises(tg.DataError, match=r"cannot be read: File name too long$"):
        load(tmp_path / ("x" * 256))


def test_a_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model").touch()

    def refuse(*_: object) -> None:  # root may read everything, so a mode would not do
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(tg.DataError, match=r"model cannot be read: Permission denied$"):
        load(tmp_path / "model")


# --- well-formed files with a right checksum that say wrong things --------------------------

Content_ = tuple[dict[str, Any], dict[str, AnyArray]]


def layer(content: Content_, index: int) -> dict[str, Any]:
    found: dict[str, Any] = content[0]["network"]["layers"][index]
    return found


def set_at(*path: Any, value: Any) -> Callable[[Content_], None]:
    def change(content: Content_) -> None:
        place: Any = content[0]
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    return change


def in_layer(index: int, name: str, value: Any) -> Callable[[Content_], None]:
    return set_at("network", "layers", index, "arguments", name, value=value)


def drop(*path: Any) -> Callable[[Content_], None]:
    def change(content: Content_) -> None:
        place: Any = content[0]
        for key in path[:-1]:
            place = place[key]
        del place[path[-1]]

    return change


def tensor(name: str, value: AnyArray | None) -> Callable[[Content_], None]:
    def change(content: Content_) -> None:
        if value is None:
            del content[1][name]
        else:
            content[1][name] = value

    return change


def nested(depth: int) -> dict[str, Any]:
    value: Any = {"class": "Dense", "arguments": {}}
    for _ in range(depth):
        value = {"class": "Chain", "arguments": {"layers": [value]}}
    made: dict[str, Any] = value
    return made


def many_norms(count: int) -> dict[str, Any]:
    norm = {"features": 1 << 20, "momentum": 0.1, "epsilon": 1e-5}
    layers = [{"class": "BatchNorm", "arguments": norm}] * count
    return {"class": "Residual", "arguments": {"layers": layers}}


ZERO = np.zeros(2, np.float32)
HOSTILE: dict[str, tuple[Callable[[Content_], None], str]] = {
    "unknown class": (
        set_at("network", "layers", 0, "class", value="os.system"),
        r"layer 0 is a 'os.system', which is not part of typegrad; if it is yours",
    ),
    "class that is no text": (
        set_at("network", "layers", 0, "class", value=["Dense"]),
        r"layer 0 is a \['Dense'\], which is not part of typegrad",
    ),
    "huge layer": (
        in_layer(0, "out_features", 10**9),
        "layer 0: Dense has the size 1000000000, but the file is small",
    ),
    "beyond all numbers": (in_layer(0, "out_features", 10**400), "layer 0: Dense has the size 100"),
    "large layer": (
        in_layer(0, "out_features", 10**6),
        r"the layers up to Dense\(3, 1000000\) have 4000000 parameters, but the file holds \d+",
    ),
    "many large norms": (
        set_at("network", "layers", 1, value=many_norms(2000)),
        r"the layers up to BatchNorm\(1048576\) have 4194312 parameters",
    ),
    "huge in a tuple": (
        in_layer(0, "activation", {"tuple": [10**12]}),
        "layer 0: Dense has the size 1000000000000",
    ),
    "huge in a dictionary": (
        in_layer(0, "activation", {"dict": [[10**12, 1]]}),
        "layer 0: Dense has the size 1000000000000",
    ),
    "missing argument": (
        drop("network", "layers", 0, "arguments", "bias"),
        r"layer 0: Dense has the arguments .*; expected \['activation', 'bias'",
    ),
    "arguments that are none": (
        set_at("network", "layers", 0, "arguments", value=3),
        "layer 0: Dense is not described by its arguments",
    ),
    "wrong type": (in_layer(0, "in_features", "three"), "layer 0: Dense cannot be made: "),
    "a fraction for a size": (
        in_layer(0, "in_features", 3.0),
        "Dense cannot be made: Dense: in_features is 3.0; expected a whole number",
    ),
    "negative": (in_layer(0, "in_features", -3), "layer 0: Dense cannot be made: .*expected 1"),
    "layers that do not fit": (
        in_layer(3, "in_features", 3),
        "the network cannot be made: .*expects 3 input features",
    ),
    "wrong shape": (
        tensor("network.0.bias", np.zeros(3, np.float32)),
        r"the tensor network.0.bias is float32 of shape \(3,\); expected float32 of shape \(2,\)",
    ),
    "wrong dtype": (
        tensor("network.0.bias", np.zeros(2)),
        r"the tensor network.0.bias is float64 of shape \(2,\); expected float32",
    ),
    "missing tensor": (tensor("network.0.bias", None), "the tensor network.0.bias is missing"),
    "unknown tensor": (
        tensor("network.9.bias", ZERO),
        "the tensor network.9.bias belongs to no layer",
    ),
    "stray tensor": (tensor("virus", ZERO), "the tensor 'virus' belongs to nothing"),
    "scaler of another width": (
        tensor("input_scaler.mean", np.zeros(2)),
        "state of a Standardizer: scale has shape",
    ),
    "input scaler of another width": (
        lambda content: content[1].update(
            {"input_scaler.mean": np.zeros(2), "input_scaler.scale": np.ones(2)}
        ),
        "the input_scaler has 2 columns; expected 3",
    ),
    "too many scaled targets": (
        lambda content: content[1].update(
            {"target_scaler.mean": np.zeros(3), "target_scaler.scale": np.ones(3)}
        ),
        "the target_scaler has 3 columns, which take 3 outputs, but the network has 1",
    ),
    "dtype of the network": (set_at("network", "dtype", value="object"), "dtype or layers"),
    "layers that are none": (set_at("network", "layers", value={}), "dtype or layers"),
    "no layers": (set_at("network", "layers", value=[]), "needs at least one layer"),
    "a number for a layer": (set_at("network", "layers", 0, value=3), "neither a Layer"),
    "an operation for a loss": (
        set_at("network", "loss", value={"class": "Tanh", "arguments": {}}),
        r"the loss is Tanh\(\)",
    ),
    "a function that is unknown": (
        in_layer(0, "initializer", {"function": "eval"}),
        "layer 0: Dense.initializer is a 'eval', which is not part of typegrad",
    ),
    "a class for a function": (
        in_layer(0, "activation", {"function": "ReLU"}),
        "the network cannot be made|layer 0: Dense cannot be made",
    ),
    "strange object": (in_layer(0, "activation", {"a": 1, "b": 2}), r"has the fields \['a', 'b'\]"),
    "strange tuple": (in_layer(0, "activation", {"tuple": 3}), r"has the fields \['tuple'\]"),
    "strange dictionary": (
        in_layer(0, "activation", {"dict": [[[1], 2]]}),
        r"has a dictionary with the entry \[\[1\], 2\]",
    ),
    "nested deeply": (set_at("network", "layers", 0, value=nested(150)), "Dense has the arguments"),
    "nested more deeply": (set_at("network", "layers", 0, value=nested(230)), "nested|arguments"),
    "network without loss": (drop("network", "loss"), "the network has the fields"),
    "network that is a list": (
        set_at("network", value=[]),
        "the network is a list; expected an object",
    ),
    "unknown part": (set_at("macro", value="x"), "its description has the entries"),
    "unknown optimizer": (
        set_at("optimizer", "config", "class", value="Popen"),
        "the optimizer cannot be made: there is no optimizer 'Popen'",
    ),
    "optimizer of another network": (
        lambda content: content[1].update(
            {"optimizer.mean": ZERO, "optimizer.mean_square": ZERO.copy()}
        ),
        "the optimizer cannot be made|the tensor optimizer",
    ),
    "optimizer in another dtype": (
        lambda content: content[1].update(
            {
                name: array.astype(np.float64)
                for name, array in content[1].items()
                if name.startswith("optimizer")
            }
        ),
        "the optimizer cannot be made: .*float64",
    ),
    "negative steps": (set_at("optimizer", "state", "steps", value=-1), "'steps'"),
    "history without seed": (drop("history", "seed"), "the history has the fields"),
    "history of the wrong type": (set_at("history", "seed", value="x"), "of the wrong type"),
    "record of the wrong type": (
        set_at("history", "records", 0, "epoch", value="x"),
        "the history has a record with a wrong value",
    ),
    "encoder of another version": (
        set_at("table", "encoder", "version", value=7),
        "the encoder: version is 7",
    ),
    "encoder of another width": (
        drop("table", "encoder", "columns", 0),
        "TableModel: the network takes 3 features, but the encoder gives 2",
    ),
    "details that are none": (set_at("table", "details", value=[]), "details are not such"),
    "a class in details": (
        set_at("table", "details", value={"class": "Dense", "arguments": {}}),
        "details is a 'Dense', which is not part of typegrad",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile(name: str, tmp_path: Path) -> None:
    change, message = HOSTILE[name]
    file = tmp_path / "m"
    file.write_bytes(valid_bytes())
    content = read_content(file)
    changed = copy.deepcopy(content.description), dict(content.tensors)
    change(changed)
    write_content(file, Content(*changed))
    tracemalloc.start()
    with pytest.raises(tg.FileFormatError, match=message) as error:
        load(file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert str(error.value).startswith(f"{file}: ")
    assert len(str(error.value)) < 1000
    assert peak < 120e6


def test_the_unchanged_content_loads(tmp_path: Path) -> None:
    """What the test above changes is all that keeps its files from loading."""
    file = tmp_path / "m"
    file.write_bytes(valid_bytes())
    write_content(file, read_content(file))
    assert isinstance(load(file), TableModel)
    assert set(header_of(valid_bytes())) > {"__metadata__", "network.0.bias"}


def test_names_of_a_files_functions_must_be_the_readers(tmp_path: Path) -> None:
    file = tmp_path / "m"
    file.write_bytes(valid_bytes())
    content = read_content(file)
    in_layer(0, "initializer", {"function": "orthogonal"})((content.description, content.tensors))
    write_content(file, content)

    def orthogonal(shape: Any, generator: Any) -> Any:
        raise AssertionError("initializers are not called by loading")

    assert isinstance(load(file, custom=[orthogonal]), TableModel)


def test_the_optimizer_of_another_network(tmp_path: Path) -> None:
    def network(width: int) -> tg.NeuralNetwork:
        return tg.NeuralNetwork(tg.Dense(width, 1), loss=tg.MSELoss(), seed=0)

    optimizer = tg.LBFGS()
    x = np.random.default_rng(0).normal(size=(8, 3))
    tg.Trainer(network(3), optimizer).fit(x, x[:, :1] ** 2, epochs=3, seed=0)
    save(network(2), tmp_path / "m", optimizer=optimizer)
    with pytest.raises(tg.FileFormatError, match=r"tensor optimizer\.\w+ does not fit the network"):
        load(tmp_path / "m")
