"""Tracing a step for batches of any size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

from typegrad.engines.base import TrainingData
from typegrad.engines.compiled.branches import split_branches
from typegrad.engines.compiled.graph_facts import NotNativeError, known_number, name_of
from typegrad.engines.planned_step import RunMode, StepTracer
from typegrad.layers import Buffer, Layer, named_parts
from typegrad.tracing import Call, Graph, Leaf, Node, Scalar
from typegrad.tracing.graph import operands
from typegrad.tracing.primitives import Opaque
from typegrad.types import Shape

if TYPE_CHECKING:
    from typegrad.network import NeuralNetwork

FEWEST_TRACED = 5
_TRIED = (FEWEST_TRACED, 61, 1009)
"""Numbers of examples that are tried, or the next that nothing else has as a length.

They lie apart for formulas that differ between few examples and many, and they are three since
one may happen to be the length of a result.
"""

_COUNTS: tuple[Callable[[Any], Any], ...] = (
    lambda examples: examples,
    lambda examples: examples - 1.0,
    lambda examples: 1.0 / examples,
    lambda examples: 1.0 / (examples - 1.0),
    lambda examples: examples / (examples - 1.0),
)
"""Formulas of the number of examples that are known by their values."""

_OF_SHAPES = frozenset({"reshape", "fill", "zero_gradient", "broadcast_to", "uniform"})
"""Functions whose integers are lengths of axes."""

_TURNED = frozenset({"swapaxes", "transpose"})


@dataclass(frozen=True)
class TracedStep:
    """A step's graph.

    Attributes
    ----------
    graph
        What it computes.
    branches
        The conditions that it branched on; see `split_branches`.
    batch
        The number of examples, which no array has as another length.
    current
        Where layers that run as they are written look for the mode of a step.
    """

    graph: Graph
    branches: Graph
    batch: int
    current: RunMode


def trace_step(network: NeuralNetwork, data: TrainingData, tracer: StepTracer) -> TracedStep:
    """Trace a step on a number of examples that can be told from all other lengths.

    Raises
    ------
    TraceError, NotNativeError
        If it cannot be traced, or if the formulas use the number of examples; says where.
    """

    def trace(batch: int) -> Graph:
        some = data.take(np.arange(batch) % len(data))
        example = replace(some, weights=np.ones(batch, network.dtype))
        graph = tracer.trace(example, 1, True)
        _refuse_opaque(tracer, _has_buffers)
        return graph

    lengths = (*data.inputs.shape[1:], *data.targets.shape[1:])
    clear = _trace_for_any(network, lengths, tracer, trace)
    _find_counts(clear)
    return _agreed(clear)


def trace_forward(
    network: NeuralNetwork, row: Shape, finish: Callable[[Any], Any], tracer: StepTracer
) -> TracedStep:
    """Trace a forward pass on rows of a shape; the graph's output is called ``outputs``.

    Raises
    ------
    TraceError, NotNativeError
        As for `trace_step`.
    """

    def trace(batch: int) -> Graph:
        graph = tracer.trace_forward(np.zeros((batch, *row), network.dtype), finish)
        _refuse_opaque(tracer, _is_any)
        return graph

    return _agreed(_trace_for_any(network, row, tracer, trace))


def _refuse_opaque(tracer: StepTracer, is_refused: Callable[[object], bool]) -> None:
    """Refuse what could not be traced, if it is of a kind."""
    for culprit, reason in tracer.reasons.values():
        if is_refused(culprit):
            raise NotNativeError(f"{culprit} ({reason})")


def _has_buffers(culprit: object) -> bool:
    """Whether it has a state, which a step that fails would leave changed."""
    return isinstance(culprit, Layer) and any(named_parts(culprit, Buffer))


def _is_any(culprit: object) -> bool:
    return True


def _trace_for_any(
    network: NeuralNetwork, lengths: Shape, tracer: StepTracer, trace: Callable[[int], Graph]
) -> list[TracedStep]:
    """Trace with several numbers of examples."""
    traced = []
    for batch in _unused_lengths(network, lengths):
        graph = trace(batch)
        graph, branches = split_branches(graph)
        traced.append(TracedStep(graph, branches, batch, tracer.current))
        tracer.repeats = 1
    unclear = [_unclear_node(step) for step in traced]
    clear = [step for step, node in zip(traced, unclear, strict=True) if node is None]
    if len(clear) < 2:
        culprit = next(node for node in unclear if node is not None)
        origin = culprit.origin if isinstance(culprit, Call) else None
        raise NotNativeError("arrays whose columns are examples", origin)
    return clear


def _agreed(clear: list[TracedStep]) -> TracedStep:
    """Return one of them, as nothing depends on the number of examples."""
    for other in clear[1:]:
        difference = _first_difference(clear[0], other)
        if difference is not None:
            raise NotNativeError(
                f"{difference.text}, which uses the number of examples", difference.origin
            )
    return clear[0]


def _unused_lengths(network: NeuralNetwork, lengths: Shape) -> Iterator[int]:
    """Give numbers that no parameter and no input has as a length."""
    taken = {length for parameter in network.parameters.values() for length in parameter.shape}
    taken |= set(lengths)
    for start in _TRIED:
        yield next(number for number in count(start) if number not in taken)


def _unclear_node(step: TracedStep) -> Node | None:
    """Return what has the number of examples as the length of another axis than the first."""
    results = [leaf for call in step.graph.calls for leaf in call.results]
    nodes: list[Node] = [*step.graph.leaves(), *step.graph.calls, *results]
    for node in nodes:
        is_turned = isinstance(node, Call) and name_of(node) in _TURNED
        if step.batch in node.shape[1:] and not is_turned:
            return node
    return None


def _find_counts(traced: list[TracedStep]) -> None:
    """Put formulas of the number of examples where numbers differ that follow one of them."""
    if len({len(step.graph.calls) for step in traced}) > 1:
        return
    for twins in zip(*(step.graph.calls for step in traced), strict=True):
        if name_of(twins[0]) in _OF_SHAPES or len({len(call.arguments) for call in twins}) > 1:
            continue
        for place in range(len(twins[0].arguments)):
            numbers = [known_number(call.arguments[place]) for call in twins]
            formula = _formula_of(numbers, [step.batch for step in traced])
            if formula is None:
                continue
            count: Any = formula(Scalar.named("examples", traced[0].batch))
            for call in twins:
                leaf = Leaf((), call.dtype, (), "scalar", str(count), scalar=count)
                arguments = call.arguments
                call.arguments = (*arguments[:place], leaf, *arguments[place + 1 :])


def _formula_of(numbers: list[float | None], counts: list[int]) -> Callable[[Any], Any] | None:
    """Return the formula that gives these numbers, which differ, for these numbers of examples."""
    if None in numbers or len(set(numbers)) == 1:
        return None
    for formula in _COUNTS:
        if [formula(count) for count in counts] == numbers:
            return formula
    return None


@dataclass(frozen=True)
class _Difference:
    """Where two graphs differ."""

    text: str
    origin: object = None


def _first_difference(one: TracedStep, other: TracedStep) -> _Difference | None:
    """Say what differs between two numbers of examples, besides the lengths of axes."""
    numbers: dict[int, int] = {}
    if len(one.graph.calls) != len(other.graph.calls):
        return _Difference("the network")
    for call, twin in zip(one.graph.calls, other.graph.calls, strict=True):
        for node, same in zip((call, *call.results), (twin, *twin.results), strict=True):
            numbers[id(node)] = numbers[id(same)] = len(numbers)
        left, right = (
            _key(each, numbers, step.batch) for each, step in ((call, one), (twin, other))
        )
        if left != right:
            return _Difference(f"{name_of(call)} in {call.origin}", call.origin)
    return None


def _key(call: Call, numbers: dict[int, int], batch: int) -> Any:
    """Return what is equal for calls that do the same."""
    with_lengths = name_of(call) in _OF_SHAPES

    def of(argument: Any) -> Any:
        if isinstance(argument, Leaf) and argument.kind != "result":
            return (argument.kind, argument.name, _content(argument))
        if isinstance(argument, Node):
            return numbers[id(argument)]
        if isinstance(argument, tuple):
            return tuple(map(of, argument))
        if with_lengths and type(argument) is int and argument == batch:
            return "examples"
        return repr(argument)

    # Names of opaque parts that count something change.
    name = id(call.origin) if isinstance(call.function, Opaque) else name_of(call)
    return name, of(call.arguments), repr(call.keywords), len(list(operands(call)))


def _content(leaf: Leaf) -> bytes | None:
    """Return the numbers of a constant; those of one that is all the same, once."""
    if leaf.kind not in ("constant", "literal") or leaf.array is None:
        return None
    array = leaf.array
    is_uniform = array.size > 0 and bool((array == array.flat[0]).all())
    return array.reshape(-1)[:1].tobytes() if is_uniform else array.tobytes()
