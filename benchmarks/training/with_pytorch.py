"""PyTorch in eager mode, with its own modules and optimizers."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from measuring.machine import usable_cores
from training.contestant import Contestant
from training.problem import Floats, Problem

_ACTIVATIONS: dict[str, type[torch.nn.Module]] = {
    "tanh": torch.nn.Tanh,
    "relu": torch.nn.ReLU,
    "gelu": torch.nn.GELU,
}


class PyTorchFused(Contestant):
    """A step as PyTorch's tutorials write it; the optimizer is one native call."""

    options: ClassVar[dict[str, bool]] = {"fused": True}

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        torch.set_num_threads(usable_cores())
        inputs, targets, order = problem.data()
        self.inputs, self.targets = torch.from_numpy(inputs), torch.from_numpy(targets)
        self.order = torch.from_numpy(order)
        modules: list[torch.nn.Module] = []
        for features, outputs in zip(problem.widths[:-1], problem.widths[1:], strict=True):
            if modules:
                modules.append(_ACTIVATIONS[problem.activation]())
            modules.append(torch.nn.Linear(features, outputs, dtype=self.inputs.dtype))
        self.network = torch.nn.Sequential(*modules)
        self.loss = torch.nn.MSELoss()

    def reset(self) -> None:
        with torch.no_grad():
            values = self.problem.weights()
            for parameter, value in zip(self.network.parameters(), values, strict=True):
                parameter.copy_(torch.from_numpy(value.T))
        self.optimizer = self._build_optimizer()

    def run_epoch(self) -> float:
        losses = []
        for rows in torch.split(self.order, self.problem.batch_size):
            self.optimizer.zero_grad(set_to_none=True)
            loss = self.loss(self.network(self.inputs[rows]), self.targets[rows])
            loss.backward()
            self.optimizer.step()
            losses.append(loss.detach())
        return float(torch.stack(losses).mean())

    def weights(self) -> list[Floats]:
        return [value.detach().numpy().T.copy() for value in self.network.parameters()]

    def _build_optimizer(self) -> torch.optim.Optimizer:
        kinds: dict[str, Any] = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}
        parameters = self.network.parameters()
        kind = kinds[self.problem.optimizer]
        optimizer: torch.optim.Optimizer = kind(
            parameters, lr=self.problem.learning_rate, **self.options
        )
        return optimizer


class PyTorchForeach(PyTorchFused):
    """The same; the optimizer is a few calls over lists of tensors."""

    options: ClassVar[dict[str, bool]] = {"foreach": True}
