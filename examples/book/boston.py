"""The Boston housing data as chapters 2 and 3 split and scale them, and how models are scored.

Needs mlxtend, which carries the data, and scikit-learn, whose split the book uses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from mlxtend.data import boston_housing_data
from sklearn.model_selection import train_test_split

import typegrad as tg
from examples.figures import BLUE, DARK, panels
from typegrad.types import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Split:
    """Training and test rows: inputs (n, 13) and prices (n, 1) in thousands of dollars."""

    x_train: Array
    x_test: Array
    y_train: Array
    y_test: Array


@dataclass(frozen=True)
class Score:
    """Errors on the test rows, in thousands of dollars."""

    mae: float
    rmse: float


@cache
def load() -> Split:
    """Load the data; the book standardises with all rows, those of the test part included."""
    x, y = boston_housing_data()
    scaled = tg.Standardizer().fit(x).transform(x)
    parts = train_test_split(scaled, y.reshape(-1, 1), test_size=0.3, random_state=80718)
    return Split(*parts)


def score(network: tg.NeuralNetwork, data: Split) -> Score:
    """Compare a network's predictions for the test rows with their prices."""
    values = tg.Trainer(network, tg.SGD()).evaluate(data.x_test, data.y_test)
    return Score(values["mae"], values["rmse"])


def closed_form(data: Split) -> tg.NeuralNetwork:
    """Linear regression by least squares, as a network without hidden layers."""
    design = np.column_stack([data.x_train, np.ones(len(data.x_train))])
    solution = np.linalg.lstsq(design, data.y_train, rcond=None)[0]
    network = tg.NeuralNetwork(
        tg.Dense(data.x_train.shape[1], 1), loss=tg.MSELoss(), dtype=np.float64
    )
    network.load_state_dict({"0.weight": solution[:-1], "0.bias": solution[-1]})
    return network


def draw_predictions(networks: Mapping[str, tg.NeuralNetwork], data: Split) -> Figure:
    """Draw predicted against actual prices of the test part, a panel for each network."""
    figure, axes = panels(1, len(networks), 3.6, 4.1)
    for panel, (name, network) in zip(axes, networks.items(), strict=True):
        panel.plot([0, 55], [0, 55], color=DARK, linewidth=1.0)
        panel.scatter(
            data.y_test, network.predict(data.x_test), s=16, alpha=0.65, color=BLUE, linewidths=0
        )
        panel.set(
            title=f"{name}: RMSE {score(network, data).rmse:.2f}",
            xlabel="actual price, $1,000",
            xlim=(0, 55),
            ylim=(0, 55),
            aspect="equal",
        )
    axes[0].set_ylabel("predicted price, $1,000")
    return figure
