"""The report as one page that stands alone: text, figures and tables in a single file."""

from __future__ import annotations

import io
import math
import re
from html import escape
from os import PathLike
from typing import TYPE_CHECKING, get_args

from typegrad.benchmark.figures import BEST, COLORS, FIGURES, INK, PALE
from typegrad.benchmark.html_style import STYLE
from typegrad.benchmark.recommendation import Objective, Recommendation, listed, number
from typegrad.benchmark.report_text import OBJECTIVES, RULES, row_cells
from typegrad.benchmark.units import duration, duration_interval, short_count
from typegrad.output_files import check_writable, write_whole
from typegrad.plotting import GRID

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from typegrad.benchmark.report import BatchSizeReport
    from typegrad.benchmark.rows import ReportRow

_HEADINGS = (
    "batch<br>size", "learning<br>rate", "µs per<br>step", "spread", "examples<br>per second",
    "of<br>peak", "memory<br>MB", "data", "for-<br>ward", "back-<br>ward", "opti-<br>mizer",
    "steps to<br>target", "examples<br>to target", "time to<br>target", "95 % interval",
    "seeds that<br>reached it", "best loss<br>in time",
)  # fmt: skip

_SVG_COLORS = {
    "#000000": "var(--ink)",
    INK: "var(--ink)",
    PALE: "var(--pale)",
    GRID: "var(--grid)",
    BEST: "var(--best)",
    **{color: f"var(--c{place})" for place, color in enumerate(COLORS)},
}
"""Colours of the figures that follow the page's."""


def write_html(report: BatchSizeReport, path: str | PathLike[str]) -> None:
    """Write the page.

    Raises
    ------
    DataError
        If the file cannot be written.
    MissingExtraError
        If matplotlib is not installed.
    """
    check_writable(path)
    write_whole(path, page(report).encode())


def page(report: BatchSizeReport) -> str:
    """Make the page."""
    parts = [
        _answer(report),
        _others(report),
        "<h2>What was measured</h2>",
        _figures(report),
        "<h2>Every number</h2>",
        *_tables(report),
        "<h2>How it was measured</h2>",
        _premises(report),
    ]
    title = re.sub(r"<[^>]*>", "", _headline(report))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(parts)
        + "\n</main>\n</body>\n</html>\n"
    )


def _headline(report: BatchSizeReport) -> str:
    best = report.recommend("time")
    if best is not None:
        return f"Take batch size {best.batch_size}"
    return "No batch size reached the target" if report.target is not None else "No answer"


def _answer(report: BatchSizeReport) -> str:
    best = report.recommend("time")
    lines = [f"<h1>{_headline(report)}</h1>"]
    if best is None:
        lines.append(f"<p>{escape(report.explain_unreached() or '')}</p>")
    else:
        lines += [f"<p>{_why(report, best)}</p>", f'<p class="quiet">{_compared(report, best)}</p>']
    for warning in (report.noise_warning, *report.notes):
        if warning is not None:
            lines.append(f'<div class="warning">{escape(warning)}</div>')
    return f'<section class="answer">{"".join(lines)}</section>'


def _why(report: BatchSizeReport, best: Recommendation) -> str:
    value = best.value
    target = number(report.target or 0.0)
    text = (
        f"It trains to a validation loss of {target} in <b>{duration(value.value)}</b> "
        f"(95&nbsp;% interval {duration_interval(value.low, value.high)})"
    )
    count = len(report.batch_sizes)
    if count == 1:
        return f"{text}; no other size was measured."
    if not best.alike:
        return f"{text}, measurably faster than the other {count - 1} sizes."
    names = listed([str(size) for size in best.alike])
    verb = "is" if len(best.alike) == 1 else "are"
    return f"{text}. Of {count} sizes, <b>{names}</b> {verb} not measurably slower or faster."


def _compared(report: BatchSizeReport, best: Recommendation) -> str:
    """How much worse the smallest and the largest size are."""
    parts = []
    for size in (report.batch_sizes[0], report.batch_sizes[-1]):
        if size == best.batch_size:
            continue
        ratio = report.compare(size, best.batch_size)
        if ratio is None:
            parts.append(f"{size} does not reach the target")
        else:
            parts.append(
                f"{size} takes {number(ratio.value)} times as long "
                f"({number(ratio.low)} to {number(ratio.high)})"
            )
    compared = f"Batch size {'; '.join(parts)}. " if parts else ""
    return (
        f"{compared}Times are those of training steps with the engine {escape(report.engines[0])}."
    )


def _others(report: BatchSizeReport) -> str:
    items = []
    for objective in get_args(Objective):
        found = report.recommend(objective)
        if found is None:
            items.append(f"<li>{OBJECTIVES[objective]}<b>none</b>not measured, or not reached</li>")
            continue
        alike = ""
        if found.alike:
            alike = f"<br>like {listed([str(size) for size in found.alike])}"
        items.append(
            f"<li>{OBJECTIVES[objective]}<b>{found.batch_size}</b>"
            f'<span class="quiet">{_amount(found)}{alike}</span></li>'
        )
    return f'<ul class="others">{"".join(items)}</ul>'


