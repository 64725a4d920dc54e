"""Places for the nodes of a directed graph without cycles, in rows from top to bottom.

The method is that of Sugiyama, Tagawa and Toda, 1981: rows by longest paths, places for edges
in the rows that they pass, and an order in each row that lets neighbours be near.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

SWEEPS = 8
"""How often the order of all rows is improved, in each direction."""


@dataclass(frozen=True)
class Graph:
    """Nodes by number, in an order in which edges point from smaller to larger numbers."""

    count: int
    edges: list[tuple[int, int]]


@dataclass
class Layout:
    """Rows of nodes, and the way that each edge takes through them.

    Attributes
    ----------
    rows
        For each row its members from left to right. Numbers from the graph's count on stand
        for edges that pass through the row.
    ways
        For each edge the members it goes through, both ends included.
    """

    rows: list[list[int]]
    ways: list[list[int]] = field(default_factory=list)


def arranged(graph: Graph) -> Layout:
    """Rows, and the order in them."""
    rank = _ranks(graph)
    layout = Layout([[] for _ in range(max(rank, default=-1) + 1)])
    for node, row in enumerate(rank):
        layout.rows[row].append(node)
    spare = graph.count
    for start, end in graph.edges:
        way = [start]
        for row in range(rank[start] + 1, rank[end]):
            layout.rows[row].append(spare)
            way.append(spare)
            spare += 1
        layout.ways.append([*way, end])
    _order(layout)
    return layout


def _ranks(graph: Graph) -> list[int]:
    """Row of each node: below all it depends on; inputs just above the first that uses them."""
    rank = [0] * graph.count
    for start, end in sorted(graph.edges, key=lambda edge: edge[1]):
        rank[end] = max(rank[end], rank[start] + 1)
    has_inputs = {end for _, end in graph.edges}
    for node in range(graph.count):
        users = [rank[end] for start, end in graph.edges if start == node]
        if users and node not in has_inputs:
            rank[node] = min(users) - 1
    return rank


def _order(layout: Layout) -> None:
    """Sort each row by the mean place of the neighbours in the row before, then after."""
    above: dict[int, list[int]] = {}
    below: dict[int, list[int]] = {}
    for way in layout.ways:
        for upper, lower in pairwise(way):
            above.setdefault(lower, []).append(upper)
            below.setdefault(upper, []).append(lower)
    for sweep in range(2 * SWEEPS):
        downwards = sweep % 2 == 0
        neighbours = above if downwards else below
        rows = layout.rows if downwards else layout.rows[::-1]
        for previous, row in pairwise(rows):
            place = {member: index for index, member in enumerate(previous)}
            own = {member: index for index, member in enumerate(row)}

            def mean(
                member: int,
                place: dict[int, int] = place,
                own: dict[int, int] = own,
                neighbours: dict[int, list[int]] = neighbours,
            ) -> float:
                near = [place[each] for each in neighbours.get(member, ()) if each in place]
                return sum(near) / len(near) if near else own[member]

            row.sort(key=mean)
