"""The meaning of a graph: what any engine must compute, said in the plainest way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from typegrad.tracing.graph import Graph, Leaf, substitute
from typegrad.tracing.scalar import Number, Values
from typegrad.types import AnyArray


def evaluate(
    graph: Graph, inputs: Mapping[str, AnyArray], scalars: Mapping[str, Number] | None = None
) -> dict[str, AnyArray]:
    """Run a graph call by call; return its outputs, and leave its updates in the states.

    Parameters
    ----------
    graph
        What to run.
    inputs
        An array for each input leaf, by name.
    scalars
        The numbers that scalar leaves are computed from, by name.
    """
    numbers: Values = dict(scalars or {})
    values: dict[int, Any] = {id(leaf): _leaf_value(leaf, inputs, numbers)
                              for leaf in graph.leaves()}  # fmt: skip
    for call in graph.calls:
        arguments = [substitute(argument, lambda node: values[id(node)])
                     for argument in call.arguments]  # fmt: skip
        result = call.function(*arguments, **call.keywords)
        if call.results:
            parts = result if isinstance(result, tuple) else (result,)
            values.update(
                (id(leaf), np.asarray(part)) for leaf, part in zip(call.results, parts, strict=True)
            )
        elif not call.effect:
            values[id(call)] = np.asarray(result)
    _write_updates(graph, values)
    return {name: values[id(node)] for name, node in graph.outputs.items()}


def _leaf_value(leaf: Leaf, inputs: Mapping[str, AnyArray], numbers: Values) -> Any:
    if leaf.kind == "input":
        return inputs[leaf.name]
    if leaf.scalar is not None:
        return leaf.scalar.evaluate(numbers)
    return leaf.array


def _write_updates(graph: Graph, values: Mapping[int, Any]) -> None:
    # Copies: a new value may lie in the memory of another state.
    new = [(leaf.array, values[id(node)].copy()) for leaf, node in graph.updates]
    for array, value in new:
        assert array is not None  # states have memory
        array[...] = value
