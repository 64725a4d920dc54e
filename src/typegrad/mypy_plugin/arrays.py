"""Checks of data whose shape is written out, or known to mypy, where a network gets it."""

from __future__ import annotations

from collections.abc import Sequence

from mypy.nodes import (
    CallExpr,
    Expression,
    FloatExpr,
    IntExpr,
    ListExpr,
    MemberExpr,
    RefExpr,
    StarExpr,
    TupleExpr,
    UnaryExpr,
)
from mypy.plugin import MethodContext
from mypy.types import Instance, ProperType, TupleType, Type, UnpackType, get_proper_type

from typegrad.mypy_plugin.construction import LAYER_SIZE
from typegrad.mypy_plugin.reader import Reader
from typegrad.mypy_plugin.variables import first_type
from typegrad.mypy_plugin.widths import ANY_WIDTH, Width, call_text, literal_int, width_of

Lengths = Sequence[int | None]
"""Lengths of an array's axes; None where one is not known."""

_NETWORK = "typegrad.network.NeuralNetwork"
_CROSS_ENTROPY = "typegrad.losses.classification.CrossEntropyLoss"
_ELEMENTWISE_LOSS = "typegrad.losses.base.ElementwiseLoss"
_BUILT_IN_LOSSES = "typegrad.losses."
_FROM_SHAPE = {"zeros", "ones", "empty", "full"}
_FROM_VALUES = {"array", "asarray"}
_GENERATOR = "numpy.random._generator.Generator"
_PLACE_OF_SIZE = {"standard_normal": 0, "random": 0, "uniform": 2, "normal": 2, "integers": 2}


def check_inputs(ctx: MethodContext) -> Type:
    """Compare the inputs with the features that the network takes."""
    takes, _, _ = _network(_owner(ctx))
    _check_rows(ctx, takes)
    return ctx.default_return_type


def check_examples(ctx: MethodContext) -> Type:
    """Compare inputs and targets with the trainer's network."""
    trainer = _owner(ctx)
    if isinstance(trainer, Instance) and len(trainer.args) == 1:
        takes, gives, loss = _network(get_proper_type(trainer.args[0]))
        _check_rows(ctx, takes)
        target = _argument(ctx, "y")
        if loss is not None and target is not None:
            _check_target(ctx, loss, gives, target)
    return ctx.default_return_type


def check_loss_arguments(ctx: MethodContext) -> Type:
    """Compare the numbers of axes of prediction and target."""
    reader = Reader(ctx.api)
    prediction, target = _argument(ctx, "prediction"), _argument(ctx, "target")
    if prediction is not None and target is not None and isinstance(ctx.type, Instance):
        given, wanted = lengths_of(reader, target), lengths_of(reader, prediction)
        if given is not None and wanted is not None and not _may_be_equal(given, wanted):
            _fail_target(ctx, ctx.type, wanted, given, target)
    return ctx.default_return_type


def _owner(ctx: MethodContext) -> ProperType:
    """Type of the object whose method is called."""
    call = ctx.context
    if isinstance(call, CallExpr) and isinstance(call.callee, MemberExpr):
        return first_type(ctx.api, call.callee.expr, ctx.type)
    return ctx.type


def _network(given: ProperType) -> tuple[Width, Width, Instance | None]:
    """Return what a network takes and gives, and its loss."""
    if not isinstance(given, Instance) or given.type.fullname != _NETWORK or len(given.args) != 4:
        return ANY_WIDTH, ANY_WIDTH, None
    takes, gives, _, loss = given.args
    proper = get_proper_type(loss)
    return width_of([takes]), width_of([gives]), proper if isinstance(proper, Instance) else None


def _argument(ctx: MethodContext, name: str) -> Expression | None:
    if name not in ctx.callee_arg_names:
        return None
    given = ctx.args[ctx.callee_arg_names.index(name)]
    return given[0] if len(given) == 1 and not isinstance(given[0], StarExpr) else None


def _check_rows(ctx: MethodContext, takes: Width) -> None:
    node = _argument(ctx, "x")
    if node is None or not takes.types:
        return
    given = lengths_of(Reader(ctx.api), node)
    if given is None or _may_be_equal(given, [None, _number(takes)]):
        return
    advice = "; for one row use x.reshape(1, -1)" if len(given) == 1 else ""
    ctx.api.fail(
        f"x has shape {_shape(given)}; the network expects (rows, {takes}){advice}",
        node,
        code=LAYER_SIZE,
    )


def _check_target(ctx: MethodContext, loss: Instance, gives: Width, node: Expression) -> None:
    given = lengths_of(Reader(ctx.api), node)
    if given is None or loss.type.fullname == _CROSS_ENTROPY:
        return
    if not loss.type.fullname.startswith(_BUILT_IN_LOSSES) or loss.type.is_abstract:
        return
    columns = _number(gives) if loss.type.has_base(_ELEMENTWISE_LOSS) else None
    if not _may_be_equal(given, [None, columns]):
        _fail_target(ctx, loss, [None, _number(gives)], given, node)


