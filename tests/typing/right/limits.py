"""Right models that checkers complain of all the same, except mypy with the plugin."""

from __future__ import annotations

import itertools

import typegrad as tg


def assigned_anew_in_a_loop() -> None:
    model = tg.Dense(13, 64)
    for before, after in itertools.pairwise((64, 32, 16)):
        # E[plain]: Incompatible types in assignment
        model = model >> tg.Tanh() >> tg.Dense(before, after)
    # E[plain, pyright, ty, pyrefly]
    tg.NeuralNetwork(model >> tg.Dense(16, 1), loss=tg.MSELoss())
