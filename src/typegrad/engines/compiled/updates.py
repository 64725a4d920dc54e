"""From an optimizer's traced update to one chain over flat vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from typegrad.engines.compiled.chain import SCALAR, VECTOR, Chain, ChainBuilder, Term
from typegrad.engines.compiled.graph_facts import NotNativeError, known_number, name_of
from typegrad.engines.compiled.handlers import elementwise_function
from typegrad.engines.compiled.layout import FlatVectors
from typegrad.engines.compiled.program import (
    ABSOLUTE,
    BLOCK,
    SCALARS,
    TILE_SPAN,
    UNPLACED,
    Instruction,
    Operand,
)
from typegrad.tracing import Call, Graph, Leaf, Scalar


@dataclass(frozen=True)
class Clipping:
    """How the gradient is clipped before the update.

    Attributes
    ----------
    factor
        Where a thread has what the gradient is multiplied by; None without a largest norm.
    limit
        Largest size of an element; None for any.
    """

    factor: Operand | None
    limit: float | None


_COLUMN = Operand(UNPLACED, 1)
"""The second factor of an outer product."""


@dataclass(frozen=True)
class LoweredUpdate:
    """An update as a chain, and the numbers that it needs for each step.

    Attributes
    ----------
    operands
        Of the chain: what it writes, then what it reads.
    gradient_sources
        Those of them that the gradient is read from.
    kept
        The arrays that operands name by address.
    """

    chain: Chain
    operands: tuple[Operand, ...]
    gradient_sources: tuple[Operand, ...]
    scalars: tuple[Scalar, ...]
    kept: tuple[Any, ...]

    def instruction(self, function: int) -> Instruction:
        """Return the call of the chain's function, on as many floats as the frame says."""
        return Instruction(function, TILE_SPAN, 1, self.operands)

    def instruction_for(
        self, function: int, start: int, shape: tuple[int, int], gradient: Sequence[Operand]
    ) -> Instruction:
        """Return the call on some parameters.

        Parameters
        ----------
        start
            Where they begin in the flat vectors, in bytes.
        shape
            Their rows, which follow one another, and the floats of each.
        gradient
            Where their gradient is read from.
        """
        rows, columns = shape
        known = dict(zip(self.gradient_sources, gradient, strict=True))
        operands = [
            Operand(ABSOLUTE, operand.offset + start, columns)
            if operand.space == BLOCK and operand not in known
            else known.get(operand, operand)
            for operand in self.operands
        ]
        return Instruction(function, rows, columns, tuple(operands))


def lower_update(
    graph: Graph,
    vectors: FlatVectors,
    clipping: Clipping,
    *,
    is_outer: bool = False,
) -> LoweredUpdate:
    """Turn the graph of an update into a chain, which checks gradient and new values.

    Parameters
    ----------
    graph
        From `trace_update`, on padded vectors.
    vectors
        Parameters, gradient, and the optimizer's state.
    clipping
        What happens to the gradient first.
    is_outer
        Whether the gradient is not read but computed, as the outer product of a row and a column.

    Raises
    ------
    NotNativeError
        Naming what there is no kernel for.
    """
    gradient, dtype = vectors.grads.array, vectors.grads.array.dtype
    leaves = [leaf for leaf in graph.leaves() if known_number(leaf) is None]
    inputs = [_operand(leaf, leaves, dtype) for leaf in leaves]
    forms = [SCALAR if operand.space == SCALARS else VECTOR for operand in inputs]
    if clipping.factor is not None:
        inputs.append(clipping.factor)
        forms.append(SCALAR)
    if is_outer:
        inputs.append(_COLUMN)
        forms.append(SCALAR)
    builder = ChainBuilder(forms)
    terms: dict[int, Term] = {id(leaf): number for number, leaf in enumerate(leaves)}
    outputs: list[tuple[Operand, Term]] = []
    checked: list[int] = []
    for number, leaf in enumerate(leaves):
        if leaf.array is gradient:
            whole = builder.link("outer", len(inputs) - 1, number) if is_outer else number
            checked.append(whole)
            clipped = _clip(builder, whole, len(leaves), clipping)
            terms[id(leaf)] = clipped
            if clipped != number and not is_outer:
                outputs.append((inputs[number], clipped))
    for call in graph.calls:
        terms[id(call)] = _link(builder, call, terms)
    for leaf, node in graph.updates:
        outputs.append((_operand(leaf, leaves, dtype), terms[id(node)]))
    written = [_written(builder, term) for _, term in outputs]
    is_values = [leaf.array is vectors.values.array for leaf, _ in graph.updates]
    checked += [
        n for n, is_new in zip(written[-len(is_values) :], is_values, strict=True) if is_new
    ]
    operands = (*[operand for operand, _ in outputs], *inputs)
    scalars = tuple(leaf.scalar for leaf in leaves if leaf.scalar is not None)
    kept = tuple(leaf.array for leaf in leaves)
    chain = builder.finish(written, checked)
    row = Operand(BLOCK, gradient.ctypes.data)
    sources = (row, _COLUMN) if is_outer else (row,)
    return LoweredUpdate(chain, operands, sources, scalars, kept)


def _operand(leaf: Leaf, leaves: Sequence[Leaf], dtype: np.dtype[Any]) -> Operand:
    if leaf.scalar is not None:
        known = [each for each in leaves if each.scalar is not None]
        return Operand(SCALARS, known.index(leaf) * dtype.itemsize)
    if leaf.array is None or leaf.dtype != dtype or leaf.array.ndim != 1:
        raise NotNativeError(f"a {leaf.kind} of {leaf.dtype} {leaf.shape} in the update")
    return Operand(BLOCK, leaf.array.ctypes.data)


def _clip(builder: ChainBuilder, gradient: int, factor: int, clipping: Clipping) -> int:
    if clipping.factor is not None:
        gradient = builder.link("multiply", gradient, factor)
    if clipping.limit is not None:
        gradient = builder.link("minimum", gradient, clipping.limit)
        gradient = builder.link("maximum", gradient, -clipping.limit)
    return gradient


def _link(builder: ChainBuilder, call: Call, terms: dict[int, Term]) -> Term:
    found = elementwise_function(call)
    if found is None:
        raise NotNativeError(f"{name_of(call)} in the update")
    function, arguments = found
    return builder.link(function, *[_term(argument, terms) for argument in arguments])


def _term(argument: Any, terms: dict[int, Term]) -> Term:
    number = known_number(argument)
    return terms[id(argument)] if number is None else number


def _written(builder: ChainBuilder, term: Term) -> int:
    """Return a link for what is written; a constant or an input has none yet."""
    return term if isinstance(term, int) else builder.link("copy", term)
