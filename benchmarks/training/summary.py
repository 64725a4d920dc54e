"""What all cells of a run say together: how far typegrad's engines are ahead, and where not."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from measuring.hardware import Hardware
from measuring.tables import median_ratio
from training.problem import Problem

COMPILED, PLANNED = "typegrad compiled", "typegrad planned"
PYTORCH_EAGER = "PyTorch, fused optimizer"
OWN = "typegrad "
"""With this begin the names of typegrad's own contestants."""

SMALL_BATCH, LARGE_BATCH = 32, 2048
"""Up to the first the planned engine's bar is a multiple of PyTorch's speed, up to the second
it is PyTorch's speed."""

LARGE_PRODUCTS = (512, 256)
"""Batch and width of hidden layers from which on products should run near the peak."""


@dataclass(frozen=True)
class Cell:
    """One contest: a network, an optimizer and a batch size."""

    problem: Problem
    seconds: Mapping[str, Sequence[float]]
    """Times of each contestant that took part, one for each round."""
    hardware: Hardware

    @property
    def name(self) -> str:
        """Its name in tables."""
        return f"{self.problem.network}, {self.problem.optimizer}, batch {self.problem.batch_size}"

    def median(self, contestant: str) -> float:
        """Median seconds of a step."""
        return statistics.median(self.seconds[contestant]) / self.problem.steps

    def ratio(self, contestant: str, reference: str) -> float:
        """Time of a contestant relative to another's."""
        return median_ratio(self.seconds[contestant], self.seconds[reference])

    @property
    def peers(self) -> list[str]:
        """Contestants that are not typegrad's."""
        return [name for name in self.seconds if not name.startswith(OWN)]

    def fastest_peer(self) -> str:
        """Return the fastest of the peers."""
        return min(self.peers, key=self.median)

    def gflops(self, contestant: str) -> float:
        """Billions of floating-point operations of its products a second, in all its time."""
        return self.problem.product_flops / self.median(contestant) / 1e9

    def share_of_peak(self, contestant: str) -> float:
        """The same, relative to the machine's peak."""
        return self.gflops(contestant) / self.hardware.gflops

    @property
    def bound(self) -> float:
        """Seconds below which the machine's own speeds keep a step, as NumPy reaches them.

        Taking the batch's rows, products at the peak, hyperbolic tangents and the optimizer's
        square roots, or reading and writing the parameters and the optimizer's state once,
        whichever takes longer. All else is left out.
        """
        problem, hardware = self.problem, self.hardware
        computing = (
            problem.batch_size * hardware.row_nanoseconds
            + problem.product_flops / hardware.gflops
            + problem.tanh_count * hardware.tanh_nanoseconds
            + problem.root_count * hardware.root_nanoseconds
        )
        return max(computing, problem.state_bytes / hardware.copy_gigabytes) / 1e9

    @property
    def numpy_bound(self) -> float:
        """Seconds below which NumPy's calls keep a step in NumPy: see `essential_calls`."""
        return self.hardware.numpy_microseconds / 1e6

    @property
    def has_large_products(self) -> bool:
        """Whether products should run near the peak."""
        batch, width = LARGE_PRODUCTS
        hidden = self.problem.widths[1:-1]
        return self.problem.batch_size >= batch and bool(hidden) and min(hidden) >= width


@dataclass(frozen=True)
class Extent:
    """Ratios of some cells: their geometric mean, and the least with its cell."""

    count: int
    mean: float
    smallest: float
    where: str


@dataclass(frozen=True)
class Summary:
    """What is said of all cells; None where nothing was run that it could be said of."""

    compiled: Extent | None
    """Time of the fastest peer relative to the compiled engine's."""
    compiled_by_network: Mapping[str, Extent]
    compiled_below: Mapping[str, float]
    """Cells in which that ratio is below 1.2."""
    allowed: Extent | None
    """Time of the fastest peer relative to the bound: what the ratio would be at NumPy's speeds."""
    share_of_peak: Extent | None
    """Of the compiled engine, where products are large."""
    planned_small: Extent | None
    """Time of PyTorch in eager mode relative to the planned engine's, up to batch 32."""
    planned_medium: Extent | None
    """The same from there to batch 2048."""
    planned_large: Extent | None
    """The same above."""


