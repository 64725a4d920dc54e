"""Operation: a formula and its derivative, checked at both ends.

A subclass writes its formulas in plain NumPy, in short hooks. `forward` and
`backward` are the base class's: they check types and shapes, call the hooks, undo
broadcasting, and name the operation and the operand when something does not fit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Generic, final

import numpy as np
from typing_extensions import TypeVarTuple

from typegrad.errors import DTypeError, ShapeError, StateError
from typegrad.operations.broadcasting import sum_to_shape
from typegrad.operations.layer_like import LayerLike
from typegrad.operations.observing import current_observer
from typegrad.operations.parameter import Parameter
from typegrad.types import Array, Shape

if TYPE_CHECKING:
    from typegrad.layers import Chain

# As dtypes and not as classes: comparing those with an array's dtype takes far longer.
_FLOATING = (np.dtype(np.float32), np.dtype(np.float64))


class Operation(ABC):
    """A differentiable function of arrays; base of the classes by arity.

    Subclass one of these instead, and write its hooks:

    ==================== ======================================================
    `UnaryOperation`      ``output(x)``, ``input_grad(output_grad, x, y)``
    `BinaryOperation`     ``output(left, right)``, ``left_grad(...)``, ``right_grad(...)``
    `NaryOperation`       ``output(*inputs)``, ``input_grad(index, ...)``
    `ParameterOperation`  ``output(x, *parameters)``, ``input_grad(...)``,
                          ``parameter_grads(...)``
    ==================== ======================================================

    Options of an operation are fields of a frozen dataclass. What ``forward`` keeps for
    ``backward`` is this class's business: hooks get everything they need as arguments.

    Formulas use NumPy functions and operators and nothing else, never in place, so
    that NumPy's dispatch can run them on other array types. Python floats keep the
    arrays' dtype; NumPy float64 scalars would not, and are reported.
    """

    broadcasts: ClassVar[bool] = False
    """Whether operands are broadcast; gradients are then summed over broadcast axes."""

    gradient_reads_inputs: ClassVar[bool] = True
    """Whether gradient hooks read more of their inputs than shapes and dtypes.

    If not, a recording need not protect constants among them from being changed.
    """

    _saved: tuple[tuple[Array, ...], Array] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Copies and pickles start afresh: what `forward` keeps is for this object's `backward`."""
        return {name: value for name, value in vars(self).items() if name != "_saved"}

    def output_shape(self, *input_shapes: Shape) -> Shape | None:
        """Work out the output's shape before anything is computed.

        Override it to reject shapes that do not fit, with `ShapeError`.

        Returns
        -------
        tuple of int or None
            None (the default) says that any result is accepted.
        """
        return None

    @abstractmethod
    def _evaluate(self, inputs: tuple[Array, ...]) -> Array:
        """Call the output hook."""

    @abstractmethod
    def _gradient(
        self, index: int, output_grad: Array, inputs: tuple[Array, ...], output: Array
    ) -> Array:
        """Call the gradient hook of input `index`."""

    def _operand_name(self, index: int) -> str:
        return f"input {index}"

    def _check_inputs(self, inputs: tuple[Array, ...]) -> None:
        """Require floating arrays of one dtype."""
        for index, x in enumerate(inputs):
            require_floating(self, self._operand_name(index), x)
            if x.dtype != inputs[0].dtype:
                raise DTypeError(
                    f"{self}: {self._operand_name(0)} is {inputs[0].dtype} but "
                    f"{self._operand_name(index)} is {x.dtype}; convert one with .astype()"
                )

    def _forward(self, inputs: tuple[Array, ...]) -> Array:
        for x in inputs:
            if type(x) is not np.ndarray:
                apply_to = getattr(type(x), "__apply_operation__", None)
                if apply_to is not None:
                    recorded: Array = apply_to(self, inputs)
                    return recorded
        return self.run(inputs)

    @final
    def run(self, inputs: tuple[Array, ...]) -> Array:
        """Check the inputs, compute the output, check it, and keep both for `backward`.

        This is `forward` for arrays that do not record what is done to them.
        """
        output = self.compute(inputs)
        object.__setattr__(self, "_saved", (inputs, output))
        return output

    @final
    def compute(self, inputs: tuple[Array, ...]) -> Array:
        """Do what `run` does, but keep nothing."""
        self._check_inputs(inputs)
        expected = self.output_shape(*[x.shape for x in inputs])
        output = self._as_array(None, self._evaluate(inputs))
        if expected is not None and output.shape != expected:
            raise ShapeError(
                f"{self}.output returned shape {output.shape}; expected {expected} for "
                f"inputs of shapes {', '.join(str(x.shape) for x in inputs)}"
            )
        self._check_dtype(None, output, inputs[-1])
        if (observer := current_observer.get()) is not None:
            observer(self, "forward", inputs, output)
        return output

    def _last_run(self) -> tuple[tuple[Array, ...], Array]:
        """Inputs and output of the last `forward`."""
        if self._saved is None:
            raise StateError(f"{self}.backward was called before forward")
        return self._saved

    def _saved_for(self, output_grad: Array) -> tuple[tuple[Array, ...], Array]:
        """Inputs and output of the last `forward`, once `output_grad` is known to fit it."""
        inputs, output = self._last_run()
        require_floating(self, "output_grad", output_grad)
        if output_grad.shape != output.shape:
            raise ShapeError(
                f"{self}.backward got output_grad of shape {output_grad.shape}; "
                f"expected the output's shape {output.shape}"
            )
        if output_grad.dtype != output.dtype:
            raise DTypeError(
                f"{self}.backward got output_grad of dtype {output_grad.dtype}; "
                f"expected the output's {output.dtype}, convert it with .astype()"
            )
        return inputs, output

    def _backward(self, output_grad: Array) -> Any:
        apply_to = getattr(type(output_grad), "__apply_backward__", None)
        if apply_to is not None:
            return apply_to(self, output_grad)
        return self.run_backward(output_grad)

    def run_backward(self, output_grad: Array) -> Any:
        """Check `output_grad`, and compute what `backward` returns.

        This is `backward` for arrays that do not record what is done to them.
        """
        raise NotImplementedError(f"{self} has no backward of one argument")

    @final
    def gradient(
        self, index: int, output_grad: Array, inputs: tuple[Array, ...], output: Array
    ) -> Array:
        """Gradient with respect to input `index`, in that input's shape; keeps no state.

        Parameters
        ----------
        index
            Position of the input.
        output_grad
            Gradient with respect to the output, of its shape.
        inputs, output
            What ``forward`` got and gave.
        """
        grad = self._gradient(index, output_grad, inputs, output)
        return self._checked_gradient(index, output_grad, grad, inputs[index])

    def _checked_gradient(
        self, index: int, output_grad: Array, computed: Array, target: Array
    ) -> Array:
        """Bring what a gradient hook returned to the shape of its input `target`."""
        grad = self._as_array(index, computed)
        if self.broadcasts and grad.shape != target.shape:
            grad = self._as_array(index, sum_to_shape(grad, target.shape))
        if grad.shape != target.shape:
            raise ShapeError(
                f"{self}: the {self._result_name(index)} has shape {grad.shape}; "
                f"expected the shape of that input, {target.shape}"
            )
        self._check_dtype(index, grad, target)
        if (observer := current_observer.get()) is not None:
            observer(self, "backward", (output_grad,), grad)
        return grad

    def _result_name(self, index: int | None) -> str:
        """Name of a result in messages: the output's for None, else a gradient's."""
        if index is None:
            return "output"
        return f"gradient with respect to {self._operand_name(index)}"

    def _as_array(self, index: int | None, computed: Any) -> Array:
        """Require an array, but take NumPy's scalars, which it gives for results without axes."""
        if isinstance(computed, np.generic):
            return np.asarray(computed)
        if not hasattr(computed, "shape") or not hasattr(computed, "dtype"):
            raise DTypeError(
                f"{self}: the {self._result_name(index)} is a {type(computed).__name__}; "
                "expected an array, check what the hook returns"
            )
        array: Array = computed
        return array

    def _check_dtype(self, index: int | None, result: Array, like: Array) -> None:
        if result.dtype != like.dtype:
            raise DTypeError(
                f"{self}: the {self._result_name(index)} is {result.dtype} but the inputs are "
                f"{like.dtype}; write constants as Python floats, since NumPy float64 scalars "
                "turn float32 arrays into float64"
            )

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class UnaryOperation(Operation):
    """An operation on one array.

    Examples
    --------
    >>> class Square(UnaryOperation):
    ...     def output(self, x: Array) -> Array:
    ...         return x * x
    ...
    ...     def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
    ...         return output_grad * 2.0 * x
    >>> square = Square()
    >>> square.forward(np.array([1.0, 2.0, 3.0]))
    array([1., 4., 9.])
    >>> square.backward(np.array([1.0, 1.0, 1.0]))
    array([2., 4., 6.])
    """

    @abstractmethod
    def output(self, x: Array) -> Array:
        """Hook: the result for input `x`."""

    @abstractmethod
    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        """Hook: dL/dx, of x's shape, given dL/dy, the input x and the output y."""

    @final
    def forward(self, x: Array) -> Array:
        """Compute the output, and keep what `backward` needs."""
        return self._forward((x,))

    @final
    def backward(self, output_grad: Array) -> Array:
        """Gradient with respect to the input of the last `forward`."""
        computed: Array = self._backward(output_grad)
        return computed

    @final
    def run_backward(self, output_grad: Array) -> Array:
        inputs, output = self._saved_for(output_grad)
        return self.gradient(0, output_grad, inputs, output)

    def _evaluate(self, inputs: tuple[Array, ...]) -> Array:
        return self.output(inputs[0])

    def _gradient(
        self, index: int, output_grad: Array, inputs: tuple[Array, ...], output: Array
    ) -> Array:
        return self.input_grad(output_grad, inputs[0], output)

    def _operand_name(self, index: int) -> str:
        return "the input"


