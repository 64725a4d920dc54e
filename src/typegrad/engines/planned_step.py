"""Training steps and updates, traced into graphs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, replace
from operator import is_
from typing import TYPE_CHECKING, Any

import numpy as np

from typegrad.engines.base import TrainingData
from typegrad.engines.planned_comparison import first_difference
from typegrad.errors import TypegradError
from typegrad.layers import Layer, Mode, named_parts
from typegrad.operations.base import Operation
from typegrad.operations.observing import without_observer
from typegrad.operations.parameter import Parameter
from typegrad.optimizers import Optimizer
from typegrad.tracing import (
    Graph,
    NotTraceable,
    Recorder,
    Scalar,
    TraceError,
    Tracer,
    simplify,
)
from typegrad.types import Array, Vector

if TYPE_CHECKING:
    from typegrad.network import NeuralNetwork


@dataclass
class RunMode:
    """The mode of the pass that is being run: what opaque layers and masks look at."""

    mode: Mode


@dataclass(frozen=True)
class Uniform:
    """Primitive: the uniform numbers of a random mask, as `Mode.uniform` draws them."""

    current: RunMode
    path: tuple[int, ...]
    rows: int
    columns: int

    __name__ = "uniform"

    def __hash__(self) -> int:
        return hash((id(self.current), self.path, self.rows, self.columns))

    def __call__(self) -> Array:
        return self.mode.uniform(self.rows, self.columns)

    @property
    def mode(self) -> Mode:
        """Mode of the layer that asks, in the pass that is being run."""
        return replace(self.current.mode, path=self.path)


@dataclass(frozen=True)
class _TracedMode(Mode):
    """A mode whose random numbers are drawn anew each time the graph runs."""

    recorder: Recorder | None = None
    current: RunMode | None = None

    def uniform(self, rows: int, columns: int) -> Any:
        assert self.recorder is not None
        assert self.current is not None
        return self.recorder.call(Uniform(self.current, self.path, rows, columns))


class StepTracer:
    """Traces a network's training step, forward, loss and backward.

    Attributes
    ----------
    reasons : dict
        Operations and layers that could not be traced, by id, with the reason.
    written : set
        Attributes of layers and operations that a step sets, by the owner's id and name.
    guards : bool
        Whether branches on values are planned, for data that takes the same branch.
    checks_branches_first : bool
        Whether it is found out beforehand which branches all data takes. Otherwise a step may have
        to run anew, which an opaque part may not bear: there are no branches beside one.
    plannable : bool
        False once the network as a whole turned out not to be traceable.
    repeats : int
        How often each pass is traced, to find out whether it is always the same: 2, unless that
        is known already.
    """

    def __init__(self, network: NeuralNetwork, current: RunMode) -> None:
        self.network = network
        self.current = current
        self.reasons: dict[int, tuple[object, str]] = {}
        self.written: set[tuple[int, str]] = set()
        self.guards = True
        self.checks_branches_first = False
        self.plannable = True
        self.repeats = 2
        self._parameters = network.parameters
        self._buffers = network.buffers
        self._holders = find_holders(network)
        self._known = {id(holder) for holder in self._holders}

    def trace(self, batch: TrainingData, total: int, first: bool) -> Graph:
        """Trace a step on a batch like this one.

        Parameters
        ----------
        batch
            An example; shapes and dtypes matter, and the branches that it takes.
        total
            Rows of the whole step, of which the batch may be a part.
        first
            Whether it is the step's first batch, so that gradients start at zero.

        Raises
        ------
        TraceError
            If the network as a whole cannot be traced.
        """
        return self._trace(lambda recorder: {"loss": self._run(recorder, batch, total)}, first)

    def trace_forward(self, inputs: Array, finish: Callable[[Any], Any]) -> Graph:
        """Trace a forward pass; the graph's output is called ``outputs``.

        Parameters
        ----------
        inputs
            An example; shape and dtype matter.
        finish
            What to do with the last layer's output, such as `NeuralNetwork.in_target_units`.

        Raises
        ------
        TraceError
            If the network as a whole cannot be traced.
        """

        def run(recorder: Recorder) -> dict[str, Any]:
            mode = _TracedMode(**vars(self.current.mode), recorder=recorder, current=self.current)
            x: Any = recorder.input("inputs", inputs)
            for index, layer in enumerate(self.network.layers):
                x = self._forward(recorder, layer, x, mode, index)
            return {"outputs": recorder.within(self.network.loss, lambda: finish(x))}

        return self._trace(run, False)

    def _trace(self, run: Callable[[Recorder], dict[str, Any]], first: bool) -> Graph:
        """Write down what `run` does, as often as `repeats` says, and compare."""
        while True:
            try:
                # The second time meets what the first left in attributes and generators.
                with self._restored():
                    traces = [self._trace_once(run, first) for _ in range(self.repeats)]
                    drifting = [part for _, recorder in traces for part in recorder.drifting()]
            except NotTraceable as failure:
                self._give_up_on(failure.culprit, failure.reason)
                continue
            graph, again = traces[0][0], traces[-1][0]
            difference = first_difference(graph, again) if self.repeats > 1 else None
            if not drifting and difference is None:
                return simplify(graph)
            culprit = drifting[0] if difference is None else difference.origin
            self._give_up_on(culprit, TraceError("it computes something else each time"))

    def can_be_opaque(self, culprit: object) -> bool:
        """Whether it is a part of the network that is not opaque yet.

        An operation that a layer makes anew in each pass is none: nobody would find it again.
        """
        return id(culprit) in self._known and id(culprit) not in self.reasons

    def _give_up_on(self, culprit: object, reason: Exception) -> None:
        if not self.can_be_opaque(culprit):
            raise TraceError(f"{culprit or 'the network'}: {reason}") from reason
        self.reasons[id(culprit)] = (culprit, _reason_text(reason))

    def _trace_once(
        self, run: Callable[[Recorder], dict[str, Any]], first: bool
    ) -> tuple[Graph, Recorder]:
        guards = self.guards and (self.checks_branches_first or not self.reasons)
        recorder = Recorder(frozenset(self.reasons), self._concretely, guards=guards)
        with np.errstate(all="ignore"), without_observer(), self._traced_state(recorder, first):
            outputs = run(recorder)
        return recorder.finish(**outputs), recorder

    def _run(self, recorder: Recorder, batch: TrainingData, total: int) -> Any:
        network = self.network
        mode = _TracedMode(**vars(self.current.mode), recorder=recorder, current=self.current)
        layers = network.layers
        inputs: list[Any] = []
        x: Any = recorder.input("inputs", batch.inputs)
        for index, layer in enumerate(layers):
            inputs.append(x)
            x = self._forward(recorder, layer, x, mode, index)
        target: Any = recorder.input("targets", batch.targets)
        weights: Any = None
        if batch.weights is not None:
            weights = recorder.input("weights", batch.weights)
        loss: Any = network.loss.forward(x, target, weights, total_weight=total)
        grad = self._loss_backward(recorder, (x, target, weights))
        for layer, x in zip(reversed(layers), reversed(inputs), strict=True):
            grad = self._backward(recorder, layer, grad, x)
        return loss

    def _forward(self, recorder: Recorder, layer: Layer, x: Tracer, mode: Mode, index: int) -> Any:
        current = self.current
        if id(layer) in self.reasons:
            return recorder.opaque_call(
                f"{layer}.forward",
                lambda array: layer.forward(array, current.mode.inside(index)), (x,), layer,
            )  # fmt: skip
        traced: Any = x
        return recorder.within_layer(layer, lambda: layer.forward(traced, mode.inside(index)))

    def _backward(self, recorder: Recorder, layer: Layer, grad: Any, x: Tracer) -> Any:
        if id(layer) in self.reasons:
            return self._opaque_backward(recorder, layer, grad, x)
        return recorder.within_layer(layer, lambda: layer.backward(grad))

    def _opaque_backward(self, recorder: Recorder, layer: Layer, grad: Any, x: Tracer) -> Any:
        """Write a layer's backward pass down as a function of its parameters' gradients too."""
        parameters = [parameter for _, parameter in named_parts(layer, Parameter)]
        sums: list[Any] = [parameter.grad for parameter in parameters]

        def run(grad: Array, *before: Array) -> tuple[Array, ...]:
            for parameter, array in zip(parameters, before, strict=True):
                parameter.grad[...] = array
            return (layer.backward(grad), *[parameter.grad for parameter in parameters])

        # It reads what its forward got: that array must not be reused before.
        input_grad, *after = recorder.opaque_call(
            f"{layer}.backward", run, (grad, *sums), layer, kept=(x,)
        )
        for total, new in zip(sums, after, strict=True):
            recorder.assign(total, new)
        return input_grad

    def _loss_backward(self, recorder: Recorder, inputs: tuple[Any, ...]) -> Any:
        loss = self.network.loss
        if id(loss) in self.reasons:
            kept = tuple(x for x in inputs if x is not None)
            return recorder.opaque_call(f"{loss}.backward", loss.backward, (), loss, kept=kept)
        return recorder.within(loss, loss.backward)

    @contextmanager
    def _restored(self) -> Iterator[None]:
        """Undo all that tracing changes in layers and operations."""
        saved = [(holder, vars(holder), dict(vars(holder))) for holder in self._holders]
        generators = [
            (value.bit_generator, value.bit_generator.state)
            for _, attributes, _ in saved
            for value in attributes.values()
            if isinstance(value, np.random.Generator)
        ]
        arrays = [
            (value, value.copy())
            for _, attributes, _ in saved
            for value in attributes.values()
            if isinstance(value, np.ndarray) and value.flags.writeable
        ]
        containers = [
            ((id(holder), name), value, copy(value))
            for holder, attributes, _ in saved
            for name, value in attributes.items()
            if isinstance(value, list | dict)
        ]
        try:
            yield
        finally:
            for array, content in arrays:
                array[...] = content
            for key, container, parts in containers:
                found, noted = parts_of(container), parts_of(parts)
                if len(found) != len(noted) or not all(map(is_, found, noted)):
                    self.written.add(key)
                    _refill(container, parts)
            for holder, attributes, before in saved:
                self.written.update(
                    (id(holder), name)
                    for name, value in attributes.items()
                    if before.get(name, self) is not value
                )
                attributes.clear()
                attributes.update(before)
            for generator, state in generators:
                generator.state = state

    @contextmanager
    def _traced_state(self, recorder: Recorder, zeroed: bool) -> Iterator[None]:
        """Give parameters and buffers Tracers for a while."""
        held = [(part, dict(vars(part))) for part in self._state_parts()]
        try:
            start = recorder.zeroed_state if zeroed else recorder.state
            for name, parameter in self._parameters.items():
                attributes = vars(parameter)
                attributes["_grad"] = start(f"{name}.grad", parameter.grad)
                attributes["_value"] = recorder.state(name, parameter.value)
            for name, buffer in self._buffers.items():
                vars(buffer)["value"] = recorder.state(name, buffer.value)
            yield
        finally:
            for part, before in held:
                vars(part).update(before)

    @contextmanager
    def _concretely(self, owner: object) -> Iterator[None]:
        """Give parameters and buffers copies of their arrays, for an opaque step's example.

        Raises
        ------
        TraceError
            If it adds to gradients of parameters that are not its own.
        """
        own = named_parts(owner, Parameter) if isinstance(owner, Layer) else ()
        others = set(self._parameters.values()) - {parameter for _, parameter in own}
        held = [(part, dict(vars(part))) for part in self._state_parts()]
        try:
            for parameter in self._parameters.values():
                value: Any = parameter.value
                parameter.bind(value.example.copy(), np.zeros_like(value.example))
            for buffer in self._buffers.values():
                traced: Any = buffer.value
                buffer.value = traced.example.copy()
            yield
            if any(parameter.grad.any() for parameter in others):
                raise TraceError(f"{owner} adds to a gradient by itself")
        finally:
            for part, before in held:
                vars(part).update(before)

    def _state_parts(self) -> list[Any]:
        return [*self._parameters.values(), *self._buffers.values()]


def find_holders(network: NeuralNetwork) -> list[Any]:
    """Return all layers and operations, whose attributes a step may read or set."""
    kind: Any = Layer | Operation
    chain = network.chain
    return [chain, network.loss, *(part for _, part in named_parts(chain, kind))]


def parts_of(container: Any) -> tuple[Any, ...]:
    """Return what a list or tuple has, or a dict: its keys and values."""
    if isinstance(container, dict):
        return (*container, *container.values())
    return tuple(container)


def _refill(container: Any, content: Any) -> None:
    container.clear()
    (container.update if isinstance(container, dict) else container.extend)(content)


def trace_update(optimizer: Optimizer, flat: UpdateArrays, rate: float) -> Graph:
    """Trace an optimizer's step on flat vectors.

    Raises
    ------
    TraceError
        If the formula cannot be traced.
    """

    def trace_once() -> Graph:
        recorder = Recorder()
        values: Any = recorder.state("parameters", flat.values)
        grads: Any = recorder.state("gradient", flat.grads)
        state: Any = {name: recorder.state(name, array) for name, array in flat.state.items()}
        before = dict(state)
        rate_now: Any = Scalar.named("learning_rate", rate)
        step_now: Any = Scalar.named("step", optimizer.steps + 1)
        new_values: Any
        new_state: Any
        new_values, new_state = optimizer.formula(
            values, grads, state, rate_now, step_now, decay_mask=flat.decay_mask
        )
        target: Any = values
        if flat.new_values is not None:
            target = recorder.state("new parameters", flat.new_values)
        targets = [target, *before.values()]
        results = [new_values, *[new_state[name] for name in before]]
        # What each is before the first is assigned: a new state may be the old parameters.
        found = [Tracer(recorder, result.node, result.example) for result in results]
        for each, result in zip(targets, found, strict=True):
            recorder.assign(each, result)
        return recorder.finish()

    try:
        with np.errstate(all="ignore"):
            graph, again = trace_once(), trace_once()
    except (TypegradError, TypeError, ValueError, AttributeError) as error:
        raise TraceError(str(error)) from error
    if first_difference(graph, again) is not None:
        raise TraceError("it computes something else each time")
    return simplify(graph)


@dataclass(frozen=True)
class UpdateArrays:
    """What an update reads and writes: flat vectors.

    Attributes
    ----------
    values, grads, decay_mask, state
        What the optimizer's formula takes.
    new_values
        Where new parameters are written; None for where they were before.
    """

    values: Vector
    grads: Vector
    decay_mask: Vector
    state: dict[str, Vector]
    new_values: Vector | None = None


def _reason_text(reason: Exception) -> str:
    return str(reason) if isinstance(reason, TraceError) else f"{type(reason).__name__}: {reason}"
