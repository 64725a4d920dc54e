"""NumPy's functions, and what each of them does with tensors."""

from __future__ import annotations

from collections.abc import Callable
from inspect import Signature, signature
from typing import Any, TypeVar

from typegrad.operations.base import Operation

OPERATIONS: dict[Any, Operation] = {}
"""For universal functions that are one operation: that operation."""

HANDLERS: dict[Any, Callable[..., Any]] = {}
"""For all others: a function to call in the place of NumPy's, with what the user gave."""

Handler = TypeVar("Handler", bound=Callable[..., Any])


def implements(*functions: Any) -> Callable[[Handler], Handler]:
    """Make the decorated function what these NumPy functions do with tensors."""

    def register(handler: Handler) -> Handler:
        HANDLERS.update(dict.fromkeys(functions, handler))
        return handler

    return register


def call_ufunc(ufunc: Any, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call the handler of a universal function.

    Raises
    ------
    TypeError
        If there is none, or for a method such as ``np.add.at`` or an argument such as ``out``.
    """
    name = f"np.{ufunc.__name__}"
    if method != "__call__":
        raise TypeError(
            f"{name}.{method} does not work on tensors; "
            "use a function such as np.sum, np.prod, np.max or np.cumsum"
        )
    if "out" in kwargs:
        raise TypeError(
            f"{name}: the result of a tensor cannot be written into an array (out=, or an operator "
            "such as += on an array); assign it to a name"
        )
    if kwargs:
        raise TypeError(
            f"{name}: {', '.join(kwargs)}= does not work on tensors; "
            "use np.where to choose elements, and .astype() for another dtype"
        )
    handler = HANDLERS.get(ufunc)
    if handler is None:
        raise TypeError(unsupported(name))
    return handler(*inputs)


def call_function(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call the handler of a NumPy function that is no universal function.

    Raises
    ------
    TypeError
        If there is none, or if it does not take the arguments.
    """
    handler = HANDLERS.get(function)
    name = f"{function.__module__.replace('numpy', 'np')}.{function.__name__}"
    if handler is None:
        raise TypeError(unsupported(name))
    try:
        return handler(*args, **kwargs)
    except TypeError:
        taken = signature(handler)
        try:
            taken.bind(*args, **kwargs)
        except TypeError as problem:
            names = [each.replace(annotation=each.empty) for each in taken.parameters.values()]
            raise TypeError(f"{name} on tensors: {problem}; it takes {Signature(names)}") from None
        raise


def unsupported(name: str) -> str:
    """Message for a function that tensors do not go through."""
    return (
        f"{name} does not work on tensors; write it with functions that do, pass the values "
        "alone with .numpy(), or give it a derivative of its own in a subclass of Operation"
    )
