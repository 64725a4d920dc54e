"""The summary of all cells, and the report, on times made up for the purpose."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def summary_module() -> Iterator[Any]:
    sys.path.insert(0, str(FOLDER))
    yield import_module("training.summary")
    sys.path.remove(str(FOLDER))


def contest(
    network: str, batch_size: int, microseconds: dict[str, float], optimizer: str = "adam"
) -> dict[str, Any]:
    """One contest as the benchmark writes it: three rounds of ten steps, the second slow."""
    problem = {
        "network": network,
        "optimizer": optimizer,
        "batch_size": batch_size,
        "steps": 10,
        "dtype": "float32",
        "seed": 0,
    }
    results = [
        {
            "name": name,
            "skipped": None,
            "seconds": [time * 1e-5, time * 3e-5, time * 1e-5],
            "loss_difference": 1e-7,
            "peak_megabytes": 50.0,
        }
        for name, time in microseconds.items()
    ]
    absent = {"name": "MyGrad", "skipped": "sleeps", "seconds": []}
    return {
        "problem": problem,
        "hardware": {
            "gflops": 100.0,
            "copy_gigabytes": 50.0,
            "tanh_nanoseconds": 0.5,
            "root_nanoseconds": 0.2,
            "row_nanoseconds": 3.0,
            "numpy_microseconds": 40.0,
        },
        "results": [*results, {**absent, "loss_difference": 0.0, "peak_megabytes": 0.0}],
    }


def times(planned: float, compiled: float, pytorch: float, jax: float) -> dict[str, float]:
    return {
        "typegrad planned": planned,
        "typegrad compiled": compiled,
        "PyTorch, fused optimizer": pytorch,
        "JAX, epoch in lax.scan": jax,
    }


CONTESTS = [
    contest("13-64-1-relu", 1, times(40.0, 2.0, 200.0, 6.0)),
    contest("13-64-1-relu", 32, times(50.0, 10.0, 300.0, 11.0)),
    contest("8-256-256-1-tanh", 512, times(400.0, 3000.0, 800.0, 12000.0)),
    contest("8-256-256-1-tanh", 8192, times(9000.0, 20000.0, 6000.0, 1000000.0)),
]


def test_summary(summary_module: Any) -> None:
    summary = summary_module.summarize(summary_module.read_cells(CONTESTS))
    ratios = [6 / 2, 11 / 10, 800 / 3000, 6000 / 20000]
    product = ratios[0] * ratios[1] * ratios[2] * ratios[3]
    assert summary.compiled.mean == pytest.approx(product ** (1 / 4))
    assert summary.compiled.smallest == pytest.approx(800 / 3000)
    assert summary.compiled.where == "8-256-256-1-tanh, adam, batch 512"
    assert summary.compiled.count == 4
    relu = summary.compiled_by_network["13-64-1-relu"]
    assert relu.mean == pytest.approx((ratios[0] * ratios[1]) ** 0.5)
    assert summary.compiled_below == {
        "13-64-1-relu, adam, batch 32": pytest.approx(1.1),
        "8-256-256-1-tanh, adam, batch 512": pytest.approx(800 / 3000),
        "8-256-256-1-tanh, adam, batch 8192": pytest.approx(0.3),
    }
    assert summary.planned_small.mean == pytest.approx((5 * 6) ** 0.5)
    assert summary.planned_small.smallest == pytest.approx(5)
    assert summary.planned_medium.smallest == pytest.approx(2)
    assert summary.planned_large.smallest == pytest.approx(2 / 3)


def test_share_of_the_peak_counts_three_products_less_the_first_input(summary_module: Any) -> None:
    cell = summary_module.read_cells(CONTESTS)[2]
    # Forward and the weights' gradients of all three layers; inputs' of the last two.
    multiplications = 512 * (2 * (8 * 256 + 256 * 256 + 256) + (256 * 256 + 256))
    assert cell.problem.product_flops == 2 * multiplications
    assert cell.has_large_products
    assert cell.share_of_peak("typegrad compiled") == pytest.approx(
        2 * multiplications / 3000e-6 / 100e9
    )
    summary = summary_module.summarize(summary_module.read_cells(CONTESTS))
    assert summary.share_of_peak.count == 2
    assert summary.share_of_peak.where == "8-256-256-1-tanh, adam, batch 512"


def test_bound_is_computing_or_memory(summary_module: Any) -> None:
    slow = {**CONTESTS[0], "hardware": {**CONTESTS[0]["hardware"], "copy_gigabytes": 1.0}}
    small, _, large, _ = summary_module.read_cells([slow, *CONTESTS[1:]])
    # Parameters and two moments, read and written: 4 bytes each.
    assert small.bound == pytest.approx((13 * 64 + 64 + 64 + 1) * 3 * 2 * 4 / 1e9)
    parameters = 8 * 256 + 256 + 256 * 256 + 256 + 256 + 1
    nanoseconds = 512 * 3.0 + 512 * (256 + 256) * 0.5 + parameters * 0.2
    seconds = large.problem.product_flops / 100e9 + nanoseconds * 1e-9
    assert large.bound == pytest.approx(seconds)


def test_sgd_takes_no_square_roots(summary_module: Any) -> None:
    case = contest("13-1-linear", 1, times(1.0, 1.0, 1.0, 1.0), "sgd")
    (cell,) = summary_module.read_cells([case])
    assert cell.bound == pytest.approx((3.0 + cell.problem.product_flops / 100) * 1e-9)


def test_no_engine_is_faster_than_allowed(summary_module: Any) -> None:
    cells = summary_module.read_cells(CONTESTS[2:])
    allowed = summary_module.summarize(cells).allowed
    ratios = [0.8e-3 / cells[0].bound, 6e-3 / cells[1].bound]
    assert allowed.mean == pytest.approx((ratios[0] * ratios[1]) ** 0.5)


def test_linear_and_narrow_networks_have_no_large_products(summary_module: Any) -> None:
    for network in ("13-1-linear", "8-64-64-1-tanh"):
        (cell,) = summary_module.read_cells([contest(network, 8192, times(1.0, 1.0, 1.0, 1.0))])
        assert not cell.has_large_products


def test_summary_of_engines_that_did_not_run(summary_module: Any) -> None:
    cells = summary_module.read_cells([contest("13-1-linear", 1, {"typegrad planned": 10.0})])
    summary = summary_module.summarize(cells)
    assert summary.compiled is None
    assert summary.share_of_peak is None
    assert summary.planned_small is None
    assert summary_module.describe(summary) == []


def test_summary_in_words(summary_module: Any) -> None:
    lines = summary_module.describe(summary_module.summarize(summary_module.read_cells(CONTESTS)))
    assert lines[0] == (
        "fastest contestant / compiled: geometric mean 0.72, "
        "smallest 0.27 (8-256-256-1-tanh, adam, batch 512), 4 cells"
    )
    assert "  below 1.2: 3 of 4 cells" in lines


def report(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(FOLDER / "report.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def result_file(tmp_path: Path) -> Path:
    run = {"machine": "a machine", "date": "today", "command": "python training_step.py"}
    file = tmp_path / "result.json"
    file.write_text(json.dumps({"run": run, "contests": CONTESTS}))
    return file


def test_report_writes_tables_and_a_chart(result_file: Path, tmp_path: Path) -> None:
    chart = tmp_path / "chart.png"
    done = report(result_file, "--chart", chart)
    assert done.returncode == 0, done.stderr
    assert "| | batch 1 | batch 32 | loss differs by | peak MB |" in done.stdout
    assert "| typegrad compiled | **2.0** | **10** | 1e-07 | 50 |" in done.stdout
    assert "| fastest of the others / compiled | 3.00 | 1.10 | | |" in done.stdout
    assert "| compiled, share of peak | 2 % | 12 % | | |" in done.stdout
    assert "| 8-256-256-1-tanh, adam, batch 512 | PyTorch, fused optimizer | 0.27 |" in done.stdout
    assert chart.read_bytes().startswith(b"\x89PNG")


def test_report_replaces_what_stood_in_a_document(result_file: Path, tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    begin, end = "<!-- training_step.py: begin -->", "<!-- training_step.py: end -->"
    document.write_text(f"before\n{begin}\nold\n{end}\nafter\n")
    assert report(result_file, "--into", document).returncode == 0
    text = document.read_text()
    assert text.startswith(f"before\n{begin}\n\n- machine: a machine\n")
    assert text.endswith(f"\n{end}\nafter\n")
    assert "old" not in text
    chart = tmp_path / "images" / "chart.svg"
    chart.parent.mkdir()
    assert report(result_file, "--into", document, "--chart", chart).returncode == 0
    assert "by batch size](images/chart.svg)\n\n- machine" in document.read_text()
    document.write_text("nothing to fill\n")
    refused = report(result_file, "--into", document)
    assert refused.returncode == 2
    assert f"page.md needs the lines {begin} and {end}" in refused.stderr
    assert document.read_text() == "nothing to fill\n"
