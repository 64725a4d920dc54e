"""Optimizers whose step is a formula of the gradient."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias, final

import numpy as np

from typegrad.aligned import aligned_copy
from typegrad.optimizers.base import BaseOptimizer, StateValue
from typegrad.options import FRACTION, NON_NEGATIVE
from typegrad.types import Vector

Mask: TypeAlias = Vector | np.ndarray[tuple[int], np.dtype[np.bool_]]
"""Shape (n,): True or 1 for the entries that are meant."""


@dataclass
class _Memory:
    """The state arrays, once parameters have been seen."""

    state: dict[str, Vector] | None = None


@dataclass(frozen=True, eq=False)
class Optimizer(BaseOptimizer):
    """An optimizer that works step by step on a flat vector of parameters.

    A new one is a frozen dataclass with two hooks, `init` for its state and `update` for its
    formula. Checks, weight decay, writing in place, saving and loading come with `Optimizer`:

    >>> @dataclass(frozen=True)
    ... class SignSGD(Optimizer):
    ...     learning_rate: float = 0.01
    ...     momentum: float = 0.5
    ...
    ...     def init(self, parameters):
    ...         return {"velocity": np.zeros_like(parameters)}
    ...
    ...     def update(self, parameters, gradient, state, learning_rate, step):
    ...         velocity = self.momentum * state["velocity"] + gradient
    ...         return parameters - learning_rate * np.sign(velocity), {"velocity": velocity}
    >>> parameters = np.array([1.0, 2.0])
    >>> optimizer = SignSGD(0.25)
    >>> for _ in range(3):
    ...     optimizer.step(parameters, gradient=2.0 * parameters)
    >>> parameters
    array([0.25, 1.25])
    >>> optimizer.steps, optimizer.state
    (3, {'velocity': array([2.25, 5.75])})

    Options of a new optimizer are checked in the hook ``check_options``, for example by
    ``self.check_number("momentum", Interval(0.0, 1.0, low_included=True))``. A class attribute
    ``decoupled = True`` makes weight decay decoupled: ``class NAdamW(NAdam)`` needs nothing else.
    """

    decoupled: ClassVar[bool] = False
    """Whether weight decay shrinks the parameters (AdamW) or adds to the gradient (L2)."""

    weight_decay: float = field(default=0.0, kw_only=True)
    """Not negative; which entries decay is up to ``decay_mask`` of `step`."""
    _memory: _Memory = field(init=False, repr=False, default_factory=_Memory)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_number("weight_decay", NON_NEGATIVE)

    @abstractmethod
    def init(self, parameters: Vector) -> dict[str, Vector]:
        """Hook: return fresh state for ``parameters``, by name.

        Each vector has the shape and the dtype of ``parameters`` (``np.zeros_like``). An
        optimizer without state returns ``{}``.
        """

    @abstractmethod
    def update(
        self,
        parameters: Vector,
        gradient: Vector,
        state: dict[str, Vector],
        learning_rate: float,
        step: int,
    ) -> tuple[Vector, dict[str, Vector]]:
        """Hook: return the new parameters and the new state.

        The formula is element-wise, of NumPy's functions and operators. It changes nothing
        in place (the arrays it gets are read-only). ``step`` counts from 1; what depends on
        it (bias correction) is a Python float, which leaves float32 arrays in float32.
        """

    @property
    def state(self) -> dict[str, Vector]:
        """The state arrays by name; ``{}`` before the first step.

        They are not copies, and after `reset` an engine may use the same arrays again.
        """
        return dict(self._memory.state or {})

    @property
    def state_arrays(self) -> Mapping[str, Vector]:
        """The same as `state`, without a new dict each time: not to be changed."""
        return self._memory.state or {}

    def prepare(self, parameters: Vector) -> None:
        """Make the state for ``parameters`` if there is none yet; check it if there is.

        `step` does so itself. An engine that updates by its own means calls this first.

        Raises
        ------
        ShapeError, DTypeError
            If ``parameters`` is no flat float32 or float64 vector, or the state belongs to
            a vector of another size or dtype.
        ValueError
            If ``parameters`` is read-only.
        """
        self.check_parameters(parameters)
        if self._memory.state is None:
            self._memory.state = self._initial_state(parameters)
        for name, value in self._memory.state.items():
            self.check_same_size(f"state {name!r}", value, parameters)

    @final
    def step(
        self,
        parameters: Vector,
        gradient: Vector,
        learning_rate: float | None = None,
        *,
        decay_mask: Mask | None = None,
    ) -> None:
        """Update ``parameters`` in place.

        Parameters
        ----------
        parameters
            Shape (n,), float32 or float64, writeable.
        gradient
            Of the loss by the parameters; same shape and dtype.
        learning_rate
            For this step; the optimizer's own if it is None and no schedule.
        decay_mask
            Shape (n,), 1 for entries that ``weight_decay`` acts on and 0 for the others (biases,
            gains of normalisations). None: all decay, as in PyTorch.

        Raises
        ------
        ShapeError, DTypeError
            If shapes or dtypes differ. Nothing has changed then.
        ValueError
            If the learning rate is negative or missing.
        """
        self.prepare(parameters)
        self.check_like("gradient", gradient, parameters)
        rate = self._rate(learning_rate)
        state = self._memory.state or {}
        updated, new_state = self.formula(
            _read_only(parameters),
            _read_only(gradient),
            {name: _read_only(value) for name, value in state.items()},
            rate,
            self.steps + 1,
            decay_mask=decay_mask,
        )
        self.check_like("update's new parameters", updated, parameters)
        self.check_names("update's new state", new_state, state)
        for name, value in new_state.items():
            self.check_like(f"update's new state {name!r}", value, parameters)
        self._write([parameters, *state.values()], [updated, *(new_state[name] for name in state)])
        self._progress.steps += 1

    @final
    def formula(
        self,
        parameters: Vector,
        gradient: Vector,
        state: dict[str, Vector],
        learning_rate: float,
        step: int,
        *,
        decay_mask: Mask | None = None,
    ) -> tuple[Vector, dict[str, Vector]]:
        """Return the new parameters and the new state: weight decay, then `update`.

        This is the step without checks and without a change of anything; an engine traces it.
        """
        decayed, gradient = self._decay(parameters, gradient, learning_rate, decay_mask)
        return self.update(decayed, gradient, state, learning_rate, step)

    def count_step(self, count: int = 1) -> None:
        """Note a step, or several, that an engine took by its own means."""
        self._progress.steps += count

    def move_state(self, arrays: Mapping[str, Vector]) -> None:
        """Move the state into arrays of the same names, shapes and dtypes.

        For an engine whose plans read and write the state where it was.
        """
        for name, value in self.state_arrays.items():
            arrays[name][...] = value
        self._memory.state = dict(arrays)

    def reset(self) -> None:
        """Forget steps and state, as if the optimizer were new; a schedule keeps its own."""
        self._progress.steps = 0
        self._memory.state = None

    def _initial_state(self, parameters: Vector) -> dict[str, Vector]:
        state = self.init(_read_only(parameters))
        for name, value in state.items():
            self.check_like(f"init's state {name!r}", value, parameters)
        # A copy: a hook may return the parameters themselves, or one array twice.
        return {name: aligned_copy(value) for name, value in state.items()}

    def _decay(
        self,
        parameters: Vector,
        gradient: Vector,
        rate: float,
        mask: Mask | None,
    ) -> tuple[Vector, Vector]:
        if mask is not None:
            self.check_shape("decay_mask", mask, parameters)
        if self.weight_decay == 0.0:
            return parameters, gradient
        factor = rate * self.weight_decay if self.decoupled else self.weight_decay
        decaying = parameters if mask is None else parameters * mask.astype(parameters.dtype)
        if self.decoupled:
            return parameters - factor * decaying, gradient
        return parameters, gradient + factor * decaying

    @staticmethod
    def _write(targets: list[Vector], values: list[Vector]) -> None:
        # A hook may return a view of what it got; writing one target must not change
        # another's value. Results of arithmetic own their memory and need no copy.
        safe = [value if value.base is None else value.copy() for value in values]
        for target, value in zip(targets, safe, strict=True):
            target[...] = value

    def _own_state(self) -> dict[str, StateValue]:
        return {name: value.copy() for name, value in self.state.items()}

    def _load_own_state(self, state: Mapping[str, StateValue], steps: int) -> None:
        if not state and steps == 0:
            self._memory.state = None
            return
        arrays = {name: value for name, value in state.items() if isinstance(value, np.ndarray)}
        like = self._loading_example(arrays)
        self.check_names("state", state, self.init(like))
        for name, value in state.items():
            self.check_like(f"state {name!r}", value, like)
        self._memory.state = {name: aligned_copy(value) for name, value in arrays.items()}

    def _loading_example(self, arrays: Mapping[str, Vector]) -> Vector:
        """Return a vector like the parameters, as far as they are known when state is loaded."""
        for known in [*self.state.values(), *arrays.values()]:
            if known.ndim == 1 and known.dtype in (np.float32, np.float64):
                return np.zeros_like(known)
        return np.zeros(1)

    def check_betas(self, betas: object) -> None:
        """Raise ValueError unless ``betas`` are two numbers in [0, 1)."""
        if not isinstance(betas, tuple) or len(betas) != 2:
            self.refuse("betas", betas, "a pair of numbers")
        for index, beta in enumerate(betas):
            self.check_value(f"betas[{index}]", beta, FRACTION)


def _read_only(array: Vector) -> Vector:
    view = array.view()
    view.flags.writeable = False
    return view
