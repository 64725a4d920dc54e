"""Tables in Markdown, and a chart, from what `training_step.py --json FILE` wrote.

Example: python benchmarks/report.py step.json --chart docs/images/training_step.png
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from training.chart import draw_chart
from training.summary import (
    BAR_OF_A_CELL,
    COMPILED,
    PLANNED,
    Cell,
    ahead,
    describe,
    read_cells,
    summarize,
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables; draw the chart if that is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, help="written by training_step.py")
    parser.add_argument("--chart", type=Path, metavar="FILE", help="such as chart.png")
    options = parser.parse_args(arguments)
    contents = json.loads(options.file.read_text(encoding="utf-8"))
    for name, value in contents["run"].items():
        print(f"{name}: {value}")
    contests: list[dict[str, Any]] = contents["contests"]
    cells = read_cells(contests)
    for (network, optimizer), group in groupby(
        zip(cells, contests, strict=True),
        key=lambda pair: (pair[0].problem.network, pair[0].problem.optimizer),
    ):
        print(f"\n{network}, {optimizer}:\n")
        print("\n".join(_table(list(group))))
    print("\nSummary:\n")
    print("\n".join(f"- {line}" for line in describe(summarize(cells))))
    print("\n".join(_slow_cells(cells)))
    if options.chart is not None:
        draw_chart(cells, options.chart)


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
    """Where the compiled engine is not far ahead, and what the machine's speeds would allow."""
    header = [
        "cell", "fastest of the others", "its time / compiled", "compiled, µs", "bound, µs",
        "compiled / bound", "the other / bound",
    ]  # fmt: skip
    lines = ["", _line(header), _line(["---", "---", *["---:"] * 5])]
    for cell in cells:
        if COMPILED not in cell.seconds or not cell.peers or ahead(cell) >= BAR_OF_A_CELL:
            continue
        peer = cell.fastest_peer()
        lines.append(
            _line(
                [
                    cell.name,
                    peer,
                    f"{ahead(cell):.2f}",
                    _microseconds(cell.median(COMPILED)),
                    _microseconds(cell.bound),
                    f"{cell.median(COMPILED) / cell.bound:.1f}",
                    f"{cell.median(peer) / cell.bound:.1f}",
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
