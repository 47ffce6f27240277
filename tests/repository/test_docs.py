"""The documentation says what the code says."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from docs.generate import FOLDER
from docs.generate import PAGES as REFERENCES
from gogooku_dagster.cli import ablate, diagnose, evaluate, refresh, report, run, simulate, status, ui
from model.lineage.graph import STAGES
from model.settings import presets
from model.settings.root import Settings

ROOT = Path(__file__).resolve().parents[2]
READMES = ("README.md", "README.ja.md")
PAGES = sorted([*(ROOT / name for name in READMES), *(ROOT / "docs").rglob("*.md")])
COMMANDS: dict[str, click.Command] = {
    module.command.name or "": module.command
    for module in (run, status, refresh, report, diagnose, evaluate, ablate, ui, simulate)
}


def undocumented(schema: dict[str, Any]) -> Iterator[str]:
    """Settings keys without a description."""
    for name, section in {"Settings": schema, **schema["$defs"]}.items():
        for key, part in section.get("properties", {}).items():
            if not part.get("description") and "$ref" not in part:
                yield f"{name}.{key}"


def test_every_settings_key_is_documented() -> None:
    assert list(undocumented(Settings.model_json_schema())) == []


@pytest.mark.parametrize("name", REFERENCES)
def test_the_reference_is_what_make_docs_would_write(name: str) -> None:
    assert (FOLDER / name).read_text("utf-8") == REFERENCES[name](), "run `make docs`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", page.read_text("utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


def shown_commands(page: Path) -> list[str]:
    """What a page tells people to type: code spans, and lines after a prompt."""
    text = page.read_text("utf-8")
    spans = re.findall(r"`(gogooku [^`]+)`", text)
    prompts = re.findall(r"^ *\$ (?:.* )?(gogooku (?!>)[^#\n]+)", text, re.MULTILINE)
    return [*spans, *prompts]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_options_that_pages_show_exist(page: Path) -> None:
    for shown in shown_commands(page):
        name = shown.split()[1]
        assert name in COMMANDS, shown
        options = {option for parameter in COMMANDS[name].params for option in parameter.opts}
        assert set(re.findall(r"--[a-z][a-z-]*", shown)) <= options, shown


@pytest.mark.parametrize("name", READMES)
def test_make_targets_that_the_readme_shows_exist(name: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    shown = set(re.findall(r"(?:`|\$ )make ([a-z]+)", (ROOT / name).read_text("utf-8")))
    assert shown
    assert shown <= targets


@pytest.mark.parametrize("name", READMES)
def test_presets_that_the_readme_lists_load(name: str) -> None:
    listed = re.findall(r"^\| `([a-z_]+)` \|", (ROOT / name).read_text("utf-8"), re.MULTILINE)
    assert "demo" in listed
    for preset in listed:
        presets.load(preset)


@pytest.mark.parametrize("name", READMES)
def test_the_graph_in_the_readme_is_the_graph(name: str) -> None:
    drawn = set(re.findall(r"^ +(\w+)(?:\[.*?\])? --> (\w+)", (ROOT / name).read_text("utf-8"), re.MULTILINE))
    assert drawn == {(upstream, stage.name) for stage in STAGES for upstream in stage.upstream}


def test_every_decision_is_listed() -> None:
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text("utf-8")
    assert [page.name for page in sorted(folder.glob("0*.md")) if page.name not in index] == []
