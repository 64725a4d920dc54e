"""The order of a plan's calls: derivatives are computed early where less is to be kept then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

from typegrad.engines.planned_runs import Run, belong_together, split_into_runs
from typegrad.tracing import Call, Graph, Leaf
from typegrad.tracing.graph import operands


def with_early_derivatives(graph: Graph) -> Graph:
    """Move element-wise calls up to the long run that makes what they read, if that pays.

    It does where fewer arrays are kept: GELU's derivative, one array, needs the input and the
    distribution function. These need not go to memory and come back, nor be there all the time.
    """
    readers = _readers_of(graph)
    moved: set[int] = set()
    calls: list[Call] = []
    for run in split_into_runs(graph):
        own = [call for call in run.calls if id(call) not in moved]
        calls += own
        if own and Run(0, own).is_long:
            later = graph.calls[run.start + len(run.calls) :]
            early = _early(own, [call for call in later if id(call) not in moved], readers)
            calls += early
            moved.update(map(id, early))
    return Graph(calls, graph.outputs, graph.updates)


def _early(
    run: Sequence[Call], later: Sequence[Call], readers: Mapping[int, Set[int]]
) -> Sequence[Call]:
    """Return the later calls to carry out with a run: all that can be, or none."""
    found: list[Call] = []
    known = set(map(id, run))
    for call in later:
        read = [node for node in operands(call) if not isinstance(node, Leaf)]
        if read and belong_together(run[0], call) and all(id(node) in known for node in read):
            found.append(call)
            known.add(id(call))
    kept_before = _read_by_others(run, set(map(id, run)), readers)
    return found if len(_read_by_others([*run, *found], known, readers)) < len(kept_before) else []


def _read_by_others(
    calls: Sequence[Call], own: Set[int], readers: Mapping[int, Set[int]]
) -> list[Call]:
    """Return the calls whose results others than these read."""
    return [call for call in calls if not readers[id(call)] <= own]


def _readers_of(graph: Graph) -> dict[int, set[int]]:
    """Ids of the calls that read each call; what is an output or an update is read by 0."""
    readers: dict[int, set[int]] = {id(call): set() for call in graph.calls}
    for call in graph.calls:
        for node in operands(call):
            readers.setdefault(id(node), set()).add(id(call))
    for node in [*graph.outputs.values(), *(node for _, node in graph.updates)]:
        readers.setdefault(id(node), set()).add(0)
    return readers
