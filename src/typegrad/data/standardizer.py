"""Standardise columns: mean 0, standard deviation 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from typegrad.data.moments import ROWS_AT_A_TIME, ColumnMoments
from typegrad.errors import DataError, DTypeError, FileFormatError, ShapeError, StateError
from typegrad.types import AnyArray, Array, IntArray, Shape, Vector


class Standardizer:
    """Shift and scale each column to mean 0 and standard deviation 1.

    z = (x - mean) / scale, where scale is the population standard deviation
    sqrt(mean((x - mean)**2)) of the rows given to `fit`, or 1 for a column that is
    constant there. Computed in float64, without cancellation when the mean is large
    against the spread; results have the dtype of the input.

    Parameters
    ----------
    columns
        Indices of the columns to standardise; the others pass unchanged, as codes of
        categories must. All columns if None.

    Raises
    ------
    DataError
        If an index is negative or given twice.

    Examples
    --------
    >>> x = np.array([[1.0, 7.0], [3.0, 7.0]])
    >>> standardizer = Standardizer().fit(x)
    >>> standardizer.transform(x)
    array([[-1.,  0.],
           [ 1.,  0.]])
    >>> standardizer.inverse_transform(np.array([[0.5, 2.0]]))
    array([[2.5, 9. ]])
    """

    def __init__(self, columns: Sequence[int] | None = None) -> None:
        self._columns: IntArray | None = None
        if columns is not None:
            self._columns = np.array([int(column) for column in columns], dtype=np.int64)
            if len(set(columns)) < len(columns) or any(column < 0 for column in columns):
                raise DataError(
                    f"Standardizer got columns {list(columns)}; "
                    "it expects different indices from 0 on"
                )
        self._mean: Vector | None = None
        self._scale: Vector | None = None

    @property
    def fitted(self) -> bool:
        """Whether `fit` was called."""
        return self._mean is not None

    @property
    def mean(self) -> Vector:
        """Mean of each column, float64 of shape (columns,); 0 for those that pass."""
        return self._moments()[0]

    @property
    def scale(self) -> Vector:
        """What each column is divided by, float64 of shape (columns,); 1 for those that pass."""
        return self._moments()[1]

    def fit(self, x: Array) -> Standardizer:
        """Learn mean and scale of each column.

        Parameters
        ----------
        x
            Training rows, floating array of shape (rows, columns).

        Returns
        -------
        Standardizer
            Itself.

        Raises
        ------
        ShapeError
            If x is not two-dimensional, or lacks one of the columns to standardise.
        DTypeError
            If x is no floating array.
        DataError
            If x has no rows, masked elements, or a NaN or infinite value (its row and column
            are named, counted from 0).
        """
        _check_floats("fit", x)
        if not x.shape[0]:
            raise DataError("Standardizer.fit got x with no rows; it needs at least one")
        finite = np.isfinite(x)
        if not finite.all():
            row, column = np.argwhere(~finite)[0]
            raise DataError(
                f"Standardizer.fit got x[{row}, {column}] = {x[row, column]}; "
                "fill gaps and remove infinite values first"
            )
        fit = self.begin_fit(x.shape)
        for start in range(0, len(x), ROWS_AT_A_TIME):
            fit.add(x[start : start + ROWS_AT_A_TIME])
        fit.end()
        return self

    def begin_fit(self, shape: Shape) -> StandardizerFit:
        """Begin a fit to rows that come part by part.

        Parameters
        ----------
        shape
            Of all rows, (rows, columns).

        Raises
        ------
        ShapeError
            If there is no such column as one of those to standardise.
        """
        columns = self._columns
        if columns is not None and columns.size and columns.max() >= shape[1]:
            raise ShapeError(
                f"Standardizer.fit got x of shape {shape}, but column {columns.max()} is to "
                f"be standardised; x needs at least {columns.max() + 1} columns"
            )
        # All by a slice, which copies nothing.
        return StandardizerFit(self, shape[1], slice(None) if columns is None else columns)

    def transform(self, x: Array) -> Array:
        """Standardise rows: (x - mean) / scale.

        Parameters
        ----------
        x
            Floating array of shape (rows, columns).

        Returns
        -------
        numpy.ndarray
            Of x's shape and dtype.

        Raises
        ------
        StateError
            If `fit` was not called.
        ShapeError
            If x has another number of columns than the rows given to `fit`.
        DTypeError
            If x is no floating array.
        DataError
            If x has masked elements.
        """
        mean, scale = self._moments()
        _check_width("transform", x, mean.size)
        standardized = x - mean
        standardized /= scale
        return standardized.astype(x.dtype, copy=False)

    def inverse_transform(self, z: Array) -> Array:
        """Undo `transform`: z * scale + mean.

        Parameters, result and errors are those of `transform`.
        """
        mean, scale = self._moments()
        _check_width("inverse_transform", z, mean.size)
        own = z * scale
        own += mean
        return own.astype(z.dtype, copy=False)

    def state(self) -> dict[str, AnyArray]:
        """Return what `from_state` needs, to save it: arrays by name.

        Raises
        ------
        StateError
            If `fit` was not called.
        """
        mean, scale = self._moments()
        state: dict[str, AnyArray] = {"mean": mean.copy(), "scale": scale.copy()}
        if self._columns is not None:
            state["columns"] = self._columns.copy()
        return state

    @classmethod
    def from_state(cls, state: Mapping[str, AnyArray]) -> Standardizer:
        """Make a fitted standardizer of what `state` returned.

        Raises
        ------
        FileFormatError
            If an array is missing or unknown, or cannot come from `state`.
        """
        unknown = sorted(set(state) - {"mean", "scale", "columns"})
        if unknown or not {"mean", "scale"} <= set(state):
            raise FileFormatError(
                f"state of a Standardizer has the arrays {sorted(state)}; "
                "expected mean, scale and perhaps columns"
            )
        mean, scale = state["mean"], state["scale"]
        for name, array in (("mean", mean), ("scale", scale)):
            if array.dtype != np.float64 or array.ndim != 1 or not np.isfinite(array).all():
                raise FileFormatError(
                    f"state of a Standardizer: {name} has shape {array.shape} and dtype "
                    f"{array.dtype}; expected finite float64 numbers of shape (columns,)"
                )
        if mean.shape != scale.shape or not (scale > 0).all():
            raise FileFormatError(
                f"state of a Standardizer: scale has shape {scale.shape} and least value "
                f"{scale.min(initial=np.inf)}; expected shape {mean.shape} and values above 0"
            )
        standardizer = cls(_saved_columns(state.get("columns"), mean.size))
        standardizer._mean, standardizer._scale = mean.copy(), scale.copy()
        return standardizer

    def _moments(self) -> tuple[Vector, Vector]:
        if self._mean is None or self._scale is None:
            raise StateError(
                "this Standardizer is not fitted; call fit(x) with the training rows first"
            )
        return self._mean, self._scale


class StandardizerFit:
    """A fit to rows that come part by part, of which only moments are kept.

    Parts of `ROWS_AT_A_TIME` rows, the last of what is left, give what `Standardizer.fit`
    gives for all rows together, bit for bit.
    """

    def __init__(self, standardizer: Standardizer, width: int, chosen: IntArray | slice) -> None:
        self._standardizer = standardizer
        self._width = width
        self._chosen = chosen
        self._moments = ColumnMoments()

    def add(self, rows: Array) -> None:
        """Take in the next rows, at least one, all finite."""
        self._moments.add(rows[:, self._chosen])

    def end(self) -> None:
        """Give the standardizer its mean and scale."""
        mean, scale = np.zeros(self._width), np.ones(self._width)
        mean[self._chosen], scale[self._chosen] = self._moments.mean_and_scale()
        self._standardizer._mean, self._standardizer._scale = mean, scale


def _saved_columns(columns: AnyArray | None, width: int) -> list[int] | None:
    if columns is None:
        return None
    indices: list[int] = columns.ravel().tolist()
    valid = columns.ndim == 1 and columns.dtype == np.int64
    if not valid or len(set(indices)) < len(indices) or not all(0 <= i < width for i in indices):
        raise FileFormatError(
            f"state of a Standardizer: columns are {columns.tolist()} of dtype {columns.dtype}; "
            f"expected different int64 indices below {width}"
        )
    return indices


def _check_floats(method: str, x: object) -> None:
    if not isinstance(x, np.ndarray) or x.dtype.kind != "f":
        given = f"dtype {x.dtype}" if isinstance(x, np.ndarray) else f"a {type(x).__name__}"
        raise DTypeError(
            f"Standardizer.{method} got {given}; it expects a floating-point array, "
            "such as np.asarray(x, dtype=np.float64)"
        )
    refuse_masked(f"Standardizer.{method}: x", x)
    if x.ndim != 2:
        raise ShapeError(
            f"Standardizer.{method} got an array of shape {x.shape}; it expects (rows, columns)"
        )


def _check_width(method: str, x: Array, width: int) -> None:
    _check_floats(method, x)
    if x.shape[1] != width:
        raise ShapeError(
            f"Standardizer.{method} got an array of shape {x.shape}; it was fitted to rows of "
            f"{width} {'column' if width == 1 else 'columns'} and expects (rows, {width})"
        )


def refuse_masked(name: str, x: object) -> None:
    """Raise DataError if an array masks elements: all else would take what lies beneath."""
    # Plain arrays have no mask, and do not have to load numpy.ma.
    if isinstance(x, np.ndarray) and type(x) is not np.ndarray and np.ma.is_masked(x):
        raise DataError(
            f"{name} has masked elements; fill them, or drop their rows, and give a plain array"
        )
