"""Tracing: formulas written down as graphs of primitives."""

from __future__ import annotations

from typegrad.tracing.errors import TraceError
from typegrad.tracing.graph import Call, Graph, Leaf, Node
from typegrad.tracing.interpreter import evaluate
from typegrad.tracing.recorder import NotTraceable, Recorder
from typegrad.tracing.scalar import Scalar
from typegrad.tracing.simplify import simplify
from typegrad.tracing.tracer import Tracer

__all__ = [
    "Call",
    "Graph",
    "Leaf",
    "Node",
    "NotTraceable",
    "Recorder",
    "Scalar",
    "TraceError",
    "Tracer",
    "evaluate",
    "simplify",
]
