"""Checks where layers, chains and networks are made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from mypy.errorcodes import ErrorCode
from mypy.nodes import (
    CallExpr,
    Context,
    Expression,
    ListExpr,
    RefExpr,
    SuperExpr,
    TupleExpr,
    TypeAlias,
)
from mypy.plugin import CheckerPluginInterface, FunctionContext
from mypy.subtypes import is_subtype
from mypy.types import AnyType, Instance, Type, get_proper_type

from typegrad.mypy_plugin.reader import Reader
from typegrad.mypy_plugin.source import source_of
from typegrad.mypy_plugin.variables import open_type
from typegrad.mypy_plugin.widths import ANY_WIDTH, Part, Width, literal_int

LAYER_SIZE = ErrorCode("layer-size", "Layers, loss and data that do not fit", "typegrad")

_QUANTILES = "typegrad.losses.quantile.QuantileLoss"
_GAUSSIAN = "typegrad.losses.likelihood.GaussianNLLLoss"
_DEFAULT_QUANTILES = 3


def check_chain(api: CheckerPluginInterface, call: CallExpr) -> None:
    """Compare each layer of a chain with the one before it."""
    check_links(api, Reader(api).arguments(call))


def check_residual(api: CheckerPluginInterface, call: CallExpr) -> None:
    """Compare the layers, and what comes in with what goes out."""
    parts = list(Reader(api).arguments(call))
    check_links(api, parts)
    takes, gives = _ends(parts)
    if takes.excludes(gives):
        owner = call.callee.info if isinstance(call.callee, SuperExpr) else None
        name = "Residual" if owner is None else owner.name
        inside = ", ".join("..." if part is None else part.text for part in parts)
        api.fail(
            f"{name}({inside}) takes {takes} features but gives {gives}; "
            "the input can only be added to as many",
            call,
            code=LAYER_SIZE,
        )


def check_network(api: CheckerPluginInterface, call: CallExpr) -> None:
    """Compare the layers, and the loss with the last of them."""
    reader = Reader(api)
    parts = list(reader.arguments(call))
    check_links(api, parts)
    for node, name in zip(call.args, call.arg_names, strict=True):
        if name == "loss":
            _check_loss(api, reader, node, parts)


CHECKS: Mapping[str, Callable[[CheckerPluginInterface, CallExpr], None]] = {
    "typegrad.layers.containers.Chain": check_chain,
    "typegrad.layers.containers.Residual": check_residual,
    "typegrad.network.NeuralNetwork": check_network,
}
"""What is checked where a class is called, by its full name."""


def check_super_call(api: CheckerPluginInterface, argument: Context) -> None:
    """Check the ``super().__init__(...)`` that an expression is an argument of.

    mypy tells plugins of no such call, but of the layers in it.
    """
    source = source_of(api)
    call = None if source is None else source.super_calls.get(argument)
    if source is None or call is None or call in source.being_read:
        return
    source.being_read.add(call)
    check = CHECKS.get(_initialized_class(call))
    if check is not None:
        check(api, call)
    source.being_read.remove(call)


def _initialized_class(call: CallExpr) -> str:
    """Full name of the class whose ``__init__`` is called through ``super()``."""
    callee = call.callee
    if not isinstance(callee, SuperExpr) or callee.name != "__init__" or callee.info is None:
        return ""
    bases = callee.info.mro[1:]
    return next((base.fullname for base in bases if callee.name in base.names), "")


def check_links(
    api: CheckerPluginInterface, parts: Iterable[Part | None], place: Context | None = None
) -> None:
    """Report each layer that does not take what the one before it gives, where it stands."""
    features, giver = ANY_WIDTH, None
    for part in parts:
        if part is None:
            features, giver = ANY_WIDTH, None
            continue
        if giver is not None and features.excludes(part.takes):
            api.fail(
                f"{part.text} expects {part.takes} input features, "
                f"but {giver.text} before it gives {features}",
                place or part.node,
                code=LAYER_SIZE,
            )
        if not part.keeps:
            features, giver = part.gives, part


def _ends(parts: Iterable[Part | None]) -> tuple[Width, Width]:
    """Return what a sequence takes and gives."""
    takes, gives, starts = ANY_WIDTH, ANY_WIDTH, True
    for part in parts:
        if part is None:
            gives, starts = ANY_WIDTH, False
        elif not part.keeps:
            takes = part.takes if starts else takes
            gives, starts = part.gives, False
    return takes, gives


def _check_loss(
    api: CheckerPluginInterface, reader: Reader, loss: Expression, parts: list[Part | None]
) -> None:
    wanted, text = _outputs_wanted(reader, loss)
    last = parts[-1] if parts else None
    given = [literal_int(each) for each in _ends(parts)[1].types]
    numbers = [each.value for each in given if each is not None]
    if last is None or not numbers or len(numbers) < len(given):
        return
    if all(isinstance(number, int) and number % wanted for number in numbers):
        api.fail(
            f"{text} wants {wanted} outputs for each target column, "
            f"but {last.text} gives {' or '.join(str(number) for number in numbers)}",
            loss,
            code=LAYER_SIZE,
        )


def _outputs_wanted(reader: Reader, loss: Expression) -> tuple[int, str]:
    """Outputs that a loss wants for each target column, and the loss in words."""
    given = reader.type_of(loss)
    if not isinstance(given, Instance):
        return 1, ""
    if given.type.fullname == _GAUSSIAN:
        return 2, given.type.name
    if given.type.fullname == _QUANTILES and isinstance(loss, CallExpr) and _is_class(loss.callee):
        return _quantiles(loss), given.type.name
    return 1, ""


def _is_class(callee: Expression) -> bool:
    """Whether a class itself is called, and not a function that makes an object of it."""
    if not isinstance(callee, RefExpr):
        return False
    node = callee.node
    if isinstance(node, TypeAlias):
        target = get_proper_type(node.target)
        return isinstance(target, Instance) and target.type.fullname == _QUANTILES
    return node is not None and node.fullname == _QUANTILES


def _quantiles(call: CallExpr) -> int:
    """How many quantiles a loss is made with; 1, which fits all, if that is not written out."""
    for node, kind, name in zip(call.args, call.arg_kinds, call.arg_names, strict=True):
        if kind.is_star():
            return 1
        if name in (None, "quantiles"):
            items = node.items if isinstance(node, ListExpr | TupleExpr) else []
            return len(items) or 1
    return _DEFAULT_QUANTILES


def dense_type(ctx: FunctionContext) -> Type:
    """Give `Dense` the numbers in its type that `Size` does not list."""
    return _with_arguments(ctx, [_written(ctx, 0), _written(ctx, 1)])


def features_type(ctx: FunctionContext) -> Type:
    """Do the same for layers with one width."""
    return _with_arguments(ctx, [_written(ctx, 0)])


def embedding_type(ctx: FunctionContext) -> Type:
    """Do the same for the vectors that an embedding gives."""
    return _with_arguments(ctx, [_written(ctx, 1)])


def container_type(ctx: FunctionContext) -> Type:
    """Give a chain the widths of its ends."""
    if not isinstance(ctx.context, CallExpr):
        return ctx.default_return_type
    return _with_arguments(ctx, _ends(Reader(ctx.api).arguments(ctx.context)))


def trainer_type(ctx: FunctionContext) -> Type:
    """Leave the network open where a variable gets one trainer after another."""
    return _with_arguments(ctx, [])


def _written(ctx: FunctionContext, index: int) -> Width:
    given = [literal_int(each) for each in ctx.arg_types[index]]
    return ANY_WIDTH if len(given) != 1 or given[0] is None else Width((given[0],))


def _with_arguments(ctx: FunctionContext, widths: Iterable[Width]) -> Type:
    """Write widths into the type of the call, unless something else is expected of it."""
    check_super_call(ctx.api, ctx.context)
    plain = get_proper_type(ctx.default_return_type)
    if not isinstance(plain, Instance):
        return ctx.default_return_type
    arguments = list(plain.args)
    for index, width in enumerate(widths):
        if isinstance(get_proper_type(arguments[index]), AnyType):
            arguments[index] = width.type
    exact = plain.copy_modified(args=arguments)
    expected = ctx.api.type_context[-1] if ctx.api.type_context else None
    if expected is not None and not is_subtype(exact, expected):
        return ctx.default_return_type
    return open_type(ctx.api, ctx.context, exact)
