"""What is wrong with a user's model file: by its types, and by building its networks."""

from typegrad.checking.findings import Finding, Severity
from typegrad.checking.models import BuiltNetwork, Model, ModelFile, build_models, find_model_file
from typegrad.checking.outputs import check_outputs
from typegrad.checking.static import check_types

__all__ = [
    "BuiltNetwork",
    "Finding",
    "Model",
    "ModelFile",
    "Severity",
    "build_models",
    "check_outputs",
    "check_types",
    "find_model_file",
]
