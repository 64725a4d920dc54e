"""Trees of arrays: an array, or tuples, lists and dicts of trees."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from typegrad.errors import ShapeError

Tree = Any
"""A leaf, or a tuple, list or dict of trees. None is a tree without leaves."""


def leaves(tree: Tree, path: str = "") -> Iterator[tuple[str, Any]]:
    """Find all leaves in order, each with the way to it, such as ``"['weights'][0]"``."""
    if isinstance(tree, dict):
        for key, branch in tree.items():
            yield from leaves(branch, f"{path}[{key!r}]")
    elif isinstance(tree, tuple | list):
        for index, branch in enumerate(tree):
            yield from leaves(branch, f"{path}[{index}]")
    elif tree is not None:
        yield path, tree


def map_leaves(function: Callable[[Any], Any], tree: Tree) -> Tree:
    """Build a tree of the same structure from what `function` makes of each leaf, in order."""
    if isinstance(tree, dict):
        return {key: map_leaves(function, branch) for key, branch in tree.items()}
    if isinstance(tree, tuple | list):
        branches = [map_leaves(function, branch) for branch in tree]
        if hasattr(tree, "_fields"):
            return type(tree)(*branches)  # a named tuple
        return tuple(branches) if isinstance(tree, tuple) else branches
    return None if tree is None else function(tree)


def matching_leaves(tree: Tree, like: Tree, what: str) -> list[Any]:
    """Leaves of `tree`, in the order in which those of `like` come.

    Raises
    ------
    ShapeError
        If the two are not built alike.
    """
    found: dict[str, Any] = dict(leaves(tree))
    wanted = [path for path, _ in leaves(like)]
    if set(found) != set(wanted):
        different = sorted(set(found) ^ set(wanted))[0]
        has, lacks = (what, "what it belongs to")
        if different not in found:
            has, lacks = lacks, has
        raise ShapeError(
            f"{what} is not built like what it belongs to: "
            f"{has} has a leaf at {different or 'its root'} and {lacks} does not"
        )
    return [found[path] for path in wanted]
