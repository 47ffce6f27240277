"""The client against a server that misbehaves: patience, its bounds, and what is said in the end."""

import pickle
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.daily_quotes.sources.access import Secret
from model.daily_quotes.sources.jquants import client
from model.daily_quotes.sources.jquants.client import (
    NotInPlanError,
    OutsideWindowError,
    Patience,
    PatientClient,
)
from model.daily_quotes.sources.jquants.rate import TokenBucket
from model.errors import SourceError
from tests.model.daily_quotes.jquants.conftest import FakeClock
from tests.model.daily_quotes.jquants.server import KEY, Fault, JQuantsServer

BARS = "/equities/bars/daily"
DAY = {"date": "2024-01-05"}

Make = Callable[..., PatientClient]


@pytest.fixture
def make(server: JQuantsServer, clock: FakeClock) -> Make:
    def made(rate: int = 500, key: str = KEY, attempts: int = 5, timeout: float = 5.0) -> PatientClient:
        patience = Patience(attempts, timeout)
        bucket = TokenBucket(rate, clock)
        return PatientClient(Secret(key), bucket, clock, patience=patience, base_url=server.url)

    return made


def codes(rows: list[dict[str, object]]) -> list[object]:
    return [row["Code"] for row in rows]


@given(st.integers(1, 20), st.lists(st.floats(0, 90), min_size=1, max_size=80))
@settings(max_examples=25, deadline=None)
def test_no_minute_sees_more_requests_than_the_plan_allows(per_minute: int, pauses: list[float]) -> None:
    clock = FakeClock(datetime(2024, 1, 4, tzinfo=UTC))
    bucket, taken = TokenBucket(per_minute, clock), []
    for pause in pauses:
        clock.wait(seconds=pause)
        bucket.take()
        taken.append(clock.monotonic())
    for place, moment in enumerate(taken):
        assert sum(moment <= other < moment + 60 for other in taken[place:]) <= per_minute


def test_a_few_requests_leave_at_once_and_many_at_the_rate_of_the_plan(make: Make, clock: FakeClock) -> None:
    client = make(rate=5)
    for _ in range(5):
        client.rows(BARS, DAY)
    assert clock.slept == []
    for _ in range(10):
        client.rows(BARS, DAY)
    assert 120 <= sum(clock.slept) < 125


def test_statements_are_asked_for_no_faster_than_their_endpoint_allows(make: Make, clock: FakeClock) -> None:
    client = make(rate=500)
    for _ in range(61):
        client.rows("/fins/summary", DAY)
    client.rows(BARS, DAY)
    assert len(clock.slept) == 1 and 60 <= clock.slept[0] < 61


def test_a_storm_of_429_is_waited_out_for_as_long_as_the_server_says(
    make: Make, server: JQuantsServer, clock: FakeClock
) -> None:
    server.faults = [Fault("status", BARS, times=3, status=429, headers={"Retry-After": "17"})]
    assert len(make().rows(BARS, DAY)) == 6
    assert clock.slept == [17.0, 17.0, 17.0]


def test_retry_after_may_be_a_date(make: Make, server: JQuantsServer, clock: FakeClock) -> None:
    until = format_datetime(datetime(2024, 1, 19, 9, 31, 30, tzinfo=UTC), usegmt=True)
    server.faults = [Fault("status", BARS, status=429, headers={"Retry-After": until})]
    make().rows(BARS, DAY)
    assert clock.slept == [90.0]


@pytest.mark.parametrize("said", ["", "0", "0.0", "0.2", "soon", "-5", "Fri, 19 Jan 2024 09:30:00 GMT"])
def test_a_429_without_a_usable_hint_is_met_with_ever_longer_pauses(
    make: Make, server: JQuantsServer, clock: FakeClock, said: str
) -> None:
    headers = {"Retry-After": said} if said else {}
    server.faults = [Fault("status", BARS, times=3, status=429, headers=headers)]
    make().rows(BARS, DAY)
    assert clock.slept == [60.0, 120.0, 240.0]


def test_a_ban_of_an_hour_is_reported_and_not_slept_through(make: Make, server: JQuantsServer) -> None:
    server.faults = [Fault("status", BARS, status=429, headers={"Retry-After": "3600"})]
    with pytest.raises(SourceError, match=r"stay away for 60 minutes.*requests_per_minute"):
        make().rows(BARS, DAY)


