"""What tracing writes down, and what it refuses."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import typegrad as tg
from typegrad.engines.planned_calls import plan
from typegrad.engines.planned_memory import Arena
from typegrad.tracing import NotTraceable, Recorder, Scalar, TraceError, evaluate, simplify
from typegrad.tracing.primitives import GuardFailed
from typegrad.tracing.scalar import DEEPEST, of_scalars

X = np.arange(6.0).reshape(2, 3)


def recorded() -> tuple[Recorder, Any]:
    recorder = Recorder()
    return recorder, recorder.input("x", X)


def test_a_graph_as_text() -> None:
    recorder, x = recorded()
    weight: Any = recorder.state("weight", np.ones((3, 2)))
    product = x @ weight
    loss = np.sum(np.where(product > 0, product, 0.5)[:, 1:] * np.array([2.0]))
    np.subtract(weight, 0.1 * np.swapaxes(x, 0, 1) @ product, out=weight)
    assert str(simplify(recorder.finish(loss=loss))) == (
        "%0 = input x  float64 (2, 3)\n"
        "%1 = state weight  float64 (3, 2)\n"
        "%2 = constant   float64 (1,)\n"
        "%3 = matmul(%0, %1)  float64 (2, 2)\n"
        "%4 = greater(%3, 0)  bool (2, 2)\n"
        "%5 = where(%4, %3, 0.5)  float64 (2, 2)\n"
        "%6 = getitem(%5, (:, 1:, ...))  float64 (2, 1)\n"
        "%7 = multiply(%6, %2)  float64 (2, 1)\n"
        "%8 = add.reduce(%7, axis=None)  float64 ()\n"
        "%9 = swapaxes(%0, 0, 1)  float64 (3, 2)\n"
        "%10 = multiply(0.1, %9)  float64 (3, 2)\n"
        "%11 = matmul(%10, %3)  float64 (3, 2)\n"
        "%12 = subtract(%1, %11)  float64 (3, 2)\n"
        "output loss = %8\n"
        "update %1 = %12"
    )


def test_operations_are_named() -> None:
    recorder, x = recorded()
    tanh = tg.Tanh()
    y: Any = tanh.forward(x)
    grad: Any = tanh.backward(y)
    text = str(recorder.finish(grad=grad))
    assert "%1 = tanh(%0)  float64 (2, 3)  Tanh()" in text
    assert "%4 = multiply(%1, %3)  float64 (2, 3)  Tanh()" in text


def test_common_subexpressions_and_dead_code() -> None:
    recorder, x = recorded()
    np.exp(x)
    y = np.tanh(x) + np.tanh(x)
    graph = recorder.finish(y=y)
    assert len(graph.calls) == 4
    assert len(simplify(graph).calls) == 2


@pytest.mark.parametrize(
    "formula",
    [
        lambda x: x * 1.0,
        lambda x: 1 * x,
        lambda x: x / 1,
        lambda x: x * np.ones_like(x),
        lambda x: np.reshape(x, (2, 3)),
        lambda x: np.broadcast_to(x, (2, 3)),
        lambda x: x.astype(np.float64),
        lambda x: np.copy(x, order="K"),
        lambda x: +x,
    ],
)
def test_what_changes_nothing_is_left_out(formula: Callable[[Any], Any]) -> None:
    recorder, x = recorded()
    assert simplify(recorder.finish(y=formula(x))).calls == []


@pytest.mark.parametrize(
    "formula",
    [
        lambda x: x * np.ones((2, 1), np.float32).astype(np.float32)[:, :, None],
        lambda x: x + 0.0,
        lambda x: x - 0.0,
        lambda x: np.flip(x, axis=0),
        lambda x: np.swapaxes(x[:2, :2], 0, 1),
    ],
)
def test_what_may_change_something_stays(formula: Callable[[Any], Any]) -> None:
    recorder, x = recorded()
    assert simplify(recorder.finish(y=formula(x))).calls != []


def test_plus_and_minus_zero_are_different() -> None:
    recorder, x = recorded()
    y = np.copysign(x, 0.0) + np.copysign(x, -0.0)
    assert len(simplify(recorder.finish(y=y)).calls) == 3


def test_literals_are_computed_beforehand() -> None:
    recorder, x = recorded()
    graph = simplify(recorder.finish(y=x + np.exp(np.zeros_like(x)) * 3.0))
    assert [call.function.__name__ for call in graph.calls] == ["add"]
    assert evaluate(graph, {"x": X})["y"].tolist() == (X + 3.0).tolist()


def test_constants_are_read_where_they_lie() -> None:
    recorder, x = recorded()
    constant = np.ones(3)
    graph = simplify(recorder.finish(y=x * constant))
    planned = plan(graph, Arena())
    np.copyto(planned.inputs["x"], X)
    constant[:] = 5.0
    planned.run()
    assert planned.outputs["y"].tolist() == (5.0 * X).tolist()
    assert len(recorder.drifting()) == 1


def test_updates_see_each_other_s_old_values() -> None:
    recorder = Recorder()
    arrays = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    one: Any = recorder.state("one", arrays[0])
    two: Any = recorder.state("two", arrays[1])
    old_one, old_two = np.copy(one), np.copy(two)
    one[...] = old_two
    two[...] = old_one + old_two
    graph = simplify(recorder.finish())
    plan(graph, Arena()).run()
    assert [array.tolist() for array in arrays] == [[3.0, 4.0], [4.0, 6.0]]
    evaluate(graph, {})
    assert [array.tolist() for array in arrays] == [[4.0, 6.0], [7.0, 10.0]]


@of_scalars
def largest_power(base: float, limit: float) -> float:
    power = 1.0
    while power * base <= limit:
        power *= base
    return power


def test_a_function_of_numbers_takes_scalars() -> None:
    assert largest_power(2.0, 100.0) == 64.0
    limit: Any = Scalar.named("limit", 100.0)
    power: Any = largest_power(2.0, limit / 2.0)
    assert repr(power) == "largest_power(2.0, (limit / 2.0))"
    assert power.example == 32.0
    assert (power + 1.0).evaluate({"limit": 20.0}) == 9.0
    limits: Any = np.array([20.0, 100.0])
    np.testing.assert_array_equal(power.evaluate({"limit": limits}), [8.0, 32.0])


def test_powers_of_many_numbers() -> None:
    """Their error is that of numbers near one, wherever they come from."""
    step: Any = Scalar.named("step", 1)
    numbers = np.array([1.0, 2.0, 3000.0, 8000.0, 1e6])
    for base in (0.9, 0.999, 1.0, 1.5, 0.0):
        power: Any = base**step
        values = np.minimum(numbers, 1000.0) if base > 1.0 else numbers
        found = power.evaluate({"step": values})
        expected = [base**value for value in values.tolist()]
        np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-150)
        if base < 1.0:
            np.testing.assert_allclose(found, expected, rtol=0.0, atol=2.0**-53)
        assert power.evaluate({"step": 8000 if base <= 1.0 else 8}) == base ** (
            8000 if base <= 1.0 else 8
        )


def test_a_scalar_is_computed_once() -> None:
    calls: list[float] = []

    @of_scalars
    def noted(number: float) -> float:
        calls.append(number)
        return 2.0 * number

    double: Any = noted(Scalar.named("rate", 1.0))
    calls.clear()
    assert (double * double + double).evaluate({"rate": 3.0}) == 42.0
    assert calls == [3.0]


def test_scalars() -> None:
    recorder, x = recorded()
    rate: Any = Scalar.named("rate", 0.5)
    step: Any = Scalar.named("step", 1)
    size = -rate / (1.0 - 0.5**step) + (2 * step - 1) * 3.0 - rate
    assert str(size) == "(((-rate / (1.0 - (0.5 ** step))) + (((2 * step) - 1) * 3.0)) - rate)"
    graph = simplify(recorder.finish(y=x * size + size))
    assert evaluate(graph, {"x": X}, {"rate": 0.25, "step": 2})["y"][1, 2] == pytest.approx(
        6.0 * (-0.25 / 0.75 + 9.0 - 0.25)
    )
    planned = plan(graph, Arena())
    np.copyto(planned.inputs["x"], X)
    planned.scalars.set({"rate": 0.25, "step": 2})
    planned.run()
    expected = evaluate(graph, {"x": X}, {"rate": 0.25, "step": 2})["y"]
    assert planned.outputs["y"].tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    "use",
    [float, int, bool, lambda rate: rate > 1, lambda rate: np.ones(2) * rate],
)
def test_scalars_have_no_value_yet(use: Callable[[Any], Any]) -> None:
    with pytest.raises(TraceError, match="rate"):
        use(Scalar.named("rate", 0.5))


def test_scalars_do_not_follow_on_each_other_for_ever() -> None:
    rate: Any = Scalar.named("rate", 0.5)
    for _ in range(DEEPEST):
        rate = rate * 0.5
    assert rate.evaluate({"rate": 1.0}) == 0.5**DEEPEST
    assert isinstance(hash(rate.key), int)
    with pytest.raises(TraceError, match="more than 100 operations one after the other"):
        rate * 0.5


def test_scalars_do_not_double_for_ever() -> None:
    def root(number: Any, rounds: int) -> Any:
        found = number
        for _ in range(rounds):
            found = 0.5 * (found + number / found)
        return found

    rate = Scalar.named("rate", 2.0)
    assert root(rate, 5).evaluate({"rate": 9.0}) == pytest.approx(3.0, rel=1e-6)
    with pytest.raises(TraceError, match="a formula of more than 1000"):
        root(rate, 20)


def test_guards() -> None:
    recorder, x = recorded()
    y = x * 2.0 if np.max(x) > 3 else x
    graph = simplify(recorder.finish(y=y))
    assert evaluate(graph, {"x": X})["y"].tolist() == (X * 2.0).tolist()
    with pytest.raises(GuardFailed):
        evaluate(graph, {"x": 0.0 * X})


def test_a_failing_guard_leaves_states_as_they_were() -> None:
    recorder, x = recorded()
    array = np.zeros(3)
    state: Any = recorder.state("state", array)
    state[...] = np.sum(x, axis=0)
    bool(np.max(x) > 3)
    planned = plan(simplify(recorder.finish()), Arena())
    np.copyto(planned.inputs["x"], -X)
    with pytest.raises(GuardFailed):
        planned.run()
    assert array.tolist() == [0.0, 0.0, 0.0]


ONE_TRACE = Recorder().input("x", X)

REFUSED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "float": (lambda x: float(x[0, 0]), "it turns an array's value into a Python number"),
    "item": (lambda x: x.sum().item(), "it turns an array's value into a Python number"),
    "list": (lambda x: x.tolist(), "it turns an array's value into a Python number"),
    "foreign code": (np.asarray, "it hands its values to code that is not NumPy's"),
    "earlier trace": (lambda x: x + ONE_TRACE, "it uses an array that was computed in an earlier"),
    "choices of where": (lambda x: np.where(x > 0), "np.where without choices"),
    "two results": (np.modf, "np.modf.__call__ cannot be planned"),
    "outer": (lambda x: np.add.outer(x, x), "np.add.outer cannot be planned"),
    "several arrays": (lambda x: np.split(x, 2), "returns a list"),
    "where=": (lambda x: np.sum(x, where=x > 1), "np.add with axis, where cannot be planned"),
    "in place": (lambda x: np.putmask(x, x > 0, 0.0), "np.putmask with these arguments"),
    "into an array": (lambda x: np.add(x, 1.0, out=X.copy()), "it writes into an array that is"),
    "like an array": (lambda x: np.full_like(x, x), "np.full_like with an array"),
    "keyword array": (lambda x: np.diff(X, append=x), "np.diff with these arguments"),
    "object": (lambda x: np.reshape(x, {1: 2}), "it gives NumPy a dict"),
    "mean of integers": (lambda x: np.mean(x.astype(int)), "the mean of int64 cannot be planned"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    formula, reason = REFUSED[name]
    _, x = recorded()
    with pytest.raises(TraceError, match=re.escape(reason)):
        formula(x)


def test_changes_seen_through_views_are_refused() -> None:
    _, x = recorded()
    part = x[0]
    with pytest.raises(TraceError, match="other names may stand for"):
        part += 1.0
    with pytest.raises(TraceError, match="other names may stand for"):
        x[1] = 0.0


def test_memory_that_the_step_changes_is_refused() -> None:
    recorder = Recorder()
    array = np.ones(3)
    state: Any = recorder.state("state", array)
    state += 1.0
    with pytest.raises(TraceError, match="it reads memory that the same step changes"):
        state * array[1:]


def test_the_culprit_is_the_outermost_operation() -> None:
    class Inner(tg.ElementwiseOperation):
        def output(self, x: Any) -> Any:
            return x * float(np.max(x))

        def input_grad(self, output_grad: Any, x: Any, y: Any) -> Any:
            return output_grad

    class Outer(Inner):
        def output(self, x: Any) -> Any:
            return Inner().forward(x)

    _, x = recorded()
    outer = Outer()
    with pytest.raises(NotTraceable, match="Python number") as caught:
        outer.forward(x)
    assert caught.value.culprit is outer
    opaque = Recorder(frozenset({id(outer)}))
    again: Any = opaque.input("x", X)
    y: Any = outer.forward(again)
    graph = opaque.finish(y=y)
    assert "%1 = Outer().forward(%0)  float64 (2, 3)  Outer()" in str(graph)
    assert evaluate(graph, {"x": 2.0 * X})["y"].tolist() == (20.0 * X).tolist()


def test_a_tracer_looks_like_an_array() -> None:
    _, x = recorded()
    assert (x.shape, x.ndim, x.size, x.dtype, len(x)) == ((2, 3), 2, 6, np.float64, 2)
    assert repr(x) == "Tracer(float64, shape=(2, 3))"
    with pytest.raises(AttributeError, match="a Tracer has no attribute 'flags'"):
        x.flags  # noqa: B018
    with pytest.raises(TypeError, match="len"):
        len(np.sum(x))