class ElementwiseOperation(UnaryOperation, LayerLike):
    """A unary operation whose output has its input's shape."""

    if TYPE_CHECKING:

        def __rshift__(self, after: ElementwiseOperation) -> Chain: ...

    def output_shape(self, *input_shapes: Shape) -> Shape | None:
        """Shape of the input."""
        return input_shapes[0]


class BinaryOperation(Operation):
    """An operation on two arrays."""

    @abstractmethod
    def output(self, left: Array, right: Array) -> Array:
        """Hook: the result for inputs `left` and `right`."""

    @abstractmethod
    def left_grad(self, output_grad: Array, left: Array, right: Array, y: Array) -> Array:
        """Hook: dL/d left, given dL/dy, both inputs and the output y."""

    @abstractmethod
    def right_grad(self, output_grad: Array, left: Array, right: Array, y: Array) -> Array:
        """Hook: dL/d right, given dL/dy, both inputs and the output y."""

    @final
    def forward(self, left: Array, right: Array) -> Array:
        """Compute the output, and keep what `backward` needs."""
        return self._forward((left, right))

    @final
    def backward(self, output_grad: Array) -> tuple[Array, Array]:
        """Gradients with respect to both inputs of the last `forward`."""
        computed: tuple[Array, Array] = self._backward(output_grad)
        return computed

    @final
    def run_backward(self, output_grad: Array) -> tuple[Array, Array]:
        inputs, output = self._saved_for(output_grad)
        return (
            self.gradient(0, output_grad, inputs, output),
            self.gradient(1, output_grad, inputs, output),
        )

    def _evaluate(self, inputs: tuple[Array, ...]) -> Array:
        return self.output(inputs[0], inputs[1])

    def _gradient(
        self, index: int, output_grad: Array, inputs: tuple[Array, ...], output: Array
    ) -> Array:
        hook = self.left_grad if index == 0 else self.right_grad
        return hook(output_grad, inputs[0], inputs[1], output)

    def _operand_name(self, index: int) -> str:
        return "left" if index == 0 else "right"


