"""Recorder: writes a formula down as a graph while it runs on Tracers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

import numpy as np

from typegrad.operations.base import ParameterOperation
from typegrad.tracing import primitives
from typegrad.tracing.errors import TraceError
from typegrad.tracing.functions import HANDLERS, IN_PLACE, METADATA
from typegrad.tracing.graph import Call, Graph, Leaf, LeafKind, Node, operands
from typegrad.tracing.primitives import Guard, Opaque, Ufunc
from typegrad.tracing.scalar import Scalar
from typegrad.tracing.tracer import Tracer
from typegrad.types import AnyArray

_STATIC: Final = (bool, int, float, str, type(None), type(Ellipsis), np.dtype, type)


class NotTraceable(Exception):  # noqa: N818 - caught inside, and turned into an opaque step
    """An operation or layer cannot be traced; tracing begins anew with it as an opaque step."""

    def __init__(self, culprit: object, reason: Exception) -> None:
        super().__init__(str(reason))
        self.culprit = culprit
        self.reason = reason


class Recorder:
    """Holds the graph while it grows.

    Parameters
    ----------
    opaque
        Ids of the operations and layers that are not to be traced.
    concretely
        Called with an operation or layer, and entered while it runs on examples as an opaque
        step: gives parameters their real arrays.
    guards
        Whether a branch on an array's value may become a `Guard`.
    """

    def __init__(
        self,
        opaque: frozenset[int] = frozenset(),
        concretely: Callable[[object], AbstractContextManager[Any]] = nullcontext,
        *,
        guards: bool = True,
    ) -> None:
        self.opaque = opaque
        self.guards: bool = guards
        self.concretely = concretely
        self.calls: list[Call] = []
        self.states: list[tuple[Leaf, Tracer]] = []
        self.origin: object = None
        self.layer: object = None
        self._constants: dict[int, tuple[Leaf, AnyArray]] = {}
        self._viewed: set[int] = set()
        self._opaque_inputs: dict[int, tuple[Tracer, ...]] = {}

    # What a graph starts from, and the graph.

    def input(self, name: str, example: AnyArray) -> Tracer:
        """Return a Tracer for an array that will be given anew each time."""
        return Tracer(self, _leaf("input", name, example), example)

    def state(self, name: str, array: AnyArray) -> Tracer:
        """Return a Tracer for an array that the graph may update."""
        leaf = _leaf("state", name, array)
        leaf.array = array
        tracer = Tracer(self, leaf, array)
        self.states.append((leaf, tracer))
        return tracer

    def zeroed_state(self, name: str, array: AnyArray) -> Tracer:
        """Return a Tracer for a gradient that nothing was added to yet."""
        tracer = self.state(name, array)
        zero = self.call(primitives.zero_gradient, array.shape, array.dtype)
        tracer.node, tracer.example = zero.node, zero.example
        return tracer

    def finish(self, **outputs: Tracer) -> Graph:
        """Return what was written down."""
        updates = [
            (leaf, tracer.node)
            for leaf, tracer in self.states
            if tracer.node is not leaf and not _is_untouched_zero(tracer.node)
        ]
        return Graph(self.calls, {name: x.node for name, x in outputs.items()}, updates)

    def drifting(self) -> list[object]:
        """Return origins of calls on constants that are not what they were when first met."""
        changed = {
            id(leaf)
            for leaf, before in self._constants.values()
            if _array(leaf).tobytes() != before.tobytes()
        }
        return [
            call.origin
            for call in self.calls
            if any(id(node) in changed for node in operands(call))
        ]

    # Calls.

    def call(self, function: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
        """Run a function on examples and write it down."""
        lifted = tuple(self._lift(argument) for argument in arguments)
        examples = [_example(argument) for argument in arguments]
        result = function(*examples, **keywords)
        if not isinstance(result, np.ndarray | np.generic | bool | int | float):
            raise TraceError(f"{function} returns a {type(result).__name__}")
        array = np.asarray(result)
        base = examples[0] if examples else None
        is_view = isinstance(base, np.ndarray) and np.may_share_memory(array, base)
        node = Call(
            array.shape, array.dtype, array.strides, function, lifted, keywords,
            is_view=is_view, origin=self.origin or self.layer,
        )  # fmt: skip
        self.calls.append(node)
        if is_view and isinstance(lifted[0], Node):
            self._viewed.add(id(lifted[0]))
        return Tracer(self, node, array)

    def ufunc(
        self, ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], keywords: dict[str, Any]
    ) -> Any:
        """Write a ufunc's call down."""
        out = keywords.pop("out", None)
        if ufunc is np.add and method == "at" and isinstance(inputs[0], Tracer):
            target, index, value = inputs
            self.assign(target, self.call(primitives.add_at, target, _index(index), value))
            return None
        if method not in ("__call__", "reduce", "accumulate") or ufunc.nout != 1:
            raise TraceError(f"np.{ufunc.__name__}.{method} cannot be planned")
        if any(isinstance(value, Tracer) for value in keywords.values()):
            raise TraceError(f"np.{ufunc.__name__} with {', '.join(keywords)} cannot be planned")
        result = self.call(Ufunc(ufunc, method), *inputs, **keywords)
        if out is None:
            return result
        (target,) = out
        if not isinstance(target, Tracer):
            raise TraceError("it writes into an array that is not traced")
        self.assign(target, result)
        return target

    def function(self, function: Any, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """Write the call of one of NumPy's other functions down."""
        if function in METADATA:
            return function(*[_example(arg) for arg in args], **keywords)
        handler = HANDLERS.get(function)
        if handler is not None:
            return handler(self, *args, **keywords)
        if function in IN_PLACE or any(_has_tracer(value) for value in keywords.values()):
            raise TraceError(f"np.{function.__name__} with these arguments cannot be planned")
        return self.call(function, *args, **keywords)

    def getitem(self, x: Tracer, index: Any) -> Any:
        """Write x[index] down."""
        parts = index if isinstance(index, tuple) else (index,)
        basic = all(isinstance(part, int | slice | type(None) | type(Ellipsis)) for part in parts)
        if basic and Ellipsis not in parts:
            parts = (*parts, Ellipsis)  # an array without axes rather than a scalar: a view
        return self.call(primitives.getitem, x, _index(parts))

    def setitem(self, x: Tracer, index: Any, value: Any) -> None:
        """Write x[index] = value down."""
        self.assign(x, self.call(primitives.setitem, x, _index(index), value))

    def assign(self, target: Tracer, value: Tracer) -> None:
        """Let `target` have a new value from here on, in its own dtype."""
        is_view = isinstance(target.node, Call) and target.node.is_view
        if is_view or id(target.node) in self._viewed or value.shape != target.shape:
            raise TraceError("it changes an array in place that other names may stand for too")
        if value.dtype != target.dtype:
            value = value.astype(target.dtype)
        target.node, target.example = value.node, value.example

    def guard(self, condition: Tracer) -> bool:
        """Return the branch that the example takes, and see that others take it too."""
        if not self.guards:
            raise TraceError("it branches on an array's value")
        expected = bool(condition.example)
        node = Call(
            (), np.dtype(np.bool_), (), Guard(expected), (condition.node,),
            effect=True, origin=self.origin or self.layer,
        )  # fmt: skip
        self.calls.append(node)
        return expected

    # Operations.

    def forward(self, operation: Any, inputs: tuple[Any, ...]) -> Any:
        """Trace an operation, or write it down as an opaque step."""
        # Arrays too: what a hook computes from a parameter alone must be written down.
        tracers = tuple(self._as_tracer(x) for x in inputs)
        if id(operation) in self.opaque:
            self._opaque_inputs[id(operation)] = tracers
            return self.opaque_call(f"{operation}.forward", _runner(operation), tracers, operation)
        return self.within(operation, lambda: operation.run(tracers))

    def backward(self, operation: Any, output_grad: Tracer) -> Any:
        """Trace an operation's backward pass, or write it down as an opaque step."""
        if id(operation) in self.opaque:
            return self._opaque_backward(operation, output_grad)
        return self.within(operation, lambda: operation.run_backward(output_grad))

    def _opaque_backward(self, operation: Any, output_grad: Tracer) -> Any:
        """Write the backward pass down; adding to the parameters' gradients is no part of it."""
        has_parameters = isinstance(operation, ParameterOperation)
        run = operation.all_gradients if has_parameters else operation.run_backward
        kept = self._opaque_inputs.get(id(operation), ())
        computed = self.opaque_call(
            f"{operation}.backward", run, (output_grad,), operation, kept=kept
        )
        if not has_parameters:
            return computed
        input_grad, *grads = computed
        for parameter, grad in zip(operation.parameters, grads, strict=True):
            np.add(parameter.grad, grad, out=parameter.grad)
        return input_grad

    def within(self, origin: object, run: Callable[[], Any]) -> Any:
        """Run a part; if it cannot be traced, say which part it was, the outermost.

        Raises
        ------
        NotTraceable
            With the part and the reason.
        """
        if self.origin is not None:
            return run()
        self.origin = origin
        try:
            return run()
        except NotTraceable:
            raise
        except Exception as error:
            raise NotTraceable(origin, error) from error
        finally:
            self.origin = None

    def within_layer(self, layer: object, run: Callable[[], Any]) -> Any:
        """Run a layer; what fails outside its operations is the layer's doing.

        Raises
        ------
        NotTraceable
            With the operation or the layer, and the reason.
        """
        self.layer = layer
        try:
            return run()
        except NotTraceable:
            raise
        except Exception as error:
            raise NotTraceable(layer, error) from error
        finally:
            self.layer = None

    def opaque_call(
        self,
        name: str,
        run: Callable[..., Any],
        inputs: tuple[Tracer, ...],
        origin: object,
        *,
        kept: tuple[Tracer, ...] = (),
    ) -> Any:
        """Write down a step that runs as it is written; return a Tracer, or a tuple of them.

        It may read, besides its inputs, arrays that an earlier step got: what is kept.
        """
        with self.concretely(origin):
            computed = run(*[x.example for x in inputs])
        several = isinstance(computed, tuple)
        arrays = tuple(np.asarray(each) for each in (computed if several else (computed,)))
        results = tuple(_leaf("result", "", array) for array in arrays)
        function = Opaque(name, run, len(inputs))
        arguments = tuple(x.node for x in (*inputs, *kept))
        self.calls.append(
            Call((), np.dtype(object), (), function, arguments, effect=True,
                 results=results, origin=origin)
        )  # fmt: skip
        tracers = tuple(
            Tracer(self, leaf, array) for leaf, array in zip(results, arrays, strict=True)
        )
        return tracers if several else tracers[0]

    def _as_tracer(self, x: Any) -> Tracer:
        if isinstance(x, Tracer):
            return x
        return Tracer(self, self._constant(x), x)

    def _lift(self, value: Any) -> Any:
        """Turn an argument into what a call holds: nodes, static values, tuples of them."""
        if isinstance(value, Tracer):
            if value.recorder is not self:
                raise TraceError("it uses an array that was computed in an earlier step")
            return value.node
        if isinstance(value, np.ndarray):
            return self._constant(value)
        if isinstance(value, np.generic):
            return _literal(np.asarray(value))
        if isinstance(value, Scalar):
            leaf = _leaf("scalar", value.text, np.asarray(value.example))
            leaf.scalar = value
            return leaf
        if isinstance(value, tuple | list):
            return tuple(self._lift(part) for part in value)
        if isinstance(value, _STATIC) or _is_plain_slice(value):
            return value
        raise TraceError(f"it gives NumPy a {type(value).__name__}")

    def _constant(self, array: AnyArray) -> Leaf:
        """Return the leaf of an array that is read where it lies."""
        if id(array) not in self._constants:
            for state, tracer in self.states:
                if tracer.node is not state and np.may_share_memory(array, _array(state)):
                    raise TraceError("it reads memory that the same step changes")
            leaf = _leaf("constant", "", array)
            leaf.array = array
            self._constants[id(array)] = (leaf, array.copy())
        return self._constants[id(array)][0]


def _runner(operation: Any) -> Callable[..., Any]:
    return lambda *arrays: operation.run(arrays)


def _leaf(kind: LeafKind, name: str, array: AnyArray) -> Leaf:
    return Leaf(array.shape, array.dtype, array.strides, kind, name)


def _literal(array: AnyArray) -> Leaf:
    leaf = _leaf("literal", str(array), array)
    leaf.array = array
    return leaf


def _array(leaf: Leaf) -> AnyArray:
    assert leaf.array is not None  # states and constants have memory
    return leaf.array


def _index(index: Any) -> tuple[Any, ...]:
    parts = index if isinstance(index, tuple) else (index,)
    return tuple(_index_part(part) for part in parts)


def _index_part(part: Any) -> Any:
    if isinstance(part, list):
        return np.array(part)
    return int(part) if isinstance(part, np.integer) else part


def _example(argument: Any) -> Any:
    if isinstance(argument, Tracer | Scalar):
        return argument.example
    if isinstance(argument, tuple | list):
        return type(argument)(_example(part) for part in argument)
    return argument


def _is_plain_slice(value: Any) -> bool:
    return isinstance(value, slice) and all(
        isinstance(part, int | None) for part in (value.start, value.stop, value.step)
    )


def _has_tracer(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return any(_has_tracer(part) for part in value)
    return isinstance(value, Tracer)


def _is_untouched_zero(node: Node) -> bool:
    return isinstance(node, Call) and node.function is primitives.zero_gradient
