"""A call of a user's function with tensors in the place of arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from typegrad.autodiff.tree import Tree, leaves, map_leaves
from typegrad.errors import DTypeError
from typegrad.operations.base import ElementwiseOperation
from typegrad.tensor.backpropagation import NEVER, backpropagate, dependents
from typegrad.tensor.recording import is_recording, recording
from typegrad.tensor.tensor import Tensor, constant, record, variable
from typegrad.types import AnyArray, Array


class Alias(ElementwiseOperation):
    """The input itself: a tensor of its own, to take a derivative with respect to."""

    def output(self, x: Array) -> Array:
        return x

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return output_grad


_ALIAS = Alias()


class RecordedCall:
    """Outputs of a function, and the tensors it was called with.

    Parameters
    ----------
    function
        Name of the public function at work, for messages.
    f
        Function to call. Arrays among its arguments are read-only while it runs.
    args, kwargs
        Its arguments.
    argnums
        Positions of the arguments to differentiate with respect to.

    Attributes
    ----------
    given : list
        Leaves of the arguments at `argnums`, as they came.
    inputs : list of Tensor
        The tensors that stand for them.
    output : tree
        What `f` returned.
    """

    def __init__(
        self,
        function: str,
        f: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        argnums: Sequence[int],
    ) -> None:
        self.function = function
        self.given: list[Any] = []
        self.inputs: list[Tensor] = []
        self.output: Any = None
        self.start: int = NEVER
        replaced = list(args)
        for position in argnums:
            replaced[position] = self._replace(args, position)
        if self.inputs:
            self.start = self.inputs[0]._number
        with _read_only([*args, *kwargs.values()]):
            if is_recording.get():
                self.output = f(*replaced, **kwargs)
            else:
                with recording(True):
                    self.output = f(*replaced, **kwargs)

    def _replace(self, args: tuple[Any, ...], position: int) -> Tree:
        if not -len(args) <= position < len(args):
            raise TypeError(
                f"{self.function}: argnums names argument {position}, but the function was called "
                f"with {len(args)} positional arguments"
            )
        paths = [path for path, _ in leaves(args[position])]
        place = iter(paths)

        def replace(leaf: Any) -> Tensor:
            tensor = self._variable(leaf, f"argument {position}{next(place)}")
            self.given.append(leaf)
            self.inputs.append(tensor)
            return tensor

        return map_leaves(replace, args[position])

    def _variable(self, leaf: Any, where: str) -> Tensor:
        if type(leaf) is Tensor:
            _require_floating(leaf.dtype, self.function, where)
            continues = leaf.requires_grad and is_recording.get()
            return record(_ALIAS, (leaf,)) if continues else variable(leaf._data)
        if type(leaf) is float or type(leaf) is int:
            return variable(np.float64(leaf))
        if not isinstance(leaf, np.ndarray | np.generic):
            raise DTypeError(
                f"{self.function}: {where} is a {type(leaf).__name__}; expected a float, an array, "
                "or tuples, lists and dicts of these"
            )
        _require_floating(leaf.dtype, self.function, where)
        return variable(np.array(leaf)[()])

    def pull_back(
        self, seeds: list[tuple[Tensor, Any]], *, record_it: bool = False, retain: bool = False
    ) -> list[Any]:
        """Gradients with respect to `inputs`, given those with respect to some outputs.

        Returns
        -------
        list
            For each input an array, a Tensor where the pass was recorded, or None for zero.
            It is recorded if `record_it` is true, or where it depends on something outside
            of this call that requires gradients.
        """
        stops = {tensor._number for tensor in self.inputs}
        linked = self._is_linked(seeds)
        create_graph = record_it or linked
        with recording(create_graph):
            ends = backpropagate(
                seeds,
                stops=stops,
                start=self.start,
                within=dependents([output for output, _ in seeds], stops) if linked else None,
                create_graph=create_graph,
                outside=NEVER if record_it else self.start,
                retain_graph=retain or create_graph,
            )
        return [ends[number][1] if number in ends else None for number in sorted(stops)]

    def _is_linked(self, seeds: list[tuple[Tensor, Any]]) -> bool:
        """Whether outputs or their gradients depend on what was recorded outside of this call."""
        return is_recording.get() and any(
            output._oldest < self.start or requires_grad(seed) for output, seed in seeds
        )

    def gradients(self, seeds: list[tuple[Tensor, Any]], *, retain: bool = False) -> list[Any]:
        """Like `pull_back`, but in the form that users get: arrays, and numbers for numbers.

        Tensors are left where a recording outside of this call goes on with them.
        """
        taken = {id(seed) for _, seed in seeds}
        return [
            result_like(leaf, gradient, taken)
            for leaf, gradient in zip(self.given, self.pull_back(seeds, retain=retain), strict=True)
        ]


def requires_grad(value: Any) -> bool:
    """Whether it is a tensor that requires gradients."""
    return type(value) is Tensor and value._oldest != NEVER


def result_like(leaf: Any, derivative: Any, taken: set[int]) -> Any:
    """Turn a derivative into what users get: an array of their own, a number for a number.

    Parameters
    ----------
    leaf
        The argument or output that the derivative has the shape of.
    derivative
        The derivative, or None for zero. A tensor that requires gradients is left as it is.
    taken
        Ids of arrays that belong to somebody else; the result's is added.
    """
    if derivative is None:
        derivative = np.zeros(np.shape(leaf), getattr(leaf, "dtype", np.float64))
    elif type(derivative) is Tensor:
        if derivative._oldest != NEVER and is_recording.get():
            return derivative
        derivative = derivative._data
    if type(leaf) is Tensor:
        return constant(derivative)
    if not isinstance(leaf, np.ndarray):
        return derivative[()]
    array = np.asarray(derivative)
    if array.base is not None or id(array) in taken or not array.flags.writeable:
        array = np.array(array)
    taken.add(id(array))
    return array


def plain(tree: Tree, outside: int) -> Tree:
    """Replace tensors by arrays, but for those that depend on tensors older than `outside`."""

    def replace(leaf: Any) -> Any:
        if type(leaf) is not Tensor:
            return leaf
        if leaf._oldest < outside and is_recording.get():
            return leaf
        return np.array(leaf._data)[()]

    return map_leaves(replace, tree)


def _require_floating(dtype: np.dtype[Any], function: str, where: str) -> None:
    if dtype not in (np.float32, np.float64):
        raise DTypeError(
            f"{function}: {where} has dtype {dtype}, which has no derivative; "
            "convert it with .astype(float)"
        )


@contextmanager
def _read_only(arguments: list[Any]) -> Iterator[None]:
    """Protect the arrays among `arguments` from being written to inside the ``with`` block.

    They can then be recorded without a copy.
    """
    protected: list[AnyArray] = []
    for argument in arguments:
        for _, leaf in leaves(argument):
            if type(leaf) is np.ndarray and leaf.base is None and leaf.flags.writeable:
                leaf.flags.writeable = False
                protected.append(leaf)
    try:
        yield
    finally:
        for array in protected:
            array.flags.writeable = True
