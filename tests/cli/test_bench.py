"""``typegrad bench``: what it prints, writes and refuses."""

from __future__ import annotations

import csv
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from typegrad.benchmark import BatchSizeReport, timing_session
from typegrad.cli import bench, main

QUICK = (
    "--batch-sizes", "8,32", "--seeds", "2", "--most-seeds", "2", "--budget-seconds", "1",
    "--hidden", "4",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _quick_and_in_a_fresh_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(timing_session, "measure_parts", lambda *_: None)
    monkeypatch.setattr(timing_session, "peak_bytes", lambda *_: None)


def write_table(rows: int = 60) -> str:
    """A table with a column of numbers, one of categories, and a target."""
    lines = ["height,kind,price"]
    lines += [f"{row % 7},{'ab'[row % 2]},{3 * (row % 7) + row % 2}" for row in range(rows)]
    Path("trees.csv").write_text("\n".join(lines) + "\n")
    return "trees.csv"


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["bench", *arguments]) == 2
    printed, errors = capsys.readouterr()
    del printed
    assert errors.count("\n") == 1
    return errors.removeprefix("typegrad: ").rstrip()


def test_without_data_it_benchmarks_concrete(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", *QUICK, "--output", "out/concrete"]) == 0
    printed, errors = capsys.readouterr()
    assert errors == ""
    assert "I-Cheng Yeh (1998)" in printed
    assert "timing steps: 0 of 2, about 0:01 left" in printed
    assert re.search(r"^(Take batch size (8|32): fastest|No size)", printed, re.MULTILINE)
    assert "824 training rows, 206 validation rows" in printed
    folder = Path("out/concrete")
    names = [
        "noise_scale.png",
        "report.csv",
        "report.html",
        "report.json",
        "report.txt",
        "seconds_to_target.png",
        "state.jsonl",
        "throughput.png",
        "tradeoff.png",
    ]
    assert sorted(file.name for file in folder.iterdir()) == names
    report = BatchSizeReport.from_json(folder / "report.json")
    assert report.batch_sizes == (8, 32)
    # A quarter of the largest rate of the schedule that `typegrad train` has.
    assert set(report.learning_rates.values()) == {0.005}
    assert (folder / "report.txt").read_text() in printed
    with (folder / "report.csv").open() as stream:
        assert [row["batch_size"] for row in csv.DictReader(stream)] == ["8", "32"]
    written = ["report.txt", "report.json", "report.csv", "report.html", "seconds_to_target.png",
               "throughput.png", "tradeoff.png", "noise_scale.png"]  # fmt: skip
    assert printed.endswith("\n" + "".join(f"out/concrete/{name}\n" for name in written))


def test_on_a_file_with_options(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = (
        "--target", "price", "--optimizer", "sgd", "--base-rate", "0.01", "--base-batch-size", "8",
        "--learning-rate", "linear", "--engines", "planned,eager", "--objective", "throughput",
        "--validation", "0.25", "--processor-time", "--quiet",
    )  # fmt: skip
    assert main(["bench", write_table(), *QUICK, *arguments]) == 0
    printed = capsys.readouterr().out
    assert "Yeh" not in printed
    assert "timing steps" not in printed
    assert re.match(r"Take batch size (8|32): most examples a second\.\n", printed)
    assert "learning rate: in proportion to the size" in printed
    assert "45 training rows, 15 validation rows" in printed
    assert "\nengine planned\n" in printed
    assert "\nengine eager\n" in printed
    assert not Path("state.jsonl").exists()


def test_an_interrupted_benchmark_is_resumed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    arguments = ["bench", *QUICK, "--output", "out"]
    with monkeypatch.context() as patch:
        patch.setattr(bench.ProgressLines, "__call__", interrupt)
        assert main(arguments) == 130
    assert capsys.readouterr().err == (
        "typegrad: interrupted; the same command with --resume goes on from here\n"
    )
    assert "state.jsonl is there already" in refusal(capsys, *arguments[1:])
    assert main([*arguments, "--resume"]) == 0
    assert Path("out/report.json").exists()
    changed = refusal(capsys, *arguments[1:], "--resume", "--seeds", "3")
    assert "cannot be continued: seeds was [0, 1], is [0, 1, 2]" in changed
    with monkeypatch.context() as patch:
        patch.setattr(bench.ProgressLines, "__call__", interrupt)
        assert main(["bench", *QUICK]) == 130
    assert "interrupted; nothing was written" in capsys.readouterr().err


WRONG = [
    (("--batch-sizes", "8,900"), "batch size 900 is larger than the 824 rows to train on"),
    (("--batch-sizes", "0"), "argument --batch-sizes: '0' is not a whole number of 1 or more"),
    (("--batch-sizes", "8,8"), "batch size 8 is given twice"),
    (("--engines", "auto,warp"), "there is no engine 'warp'; expected some of 'auto', "),
    (("--engines", "torch", "--dropout", "0.1", *QUICK), "has no counterpart of layer 1, Dropout"),
    (("--target", "stength"), "concrete.csv: no column 'stength'; the columns are cement, "),
    (("--target-loss", "nan"), "argument --target-loss: 'nan' is not a number"),
    (("--target-loss", "99"), "target is 99, but the validation loss is "),
    (("--optimizer", "lbfgs"), "--optimizer lbfgs takes all rows in a step: it has no batch size"),
    (("--learning-rate", "0.1"), "argument --learning-rate: invalid choice: '0.1'"),
    (("--validation", "0"), "validation is 0.0; expected a share of the rows above 0"),
    (("--budget-seconds", "0.5"), "budget_seconds is 0.5; expected 1.0 or more"),
    (("--loss", "quantile", "--engines", "jax", *QUICK), "engine 'jax' has no counterpart of the"),
    (("--resume",), "--resume needs --output, the folder of the benchmark to go on with"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_wrong_use(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refusal(capsys, *arguments)


def test_a_folder_that_cannot_be_made(capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").write_text("")
    assert "file/out cannot be made: Not a directory" in refusal(capsys, "--output", "file/out")


def test_without_matplotlib_the_numbers_are_written(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    absent: Any = None
    monkeypatch.setitem(sys.modules, "matplotlib.figure", absent)
    assert main(["bench", *QUICK, "--output", "out"]) == 0
    printed = capsys.readouterr().out
    assert "out/report.csv\nno page and no figures: Plotting needs matplotlib" in printed
    assert not Path("out/report.html").exists()
