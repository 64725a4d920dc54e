"""NeuralNetwork: layers and a loss, over one flat buffer of parameters."""

# pyright: reportOverlappingOverload=false

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Generic, Literal, TypeAlias, cast, get_args, overload

import numpy as np
import numpy.typing as npt
from typing_extensions import TypeVar

from typegrad.data.moments import ROWS_AT_A_TIME
from typegrad.data.standardizer import Standardizer, refuse_masked
from typegrad.dimensions import First, In_co, Last, Out_co
from typegrad.errors import DTypeError, ShapeError, StateError
from typegrad.layers import INFERENCE, Buffer, Chain, Layer, LayerLike, Mode, named_parts
from typegrad.losses.base import Loss
from typegrad.operations.parameter import FlatParameters, Parameter
from typegrad.options import check_choice, check_float_dtype
from typegrad.summary import summarize
from typegrad.types import AnyArray, Array, FloatDType, Vector

__all__ = ["NeuralNetwork"]

DTypeT = TypeVar("DTypeT", bound=np.floating[Any], default=Any)
LossT_co = TypeVar("LossT_co", bound=Loss, covariant=True, default=Loss)

PredictionEngine: TypeAlias = Literal["auto", "eager", "compiled"]
"""What `NeuralNetwork.predict` takes as its engine."""

LARGE_PREDICTION = 10**9
"""Rows times parameters from which on native code is worth it, the time to load it included."""


