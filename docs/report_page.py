"""The reference page of ``report.json`` and its JSON schema, written from the declared document."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from model.portfolio_report.document import Report
from model.portfolio_report.settings import PortfolioSettings

NOTE = "<!-- Written by `make docs`; edit the docstrings in the code instead. -->"

Schema = Mapping[str, Any]


def report_reference() -> str:
    """Every key of the report: type and meaning."""
    schema = Report.model_json_schema()
    definitions: Schema = schema["$defs"]
    lines = [
        "# report.json",
        "",
        NOTE,
        "",
        "`gogooku report --json` and `gogooku evaluate FILE --json` print this document, with the `path` of its page",
        "in front. Ratios and returns are plain numbers (0.01 is 1 %), dates are ISO text. The same inputs, settings",
        "and seed give the same bytes. The [JSON schema](report.schema.json) says the same to programs.",
        "",
        *_text(schema),
        "",
        *_table(schema),
    ]
    for name in dict.fromkeys(_reached(schema, definitions)):
        lines += ["", f"## {name}", "", *_text(definitions[name]), "", *_table(definitions[name])]
        if name == "Config":
            lines += ["", "And every key of the section [`portfolio`](settings.md#portfolio)."]
    return "\n".join(lines) + "\n"


def report_schema() -> str:
    """The document as a JSON schema."""
    return json.dumps(Report.model_json_schema(), indent=1, ensure_ascii=False) + "\n"


def _text(schema: Schema) -> list[str]:
    return [" ".join(schema["description"].split())]


def _table(schema: Schema) -> list[str]:
    lines = ["| key | type | meaning |", "| --- | --- | --- |"]
    hidden = PortfolioSettings.model_fields if schema.get("title") == "Config" else {}
    for key, part in schema["properties"].items():
        if key not in hidden:
            optional = "" if key in schema.get("required", ()) else "; may be absent"
            meaning = " ".join(part["description"].split()).replace("|", "\\|")
            lines.append(f"| `{key}` | {_type(part)}{optional} | {meaning} |")
    return lines


def _type(part: Schema) -> str:
    for key, text in _KINDS.items():
        if key in part:
            return text(part[key])
    if part.get("type") == "array":
        return f"list of {_type(part['items'])}"
    if part.get("type") == "object":
        return f"by name: {_type(part['additionalProperties'])}"
    return _PLAIN.get(str(part.get("type")), "null")


def _link(reference: str) -> str:
    name = reference.rsplit("/", 1)[1]
    return f"[{name}](#{name.lower()})"


_PLAIN = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
_KINDS: Mapping[str, Callable[[Any], str]] = {
    "$ref": _link,
    "enum": lambda values: " or ".join(f"`{value}`" for value in values),
    "const": lambda value: f"`{value}`",
    "anyOf": lambda options: " or ".join(map(_type, options)),
    "prefixItems": lambda items: f"[{', '.join(map(_type, items))}]",
    "format": str,
}
"""What a part of the schema says of a type, and how it reads."""


def _reached(schema: Schema, definitions: Schema) -> Iterator[str]:
    """The parts in the order in which a reader meets them."""
    for part in schema["properties"].values():
        for name in _named(part):
            yield name
            yield from _reached(definitions[name], definitions)


def _named(part: Any) -> Iterator[str]:
    if isinstance(part, Mapping):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"].rsplit("/", 1)[1]
        for value in part.values():
            yield from _named(value)
    elif isinstance(part, list):
        for value in part:
            yield from _named(value)
