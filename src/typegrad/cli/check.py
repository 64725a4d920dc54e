"""``typegrad check``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from typing import Any

from typegrad.checking import (
    BuiltNetwork,
    Finding,
    ModelFile,
    build_models,
    check_outputs,
    check_types,
    find_model_file,
)
from typegrad.cli.console import say
from typegrad.summary import output_shapes, parameter_count

_SCHEMA_VERSION = 1


def run_check(options: argparse.Namespace) -> int:
    """Print what is wrong with a model file, and what it builds; return the exit status."""
    file = find_model_file(options.target)
    findings = check_types(file.mypy_target)
    model = build_models(file)
    said = {finding.message for finding in findings}
    findings += [finding for finding in model.findings if finding.message not in said]
    findings += [found for built in model.networks for found in _about_outputs(file, built)]
    if options.json:
        say(json.dumps(_report(file, findings, model.networks), indent=2))
    else:
        _print(file, findings, model.networks)
    return 1 if _count(findings, "error") else 0


def _about_outputs(file: ModelFile, built: BuiltNetwork) -> list[Finding]:
    found = check_outputs(built.network)
    if found is None:
        return []
    severity, message = found
    return [Finding(file.shown, built.line, 1, severity, "outputs", f"{built.name}: {message}")]


def _count(findings: Sequence[Finding], severity: str) -> int:
    return sum(finding.severity == severity for finding in findings)


def _print(file: ModelFile, findings: Sequence[Finding], networks: Sequence[BuiltNetwork]) -> None:
    for finding in findings:
        say(str(finding))
    for built in networks:
        say(f"{file.shown}:{built.line}: {built.name}")
        say("")
        say(built.network.summary())
        say("")
    if not networks:
        say(f"{file.shown}: no network was built; see `typegrad check --help`")
    counts = [(_count(findings, severity), severity) for severity in ("error", "warning")]
    say(", ".join(f"{count} {name}{'' if count == 1 else 's'}" for count, name in counts))


def _report(
    file: ModelFile, findings: Sequence[Finding], networks: Sequence[BuiltNetwork]
) -> Mapping[str, Any]:
    return {
        "version": _SCHEMA_VERSION,
        "file": file.shown,
        "findings": [vars(finding) for finding in findings],
        "networks": [_network(built) for built in networks],
    }


def _network(built: BuiltNetwork) -> Mapping[str, Any]:
    network = built.network
    shapes = output_shapes(network.chain, network.dtype)
    return {
        "name": built.name,
        "line": built.line,
        "in_features": network.in_features,
        "out_features": network.out_features,
        "parameters": parameter_count(network.chain),
        "dtype": str(network.dtype),
        "loss": str(network.loss),
        "layers": [
            {"layer": str(layer), "output_shape": shape, "parameters": parameter_count(layer)}
            for layer, shape in zip(network.layers, shapes, strict=True)
        ],
    }
