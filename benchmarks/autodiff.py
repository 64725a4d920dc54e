"""Time of gradients of typical functions: typegrad beside other libraries for autodiff.

Each function is written once, with the functions that NumPy and its likes share, and each
library gets it with its own module in NumPy's place. Contestants take turns, so that what
slows the machine down slows all of them; medians are printed, and ratios of times taken in
the same turns. All compute in float64, in one process, without compilation (JAX would win
by far with it, once compiled), and every gradient is compared with typegrad's first.

Example: python benchmarks/autodiff.py --repeats 31
"""

from __future__ import annotations

import argparse
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from measuring.machine import describe_run, limit_threads, print_run, version_of
from measuring.tables import median_ratio, median_with_spread, print_table, write_json

Arguments = tuple[Any, ...]
ROUND_SECONDS = 0.01
"""What one turn takes at least, but for contestants that are slower than that in one call."""


@dataclass
class Case:
    """A function to differentiate with respect to its arguments, or along a direction."""

    name: str
    formula: Callable[..., Any]
    arguments: Arguments
    constants: Arguments = ()
    direction: Any = None


def scalar_chain(np: Any, x: Any) -> Any:
    """Fifty operations on a number."""
    for _ in range(10):
        x = np.sin(x) * np.exp(-x) + 0.5 * x
    return x


def small_arrays(np: Any, x: Any) -> Any:
    """Two hundred and fifty operations on arrays of ten."""
    for _ in range(50):
        x = np.tanh(1.01 * x + 0.1) / (1.0 + x * x)
    return np.sum(x)


def logistic(np: Any, w: Any, x: Any, y: Any) -> Any:
    """Loss of a logistic regression."""
    return np.mean(np.log1p(np.exp(-y * (x @ w))))


def network(np: Any, *arguments: Any) -> Any:
    """Squared error of a network of two hidden layers."""
    weight1, bias1, weight2, bias2, weight3, bias3, x, y = arguments
    hidden = np.tanh(x @ weight1 + bias1)
    hidden = np.tanh(hidden @ weight2 + bias2)
    return np.mean((hidden @ weight3 + bias3 - y) ** 2)


def products(np: Any, *matrices: Any) -> Any:
    """Sum of a product of matrices."""
    product = matrices[0]
    for matrix in matrices[1:]:
        product = product @ matrix
    return np.sum(product)


def cross_entropy(np: Any, weight: Any, x: Any, targets: Any) -> Any:
    """Softmax cross-entropy, by the log-sum-exp trick."""
    scores = x @ weight
    largest = np.max(scores, axis=1)
    total = np.sum(np.exp(scores - largest[:, None]), axis=1)
    return np.mean(np.log(total) + largest - np.sum(scores * targets, axis=1))


def rosenbrock(np: Any, x: Any) -> Any:
    """Rosenbrock's function, by slices."""
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def cases() -> list[Case]:
    """Functions with their arguments."""
    rng = np.random.default_rng(0)
    normal = rng.normal
    sizes = (8, 64, 64, 1)
    layers = [
        array
        for rows, columns in pairwise(sizes)
        for array in (normal(size=(rows, columns)) / np.sqrt(rows), np.zeros(columns))
    ]
    mixed: Arguments = (normal(size=(1000, 20)), np.sign(normal(size=1000)))
    rows: Arguments = (normal(size=(64, 8)), normal(size=(64, 1)))
    labelled: Arguments = (normal(size=(128, 20)), np.eye(10)[rng.integers(0, 10, 128)])
    coefficients, start = normal(size=20), normal(size=1000)
    matrices = tuple(normal(size=(64, 64)) for _ in range(5))
    weight = normal(size=(20, 10))
    along20, along1000 = normal(size=20), normal(size=1000)
    return [
        Case("50 operations on a number", scalar_chain, (np.array(0.5),)),
        Case("250 operations on arrays of 10", small_arrays, (normal(size=10),)),
        Case("logistic loss, 1000 x 20", logistic, (coefficients,), mixed),
        Case("network 8-64-64-1, 64 rows", network, tuple(layers), rows),
        Case("product of five 64 x 64", products, matrices),
        Case("softmax cross-entropy, 128 x 10", cross_entropy, (weight,), labelled),
        Case("Rosenbrock, 1000 variables", rosenbrock, (start,)),
        Case("Hessian times vector, logistic", logistic, (coefficients,), mixed, along20),
        Case("Hessian times vector, Rosenbrock", rosenbrock, (start,), (), along1000),
    ]