class NaryOperation(Operation):
    """An operation on any number of arrays."""

    @abstractmethod
    def output(self, *inputs: Array) -> Array:
        """Hook: the result for `inputs`."""

    @abstractmethod
    def input_grad(
        self, index: int, output_grad: Array, inputs: tuple[Array, ...], y: Array
    ) -> Array:
        """Hook: dL/d inputs[index], given dL/dy, all inputs and the output y."""

    @final
    def forward(self, *inputs: Array) -> Array:
        """Compute the output, and keep what `backward` needs."""
        if not inputs:
            raise ShapeError(f"{self}.forward needs at least one input; it got none")
        return self._forward(inputs)

    @final
    def backward(self, output_grad: Array) -> tuple[Array, ...]:
        """Gradients with respect to all inputs of the last `forward`."""
        computed: tuple[Array, ...] = self._backward(output_grad)
        return computed

    @final
    def run_backward(self, output_grad: Array) -> tuple[Array, ...]:
        inputs, output = self._saved_for(output_grad)
        return tuple(
            self.gradient(index, output_grad, inputs, output) for index in range(len(inputs))
        )

    def _evaluate(self, inputs: tuple[Array, ...]) -> Array:
        return self.output(*inputs)

    def _gradient(
        self, index: int, output_grad: Array, inputs: tuple[Array, ...], output: Array
    ) -> Array:
        return self.input_grad(index, output_grad, inputs, output)


