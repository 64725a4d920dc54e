"""Steps of a computation, forward and backward, to look at."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, fields
from itertools import count
from typing import Any

import numpy as np

from typegrad.autodiff.recorded import RecordedCall
from typegrad.autodiff.tree import leaves
from typegrad.errors import StateError
from typegrad.operations.base import Operation
from typegrad.tensor.backpropagation import FREED, backpropagate
from typegrad.tensor.tensor import Tensor
from typegrad.types import AnyArray, Shape


@dataclass(frozen=True, eq=False)
class Step:
    """One input or one operation of a computation.

    Attributes
    ----------
    name
        What the result is called.
    operation
        Name and options of the operation; empty for an input.
    inputs
        For each operand the name of the step that computed it, or the text of a constant.
    value
        The result.
    gradient
        Gradient with respect to it of the sum of the output's elements; None if there is none.
    """

    name: str
    operation: str
    inputs: tuple[str, ...]
    value: AnyArray
    gradient: AnyArray | None

    @property
    def shape(self) -> Shape:
        """Shape of the result."""
        return np.shape(self.value)

    def __str__(self) -> str:
        if not self.operation:
            return self.name
        name, _, options = self.operation.partition("(")
        arguments = ", ".join([*self.inputs, *([options[:-1]] if options[:-1] else [])])
        return f"{self.name} = {name}({arguments})"


@dataclass(frozen=True, eq=False)
class Computation:
    """What `trace` returns: the steps, and text that shows them.

    Attributes
    ----------
    steps
        Inputs, then operations in the order in which they ran; those that the output does
        not depend on are left out.
    values
        Whether the text shows values.
    """

    steps: tuple[Step, ...]
    values: bool = False

    def __str__(self) -> str:
        forward = [(str(step), step.value) for step in self.steps]
        backward = [
            (self._sources(step), step.gradient)
            for step in reversed(self.steps)
            if step.gradient is not None
        ]
        return "\n".join(["forward", *self._lines(forward), "backward", *self._lines(backward)])

    def __repr__(self) -> str:
        return str(self)

    def users(self, name: str) -> list[Step]:
        """Steps that a result goes into, once for each time it does."""
        return [step for step in self.steps for operand in step.inputs if operand == name]

    def _sources(self, step: Step) -> str:
        """Which gradients this step's gradient comes from."""
        terms = [
            f"d{user.name} through {user.operation.partition('(')[0]}"
            for user in self.users(step.name)
            if user.gradient is not None
        ]
        return f"d{step.name} = {' + '.join(terms) or '1'}"

    def _lines(self, rows: Sequence[tuple[str, AnyArray]]) -> list[str]:
        width = max((len(text) for text, _ in rows), default=0)
        lines = []
        for text, value in rows:
            dtype = "" if np.asarray(value).dtype == np.float64 else f" {np.asarray(value).dtype}"
            lines.append(f"  {text.ljust(width)}  {np.shape(value)}{dtype}")
            if self.values:
                shown = np.array2string(np.asarray(value), precision=4, threshold=60)
                lines += [f"      {line}" for line in shown.splitlines()]
        return lines


def trace(f: Callable[..., Any], *args: Any, values: bool = False, **kwargs: Any) -> Computation:
    """Run `f` once, forward and backward, and return the steps, which print themselves.

    Parameters
    ----------
    f
        Function of arrays, see `grad`. If it returns more than a number, the backward steps are
        those of the sum of all elements.
    *args, **kwargs
        Its arguments. Positional ones made of floating-point numbers are inputs by the
        names that `f` gives them; all else is constant.
    values
        Whether the text shows values, and not only shapes.

    Returns
    -------
    Computation
        Its ``steps`` have names, shapes, values and gradients.

    Examples
    --------
    >>> def squared_error(x, w, y):
    ...     return np.mean((x @ w - y) ** 2)
    >>> trace(squared_error, np.ones((4, 2)), np.zeros((2, 1)), np.ones((4, 1)))
    forward
      x                                   (4, 2)
      w                                   (2, 1)
      y                                   (4, 1)
      v1 = MatMul(x, w)                   (4, 1)
      v2 = Subtract(v1, y)                (4, 1)
      v3 = ConstantPower(v2, exponent=2)  (4, 1)
      v4 = Mean(v3)                       ()
    backward
      dv4 = 1                          ()
      dv3 = dv4 through Mean           (4, 1)
      dv2 = dv3 through ConstantPower  (4, 1)
      dv1 = dv2 through Subtract       (4, 1)
      dy = dv2 through Subtract        (4, 1)
      dw = dv1 through MatMul          (2, 1)
      dx = dv1 through MatMul          (4, 2)
    """
    positions = [index for index, argument in enumerate(args) if _is_differentiable(argument)]
    call = RecordedCall("trace", f, args, kwargs, positions)
    parameters = _parameter_names(f, len(args))
    names = [
        f"{parameters[position]}{path}"
        for position in positions
        for path, _ in leaves(args[position])
    ]
    outputs = [leaf for _, leaf in leaves(call.output) if type(leaf) is Tensor]
    return Computation(_steps(outputs, call.inputs, names), values)


