"""Plugin for mypy: ``plugins = typegrad.mypy_plugin`` in mypy's configuration.

Types alone carry the usual widths through ``>>``. The plugin adds what they cannot: layers in
lists and in arguments, widths of any number, the loss against the outputs, arrays whose shape
is written out; and it says what is wrong in the words of the errors at run time.

It looks at calls of typegrad's own classes and methods alone, by their full names, and passes
over what it does not know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from mypy.nodes import CallExpr
from mypy.plugin import (
    CheckerPluginInterface,
    FunctionContext,
    FunctionSigContext,
    MethodContext,
    MethodSigContext,
    Plugin,
)
from mypy.types import FunctionLike, Type

from typegrad.mypy_plugin.arrays import check_examples, check_inputs, check_loss_arguments
from typegrad.mypy_plugin.composition import check_composition, check_reflected, check_sum
from typegrad.mypy_plugin.construction import (
    CHECKS,
    container_type,
    dense_type,
    embedding_type,
    features_type,
    trainer_type,
)

__all__ = ["plugin"]

_LAYERS = "typegrad.layers"
_NETWORK = "typegrad.network.NeuralNetwork"
_TRAINER = "typegrad.trainer.Trainer"
_LOSSES = (
    "typegrad.losses.regression.MSELoss",
    "typegrad.losses.regression.MAELoss",
    "typegrad.losses.regression.HuberLoss",
    "typegrad.losses.regression.LogCoshLoss",
    "typegrad.losses.likelihood.PoissonNLLLoss",
)

_RESULTS: Mapping[str, Callable[[FunctionContext], Type]] = {
    f"{_LAYERS}.dense.Dense": dense_type,
    f"{_LAYERS}.embedding.Embedding": embedding_type,
    f"{_LAYERS}.normalization.BatchNorm": features_type,
    f"{_LAYERS}.normalization.LayerNorm": features_type,
    f"{_LAYERS}.embedding.ColumnEmbedding": features_type,
    f"{_LAYERS}.containers.Chain": container_type,
    f"{_LAYERS}.containers.Residual": container_type,
    _NETWORK: container_type,
    _TRAINER: trainer_type,
}
_OPERATORS: Mapping[str, Callable[[MethodSigContext], FunctionLike]] = {
    "__rshift__": check_composition,
    "__rrshift__": check_reflected,
    "__add__": check_sum,
}
_METHODS: Mapping[str, Callable[[MethodContext], Type]] = {
    f"{_NETWORK}.forward": check_inputs,
    f"{_NETWORK}.predict": check_inputs,
    f"{_TRAINER}.fit": check_examples,
    f"{_TRAINER}.evaluate": check_examples,
    **{f"{loss}.forward": check_loss_arguments for loss in _LOSSES},
}


class TypegradPlugin(Plugin):
    """Hooks for typegrad's classes and methods, by full name."""

    def get_function_signature_hook(
        self, fullname: str
    ) -> Callable[[FunctionSigContext], FunctionLike] | None:
        check = CHECKS.get(fullname)
        return None if check is None else partial(_checked, check)

    def get_function_hook(self, fullname: str) -> Callable[[FunctionContext], Type] | None:
        return _RESULTS.get(fullname)

    def get_method_signature_hook(
        self, fullname: str
    ) -> Callable[[MethodSigContext], FunctionLike] | None:
        return _OPERATORS.get(fullname.rpartition(".")[2]) if "__" in fullname else None

    def get_method_hook(self, fullname: str) -> Callable[[MethodContext], Type] | None:
        return _METHODS.get(fullname)


def _checked(
    check: Callable[[CheckerPluginInterface, CallExpr], None], ctx: FunctionSigContext
) -> FunctionLike:
    if isinstance(ctx.context, CallExpr):
        check(ctx.api, ctx.context)
    return ctx.default_signature


def plugin(version: str) -> type[Plugin]:
    """Return the class of the plugin; mypy calls this."""
    return TypegradPlugin