Arrays = TypeVarTuple("Arrays")


class ParameterOperation(Operation, Generic[*Arrays]):
    """An operation on one array and on parameters that it holds.

    Write the number of parameters into the type, ``ParameterOperation[Array, Array]`` for
    two, and a type checker compares the hooks with it.

    Parameters
    ----------
    *parameters
        The parameters, in the order in which the hooks get their values.
    """

    def __init__(self, *parameters: Parameter) -> None:
        self.parameters = parameters

    @abstractmethod
    def output(self, x: Array, *parameters: *Arrays) -> Array:
        """Hook: the result for input `x` and the parameters' values."""

    @abstractmethod
    def input_grad(self, output_grad: Array, x: Array, y: Array, *parameters: *Arrays) -> Array:
        """Hook: dL/dx, given dL/dy, the input, the output and the parameters' values."""

    @abstractmethod
    def parameter_grads(
        self, output_grad: Array, x: Array, y: Array, *parameters: *Arrays
    ) -> tuple[*Arrays]:
        """Hook: dL/dp for each parameter, given the same as `input_grad`."""

    @final
    def forward(self, x: Array) -> Array:
        """Compute the output, and keep what `backward` needs."""
        return self._forward((x, *[parameter.value for parameter in self.parameters]))

    @final
    def backward(self, output_grad: Array) -> Array:
        """Add to each parameter's ``grad``, and return the gradient of the input."""
        computed: Array = self._backward(output_grad)
        return computed

    @final
    def run_backward(self, output_grad: Array) -> Array:
        # All are checked before any is added, so that an error leaves the sums as they were.
        input_grad, *grads = self.all_gradients(output_grad)
        for parameter, grad in zip(self.parameters, grads, strict=True):
            np.add(parameter.grad, grad, out=parameter.grad)
        return input_grad

    @final
    def all_gradients(self, output_grad: Array) -> tuple[Array, ...]:
        """Check `output_grad`; compute the gradients of the input and of each parameter."""
        inputs, output = self._saved_for(output_grad)
        computed = self._parameter_gradients(output_grad, inputs, output)
        grads = [
            self._checked_gradient(index, output_grad, grad, inputs[index])
            for index, grad in enumerate(computed, start=1)
        ]
        return (self.gradient(0, output_grad, inputs, output), *grads)

    def _parameter_gradients(
        self, output_grad: Array, inputs: tuple[Array, ...], output: Array
    ) -> tuple[Any, ...]:
        x, *values = inputs
        # The class does not know how many there are; the hook's own signature does.
        arguments: Any = values
        grads: tuple[Any, ...] = self.parameter_grads(output_grad, x, output, *arguments)
        if len(grads) != len(self.parameters):
            raise ShapeError(
                f"{self}.parameter_grads returned {len(grads)} gradients for "
                f"{len(self.parameters)} parameters"
            )
        return grads

    def _evaluate(self, inputs: tuple[Array, ...]) -> Array:
        x, *values = inputs
        arguments: Any = values
        return self.output(x, *arguments)

    def _gradient(
        self, index: int, output_grad: Array, inputs: tuple[Array, ...], output: Array
    ) -> Array:
        if index > 0:
            grad: Array = self._parameter_gradients(output_grad, inputs, output)[index - 1]
            return grad
        x, *values = inputs
        arguments: Any = values
        return self.input_grad(output_grad, x, output, *arguments)

    def _operand_name(self, index: int) -> str:
        return "the input" if index == 0 else f"parameter {index - 1}"


def require_floating(operation: object, operand: str, x: Array) -> None:
    """Raise `DTypeError` unless `x` is an array of float32 or float64."""
    dtype = getattr(x, "dtype", None)
    if dtype is None or not hasattr(x, "shape"):
        raise DTypeError(
            f"{operation}: {operand} is a {type(x).__name__}; "
            "expected an array, such as np.asarray(value, dtype=float) gives"
        )
    if dtype not in _FLOATING:
        raise DTypeError(
            f"{operation}: {operand} has dtype {dtype}; expected float32 or float64, "
            "convert it with .astype()"
        )