class Contestant(ABC):
    """A library for autodiff."""

    name: str
    distribution: str
    is_numpy_based = True

    @abstractmethod
    def prepare(self, case: Case) -> Callable[[], Any]:
        """Return a function that computes the derivatives once.

        Raises
        ------
        NotImplementedError
            If the library has no such derivative.
        """


class Typegrad(Contestant):
    """Differentiates with the function transformations."""

    name = distribution = "typegrad"

    def prepare(self, case: Case) -> Callable[[], Any]:
        from typegrad.autodiff import grad, hvp

        def f(*arguments: Any) -> Any:
            return case.formula(np, *arguments)

        if case.direction is not None:
            point = case.arguments[0]
            return lambda: hvp(lambda x: f(x, *case.constants), (point,), (case.direction,))
        gradient = grad(f, tuple(range(len(case.arguments))))
        return lambda: gradient(*case.arguments, *case.constants)


class Autograd(Contestant):
    """HIPS autograd, with its wrapped NumPy."""

    name = distribution = "autograd"

    def prepare(self, case: Case) -> Callable[[], Any]:
        import autograd
        import autograd.numpy as autograd_numpy

        def f(*arguments: Any) -> Any:
            return case.formula(autograd_numpy, *arguments)

        if case.direction is not None:
            product = autograd.hessian_vector_product(f)
            return lambda: product(case.arguments[0], *case.constants, case.direction)
        if len(case.arguments) == 1:
            gradient = autograd.grad(f)
            return lambda: (gradient(*case.arguments, *case.constants),)
        gradient = autograd.grad(f, tuple(range(len(case.arguments))))
        return lambda: gradient(*case.arguments, *case.constants)


class MyGrad(Contestant):
    """Tensors with ``backward``."""

    name = "MyGrad"
    distribution = "mygrad"

    def prepare(self, case: Case) -> Callable[[], Any]:
        import mygrad

        library: Any = mygrad  # its type hints do not say what it exports
        if case.direction is not None:
            raise NotImplementedError

        def run() -> Any:
            tensors = [library.tensor(argument) for argument in case.arguments]
            case.formula(library, *tensors, *case.constants).backward()
            return [tensor.grad for tensor in tensors]

        return run


class PyTorch(Contestant):
    """``torch.autograd.grad`` on tensors."""

    name = "PyTorch"
    distribution = "torch"
    is_numpy_based = False

    def prepare(self, case: Case) -> Callable[[], Any]:
        import torch

        names = ("sin", "exp", "log", "log1p", "tanh", "sum", "mean")
        functions = {name: getattr(torch, name) for name in names}
        module = SimpleNamespace(**functions, max=torch.amax)
        arguments = [torch.tensor(argument, requires_grad=True) for argument in case.arguments]
        constants = [torch.tensor(constant) for constant in case.constants]

        def run() -> Any:
            loss = case.formula(module, *arguments, *constants)
            if case.direction is None:
                return torch.autograd.grad(loss, arguments)
            (gradient,) = torch.autograd.grad(loss, arguments, create_graph=True)
            return torch.autograd.grad(gradient, arguments, torch.tensor(case.direction))

        return run


class Jax(Contestant):
    """Function transformations without ``jit``."""

    name = "JAX, eager"
    distribution = "jax"
    is_numpy_based = False

    def prepare(self, case: Case) -> Callable[[], Any]:
        import jax
        import jax.numpy as jax_numpy

        library: Any = jax  # not all of it has type hints
        library.config.update("jax_enable_x64", True)
        arguments = [jax_numpy.asarray(argument) for argument in case.arguments]
        constants = [jax_numpy.asarray(constant) for constant in case.constants]

        def f(*inner: Any) -> Any:
            return case.formula(jax_numpy, *inner, *constants)

        if case.direction is not None:
            tangents = (jax_numpy.asarray(case.direction),)
            return lambda: library.block_until_ready(
                jax.jvp(jax.grad(f), tuple(arguments), tangents)[1]
            )
        gradient = jax.grad(f, tuple(range(len(arguments))))
        return lambda: library.block_until_ready(gradient(*arguments))


