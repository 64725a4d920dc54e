"""Products of arrays over chosen axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from string import ascii_letters
from typing import NamedTuple

import numpy as np

from typegrad.errors import ShapeError
from typegrad.operations.base import BinaryOperation, NaryOperation
from typegrad.operations.shape import inverse_order
from typegrad.types import Array, Shape

OPTIMIZE_FROM = 10_000
"""Number of products above which planning a contraction, about 20 us, is worth it."""


class Contraction(NamedTuple):
    """Einsum's subscripts for given shapes, every axis with a letter of its own."""

    operands: tuple[str, ...]
    output: str
    lengths: dict[str, int]


@dataclass(frozen=True)
class Einsum(NaryOperation):
    """Sum of products over named axes: NumPy's ``einsum`` for any number of arrays.

    dL/d of an operand is again an einsum, of dL/dy and the other operands.

    Parameters
    ----------
    subscripts
        A letter for each axis of each operand, as in ``"ij,jk->ik"``; ``...`` for axes without
        letters. Without an arrow the output has the letters that come once, in alphabetic order.

    Raises
    ------
    ShapeError
        By ``forward``, if subscripts and shapes do not fit.
    """

    subscripts: str

    def output_shape(self, *input_shapes: Shape) -> Shape | None:
        contraction = contraction_for(self.subscripts, input_shapes)
        return tuple(contraction.lengths[letter] for letter in contraction.output)

    def output(self, *inputs: Array) -> Array:
        contraction = contraction_for(self.subscripts, tuple(x.shape for x in inputs))
        size = math.prod(contraction.lengths.values())
        result: Array = np.einsum(self.subscripts, *inputs, optimize=size > OPTIMIZE_FROM)
        return result

    def input_grad(
        self, index: int, output_grad: Array, inputs: tuple[Array, ...], y: Array
    ) -> Array:
        x = inputs[index]
        operands, output, lengths = contraction_for(
            self.subscripts, tuple(each.shape for each in inputs)
        )
        factors = [output_grad, *[each for place, each in enumerate(inputs) if place != index]]
        letters = [output, *[each for place, each in enumerate(operands) if place != index]]
        spare = iter([letter for letter in ascii_letters if letter not in lengths])
        target = ""
        for axis, letter in enumerate(operands[index]):
            length = lengths[letter]
            if x.shape[axis] != length:
                continue  # Broadcast along this axis, so it is summed over.
            if letter in target:  # A diagonal was taken: off it the gradient is zero.
                second = next(spare)
                factors.append(np.eye(length, dtype=x.dtype))
                letters.append(letter + second)
                target += second
                continue
            if not any(
                letter in each and factor.shape[each.index(letter)] == length
                for each, factor in zip(letters, factors, strict=True)
            ):  # Nothing else runs along this axis.
                factors.append(np.ones(length, x.dtype))
                letters.append(letter)
            target += letter
        grad = Einsum(f"{','.join(letters)}->{target}").forward(*factors)
        return np.reshape(grad, x.shape)


@lru_cache(maxsize=1024)
def contraction_for(subscripts: str, shapes: tuple[Shape, ...]) -> Contraction:
    """Give every axis its letter and every letter its length.

    Raises
    ------
    ShapeError
        If subscripts and shapes do not fit; says where.
    """
    compact = subscripts.replace(" ", "")
    left, arrow, right = compact.partition("->")
    terms = left.split(",")
    if len(terms) != len(shapes):
        raise ShapeError(
            f"Einsum({subscripts!r}): the subscripts are for {len(terms)} operands, "
            f"but there are {len(shapes)}"
        )
    unnamed = [
        len(shape) - len(term.replace("...", "")) if "..." in term else 0
        for term, shape in zip(terms, shapes, strict=True)
    ]
    free = [letter for letter in ascii_letters if letter not in compact]
    batch = "".join(free[: max(unnamed)]) if max(unnamed) > 0 else ""
    operands = tuple(
        term.replace("...", batch[len(batch) - count :] if count > 0 else "")
        for term, count in zip(terms, unnamed, strict=True)
    )
    for term, operand, shape in zip(terms, operands, shapes, strict=True):
        if len(operand) != len(shape) or not set(operand) <= set(ascii_letters):
            raise ShapeError(
                f"Einsum({subscripts!r}): {term!r} does not fit an operand of shape {shape}; "
                "expected a letter for each axis"
            )
    lengths = _lengths(subscripts, operands, shapes)
    if not arrow:
        named = "".join(operands)
        single = [x for x in sorted(set(named)) if named.count(x) == 1 and x not in batch]
        right = "..." + "".join(single)
    output = right.replace("...", batch)
    if len(set(output)) != len(output) or not set(output) <= set(lengths):
        raise ShapeError(
            f"Einsum({subscripts!r}): the output's letters {right!r} must be different, "
            "and each be one of the operands'"
        )
    return Contraction(operands, output, lengths)


def _lengths(subscripts: str, operands: Sequence[str], shapes: Sequence[Shape]) -> dict[str, int]:
    """Length of each letter's axes; an axis of length 1 is broadcast."""
    lengths: dict[str, int] = {}
    for operand, shape in zip(operands, shapes, strict=True):
        for letter, length in zip(operand, shape, strict=True):
            known = lengths.setdefault(letter, length)
            if known == 1:
                lengths[letter] = length
            elif length not in (1, known):
                raise ShapeError(
                    f"Einsum({subscripts!r}): the shapes {', '.join(map(str, shapes))} give one "
                    f"letter the lengths {known} and {length}"
                )
    return lengths


