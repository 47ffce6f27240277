"""Code versions: a hash of the code that can change a stage's result.

The version of a stage covers its ``stage`` module and everything in ``model`` that this module imports, directly
or not, and the page templates beside it. Comments, docstrings and layout do not count, nor do modules that cannot
change a result (the store, the settings, the checks, the pictures).

Two hundred modules take a second to parse, in every command. What a text comes to is therefore kept in the package's
``__pycache__``, by the hash of the text: like Python's own bytecode there, it may be removed at any time, and where the
folder cannot be written it is worked out each time.
"""

import ast
import contextlib
import hashlib
import json
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from model.store import atomic

_PACKAGE = Path(__file__).resolve().parents[1]
_LEFT_OUT = ("model.store", "model.settings", "model.errors", "model.lineage")
_LEFT_OUT_NAMES = ("settings", "checks", "pictures")
_MOST_KEPT = 2000
"""Texts; those of past edits are forgotten then, with all others."""
_KEPT_AS = f"normal_forms.{sys.implementation.cache_tag}.json"


@cache
def code_version(module: str) -> str:
    """Hash of a module's code and of all it imports from ``model`` (dotted name, such as ``model.baseline.stage``)."""
    known = len(_kept())
    digest = hashlib.sha256()
    for name in sorted(_closure(module)):
        digest.update(f"{name}\n{_module(name).normal_form}\n".encode())
    if len(_kept()) > known:
        _keep()
    for template in _templates(module):
        digest.update(template.read_bytes())
    return digest.hexdigest()


def _templates(module: str) -> list[Path]:
    """Page templates that lie beside a module."""
    path = _file(module)
    return sorted(path.parent.glob("*.html")) if path else []


def _closure(module: str) -> set[str]:
    found: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        waiting += _module(name).imports
    return found


def _counts(module: str) -> bool:
    left_out = any(module == name or module.startswith(f"{name}.") for name in _LEFT_OUT)
    return not left_out and module.rsplit(".", 1)[-1] not in _LEFT_OUT_NAMES and _file(module) is not None


@dataclass(frozen=True)
class _Module:
    """What counts of a module's text."""

    normal_form: str
    """Hash of the syntax tree without docstrings, written out."""
    imports: tuple[str, ...]
    """The modules of the package that it imports."""


@cache
def _module(name: str) -> _Module:
    path = _file(name)
    if path is None:
        raise ModuleNotFoundError(name)
    text = path.read_bytes()
    key = hashlib.sha256(text).hexdigest()
    if key not in _kept():
        form: list[str] = []
        named: list[str] = []
        _write(ast.parse(text), form, named)
        _kept()[key] = [hashlib.sha256("\n".join(form).encode()).hexdigest(), *named]
    normal_form, *named = _kept()[key]
    imports = (name if _file(name) else name.rpartition(".")[0] for name in named)  # a module, or a name in one
    return _Module(normal_form, tuple(found for found in imports if _counts(found)))


@cache
def _kept() -> dict[str, list[str]]:
    """Hash of a module's text to the hash of its normal form, and what it imports by its dotted names."""
    own = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    with contextlib.suppress(OSError, ValueError):
        kept: dict[str, dict[str, list[str]]] = json.loads((_PACKAGE / "__pycache__" / _KEPT_AS).read_bytes())
        found = kept.get(own, {})
        return found if len(found) < _MOST_KEPT else {}
    return {}


def _keep() -> None:
    own = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    with contextlib.suppress(OSError):  # a package that may not be written to
        (_PACKAGE / "__pycache__").mkdir(exist_ok=True)
        atomic.write_bytes(_PACKAGE / "__pycache__" / _KEPT_AS, json.dumps({own: _kept()}).encode())


def _write(node: ast.AST, form: list[str], named: list[str]) -> None:
    """Add a node and those below it to the normal form: its kind, then its fields in order."""
    form.append(type(node).__name__)
    if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("model"):
        named += [f"{node.module}.{alias.name}" for alias in node.names]
    elif isinstance(node, ast.Import):
        named += [alias.name for alias in node.names if alias.name.startswith("model.")]
    for field in node._fields:
        value = getattr(node, field, None)
        if isinstance(value, list):
            form.append("[")
            for part in value:
                if not isinstance(part, ast.AST):
                    form.append(repr(part))
                elif field != "body" or not _is_text(part):
                    _write(part, form, named)
            form.append("]")
        elif isinstance(value, ast.AST):
            _write(value, form, named)
        else:
            form.append(repr(value))


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


@cache
def _file(module: str) -> Path | None:
    parts = module.split(".")[1:]
    for candidate in (_PACKAGE.joinpath(*parts).with_suffix(".py"), _PACKAGE.joinpath(*parts, "__init__.py")):
        if candidate.is_file():
            return candidate
    return None
