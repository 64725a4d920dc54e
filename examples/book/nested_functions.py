"""Nested functions and their derivatives (chapter 1).

Any number of operations in a `tg.Chain` make one function; its backward pass is the chain
rule. The central difference says the same, except at a kink.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

import typegrad as tg
from examples.figures import BLUE, RED, output_directory, panels, save_diagrams, save_figures
from typegrad.types import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STEP = 0.001
"""Half the distance of the two points of a central difference."""

POINTS: Array = np.arange(-3, 3, 0.01)


FUNCTIONS: dict[str, tg.ElementwiseOperation] = {
    "square": tg.Square(),
    "leaky ReLU": tg.LeakyReLU(0.2),
    "sigmoid": tg.Sigmoid(),
}

CHAINS: tuple[tuple[str, ...], ...] = (
    ("square", "sigmoid"),
    ("sigmoid", "square"),
    ("leaky ReLU", "sigmoid", "square"),
)
"""Names of functions, the one that is applied first coming first."""


def chain_of(names: Sequence[str]) -> tg.Chain:
    """Compose functions by name."""
    return tg.Chain(*(FUNCTIONS[name] for name in names))


def derivative(chain: tg.Chain, x: Array) -> Array:
    """Derivative of a chain at each element of `x`, by the chain rule."""
    return chain.backward(np.ones_like(chain.forward(x)))


def numerical(chain: tg.Chain, x: Array) -> Array:
    """Derivative of a chain at each element of `x`, by central differences."""
    return tg.numerical_derivative(chain.forward, x, STEP)


def away_from_kink(x: Array) -> Array:
    """Drop the points whose central difference straddles the kink of the leaky ReLU at 0."""
    kept: Array = x[np.abs(x) > STEP]
    return kept


def title(names: Sequence[str]) -> str:
    """Write a chain as ``f(g(x))``."""
    text = "x"
    for name in names:
        text = f"{name}({text})"
    return text


def draw(chains: Sequence[Sequence[str]]) -> Figure:
    """Draw each chain, its derivative by the chain rule and central differences."""
    figure, axes = panels(1, len(chains), 4.2, 3.6)
    for panel, names in zip(axes, chains, strict=True):
        chain = chain_of(names)
        sparse = POINTS[::40]
        panel.plot(POINTS, chain.forward(POINTS), color=BLUE, label="function")
        panel.plot(POINTS, derivative(chain, POINTS), color=RED, label="derivative, chain rule")
        panel.plot(
            sparse, numerical(chain, sparse), "o", color=RED, markersize=3.5, fillstyle="none",
            label="central difference",
        )  # fmt: skip
        panel.set(title=title(names), xlabel="x")
    axes[0].legend(frameon=False, fontsize=9)
    return figure


def main() -> None:
    """Print how well chain rule and central differences agree; draw the chains."""
    directory = output_directory(__doc__)
    at = np.array([-2.0, -0.5, 0.5, 2.0])
    print(f"Central differences, delta = {STEP}, at x = {at}")
    for name, function in FUNCTIONS.items():
        print(f"  {name:12} {tg.numerical_derivative(function.forward, at, STEP).round(4)}")
    print("\nChain rule against central differences on arange(-3, 3, 0.01)")
    points = away_from_kink(POINTS)
    for names in CHAINS:
        chain = chain_of(names)
        difference = np.max(np.abs(derivative(chain, points) - numerical(chain, points)))
        print(f"  {title(names):32} largest difference {difference:.1e}")
    print("The point 0 is left out: there the leaky ReLU has a kink.")
    longest = chain_of(CHAINS[-1])
    save_diagrams(
        directory,
        {
            "chain_forward": tg.draw_graph(longest.forward, POINTS),
            "chain_backward": tg.draw_graph(longest.forward, POINTS, backward=True),
        },
    )
    single = [(name,) for name in FUNCTIONS]
    save_figures(
        directory,
        {"functions": lambda: draw(single), "chains": lambda: draw(CHAINS)},
    )


if __name__ == "__main__":
    main()
