"""The networks of a user's file: found, and built."""

from __future__ import annotations

import ast
import contextlib
import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, get_origin

from typegrad.checking.findings import Finding
from typegrad.errors import DataError, TypegradError
from typegrad.network import NeuralNetwork

_NAMES = ("build_network", "make_network")
"""Functions that are taken to return a network although nothing is annotated."""


@dataclass(frozen=True)
class ModelFile:
    """A file of Python, and how it is imported."""

    path: Path
    module: str
    search_path: Path
    is_module: bool
    """Whether the user named a module rather than a file."""

    @property
    def shown(self) -> str:
        """The file's name as mypy writes it."""
        with contextlib.suppress(ValueError):
            return str(self.path.relative_to(Path.cwd()))
        return str(self.path)

    @property
    def mypy_target(self) -> list[str]:
        """What mypy is called with."""
        return ["-m", self.module] if self.is_module else [self.shown]


@dataclass(frozen=True)
class BuiltNetwork:
    """A network, by what its file calls it."""

    name: str
    line: int
    network: NeuralNetwork


@dataclass
class Model:
    """What came of importing a file."""

    networks: list[BuiltNetwork] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def find_model_file(target: str) -> ModelFile:
    """Find the file that a name stands for: a file's or a module's.

    Raises
    ------
    DataError
        If there is none.
    """
    path = Path(target)
    if path.is_file() and path.suffix == ".py":
        path = path.resolve()
        root, names = path.parent, [path.stem]
        while (root / "__init__.py").is_file():
            root, names = root.parent, [root.name, *names]
        module = ".".join(names).removesuffix(".__init__")
        return ModelFile(path, module, root, is_module=False)
    if path.exists() and not target.isidentifier():
        raise DataError(f"{target} is no Python file; expected a file.py, or a module's name")
    origin = _module_origin(target)
    if origin is None:
        raise DataError(f"there is no file {target}, and no module of that name")
    return ModelFile(origin, target, Path.cwd(), is_module=True)


def _module_origin(name: str) -> Path | None:
    if not all(part.isidentifier() for part in name.split(".")):
        return None
    with _importing_from(Path.cwd()):
        try:
            spec = importlib.util.find_spec(name)
        except ImportError:
            return None
    path = None if spec is None or spec.origin is None else Path(spec.origin)
    return path if path is not None and path.suffix == ".py" else None


def build_models(file: ModelFile) -> Model:
    """Import a file, and build the networks that it has or can make without arguments.

    Networks are found in variables of the module, and made by its functions that need no
    argument and are annotated to return one, or are named ``build_network`` or
    ``make_network``, and by its subclasses of `NeuralNetwork` that need no argument.

    What the file prints goes to stderr. An exception is a finding at the last line of the file
    that it went through.
    """
    model = Model()
    with (
        _importing_from(file.search_path),
        contextlib.redirect_stdout(sys.stderr),
        _noting("import", file, model),
    ):
        _build(_import(file), file, model)
    return model


def _build(module: ModuleType, file: ModelFile, model: Model) -> None:
    for name, make in _makers(module):
        with _noting("construction", file, model):
            network = make()
            if isinstance(network, NeuralNetwork):
                model.networks.append(BuiltNetwork(name, _line_of(name, file.path), network))


@contextlib.contextmanager
def _importing_from(directory: Path) -> Iterator[None]:
    """Import what lies beside the file, as Python does for a program."""
    path = list(sys.path)
    sys.path.insert(0, str(directory))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = path


@contextlib.contextmanager
def _noting(code: str, file: ModelFile, model: Model) -> Iterator[None]:
    try:
        yield
    except (Exception, SystemExit) as error:
        model.findings.append(
            Finding(file.shown, _line_in(file.path, error), 1, "error", code, _words(error))
        )


def _import(file: ModelFile) -> ModuleType:
    if file.is_module or "." in file.module:
        return importlib.import_module(file.module)
    # Under a name of its own: the file may be called as a package that is imported already.
    name = f"checked_{file.module}"
    spec = importlib.util.spec_from_file_location(name, file.path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file.path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[name]
    return module


def _makers(module: ModuleType) -> Iterator[tuple[str, Callable[[], object]]]:
    """Names of what is, or makes, a network; each network once."""
    seen: set[int] = set()
    for name, value in list(vars(module).items()):
        if isinstance(value, NeuralNetwork):
            if id(value) not in seen:
                seen.add(id(value))
                yield name, partial(_itself, value)
        elif getattr(value, "__module__", None) == module.__name__ and _makes_network(
            name, value, module
        ):
            yield name, value


def _itself(network: NeuralNetwork) -> NeuralNetwork:
    return network


def _makes_network(name: str, value: Any, module: ModuleType) -> bool:
    if inspect.isclass(value):
        returned: object = value
    elif inspect.isfunction(value) and not inspect.iscoroutinefunction(value):
        returned = value.__annotations__.get("return")
        with contextlib.suppress(Exception):  # names that only checkers know
            while isinstance(returned, str):
                returned = eval(returned, vars(module))
        returned = NeuralNetwork if returned is None and name in _NAMES else returned
    else:
        return False
    made = get_origin(returned) or returned
    return isinstance(made, type) and issubclass(made, NeuralNetwork) and _needs_nothing(value)


def _needs_nothing(function: Callable[..., object]) -> bool:
    optional = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return all(
        parameter.default is not parameter.empty or parameter.kind in optional
        for parameter in inspect.signature(function).parameters.values()
    )


def _line_of(name: str, path: Path) -> int:
    """Line where a module gives a name its last meaning; 1 if that cannot be told."""
    line = 1
    for statement in ast.parse(path.read_bytes()).body:
        is_definition = isinstance(statement, ast.FunctionDef | ast.ClassDef)
        for node in [statement] if is_definition else ast.walk(statement):
            if name == _name_given_by(node):
                line = getattr(node, "lineno", line)
    return line


def _name_given_by(node: ast.AST) -> str | None:
    if isinstance(node, ast.Name):
        return node.id if isinstance(node.ctx, ast.Store) else None
    if isinstance(node, ast.alias):
        return node.asname or node.name
    return getattr(node, "name", None)


def _line_in(path: Path, error: BaseException) -> int:
    """Last line of the file that an exception went through."""
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.lineno is not None and Path(frame.filename) == path
    ]
    if isinstance(error, SyntaxError) and error.filename == str(path):
        lines.append(error.lineno or 1)
    return lines[-1] if lines else 1


def _words(error: BaseException) -> str:
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    one_line = " ".join(text.split())
    return one_line if isinstance(error, TypegradError) else f"{type(error).__name__}: {one_line}"
