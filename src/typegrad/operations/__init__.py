"""Operations: formulas with their derivatives, in plain NumPy."""

from __future__ import annotations

from typegrad.operations.activations import (
    ELU,
    GELU,
    SELU,
    LeakyReLU,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from typegrad.operations.arithmetic import Add, BroadcastOperation, Divide, Multiply, Subtract
from typegrad.operations.base import (
    BinaryOperation,
    ElementwiseOperation,
    NaryOperation,
    Operation,
    ParameterOperation,
    UnaryOperation,
    observe_operations,
)
from typegrad.operations.linear import Linear, MatMul, WeightMultiply
from typegrad.operations.parameter import FlatParameters, Parameter
from typegrad.operations.reductions import Mean, Reduction, Sum
from typegrad.operations.special import Erf

__all__ = [
    "ELU",
    "GELU",
    "SELU",
    "Add",
    "BinaryOperation",
    "BroadcastOperation",
    "Divide",
    "ElementwiseOperation",
    "Erf",
    "FlatParameters",
    "LeakyReLU",
    "Linear",
    "MatMul",
    "Mean",
    "Multiply",
    "NaryOperation",
    "Operation",
    "Parameter",
    "ParameterOperation",
    "ReLU",
    "Reduction",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Subtract",
    "Sum",
    "Tanh",
    "UnaryOperation",
    "WeightMultiply",
    "observe_operations",
]
