"""The benchmark as a whole, on problems that take a second."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import typegrad as tg
from typegrad.benchmark import BatchSizeReport, batch_sizes, timing_session
from typegrad.benchmark.campaign import ProgressReport
from typegrad.benchmark.report import operations_per_example
from typegrad.benchmark.table_network import prepare_table

from .problems import build_line, build_small, linear_data

QUICK: dict[str, Any] = {
    "batch_sizes": [4, 32, 128],
    "seeds": 2,
    "most_seeds": 4,
    "budget_seconds": 1.0,
}


def run(**options: Any) -> BatchSizeReport:
    return batch_sizes(build_small, tg.Adam(0.01), *linear_data(), **{**QUICK, **options})


@pytest.fixture(scope="module")
def report() -> BatchSizeReport:
    """A report on engines of typegrad and on PyTorch."""
    return run(engines=("auto", "planned", "torch"))


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what takes time and is looked at with the report above."""
    monkeypatch.setattr(timing_session, "measure_parts", lambda *_: None)
    monkeypatch.setattr(timing_session, "peak_bytes", lambda *_: None)


quick = pytest.mark.usefixtures("_quick")


def test_every_cell_was_measured(report: BatchSizeReport) -> None:
    assert report.batch_sizes == (4, 32, 128)
    assert report.engines == ("auto", "planned", "torch")
    assert len(report.rows) == 9
    for row in report.rows:
        assert 0.0 < row.microseconds_per_step_low <= row.microseconds_per_step
        assert row.microseconds_per_step <= row.microseconds_per_step_high
        rows_per_step = {4: 4.0, 32: 32.0, 128: 80.0}[row.batch_size]
        assert row.examples_per_second == pytest.approx(
            1e6 * rows_per_step / row.microseconds_per_step
        )
        assert 0.0 < row.share_of_peak < 1.0
        assert row.seeds >= 2
        assert row.best_loss_in_time is not None
        assert row.best_loss_in_examples is not None
        assert (row.peak_megabytes is None) == (row.engine == "torch")
        assert (row.forward is None) == (row.engine != "planned")
    assert {row.ran for row in report.rows if row.engine == "auto"} == {"compiled"}


def test_seconds_are_steps_times_seconds_a_step(report: BatchSizeReport) -> None:
    for row in report.rows:
        if row.steps_to_target is None:
            assert row.seconds_to_target is None
            continue
        assert row.seconds_to_target == pytest.approx(
            row.steps_to_target * row.microseconds_per_step / 1e6
        )


def test_the_target_is_reached_by_most(report: BatchSizeReport) -> None:
    assert report.target is not None
    assert not report.target_was_given
    assert report.explain_unreached() is None
    reached = [row for row in report.rows if row.engine == "auto" and row.seeds_reached]
    assert len(reached) >= 2


def test_recommendations_agree_with_the_rows(report: BatchSizeReport) -> None:
    for engine in report.engines:
        found = report.recommend("throughput", engine)
        rows = [row for row in report.rows if row.engine == engine]
        best = max(rows, key=lambda row: row.examples_per_second)
        assert found is not None
        assert best.batch_size in (found.batch_size, *found.alike)
    assert report.recommend("memory", "torch") is None
    with pytest.raises(ValueError, match="engine 'jax' was not measured; expected one of 'auto', "):
        report.recommend("time", "jax")


def test_comparing_two_sizes(report: BatchSizeReport) -> None:
    one, other = report.compare(32, 4), report.compare(4, 32)
    assert one is not None
    assert other is not None
    assert one.value == pytest.approx(1.0 / other.value)
    assert one.low <= one.value <= one.high


def test_the_noise_scale_was_recorded_along_the_way(report: BatchSizeReport) -> None:
    points = report.noise_scales
    assert {point.batch_size for point in points} == {4, 32, 128}
    steps = [point.step for point in points if point.batch_size == 4]
    assert steps[0] == 1
    assert len(steps) > 5
    assert all(second >= 1.5 * first for first, second in pairwise(steps))
    assert all(point.low <= point.noise_scale <= point.high for point in points)


def test_the_text(report: BatchSizeReport) -> None:
    text = str(report)
    found = report.recommend("time")
    assert found is not None
    assert text.startswith(f"Take batch size {found.batch_size}: fastest to the target.\n")
    assert "\nfewest examples to it:  " in text
    assert "learning rate: the same for all sizes" in text
    assert "160 training rows, 40 validation rows" in text
    assert "\nengine auto (compiled)\nbatch  " in text
    assert "\nengine torch\n" in text


