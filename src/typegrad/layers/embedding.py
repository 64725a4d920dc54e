"""Embeddings of categories."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, overload

from typegrad.dimensions import (
    Dim,
    Given,
    GivenDim,
    In_co,
    Out_co,
    Taken,
    TakenDim,
    as_width,
)
from typegrad.errors import ShapeError
from typegrad.initializers import Normal
from typegrad.layers.base import Layer
from typegrad.operations.base import Operation
from typegrad.operations.lookup import Lookup, LookupColumns
from typegrad.operations.parameter import Initializer, Parameter


class Embedding(Layer[Any, Out_co]):
    """A trained vector for each category.

    Input: whole numbers from 0 to num_embeddings - 1, of shape (batch,) or (batch, k), in
    the network's floating dtype. Output: (batch, embedding_dim) or
    (batch, k, embedding_dim), which `Flatten` makes (batch, k * embedding_dim).

    Parameters
    ----------
    num_embeddings
        Number of categories.
    embedding_dim
        Length of the vectors, or a `Dim` class that names it.
    initializer
        Of the table of vectors, (num_embeddings, embedding_dim); standard normal by default.
    """

    if TYPE_CHECKING:
        # What it takes is codes: no embedding comes after another.
        def _only_width(self) -> int: ...

    @overload
    def __init__(
        self: Embedding[Given],
        num_embeddings: int,
        embedding_dim: Given,
        *,
        initializer: Initializer | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self: Embedding[GivenDim],
        num_embeddings: int,
        embedding_dim: type[GivenDim],
        *,
        initializer: Initializer | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self: Embedding[Any],
        num_embeddings: int,
        embedding_dim: int,
        *,
        initializer: Initializer | None = None,
    ) -> None: ...
    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int | type[Dim],
        *,
        initializer: Initializer | None = None,
    ) -> None:
        width = as_width("Embedding", "embedding_dim", embedding_dim)
        if num_embeddings < 1:
            raise ValueError(f"Embedding: num_embeddings is {num_embeddings}; expected 1 or more")
        self.num_embeddings = num_embeddings
        self.embedding_dim: int = width
        self.out_features: int = width
        self.initializer = initializer
        self.weight: Parameter = Parameter((num_embeddings, width), initializer or Normal())
        self.operations: tuple[Operation, ...] = (Lookup(self.weight),)

    def multiply_adds(self) -> int:
        """Zero: a row is looked up."""
        return 0

    def __repr__(self) -> str:
        return f"Embedding({self.num_embeddings}, {self.embedding_dim})"


class ColumnEmbedding(Layer[In_co, Any]):
    """Replace columns that hold category codes by trained vectors; other columns pass.

    Input (batch, in_features). Output (batch, out_features): the other columns first, then
    a vector for each column of codes.

    Parameters
    ----------
    in_features
        Number of columns, or a `Dim` class that names it.
    categories
        For each column that holds codes, the number of categories: ``{column: count}``.
    embedding_dim
        Length of the vectors; None takes min(50, (count + 1) // 2) for each column.
    """

    @overload
    def __init__(
        self: ColumnEmbedding[Taken],
        in_features: Taken,
        categories: Mapping[int, int],
        embedding_dim: int | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self: ColumnEmbedding[TakenDim],
        in_features: type[TakenDim],
        categories: Mapping[int, int],
        embedding_dim: int | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self: ColumnEmbedding[Any],
        in_features: int,
        categories: Mapping[int, int],
        embedding_dim: int | None = None,
    ) -> None: ...
    def __init__(
        self,
        in_features: int | type[Dim],
        categories: Mapping[int, int],
        embedding_dim: int | None = None,
    ) -> None:
        columns = as_width("ColumnEmbedding", "in_features", in_features)
        for column, count in categories.items():
            if not 0 <= column < columns or count < 1:
                raise ShapeError(
                    f"ColumnEmbedding: column {column} with {count} categories does not fit "
                    f"an input of {columns} columns"
                )
        self.in_features: int = columns
        self.categories: dict[int, int] = dict(categories)
        self.embedding_dim = embedding_dim
        self.tables: tuple[Parameter, ...] = tuple(
            Parameter((count, embedding_dim or min(50, (count + 1) // 2)), Normal(0.5))
            for count in self.categories.values()
        )
        self.out_features: int = (
            columns - len(self.tables) + sum(table.shape[1] for table in self.tables)
        )
        self.operations: tuple[Operation, ...] = (
            LookupColumns(tuple(self.categories), *self.tables),
        )

    def multiply_adds(self) -> int:
        """Zero: rows are looked up."""
        return 0

    def __repr__(self) -> str:
        return f"ColumnEmbedding({self.in_features}, {self.categories})"
