"""Compiled code on disk: found again, damaged, on read-only and full disks, in a race."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import typegrad as tg
from typegrad.engines import CompiledEngine, StepSettings, TrainingData
from typegrad.engines.compiled import cache as cache_module
from typegrad.engines.compiled import library as library_module
from typegrad.engines.compiled import llvm
from typegrad.engines.compiled.cache import CodeCache, cache_folder
from typegrad.engines.compiled.chain import ChainBuilder
from typegrad.engines.compiled.library import Library
from typegrad.engines.compiled.target import Target, host


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setattr(cache_module, "cache_folder", lambda: tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {"XDG_CACHE_HOME": "/x/cache"}, "/x/cache/typegrad"),
        ("linux", {"XDG_CACHE_HOME": ""}, "/home/me/.cache/typegrad"),
        ("darwin", {"XDG_CACHE_HOME": "/x/cache"}, "/home/me/Library/Caches/typegrad"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/typegrad"),
    ],
)
def test_folder(
    platform: str, variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: Path("/home/me"))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == Path(expected)


def test_found_again(folder: Path) -> None:
    CodeCache("key").save("name", b"code")
    assert CodeCache("key").load("name") == b"code"
    assert CodeCache("key").load("other") is None
    assert CodeCache("other").load("name") is None
    assert [path.name for path in (folder / "key").iterdir()] == ["name.o"]


@pytest.mark.parametrize("damaged", [b"", b"short", b"x" * 100])
def test_damaged_files_count_as_missing(folder: Path, damaged: bytes) -> None:
    cache = CodeCache("key")
    cache.save("name", b"code")
    (folder / "key" / "name.o").write_bytes(damaged)
    assert cache.load("name") is None
    cache.save("name", b"code")
    assert cache.load("name") == b"code"


def test_a_folder_that_cannot_be_written(folder: Path) -> None:
    (folder / "key").write_text("a file where the folder should be")
    cache = CodeCache("key")
    cache.save("name", b"code")
    assert isinstance(cache.problem, OSError)
    assert cache.load("name") is None


def test_a_full_disk_leaves_nothing_behind(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> Any:
        raise OSError(28, "No space left on device")

    cache = CodeCache("key")
    monkeypatch.setattr(Path, "replace", full)
    cache.save("name", b"code")
    assert str(cache.problem) == "[Errno 28] No space left on device"
    assert list((folder / "key").iterdir()) == []


def test_an_interrupt_leaves_nothing_behind(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        CodeCache("key").save("name", b"code")
    assert list((folder / "key").iterdir()) == []


def test_the_engine_notes_what_could_not_be_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / host().key).write_text("a file where the folder should be")
    monkeypatch.setattr(library_module, "_libraries", {})
    notes: list[str] = []
    network = tg.NeuralNetwork(tg.Dense(2, 1), loss=tg.MSELoss())
    engine = CompiledEngine(network, tg.SGD(), StepSettings(), notes.append)
    data = TrainingData(np.ones((1, 2), np.float32), np.ones((1, 1), np.float32))
    engine.run_epoch(data, np.zeros(1, int), 1, np.zeros(1))
    assert notes[0].startswith("compiling native code for this processor: some seconds, once")
    assert notes[1].startswith("native code could not be kept for the next process: [Errno")


def test_compiled_once(folder: Path) -> None:
    """A second library loads what the first has compiled; a chain it compiles by itself."""
    told: list[str] = []
    first = Library(32, host(), told.append)
    assert len(told) == 1
    builder = ChainBuilder("v")
    chain = builder.finish([builder.link("sqrt", 0)])
    assert first.chains([chain]).keys() == {chain}
    files = sorted(path.name for path in (folder / host().key).iterdir())
    assert files == [f"{chain.name}_32.o", "kernels_32.o"]
    second = Library(32, host(), told.append)
    second.chains([chain])
    assert len(told) == 1
    assert first.cache.problem is None


def test_a_damaged_library_is_compiled_again(folder: Path) -> None:
    Library(32, host(), lambda note: None)
    file = folder / host().key / "kernels_32.o"
    whole = file.read_bytes()
    for damaged in (whole[:-100], whole[:5000] + bytes(100) + whole[5100:]):
        file.write_bytes(damaged)
        told: list[str] = []
        Library(32, host(), told.append)
        assert len(told) == 1
        assert file.read_bytes() == whole


def test_what_was_not_used_for_longest_makes_room(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "MOST_FILES", 10)
    cache = CodeCache("key")
    for number in range(10):
        cache.save(str(number), b"code")
        os.utime(folder / "key" / f"{number}.o", (number, number))
    assert cache.contents() == (10, 10 * 36)
    assert cache.load("2") == b"code"
    cache.save("new", b"code")
    names = {path.stem for path in (folder / "key").iterdir()}
    assert names == {"new", "2", "9", "8", "7"}


def test_folders_of_old_versions_make_room(folder: Path) -> None:
    for number in range(8):
        CodeCache(f"key{number}").save("name", b"code")
        os.utime(folder / f"key{number}", (number, number))
    assert {path.name for path in folder.iterdir()} == {"key3", "key4", "key5", "key6", "key7"}


def test_a_file_that_another_process_removes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "MOST_FILES", 1)
    cache = CodeCache("key")
    (folder / "key").mkdir()
    (folder / "key" / "gone.o").symlink_to(folder / "nowhere")
    cache.save("name", b"code")
    assert cache.problem is None


def test_a_folder_that_may_only_be_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    CodeCache("key").save("name", b"code")
    monkeypatch.setattr(os, "utime", refuse)
    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    cache = CodeCache("key")
    assert cache.load("name") == b"code"
    cache.save("other", b"code")
    assert str(cache.problem) == "[Errno 13] Permission denied"


def test_another_compiler_has_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    target = host()
    twin = Target(target.cpu, target.features, target.triple)
    assert twin.key == target.key
    monkeypatch.setattr(llvm, "VERSION", "0.0.1")
    assert Target(target.cpu, target.features, target.triple).key != target.key


def test_trainings_at_once_with_an_empty_cache(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In threads; their numbers are those of trainings one after the other."""
    x = np.random.default_rng(0).standard_normal((90, 4))

    def fit(number: int) -> tuple[bytes, list[str]]:
        hidden = tg.Dense(4, 8 + number % 2, ("gelu", "tanh")[number % 2])
        network = tg.NeuralNetwork(
            hidden, tg.Dense(8 + number % 2, 1), loss=tg.HuberLoss(), seed=number
        )
        trainer = tg.Trainer(network, tg.Adam(), engine="compiled", threads=2)
        history = trainer.fit(x, x[:, :1], epochs=3, batch_size=20, seed=0)
        predicted = network.predict(x, engine="compiled")
        return network.flat.values.tobytes() + predicted.tobytes(), history.notes

    monkeypatch.setattr(library_module, "_libraries", {})
    with ThreadPoolExecutor(4) as pool:
        at_once = list(pool.map(fit, range(8)))
    assert sum("compiling" in note for _, notes in at_once for note in notes) == 1
    # Once more, from what is on the disk now.
    monkeypatch.setattr(library_module, "_libraries", {})
    for number, (expected, _) in enumerate(at_once):
        numbers, notes = fit(number)
        assert numbers == expected
        assert not any("compiling" in note for note in notes)
    assert all(path.suffix == ".o" for path in (folder / host().key).iterdir())


