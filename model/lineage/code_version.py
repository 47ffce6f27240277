"""Code versions: a hash of the code that can change a stage's result.

The version of a stage covers its ``stage`` module and everything in ``model`` that this module imports, directly
or not, and the page templates beside it. Comments, docstrings and layout do not count, nor do modules that cannot
change a result (the store, the settings, the checks, the pictures).
"""

import ast
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_LEFT_OUT = ("model.store", "model.settings", "model.errors", "model.lineage")
_LEFT_OUT_NAMES = ("settings", "checks", "pictures")


@cache
def code_version(module: str) -> str:
    """Hash of a module's code and of all it imports from ``model`` (dotted name, such as ``model.baseline.stage``)."""
    digest = hashlib.sha256()
    for name in sorted(_closure(module)):
        digest.update(f"{name}\n{_module(name).normal_form}\n".encode())
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
    """What counts of a module's text: the syntax tree without docstrings, written out, and the modules it imports."""

    normal_form: str
    imports: tuple[str, ...]


@cache
def _module(name: str) -> _Module:
    path = _file(name)
    if path is None:
        raise ModuleNotFoundError(name)
    form: list[str] = []
    imports: list[str] = []
    _write(ast.parse(path.read_text(encoding="utf-8")), form, imports)
    return _Module("\n".join(form), tuple(found for found in imports if _counts(found)))


def _write(node: ast.AST, form: list[str], imports: list[str]) -> None:
    """Add a node and those below it to the normal form: its kind, then its fields in order."""
    form.append(type(node).__name__)
    if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("model"):
        below = [f"{node.module}.{alias.name}" for alias in node.names]
        imports += [name if _file(name) else node.module for name in below]
    elif isinstance(node, ast.Import):
        imports += [alias.name for alias in node.names if alias.name.startswith("model.")]
    for field in node._fields:
        value = getattr(node, field, None)
        if isinstance(value, list):
            form.append("[")
            for part in value:
                if not isinstance(part, ast.AST):
                    form.append(repr(part))
                elif field != "body" or not _is_text(part):
                    _write(part, form, imports)
            form.append("]")
        elif isinstance(value, ast.AST):
            _write(value, form, imports)
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
