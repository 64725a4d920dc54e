"""JAX as a contestant: a step compiled as one function, called for each batch."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from typegrad.benchmark.problem import Problem
from typegrad.benchmark.translation import ContestantError, Translation, translate
from typegrad.layers import Dense
from typegrad.losses import HuberLoss, Loss, MAELoss
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

_PLAIN = {ReLU: "relu", SELU: "selu", Sigmoid: "sigmoid", SiLU: "silu", Softplus: "softplus",
          Tanh: "tanh"}  # fmt: skip
"""Functions without options, by name in ``jax.nn``."""


class JaxStepper:
    """Steps in plain JAX, compiled for each batch size; what they update is donated.

    Parameters
    ----------
    problem
        What is trained, in float32.
    learning_rate
        Of the steps.

    Raises
    ------
    ContestantError
        If there is no counterpart of a layer, the loss or the optimizer, or the network is not
        of float32.
    """

    name = "jax"

    def __init__(self, problem: Problem, learning_rate: float = 0.0) -> None:
        import jax
        import jax.numpy as jnp

        data = problem.training
        if data.inputs.dtype != np.float32:
            raise ContestantError(
                f"engine 'jax' computes in float32, and the network is {data.inputs.dtype}: build "
                "it with dtype=float32, or leave 'jax' out of the engines"
            )
        translation = translate(problem, self.name, _activation)
        self._data = (jnp.asarray(data.inputs), jnp.asarray(data.targets))
        self._state = _first_state(translation)
        self._step: Callable[..., Any] = jax.jit(
            _step_function(translation, learning_rate), donate_argnums=(0, 1)
        )

    def run(self, rows: IntArray, batch_size: int) -> None:
        """Take steps."""
        import jax
        import jax.numpy as jnp

        total = jnp.zeros(())
        for start in range(0, len(rows), batch_size):
            batch = rows[start : start + batch_size]
            self._state, total = self._step(self._state, total, self._data, batch)
        wait: Any = jax.block_until_ready  # until then JAX's arrays are promises
        wait(self._state)
        # Looked at, as an engine does that searches for NaN.
        if not math.isfinite(float(total)):
            raise FloatingPointError("JAX's loss is not finite")

    def weights(self) -> list[Array]:
        """Parameters in the order and layout of typegrad's."""
        return [np.asarray(value) for layer in self._state["weights"] for value in layer]


def _first_state(translation: Translation) -> dict[str, Any]:
    import jax
    import jax.numpy as jnp

    weights = [
        [jnp.array(each.value) for each in (part.weight, part.bias) if each is not None]
        for part in translation.parts
        if isinstance(part, Dense)
    ]
    zeros = jax.tree.map(jnp.zeros_like, weights)
    return {
        "weights": weights,
        "mean": zeros,
        "mean_square": jax.tree.map(jnp.zeros_like, weights),
        "step": jnp.zeros((), jnp.int32),
    }


def _step_function(translation: Translation, rate: float) -> Callable[..., Any]:
    import jax

    def step(state: Any, total: Any, data: Any, rows: Any) -> tuple[Any, Any]:
        inputs, targets = data[0][rows], data[1][rows]

        def loss_of(weights: Any) -> Any:
            return _loss(translation.loss, _forward(translation, weights, inputs), targets)

        loss, gradient = jax.value_and_grad(loss_of)(state["weights"])
        return _update(translation.optimizer, rate, state, gradient), total + loss

    return step


def _forward(translation: Translation, weights: Any, x: Any) -> Any:
    affine = iter(weights)
    for place, part in enumerate(translation.parts):
        if isinstance(part, Dense):
            weight, *bias = next(affine)
            x = x @ weight
            for each in bias:
                x = x + each
        else:
            x = translation.activations[place](x)
    return x


def _loss(loss: Loss, prediction: Any, target: Any) -> Any:
    import jax.numpy as jnp

    difference = prediction - target
    if isinstance(loss, MAELoss):
        return jnp.mean(jnp.abs(difference))
    if isinstance(loss, HuberLoss):
        size = jnp.abs(difference)
        linear = loss.delta * (size - 0.5 * loss.delta)
        return jnp.mean(jnp.where(size <= loss.delta, 0.5 * size * size, linear))
    return jnp.mean(difference**2)


def _update(optimizer: Optimizer, rate: float, state: Any, gradient: Any) -> Any:
    import jax

    weights, decay = state["weights"], optimizer.weight_decay
    decays = jax.tree.map(lambda value: decay if value.ndim == 2 else 0.0, weights)
    if isinstance(optimizer, AdamW):
        weights = jax.tree.map(lambda w, d: w * (1.0 - rate * d), weights, decays)
    elif decay:
        gradient = jax.tree.map(lambda g, w, d: g + d * w, gradient, weights, decays)
    if isinstance(optimizer, SGD):
        return _sgd(optimizer, rate, {**state, "weights": weights}, gradient)
    assert isinstance(optimizer, Adam)
    return _adam(optimizer, rate, {**state, "weights": weights}, gradient)


def _sgd(optimizer: SGD, rate: float, state: Any, gradient: Any) -> Any:
    import jax

    momentum = optimizer.momentum
    velocity = state["mean"]
    if momentum:
        velocity = jax.tree.map(lambda v, g: momentum * v + g, velocity, gradient)
    direction = velocity if momentum else gradient
    if optimizer.nesterov:
        direction = jax.tree.map(lambda g, v: g + momentum * v, gradient, velocity)
    weights = jax.tree.map(lambda w, d: w - rate * d, state["weights"], direction)
    return {**state, "weights": weights, "mean": velocity, "step": state["step"] + 1}


def _adam(optimizer: Adam, rate: float, state: Any, gradient: Any) -> Any:
    import jax
    import jax.numpy as jnp

    beta1, beta2 = optimizer.betas
    step = state["step"] + 1
    mean = jax.tree.map(lambda m, g: beta1 * m + (1.0 - beta1) * g, state["mean"], gradient)
    square = jax.tree.map(
        lambda v, g: beta2 * v + (1.0 - beta2) * g * g, state["mean_square"], gradient
    )
    size, root = rate / (1.0 - beta1**step), jnp.sqrt(1.0 - beta2**step)
    weights = jax.tree.map(
        lambda w, m, v: w - size * m / (jnp.sqrt(v) / root + optimizer.epsilon),
        state["weights"],
        mean,
        square,
    )
    return {"weights": weights, "mean": mean, "mean_square": square, "step": step}


def _activation(operation: ElementwiseOperation) -> Callable[[Any], Any] | None:
    import jax

    if isinstance(operation, GELU):
        return partial(jax.nn.gelu, approximate=operation.approximate == "tanh")
    if isinstance(operation, ELU):
        return partial(jax.nn.elu, alpha=operation.alpha)
    if isinstance(operation, LeakyReLU):
        return partial(jax.nn.leaky_relu, negative_slope=operation.negative_slope)
    name = _PLAIN.get(type(operation))
    function: Callable[[Any], Any] | None = None if name is None else getattr(jax.nn, name)
    return function