def _fail_target(
    ctx: MethodContext, loss: Instance, prediction: Lengths, target: Lengths, node: Expression
) -> None:
    advice = "they must be equal"
    if len(target) == 1 and len(prediction) == 2:
        advice = "make the target a column: target.reshape(-1, 1)"
    elif len(prediction) == 1 and len(target) == 2:
        advice = "make the prediction a column: prediction.reshape(-1, 1)"
    ctx.api.fail(
        f"{call_text(loss.type)}: the prediction has shape {_shape(prediction)} and the target "
        f"{_shape(target)}; {advice}",
        node,
        code=LAYER_SIZE,
    )


def _may_be_equal(left: Lengths, right: Lengths) -> bool:
    return len(left) == len(right) and all(
        None in pair or pair[0] == pair[1] for pair in zip(left, right, strict=True)
    )


def _number(width: Width) -> int | None:
    found = [literal_int(each) for each in width.types]
    value = found[0].value if len(found) == 1 and found[0] is not None else None
    return value if isinstance(value, int) else None


def _shape(lengths: Lengths) -> str:
    """Write a shape as Python does, with n for rows and ... for columns that are not known."""
    unknown = ["n"] + ["..."] * len(lengths)
    texts = [
        name if length is None else str(length)
        for length, name in zip(lengths, unknown, strict=False)
    ]
    return f"({texts[0]},)" if len(texts) == 1 else f"({', '.join(texts)})"


def lengths_of(reader: Reader, node: Expression) -> Lengths | None:
    """Lengths of an array's axes, as far as the expression or its type tells them."""
    written: Lengths | None = None
    if isinstance(node, CallExpr):
        written = _of_call(reader, node)
    elif isinstance(node, ListExpr):
        written = _of_values(node)
    return _of_type(reader.type_of(node)) if written is None else written


def _of_call(reader: Reader, call: CallExpr) -> Lengths | None:
    callee = call.callee
    if not isinstance(callee, MemberExpr | RefExpr):
        return None
    if isinstance(callee, MemberExpr) and callee.name == "astype":
        return lengths_of(reader, callee.expr)
    module, _, name = callee.fullname.rpartition(".")
    if module.partition(".")[0] == "numpy":
        if name in _FROM_SHAPE:
            return _of_shape(_passed(call, 0, "shape"))
        if name in _FROM_VALUES and isinstance(values := _passed(call, 0, "object"), ListExpr):
            return _of_values(values)
    if isinstance(callee, MemberExpr) and callee.name in _PLACE_OF_SIZE:
        owner = reader.type_of(callee.expr)
        if isinstance(owner, Instance) and owner.type.fullname == _GENERATOR:
            return _of_shape(_passed(call, _PLACE_OF_SIZE[callee.name], "size"))
    return None


def _passed(call: CallExpr, place: int, name: str) -> Expression | None:
    """Argument of a call, by place or by name."""
    if any(kind.is_star() for kind in call.arg_kinds):
        return None
    if name in call.arg_names:
        return call.args[call.arg_names.index(name)]
    positional = [
        node for node, given in zip(call.args, call.arg_names, strict=True) if given is None
    ]
    return positional[place] if place < len(positional) else None


def _of_shape(node: Expression | None) -> Lengths | None:
    if isinstance(node, IntExpr):
        return [node.value]
    if isinstance(node, TupleExpr | ListExpr):
        if any(isinstance(item, StarExpr) for item in node.items):
            return None
        return [item.value if isinstance(item, IntExpr) else None for item in node.items]
    return None


def _of_values(node: ListExpr) -> Lengths | None:
    """Shape of nested lists, as long as they are written out and hold nothing but numbers."""
    if not node.items or any(isinstance(item, StarExpr) for item in node.items):
        return None
    inner = [_of_values(item) for item in node.items if isinstance(item, ListExpr)]
    if not inner:
        return [len(node.items)] if all(_is_number(item) for item in node.items) else None
    first = inner[0]
    if len(inner) < len(node.items) or first is None or any(each != first for each in inner):
        return None
    return [len(node.items), *first]


def _is_number(node: Expression) -> bool:
    if isinstance(node, UnaryExpr) and node.op == "-":
        node = node.expr
    return isinstance(node, IntExpr | FloatExpr)


def _of_type(given: ProperType) -> Lengths | None:
    """Only the number of axes."""
    if not isinstance(given, Instance) or given.type.fullname != "numpy.ndarray" or not given.args:
        return None
    shape = get_proper_type(given.args[0])
    if not isinstance(shape, TupleType):
        return None
    if any(isinstance(get_proper_type(item), UnpackType) for item in shape.items):
        return None
    return [None] * len(shape.items)
