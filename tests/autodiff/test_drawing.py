"""draw_graph: Graphviz, Mermaid and SVG."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from typegrad.autodiff import Drawing, draw_graph
from typegrad.autodiff.layout import Graph, arranged
from typegrad.autodiff.svg import Box, draw
from typegrad.tensor import Tensor
from typegrad.types import Array

SVG = "{http://www.w3.org/2000/svg}"


def network(x: Array, w1: Array, b1: Array, w2: Array, b2: Array) -> Any:
    hidden = np.tanh(x @ w1 + b1)
    return np.mean((hidden @ w2 + b2 - 1.0) ** 2)


def drawing_of_a_network(backward: bool = False) -> Drawing:
    shapes = ((32, 8), (8, 64), (64,), (64, 1), (1,))
    return draw_graph(network, *[np.full(shape, 0.1) for shape in shapes], backward=backward)


def square(x: Array) -> Any:
    return np.sum(x * x)


def test_graphviz() -> None:
    assert draw_graph(square, np.ones(3), backward=True).dot == (
        "digraph {\n"
        "  rankdir=TB;\n"
        '  node [shape=box, fontname="sans-serif"];\n'
        '  "x" [label="x\\n(3,)", style="rounded,filled", fillcolor="#e8eef7"];\n'
        '  "v1" [label="v1 = Multiply\\n(3,)"];\n'
        '  "v2" [label="v2 = Sum\\n()"];\n'
        '  "x" -> "v1";\n'
        '  "v1" -> "v2";\n'
        '  "v1" -> "x" [label="dx (3,)", style=dashed, color="#b03a2e", constraint=false];\n'
        '  "v2" -> "v1" [label="dv1 (3,)", style=dashed, color="#b03a2e", constraint=false];\n'
        "}\n"
    )


def test_mermaid() -> None:
    assert draw_graph(square, np.ones(3), backward=True).mermaid == (
        "flowchart TB\n"
        '  n0(["x<br>(3,)"])\n'
        '  n1["v1 = Multiply<br>(3,)"]\n'
        '  n2["v2 = Sum<br>()"]\n'
        "  n0 --> n1\n"
        "  n1 --> n2\n"
        '  n1 -. "dx (3,)" .-> n0\n'
        '  n2 -. "dv1 (3,)" .-> n1\n'
    )


def test_only_forward() -> None:
    drawing = draw_graph(square, np.ones(3))
    assert "dashed" not in drawing.dot
    assert ".->" not in drawing.mermaid
    assert "dx" not in drawing.svg


def test_names_with_quotes_and_brackets() -> None:
    drawing = draw_graph(lambda tree: tree["<a>"] * tree['"b"#'], {"<a>": 1.0, '"b"#': 2.0})
    assert "\"tree['<a>']\"" in drawing.dot
    assert "tree['\\\"b\\\"#']" in drawing.dot
    assert "tree['#lt;a#gt;']" in drawing.mermaid
    assert "tree['#quot;b#quot;#35;']" in drawing.mermaid
    assert ElementTree.fromstring(drawing.svg).tag == f"{SVG}svg"


def test_numbers_and_constants_are_in_the_captions() -> None:
    dot = draw_graph(lambda x: (2.0 * x) @ np.ones((3, 2)), np.ones((4, 3))).dot
    assert 'label="v1 = Multiply, 2\\n(4, 3)"' in dot
    assert 'label="v2 = MatMul, array (3, 2)\\n(4, 2)"' in dot


def test_a_tensor() -> None:
    t = Tensor([1.0, 2.0], requires_grad=True)
    y = np.sum(t * t)
    drawing = draw_graph(y, backward=True)
    assert 'label="t1\\n(2,)"' in drawing.dot
    y.backward()
    assert t.grad is not None
    assert t.grad.tolist() == [2.0, 4.0]


def test_a_two_layer_network_as_svg() -> None:
    drawing = drawing_of_a_network(backward=True)
    root = ElementTree.fromstring(drawing.svg)
    texts = [element.text for element in root.iter(f"{SVG}text")]
    for wanted in ("x", "w1", "v1 = MatMul", "v3 = Tanh", "(32, 64)", "dw1 (8, 64)", "dv8 ()"):
        assert wanted in texts
    boxes = rectangles(root)
    assert len(boxes) == 13
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    assert width < 800
    assert height < 1200
    for left, top, right, bottom in boxes:
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
    for index, one in enumerate(boxes):
        for other in boxes[:index]:
            assert one[2] < other[0] or other[2] < one[0] or one[3] < other[1] or other[3] < one[1]
    assert drawing._repr_svg_() == drawing.svg


def rectangles(root: ElementTree.Element) -> list[tuple[float, float, float, float]]:
    found = []
    for element in root.iter(f"{SVG}rect"):
        x, y, width, height = (float(element.attrib[key]) for key in ("x", "y", "width", "height"))
        found.append((x, y, x + width, y + height))
    return found


def test_edges_end_at_their_boxes_and_pass_no_others() -> None:
    # A long edge from 0 to 4 beside the chain 0, 1, 2, 3, 4.
    edges = [(0, 1), (1, 2), (2, 3), (3, 4), (0, 4)]
    boxes = [Box((f"node {n}",)) for n in range(5)]
    root = ElementTree.fromstring(draw(Graph(5, edges), boxes))
    placed = rectangles(root)
    paths = [element.attrib["d"] for element in root.findall(f"{SVG}path")]
    assert len(paths) == 5
    for (start, end), path in zip(edges, paths, strict=True):
        numbers = [float(text) for text in re.findall(r"[\d.]+", path)]
        assert numbers[1] == pytest.approx(placed[start][3], abs=0.2)
        assert numbers[-1] == pytest.approx(placed[end][1], abs=0.2)
    passing = [float(text) for text in re.findall(r"[\d.]+", paths[-1])][:-2]
    for x, y in zip(passing[2::2], passing[3::2], strict=True):
        for left, top, right, bottom in placed[1:4]:
            assert not (left < x < right and top < y < bottom)


def test_rows_follow_from_dependence() -> None:
    layout = arranged(Graph(4, [(0, 2), (2, 3), (1, 3)]))
    rows = [[member for member in row if member < 4] for row in layout.rows]
    assert [sorted(row) for row in rows] == [[0], [1, 2], [3]]
    assert layout.ways == [[0, 2], [2, 3], [1, 3]]


def test_crossings_are_avoided() -> None:
    layout = arranged(Graph(6, [(0, 5), (1, 4), (2, 3)]))
    places = [{member: row.index(member) for member in row} for row in layout.rows]
    order = sorted(range(3), key=lambda node: places[0][node])
    partners = sorted((5, 4, 3), key=lambda node: places[1][node])
    assert [{0: 5, 1: 4, 2: 3}[node] for node in order] == partners


def test_nothing_to_draw() -> None:
    drawing = draw_graph(lambda: 3.0)
    assert drawing.svg.startswith("<svg")
    assert ElementTree.fromstring(drawing.svg).tag == f"{SVG}svg"


@pytest.mark.parametrize("name", ["graph.svg", "graph.dot", "graph.gv", "graph.mmd", "g.mermaid"])
def test_files(name: str, tmp_path: Path) -> None:
    drawing = draw_graph(square, np.ones(3))
    drawing.save(tmp_path / name)
    text = (tmp_path / name).read_text(encoding="utf-8")
    start = {".svg": "<svg", ".dot": "digraph", ".gv": "digraph"}
    assert text.startswith(start.get(Path(name).suffix, "flowchart"))


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the path ends in") as error:
        draw_graph(square, np.ones(3)).save(tmp_path / "graph.png")
    assert str(error.value) == (
        "Drawing.save: the path ends in '.png'; expected one of .svg, .dot, .gv, .mmd, .mermaid"
    )
