"""The backward pass over a recording."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

from typegrad.errors import StateError
from typegrad.operations.base import Operation
from typegrad.operations.broadcasting import sum_to_shape

if TYPE_CHECKING:
    from typegrad.tensor.tensor import Tensor

Gradient = Any
"""An array, or a Tensor where the backward pass is recorded."""

Record = tuple[Operation, tuple[Any, ...], "tuple[Tensor | None, ...]"]
"""How a tensor was computed: the operation, its inputs' values, and its inputs as far as they
are recorded themselves."""

NEVER = 1 << 62
"""Number of a tensor that does not exist; larger than that of any that does."""

FREED: Any = "freed"
"""Stands where a record was that a backward pass has used up."""


def backpropagate(
    roots: Iterable[tuple[Tensor, Gradient]],
    *,
    stops: Collection[int] = (),
    start: int = 0,
    within: Collection[int] | None = None,
    create_graph: bool = False,
    outside: int = NEVER,
    retain_graph: bool = False,
    seen: dict[int, Gradient] | None = None,
) -> dict[int, tuple[Tensor, Gradient]]:
    """Carry gradients from `roots` back to the tensors they were computed from.

    Tensors are numbered as they are made, so an operation's inputs have smaller numbers
    than its output. Taking the largest number first, each tensor's gradient is complete when
    its turn comes. No recursion: a chain may be as long as memory allows.

    Parameters
    ----------
    roots
        Tensors, and the gradients with respect to them.
    stops
        Numbers of tensors to go no further back from.
    start
        Tensors with smaller numbers are left out.
    within
        If given, only tensors with these numbers take part.
    create_graph
        Whether the pass is recorded itself, so that it can be differentiated.
    outside
        What is recorded then: only how it depends on tensors with smaller numbers than this,
        and on the given gradients.
    retain_graph
        Whether records are kept for another pass.
    seen
        If given, it gets the gradient of every tensor on the way, by number.

    Returns
    -------
    dict
        By number: the tensors where the pass ended, and the gradients with respect to them.
    """
    tensors: dict[int, Tensor] = {}
    gradients: dict[int, Gradient] = {}
    ends: dict[int, tuple[Tensor, Gradient]] = {}
    waiting: list[int] = []  # a heap of negated numbers: its top is the newest tensor

    def add(tensor: Tensor, gradient: Gradient) -> None:
        number = tensor._number
        if number in gradients:
            gradients[number] = gradients[number] + gradient
        elif number >= start and (within is None or number in within):
            tensors[number] = tensor
            gradients[number] = gradient
            heappush(waiting, -number)

    for tensor, gradient in roots:
        add(tensor, gradient)
    while waiting:
        number = -heappop(waiting)
        tensor, gradient = tensors.pop(number), gradients.pop(number)
        if seen is not None:
            seen[number] = gradient
        record = tensor._record
        if record is None or number in stops:
            ends[number] = (tensor, gradient)
            continue
        if record is FREED:
            raise StateError(
                "backward: this recording was used up by an earlier backward; "
                "call that one with retain_graph=True"
            )
        operation, values, parents = record
        output: Any = tensor._data
        if create_graph:
            if tensor._oldest < outside:
                output = tensor
            values = tuple(
                [
                    value if parent is None or parent._oldest >= outside else parent
                    for value, parent in zip(values, parents, strict=True)
                ]
            )
        for index, parent in enumerate(parents):
            if parent is not None:
                add(parent, input_gradient(operation, index, gradient, values, output))
        if not retain_graph:
            tensor._record = FREED
    return ends


def input_gradient(
    operation: Operation, index: int, output_grad: Gradient, inputs: tuple[Any, ...], output: Any
) -> Gradient:
    """Gradient with respect to input `index`, in that input's shape and dtype.

    Other than `Operation.gradient` it lets dtypes differ, since what is recorded is
    promoted as NumPy promotes it.
    """
    gradient: Any = operation._gradient(index, output_grad, inputs, output)
    target = inputs[index]
    try:
        if gradient.shape != target.shape:
            if operation.broadcasts:
                gradient = sum_to_shape(gradient, target.shape)
            if gradient.shape != target.shape:
                # Computes it once more, to report what is wrong with it.
                return operation.gradient(index, output_grad, inputs, output)
        if gradient.dtype != target.dtype:
            gradient = gradient.astype(target.dtype)
    except AttributeError:
        return operation.gradient(index, output_grad, inputs, output)
    return gradient


def dependents(roots: Iterable[Tensor], stops: Collection[int]) -> set[int]:
    """Numbers of the tensors between `roots` and `stops`: those that depend on one of `stops`."""
    start = min(stops)
    reached: dict[int, Tensor] = {}
    stack = [root for root in roots if root._number >= start]
    while stack:
        tensor = stack.pop()
        if tensor._number in reached:
            continue
        reached[tensor._number] = tensor
        if tensor._number not in stops:
            stack.extend(parent for parent in _parents(tensor) if parent._number >= start)
    found = set(stops)
    for number in sorted(reached):
        if number in stops or any(parent._number in found for parent in _parents(reached[number])):
            found.add(number)
    return found


def _parents(tensor: Tensor) -> list[Tensor]:
    record = tensor._record
    if record is None or record is FREED:
        return []
    return [parent for parent in record[2] if parent is not None]
