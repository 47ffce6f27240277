"""Writes ``docs/reference`` from the settings, the features and the report's schema (``make docs``).

The text of a key is the docstring under its field, so the reference cannot say anything else than the code; a test
compares the files with what this module would write.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from docs.feature_pages import alpha158_reference, cell, feature_reference, language_reference
from docs.report_page import report_reference, report_schema
from model.settings.root import Settings

FOLDER = Path(__file__).resolve().parent / "reference"
NOTE = "<!-- Written by `make docs`; edit the docstrings in the code instead. -->"

Schema = Mapping[str, Any]


def settings_reference() -> str:
    """Every key of a preset: type, default, bounds, meaning."""
    schema = Settings.model_json_schema()
    definitions: Schema = schema["$defs"]
    top = {key: part for key, part in schema["properties"].items() if not _targets(part)}
    lines = [
        "# Settings",
        "",
        NOTE,
        "",
        "A preset names only what differs from these defaults. Keys are closed: one that is not listed is refused.",
        "Keys marked *free* make nothing stale by themselves: they cannot change a result, or act through rows that",
        "are hashed anyway.",
        "",
        *_table(top, schema, frozenset()),
    ]
    for key, part in schema["properties"].items():
        for name in _targets(part):
            lines += _section(key, name, definitions, several=len(_targets(part)) > 1)
    return "\n".join(lines).rstrip() + "\n"


def _section(path: str, name: str, definitions: Schema, several: bool = False) -> list[str]:
    schema: Schema = definitions[name]
    kind = schema["properties"].get("kind", {}).get("const") if several else None
    title = f"`{path}`" + (f" with `kind: {kind}`" if kind else "")
    lines = ["", f"## {title}", "", schema.get("description", "").replace("\n", " "), ""]
    lines += _table(schema["properties"], schema, _free(name))
    for key, part in schema["properties"].items():
        for below in _targets(part):
            suffix = "[]" if part.get("type") == "array" else ""
            lines += _section(f"{path}.{key}{suffix}", below, definitions)
    return lines


def _table(properties: Schema, owner: Schema, free: frozenset[str]) -> list[str]:
    lines = ["| key | type | default | meaning |", "| --- | --- | --- | --- |"]
    for key, part in properties.items():
        mark = " *(free)*" if key in free else ""
        meaning = cell(part.get("description", ""))
        lines.append(f"| `{key}` | {_type(part)} | {_default(key, part, owner)} | {meaning}{mark} |")
    return lines


def _targets(part: Schema) -> list[str]:
    """Names of the sections that a property holds; none where it holds a plain value."""
    options = [part, part.get("items", {}), *part.get("oneOf", ()), *part.get("anyOf", ())]
    return [option["$ref"].rsplit("/", 1)[1] for option in options if isinstance(option, dict) and "$ref" in option]


def _type(part: Schema) -> str:
    if "enum" in part:
        return " or ".join(f"`{value}`" for value in part["enum"])
    if "const" in part:
        return f"`{part['const']}`"
    if "anyOf" in part:
        return " or ".join(dict.fromkeys(_type(option) for option in part["anyOf"]))
    if "$ref" in part or "oneOf" in part:
        return "section, see below"
    if part.get("type") == "array":
        items = part.get("items") or {}
        inner = _type(items) if items else ", ".join(_type(each) for each in part.get("prefixItems", ()))
        return f"list of {inner}" if items else f"({inner})"
    plain = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
    name = {**plain, "object": "mapping", "null": "null"}.get(str(part.get("type")), "value")
    name = "date" if part.get("format") == "date" else name
    bounds = list(_bounds(part))
    return f"{name}, {' and '.join(bounds)}" if bounds else name


def _bounds(part: Schema) -> Iterator[str]:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    for key, sign in signs.items():
        if key in part:
            yield f"{sign} {part[key]:,}" if isinstance(part[key], int) else f"{sign} {part[key]}"


def _default(key: str, part: Schema, owner: Schema) -> str:
    if key in owner.get("required", ()):
        return "required"
    if "default" not in part:
        return ""
    value = part["default"]
    if isinstance(value, bool) or value is None:
        return f"`{str(value).lower().replace('none', 'null')}`"
    if isinstance(value, list):
        return f"`[{', '.join(each if each else repr(each) for each in map(str, value))}]`"
    return "`''`" if value == "" else f"`{value}`"


def _free(name: str) -> frozenset[str]:
    for field in Settings.model_fields.values():
        for candidate in (field.annotation, *get_args(field.annotation)):
            if getattr(candidate, "__name__", None) == name:
                return frozenset(getattr(candidate, "unhashed", getattr(candidate, "UNHASHED", frozenset())))
    return frozenset()


PAGES: Mapping[str, Callable[[], str]] = {
    "settings.md": settings_reference,
    "features.md": feature_reference,
    "alpha158.md": alpha158_reference,
    "language.md": language_reference,
    "report.md": report_reference,
    "report.schema.json": report_schema,
}
"""The files of the folder, and what writes each."""


def main() -> None:
    """Write the files."""
    FOLDER.mkdir(exist_ok=True)
    for name, write in PAGES.items():
        (FOLDER / name).write_text(write(), encoding="utf-8")


if __name__ == "__main__":
    main()
