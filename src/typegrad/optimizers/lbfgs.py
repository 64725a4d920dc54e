"""L-BFGS."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Literal, TypeAlias, get_args

import numpy as np

from typegrad.errors import NumericalError
from typegrad.optimizers.base import StateValue
from typegrad.optimizers.full_batch import Evaluate, FullBatchOptimizer
from typegrad.optimizers.line_search import Point, WolfeSearch
from typegrad.options import COUNT, NON_NEGATIVE, POSITIVE
from typegrad.schedules import Schedule
from typegrad.types import Vector

Status: TypeAlias = Literal["running", "gradient is zero", "change is small", "no descent"]


@dataclass(frozen=True, eq=False)
class _Evaluation:
    """An accepted point, from which the next step can start without evaluating it again."""

    evaluate: Evaluate
    parameters: Vector
    loss: float
    gradient: Vector


@dataclass
class _History:
    """What L-BFGS remembers: changes of position and of gradient, oldest first."""

    positions: list[Vector] = field(default_factory=list)
    gradients: list[Vector] = field(default_factory=list)
    status: Status = "running"
    last: _Evaluation | None = None

    def clear(self) -> None:
        self.positions.clear()
        self.gradients.clear()

    def add(self, position: Vector, gradient: Vector, size: int) -> None:
        """Remember a pair of changes if the curvature along it is positive, else forget all."""
        curvature = float(position @ gradient)
        if not curvature > np.finfo(position.dtype).eps * float(gradient @ gradient):
            self.clear()
            return
        self.positions.append(position)
        self.gradients.append(gradient)
        del self.positions[:-size], self.gradients[:-size]

    def direction(self, gradient: Vector) -> Vector:
        """Return minus the estimated inverse Hessian times ``gradient``, by two loops."""
        result = -gradient
        if not self.positions:
            return result
        pairs = list(zip(self.positions, self.gradients, strict=True))
        sizes = []
        for position, change in reversed(pairs):
            sizes.append(float(position @ result) / float(position @ change))
            result = result - sizes[-1] * change
        position, change = pairs[-1]
        result = float(position @ change) / float(change @ change) * result
        for (position, change), size in zip(pairs, reversed(sizes), strict=True):
            correction = size - float(change @ result) / float(position @ change)
            result = result + correction * position
        return result


@dataclass(frozen=True, eq=False)
class LBFGS(FullBatchOptimizer):
    """Limited-memory BFGS with a strong Wolfe line search, for full batches.

    Nocedal & Wright, *Numerical Optimization* (2006), algorithms 7.4, 7.5, 3.5 and 3.6. The
    method of choice for few parameters and little data: it needs no tuning of the rate and
    converges superlinearly. One call of `minimize_step` is one iteration, which evaluates
    loss and gradient once or a few times.

    After each call the buffer holds the best accepted point, also when the line search
    fails; then the history is dropped and the next iteration starts along the gradient.
    A loss of NaN or infinity on the way shortens the step.

    >>> parameters = np.array([-1.2, 1.0])
    >>> def rosenbrock() -> tuple[float, Vector]:
    ...     x, y = parameters
    ...     loss = 100.0 * (y - x * x) ** 2 + (1.0 - x) ** 2
    ...     return loss, np.array([400.0 * x * (x * x - y) - 2.0 * (1.0 - x), 200.0 * (y - x * x)])
    >>> optimizer = LBFGS()
    >>> while not optimizer.converged:
    ...     loss = optimizer.minimize_step(rosenbrock, parameters)
    >>> parameters.round(6), optimizer.steps < 40
    (array([1., 1.]), True)
    """

    learning_rate: float | Schedule = 1.0
    """The step that the line search tries first, in lengths of the L-BFGS direction."""
    _: KW_ONLY
    history_size: int = 10
    """At least 1; pairs of changes that are remembered."""
    tolerance_grad: float = 1e-7
    """Converged when no entry of the gradient is larger."""
    tolerance_change: float = 1e-9
    """Converged when no entry of the parameters changed by more, or the loss changed by no
    more than this times the larger of 1 and the loss."""
    max_evaluations: int = 25
    """At least 1; evaluations in one line search."""
    _history: _History = field(init=False, repr=False, default_factory=_History)

    def check_options(self) -> None:
        """Check the options."""
        self.check_number("history_size", COUNT, whole=True)
        self.check_number("tolerance_grad", NON_NEGATIVE)
        self.check_number("tolerance_change", NON_NEGATIVE)
        self.check_number("max_evaluations", COUNT, whole=True)

    @property
    def status(self) -> Status:
        """Why the last step was the last that is worth it, or ``"running"``.

        ``"no descent"``: even along the gradient no step decreases the loss, usually because
        rounding hides the decrease.
        """
        return self._history.status

    @property
    def converged(self) -> bool:
        """Whether further steps would hardly change anything; `status` says why."""
        return self.status != "running"

    def minimize_step(
        self, evaluate: Evaluate, parameters: Vector, learning_rate: float | None = None
    ) -> float:
        """Take one iteration and return the loss that it reached.

        Parameters
        ----------
        evaluate
            Returns loss and gradient, shape (n,), at what ``parameters`` contains at the time of
            the call. As long as it is the same function (or method of the same object) and
            nobody else moves the parameters, the iteration starts from what the last one
            knows; otherwise it evaluates the start again.
        parameters
            Shape (n,), float32 or float64; moved in place.
        learning_rate
            The step tried first; the optimizer's own if it is None and no schedule.

        Raises
        ------
        NumericalError
            If loss or gradient at the start are NaN or infinite.
        ValueError
            If the learning rate is not positive, or missing.
        ShapeError, DTypeError
            If parameters or gradient have a wrong shape or dtype, or the history belongs to
            a vector of another size or dtype.
        """
        rate = self._rate(learning_rate)
        self.check_value("learning_rate", rate, POSITIVE)
        self._check_buffer(parameters)
        history = self._history
        start = self._starting_point(evaluate, parameters)
        if float(np.max(np.abs(start.gradient), initial=0.0)) <= self.tolerance_grad:
            history.status = "gradient is zero"
            return start.loss
        direction, slope = self._descent(start.gradient)
        fresh = not history.positions
        if fresh:  # Without curvature, the length of the gradient says nothing about the step's.
            rate *= min(1.0, 1.0 / float(np.sum(np.abs(start.gradient))))
        origin = start.parameters
        search = WolfeSearch(
            lambda step: self._point(evaluate, parameters, origin, direction, step),
            Point(0.0, start.loss, slope, start.gradient),
            self.max_evaluations,
        )
        best = origin
        try:
            point = search.search(rate)
            if point.step > 0.0:
                best = origin + point.step * direction
        finally:  # Also when `evaluate` raises or is interrupted.
            parameters[...] = best
        self._progress.steps += 1
        if point.step == 0.0:
            history.clear()
            history.status = "no descent" if fresh else "running"
            history.last = None  # Should the loss have changed meanwhile, evaluate it again.
        else:
            self._accept(
                _Evaluation(evaluate, parameters.copy(), point.loss, point.gradient), start
            )
        return point.loss

    def reset(self) -> None:
        """Forget steps and history, as if the optimizer were new; a schedule keeps its own."""
        self._progress.steps = 0
        self._history.clear()
        self._history.status, self._history.last = "running", None

    def _check_buffer(self, parameters: Vector) -> None:
        self.check_parameters(parameters)
        for known in self._history.positions[:1]:
            self.check_same_size("the history", known, parameters)

    def _starting_point(self, evaluate: Evaluate, parameters: Vector) -> _Evaluation:
        last = self._history.last
        if last and last.evaluate == evaluate and np.array_equal(last.parameters, parameters):
            return last
        loss, gradient = self._evaluate(evaluate, parameters)
        if not math.isfinite(loss):
            raise NumericalError(
                f"{type(self).__name__}: loss or gradient are NaN or infinite at the parameters "
                f"it starts from; scale the data, or start from other parameters"
            )
        return _Evaluation(evaluate, parameters.copy(), loss, gradient)

    def _evaluate(self, evaluate: Evaluate, parameters: Vector) -> tuple[float, Vector]:
        loss, gradient = evaluate()
        self.check_like("gradient", gradient, parameters)
        finite = math.isfinite(loss) and bool(np.all(np.isfinite(gradient)))
        # A copy: gradients usually live in one buffer that the next evaluation writes to.
        return (float(loss) if finite else math.inf), gradient.copy()

    def _point(
        self,
        evaluate: Evaluate,
        parameters: Vector,
        origin: Vector,
        direction: Vector,
        step: float,
    ) -> Point:
        parameters[...] = origin + step * direction
        loss, gradient = self._evaluate(evaluate, parameters)
        slope = float(gradient @ direction) if math.isfinite(loss) else math.nan
        return Point(step, loss, slope, gradient)

    def _descent(self, gradient: Vector) -> tuple[Vector, float]:
        """Return a direction of descent and the slope along it."""
        direction = self._history.direction(gradient)
        slope = float(gradient @ direction)
        if not slope < 0.0 or not math.isfinite(slope):
            self._history.clear()
            direction = -gradient
            slope = float(gradient @ direction)
        return direction, slope

    def _accept(self, reached: _Evaluation, start: _Evaluation) -> None:
        history = self._history
        moved = reached.parameters - start.parameters
        history.add(moved, reached.gradient - start.gradient, self.history_size)
        history.last = reached
        scale = max(1.0, abs(start.loss), abs(reached.loss))
        if float(np.max(np.abs(reached.gradient))) <= self.tolerance_grad:
            history.status = "gradient is zero"
        elif (
            float(np.max(np.abs(moved))) <= self.tolerance_change
            or abs(reached.loss - start.loss) <= self.tolerance_change * scale
        ):
            history.status = "change is small"
        else:
            history.status = "running"

    def _own_state(self) -> dict[str, StateValue]:
        history = self._history
        return {
            "status": history.status,
            "position_changes": np.array(history.positions or np.zeros((0, 0))),
            "gradient_changes": np.array(history.gradients or np.zeros((0, 0))),
        }

    def _load_own_state(self, state: Mapping[str, StateValue], steps: int) -> None:
        self.check_names("state", state, self._own_state())
        status, positions = state["status"], state["position_changes"]
        known = [each for each in get_args(Status) if each == status]
        if not known:
            self.refuse("the state's 'status'", status, f"one of {get_args(Status)}")
        if not isinstance(positions, np.ndarray) or positions.ndim != 2:
            self.refuse("the state's 'position_changes'", _outline(positions), "a matrix")
        if len(positions) > self.history_size:
            self.refuse("the state's history", len(positions), f"at most {self.history_size} long")
        gradients = state["gradient_changes"]
        if not isinstance(gradients, np.ndarray) or _outline(gradients) != _outline(positions):
            self.refuse("the state's 'gradient_changes'", _outline(gradients), _outline(positions))
        self.reset()
        self._history.positions.extend(positions.copy())
        self._history.gradients.extend(gradients.copy())
        self._history.status = known[0]


def _outline(value: StateValue) -> str:
    """Say what an entry of a state dict is, for an error."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} of shape {value.shape}"
    return type(value).__name__
