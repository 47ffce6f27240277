"""Presets: YAML files that may extend one another, and overrides on top.

``load("demo")`` reads ``assets_config/demo.yaml``; a path reads that file. A preset names its parent with
``extends``; mappings are merged key by key, except where ``kind`` changes (another source is another mapping).
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from model.errors import SettingsError
from model.settings import improvements, strict_yaml
from model.settings.root import Settings

FOLDER = Path(__file__).resolve().parents[2] / "assets_config"
"""The presets that come with the package."""
_RESERVED = tuple("%@`*&!|>#")
"""A value that begins so is a text: what YAML means by it has no use in one value."""
_CREDENTIALS = re.compile(r"//[^/@\s']*@")
_KINDS = ("simulated", "files", "jquants")


def load(preset: str | Path, overrides: Sequence[str] = ()) -> Settings:
    """Read a preset, apply ``key=value`` overrides such as ``source.path=bars.parquet``, and validate.

    Raises:
        SettingsError: no such preset, unreadable YAML, an unknown key, or a value of the wrong type or range.
    """
    path = locate(preset)
    document = _read(path, ())
    overlay(document, overrides)
    try:
        return Settings.model_validate(document)
    except ValidationError as error:
        raise SettingsError(_explain(error, str(path), overrides)) from error


def locate(preset: str | Path) -> Path:
    """The file of a preset given by name (``demo``) or by path.

    Raises:
        SettingsError: there is none; the message names the nearest one.
    """
    path = Path(preset)
    candidates = [path, FOLDER / path, FOLDER / f"{path}.yaml", FOLDER / path.name]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    known = sorted(entry.stem for entry in FOLDER.glob("*.yaml"))
    near = difflib.get_close_matches(path.stem, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise SettingsError(f"There is no preset {str(preset)!r}: neither a file nor one of {', '.join(known)}.{hint}")


def parent(path: Path) -> str | None:
    """What a preset file names as the preset it extends.

    Raises:
        SettingsError: the file is not readable YAML, or holds no mapping.
    """
    extends = _mapping(path).get("extends")
    return None if extends is None else str(extends)


def _read(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    if path in seen:
        raise SettingsError(f"{path} extends itself through {' -> '.join(map(str, seen))}. Break the circle.")
    document = _mapping(path)
    base_name = document.pop("extends", None)
    if base_name is None:
        return document
    if not isinstance(base_name, str):
        raise SettingsError(
            f"{path} says extends: {base_name!r}, which is a {type(base_name).__name__}. Name one preset, as "
            "in extends: demo, or one YAML file."
        )
    return _merge(_read(_base(path, base_name), (*seen, path)), document)


def _base(path: Path, name: str) -> Path:
    """The file that a preset extends; where there is none, who names it is said, which may be the record of a home."""
    beside = path.parent / f"{name}.yaml"
    if beside.is_file():
        return beside
    try:
        return locate(name)
    except SettingsError as error:
        raise SettingsError(
            f"{path} extends {name!r}, and that is gone or elsewhere. {error} Put the file back, or name another with "
            f"extends in {path.name}."
        ) from error


def _mapping(path: Path) -> dict[str, Any]:
    try:
        document = strict_yaml.read(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not readable YAML: {strict_yaml.problem(error)}. Correct the file.") from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise SettingsError(f"{path} must hold a mapping of sections, and holds a {type(document).__name__}.")
    return document


def _merge(base: dict[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in change.items():
        old = merged.get(key)
        same_kind = (
            isinstance(old, dict) and isinstance(value, dict) and old.get("kind") == value.get("kind", old.get("kind"))
        )
        merged[key] = _merge(old, value) if same_kind and isinstance(old, dict) else value
    return merged


def overlay(document: dict[str, Any], overrides: Sequence[str]) -> None:
    """Lay ``key=value`` overrides over a document; a mapping changes the keys that it names, as one of a preset does.

    Raises:
        SettingsError: one is not of that form, its value is not YAML, or its key lies below a single value.
    """
    # A kind first: it decides which keys its section may have.
    for override in sorted(overrides, key=lambda text: not _names_a_kind(text)):
        _apply(document, override)


def _apply(document: dict[str, Any], override: str) -> None:
    key, value = _parted(override)
    *parents, last = key.split(".")
    place = document
    for parent in parents:
        below = place.setdefault(parent, {})
        if not isinstance(below, dict):
            raise SettingsError(f"--set {override!r}: {parent} is a single value and has no keys below it.")
        place[parent] = place = dict(below)
    if last == "kind" and place.get("kind", value) != value:
        place.clear()  # the keys of another kind do not carry over
    place.update(_merge(place, {last: value}))


def _parted(override: str) -> tuple[str, Any]:
    """Key and value of an override."""
    text = override.partition("=")[2]
    if "=" not in override or not _key(override):
        raise SettingsError(f"--set {override!r} is not of the form key=value, such as source.path=bars.parquet.")
    try:
        return _key(override), plain_value(text)
    except yaml.YAMLError as error:
        raise SettingsError(
            f"--set {override!r}: the value is not readable YAML ({strict_yaml.problem(error)}). Lists are written "
            "[1, 5]."
        ) from error


def _names_a_kind(override: str) -> bool:
    key, value = _parted(override)
    return key.endswith(".kind") or (isinstance(value, dict) and "kind" in value)


def plain_value(text: str) -> Any:
    """What the right side of ``key=value`` says: YAML, but for texts such as ``%d.%m.%Y``, ``*.csv`` and ``|``.

    Raises:
        yaml.YAMLError: it is neither.
    """
    return text if text.startswith(_RESERVED) else strict_yaml.read(text) if text else ""


def _key(override: str) -> str:
    return override.partition("=")[0].strip()


def _explain(error: ValidationError, origin: str, overrides: Sequence[str]) -> str:
    lines = [_one(problem) for problem in error.errors()]
    where = f"{origin} with {', '.join(f'--set {item}' for item in overrides)}" if overrides else origin
    said = f"The settings in {where} cannot be used: " + "; ".join(dict.fromkeys(lines)) + "."
    return without_credentials(said)


def without_credentials(text: str) -> str:
    """A text without the user and password that an address in it may hold."""
    return _CREDENTIALS.sub("//…@", text)


def _one(problem: Any) -> str:
    location = [str(part) for part in problem["loc"] if part not in _KINDS]
    name = ".".join(location)
    if problem["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        if location == [improvements.SECTION] and isinstance(problem["input"], dict):
            return f"there is no section {name!r} ({improvements.advice_for_section(problem['input'])})"
        former = improvements.advice(location[-1])
        if former is not None:
            return f"unknown key {name!r} ({former})"
        kind = next((str(part) for part in problem["loc"] if part in _KINDS), None)
        return _unknown(location, kind)
    message = problem["msg"].removeprefix("Value error, ").replace("valid tuple", "list, such as [1, 5]")
    value = "" if problem["type"] == "missing" or not name else f" (given: {problem['input']!r})"
    return f"{name}: {message}{value}" if name else message


def _unknown(location: Sequence[str], kind: str | None) -> str:
    """What to say of a key that is not there (under a section of this kind)."""
    *parents, key = location
    name, section = ".".join(location), ".".join(parents)
    owners = [other for other in _KINDS if kind and key in _keys_at(parents, other)]
    if owners:
        return f"{name!r} is no key of {section}.kind={kind}; set {section}.kind={owners[0]} as well, which has it"
    known = _keys_at(parents, kind)
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    valid = f"did you mean {'.'.join([*parents, near[0]])!r}?" if near else f"valid here: {', '.join(known)}"
    return f"unknown key {name!r} ({valid})"


def _keys_at(location: Sequence[str], kind: str | None = None) -> list[str]:
    """The valid keys at a place of the settings tree, for the hint; of one kind only where kinds differ."""
    schema: Any = Settings.model_json_schema()
    definitions = schema.get("$defs", {})
    options = [schema]
    for part in location:
        step = [option.get("properties", {}).get(part) for option in _resolved(options, definitions)]
        items = [option.get("items") for option in _resolved(options, definitions)]
        options = [found for found in (step if not part.isdigit() else items) if found is not None]
    found = [option.get("properties", {}) for option in _resolved(options, definitions)]
    fitting = [keys for keys in found if kind is None or keys.get("kind", {}).get("const", kind) == kind]
    return sorted({key for keys in fitting for key in keys})


def _resolved(options: Sequence[Any], definitions: Mapping[str, Any]) -> list[Any]:
    flat: list[Any] = []
    for option in options:
        if "$ref" in option:
            flat += _resolved([definitions[option["$ref"].rsplit("/", 1)[1]]], definitions)
        elif "anyOf" in option or "oneOf" in option:
            flat += _resolved(option.get("anyOf", []) + option.get("oneOf", []), definitions)
        elif "allOf" in option:
            flat += _resolved(option["allOf"], definitions)
        else:
            flat.append(option)
    return flat
