"""A picture of a graph whose nodes are boxes with text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from typegrad.autodiff.layout import Graph, Layout, arranged

CHARACTER = 7.6
"""Width of a character, in pixels; that of text in 13 pixels, if it is not mostly W."""
LINE, PADDING, GAP, ROW_GAP, MARGIN = 18.0, 10.0, 24.0, 44.0, 12.0
PASSAGE = 12.0
"""Width that is kept free for an edge that passes through a row."""

Point = tuple[float, float]

BESIDE = 9.0
"""How far the way back of a gradient is from the way forward."""

INK, RED = "#566573", "#b03a2e"
_STYLE = (
    "text{font:13px sans-serif;text-anchor:middle;fill:#1b2631}"
    f"text.gradient{{fill:{RED}}}"
    f"rect{{fill:#fff;stroke:{INK}}}rect.input{{fill:#e8eef7}}"
    f"path{{fill:none;stroke:{INK}}}path.gradient{{stroke:{RED};stroke-dasharray:4 3}}"
)


@dataclass(frozen=True)
class Box:
    """A node: lines of text, a last line about its gradient or none, and whether it is an input."""

    lines: tuple[str, ...]
    gradient: str = ""
    is_input: bool = False

    @property
    def texts(self) -> list[str]:
        """All lines."""
        return [*self.lines, *([self.gradient] if self.gradient else [])]

    @property
    def width(self) -> float:
        """Pixels from left to right."""
        return CHARACTER * max(map(len, self.texts)) + 2 * PADDING

    @property
    def height(self) -> float:
        """Pixels from top to bottom."""
        return LINE * len(self.texts) + PADDING


def draw(graph: Graph, boxes: Sequence[Box]) -> str:
    """Draw the graph from top to bottom; where both ends of an edge have gradients, both ways."""
    layout = arranged(graph)
    centres, row_heights = _places(layout, boxes)
    right = max((centres[n][0] + box.width / 2 for n, box in enumerate(boxes)), default=0.0)
    bottom = max((centres[n][1] + box.height / 2 for n, box in enumerate(boxes)), default=0.0)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{right + MARGIN:.0f}" '
        f'height="{bottom + MARGIN:.0f}" role="img">',
        f"<style>{_STYLE}</style>",
        f"<defs>{_marker('forward', INK)}{_marker('backward', RED)}</defs>",
    ]
    for way in layout.ways:
        start, end = boxes[way[0]], boxes[way[-1]]
        points: list[Point] = []
        for member in way:
            x, y = centres[member]
            # Straight through a row that it passes, so that it does not touch boxes there.
            half = (boxes[member].height if member < len(boxes) else row_heights[member]) / 2
            points += [(x, y - half), (x, y + half)]
        points = points[1:-1]
        parts.append(f'<path d="{_curve(points)}" marker-end="url(#forward)"/>')
        if start.gradient and end.gradient:
            back = [(x + BESIDE, y) for x, y in reversed(points)]
            parts.append(f'<path class="gradient" d="{_curve(back)}" marker-end="url(#backward)"/>')
    for node, box in enumerate(boxes):
        parts += _drawn(box, centres[node])
    return "\n".join([*parts, "</svg>"]) + "\n"


def _marker(name: str, colour: str) -> str:
    return (
        f'<marker id="{name}" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" '
        f'markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z" '
        f'style="fill:{colour};stroke:none"/></marker>'
    )


def _places(layout: Layout, boxes: Sequence[Box]) -> tuple[dict[int, Point], dict[int, float]]:
    """Middle of each member and height of its row; rows have their middles in one line."""

    def width(member: int) -> float:
        return boxes[member].width if member < len(boxes) else PASSAGE

    lengths = [sum(map(width, row)) + GAP * (len(row) - 1) for row in layout.rows]
    middle = max(lengths, default=0.0) / 2 + MARGIN
    centres: dict[int, Point] = {}
    row_heights: dict[int, float] = {}
    top = MARGIN
    for row, length in zip(layout.rows, lengths, strict=True):
        height = max(boxes[member].height for member in row if member < len(boxes))
        left = middle - length / 2
        for member in row:
            centres[member] = (left + width(member) / 2, top + height / 2)
            row_heights[member] = height
            left += width(member) + GAP
        top += height + ROW_GAP
    return centres, row_heights


def _curve(points: Sequence[Point]) -> str:
    """Smooth line through the points, vertical in each."""
    x, y = points[0]
    path = f"M{x:.1f} {y:.1f}"
    for next_x, next_y in points[1:]:
        half = (y + next_y) / 2
        path += f"C{x:.1f} {half:.1f} {next_x:.1f} {half:.1f} {next_x:.1f} {next_y:.1f}"
        x, y = next_x, next_y
    return path


def _drawn(box: Box, centre: Point) -> list[str]:
    x, y = centre
    kind, corner = (' class="input"', 10) if box.is_input else ("", 2)
    top = y - box.height / 2
    parts = [
        f'<rect{kind} x="{x - box.width / 2:.1f}" y="{top:.1f}" width="{box.width:.1f}" '
        f'height="{box.height:.1f}" rx="{corner}"/>'
    ]
    for index, line in enumerate(box.texts):
        colour = "" if index < len(box.lines) else ' class="gradient"'
        baseline = top + PADDING / 2 + (index + 0.75) * LINE
        parts.append(f'<text{colour} x="{x:.1f}" y="{baseline:.1f}">{escape(line)}</text>')
    return parts
