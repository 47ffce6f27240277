"""Secrets come from the environment and show themselves nowhere."""

import pytest

from gogooku_dagster.lib.credentials import source_access

KEY = "fake-key-91c2"


def test_a_key_in_the_environment_reaches_the_source_and_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JQUANTS_API_KEY", KEY)
    access = source_access()
    assert access.secrets["JQUANTS_API_KEY"].reveal() == KEY
    assert KEY not in repr(access) and KEY not in f"{access.secrets}"


def test_a_key_that_is_not_set_is_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JQUANTS_API_KEY", "")
    assert source_access().secrets == {}
