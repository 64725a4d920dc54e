"""PyTorch's compiler: the whole step, optimizer included, as one native function.

Compiling forward and backward alone and leaving the optimizer to its fused call took three to
four times as long at small batches, and so did compiling the optimizer's own ``step``; the
wrapper in C++ saves what is left of Python inside a step. Compiled code is kept in PyTorch's
own cache: with that filled, starting takes a second, else five to twenty.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch._inductor import cpp_builder, exc

from measuring.machine import usable_cores
from training.contestant import Contestant
from training.problem import Floats, Problem

try:
    cpp_builder.get_cpp_compiler()
except exc.InvalidCxxCompiler:
    raise ImportError("torch.compile needs a C++ compiler, and finds none") from None

Tensors = list[torch.Tensor]


class State(NamedTuple):
    """What a step changes."""

    parameters: Tensors
    means: Tensors
    squares: Tensors
    steps: torch.Tensor
    """Number of steps taken."""
    total: torch.Tensor
    """Sum of their losses."""


class TorchCompile(Contestant):
    """A call of a compiled function for each step, which finds the batch's rows itself."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        torch.set_num_threads(usable_cores())
        # There is a limit to how often one function is compiled anew for other sizes.
        torch._dynamo.reset()
        inputs, targets, order = problem.data()
        self.inputs, self.targets = torch.from_numpy(inputs), torch.from_numpy(targets)
        self.batches = torch.split(torch.from_numpy(order), problem.batch_size)
        parameters = [torch.from_numpy(value) for value in problem.weights()]
        means = [torch.zeros_like(value) for value in parameters]
        squares = [torch.zeros_like(value) for value in parameters]
        self.state = State(parameters, means, squares, torch.zeros(()), torch.zeros(()))
        self.compiled = torch.compile(
            self._step, fullgraph=True, dynamic=False, options={"cpp_wrapper": True}
        )

    def reset(self) -> None:
        state = self.state
        for parameter, value in zip(state.parameters, self.problem.weights(), strict=True):
            parameter.copy_(torch.from_numpy(value))
        for tensor in (*state.means, *state.squares, state.steps, state.total):
            tensor.zero_()

    @torch.no_grad()
    def run_epoch(self) -> float:
        for rows in self.batches:
            self.compiled(self.state, self.inputs, self.targets, rows)
        return float(self.state.total) / self.problem.steps

    def weights(self) -> list[Floats]:
        return [value.numpy().copy() for value in self.state.parameters]

    def _step(
        self, state: State, inputs: torch.Tensor, targets: torch.Tensor, rows: torch.Tensor
    ) -> None:
        gradient_and_loss = torch.func.grad_and_value(self._loss)
        gradients, loss = gradient_and_loss(state.parameters, inputs[rows], targets[rows])
        state.total.add_(loss)
        rate = self.problem.learning_rate
        if self.problem.optimizer == "sgd":
            for parameter, gradient in zip(state.parameters, gradients, strict=True):
                parameter.sub_(rate * gradient)
            return
        step = state.steps.add_(1)
        size, root = rate / (1.0 - 0.9**step), torch.sqrt(1.0 - 0.999**step)
        for parameter, mean, square, gradient in zip(
            state.parameters, state.means, state.squares, gradients, strict=True
        ):
            mean.mul_(0.9).add_(0.1 * gradient)
            square.mul_(0.999).add_(0.001 * gradient * gradient)
            parameter.sub_(size * mean / (square.sqrt() / root + 1e-8))

    def _loss(self, parameters: Tensors, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        activations = {
            "tanh": torch.tanh,
            "relu": torch.relu,
            "gelu": torch.nn.functional.gelu,
        }
        for layer in range(0, len(parameters), 2):
            if layer > 0:
                x = activations[self.problem.activation](x)
            x = x @ parameters[layer] + parameters[layer + 1]
        return ((x - y) ** 2).mean()
