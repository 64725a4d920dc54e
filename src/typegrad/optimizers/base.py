"""What every optimizer has: a learning rate, options, a count of steps, state to save."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

import numpy as np

from typegrad.errors import DTypeError, ShapeError
from typegrad.options import NON_NEGATIVE, Configured
from typegrad.schedules import Schedule, schedule_from_config
from typegrad.types import Array, Vector

StateValue: TypeAlias = Array | int | float | str | None
"""What may stand in a state dict: arrays, and values that JSON has."""

_SCHEDULE_PREFIX = "schedule."


@dataclass
class Progress:
    """The part of an optimizer that changes."""

    steps: int = 0


@dataclass(frozen=True, eq=False)
class BaseOptimizer(Configured, ABC):
    """Common base of `Optimizer` and `FullBatchOptimizer`.

    An optimizer is a frozen dataclass: its fields are options, fixed when it is made, and
    what changes while it works is kept apart, as `steps` and in `state_dict`.
    """

    kind: ClassVar[str] = "optimizer"

    learning_rate: float | Schedule
    """Not negative; or a schedule that gives one for each step."""
    _progress: Progress = field(init=False, repr=False, default_factory=Progress)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.learning_rate, Schedule):
            self.check_number("learning_rate", NON_NEGATIVE)

    @property
    def steps(self) -> int:
        """How many steps were taken."""
        return self._progress.steps

    def rates(self, start: int, stop: int, total_steps: int) -> Vector:
        """Return the learning rates of steps ``start`` to ``stop - 1`` (from 0), float64."""
        if isinstance(self.learning_rate, Schedule):
            return self.learning_rate.rates(start, stop, total_steps)
        return np.full(stop - start, self.learning_rate, np.float64)

    def state_dict(self) -> dict[str, StateValue]:
        """Return copies of all that the optimizer, and its schedule, remember.

        ``"steps"`` is the number of steps; entries whose names start with ``"schedule."``
        are the schedule's; the others are the optimizer's own.
        """
        scheduled = {
            _SCHEDULE_PREFIX + name: value for name, value in self._schedule_state().items()
        }
        return {"steps": self.steps, **scheduled, **self._own_state()}

    def load_state_dict(self, state: Mapping[str, StateValue]) -> None:
        """Restore what `state_dict` returned; the optimizer then goes on as that one would.

        Raises
        ------
        ValueError
            If an entry is missing, unknown, or has a wrong value. ``ShapeError``, a kind of
            it, if an array has a wrong shape.
        DTypeError
            If an array has a wrong dtype.
        """
        own = {
            name: value for name, value in state.items() if not name.startswith(_SCHEDULE_PREFIX)
        }
        scheduled = {
            name.removeprefix(_SCHEDULE_PREFIX): state[name] for name in state if name not in own
        }
        steps = own.pop("steps", None)
        if not isinstance(steps, int) or isinstance(steps, bool) or steps < 0:
            self.refuse("the state's 'steps'", steps, "a whole number, not negative")
        if isinstance(self.learning_rate, Schedule):
            self.learning_rate.load_state_dict(scheduled)
        else:
            self.check_names("state", scheduled, ())
        self._load_own_state(own, steps)
        self._progress.steps = steps

    @abstractmethod
    def reset(self) -> None:
        """Forget steps and state, as if the optimizer were new; a schedule keeps its own."""

    @abstractmethod
    def _own_state(self) -> Mapping[str, StateValue]:
        """Return copies of the entries that only this kind of optimizer has."""

    @abstractmethod
    def _load_own_state(self, state: Mapping[str, StateValue], steps: int) -> None:
        """Check those entries and take copies of them."""

    def _schedule_state(self) -> Mapping[str, StateValue]:
        if isinstance(self.learning_rate, Schedule):
            return self.learning_rate.state_dict()
        return {}

    def _rate(self, learning_rate: float | None) -> float:
        """Return the learning rate of a step as a Python float, which keeps float32 float32."""
        rate = self.learning_rate if learning_rate is None else learning_rate
        if isinstance(rate, Schedule):
            raise ValueError(
                f"{type(self).__name__} has a {type(rate).__name__}, which needs to know how many "
                f"steps there will be: give each step its rate, from "
                f"rates(start, stop, total_steps)"
            )
        rate = float(rate)
        self.check_value("learning_rate", rate, NON_NEGATIVE)
        return rate

    def check_parameters(self, parameters: object) -> None:
        """Raise unless ``parameters`` is a flat buffer that can be trained in place."""
        name = f"{type(self).__name__}: parameters"
        dtype = getattr(parameters, "dtype", type(parameters).__name__)
        if not isinstance(parameters, np.ndarray) or dtype not in (np.float32, np.float64):
            raise DTypeError(f"{name} must be an array of float32 or float64, not {dtype}")
        if parameters.ndim != 1:
            raise ShapeError(
                f"{name} must be one flat vector, not of shape {parameters.shape}: "
                f"give the buffer that all parameters are views into"
            )
        if not parameters.flags.writeable:
            raise ValueError(f"{name} are read-only, but are updated in place: give a copy")

    def check_shape(self, name: str, value: object, parameters: Vector) -> None:
        """Raise unless ``value`` is an array of the same shape as ``parameters``."""
        if not isinstance(value, np.ndarray):
            raise DTypeError(
                f"{type(self).__name__}: {name} must be an array, not {type(value).__name__}"
            )
        if value.shape != parameters.shape:
            raise ShapeError(
                f"{type(self).__name__}: {name} has shape {value.shape}, "
                f"but parameters have {parameters.shape}"
            )

    def check_same_size(self, what: str, known: Vector, parameters: Vector) -> None:
        """Raise unless ``known``, remembered of earlier parameters, fits these ones."""
        if known.shape != parameters.shape or known.dtype != parameters.dtype:
            error = DTypeError if known.shape == parameters.shape else ShapeError
            raise error(
                f"{type(self).__name__}: {what} belongs to {known.size} parameters of "
                f"{known.dtype}, but got {parameters.size} of {parameters.dtype}: "
                f"use one optimizer for each network, or reset() it"
            )

    def check_like(self, name: str, value: StateValue, parameters: Vector) -> None:
        """Raise unless ``value`` is an array of the same shape and dtype as ``parameters``."""
        self.check_shape(name, value, parameters)
        dtype = np.asarray(value).dtype
        if dtype != parameters.dtype:
            raise DTypeError(
                f"{type(self).__name__}: {name} is {dtype}, but parameters are {parameters.dtype}"
            )


def optimizer_from_config(config: Mapping[str, Any]) -> BaseOptimizer:
    """Make the optimizer that its ``config()`` described, without state.

    Optimizers of your own are found by name once their module has been imported.

    >>> from typegrad.optimizers import SGD
    >>> SGD(0.1, momentum=0.9).config()
    {'class': 'SGD', 'learning_rate': 0.1, 'weight_decay': 0.0, 'momentum': 0.9, 'nesterov': False}
    >>> optimizer_from_config({"class": "SGD", "momentum": 0.9})
    SGD(learning_rate=0.01, weight_decay=0.0, momentum=0.9, nesterov=False)

    Raises
    ------
    ValueError
        If there is no optimizer or option of that name, or a value is not allowed.
    """
    options = dict(config)
    if isinstance(options.get("learning_rate"), Mapping):
        options["learning_rate"] = schedule_from_config(options["learning_rate"])
    return BaseOptimizer.from_config(options)
