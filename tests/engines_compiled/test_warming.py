"""Compiling ahead of time."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import typegrad as tg
from typegrad import losses, optimizers, warming
from typegrad.cli import main
from typegrad.engines import StepSettings, selection
from typegrad.engines.compiled import cache as cache_module
from typegrad.engines.compiled import library as library_module
from typegrad.engines.compiled import llvm
from typegrad.engines.compiled.target import host
from typegrad.types import FloatDType


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own, and nothing loaded."""
    monkeypatch.setattr(cache_module, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(library_module, "_libraries", {})
    return tmp_path


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only one training for each dtype."""

    def trainings(dtype: FloatDType) -> Any:
        network = tg.NeuralNetwork(tg.Dense(3, 1), loss=tg.MSELoss(), dtype=dtype)
        yield network, tg.SGD(), StepSettings()

    monkeypatch.setattr(warming, "_trainings", trainings)


def files(folder: Path) -> set[str]:
    return {path.name for path in (folder / host().key).iterdir()}


@pytest.mark.slow
def test_nothing_is_left_to_compile(folder: Path) -> None:
    done = tg.warmup()
    assert done.folder == folder / host().key
    assert done.files == done.compiled == len(files(folder)) > 100
    assert done.size > 100_000
    assert done.seconds > 0
    assert done.problem is None
    before = files(folder)
    x = np.random.default_rng(0).uniform(size=(100, 6))
    for activation in ("tanh", "gelu", "relu"):
        for dtype in (np.float32, np.float64):
            network = tg.NeuralNetwork(
                tg.Dense(6, 20, activation), tg.Dense(20, 1), loss=tg.MSELoss(), dtype=dtype
            )
            trainer = tg.Trainer(network, tg.Adam(), engine="compiled")
            trainer.fit(x, x[:, :1], epochs=1, seed=0)
            network.predict(x, engine="compiled")
    assert files(folder) == before
    again = tg.warmup()
    assert (again.compiled, again.files) == (0, done.files)


def test_every_part_of_the_library_is_warmed_up() -> None:
    trainings = list(warming._trainings(np.dtype(np.float32)))
    networks = [network for network, _, _ in trainings]
    made = {type(network.loss) for network in networks}
    made |= {type(optimizer) for _, optimizer, _ in trainings}
    for network in networks:
        parts: Any = tg.Layer | tg.Operation
        made |= {type(part) for _, part in tg.named_parts(network.chain, parts)}
    expected: set[type] = {*tg.ACTIVATIONS.values(), tg.LayerNorm, tg.BatchNorm, tg.Dropout}
    for module, base in ((losses, tg.Loss), (optimizers, tg.Optimizer)):
        parts = (getattr(module, name) for name in module.__all__)
        expected |= {part for part in parts if isinstance(part, type) and issubclass(part, base)}
    abstract = {tg.Loss, tg.ElementwiseLoss, tg.Optimizer}
    assert expected - abstract <= made


@pytest.mark.usefixtures("_quick")
def test_the_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["warmup"]) == 0
    lines = capsys.readouterr().out.splitlines()
    count = len(files(folder))
    assert lines[0] == "compiling native code for this processor; half a minute at most"
    assert lines[1].startswith(f"{count} files, {count} of them new, ")
    assert lines[1].endswith(" s")
    assert lines[2] == f"in {folder / host().key}"
    assert main(["warmup"]) == 0
    assert f"{count} files, all there already, " in capsys.readouterr().out


@pytest.mark.usefixtures("_quick")
def test_a_folder_that_cannot_be_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / host().key).write_text("a file where the folder should be")
    assert main(["warmup"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"typegrad: {folder / host().key} cannot be written: [Errno ")


def test_without_the_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("llvmlite", "llvmlite.ir", "llvmlite.binding"):
        monkeypatch.setitem(sys.modules, name, None)
    for name in ("ir", "binding"):
        monkeypatch.delitem(vars(llvm), name, raising=False)
    host.cache_clear()
    assert main(["warmup"]) == 2
    assert "pip install 'typegrad[fast]'" in capsys.readouterr().err


def test_commands_say_that_native_code_is_compiled(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(selection, "LONG_TRAINING", 0)
    monkeypatch.chdir(folder)
    arguments = ["train", "--epochs", "1", "--hidden", "4", "--seed", "0", "--quiet"]
    assert main(arguments) == 0
    expected = "typegrad: compiling native code for this processor: some seconds, once; it is kept"
    assert capsys.readouterr().err.startswith(expected)
    assert main(arguments) == 0
    assert capsys.readouterr().err == ""
