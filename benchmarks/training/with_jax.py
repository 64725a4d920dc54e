"""JAX: a step compiled as one function, called for each step or scanned over an epoch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from training.contestant import Contestant
from training.problem import Floats, Problem

_ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "gelu": lambda x: jax.nn.gelu(x, approximate=False),
}


class State(NamedTuple):
    """What a step changes."""

    weights: Any
    means: Any
    mean_squares: Any
    step: Any
    """Number of steps taken."""


def first_state(problem: Problem) -> State:
    """Return the problem's first weights, and a fresh optimizer."""
    weights = [jnp.array(value) for value in problem.weights()]
    means = [jnp.zeros_like(value) for value in weights]
    mean_squares = [jnp.zeros_like(value) for value in weights]
    return State(weights, means, mean_squares, step=jnp.zeros((), jnp.int32))


def take_step(problem: Problem, state: State, data: Any, rows: Any) -> tuple[State, Any]:
    """Return the state after a step on these rows of the data, and the step's loss."""
    inputs, targets = data

    def loss_of(weights: Any) -> Any:
        x = inputs[rows]
        for layer in range(0, len(weights), 2):
            if layer > 0:
                x = _ACTIVATIONS[problem.activation](x)
            x = x @ weights[layer] + weights[layer + 1]
        return jnp.mean((x - targets[rows]) ** 2)

    loss, gradient = jax.value_and_grad(loss_of)(state.weights)
    update = _adam if problem.optimizer == "adam" else _sgd
    return update(problem.learning_rate, state, gradient), loss


def _sgd(rate: float, state: State, gradient: Any) -> State:
    weights = jax.tree.map(lambda w, g: w - rate * g, state.weights, gradient)
    return state._replace(weights=weights, step=state.step + 1)


def _adam(rate: float, state: State, gradient: Any) -> State:
    step = state.step + 1
    means = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, state.means, gradient)
    squares = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, state.mean_squares, gradient)
    size = rate / (1.0 - 0.9**step)
    root = jnp.sqrt(1.0 - 0.999**step)
    weights = jax.tree.map(
        lambda w, m, v: w - size * m / (jnp.sqrt(v) / root + 1e-8), state.weights, means, squares
    )
    return State(weights, means, squares, step)


class JaxContestant(Contestant):
    """The step, in plain JAX; its buffers are donated, so that updates happen in place."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        inputs, targets, order = problem.data()
        self.data = (jnp.asarray(inputs), jnp.asarray(targets))
        self.batches = jnp.asarray(order.reshape(problem.steps, problem.batch_size), jnp.int32)

    @classmethod
    def unsupported(cls, problem: Problem) -> str | None:
        if problem.dtype != "float32":
            return "runs in float32 unless its 64-bit mode is switched on for the whole process"
        return None

    def reset(self) -> None:
        self.state = first_state(self.problem)

    def weights(self) -> list[Floats]:
        return [np.asarray(value) for value in self.state.weights]


class JaxStep(JaxContestant):
    """One call of a compiled function for each step; it finds the batch's rows itself."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)

        def step(state: State, total: Any, data: Any, batches: Any) -> tuple[State, Any]:
            state, loss = take_step(problem, state, data, batches[state.step])
            return state, total + loss

        self.compiled = jax.jit(step, donate_argnums=(0, 1))

    def run_epoch(self) -> float:
        state, total = self.state, jnp.zeros(())
        for _ in range(self.problem.steps):
            state, total = self.compiled(state, total, self.data, self.batches)
        self.state = _finished(state)
        return float(total) / self.problem.steps


class JaxScan(JaxContestant):
    """One call of a compiled function for an epoch, with the loop in native code."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)

        def epoch(state: State, data: Any, batches: Any) -> tuple[State, Any]:
            return jax.lax.scan(
                lambda state, rows: take_step(problem, state, data, rows), state, batches
            )

        self.compiled = jax.jit(epoch, donate_argnums=0)

    def run_epoch(self) -> float:
        state, losses = self.compiled(self.state, self.data, self.batches)
        self.state = _finished(state)
        return float(np.asarray(losses).mean())  # NumPy's mean of JAX's array takes 36 µs more.


def _finished(state: State) -> State:
    """Return the state once it is computed; until then JAX's arrays are promises."""
    wait: Any = jax.block_until_ready
    finished: State = wait(state)
    return finished