def test_the_key_names_all_that_code_depends_on() -> None:
    target = host()
    others = [
        Target("other", target.features, target.triple),
        Target(target.cpu, "+sse2", target.triple),
        Target(target.cpu, target.features, "aarch64-apple-darwin"),
    ]
    assert len({target.key, *[other.key for other in others]}) == 4
    assert target.key.startswith(tg.__version__)


PROGRAM = """
import json, sys
import numpy as np
import typegrad as tg
x = np.random.default_rng(0).standard_normal((300, 4))
network = tg.NeuralNetwork(tg.Dense(4, 9, "gelu"), tg.Dense(9, 1), loss=tg.MSELoss(), seed=0)
trainer = tg.Trainer(network, tg.Adam(), engine="compiled", threads=2)
history = trainer.fit(x, x[:, :1], epochs=3, batch_size=100, seed=0)
print(json.dumps([network.flat.values.tobytes().hex(), history.notes]))
"""


def test_processes_at_once_with_an_empty_cache(tmp_path: Path) -> None:
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True, env=environment
        )
        for _ in range(3)
    ]
    results = [json.loads(process.communicate(timeout=120)[0]) for process in processes]
    assert len({values for values, _ in results}) == 1
    again = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=environment, check=True
    )
    values, notes = json.loads(again.stdout)
    assert values == results[0][0]
    assert not any("compiling" in note for note in notes)
    names = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert all(name.endswith(".o") for name in names)
    assert len(names) >= 4
