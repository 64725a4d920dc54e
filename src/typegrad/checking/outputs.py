"""What a network's outputs can be, against what its loss takes them for."""

from __future__ import annotations

from copy import copy

import numpy as np

from typegrad.checking.findings import Severity
from typegrad.layers import Chain, Layer
from typegrad.losses import CrossEntropyLoss, GaussianNLLLoss, PoissonNLLLoss
from typegrad.network import NeuralNetwork
from typegrad.operations import ElementwiseOperation, Sigmoid, Softmax
from typegrad.types import Array

_FAR, _NEAR = 1e3, 1e2
"""An activation is bounded if arguments up to the first number stay below the second."""


def check_outputs(network: NeuralNetwork) -> tuple[Severity, str] | None:
    """Say what is wrong with the last activation, if anything is."""
    loss = network.loss
    name = type(loss).__name__
    if isinstance(loss, CrossEntropyLoss) and network.out_features == 1:
        return "error", f"{name} of one output is always 0; give each class an output"
    last = _last_activation(network.layers[-1])
    if last is None:
        return None
    if isinstance(loss, CrossEntropyLoss) and isinstance(last, Softmax | Sigmoid):
        return "error", f"{name} applies softmax itself; leave out {last}, the last activation"
    bounds = _bounds(last)
    if not bounds:
        return None
    meaning = {
        CrossEntropyLoss: "takes unbounded scores",
        PoissonNLLLoss: "takes them for logarithms of rates",
        GaussianNLLLoss: "takes them for means and for numbers that give variances",
    }.get(type(loss), "cannot reach other targets")
    units = "" if network.target_scaler is None else ", in units of the standardised target"
    return "warning", f"after {last} the outputs are {bounds}{units}; {name} {meaning}"


def _last_activation(layer: Layer) -> ElementwiseOperation | None:
    while type(layer) is Chain:
        layer = layer.layers[-1]
    last = layer.operations[-1] if layer.operations else None
    return last if isinstance(last, ElementwiseOperation) else None


def _bounds(activation: ElementwiseOperation) -> str:
    """Say in words between what an activation's values lie, by trying; empty if it is unbounded."""
    grid = np.linspace(-_FAR, _FAR, 20001)
    x: Array = np.stack([grid, -grid], axis=1)
    try:
        with np.errstate(all="ignore"):
            y = copy(activation).forward(x)
    except Exception:  # a user's formula, which need not be made for such numbers
        return ""
    low, high = float(np.min(y)) + 0.0, float(np.max(y)) + 0.0  # no -0.0
    above, below = low > -_NEAR, high < _NEAR
    if above and below:
        return f"between {low:.2g} and {high:.2g}"
    return f"never below {low:.2g}" if above else f"never above {high:.2g}" if below else ""