def trace_of(tensor: Tensor) -> Computation:
    """Steps that a tensor was computed by, from the tensors that require gradients."""
    return Computation(_steps([tensor], [], []))


def _is_differentiable(argument: Any) -> bool:
    found = [leaf for _, leaf in leaves(argument)]
    return bool(found) and all(
        isinstance(leaf, float) or getattr(leaf, "dtype", None) in (np.float32, np.float64)
        for leaf in found
    )


def _parameter_names(f: Callable[..., Any], count: int) -> list[str]:
    """Names of the first `count` positional parameters of `f`, or x1, x2, ... for them."""
    numbered = [f"x{index + 1}" for index in range(count)]
    try:
        parameters = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):
        return numbered
    names = [each.name for each in parameters if each.kind in _POSITIONAL]
    return [*names[:count], *numbered[len(names) :]]


_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def _steps(
    outputs: Sequence[Tensor], inputs: Sequence[Tensor], names: Sequence[str]
) -> tuple[Step, ...]:
    """Inputs, and all that the outputs were computed by."""
    named = {tensor._number: name for tensor, name in zip(inputs, names, strict=True)}
    reached = _reached(outputs, inputs)
    gradients: dict[int, Any] = {}
    backpropagate(
        [(output, np.ones_like(output._data)) for output in outputs if output.requires_grad],
        stops=named,
        within=reached,
        retain_graph=True,
        seen=gradients,
    )
    steps: list[Step] = []
    leaf_names, result_names = (f"t{n}" for n in count(1)), (f"v{n}" for n in count(1))
    for number, tensor in sorted(reached.items()):
        operation, operands = "", list[str]()
        if number not in named:
            named[number] = next(leaf_names if tensor._record is None else result_names)
            if tensor._record is not None:
                kind, values, parents = tensor._record
                operation = _text(kind)
                operands = [
                    _constant_text(value) if parent is None else named[parent._number]
                    for value, parent in zip(values, parents, strict=True)
                ]
        gradient = gradients.get(number)
        steps.append(Step(named[number], operation, tuple(operands), tensor.numpy(), gradient))
    return tuple(steps)


def _reached(outputs: Sequence[Tensor], inputs: Sequence[Tensor]) -> dict[int, Tensor]:
    """All tensors between outputs and inputs, by number."""
    reached = {tensor._number: tensor for tensor in inputs}
    stack = list(outputs)
    while stack:
        tensor = stack.pop()
        if tensor._number in reached:
            continue
        reached[tensor._number] = tensor
        if tensor._record is FREED:
            raise StateError(
                "this recording was used up by backward; "
                "call that with retain_graph=True, or look at it before"
            )
        if tensor._record is not None:
            stack.extend(parent for parent in tensor._record[2] if parent is not None)
    return reached


def _text(operation: Operation) -> str:
    """Name of an operation with the options that are not the default ones."""
    anything: Any = operation
    parameters = getattr(anything, "__dataclass_params__", None)
    if parameters is None or not parameters.repr:
        return str(operation)
    options = [
        f"{field.name}={getattr(operation, field.name)!r}"
        for field in fields(anything)
        if field.default is MISSING or getattr(operation, field.name) != field.default
    ]
    return f"{type(operation).__name__}({', '.join(options)})"


def _constant_text(value: Any) -> str:
    """Value of a number, shape of an array."""
    return f"{value:g}" if np.ndim(value) == 0 else f"array {np.shape(value)}"
