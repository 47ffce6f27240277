"""A code version changes with code that matters, and with nothing else."""

from pathlib import Path

import pytest

from model.lineage import code_version as versions

SOURCE = '''"""Module text."""
from model.helper import double


def stage(x):
    """What it does."""
    return double(x)  # why
'''
HELPER = "def double(x):\n    return 2 * x\n"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "room").mkdir()
    (tmp_path / "room" / "stage.py").write_text(SOURCE)
    (tmp_path / "room" / "settings.py").write_text("LIMIT = 1\n")
    (tmp_path / "helper.py").write_text(HELPER)
    monkeypatch.setattr(versions, "_PACKAGE", tmp_path)
    return tmp_path


def version() -> str:
    for cached in (versions.code_version, versions._module, versions._file, versions._kept):
        cached.cache_clear()
    return versions.code_version("model.room.stage")


def test_comments_docstrings_and_layout_do_not_count(package: Path) -> None:
    before = version()
    (package / "room" / "stage.py").write_text(
        SOURCE.replace("# why", "").replace("What it does", "Other words") + "\n\n"
    )
    assert version() == before


def test_a_literal_counts_also_in_a_module_that_is_imported(package: Path) -> None:
    before = version()
    (package / "helper.py").write_text(HELPER.replace("2", "3"))
    assert version() != before


def test_settings_and_modules_that_are_not_imported_do_not_count(package: Path) -> None:
    before = version()
    (package / "room" / "settings.py").write_text("LIMIT = 2\n")
    (package / "elsewhere.py").write_text("X = 1\n")
    assert version() == before


def test_an_import_inside_a_function_counts(package: Path) -> None:
    late = SOURCE.replace("    return double(x)", "    from model.late import offset\n    return double(x) + offset")
    (package / "room" / "stage.py").write_text(late)
    (package / "late.py").write_text("offset = 1\n")
    before = version()
    (package / "late.py").write_text("offset = 2\n")
    assert version() != before


def test_texts_are_parsed_once_and_a_change_is_noticed_all_the_same(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = version()
    parsed: list[str] = []
    parse = versions.ast.parse
    monkeypatch.setattr(versions.ast, "parse", lambda text: parsed.append(text.decode()) or parse(text))
    assert version() == before and parsed == []
    changed = HELPER.replace("2", "3")
    (package / "helper.py").write_text(changed)
    assert version() != before and parsed == [changed]
    (package / "helper.py").write_text(HELPER)
    assert version() == before and parsed == [changed]


def test_a_package_that_cannot_be_written_to_has_the_same_versions(package: Path) -> None:
    before = version()
    kept = package / "__pycache__"
    for file in kept.iterdir():
        file.unlink()
    kept.rmdir()
    kept.write_text("not a folder")
    assert version() == version() == before