class NeuralNetwork(Generic[In_co, Out_co, DTypeT, LossT_co]):
    """Layers one after the other, with the loss they are trained on.

    ``NeuralNetwork(a >> b >> c, loss=...)``, ``NeuralNetwork(a, b, c, loss=...)`` and
    ``NeuralNetwork([a, b, c], loss=...)`` are the same. Its type names what it takes and gives,
    its dtype and its loss; plain ``NeuralNetwork`` in an annotation is any network.

    Parameters
    ----------
    *layers
        Layers; element-wise operations such as ``tg.Tanh()`` count as layers.
    loss
        What training minimises.
    seed
        Seed, or Generator, of the parameters' first values. None draws a fresh seed.
    dtype
        float32 (default) or float64: of parameters, and of all that is computed. Data of
        another dtype is converted once, by `predict` and by ``Trainer.fit``.
    input_scaler, target_scaler
        A `Standardizer` for the inputs or the targets, part of the network and saved with
        it. ``Trainer.fit`` fits those not yet fitted, on training rows alone. `predict` then
        takes inputs, and returns predictions, in the data's own units.

    Raises
    ------
    ShapeError
        If a layer does not take what the one before it gives, or the loss does not take
        what the last gives.
    StateError
        If a layer occurs twice, or its parameters belong to another network.
    DTypeError
        If the dtype is not float32 or float64.

    Examples
    --------
    >>> import typegrad as tg
    >>> network = tg.NeuralNetwork(
    ...     tg.Dense(8, 64, tg.ReLU()), tg.Dense(64, 1), loss=tg.MSELoss(), seed=0
    ... )
    >>> network.predict(np.zeros((2, 8))).shape
    (2, 1)
    """

    # With dtype first: options that come as ``**options`` may hold one.
    @overload
    def __init__(
        self: NeuralNetwork[First, Last, Any, LossT_co],
        layers: Layer[First, Last],
        /,
        *,
        loss: LossT_co,
        seed: int | np.random.Generator | None = None,
        dtype: npt.DTypeLike,
        input_scaler: Standardizer | None = None,
        target_scaler: Standardizer | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self: NeuralNetwork[First, Last, np.float32, LossT_co],
        layers: Layer[First, Last],
        /,
        *,
        loss: LossT_co,
        seed: int | np.random.Generator | None = None,
        input_scaler: Standardizer | None = None,
        target_scaler: Standardizer | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self: NeuralNetwork[Any, Any, Any, LossT_co],
        *layers: LayerLike | Iterable[LayerLike],
        loss: LossT_co,
        seed: int | np.random.Generator | None = None,
        dtype: npt.DTypeLike,
        input_scaler: Standardizer | None = None,
        target_scaler: Standardizer | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self: NeuralNetwork[Any, Any, np.float32, LossT_co],
        *layers: LayerLike | Iterable[LayerLike],
        loss: LossT_co,
        seed: int | np.random.Generator | None = None,
        input_scaler: Standardizer | None = None,
        target_scaler: Standardizer | None = None,
    ) -> None: ...
    # Where a variable of another network's type is assigned to.
    @overload
    def __init__(
        self: NeuralNetwork[Any, Any, Any, Any],
        *layers: LayerLike | Iterable[LayerLike],
        loss: Loss,
        seed: int | np.random.Generator | None = None,
        dtype: npt.DTypeLike = np.float32,
        input_scaler: Standardizer | None = None,
        target_scaler: Standardizer | None = None,
    ) -> None: ...
    def __init__(
        self,
        *layers: LayerLike | Iterable[LayerLike],
        loss: Any,
        seed: int | np.random.Generator | None = None,
        dtype: npt.DTypeLike = np.float32,
        input_scaler: Standardizer | None = None,
        target_scaler: Standardizer | None = None,
    ) -> None:
        self.chain: Chain = Chain(*_listed(layers))
        self.loss: LossT_co = _checked_loss(loss)
        self.dtype: FloatDType = _checked_dtype(dtype)
        self.input_scaler = input_scaler
        self.target_scaler = target_scaler
        self._check_loss_fits()
        self.flat: FlatParameters = self._allocate(np.random.default_rng(seed))

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers, in order."""
        return self.chain.layers

    @property
    def in_features(self) -> int | None:
        """Features of an input row; None if the layers do not say."""
        return self.chain.in_features

    @property
    def out_features(self) -> int | None:
        """Outputs for an input row; None if the layers do not say."""
        return self.chain.out_features

    @property
    def parameters(self) -> dict[str, Parameter]:
        """All parameters by name, such as ``"0.weight"``, in the order of the flat buffer."""
        return dict(self._named(Parameter))

    @property
    def buffers(self) -> dict[str, Buffer]:
        """State that is not trained, such as running means, by name."""
        return dict(self._named(Buffer))

    def forward(
        self, x: np.ndarray[Any, np.dtype[DTypeT]], mode: Mode = INFERENCE
    ) -> np.ndarray[Any, np.dtype[DTypeT]]:
        """Compute outputs from inputs that are standardised and of the network's dtype.

        Raises
        ------
        DTypeError
            If `x` has another dtype; `predict` converts.
        """
        dtype = getattr(x, "dtype", None)
        if dtype != self.dtype:
            raise DTypeError(
                f"NeuralNetwork.forward got {dtype or type(x).__name__}, but the network is "
                f"{self.dtype}; convert the input with .astype('{self.dtype}')"
            )
        # Layers keep the dtype.
        return cast("np.ndarray[Any, np.dtype[DTypeT]]", self.chain.forward(x, mode))

    def backward(self, output_grad: Array) -> Array:
        """Add to the parameters' gradients; return that of the last `forward`'s input."""
        return self.chain.backward(output_grad)

    def zero_grad(self) -> None:
        """Set all gradients to zero."""
        self.flat.grads.fill(0.0)

    def predict(
        self,
        x: npt.ArrayLike,
        batch_size: int | None = None,
        *,
        engine: PredictionEngine = "auto",
    ) -> Array:
        """Predict, in inference mode and in the target's own units.

        `CompiledPredictor` predicts single rows in microseconds.

        Parameters
        ----------
        x
            Inputs, (n, in_features), in their own units.
        batch_size
            Rows to convert and to compute at a time, to bound memory; if None all at once, but
            8192 of a ``numpy.memmap``.
        engine
            ``"eager"`` runs each operation in NumPy. ``"compiled"`` (extra ``fast``) runs native
            code on all cores, whose numbers differ by rounding and are the same for a row
            whatever stands beside it; what has no native code is predicted in NumPy. ``"auto"``
            compiles where the extra is installed and `x` is large: from 10^9 rows times
            parameters on.

        Returns
        -------
        ndarray
            What the loss says the outputs mean, of the network's dtype, or of float64 where a
            target scaler was undone: for most losses the
            predicted targets (n, out_features), for `GaussianNLLLoss` means and standard
            deviations, for `PoissonNLLLoss` rates, for `CrossEntropyLoss` probabilities.

        Raises
        ------
        ShapeError
            If `x` does not have the features that the network takes.
        DTypeError
            If `x` does not hold real numbers.
        StateError
            If a scaler is not fitted.
        MissingExtraError
            If the compiled engine is asked for and its extra is not installed.
        """
        if batch_size is not None and batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; expected 1 or more, or None")
        check_choice("engine", engine, get_args(PredictionEngine))
        given = self.check_inputs(x)
        if batch_size is None and isinstance(x, np.memmap):
            batch_size = ROWS_AT_A_TIME
        is_large = len(given) * self.flat.values.size >= LARGE_PREDICTION
        if engine == "compiled" or (engine == "auto" and is_large):
            from typegrad.predictor import predict_natively

            predictions = predict_natively(self, given, batch_size, asked_for=engine == "compiled")
            if predictions is not None:
                return predictions
        # Without rows there is one empty batch, which gives the output its shape.
        rows = max(len(given), 1)
        step = batch_size or rows
        outputs = [
            self.chain.forward(self._standardised(self.input_scaler, given[i : i + step]))
            for i in range(0, rows, step)
        ]
        return self.in_target_units(np.concatenate(outputs))

    def prepare_inputs(self, x: npt.ArrayLike, name: str = "x") -> Array:
        """Standardise inputs and convert them to the network's dtype."""
        return self._standardised(self.input_scaler, self.check_inputs(x, name))

    def check_inputs(self, x: npt.ArrayLike, name: str = "x") -> AnyArray:
        """Return rows of real numbers, as many as the network has features; or say what is wrong.

        Raises
        ------
        ShapeError, DTypeError
            If they are not.
        """
        data = as_real_array(x, name)
        if data.ndim == 0:
            raise ShapeError(f"{name} is a single number; the network expects rows")
        if self.in_features is not None and (data.ndim != 2 or data.shape[1] != self.in_features):
            advice = "; for one row use x.reshape(1, -1)" if data.ndim == 1 else ""
            raise ShapeError(
                f"{name} has shape {data.shape}; the network expects "
                f"(rows, {self.in_features}){advice}"
            )
        return data

    def prepare_targets(self, y: npt.ArrayLike, name: str = "y") -> Array:
        """Standardise targets and convert them to the network's dtype."""
        return self._standardised(self.target_scaler, as_real_array(y, name))

    def in_target_units(self, outputs: Array) -> Array:
        """Turn outputs of `forward` into predictions in the target's own units."""
        location, scale = self.target_location_and_scale()
        return self.loss.predictions(outputs, location, scale)

    def target_location_and_scale(self) -> tuple[Vector, Vector]:
        """Of each target column: the network is trained on (target - location) / scale."""
        if self.target_scaler is None:
            return np.zeros(1, self.dtype), np.ones(1, self.dtype)
        # In float64: where the mean is large, float32 could not hold what it is added to.
        return self.target_scaler.mean, self.target_scaler.scale

    def state_dict(self) -> dict[str, AnyArray]:
        """Copies of all parameters and buffers by name."""
        values = {name: parameter.value for name, parameter in self.parameters.items()}
        kept = {name: buffer.value for name, buffer in self.buffers.items()}
        return {name: array.copy() for name, array in {**values, **kept}.items()}

    def load_state_dict(self, state: Mapping[str, AnyArray]) -> None:
        """Set all parameters and buffers. Nothing changes unless everything fits.

        Raises
        ------
        StateError
            If names are missing or unknown.
        ShapeError
            If an array has the wrong shape.
        DTypeError
            If an array does not hold real numbers.
        """
        holders: dict[str, Any] = {**self.parameters, **self.buffers}
        missing, unknown = holders.keys() - state.keys(), state.keys() - holders.keys()
        if missing or unknown:
            raise StateError(
                "load_state_dict: the state is of another network; "
                f"missing: {sorted(missing) or 'none'}, unknown: {sorted(unknown) or 'none'}"
            )
        arrays = {}
        for name, holder in holders.items():
            array = as_real_array(state[name], f"load_state_dict: {name}")
            if array.shape != holder.shape:
                raise ShapeError(
                    f"load_state_dict: {name} has shape {array.shape}; expected {holder.shape}"
                )
            arrays[name] = array.astype(holder.value.dtype)
        for name, holder in holders.items():
            holder.value[...] = arrays[name]

    def summary(self) -> str:
        """Return a table of layers: output shape, parameters, multiply-adds for one row.

        Examples
        --------
        >>> import typegrad as tg
        >>> network = tg.NeuralNetwork(tg.Dense(8, 4), tg.Dense(4, 1), loss=tg.MSELoss())
        >>> print(network.summary())
        Layer           Output shape  Parameters  Multiply-adds
        -------------------------------------------------------
        0  Dense(8, 4)  (batch, 4)            36             32
        1  Dense(4, 1)  (batch, 1)             5              4
        -------------------------------------------------------
        Total                                 41             36
        MSELoss(), float32, 0.2 kB
        """
        return summarize(self.chain, self.loss, self.dtype)

    def __repr__(self) -> str:
        inside = ", ".join(str(layer) for layer in self.layers)
        return f"NeuralNetwork({inside}, loss={self.loss}, dtype={self.dtype})"

    def _standardised(self, scaler: Standardizer | None, data: AnyArray) -> Array:
        """Standardise, some rows at a time to bound memory, and convert to the network's dtype."""
        if scaler is None:
            return data.astype(self.dtype, copy=False)
        result: Array = np.empty(data.shape, self.dtype)
        for start in range(0, max(len(data), 1), ROWS_AT_A_TIME):  # One part to check, at least.
            part = data[start : start + ROWS_AT_A_TIME].astype(np.float64, copy=False)
            result[start : start + ROWS_AT_A_TIME] = scaler.transform(part)
        return result

    def _named(self, kind: Any) -> Iterable[tuple[str, Any]]:
        # A part that layers share, such as a tied weight, goes by its first name.
        seen: set[int] = set()
        for index, layer in enumerate(self.layers):
            for name, part in named_parts(layer, kind):
                if id(part) not in seen:
                    seen.add(id(part))
                    yield f"{index}.{name}", part

    def _check_loss_fits(self) -> None:
        wanted = self.loss.output_features(1)
        if wanted is None or self.out_features is None:
            return
        if self.out_features % wanted:
            raise ShapeError(
                f"{type(self.loss).__name__} wants {wanted} outputs for each target column, "
                f"but {self.layers[-1]} gives {self.out_features}"
            )

    def _allocate(self, generator: np.random.Generator) -> FlatParameters:
        """Give all parameters memory and their first values, each from its own stream."""
        named = self.parameters
        for name, parameter in named.items():
            if parameter.is_bound:
                raise StateError(
                    f"parameter {name} already belongs to a network; "
                    "build new layers for a second network"
                )
        streams = generator.spawn(len(named))
        # Drawn before anything is bound, so that layers outlive an initializer's error.
        drawn = [
            _first_value(name, parameter, stream)
            for (name, parameter), stream in zip(named.items(), streams, strict=True)
        ]
        flat = FlatParameters(list(named.values()), self.dtype)
        for parameter, value in zip(named.values(), drawn, strict=True):
            parameter.value[...] = value
        return flat