@dataclass
class Result:
    """Times of one contestant on one case, in seconds a call."""

    contestant: Contestant
    run: Callable[[], Any] | None
    calls: int = 1
    seconds: list[float] = field(default_factory=list)

    def measure(self) -> None:
        """Take one turn."""
        if self.run is None:
            return
        started = time.perf_counter()
        for _ in range(self.calls):
            self.run()
        self.seconds.append((time.perf_counter() - started) / self.calls)

    def warm_up(self, round_seconds: float) -> None:
        """Run until caches are filled, and find how many calls fill a turn."""
        if self.run is None:
            return
        for _ in range(3):
            self.measure()
        self.calls = max(1, round(round_seconds / min(self.seconds)))
        self.seconds.clear()


def compete(
    case: Case, contestants: Sequence[Contestant], repeats: int, round_seconds: float
) -> list[Result]:
    """Let all contestants compute the same derivatives, in turns."""
    results = []
    for contestant in contestants:
        try:
            results.append(Result(contestant, contestant.prepare(case)))
        except NotImplementedError:
            results.append(Result(contestant, None))
    check(case, results)
    for result in results:
        result.warm_up(round_seconds)
    for turn in range(repeats):
        for result in random.Random(turn).sample(results, len(results)):
            result.measure()
    return results


def check(case: Case, results: Sequence[Result]) -> None:
    """Compare all derivatives with typegrad's."""
    expected = computed(results[0])
    for result in results[1:]:
        if result.run is None:
            continue
        for one, other in zip(expected, computed(result), strict=True):
            np.testing.assert_allclose(
                other, one, rtol=1e-7, atol=1e-9, err_msg=f"{result.contestant.name}: {case.name}"
            )


def computed(result: Result) -> list[Any]:
    """Derivatives as a list of arrays."""
    assert result.run is not None
    derivatives = result.run()
    several = isinstance(derivatives, tuple | list)
    return [np.asarray(each) for each in (derivatives if several else [derivatives])]


def report(
    all_results: Sequence[tuple[Case, list[Result]]], contestants: Sequence[Contestant]
) -> None:
    """Print times, and times relative to typegrad's."""
    header = ["", *[contestant.name for contestant in contestants]]
    times, ratios = [], []
    for case, results in all_results:
        first = results[0].seconds
        times.append([case.name])
        ratios.append([case.name])
        for result in results:
            if result.run is None:
                times[-1].append("-")
                ratios[-1].append("-")
                continue
            microseconds = [1e6 * seconds for seconds in result.seconds]
            times[-1].append(median_with_spread(microseconds))
            ratios[-1].append(f"{median_ratio(result.seconds, first):.2f}")
    print_table("µs per gradient, median ± half the quartiles' distance", header, times)
    print_table("Time relative to typegrad's", header, ratios)
    slower = [
        f"{result.contestant.name} in {case.name}"
        for case, results in all_results
        for result in results[1:]
        if result.run is not None
        and result.contestant.is_numpy_based
        and median_ratio(results[0].seconds, result.seconds) > 1.1
    ]
    print(f"NumPy-based and more than 10 % faster: {'; '.join(slower) or 'none'}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure as the command line asks."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=21, help="turns of each contestant (21)")
    parser.add_argument("--threads", type=int, default=1, help="cores that each may use (1)")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="contestants beside typegrad")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers to a file")
    parser.add_argument(
        "--smoke", action="store_true", help="two short turns, to see that all works"
    )
    options = parser.parse_args(arguments)
    limit_threads(options.threads)
    contestants: list[Contestant] = [Typegrad()]
    for peer in (Autograd(), MyGrad(), PyTorch(), Jax()):
        if options.only is not None and peer.distribution not in options.only:
            continue
        if version_of(peer.distribution) is None:
            print(f"{peer.name}: skipped, {peer.distribution} is not installed")
        else:
            contestants.append(peer)
    described = describe_run(("numpy", *[each.distribution for each in contestants]))
    print_run(described)
    repeats, seconds = (2, 0.001) if options.smoke else (options.repeats, ROUND_SECONDS)
    all_results = [(case, compete(case, contestants, repeats, seconds)) for case in cases()]
    report(all_results, contestants)
    if options.json is not None:
        numbers = {
            case.name: {result.contestant.name: result.seconds for result in results}
            for case, results in all_results
        }
        write_json(options.json, {"run": described, "seconds": numbers})


if __name__ == "__main__":
    main()
