"""Each benchmark runs, and its contestants agree."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
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
    assert "fastest contestant / compiled: geometric mean" in printed
    result = json.loads(file.read_text())
    assert result["summary"]["compiled"]["count"] == 4
    assert {"machine", "versions", "date", "command"} <= result["run"].keys()
    problems = [contest["problem"] for contest in result["contests"]]
    assert [(each["network"], each["batch_size"]) for each in problems] == [
        (network, batch_size) for network in networks for batch_size in (1, 4)
    ]
    for contest in result["contests"]:
        ran = [each for each in contest["results"] if each["skipped"] is None]
        assert len(ran) == (10 if contest["problem"]["network"] == "13-1-linear" else 7)
        assert all(speed > 0.0 for speed in contest["hardware"].values())
        for contestant in ran:
            assert len(contestant["seconds"]) == 2
            assert 0.0 < contestant["loss_difference"] < 1e-4


@pytest.mark.slow
def test_contestants_that_compile_for_seconds_agree(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    chosen = ("typegrad compiled", "torch.compile", "Keras")
    networks = ("8-64-64-1-tanh", "64-512-512-1-gelu")
    run("training_step.py", "--smoke", "--json", file, "--network", *networks, "--only", *chosen)
    for contest in json.loads(file.read_text())["contests"]:
        for each in contest["results"]:
            # Keras' Adam adds epsilon before the bias correction: 1.3e-4 was found in eight steps.
            limit = 3e-4 if each["name"].startswith("Keras") else 1e-4
            assert each["loss_difference"] < limit, each["name"]


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
    # Which modules take longest differs from run to run.
    assert "typegrad." in printed.partition("loads after NumPy")[2]
    imports = {each["name"]: each for each in json.loads(file.read_text())["imports"]}
    assert imports["numpy"]["modules"] > imports["typegrad"]["modules"]
    assert all(len(each["milliseconds"]) == 2 for each in imports.values())


@pytest.mark.slow
def test_plugin_time_compares_two_runs(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    assert "mypy with the plugin" in run("plugin_time.py", "--smoke", "--json", file)
    alone, more = json.loads(file.read_text())["seconds"].values()
    assert 0.5 < more[0] / alone[0] < 2.0


def test_larger_than_memory_bounds_memory_and_agrees(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    printed = run("larger_than_memory.py", "--smoke", "--json", file, "--folder", tmp_path)
    assert "peak MB (with file pages)" in printed
    content = json.loads(file.read_text())
    results = {each["name"]: each for each in content["results"]}
    assert len(results) == 5
    assert results["mapped file"]["weights"] == results["in memory"]["weights"]
    assert results["mapped file"]["weights"] != results["mapped file, by blocks"]["weights"]
    assert all(len(each["seconds"]) == 2 for each in results.values())
    assert list(tmp_path.iterdir()) == [file]  # The data are gone.


def test_growth_measures_rows_and_callbacks(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    printed = run("growth.py", "--smoke", "--engine", "eager", "--batch", 50, "--json", file)
    assert "An epoch at batch size 50" in printed
    content = json.loads(file.read_text())
    assert [each["rows"] for each in content["growth"]] == [100, 1000]
    assert [each["name"] for each in content["steps"]] == [
        "engine alone",
        "fit",
        "fit, callback of epochs",
        "fit, callback of each 100th step",
        "fit, callback of each step",
    ]
    for each in content["growth"] + content["steps"]:
        assert len(each["seconds"]) == 2
        assert min(each["seconds"]) > 0


def test_batch_size_confirmation_counts_confirmed_recommendations(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    printed = run("batch_size_confirmation.py", "--smoke", "--data", "concrete", "--json", file)
    assert "recommendations confirmed with other seeds" in printed
    (verdict,) = json.loads(file.read_text())["verdicts"]
    assert verdict["ratio"] >= 1.0
    assert f" {int(verdict['ratio'] <= 1.1)} of 1 " in printed
    assert set(verdict["seconds"]) == {str(2**power) for power in range(8)}


def test_memory_compares_whole_processes(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    printed = run("memory.py", "--smoke", "--json", file)
    assert "Peak memory of a training on 1000 rows, 2 epochs" in printed
    costs = json.loads(file.read_text())["costs"]
    assert list(costs) == ["typegrad planned", "typegrad compiled"]
    planned, compiled = (each[0]["peak_megabytes"] for each in costs.values())
    assert 20.0 < planned < compiled < 500.0


def test_start_time_compiles_into_an_empty_cache(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    printed = run("start_time.py", "--smoke", "--json", file)
    assert "typegrad compiled, empty cache:" in printed
    costs = json.loads(file.read_text())["costs"]
    cached = min(each["processor_seconds"] for each in costs["typegrad compiled"])
    (first,) = costs["typegrad compiled, empty cache"]
    assert first["processor_seconds"] > cached


def test_every_program_trains() -> None:
    sys.path.insert(0, str(FOLDER))
    try:
        fresh_process = import_module("fresh_process")
    finally:
        sys.path.remove(str(FOLDER))
    for program in fresh_process.installed_programs():
        cost = fresh_process.run_fresh(program, rows=512)
        assert 0.0 < cost.fit_seconds < cost.wall_seconds


def test_vector_math_measures_errors_of_every_function(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    printed = run("vector_math.py", "--smoke", "--json", file)
    assert "special values that differ" in printed
    functions = json.loads(file.read_text())["functions"]
    names = {"exp", "expm1", "log", "log1p", "log2", "log10", "tanh", "sin", "cos"}
    assert {each["function"] for each in functions} == names
    for each in functions:
        assert 0.5 < each["worst"] < 6.0
        assert each["special_values_differ"] == 0
        assert each["numbers"] > 50_000
