"""Predictions by native code: of single rows in microseconds, of many on all cores."""

from __future__ import annotations

import ctypes
import logging
import threading
from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from typegrad.engines.compiled.engine import usable_cores
from typegrad.engines.compiled.forward_code import ForwardCode
from typegrad.engines.compiled.graph_facts import NotNativeError
from typegrad.errors import ShapeError, StateError
from typegrad.network import as_real_array
from typegrad.options import check_count
from typegrad.types import AnyArray, Array, Shape

if TYPE_CHECKING:
    from typegrad.network import NeuralNetwork

__all__ = ["CompiledPredictor"]

logger: logging.Logger = logging.getLogger("typegrad")


class CompiledPredictor:
    """Predicts by native code: a row in microseconds.

    Its numbers are those of ``network.predict(x, engine="compiled")`` to the last bit, and those
    of the eager engine up to rounding. It may be called from several threads at once.

    Parameters
    ----------
    network
        Whose predictions it makes: with the weights, scalers and layers that it has now. After
        training went on, call `refresh`.
    threads
        How many threads to use at most, for many rows; None for the cores that the process may
        use. The numbers are the same for any number.

    Raises
    ------
    MissingExtraError
        If the extra ``fast`` is not installed.
    StateError
        If there is no native code for a part of the network, which is named; or if a scaler is
        not fitted.
    ShapeError
        If the network does not say how many features it takes.

    Examples
    --------
    >>> import typegrad as tg
    >>> network = tg.NeuralNetwork(tg.Dense(3, 2), loss=tg.MSELoss(), seed=0)
    >>> predict = tg.CompiledPredictor(network)
    >>> predict(np.array([1.0, 2.0, 3.0])).shape
    (2,)
    >>> predict(np.ones((5, 3))).shape
    (5, 2)
    """

    def __init__(self, network: NeuralNetwork, *, threads: int | None = None) -> None:
        if network.in_features is None:
            raise ShapeError(
                "CompiledPredictor: the network does not say how many features it takes; "
                "let it begin with a layer that does, such as tg.Dense"
            )
        self._network = network
        self._threads = usable_cores() if threads is None else check_count("threads", threads)
        self._lock = threading.Lock()
        self._row_shape: Shape = (network.in_features,)
        self._float64 = np.dtype(np.float64)
        self._prepare()

    def refresh(self) -> None:
        """Take over the network's weights, scalers and layers as they are now."""
        with self._lock:
            if self._code.is_outdated(self._network):
                self._prepare()
            else:
                self._code.refresh()

    def __call__(self, x: npt.ArrayLike) -> Array:
        """Predict.

        Parameters
        ----------
        x
            A row of inputs (in_features,), or rows (n, in_features), in their own units.

        Returns
        -------
        ndarray
            What ``network.predict`` gives: for a row without the axis of rows.

        Raises
        ------
        ShapeError
            If `x` is neither.
        DTypeError
            If `x` does not hold real numbers.
        DataError
            If `x` has a code of a category that an embedding does not know.
        """
        if (
            type(x) is np.ndarray
            and x.shape == self._row_shape
            and (x.dtype is self._float64 or x.dtype is self._dtype)
        ):
            # Written out here, as each further call would take a tenth of the time.
            with self._lock:
                self._input[...] = x
                failed = self._native(self._job_address)
                outputs = self._copy_outputs()
            if failed:
                row: Array = self._network.predict(x[np.newaxis], engine="eager")[0]
                return row
            return outputs if self._finish is None else self._finish(outputs[np.newaxis])[0]
        data = as_real_array(x, "x")
        if data.shape == self._row_shape:
            return self(data.astype(self._dtype))
        if data.shape[1:] != self._row_shape:
            width = self._row_shape[0]
            raise ShapeError(
                f"x has shape {data.shape}; the predictor expects a row of shape ({width},), "
                f"or rows of shape (n, {width})"
            )
        try:
            return _run(self._code, data, self._threads)
        except NotNativeError:  # The eager engine says what is wrong with the rows.
            return self._network.predict(data, engine="eager")

    def _prepare(self) -> None:
        try:
            code = ForwardCode(self._network, self._row_shape, logger.info, predicts=True)
        except NotNativeError as error:
            raise StateError(f"CompiledPredictor: there is no native code for {error}") from error
        self._code = code
        self._finish = code.finish
        self._dtype = code.input_dtype
        self._input: Array = np.zeros(self._row_shape, code.input_dtype)
        outputs: Array = np.zeros((1, *code.output_row), code.output_dtype)
        self._copy_outputs: Callable[[], Array] = outputs[0].copy
        self._job = code.job(self._input.reshape(1, -1), outputs, code.workspaces())
        self._job_address = ctypes.c_void_p(self._job.array.ctypes.data)
        self._native = code.library.forward_alone


_codes: WeakKeyDictionary[NeuralNetwork, ForwardCode] = WeakKeyDictionary()


def predict_natively(
    network: NeuralNetwork, data: AnyArray, batch_size: int | None, *, asked_for: bool
) -> Array | None:
    """Predict as `NeuralNetwork.predict` does; return None where NumPy should.

    Parameters
    ----------
    network, batch_size
        As there.
    data
        Inputs that were checked.
    asked_for
        Whether native code was asked for, so that it has to be installed.
    """
    if not len(data) or (not asked_for and find_spec("llvmlite") is None):
        return None
    step = batch_size or len(data)
    threads = usable_cores()
    try:
        code = _code_for(network, data.shape[1:])
        parts = [_run(code, data[i : i + step], threads) for i in range(0, len(data), step)]
    except NotNativeError as error:
        logger.info("predictions run in NumPy: there is no native code for %s", error)
        return None
    return np.concatenate(parts) if len(parts) > 1 else parts[0]


def _code_for(network: NeuralNetwork, row: Shape) -> ForwardCode:
    code = _codes.get(network)
    if code is None or code.row != row or code.is_outdated(network):
        code = _codes[network] = ForwardCode(network, row, logger.info, predicts=True)
    else:
        code.refresh()
    return code


def _run(code: ForwardCode, data: AnyArray, threads: int) -> Array:
    outputs = code.run(np.ascontiguousarray(data, code.input_dtype), threads)
    return outputs if code.finish is None else code.finish(outputs)