def test_json_gives_an_equal_report_back(report: BatchSizeReport, tmp_path: Path) -> None:
    report.to_json(tmp_path / "report.json")
    again = BatchSizeReport.from_json(tmp_path / "report.json")
    assert again.rows == report.rows
    assert again.measurements == report.measurements
    assert str(again) == str(report)
    described = json.loads((tmp_path / "report.json").read_text())
    assert {"processor", "versions", "date", "command"} <= described["machine"].keys()
    assert described["arguments"]["seeds"] == [0, 1]
    assert "Adam" in described["problem"]["optimizer"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON: "),
        ("[]", "is not a report that typegrad has written"),
        ('{"format": "typegrad report on batch sizes", "version": 9}', "has version 9 of the form"),
    ],
)
def test_files_that_are_no_reports(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text(content)
    with pytest.raises(tg.DataError, match=message):
        BatchSizeReport.from_json(tmp_path / "file")


def test_a_report_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(tg.DataError, match="cannot be read: No such file"):
        BatchSizeReport.from_json(tmp_path / "file")


def test_csv_and_data_frame(report: BatchSizeReport, tmp_path: Path) -> None:
    report.to_csv(tmp_path / "report.csv")
    with (tmp_path / "report.csv").open() as stream:
        lines = list(csv.DictReader(stream))
    frame = report.to_dataframe()
    assert len(lines) == len(frame) == 9
    assert list(lines[0]) == list(frame.columns)
    assert [int(line["batch_size"]) for line in lines] == frame["batch_size"].tolist()
    assert lines[-1]["peak_megabytes"] == ""


@quick
def test_sizes_that_miss_the_target_stay_in_the_report() -> None:
    found = run(target=1e-9)
    assert found.target_was_given
    assert found.recommend("time") is None
    assert all(row.seeds_reached == 0 and row.seconds_to_target is None for row in found.rows)
    assert found.tradeoff is None
    text = str(found)
    assert text.startswith("No size reaches the target 1.00e-09 within 0.075 s of training; the lo")
    assert "Give a higher target, or more budget_seconds." in text
    assert text.count("not reached") == 3


@quick
def test_a_rate_that_learns_nothing_gives_no_target() -> None:
    found = batch_sizes(build_line, tg.SGD(1e12), *linear_data(), **QUICK)
    assert found.target is None
    assert str(found).startswith("No size came below the loss it started from, so there is no tar")
    assert all(curve.diverged for curve in found.measurements.curves)


@quick
@pytest.mark.parametrize(
    ("rule", "rates"),
    [
        ("kept", {4: 0.01, 32: 0.01, 128: 0.01}),
        ("linear", {4: 0.005, 32: 0.04, 128: 0.16}),
        ("sqrt", {4: 0.01 * 0.5**0.5, 32: 0.02, 128: 0.04}),
    ],
)
def test_learning_rates_by_rule(rule: str, rates: dict[int, float]) -> None:
    found = run(learning_rate=rule, base_batch_size=8, seeds=1, most_seeds=1)
    assert found.learning_rates == pytest.approx(rates)
    assert {curve.learning_rate for curve in found.measurements.curves} == set(
        found.learning_rates.values()
    )


@quick
def test_learning_rates_that_are_searched() -> None:
    """The start is far too low, whatever steps a machine can take: a search has to go up."""
    start = 1e-7
    optimizer = tg.SGD(start)
    found = batch_sizes(build_line, optimizer, *linear_data(), learning_rate="searched", **QUICK)
    assert all(rate >= 8 * start for rate in found.learning_rates.values())
    powers = np.log2(np.array(list(found.learning_rates.values())) / start)
    np.testing.assert_allclose(powers, np.round(powers))
    assert "learning rate: searched for each size" in str(found)


@quick
def test_processes_train_the_same_curves() -> None:
    table = tg.Table({"a": np.linspace(0, 1, 80), "b": np.linspace(0, 1, 80) ** 2})
    prepared = prepare_table(table, "b", hidden=(4,))
    given = (prepared.build_network, tg.Adam(0.01), prepared.x, prepared.y)
    quick = {**QUICK, "batch_sizes": [8, 32], "validation_data": prepared.validation_data}
    alone, together = (batch_sizes(*given, **quick, processes=count) for count in (1, 2))
    first = {(each.batch_size, each.seed): each for each in alone.measurements.curves}
    for each in together.measurements.curves:
        other = first.get((each.batch_size, each.seed))
        if other is not None:
            common = min(len(each.steps), len(other.steps)) - 1
            np.testing.assert_allclose(each.losses[:common], other.losses[:common], rtol=1e-4)


@quick
def test_processes_want_something_that_can_be_sent() -> None:
    with pytest.raises(tg.DataError, match="make build_network a function at the top of a module"):
        batch_sizes(
            lambda seed: build_line(seed + 1),
            tg.SGD(0.01),
            *linear_data(),
            **QUICK,
            processes=2,
        )


# --- stopping and going on ------------------------------------------------------------------


def interrupt_after(cells: int) -> Callable[[ProgressReport], None]:
    seen = [0]

    def listen(progress: ProgressReport) -> None:
        seen[0] += progress.done > 0 and "timing" not in progress.stage
        if seen[0] > cells:
            raise KeyboardInterrupt

    return listen


@quick
def test_a_benchmark_that_was_stopped_goes_on(tmp_path: Path) -> None:
    state = tmp_path / "state.jsonl"
    with pytest.raises(KeyboardInterrupt):
        run(state=state, listener=interrupt_after(3))
    lines = state.read_text().splitlines()
    # Identity, timings, and the cells before the interrupt and at it.
    assert len(lines) == 2 + 4
    stages: list[str] = []
    found = run(state=state, resume=True, listener=lambda progress: stages.append(progress.stage))
    assert "timing steps" not in stages
    kept = [json.loads(line)["curves"][0] for line in lines[2:]]
    for curve, before in zip(found.measurements.curves, kept, strict=False):
        assert list(curve.losses) == before["losses"]
    keys = [(curve.batch_size, curve.seed) for curve in found.measurements.curves]
    assert len(keys) == len(set(keys)) >= 6
    # What is finished is not done again.
    before = state.read_text()
    again = run(state=state, resume=True)
    assert state.read_text() == before
    assert again.rows == found.rows


@quick
def test_a_line_that_was_cut_off_is_done_again(tmp_path: Path) -> None:
    state = tmp_path / "state.jsonl"
    with pytest.raises(KeyboardInterrupt):
        run(state=state, listener=interrupt_after(3))
    whole = state.read_text()
    state.write_text(whole[:-50])
    found = run(state=state, resume=True)
    assert len({(curve.batch_size, curve.seed) for curve in found.measurements.curves}) >= 6


def test_a_state_file_is_not_overwritten(tmp_path: Path) -> None:
    state = tmp_path / "state.jsonl"
    state.write_text("precious")
    with pytest.raises(tg.DataError, match=r"state.jsonl is there already: resume that benchmark"):
        run(state=state)
    with pytest.raises(tg.DataError, match="is not a file that this version's benchmark has writ"):
        run(state=state, resume=True)
    assert state.read_text() == "precious"


@quick
def test_another_benchmark_is_not_gone_on_with(tmp_path: Path) -> None:
    state = tmp_path / "state.jsonl"
    with pytest.raises(KeyboardInterrupt):
        run(state=state, listener=interrupt_after(0))
    with pytest.raises(
        tg.DataError,
        match=r"is of another benchmark, it cannot be continued: seeds was \[0, 1\], is \[0, 1, 2\]"
        r"; target was None, is 0.5$",
    ):
        run(state=state, resume=True, seeds=3, target=0.5)
    x, y = linear_data()
    with pytest.raises(tg.DataError, match=r"cannot be continued: data was \w+, is \w+"):
        batch_sizes(build_small, tg.Adam(0.01), x + 1.0, y, **QUICK, state=state, resume=True)


@quick
def test_a_benchmark_may_begin_with_resume(tmp_path: Path) -> None:
    found = run(state=tmp_path / "state.jsonl", resume=True, seeds=1, most_seeds=1)
    assert len(found.measurements.curves) == 3


def test_a_state_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(tg.DataError, match="cannot be written: there is no directory"):
        run(state=tmp_path / "nowhere" / "state.jsonl")


# --- progress -------------------------------------------------------------------------------


@quick
def test_progress_is_told() -> None:
    told: list[ProgressReport] = []
    run(listener=told.append)
    assert told[0].stage == "timing steps"
    assert told[0].remaining_seconds == pytest.approx(1.0)
    assert told[-1] == ProgressReport("done", 1, 1, 0.0)
    first = [each for each in told if each.stage == "training with seed 1 of 2"]
    assert [(each.done, each.total) for each in first] == [(0, 3), (1, 3), (2, 3), (3, 3)]


@quick
def test_on_a_machine_that_is_too_slow_seeds_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    from typegrad.benchmark import campaign

    monkeypatch.setattr(campaign.Campaign, "_late", lambda self, factor: True)
    found = run(seeds=3)
    assert {curve.seed for curve in found.measurements.curves} == {0, 1}
    assert "Only 2 of 3 seeds were trained: the machine takes longer than 1 s for" in str(found)


# --- wrong use ------------------------------------------------------------------------------

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"batch_sizes": [8, 161]}, r"batch size 161 is larger than the 160 rows to train on \(vali"),
    ({"batch_sizes": [0, 8]}, "a batch size is 0; expected a whole number of 1 or more"),
    ({"batch_sizes": [2.5]}, "a batch size is 2.5; expected a whole number of 1 or more"),
    ({"batch_sizes": []}, r"batch_sizes is empty; expected at least one, such as \[16, 64, 256\]"),
    ({"batch_sizes": [8, 16, 8]}, "batch size 8 is given twice"),
    ({"seeds": 0}, "seeds is 0; expected a whole number of 1 or more"),
    ({"seeds": [1, 1]}, r"seeds is \[1, 1\]; expected a number of seeds, or different ones"),
    ({"engines": ["warp"]}, "there is no engine 'warp'; expected some of 'auto', "),
    ({"target": float("nan")}, "target is nan; expected a validation loss, or None to choose one"),
    ({"target": 1e6}, r"target is 1e\+06, but the validation loss is \S+ before the first step"),
    ({"learning_rate": "best"}, "learning_rate is 'best'; expected one of 'kept', 'linear', "),
    ({"budget_seconds": 0.1}, "budget_seconds is 0.1; expected 1.0 or more"),
    ({"processes": 0}, "processes is 0; expected a whole number of 1 or more"),
    ({"validation_split": 0.0}, "validation_split is 0.0; of 200 rows it leaves none"),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_wrong_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run(**options)


