"""Each benchmark runs, and its contestants agree."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


def run(benchmark: str, *arguments: object) -> str:
    command = [sys.executable, str(FOLDER / benchmark), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_training_step_compares_contestants_that_agree(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    networks = ("13-1-linear", "64-512-512-1-gelu")
    printed = run(
        "training_step.py", "--smoke", "--optimizer", "sgd", "--json", file, "--network", *networks
    )
    assert "time relative to typegrad eager" in printed
    assert printed.count("scikit-learn, partial_fit per step: skipped, it has no GELU") == 1
    result = json.loads(file.read_text())
    assert {"machine", "versions", "date", "command"} <= result["run"].keys()
    problems = [contest["problem"] for contest in result["contests"]]
    assert [(each["network"], each["batch_size"]) for each in problems] == [
        (network, batch_size) for network in networks for batch_size in (1, 4)
    ]
    for contest in result["contests"]:
        ran = [each for each in contest["results"] if each["skipped"] is None]
        assert len(ran) == (8 if contest["problem"]["network"] == "13-1-linear" else 6)
        for contestant in ran:
            assert len(contestant["seconds"]) == 2
            assert 0.0 < contestant["loss_difference"] < 1e-4


@pytest.mark.parametrize("losses", ["1.01, 1.0", "1.0, 1.01", "1.0, float('nan')"])
def test_training_step_refuses_a_contestant_that_computes_something_else(losses: str) -> None:
    code = (
        "from training.contest import Result, _record; from training.worker import Run; "
        f"_record(Result('odd one'), Run(1.0, 1.0, {losses}, 0.0), (1.0, 1.0))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=FOLDER, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "odd one computes something else: its mean and final loss are" in done.stderr


def test_concrete_compares_errors_and_times(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    printed = run("concrete.py", "--smoke", "--json", file)
    assert "Concrete, 2 splits" in printed
    results = json.loads(file.read_text())["results"]
    errors = {result["name"]: np.mean(result["rmse"]) for result in results}
    assert len(errors) == 4
    # Two epochs bring nobody below the straight line's error, which is known to be near 10.5.
    assert min(errors.values()) == pytest.approx(10.2, abs=0.5)


def test_import_time_explains_what_costs(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    printed = run("import_time.py", "--smoke", "--json", file)
    assert "typegrad.optimizers" in printed.partition("loads after NumPy")[2]
    imports = {each["name"]: each for each in json.loads(file.read_text())["imports"]}
    assert imports["numpy"]["modules"] > imports["typegrad"]["modules"]
    assert all(len(each["milliseconds"]) == 2 for each in imports.values())


def test_batch_size_confirmation_counts_confirmed_recommendations(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    printed = run("batch_size_confirmation.py", "--smoke", "--data", "concrete", "--json", file)
    assert "recommendations confirmed with other seeds" in printed
    (verdict,) = json.loads(file.read_text())["verdicts"]
    assert verdict["ratio"] >= 1.0
    assert f" {int(verdict['ratio'] <= 1.1)} of 1 " in printed
    assert set(verdict["seconds"]) == {str(2**power) for power in range(8)}
