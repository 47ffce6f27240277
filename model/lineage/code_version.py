"""Code versions: a hash of the code that can change a stage's result.

The version of a stage covers its ``stage`` module and everything in ``model`` that this module imports, directly
or not, and the page templates beside it. Comments, docstrings and layout do not count, nor do modules that cannot
change a result (the store, the settings, the checks, the pictures).
"""

import ast
import hashlib
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
        digest.update(f"{name}\n{_normal_form(name)}\n".encode())
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
        waiting += _imports(name)
    return found


@cache
def _imports(module: str) -> tuple[str, ...]:
    names: list[str] = []
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("model"):
            below = [f"{node.module}.{alias.name}" for alias in node.names]
            names += [name if _file(name) else node.module for name in below]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names if alias.name.startswith("model.")]
    return tuple(name for name in names if _counts(name))


def _counts(module: str) -> bool:
    left_out = any(module == name or module.startswith(f"{name}.") for name in _LEFT_OUT)
    return not left_out and module.rsplit(".", 1)[-1] not in _LEFT_OUT_NAMES and _file(module) is not None


@cache
def _normal_form(module: str) -> str:
    tree = _tree(module)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            node.body = [part for part in node.body if not _is_text(part)] or [ast.Pass()]
    return ast.dump(tree, annotate_fields=False)


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _tree(module: str) -> ast.Module:
    path = _file(module)
    if path is None:
        raise ModuleNotFoundError(module)
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def _file(module: str) -> Path | None:
    parts = module.split(".")[1:]
    for candidate in (_PACKAGE.joinpath(*parts).with_suffix(".py"), _PACKAGE.joinpath(*parts, "__init__.py")):
        if candidate.is_file():
            return candidate
    return None