def as_real_array(x: npt.ArrayLike, name: str) -> AnyArray:
    """Convert to an array of real numbers.

    Raises
    ------
    DTypeError
        If it holds text, objects or complex numbers.
    DataError
        If some of its elements are masked.
    """
    refuse_masked(name, x)
    try:
        data = np.asarray(x)
    except ValueError:
        raise DTypeError(f"{name} has rows of different lengths; expected a table") from None
    if data.dtype.kind not in "fiub":
        raise DTypeError(
            f"{name} has dtype {data.dtype}; expected real numbers, "
            "and for text a TableEncoder that turns it into numbers"
        )
    return data


def _first_value(name: str, parameter: Parameter, generator: np.random.Generator) -> Array:
    value = parameter.initializer(parameter.shape, generator)
    if np.shape(value) != parameter.shape:
        raise ShapeError(
            f"the initializer of parameter {name} returned shape {np.shape(value)}; "
            f"expected {parameter.shape}"
        )
    return value


def _listed(layers: tuple[Any, ...]) -> list[Any]:
    if len(layers) == 1 and isinstance(layers[0], Iterable):
        return list(layers[0])
    if len(layers) == 1 and type(layers[0]) is Chain:
        return list(layers[0].layers)
    return list(layers)


def _checked_loss(loss: Any) -> Any:
    if not isinstance(loss, Loss):
        raise TypeError(f"loss is {loss!r}; expected a Loss object such as tg.MSELoss()")
    return loss


def _checked_dtype(dtype: npt.DTypeLike) -> FloatDType:
    return check_float_dtype("NeuralNetwork", dtype)