def test_wrong_optimizers() -> None:
    data = linear_data()
    full_batch: Any = tg.LBFGS()
    with pytest.raises(TypeError, match="a full-batch optimizer has no batch size"):
        batch_sizes(build_line, full_batch, *data)
    with pytest.raises(ValueError, match="learning rate is a CosineSchedule, which depends on how"):
        batch_sizes(build_line, tg.SGD(tg.CosineSchedule(0.1)), *data)


@quick
def test_a_constant_schedule_is_a_rate() -> None:
    optimizer = tg.SGD(tg.ConstantSchedule(0.02))
    found = batch_sizes(build_line, optimizer, *linear_data(), **QUICK)
    assert set(found.learning_rates.values()) == {0.02}


def test_wrong_networks() -> None:
    data, optimizer = linear_data(), tg.SGD(0.01)
    network = build_line(0)
    wrong: Any = network
    with pytest.raises(TypeError, match="expected a function that takes a seed and returns a new"):
        batch_sizes(wrong, optimizer, *data)
    with pytest.raises(TypeError, match="build_network returned the same network twice"):
        batch_sizes(lambda seed: network, optimizer, *data)
    nothing: Any = lambda seed: None  # noqa: E731
    with pytest.raises(TypeError, match=r"build_network\(0\) returned None; expected a NeuralNetw"):
        batch_sizes(nothing, optimizer, *data)
    with pytest.raises(ValueError, match="other first weights the second time; pass its argument"):
        batch_sizes(
            lambda seed: tg.NeuralNetwork(tg.Dense(3, 1), loss=tg.MSELoss()), optimizer, *data
        )


def test_data_that_is_not_finite() -> None:
    x, y = linear_data()
    y[7] = np.nan
    with pytest.raises(tg.DataError, match="y has nan at row 7, column 0"):
        batch_sizes(build_line, tg.SGD(0.01), x, y)


def test_a_contestant_that_cannot_take_part() -> None:
    def build(seed: int) -> tg.NeuralNetwork:
        return tg.NeuralNetwork(
            tg.Dense(3, 4), tg.Dropout(0.1), tg.Dense(4, 1), loss=tg.MSELoss(), seed=seed
        )

    with pytest.raises(TypeError, match="engine 'torch' has no counterpart of layer 1, Dropout"):
        batch_sizes(build, tg.SGD(0.01), *linear_data(), **QUICK, engines=("auto", "torch"))


def test_operations_of_an_example() -> None:
    """6 for each multiply-add, 4 in the first layer, whose input needs no gradient."""
    assert operations_per_example(build_small(0)) == 4 * 24 + 6 * 8
