"""What the repository promises about itself."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.conftest import FIRST

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("model", "gogooku_dagster")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def test_no_module_is_longer_than_four_hundred_lines() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in MODULES}
    assert MODULES
    assert {name: lines for name, lines in lengths.items() if lines > 400} == {}


def test_the_test_files_that_start_first_exist() -> None:
    assert [name for name in FIRST if not (ROOT / name).is_file()] == []


def test_package_files_import_nothing_but_the_standard_library() -> None:
    for path in (path for path in MODULES if path.name == "__init__.py"):
        nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
        named = {alias.name.split(".")[0] for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        named |= {str(node.module).split(".")[0] for node in nodes if isinstance(node, ast.ImportFrom)}
        assert named <= sys.stdlib_module_names, path


def test_one_project_file_rules_dagster() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert "dagster" not in project["tool"]  # it would silently win over workspace.yaml
    location = project["tool"]["dg"]["project"]["code_location_name"]
    [entry] = yaml.safe_load((ROOT / "workspace.yaml").read_text("utf-8"))["load_from"]
    assert entry["python_module"]["location_name"] == location


def test_every_direct_dependency_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [
        *project["dependencies"],
        *(name for group in project["optional-dependencies"].values() for name in group),
    ]
    names = {re.split(r"[<>=!~\[; ]", requirement, maxsplit=1)[0].lower() for requirement in wanted}
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pins = dict(line.lower().split("==") for line in lines if line and not line.startswith("#"))
    assert sorted(names - pins.keys()) == []


def test_dagster_is_pinned_in_lockstep() -> None:
    pins = dict(re.findall(r"^(dagster[\w-]*)==(\S+)$", (ROOT / "constraints.txt").read_text("utf-8"), re.MULTILINE))
    major, minor, patch = pins.pop("dagster").split(".")
    library = pins.pop("dagster-postgres")
    assert library == f"0.{int(minor) + 16}.{patch}"
    assert set(pins.values()) == {f"{major}.{minor}.{patch}"}


def test_the_torch_pin_leaves_the_build_to_the_index() -> None:
    assert re.search(r"^torch==[\d.]+$", (ROOT / "constraints.txt").read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("name", ["LICENSE", "NOTICE", "README.md", "README.ja.md", "constraints.txt", ".ci/run"])
def test_a_checkout_is_complete(name: str) -> None:
    assert (ROOT / name).read_text("utf-8").strip()


def test_the_licence_is_the_one_the_project_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text("utf-8")[:200]


BROAD = ("Exception", "BaseException")


def swallows(handler: ast.ExceptHandler) -> bool:
    """Whether a handler catches everything and does not raise again."""
    broad = handler.type is None or (isinstance(handler.type, ast.Name) and handler.type.id in BROAD)
    return broad and not any(isinstance(node, ast.Raise) for node in ast.walk(handler))


def evaluates(node: ast.Call) -> bool:
    """Whether a call runs text or a pickle as code."""
    if isinstance(node.func, ast.Name):
        return node.func.id in ("eval", "exec")
    return ast.unparse(node.func) in ("pickle.load", "pickle.loads")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_code_hides_errors_or_evaluates_text(path: Path) -> None:
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    assert [node.lineno for node in nodes if isinstance(node, ast.ExceptHandler) and swallows(node)] == []
    assert [node.lineno for node in nodes if isinstance(node, ast.Call) and evaluates(node)] == []
