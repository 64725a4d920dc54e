"""The command line as a process of its own: exit status, streams, Ctrl-C, broken pipes."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from typegrad.cli import commands, main
from typegrad.engines.compiled.library import library_for
from typegrad.serialization import load_checkpoint
from typegrad.tabular import TableModel

TYPEGRAD = (sys.executable, "-m", "typegrad")
TIMEOUT = 120

needs_full_device = pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="needs a device that is always full"
)


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*TYPEGRAD, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )


STARTED: list[subprocess.Popen[str]] = []


def start(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [*TYPEGRAD, *arguments],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    STARTED.append(process)
    return process


@pytest.fixture(autouse=True)
def leave_no_process_behind() -> Iterator[None]:
    yield
    while STARTED:
        STARTED.pop().kill()


def test_the_whole_way(tmp_path: Path) -> None:
    trained = run("train", "--epochs", "2", "--seed", "0", "--plot", "fit.png", cwd=tmp_path)
    assert (trained.returncode, trained.stderr) == (0, "")
    assert {file.name for file in tmp_path.iterdir()} == {"fit.png", "model.safetensors"}
    (tmp_path / "new.csv").write_text(
        "cement,blast_furnace_slag,fly_ash,water,superplasticizer,coarse_aggregate,"
        "fine_aggregate,age,compressive_strength\n540,0,0,162,2.5,1040,676,28,79.99\n"
        "198.6,132.4,0,192,0,978.4,825.5,360,44.3\n"
    )
    predicted = run("predict", "model.safetensors", "new.csv", cwd=tmp_path)
    assert (predicted.returncode, predicted.stderr) == (0, "")
    assert len(predicted.stdout.splitlines()) == 3
    assert run("evaluate", "model.safetensors", "new.csv", cwd=tmp_path).returncode == 0
    info = run("info", "model.safetensors", cwd=tmp_path)
    assert info.returncode == 0
    assert "cement: number" in info.stdout


def test_an_error_is_one_line_and_status_2(tmp_path: Path) -> None:
    failed = run("train", "none.csv", "--target", "y", cwd=tmp_path)
    assert failed.returncode == 2
    assert failed.stderr == "typegrad: none.csv: there is no such file\n"
    assert failed.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_keeps_what_was_learned(tmp_path: Path) -> None:
    library_for(32)  # The command would say that it compiles this.
    process = start("train", "--epochs", "1000000", "--seed", "0", cwd=tmp_path)
    assert process.stdout is not None
    while "Predicting" not in process.stdout.readline():
        pass
    time.sleep(2.0)
    process.send_signal(signal.SIGINT)
    printed, errors = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 130
    assert errors == ""
    assert "interrupted" in printed
    assert "test " in printed
    run_so_far = load_checkpoint(tmp_path / "model.safetensors")
    assert isinstance(run_so_far.model, TableModel)
    assert run_so_far.history is not None
    assert len(run_so_far.history) > 1


@pytest.mark.parametrize("delay", [0.1, 0.2, 0.4])
def test_ctrl_c_at_any_time_gives_no_traceback(delay: float, tmp_path: Path) -> None:
    library_for(32)  # The command would say that it compiles this.
    # From the console script's first line on; before it, Python itself is starting.
    program = "import sys; from typegrad.cli import main; print('up', flush=True); sys.exit(main())"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "train", "--epochs", "1000000"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 130
    assert errors in ("", "typegrad: interrupted; nothing was written\n")


@pytest.mark.parametrize("cause", [KeyboardInterrupt(), ValueError("something else")])
def test_ctrl_c_while_a_class_is_made(
    cause: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As it is while NumPy is loading; other errors of its kind are not hidden."""

    def run(arguments: object) -> int:
        raise RuntimeError("Error calling __set_name__ on 'cached_property' instance") from cause

    monkeypatch.setattr(commands, "run", run)
    if isinstance(cause, KeyboardInterrupt):
        assert main([]) == 130
        assert capsys.readouterr().err == "typegrad: interrupted; nothing was written\n"
    else:
        with pytest.raises(RuntimeError, match="__set_name__"):
            main([])


def test_a_reader_that_leaves_early_does_not_cost_the_model(tmp_path: Path) -> None:
    process = start("train", "--epochs", "20", cwd=tmp_path)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(timeout=TIMEOUT) == 0
    assert (tmp_path / "model.safetensors").exists()


def test_predictions_into_a_closed_pipe(tmp_path: Path) -> None:
    assert run("train", "--epochs", "1", "--quiet", cwd=tmp_path).returncode == 0
    process = start("info", "model.safetensors", cwd=tmp_path)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(timeout=TIMEOUT) == 0


@needs_full_device
@pytest.mark.parametrize(
    "arguments", [("info", "model.safetensors"), ("train", "--epochs", "1", "--output", "new")]
)
def test_a_full_disk_behind_stdout_is_one_line(arguments: tuple[str, ...], tmp_path: Path) -> None:
    assert run("train", "--epochs", "1", "--quiet", cwd=tmp_path).returncode == 0
    with Path("/dev/full").open("w") as full:
        failed = subprocess.run(
            [*TYPEGRAD, *arguments],
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=TIMEOUT,
        )
    assert failed.returncode == 2
    assert failed.stderr == "typegrad: stdout cannot be written: No space left on device\n"
    assert not (tmp_path / "new").exists()


@needs_full_device
@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ("train --epochs 1 >&-", 0),
        ("train --epochs 1 2>&-", 0),
        ("train --epochs 1 >&- 2>&-", 0),
        ("info none 2>&-", 2),
        ("info none 2>/dev/full", 2),
        ("train --bogus 2>&-", 2),
    ],
)
def test_closed_streams_are_no_error(arguments: str, status: int, tmp_path: Path) -> None:
    finished = subprocess.run(
        f"{shlex.quote(sys.executable)} -m typegrad {arguments}",
        shell=True,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )
    assert (finished.returncode, finished.stderr) == (status, "")
    assert (tmp_path / "model.safetensors").exists() == (status == 0)