@dataclass(frozen=True)
class Tensordot(BinaryOperation):
    """Sum of products over pairs of axes: NumPy's ``tensordot``.

    The output has left's other axes, then right's.

    Parameters
    ----------
    axes
        Axes of left and axes of right, pair by pair; or one number n for left's last n and
        right's first n axes.
    """

    axes: int | tuple[tuple[int, ...], tuple[int, ...]] = 2

    def output_shape(self, *input_shapes: Shape) -> Shape | None:
        left, right = input_shapes
        summed_left, summed_right = self._summed(left, right)
        if [left[a] for a in summed_left] != [right[a] for a in summed_right]:
            raise ShapeError(
                f"{self}: left has shape {left} and right has shape {right}; "
                "expected equal lengths on the axes that are summed over"
            )
        return (
            *(left[a] for a in _others(left, summed_left)),
            *(right[a] for a in _others(right, summed_right)),
        )

    def output(self, left: Array, right: Array) -> Array:
        product: Array = np.tensordot(left, right, self._summed(left.shape, right.shape))
        return product

    def left_grad(self, output_grad: Array, left: Array, right: Array, y: Array) -> Array:
        summed_left, summed_right = self._summed(left.shape, right.shape)
        kept_left, kept_right = _others(left.shape, summed_left), _others(right.shape, summed_right)
        last = tuple(range(len(kept_left), len(kept_left) + len(kept_right)))
        grad = Tensordot((last, kept_right)).forward(output_grad, right)
        # Its last axes are right's summed axes, in right's order.
        partner = dict(zip(summed_right, summed_left, strict=True))
        order = (*kept_left, *(partner[axis] for axis in sorted(summed_right)))
        return np.transpose(grad, inverse_order(order))

    def right_grad(self, output_grad: Array, left: Array, right: Array, y: Array) -> Array:
        summed_left, summed_right = self._summed(left.shape, right.shape)
        kept_left, kept_right = _others(left.shape, summed_left), _others(right.shape, summed_right)
        first = tuple(range(len(kept_left)))
        grad = Tensordot((kept_left, first)).forward(left, output_grad)
        # Its first axes are left's summed axes, in left's order.
        partner = dict(zip(summed_left, summed_right, strict=True))
        order = (*(partner[axis] for axis in sorted(summed_left)), *kept_right)
        return np.transpose(grad, inverse_order(order))

    def _summed(self, left: Shape, right: Shape) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Axes to sum over, counted from 0."""
        if isinstance(self.axes, int):
            count = self.axes
            if not 0 <= count <= min(len(left), len(right)):
                raise ShapeError(
                    f"{self}: left has shape {left} and right has shape {right}; "
                    f"both need {count} axes"
                )
            return tuple(range(len(left) - count, len(left))), tuple(range(count))
        of_left, of_right = (
            tuple(axis % len(shape) for axis in axes if -len(shape) <= axis < len(shape))
            for axes, shape in zip(self.axes, (left, right), strict=True)
        )
        pairs = len(self.axes[0])
        if not pairs == len(self.axes[1]) == len(set(of_left)) == len(set(of_right)):
            raise ShapeError(
                f"{self}: left has shape {left} and right has shape {right}; "
                "expected pairs of axes that exist, none twice"
            )
        return of_left, of_right


class Dot(BinaryOperation):
    """NumPy's ``dot``: sum of products over left's last axis and right's last but one.

    Of a vector it is the only axis; the output has left's other axes, then right's. For one
    or two axes this is also what ``@`` does.
    """

    def output_shape(self, *input_shapes: Shape) -> Shape | None:
        left, right = input_shapes
        if not left or not right or left[-1] != right[max(len(right) - 2, 0)]:
            raise ShapeError(
                f"{self}: left has shape {left} and right has shape {right}; expected the last "
                "axis of left to be as long as the last but one of right, or its only one"
            )
        return (*left[:-1], *right[:-2], *right[max(len(right) - 1, 1) :])

    def output(self, left: Array, right: Array) -> Array:
        product: Array = np.dot(left, right)
        return product

    def left_grad(self, output_grad: Array, left: Array, right: Array, y: Array) -> Array:
        if len(right.shape) == 1:
            return output_grad[..., None] * right
        if len(right.shape) == 2:
            return output_grad @ np.swapaxes(right, 0, 1)
        return self._tensordot(left, right).left_grad(output_grad, left, right, y)

    def right_grad(self, output_grad: Array, left: Array, right: Array, y: Array) -> Array:
        if len(right.shape) == 1 and len(left.shape) == 1:
            return left * output_grad
        if len(left.shape) == 1:
            return left[:, None] * output_grad[..., None, :]
        if len(left.shape) == 2 and len(right.shape) <= 2:
            return np.swapaxes(left, 0, 1) @ output_grad
        return self._tensordot(left, right).right_grad(output_grad, left, right, y)

    def _tensordot(self, left: Array, right: Array) -> Tensordot:
        return Tensordot(((len(left.shape) - 1,), (max(len(right.shape) - 2, 0),)))


class Outer(BinaryOperation):
    """All products of an element of left and one of right, (left's size, right's size)."""

    def output_shape(self, *input_shapes: Shape) -> Shape | None:
        left, right = input_shapes
        return (math.prod(left), math.prod(right))

    def output(self, left: Array, right: Array) -> Array:
        return np.outer(left, right)

    def left_grad(self, output_grad: Array, left: Array, right: Array, y: Array) -> Array:
        column = np.reshape(right, (y.shape[1], 1))
        return np.reshape(output_grad @ column, left.shape)

    def right_grad(self, output_grad: Array, left: Array, right: Array, y: Array) -> Array:
        row = np.reshape(left, (1, y.shape[0]))
        return np.reshape(row @ output_grad, right.shape)


def _others(shape: Shape, axes: Sequence[int]) -> tuple[int, ...]:
    """Axes that are not among `axes`."""
    return tuple(axis for axis in range(len(shape)) if axis not in axes)