def test_server_errors_are_retried_with_growing_pauses_up_to_a_bound(
    make: Make, server: JQuantsServer, clock: FakeClock
) -> None:
    server.faults = [Fault("status", BARS, times=3, status=503)]
    assert len(make().rows(BARS, DAY)) == 6
    assert clock.slept == [1.0, 2.0, 4.0]
    server.faults = [Fault("status", BARS, times=99, status=500)]
    with pytest.raises(SourceError, match=r"in 5 attempts.*HTTP 500.*what was fetched is kept"):
        make().rows(BARS, DAY)


@pytest.mark.parametrize("kind", ["cut", "close"])
def test_a_cut_connection_is_tried_again(make: Make, server: JQuantsServer, kind: str) -> None:
    server.faults = [Fault(kind, BARS, times=2)]
    assert len(make().rows(BARS, DAY)) == 6
    assert len(server.asked(BARS)) == 3


def test_a_slow_answer_is_given_up_and_tried_again(make: Make, server: JQuantsServer) -> None:
    server.faults = [Fault("slow", BARS, seconds=0.6)]
    assert len(make(timeout=0.2).rows(BARS, DAY)) == 6
    assert len(server.asked(BARS)) == 2


@pytest.mark.parametrize("kind", ["trickle", "trickle_head"])
def test_an_answer_that_trickles_is_given_up_at_the_deadline_and_tried_again(
    make: Make, server: JQuantsServer, kind: str
) -> None:
    server.faults = [Fault(kind, BARS, seconds=0.1)]  # five seconds and more
    began = time.monotonic()
    assert len(make(timeout=0.3).rows(BARS, DAY)) == 6
    assert time.monotonic() - began < 2.0
    assert len(server.asked(BARS)) == 2


def test_a_deadline_that_passes_leaves_the_client_as_good_as_new(make: Make, server: JQuantsServer) -> None:
    patient = make(timeout=0.3)
    for _ in range(3):
        server.faults = [Fault("trickle", BARS, seconds=0.1)]
        assert len(patient.rows(BARS, DAY)) == len(patient.rows(BARS, DAY)) == 6


DEEP = b'{"data": ' + b"[" * 200_000
HALF_LETTER = b'{"data": [{"Date": "2024-01-05", "Code": "13010", "UL": "\\ud800"}]}'


@pytest.mark.parametrize(
    ("body", "said"), [(DEEP, "no JSON"), (HALF_LETTER, "half letters"), (b'"text"', "no JSON object")]
)
def test_an_answer_that_cannot_be_read_is_tried_again_and_in_the_end_refused(
    make: Make, server: JQuantsServer, body: bytes, said: str
) -> None:
    server.faults = [Fault("body", BARS, body=body)]
    assert len(make().rows(BARS, DAY)) == 6
    server.faults = [Fault("body", BARS, times=99, body=body)]
    with pytest.raises(SourceError, match=f"did not answer .* in 5 attempts.*{said}"):
        make().rows(BARS, DAY)


def test_half_a_letter_in_a_column_that_is_not_kept_stops_nothing(make: Make, server: JQuantsServer) -> None:
    body = HALF_LETTER.replace(b'"UL"', b'"CoName"')
    server.faults = [Fault("body", BARS, body=body)]
    assert codes(make().rows(BARS, DAY)) == ["13010"] and len(server.asked(BARS)) == 1


def test_pages_are_put_together_and_a_page_sent_twice_is_asked_for_again(make: Make, server: JQuantsServer) -> None:
    server.page_size = 2
    whole = codes(make().rows(BARS, DAY))
    assert whole == ["13010", "130A0", "72030", "86970", "99840", "15700"]
    server.faults = [Fault("repeat", BARS, times=2)]  # hits the first page, where it does nothing, and the second
    assert set(codes(make().rows(BARS, DAY))) == set(whole)


def test_pages_that_never_end_are_refused(make: Make, server: JQuantsServer) -> None:
    server.page_size = 2
    server.faults = [Fault("repeat", BARS, times=99)]
    with pytest.raises(SourceError, match="pages do not end"):
        make().rows(BARS, DAY)


