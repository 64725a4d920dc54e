"""PyTorch as a contestant: the same steps with its own modules and optimizers, in eager mode."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from typegrad.benchmark.problem import Problem
from typegrad.benchmark.translation import Translation, translate
from typegrad.layers import Dense
from typegrad.losses import HuberLoss, MAELoss
from typegrad.operations.activations import (
    ELU,
    GELU,
    SELU,
    LeakyReLU,
    ReLU,
    Sigmoid,
    SiLU,
    Softplus,
    Tanh,
)
from typegrad.operations.base import ElementwiseOperation
from typegrad.optimizers import SGD, Adam, AdamW, Optimizer
from typegrad.types import Array, IntArray

if TYPE_CHECKING:
    import torch

_PLAIN = {ReLU: "ReLU", SELU: "SELU", Sigmoid: "Sigmoid", SiLU: "SiLU", Softplus: "Softplus",
          Tanh: "Tanh"}  # fmt: skip
"""Modules without options, by name."""


class TorchStepper:
    """Steps as PyTorch's tutorials write them; the optimizer is one native call where it can be.

    Parameters
    ----------
    problem
        What is trained.
    learning_rate
        Of the steps.

    Raises
    ------
    ContestantError
        If there is no counterpart of a layer, the loss or the optimizer.
    """

    name = "torch"

    def __init__(self, problem: Problem, learning_rate: float = 0.0) -> None:
        import torch

        translation = translate(problem, self.name, _activation)
        data = problem.training
        self._inputs = torch.from_numpy(data.inputs.copy())
        self._targets = torch.from_numpy(data.targets.copy())
        modules = [
            _linear(part, self._inputs.dtype)
            if isinstance(part, Dense)
            else translation.activations[place]
            for place, part in enumerate(translation.parts)
        ]
        self.network: Any = torch.nn.Sequential(*modules)
        self._loss = _loss(translation)
        self._optimizer = _optimizer(translation.optimizer, self.network, learning_rate)

    def run(self, rows: IntArray, batch_size: int) -> None:
        """Take steps."""
        import torch

        losses = []
        for batch in torch.split(torch.from_numpy(rows), batch_size):
            self._optimizer.zero_grad(set_to_none=True)
            loss = self._loss(self.network(self._inputs[batch]), self._targets[batch])
            loss.backward()
            self._optimizer.step()
            losses.append(loss.detach())
        # Looked at, as an engine does that searches for NaN.
        if not math.isfinite(float(torch.stack(losses).sum())):
            raise FloatingPointError("PyTorch's loss is not finite")

    def weights(self) -> list[Array]:
        """Parameters in the order and layout of typegrad's."""
        return [parameter.detach().numpy().T.copy() for parameter in self.network.parameters()]


def _linear(layer: Dense, dtype: torch.dtype) -> torch.nn.Linear:
    import torch

    bias = layer.bias is not None
    linear = torch.nn.Linear(layer.in_features, layer.out_features, bias=bias, dtype=dtype)
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(layer.weight.value.T))
        if layer.bias is not None:
            linear.bias.copy_(torch.from_numpy(layer.bias.value))
    return linear


def _activation(operation: ElementwiseOperation) -> torch.nn.Module | None:
    import torch

    if isinstance(operation, GELU):
        return torch.nn.GELU(approximate=operation.approximate)
    if isinstance(operation, ELU):
        return torch.nn.ELU(operation.alpha)
    if isinstance(operation, LeakyReLU):
        return torch.nn.LeakyReLU(operation.negative_slope)
    name = _PLAIN.get(type(operation))
    made: torch.nn.Module | None = None if name is None else getattr(torch.nn, name)()
    return made


def _loss(translation: Translation) -> torch.nn.Module:
    import torch

    loss = translation.loss
    if isinstance(loss, HuberLoss):
        return torch.nn.HuberLoss(delta=loss.delta)
    return torch.nn.L1Loss() if isinstance(loss, MAELoss) else torch.nn.MSELoss()


def _optimizer(
    optimizer: Optimizer, network: torch.nn.Module, learning_rate: float
) -> torch.optim.Optimizer:
    import torch

    # Biases do not decay.
    decaying = [each for each in network.parameters() if each.ndim == 2]
    others = [each for each in network.parameters() if each.ndim != 2]
    groups: list[dict[str, Any]] = [
        {"params": decaying, "weight_decay": optimizer.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    made: torch.optim.Optimizer
    if isinstance(optimizer, SGD):
        made = torch.optim.SGD(
            groups,
            lr=learning_rate,
            momentum=optimizer.momentum,
            nesterov=optimizer.nesterov,
            fused=True,
        )
        return made
    assert isinstance(optimizer, Adam)
    kind = torch.optim.AdamW if isinstance(optimizer, AdamW) else torch.optim.Adam
    made = kind(groups, lr=learning_rate, betas=optimizer.betas, eps=optimizer.epsilon, fused=True)
    return made
