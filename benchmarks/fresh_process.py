"""A whole training in a process of its own: import, data, fit; what it took, as JSON.

The programs are written as each library's users write them. `memory.py` and `start_time.py`
run this file; by itself: python benchmarks/fresh_process.py "JAX" --rows 256
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from measuring.machine import peak_megabytes, version_of

Train = Callable[[Any, Any, int, int], None]
"""Takes inputs (rows, 8), targets (rows, 1), batch size, and epochs."""

BATCH_SIZE = 256


@dataclass(frozen=True)
class Cost:
    """What a process took until its training was done."""

    wall_seconds: float
    """From the start of the process."""
    processor_seconds: float
    """All time that its threads ran."""
    import_seconds: float
    """Wall time of the library's import."""
    fit_seconds: float
    """Wall time of the training, all that it imports or compiles included."""
    peak_megabytes: float


def run_fresh(
    program: str, rows: int, epochs: int = 1, environment: Mapping[str, str] | None = None
) -> Cost:
    """Run a program in a fresh interpreter."""
    command = [sys.executable, __file__, program, "--rows", str(rows), "--epochs", str(epochs)]
    done = subprocess.run(
        [*command, "--started", repr(time.time())],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **(environment or {})},
    )
    if done.returncode != 0:
        raise SystemExit(f"{program}: {done.stderr}")
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def installed_programs() -> list[str]:
    """Names of programs whose library is installed; says which are not."""
    found = []
    for name, (distribution, _) in PROGRAMS.items():
        if version_of(distribution) is None:
            print(f"{name}: skipped, {distribution} is not installed")
        else:
            found.append(name)
    return found


def _typegrad(engine: str) -> Callable[[], Train]:
    def load() -> Train:
        import typegrad as tg

        def train(x: Any, y: Any, batch_size: int, epochs: int) -> None:
            network = tg.NeuralNetwork(
                tg.Dense(8, 64, "tanh"),
                tg.Dense(64, 64, "tanh"),
                tg.Dense(64, 1),
                loss=tg.MSELoss(),
                dtype="float32",
                seed=0,
            )
            trainer = tg.Trainer(network, tg.Adam(1e-3), engine=engine)
            trainer.fit(x, y, epochs=epochs, batch_size=batch_size, seed=0)

        return train

    return load


def _scikit_learn() -> Train:
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor

    def train(x: Any, y: Any, batch_size: int, epochs: int) -> None:
        warnings.simplefilter("ignore", ConvergenceWarning)
        model: Any = MLPRegressor(
            hidden_layer_sizes=(64, 64),
            activation="tanh",
            alpha=0.0,
            batch_size=batch_size,
            max_iter=epochs,
        )
        model.fit(x, y[:, 0])

    return train


def _pytorch() -> Train:
    import torch

    def train(x: Any, y: Any, batch_size: int, epochs: int) -> None:
        inputs, targets = torch.from_numpy(x), torch.from_numpy(y)
        network = torch.nn.Sequential(
            torch.nn.Linear(8, 64),
            torch.nn.Tanh(),
            torch.nn.Linear(64, 64),
            torch.nn.Tanh(),
            torch.nn.Linear(64, 1),
        )
        loss_function = torch.nn.MSELoss()
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
        for _ in range(epochs):
            for rows in torch.split(torch.randperm(len(x)), batch_size):
                optimizer.zero_grad(set_to_none=True)
                loss_function(network(inputs[rows]), targets[rows]).backward()
                optimizer.step()

    return train


def _jax() -> Train:
    import jax
    import numpy as np

    # The step as training_step.py measures it; this import is of no weight beside JAX's.
    from training.problem import Problem
    from training.with_jax import first_state, take_step

    def train(x: Any, y: Any, batch_size: int, epochs: int) -> None:
        problem = Problem("8-64-64-1-tanh", "adam", batch_size, steps=1)
        step: Any = jax.jit(partial(take_step, problem), donate_argnums=0)
        state, data = first_state(problem), (jax.numpy.asarray(x), jax.numpy.asarray(y))
        for epoch in range(epochs):
            order = np.random.default_rng(epoch).permutation(len(x))
            for start in range(0, len(x) - batch_size + 1, batch_size):
                state, _ = step(state, data, order[start : start + batch_size])
        jax.block_until_ready(state)

    return train


PROGRAMS: dict[str, tuple[str, Callable[[], Train]]] = {
    "typegrad planned": ("numpy", _typegrad("planned")),
    "typegrad compiled": ("llvmlite", _typegrad("compiled")),
    "scikit-learn": ("scikit-learn", _scikit_learn),
    "PyTorch": ("torch", _pytorch),
    "JAX": ("jax", _jax),
}
"""By name: what must be installed, and what imports the library and returns the training."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a program and print its cost."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("program", choices=PROGRAMS)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--started", type=float, default=time.time(), help="time of the start")
    options = parser.parse_args(arguments)
    before = time.perf_counter()
    train = PROGRAMS[options.program][1]()
    import_seconds = time.perf_counter() - before

    import numpy as np

    generator = np.random.default_rng(0)
    x = generator.standard_normal((options.rows, 8), np.float32)
    y = np.sin(x[:, :1]) + np.float32(0.1) * generator.standard_normal((len(x), 1), np.float32)
    before = time.perf_counter()
    train(x, y, min(BATCH_SIZE, options.rows), options.epochs)
    fit_seconds = time.perf_counter() - before
    cost = Cost(
        time.time() - options.started,
        time.process_time(),
        import_seconds,
        fit_seconds,
        peak_megabytes(),
    )
    print(json.dumps(vars(cost)))


if __name__ == "__main__":
    main()
