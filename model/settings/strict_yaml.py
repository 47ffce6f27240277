"""YAML as presets are written: no key twice in a mapping, and a date that there is not stays a text.

YAML lets the last of two equal keys win in silence. And it knows a date by its form: PyYAML fails on 2021-02-30 without
saying where it stands, while the settings name the key of a text that is no date.
"""

from collections.abc import Hashable
from typing import Any

import yaml

_SAFE: type[yaml.SafeLoader | yaml.CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The same language; libyaml reads it ten times as fast, and every step of a run reads its preset anew."""
_MERGE = "tag:yaml.org,2002:merge"


class _Loader(_SAFE):  # type: ignore[valid-type, misc]
    """The safe loader, with both rules."""

    def construct_mapping(self, node: yaml.Node, deep: bool = False) -> dict[Hashable, Any]:
        if isinstance(node, yaml.MappingNode):
            self._require_each_key_once(node)
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep=deep)
        return mapping

    def date_or_text(self, node: yaml.Node) -> Any:
        try:
            return self.construct_yaml_timestamp(node)
        except ValueError:
            return node.value

    def _require_each_key_once(self, node: yaml.MappingNode) -> None:
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
                continue
            if key.value in lines:
                said = f"the key {key.value!r} of line {lines[key.value]} stands once more"
                raise yaml.constructor.ConstructorError(None, None, said, key.start_mark)
            lines[key.value] = key.start_mark.line + 1


def read(text: str) -> Any:
    """What a text says.

    Raises:
        yaml.YAMLError: it is not YAML, or a mapping has a key twice.
    """
    return yaml.load(text, Loader=_Loader)


def problem(error: Exception) -> str:
    """What and where, without the picture that the parser draws of it."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"{error.problem} in line {mark.line + 1}, column {mark.column + 1}"
    return str(error)


_Loader.add_constructor("tag:yaml.org,2002:timestamp", _Loader.date_or_text)
