"""What another library needs to know to take the same steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from typegrad.benchmark.problem import Problem
from typegrad.errors import TypegradError
from typegrad.layers import Activation, Dense, Layer
from typegrad.losses import HuberLoss, Loss, MAELoss, MSELoss
from typegrad.operations.base import ElementwiseOperation
from typegrad.optimizers import SGD, Adam, AdamW, Optimizer


class ContestantError(TypegradError, TypeError):
    """Another library has no counterpart of what typegrad trains."""


_OPTIMIZERS = (SGD, Adam, AdamW)
_LOSSES = (MSELoss, MAELoss, HuberLoss)


@dataclass(frozen=True)
class Translation:
    """A network as affine maps and activations, in order.

    Attributes
    ----------
    parts
        `Dense` layers, each standing for its affine map alone, and activations.
    activations
        What the library has for each activation among the parts, by place.
    loss, optimizer
        As typegrad has them, of kinds that are known to have counterparts.
    """

    parts: tuple[Dense | ElementwiseOperation, ...]
    activations: dict[int, Any]
    loss: Loss
    optimizer: Optimizer


def translate(
    problem: Problem, library: str, activation: Callable[[ElementwiseOperation], Any]
) -> Translation:
    """Take a problem's network apart.

    Parameters
    ----------
    problem
        Whose network is meant.
    library
        Its name, for messages.
    activation
        Returns the library's counterpart of an activation, or None.

    Raises
    ------
    ContestantError
        If there is no counterpart of a layer, the loss or the optimizer; names it.
    """
    network = problem.build_network(0)
    parts: list[Dense | ElementwiseOperation] = []
    for index, layer in enumerate(network.layers):
        parts += _split(library, index, layer)
    found = {}
    for place, part in enumerate(parts):
        if isinstance(part, ElementwiseOperation):
            found[place] = activation(part)
            if found[place] is None:
                raise ContestantError(_refusal(library, f"the activation {part}"))
    if type(network.loss) not in _LOSSES:
        names = ", ".join(kind.__name__ for kind in _LOSSES)
        raise ContestantError(_refusal(library, f"the loss {network.loss}", names))
    optimizer = problem.optimizer
    if type(optimizer) not in _OPTIMIZERS or getattr(optimizer, "amsgrad", False):
        names = ", ".join(f"{kind.__name__}" for kind in _OPTIMIZERS)
        raise ContestantError(
            _refusal(library, f"the optimizer {optimizer}", f"{names} (no amsgrad)")
        )
    if problem.training.weights is not None:
        raise ContestantError(_refusal(library, "sample_weight"))
    return Translation(tuple(parts), found, network.loss, optimizer)


def _split(library: str, index: int, layer: Layer) -> list[Dense | ElementwiseOperation]:
    if isinstance(layer, Dense):
        return [layer] if layer.activation is None else [layer, layer.activation]
    if isinstance(layer, Activation):
        return [layer.operation]
    what = f"layer {index}, {layer}"
    raise ContestantError(_refusal(library, what, "Dense layers and activations"))


def _refusal(library: str, what: str, expected: str | None = None) -> str:
    wanted = "" if expected is None else f"; it can do {expected}"
    return (
        f"engine {library!r} has no counterpart of {what}{wanted}: "
        f"leave {library!r} out of the engines"
    )
