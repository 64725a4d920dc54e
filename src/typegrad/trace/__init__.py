"""Tracing: formulas written down as graphs of primitives."""

from __future__ import annotations

from typegrad.trace.errors import TraceError
from typegrad.trace.graph import Call, Graph, Leaf, Node
from typegrad.trace.interpreter import evaluate
from typegrad.trace.recorder import NotTraceable, Recorder
from typegrad.trace.scalar import Scalar
from typegrad.trace.simplify import simplify
from typegrad.trace.tracer import Tracer

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