def _amount(found: Recommendation) -> str:
    if found.objective == "time":
        return duration(found.value.value)
    if found.objective == "memory":
        return f"{number(found.value.value)} MB"
    return f"{short_count(found.value.value)} {found.unit}"


def _figures(report: BatchSizeReport) -> str:
    shown = []
    captions = {
        "seconds_to_target": "<b>Time to the target.</b> Steps to the target, times the time that "
        "a step takes. Lower is better; bars are 95&nbsp;% intervals.",
        "throughput": "<b>Speed alone.</b> Larger batches use the machine better, whatever they "
        "are worth to the training.",
        "tradeoff": f"<b>Steps against examples.</b> {_tradeoff_caption(report)}",
        "noise_scale": "<b>Gradient noise scale.</b> Batches well below it waste no example; well "
        "above it, twice the batch saves hardly a step. At the upper edge, the gradient could not "
        "be told from its noise.",
    }
    for name, draw in FIGURES.items():
        svg = _svg(draw(report), name)
        shown.append(f"<figure>{svg}<figcaption>{captions[name]}</figcaption></figure>")
    return f'<div class="figures">{"".join(shown)}</div>'


def _tradeoff_caption(report: BatchSizeReport) -> str:
    fit = report.tradeoff
    if fit is None:
        return "Fewer than three sizes reached the target, so there is no curve to fit."
    text = (
        f"The critical batch size is {number(fit.critical_batch_size)} rows (95&nbsp;% interval "
        f"{number(fit.critical_low)} to {number(fit.critical_high)}): with it both are twice "
        "their least."
    )
    return " ".join([text, *(f"Note: {escape(note)}." for note in fit.notes)])


def _svg(figure: Figure, name: str) -> str:
    """Draw for the page: its colours, transparent, with identifiers of its own."""
    import matplotlib as mpl

    data = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": name}):
        figure.savefig(data, format="svg", transparent=True, metadata={"Date": None})
    svg = data.getvalue().decode()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    for color, variable in _SVG_COLORS.items():
        svg = svg.replace(color, variable)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    return svg.replace("<svg", f'<svg role="img" aria-label="{name.replace("_", " ")}"', 1)


def _tables(report: BatchSizeReport) -> list[str]:
    best = report.recommend("time")
    chosen = None if best is None else best.batch_size
    tables: list[str] = []
    for engine in report.engines:
        rows = [row for row in report.rows if row.engine == engine]
        ran = "" if rows[0].ran == engine else f" (it is {escape(rows[0].ran)})"
        heads = "".join(f"<th>{heading}</th>" for heading in _HEADINGS)
        body = "".join(_table_row(row, row.batch_size == chosen) for row in rows)
        table = (
            f'<div class="wide"><table><caption>Engine {escape(engine)}{ran}</caption>'
            f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
        )
        if tables:
            table = f"<details><summary>Engine {escape(engine)}</summary>{table}</details>"
        tables.append(table)
    return tables


def _table_row(row: ReportRow, is_best: bool) -> str:
    cells = row_cells(row, *_time_cells(row))
    marked = ' class="best"' if is_best else ""
    return f"<tr{marked}>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _time_cells(row: ReportRow) -> tuple[str, str]:
    value, low, high = row.seconds_to_target, row.seconds_to_target_low, row.seconds_to_target_high
    if value is None or low is None or high is None:
        return "not reached", "-"
    if high == math.inf:
        return duration(value), f"from {duration(low)}"
    return duration(value), duration_interval(low, high)


def _premises(report: BatchSizeReport) -> str:
    arguments, problem = report.arguments, report.problem
    how = "given" if report.target_was_given else "chosen so that most sizes reach it"
    target = "none" if report.target is None else f"validation loss {number(report.target)}, {how}"
    facts = {
        "target": target,
        "learning rate": RULES[arguments["learning_rate"]],
        "seeds": f"{len(arguments['seeds'])} for each size, up to {arguments['most_seeds']} for "
        "those that may be the fastest",
        "time budget": f"{duration(report.seconds_per_curve)} of steps for each training, "
        f"{duration(arguments['budget_seconds'])} in all",
        "rows": f"{problem['training rows']:,} for training, {problem['validation rows']:,} for "
        "validation",
        "network": f"{problem['network']}; {problem['parameters']:,} parameters",
        "optimizer": str(problem["optimizer"]),
        "peak": f"{number(report.peak_operations_per_second / 1e9)} GFLOP/s, in a matrix product",
        **{key: str(value) for key, value in report.machine.items()},
    }
    entries = "".join(
        f"<dt>{escape(key)}</dt><dd>{escape(text)}</dd>" for key, text in facts.items()
    )
    return f"<dl>{entries}</dl>"