BAR_OF_A_CELL = 1.2
BAR_OF_PLANNED = 4.0
"""Times PyTorch's speed, up to the small batch."""


def read_cells(contests: Iterable[Mapping[str, Any]]) -> list[Cell]:
    """Read what `as_json` of contest.py wrote."""
    return [
        Cell(
            Problem(**contest["problem"]),
            {each["name"]: each["seconds"] for each in contest["results"] if each["seconds"]},
            Hardware(**contest["hardware"]),
        )
        for contest in contests
    ]


def summarize(cells: Sequence[Cell]) -> Summary:
    """Summarize a run."""
    compiled = [cell for cell in cells if COMPILED in cell.seconds]
    contested = [cell for cell in compiled if cell.peers]
    networks = dict.fromkeys(cell.problem.network for cell in contested)
    planned = [cell for cell in cells if {PLANNED, PYTORCH_EAGER} <= cell.seconds.keys()]

    def planned_between(above: int, up_to: float) -> Extent | None:
        chosen = [cell for cell in planned if above < cell.problem.batch_size <= up_to]
        return _extent(chosen, lambda cell: cell.ratio(PYTORCH_EAGER, PLANNED))

    by_network = {
        network: _extent([cell for cell in contested if cell.problem.network == network], ahead)
        for network in networks
    }
    return Summary(
        _extent(contested, ahead),
        {network: extent for network, extent in by_network.items() if extent is not None},
        {cell.name: ahead(cell) for cell in contested if ahead(cell) < BAR_OF_A_CELL},
        _extent(contested, lambda cell: cell.median(cell.fastest_peer()) / cell.bound),
        _extent(
            [cell for cell in compiled if cell.has_large_products],
            lambda cell: cell.share_of_peak(COMPILED),
        ),
        planned_between(0, SMALL_BATCH),
        planned_between(SMALL_BATCH, LARGE_BATCH),
        planned_between(LARGE_BATCH, float("inf")),
    )


def ahead(cell: Cell) -> float:
    """Time of the fastest peer relative to the compiled engine's."""
    return cell.ratio(cell.fastest_peer(), COMPILED)


def describe(summary: Summary) -> list[str]:
    """Say it in lines of text."""
    lines = []
    for extent, what in (
        (summary.compiled, "fastest contestant / compiled"),
        (summary.allowed, "fastest contestant / bound"),
        (summary.share_of_peak, "compiled / peak, batch 512 and width 256 or more"),
        (summary.planned_small, f"PyTorch eager / planned, batch {SMALL_BATCH} or less"),
        (summary.planned_medium, f"PyTorch eager / planned, from there to batch {LARGE_BATCH}"),
        (summary.planned_large, f"PyTorch eager / planned, above batch {LARGE_BATCH}"),
    ):
        if extent is not None:
            lines.append(f"{what}: {_in_words(extent)}")
        if extent is not None and extent is summary.compiled:
            for network, part in summary.compiled_by_network.items():
                lines.append(f"  {network}: {_in_words(part)}")
            count = len(summary.compiled_below)
            lines.append(f"  below {BAR_OF_A_CELL}: {count} of {extent.count} cells")
    return lines


def _in_words(extent: Extent) -> str:
    return (
        f"geometric mean {extent.mean:.2f}, smallest {extent.smallest:.2f} "
        f"({extent.where}), {extent.count} cells"
    )


def _extent(cells: Sequence[Cell], ratio: Callable[[Cell], float]) -> Extent | None:
    if not cells:
        return None
    ratios = [ratio(cell) for cell in cells]
    index = min(range(len(cells)), key=ratios.__getitem__)
    return Extent(len(cells), statistics.geometric_mean(ratios), ratios[index], cells[index].name)
