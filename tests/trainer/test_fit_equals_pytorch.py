"""Whole training runs follow PyTorch's: loss curve and final weights, in float64."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

import typegrad as tg
from typegrad.types import Array

EPOCHS = 12
BATCH = 8
ROWS = 29  # The last batch has 5 rows.


def make_data() -> tuple[Array, Array]:
    generator = np.random.default_rng(7)
    x = generator.normal(size=(ROWS, 3))
    y = np.column_stack([np.sin(2 * x[:, 0]) + x[:, 1], x[:, 2] ** 2])
    return x, y


def make_network(loss: tg.Loss | None = None) -> tg.NeuralNetwork:
    return tg.NeuralNetwork(
        tg.Dense(3, 7, tg.Tanh()),
        tg.LayerNorm(7),
        tg.Dense(7, 5, tg.SiLU()),
        tg.Dense(5, 2),
        loss=loss or tg.MSELoss(),
        seed=3,
        dtype=np.float64,
    )


def make_twin(network: tg.NeuralNetwork) -> torch.nn.Sequential:
    """The same network, with the same weights, in PyTorch."""
    twin = torch.nn.Sequential(
        torch.nn.Linear(3, 7),
        torch.nn.Tanh(),
        torch.nn.LayerNorm(7),
        torch.nn.Linear(7, 5),
        torch.nn.SiLU(),
        torch.nn.Linear(5, 2),
    ).double()
    with torch.no_grad():
        for ours, theirs in zip(network.parameters.values(), twin.parameters(), strict=True):
            theirs.copy_(torch.from_numpy(ours.value.T.copy()))
    return twin


def fit_twin(
    twin: torch.nn.Sequential,
    optimizer: torch.optim.Optimizer,
    loss_function: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    before_step: Callable[[], object] = lambda: None,
) -> list[float]:
    """Train as `Trainer.fit` does without shuffling; return each epoch's mean loss."""
    x, y = (torch.from_numpy(array) for array in make_data())
    curve = []
    for _ in range(EPOCHS):
        total = 0.0
        for start in range(0, ROWS, BATCH):
            batch_x, batch_y = x[start : start + BATCH], y[start : start + BATCH]
            optimizer.zero_grad()
            loss = loss_function(twin(batch_x), batch_y)
            loss.backward()  # type: ignore[no-untyped-call]  # PyTorch's own
            before_step()
            optimizer.step()
            total += float(loss.detach()) * len(batch_x)
        curve.append(total / ROWS)
    return curve


def assert_same_weights(network: tg.NeuralNetwork, twin: torch.nn.Sequential) -> None:
    for ours, theirs in zip(network.parameters.values(), twin.parameters(), strict=True):
        np.testing.assert_allclose(ours.value.T, theirs.detach().numpy(), rtol=1e-10, atol=1e-12)


def decaying_weights_only(twin: torch.nn.Sequential, decay: float) -> list[dict[str, Any]]:
    """Parameter groups: matrices decay, biases and gains do not."""
    matrices = [parameter for parameter in twin.parameters() if parameter.ndim == 2]
    vectors = [parameter for parameter in twin.parameters() if parameter.ndim == 1]
    return [
        {"params": matrices, "weight_decay": decay},
        {"params": vectors, "weight_decay": 0.0},
    ]


OPTIMIZERS: dict[str, tuple[tg.Optimizer, Any, float]] = {
    "sgd": (tg.SGD(0.1), partial(torch.optim.SGD, lr=0.1), 0.0),
    "sgd-momentum-decay": (
        tg.SGD(0.02, momentum=0.9, nesterov=True, weight_decay=0.01),
        partial(torch.optim.SGD, lr=0.02, momentum=0.9, nesterov=True),
        0.01,
    ),
    "adam": (tg.Adam(0.01), partial(torch.optim.Adam, lr=0.01), 0.0),
    "adam-decay": (
        tg.Adam(0.01, weight_decay=0.05),
        partial(torch.optim.Adam, lr=0.01),
        0.05,
    ),
    "adamw": (tg.AdamW(0.01, weight_decay=0.1), partial(torch.optim.AdamW, lr=0.01), 0.1),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_equals_pytorch(name: str) -> None:
    ours, theirs, decay = OPTIMIZERS[name]
    network = make_network()
    twin = make_twin(network)
    history = tg.Trainer(network, ours).fit(
        *make_data(), epochs=EPOCHS, batch_size=BATCH, shuffle=False
    )
    curve = fit_twin(twin, theirs(decaying_weights_only(twin, decay)), torch.nn.functional.mse_loss)
    np.testing.assert_allclose(history.training_loss, curve, rtol=1e-10)
    assert_same_weights(network, twin)
    assert history.training_loss[-1] < 0.6 * history.training_loss[0]


@pytest.mark.parametrize(
    ("loss", "theirs"),
    [
        (tg.MAELoss(), torch.nn.functional.l1_loss),
        (tg.HuberLoss(0.3), partial(torch.nn.functional.huber_loss, delta=0.3)),
    ],
    ids=["mae", "huber"],
)
def test_other_losses_equal_pytorch(
    loss: tg.Loss, theirs: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
) -> None:
    network = make_network(loss)
    twin = make_twin(network)
    history = tg.Trainer(network, tg.Adam(0.01)).fit(
        *make_data(), epochs=EPOCHS, batch_size=BATCH, shuffle=False
    )
    curve = fit_twin(twin, torch.optim.Adam(twin.parameters(), lr=0.01), theirs)
    np.testing.assert_allclose(history.training_loss, curve, rtol=1e-10)
    assert_same_weights(network, twin)


def test_clipping_by_value_equals_pytorch() -> None:
    network = make_network()
    twin = make_twin(network)
    history = tg.Trainer(network, tg.SGD(0.2), clip_value=0.05).fit(
        *make_data(), epochs=EPOCHS, batch_size=BATCH, shuffle=False
    )
    curve = fit_twin(
        twin,
        torch.optim.SGD(twin.parameters(), lr=0.2),
        torch.nn.functional.mse_loss,
        lambda: torch.nn.utils.clip_grad_value_(twin.parameters(), 0.05),
    )
    np.testing.assert_allclose(history.training_loss, curve, rtol=1e-10)
    assert_same_weights(network, twin)


def test_clipping_by_norm_equals_pytorch_up_to_its_epsilon() -> None:
    """PyTorch divides by norm + 1e-6; the shorter the gradient, the more that matters."""
    network = make_network()
    twin = make_twin(network)
    history = tg.Trainer(network, tg.SGD(0.2), clip_norm=1.0).fit(
        *make_data(), epochs=EPOCHS, batch_size=BATCH, shuffle=False
    )
    norms: list[float] = []
    curve = fit_twin(
        twin,
        torch.optim.SGD(twin.parameters(), lr=0.2),
        torch.nn.functional.mse_loss,
        lambda: norms.append(float(torch.nn.utils.clip_grad_norm_(twin.parameters(), 1.0))),
    )
    assert min(norms) < 1.0 < max(norms)  # Some are clipped, some are not.
    np.testing.assert_allclose(history.training_loss, curve, rtol=1e-4)
    for ours, theirs in zip(network.parameters.values(), twin.parameters(), strict=True):
        np.testing.assert_allclose(ours.value.T, theirs.detach().numpy(), atol=1e-4)
