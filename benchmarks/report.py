r"""Tables in Markdown, and a chart, from what `training_step.py --json FILE` wrote.

Example: python benchmarks/report.py step.json --into docs/performance.md \
    --chart docs/images/training_step.png
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from training.chart import draw_chart
from training.summary import (
    BAR_OF_A_CELL,
    BAR_OF_PLANNED,
    COMPILED,
    OWN,
    PLANNED,
    PYTORCH_EAGER,
    SMALL_BATCH,
    Cell,
    ahead,
    describe,
    read_cells,
    summarize,
)

BEGIN, END = "<!-- training_step.py: begin -->", "<!-- training_step.py: end -->"
"""Lines of a document between which tables and chart go."""

CAPTION = "Time of a training step of each library relative to the compiled engine's, by batch size"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables, or put them into a document; draw the chart if that is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, help="written by training_step.py")
    parser.add_argument("--chart", type=Path, metavar="FILE", help="such as chart.png")
    parser.add_argument(
        "--into", type=Path, metavar="FILE", help=f"put the tables between {BEGIN} and {END}"
    )
    options = parser.parse_args(arguments)
    contents = json.loads(options.file.read_text(encoding="utf-8"))
    cells = read_cells(contents["contests"])
    text = "\n".join(_report(contents, cells))
    if options.chart is not None:
        draw_chart(cells, options.chart)
    if options.into is None:
        print(text)
    else:
        document = options.into.read_text(encoding="utf-8")
        before, begin, rest = document.partition(BEGIN)
        _, end, after = rest.partition(END)
        if not (begin and end):
            parser.error(f"{options.into} needs the lines {BEGIN} and {END}")
        picture = ""
        if options.chart is not None:
            place = Path(os.path.relpath(options.chart, options.into.parent)).as_posix()
            picture = f"\n![{CAPTION}]({place})\n"
        whole = f"{before}{BEGIN}\n{picture}{text}\n{END}{after}"
        options.into.write_text(whole, encoding="utf-8")


def _report(contents: Mapping[str, Any], cells: Sequence[Cell]) -> list[str]:
    """Return machine and summary, cells that fall short, and a table for each network."""
    lines = ["", *(f"- {name}: {value}" for name, value in contents["run"].items()), ""]
    for line in describe(summarize(cells)):
        text = line.lstrip()
        lines.append(f"{' ' * (len(line) - len(text))}- {text}")
    lines += _slow_cells(cells)
    pairs = zip(cells, contents["contests"], strict=True)
    for (network, optimizer), group in groupby(
        pairs, key=lambda pair: (pair[0].problem.network, pair[0].problem.optimizer)
    ):
        lines += ["", f"{network}, {optimizer}:", "", *_table(list(group))]
    return [*lines, ""]


def _table(group: Sequence[tuple[Cell, dict[str, Any]]]) -> list[str]:
    """One network with one optimizer: microseconds a step, the fastest in bold."""
    cells = [cell for cell, _ in group]
    sizes = [f"batch {cell.problem.batch_size}" for cell in cells]
    lines = [
        _line(["", *sizes, "loss differs by", "peak MB"]),
        _line(["---", *["---:"] * (len(cells) + 2)]),
    ]
    fastest = [min(cell.seconds, key=cell.median) for cell in cells]
    names = dict.fromkeys(name for cell in cells for name in cell.seconds)
    for name in names:
        times = []
        for cell, best in zip(cells, fastest, strict=True):
            time = _microseconds(cell.median(name)) if name in cell.seconds else "-"
            times.append(f"**{time}**" if name == best else time)
        results = [each for _, contest in group for each in contest["results"]]
        own = [each for each in results if each["name"] == name]
        difference = max(each["loss_difference"] for each in own)
        peak = max(each["peak_megabytes"] for each in own)
        lines.append(_line([name, *times, f"{difference:.0e}", f"{peak:.0f}"]))
    if all(COMPILED in cell.seconds and cell.peers for cell in cells):
        ratios = [f"{ahead(cell):.2f}" for cell in cells]
        lines.append(_line(["fastest of the others / compiled", *ratios, "", ""]))
    for name in (COMPILED, PLANNED):
        if name in names:
            shares = [f"{100 * cell.share_of_peak(name):.0f} %" for cell in cells]
            label = f"{name.removeprefix('typegrad ')}, share of peak"
            lines.append(_line([label, *shares, "", ""]))
    return lines


def _slow_cells(cells: Sequence[Cell]) -> list[str]:
    """Where typegrad's engines are not far ahead, and what the machine's speeds would allow."""
    compiled = [
        (cell, cell.fastest_peer()) for cell in cells if COMPILED in cell.seconds and cell.peers
    ]
    planned = [
        (cell, PYTORCH_EAGER)
        for cell in cells
        if {PLANNED, PYTORCH_EAGER} <= cell.seconds.keys()
        and cell.problem.batch_size <= SMALL_BATCH
    ]
    return [*_short_of(_OF_A_CELL, compiled), *_short_of(_OF_PLANNED, planned)]


class _Bar(NamedTuple):
    """How far ahead an engine should be, and what its time is judged by where it is not."""

    ratio: float
    engine: str
    other: str
    bound: str
    bound_in_words: str
    bound_of: Callable[[Cell], float]


_OF_A_CELL = _Bar(
    BAR_OF_A_CELL,
    COMPILED,
    "the fastest other's time",
    "bound",
    "the machine's speeds allow",
    lambda cell: cell.bound,
)
_OF_PLANNED = _Bar(
    BAR_OF_PLANNED,
    PLANNED,
    f"PyTorch's time, up to batch {SMALL_BATCH},",
    "NumPy's calls",
    "NumPy's products and passes over parameters take alone",
    lambda cell: cell.numpy_bound,
)


def _short_of(bar: _Bar, contests: Iterable[tuple[Cell, str]]) -> list[str]:
    """Return a table of the cells in which another is not so many times slower than an engine."""
    engine, bound = bar.engine, bar.bound
    slow = [(cell, peer) for cell, peer in contests if cell.ratio(peer, engine) < bar.ratio]
    if not slow:
        return []
    name = engine.removeprefix(OWN)
    header = [
        "cell", "other", f"other / {name}", f"{name}, µs", f"{bound}, µs", f"{name} / {bound}",
        f"other / {bound}",
    ]  # fmt: skip
    text = (
        f"Where {bar.other} is less than {bar.ratio:g} times {name}, and what {bar.bound_in_words}:"
    )
    lines = ["", text, "", _line(header), _line(["---", "---", *["---:"] * 5])]
    for cell, peer in slow:
        least = bar.bound_of(cell)
        lines.append(
            _line(
                [
                    cell.name,
                    peer,
                    f"{cell.ratio(peer, engine):.2f}",
                    _microseconds(cell.median(engine)),
                    _microseconds(least),
                    f"{cell.median(engine) / least:.1f}",
                    f"{cell.median(peer) / least:.1f}",
                ]
            )
        )
    return lines


def _line(texts: Iterable[str]) -> str:
    return f"| {' | '.join(texts)} |".replace("|  |", "| |").replace("|  |", "| |")


def _microseconds(seconds: float) -> str:
    value = 1e6 * seconds
    return f"{value:.1f}" if value < 9.95 else f"{value:.0f}"


if __name__ == "__main__":
    main()
