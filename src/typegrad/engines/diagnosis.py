"""The search for the operation that made the first number that is not finite."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from typegrad.layers import named_parts
from typegrad.operations.base import Operation
from typegrad.operations.observing import observe_operations
from typegrad.types import Array

if TYPE_CHECKING:
    from typegrad.network import NeuralNetwork


class _FoundError(Exception):
    """Ends the search; carries what was found."""


def describe_first_nonfinite(network: NeuralNetwork, run: Callable[[], object]) -> str | None:
    """Run again, and say which operation is the first whose result is not finite.

    Parameters
    ----------
    network
        The network whose operations are named by the layer they stand in.
    run
        Repeats the forward and backward passes.

    Returns
    -------
    str or None
        None if every result is finite.
    """
    names = _operation_names(network)

    def look(operation: Operation, phase: str, inputs: tuple[Array, ...], result: Array) -> None:
        if id(operation) in names and not np.isfinite(result).all():
            raise _FoundError(_describe(operation, names[id(operation)], phase, inputs, result))

    try:
        with np.errstate(all="ignore"), observe_operations(look):
            run()
    except _FoundError as found:
        return str(found)
    return None


def _operation_names(network: NeuralNetwork) -> dict[int, str]:
    names = {id(network.loss): "the loss"}
    kind: Any = Operation  # mypy wants no abstract class where a class is expected
    for index, layer in enumerate(network.layers):
        for _, operation in named_parts(layer, kind):
            names[id(operation)] = f"layer {index}, {layer}"
    return names


def _describe(
    operation: Operation, place: str, phase: str, inputs: tuple[Array, ...], result: Array
) -> str:
    kind = "NaN" if np.isnan(result).any() else "infinity"
    largest = max(float(np.max(np.abs(x), initial=0.0)) for x in inputs)
    made = "output" if phase == "forward" else "gradient"
    found = f"the {made} of {operation} in {place} has {kind}"
    if not all(np.isfinite(x).all() for x in inputs):
        return f"{found}, and so has what it got: a weight, or the result of what is no operation"
    return (
        f"{found}; the largest number it got is {largest:.3g}. Lower the learning rate, "
        "clip the gradient (clip_norm=1.0), or standardise inputs and target"
    )
