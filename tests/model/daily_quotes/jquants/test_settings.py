"""Settings of the source: the rate of the plan, and addresses to which a key may be sent."""

from typing import Any

import pytest
from pydantic import ValidationError

from model.daily_quotes.sources.access import Access
from model.daily_quotes.sources.jquants.settings import JQuantsSource
from model.daily_quotes.sources.jquants.source import JQuantsDays
from model.daily_quotes.sources.source import open_source
from model.errors import SettingsError, SourceError
from model.settings import presets
from model.settings.root import Settings


@pytest.mark.parametrize(
    ("keys", "rate"),
    [
        ({}, 5),
        ({"plan": "light"}, 60),
        ({"plan": "standard"}, 120),
        ({"plan": "premium"}, 500),
        ({"plan": "premium", "requests_per_minute": 30}, 30),
        ({"plan": "free", "requests_per_minute": 30}, 5),
    ],
)
def test_the_plan_decides_the_rate_and_a_cap_can_only_lower_it(keys: dict[str, Any], rate: int) -> None:
    assert JQuantsSource.model_validate(keys).rate == rate


@pytest.mark.parametrize("address", ["http://api.example.com/v2", "ftp://localhost/v2", "api.jquants.com"])
def test_an_address_that_would_carry_the_key_in_the_open_is_refused(address: str) -> None:
    with pytest.raises(ValidationError, match="give an https address"):
        JQuantsSource(base_url=address)


def test_an_address_with_a_password_is_refused_and_the_password_is_not_repeated() -> None:
    with pytest.raises(SettingsError, match="no place for") as refused:
        presets.load("jquants", ["source.base_url=https://user:hunter2@proxy.example"])
    assert "hunter2" not in str(refused.value) and "proxy.example" in str(refused.value)


def test_how_to_fetch_makes_nothing_stale_and_what_to_leave_out_does() -> None:
    usual = JQuantsSource()
    assert usual.hashed() == JQuantsSource(plan="premium", recheck_days=9, base_url="https://proxy.example").hashed()
    assert usual.hashed() != JQuantsSource(leave_out_markets=()).hashed()


def test_the_preset_opens_this_source() -> None:
    settings: Settings = presets.load("jquants")
    source = open_source(settings, access=Access())
    assert isinstance(source, JQuantsDays) and settings.source.kind == "jquants"
    with pytest.raises(SourceError, match="opened without one"):
        source.index()
