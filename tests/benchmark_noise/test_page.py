"""Figures and page of a report: what they say, and that they say so in every case."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest

import typegrad as tg
from typegrad.benchmark import BatchSizeReport
from typegrad.benchmark.figures import FIGURES, draw_noise, draw_seconds, draw_tradeoff
from typegrad.benchmark.html import page
from typegrad.benchmark.loss_curve import LossCurve
from typegrad.benchmark.measurements import Measurements, NoisePoint
from typegrad.benchmark.step_parts import StepParts
from typegrad.benchmark.step_timing import StepTiming

mpl.use("agg")

SIZES = (4, 16, 64, 256)
STEPS = {4: 2600.0, 16: 725.0, 64: 256.0, 256: 139.0}
"""To the target: 100 (1 + 100 / B)."""


def seconds(engine: str, size: int) -> float:
    return (2.0 if engine == "eager" else 1.0) * (1e-4 + 1e-6 * size)


def curve(size: int, seed: int) -> LossCurve:
    """Loss 1 / (1 + progress), so that 0.5 is reached at STEPS."""
    rng = np.random.default_rng([size, seed])
    to_target = STEPS[size] * np.exp(0.02 * rng.normal())
    steps = np.unique(np.geomspace(1.0, 4.0 * STEPS[size], 80).round().astype(int))
    losses = 1.0 / (1.0 + steps / to_target)
    return LossCurve(
        size,
        seed,
        0.01,
        (0, *steps.tolist()),
        (0, *(size * steps).tolist()),
        (1.0, *losses.tolist()),
    )


@cache
def make_report(target: float | None = 0.5) -> BatchSizeReport:
    rng = np.random.default_rng(0)
    engines = ("auto", "eager")
    timings = [
        StepTiming(
            engine,
            "planned" if engine == "auto" else engine,
            size,
            float(size),
            tuple((seconds(engine, size) * np.exp(0.01 * rng.normal(size=9))).tolist()),
            100_000 + 1000 * size,
        )
        for engine in engines
        for size in SIZES
    ]
    noise = [
        NoisePoint(size, step, 10.0 * step, 8.0 * step, np.inf if step == 16 else 13.0 * step)
        for size in SIZES
        for step in (1, 4, 16)
    ]
    measurements = Measurements(
        timings=timings,
        sessions=2,
        reference_seconds=[0.01] * 8,
        reference_operations=10**8,
        curves=[curve(size, seed) for seed in range(5) for size in SIZES],
        parts=dict.fromkeys(SIZES, StepParts(0.1, 0.3, 0.4, 0.2)),
        noise=noise,
        step_budgets={size: int(4 * STEPS[size]) for size in SIZES},
    )
    return BatchSizeReport(
        arguments={
            "learning_rate": "kept",
            "seeds": [0, 1, 2, 3, 4],
            "most_seeds": 5,
            "budget_seconds": 60.0,
        },
        problem={
            "network": "a <network> & more",
            "optimizer": "SGD",
            "training rows": 1000,
            "validation rows": 200,
            "parameters": 81,
            "operations per example": 500,
        },
        machine={"processor": "a processor", "date": "today"},
        learning_rates=dict.fromkeys(SIZES, 0.01),
        seconds_per_curve=1.0,
        target=target,
        target_was_given=True,
        measurements=measurements,
        notes=("a note",),
    )


class _Checker(HTMLParser):
    """Finds out what a page refers to, its text, and whether tags match."""

    VOID = frozenset({"meta", "br", "path", "use", "image", "rect"})

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.open: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        self._note(attributes)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self._note(attributes)

    def _note(self, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if name in {"href", "src", "xlink:href"}:
                self.links.append(value or "")
            if name == "id":
                self.ids.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text.append(data)


def check(report: BatchSizeReport) -> tuple[str, str]:
    """The page, checked, and its text."""
    written = page(report)
    checker = _Checker()
    checker.feed(written)
    checker.close()
    assert checker.open == []
    assert all(link.startswith("#") for link in checker.links)
    assert {link[1:] for link in checker.links} <= set(checker.ids)
    assert len(set(checker.ids)) == len(checker.ids)
    assert "@import" not in written
    assert "<script" not in written
    return written, re.sub(r"\s+", " ", "".join(checker.text))


def test_the_page_begins_with_the_answer() -> None:
    written, text = check(make_report())
    best = make_report().recommend("time")
    assert best is not None
    assert best.batch_size == 64
    assert "<title>Take batch size 64</title>" in written
    head = text[text.index("Take batch size 64", 20) :][:400]
    assert re.search(
        r"It trains to a validation loss of 0\.5 in 4[0-9.]+ ms \(95\s% interval", head
    )
    assert "measurably faster than the other 3 sizes" in head or "not measurably slower" in head
    assert re.search(r"Batch size 4 takes [\d.]+ times as long", head)
    assert "a note" in text


def test_the_page_has_every_number_and_how_it_came_about() -> None:
    written, text = check(make_report())
    assert written.count("<svg") == 4
    assert written.count("<table") == 2
    assert written.count("<tr") == 2 * 5
    assert written.count('<tr class="best">') == 2
    for part in ("Engine auto (it is planned)", "Engine eager", "a <network> & more; 81 parameters",
                 "a processor", "1,000 for training, 200 for validation", "the same for all sizes",
                 "The critical batch size is"):  # fmt: skip
        assert part in text
    assert "a &lt;network&gt; &amp; more" in written


def test_the_page_follows_the_reader_into_the_dark() -> None:
    written, _ = check(make_report())
    assert "prefers-color-scheme: dark" in written
    svg = written[written.index("<svg") : written.rindex("</svg>")]
    assert "var(--ink)" in svg
    assert "var(--c0)" in svg
    for color in ("#000000", "#ffffff", "#333333"):
        assert color not in svg


def test_no_size_reaches_the_target() -> None:
    report = make_report(0.001)
    written, text = check(report)
    assert "<h1>No batch size reached the target</h1>" in written
    assert "No size reaches the target 0.001" in text
    assert "not reached" in text
    assert "Fewer than three sizes reached the target" in text
    for draw in (draw_seconds, draw_tradeoff):
        texts = [each.get_text() for each in draw(report).axes[0].texts]
        assert texts == ["no size reached the target"]
    crosses = [line for line in draw_seconds(report).axes[0].lines if line.get_marker() == "x"]
    assert list(np.asarray(crosses[0].get_xdata())) == list(SIZES)


def test_no_target_at_all() -> None:
    _, text = check(make_report(None))
    assert "No answer" in text
    assert "No size came below the loss it started from" in text


def test_some_sizes_miss_the_target() -> None:
    report = make_report()
    curves = [
        each if each.batch_size != 256 else replace(each, losses=(1.0,) * len(each.losses))
        for each in report.measurements.curves
    ]
    report = replace(report, measurements=replace(report.measurements, curves=curves))
    _, text = check(report)
    assert "256 does not reach the target" in text
    assert "Take batch size" in text
    crosses = [line for line in draw_seconds(report).axes[0].lines if line.get_marker() == "x"]
    assert list(np.asarray(crosses[0].get_xdata())) == [256]


def test_without_noise_scales_or_parts() -> None:
    report = make_report()
    bare = replace(report.measurements, noise=[], parts=dict.fromkeys(SIZES, None))
    report = replace(report, measurements=bare)
    check(report)
    assert [each.get_text() for each in draw_noise(report).axes[0].texts] == ["not measured"]


def test_sizes_without_a_measurable_difference() -> None:
    report = make_report()
    rng = np.random.default_rng(0)
    vague = [
        replace(each, seconds=tuple(np.array(each.seconds) * np.exp(rng.normal(size=9))))
        for each in report.measurements.timings
    ]
    report = replace(report, measurements=replace(report.measurements, timings=vague))
    _, text = check(report)
    best = report.recommend("time")
    assert best is not None
    assert best.alike
    assert re.search(r"Of 4 sizes, [\d, and]+ (is|are) not measurably slower or faster\.", text)


def test_one_size_alone() -> None:
    _, text = check(replace(make_report(), learning_rates={64: 0.01}))
    assert "; no other size was measured." in text
    assert "Times are those of training steps with the engine auto." in text


def test_memory_that_was_not_measured_and_times_without_a_limit() -> None:
    report = make_report()
    timings = [replace(each, peak_bytes=None) for each in report.measurements.timings]
    # One seed in four misses the target with the largest size: its interval has no upper end.
    curves = [
        replace(each, losses=(1.0,) * len(each.losses))
        if each.batch_size == 256 and each.seed == 0
        else each
        for each in report.measurements.curves
    ]
    measurements = replace(report.measurements, timings=timings, curves=curves)
    _, text = check(replace(report, measurements=measurements))
    assert "least memorynonenot measured, or not reached" in text
    assert re.search(r"from [\d.]+ ms", text)


def test_an_unsteady_machine_is_told() -> None:
    report = make_report()
    unsteady = replace(report.measurements, reference_seconds=[0.01, 0.03] * 4)
    _, text = check(replace(report, measurements=unsteady))
    assert "The machine was not steady" in text


def test_the_fit_is_that_of_the_runs() -> None:
    fit = make_report().tradeoff
    assert fit is not None
    assert fit.critical_batch_size == pytest.approx(100.0, rel=0.15)
    assert fit.min_steps == pytest.approx(100.0, rel=0.1)
    assert fit.points == 20
    assert make_report(0.001).tradeoff is None


def test_figures_are_labelled_and_mark_the_recommended_size() -> None:
    report = make_report()
    for name, draw in FIGURES.items():
        figure = draw(report)
        axes = figure.axes[0]
        assert axes.get_xlabel(), name
        assert axes.get_ylabel(), name
        labels = [text.get_text() for text in figure.legends[0].get_texts()]
        told = {"seconds_to_target": "recommended: 64", "throughput": "recommended: 64",
                "noise_scale": "recommended batch size, 64"}  # fmt: skip
        if name in told:
            assert told[name] in labels
        else:
            assert any(label.startswith("critical batch size ") for label in labels)
        figure.draw_without_rendering()


def test_figures_are_saved(tmp_path: Path) -> None:
    files = make_report().save_figures(tmp_path / "new")
    assert [file.name for file in files] == [
        "seconds_to_target.png", "throughput.png", "tradeoff.png", "noise_scale.png"
    ]  # fmt: skip
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in files)
    (tmp_path / "file").touch()
    with pytest.raises(tg.DataError, match=r"file cannot be made: "):
        make_report().save_figures(tmp_path / "file")


def test_the_page_is_saved(tmp_path: Path) -> None:
    make_report().to_html(tmp_path / "report.html")
    written = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert written.startswith("<!DOCTYPE html>\n")
    with pytest.raises(tg.DataError, match="cannot be written"):
        make_report().to_html(tmp_path / "missing" / "report.html")


def test_without_matplotlib_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import sys

    absent: Any = None
    monkeypatch.setitem(sys.modules, "matplotlib.figure", absent)
    with pytest.raises(tg.MissingExtraError, match=r"pip install .*'typegrad\[plot\]'"):
        make_report().to_html(tmp_path / "report.html")
