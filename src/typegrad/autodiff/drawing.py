"""Computations as diagrams: Graphviz, Mermaid and SVG."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typegrad.autodiff.layout import Graph
from typegrad.autodiff.svg import Box, draw
from typegrad.autodiff.tracing import Computation, Step, trace, trace_of
from typegrad.tensor.tensor import Tensor


@dataclass(frozen=True, eq=False)
class Drawing:
    """A diagram of a computation, in three languages; notebooks show it as SVG.

    Attributes
    ----------
    dot, mermaid, svg : str
        Text for Graphviz, for Mermaid (which many pages in Markdown draw), and a picture that
        needs neither.
    """

    trace: Computation
    backward: bool

    @property
    def dot(self) -> str:
        """Text in Graphviz' language."""
        lines = ["digraph {", "  rankdir=TB;", '  node [shape=box, fontname="sans-serif"];']
        for step in self.trace.steps:
            style = "" if step.operation else ', style="rounded,filled", fillcolor="#e8eef7"'
            label = "\\n".join(_escaped(line) for line in caption(step))
            lines.append(f'  {_quoted(step.name)} [label="{label}"{style}];')
        for step, user in self._edges():
            lines.append(f"  {_quoted(step.name)} -> {_quoted(user.name)};")
        if self.backward:
            for step, user in self._edges():
                if step.gradient is not None and user.gradient is not None:
                    label = _escaped(gradient_caption(step))
                    lines.append(
                        f"  {_quoted(user.name)} -> {_quoted(step.name)} "
                        f'[label="{label}", style=dashed, color="#b03a2e", constraint=false];'
                    )
        return "\n".join([*lines, "}"]) + "\n"

    @property
    def mermaid(self) -> str:
        """Text in Mermaid's language."""
        ids = {step.name: f"n{index}" for index, step in enumerate(self.trace.steps)}
        lines = ["flowchart TB"]
        for step in self.trace.steps:
            label = "<br>".join(_entities(line) for line in caption(step))
            left, right = ("[", "]") if step.operation else ("([", "])")
            lines.append(f'  {ids[step.name]}{left}"{label}"{right}')
        for step, user in self._edges():
            lines.append(f"  {ids[step.name]} --> {ids[user.name]}")
        if self.backward:
            for step, user in self._edges():
                if step.gradient is not None and user.gradient is not None:
                    label = _entities(gradient_caption(step))
                    lines.append(f'  {ids[user.name]} -. "{label}" .-> {ids[step.name]}')
        return "\n".join(lines) + "\n"

    @property
    def svg(self) -> str:
        """A picture."""
        steps = self.trace.steps
        place = {step.name: index for index, step in enumerate(steps)}
        edges = [(place[step.name], place[user.name]) for step, user in self._edges()]
        boxes = [
            Box(
                caption(step),
                gradient_caption(step) if self.backward and step.gradient is not None else "",
                not step.operation,
            )
            for step in steps
        ]
        return draw(Graph(len(steps), edges), boxes)

    def save(self, path: str | Path) -> None:
        """Write a file, in the language of its ending: .svg, .dot, .gv, .mmd or .mermaid.

        Raises
        ------
        ValueError
            If the ending is another.
        """
        target = Path(path)
        texts = {
            ".svg": lambda: self.svg,
            ".dot": lambda: self.dot,
            ".gv": lambda: self.dot,
            ".mmd": lambda: self.mermaid,
            ".mermaid": lambda: self.mermaid,
        }
        if target.suffix not in texts:
            raise ValueError(
                f"Drawing.save: the path ends in {target.suffix!r}; expected one of "
                f"{', '.join(texts)}"
            )
        target.write_text(texts[target.suffix](), encoding="utf-8")

    def _repr_svg_(self) -> str:
        return self.svg

    def _edges(self) -> list[tuple[Step, Step]]:
        """Pairs of a step and one that uses its result."""
        return [
            (step, user)
            for step in self.trace.steps
            for user in dict.fromkeys(self.trace.users(step.name))
        ]


def draw_graph(f: Callable[..., Any] | Tensor, *args: Any, backward: bool = False) -> Drawing:
    """Draw the steps of a computation.

    Parameters
    ----------
    f
        Function, which is called as `trace` calls it; or a tensor, whose own recording is
        drawn.
    *args
        Arguments of the function.
    backward
        Whether to draw the gradients too, against the arrows.

    Returns
    -------
    Drawing
        With texts ``dot``, ``mermaid`` and ``svg``, and ``save(path)``.

    Examples
    --------
    >>> import numpy as np
    >>> print(draw_graph(lambda x: np.sum(x**2), np.ones(3)).mermaid)
    flowchart TB
      n0(["x<br>(3,)"])
      n1["v1 = ConstantPower, exponent=2<br>(3,)"]
      n2["v2 = Sum<br>()"]
      n0 --> n1
      n1 --> n2
    <BLANKLINE>
    """
    if isinstance(f, Tensor):
        return Drawing(trace_of(f), backward)
    return Drawing(trace(f, *args), backward)


def caption(step: Step) -> tuple[str, ...]:
    """Lines of text inside a step's box."""
    shape = str(step.shape)
    if not step.operation:
        return step.name, shape
    names = {operand for operand in step.inputs if operand.startswith("array")}
    numbers = [operand for operand in step.inputs if _is_number(operand)]
    name, _, options = step.operation.partition("(")
    details = [*numbers, *sorted(names), *([options[:-1]] if options[:-1] else [])]
    return f"{step.name} = {', '.join([name, *details])}", shape


def gradient_caption(step: Step) -> str:
    """Text of a gradient."""
    return f"d{step.name} {step.shape}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _entities(text: str) -> str:
    """Text without the characters that mean something to Mermaid."""
    for character, entity in (("#", "#35;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;")):
        text = text.replace(character, entity)
    return text