def test_pages_with_ever_new_keys_and_no_new_row_are_refused(make: Make, server: JQuantsServer) -> None:
    server.faults = [Fault("endless", BARS, times=10_000)]
    with pytest.raises(
        SourceError, match=r"5 pages of /equities/bars/daily for 2024-01-05 with 6 different rows.*pages do not end"
    ):
        make().rows(BARS, DAY)
    assert len(server.asked(BARS)) == 5


def test_more_pages_than_any_answer_has_are_refused(
    make: Make, server: JQuantsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.page_size = 1
    monkeypatch.setattr(client, "_MOST_PAGES", 6)
    assert len(make().rows(BARS, DAY)) == 6
    monkeypatch.setattr(client, "_MOST_PAGES", 5)
    with pytest.raises(SourceError, match="pages do not end"):
        make().rows(BARS, DAY)


@pytest.mark.parametrize("name", ["http_proxy", "all_proxy"])
def test_a_proxy_of_the_machine_never_sees_the_key_in_the_open(
    make: Make, server: JQuantsServer, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for variable in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    proxy = JQuantsServer(server.market)
    monkeypatch.setenv(name, proxy.url.removesuffix("/v2"))
    try:
        assert len(make().rows(BARS, DAY)) == 6
        assert proxy.requests == [] and len(server.requests) == 1
    finally:
        proxy.close()


def test_a_plan_without_the_endpoint_and_dates_outside_its_window_are_told_apart(
    make: Make, server: JQuantsServer
) -> None:
    server.lacks = ("short-ratio",)
    with pytest.raises(NotInPlanError, match="not available on your subscription"):
        make().rows("/markets/short-ratio", DAY)
    server.window = ("2024-01-09", "")
    with pytest.raises(OutsideWindowError) as outside:
        make().rows(BARS, DAY)
    assert (str(outside.value.first), outside.value.last) == ("2024-01-09", None)


def test_a_403_that_says_nothing_is_judged_by_an_endpoint_that_every_plan_has(
    make: Make, server: JQuantsServer
) -> None:
    server.lacks, server.lacks_message = ("short-ratio",), "Forbidden"
    with pytest.raises(NotInPlanError):
        make().rows("/markets/short-ratio", DAY)
    server.key, server.expired_message = "another", "Forbidden"
    with pytest.raises(SourceError, match="rejected the API key"):
        make().rows("/markets/short-ratio", DAY)


@pytest.mark.parametrize("said", ["The incoming token is invalid or expired.", "No active subscription found."])
def test_a_rejected_key_is_named_with_its_remedy_and_never_printed(
    make: Make, server: JQuantsServer, said: str
) -> None:
    server.key, server.expired_message = "another", f"{said} ({KEY})"
    with pytest.raises(SourceError) as caught:
        make().rows(BARS, DAY)
    text = str(caught.value)
    assert "JQUANTS_API_KEY" in text and said in text and KEY not in text and "[hidden]" in text
    assert caught.value.__cause__ is None and len(server.asked(BARS)) == 1


@pytest.mark.parametrize("key", ["", "two words", "schlüssel"])
def test_what_cannot_be_a_key_is_refused_before_anything_is_sent(make: Make, server: JQuantsServer, key: str) -> None:
    with pytest.raises(SourceError, match="JQUANTS_API_KEY") as caught:
        make(key=key)
    assert not key or key not in str(caught.value)
    assert server.requests == []


def test_other_refusals_are_passed_on_in_one_paragraph(make: Make, server: JQuantsServer) -> None:
    server.faults = [Fault("status", BARS, status=400, message="'date' must be a date.")]
    with pytest.raises(
        SourceError, match=r"refused /equities/bars/daily for 2024-01-05 with HTTP 400 \('date' must be a date\.\)"
    ):
        make().rows(BARS, DAY)


def test_the_key_is_sent_to_no_other_address(make: Make, server: JQuantsServer) -> None:
    server.faults = [Fault("status", BARS, status=302, headers={"Location": f"{server.url}/elsewhere"})]
    with pytest.raises(SourceError, match="HTTP 302"):
        make().rows(BARS, DAY)
    assert server.asked("/elsewhere") == []


def test_a_secret_shows_itself_in_no_text() -> None:
    secret = Secret(f" {KEY}\n")
    assert secret.reveal() == KEY and bool(secret) and not Secret("")
    assert KEY not in f"{secret} {secret!r} {[secret]}"
    with pytest.raises(TypeError):
        pickle.dumps(secret)
