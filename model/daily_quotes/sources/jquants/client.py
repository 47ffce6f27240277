"""The official client, kept within the plan's rate and patient with a server that is not.

``jquantsapi.ClientV2`` knows the address, the headers, the endpoints and their columns. Its session retries at once
and without a pause, and its pagination trusts the server; both are replaced here. What cannot be answered ends in
one :class:`SourceError` that says what to do and never contains the key; errors of the HTTP library are not chained
to it, because they hold the request and with it the key.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import requests
from jquantsapi import ClientV2
from jquantsapi.enums import BulkEndpoint

from model.daily_quotes.sources.access import Secret
from model.daily_quotes.sources.jquants.deadline import DeadlineAdapter
from model.daily_quotes.sources.jquants.rate import Clock, TokenBucket
from model.daily_quotes.sources.jquants.tables import TABLES
from model.errors import SourceError

KEY_NAME = "JQUANTS_API_KEY"
KEY_REMEDY = (
    f"Issue a key in the J-Quants dashboard (API Keys), set the environment variable {KEY_NAME} to it, and run the "
    "command again: what was fetched is kept, and the fetch goes on from there."
)

_RETRIED = frozenset({408, 425, 500, 502, 503, 504})
_LONGEST_PAUSE = 60.0
_SHORTEST_BAN = 60.0
"""After a 429 without a hint, J-Quants asks to keep away for a minute at least; to go on asking makes it longer."""
_LONGEST_BAN = 900.0
_IDLE_PAGES = 3
"""So many pages may bring nothing new: one that is sent again."""
_MOST_PAGES = 2000
"""No answer has more; the largest, a day of all shares, has about 4,500 rows."""
_ESCAPED_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_TEXTS = frozenset(name for table in TABLES.values() for endpoint in table.endpoints for name in endpoint.texts)
_LIMITS = {each.path: each.per_minute for table in TABLES.values() for each in table.endpoints if each.per_minute}
_WINDOW = re.compile(r"covers the following dates:\s*(\d{4}-\d{2}-\d{2})?\s*~\s*(\d{4}-\d{2}-\d{2})?")
_KEY_WORDS = re.compile(r"api key|invalid or expired|no active subscription|token", re.IGNORECASE)
_PLAN_WORDS = re.compile(r"subscription|plan\b", re.IGNORECASE)
_PATH_WORDS = re.compile(r"endpoint does not exist", re.IGNORECASE)


class NotInPlanError(Exception):
    """The plan does not have this endpoint; the message is the server's."""


class OutsideWindowError(Exception):
    """The plan has the endpoint, and not these dates: ``first`` and ``last`` are what it does have, None if open."""

    def __init__(self, first: date | None, last: date | None) -> None:
        super().__init__(f"{first} to {last}")
        self.first, self.last = first, last


class _TransientError(Exception):
    """An answer that may come out better next time, and how long to wait for it."""

    def __init__(self, what: str, pause: float) -> None:
        super().__init__(what)
        self.pause = pause


@dataclass(frozen=True)
class Patience:
    """How often a request is sent, and how long one answer may take."""

    attempts: int = 8
    timeout_seconds: float = 60.0


class PatientClient(ClientV2):
    """The official client with a token bucket, back-off, and pagination that ends; ``notify`` is told why it waits.

    Args:
        key: the API key.
        bucket: gives out one token a request, a repeated one included. An endpoint with a limit of its own has another.
        base_url: another address of the API; that of the official client where empty.
    """

    def __init__(
        self,
        key: Secret,
        bucket: TokenBucket,
        clock: Clock,
        *,
        patience: Patience | None = None,
        base_url: str = "",
    ) -> None:
        text = key.reveal()
        if not text:
            raise SourceError(f"The source jquants needs an API key, and none is set. {KEY_REMEDY}")
        if not re.fullmatch(r"[\x21-\x7e]+", text):
            raise SourceError(
                f"The API key of the source jquants has {len(text)} characters, blanks or letters outside ASCII among "
                f"them, so it cannot be a key. {KEY_REMEDY}"
            )
        super().__init__(api_key=text)
        self._key, self._bucket, self._clock = key, bucket, clock
        self._buckets = {path: TokenBucket(limit, clock) for path, limit in _LIMITS.items()}
        self.notify: Callable[[str], None] = lambda text: None
        self._patience = patience or Patience()
        if base_url:
            self.JQUANTS_API_BASE = base_url
        self._adapter = DeadlineAdapter()
        self._plain = requests.Session()
        for scheme in ("https://", "http://"):
            self._plain.mount(scheme, self._adapter)
        # Inside https a proxy of this machine's environment sees no key. Without it, it would: so it is passed by.
        self._plain.trust_env = urlsplit(self.JQUANTS_API_BASE).scheme == "https"
        self.sent = 0
        self.answered = 0

    def __repr__(self) -> str:
        return f"PatientClient({self.JQUANTS_API_BASE})"

    def rows(self, path: str, params: Mapping[str, str]) -> list[dict[str, Any]]:
        """All rows of an endpoint for these parameters, page after page.

        Pages may repeat; whoever reads the rows merges what came twice.

        Raises:
            NotInPlanError: the plan lacks the endpoint.
            OutsideWindowError: the plan lacks these dates.
            SourceError: the key was rejected, or the server did not give a usable answer within the bound.
        """
        return self._get_paginated(path, dict(params))

    def _get_paginated(
        self, path: str, params: dict[str, Any] | None = None, data_key: str = "data"
    ) -> list[dict[str, Any]]:
        url, query = f"{self.JQUANTS_API_BASE}{path}", dict(params or {})
        rows: list[dict[str, Any]] = []
        seen: set[_Content] = set()
        pages = idle = 0
        while idle <= _IDLE_PAGES and pages < _MOST_PAGES:
            payload = self._answer(url, query)[1]
            page = payload.get(data_key)
            if not isinstance(page, list) or not all(isinstance(row, dict) for row in page):
                raise SourceError(
                    f"J-Quants answered {self._asked(url, query)} without a list of rows under {data_key!r}. The "
                    "interface may have changed: check source.base_url and whether a newer jquants-api-client exists."
                )
            rows += page
            following = payload.get("pagination_key")
            if not following:
                return rows
            pages, known = pages + 1, len(seen)
            seen.update(map(_content, page))
            idle += len(seen) == known
            query["pagination_key"] = following
        raise SourceError(
            f"J-Quants sent {pages} pages of {self._asked(url, query)} with {len(seen):,} different rows, and {idle} "
            "pages brought no new one: its pages do not end. Run the command again later; what was fetched is kept."
        )

    def _get(self, url: str, params: dict[str, Any] | None = None) -> requests.Response:
        return self._answer(url, params)[0]

    def _answer(self, url: str, params: dict[str, Any] | None) -> tuple[requests.Response, dict[str, Any]]:
        reason = ""
        for attempt in range(1, self._patience.attempts + 1):
            self._take(url)
            try:
                answer = self._send(url, params, attempt)
            except _TransientError as transient:
                reason = str(transient)
                if attempt < self._patience.attempts:
                    self.notify(f"waiting {transient.pause:.0f} s: {reason}")
                    self._clock.sleep(transient.pause)
            else:
                self.answered += 1
                return answer
        raise SourceError(
            f"J-Quants did not answer {self._asked(url, params)} in {self._patience.attempts} attempts; the last one "
            f"ended with: {self._clean(reason)}. Run the command again later: what was fetched is kept, and the fetch "
            "goes on from there. source.attempts and source.timeout_seconds set how long to insist."
        )

    def _take(self, url: str) -> None:
        own = self._buckets.get(url.removeprefix(self.JQUANTS_API_BASE))
        if own is not None:
            own.take()
        self._bucket.take()
        self.sent += 1

    def _send(self, url: str, params: dict[str, Any] | None, attempt: int) -> tuple[requests.Response, dict[str, Any]]:
        pause = min(_LONGEST_PAUSE, 2.0 ** (attempt - 1))
        try:
            response = self._read(url, params)
        except requests.Timeout:
            raise _TransientError(f"no answer within {self._patience.timeout_seconds:g} s", pause) from None
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
            raise _TransientError("the connection broke", pause) from None
        except requests.exceptions.ContentDecodingError:
            raise _TransientError("the answer was damaged on the way", pause) from None
        except requests.RequestException as error:
            raise SourceError(
                f"The request to {self._asked(url, params)} could not be sent ({type(error).__name__}). Check "
                "source.base_url and the proxy settings of this machine."
            ) from None
        if response.status_code == 429:
            raise _TransientError("too many requests (HTTP 429)", self._ban(response, attempt))
        if response.status_code in _RETRIED:
            raise _TransientError(f"HTTP {response.status_code}", pause)
        if response.status_code == 210:  # "no content": nothing to be had for these parameters
            return response, {"data": []}
        if response.status_code != 200:
            self._refused(response, url, params)
        try:
            payload = response.json()
        except (ValueError, RecursionError):
            raise _TransientError("the answer is no JSON", pause) from None
        if not isinstance(payload, dict):
            raise _TransientError("the answer is no JSON object", pause)
        if _ESCAPED_SURROGATE.search(response.content) and _has_half_letters(payload):
            raise _TransientError("the answer holds half letters (lone surrogates)", pause)
        return response, payload

    def _read(self, url: str, params: dict[str, Any] | None) -> requests.Response:
        """Send once and read to the end, head and body within one deadline: a server that trickles either does not
        hold us."""
        limit = self._patience.timeout_seconds
        with self._adapter.within(limit):
            response: requests.Response = self._request_session().get(
                url,
                params=params,
                headers=self._base_headers(),
                timeout=(min(10.0, limit), limit),
                allow_redirects=False,  # the key goes to the address that was configured and nowhere else
            )
        return response

    def _request_session(
        self, status_forcelist: list[int] | None = None, allowed_methods: list[str] | None = None
    ) -> requests.Session:
        """A session that repeats nothing by itself."""
        return self._plain

    def _load_config(self) -> dict[str, Any]:
        """Nothing: the key is handed in, and files or variables of the machine have no say."""
        return {}

    def _ban(self, response: requests.Response, attempt: int) -> float:
        """Seconds to keep away after a 429: what the server asks for, or ever longer; so too where it asks for less
        than a second, which would spend all attempts at once."""
        seconds = self._asked_for(response.headers.get("Retry-After", "").strip())
        if seconds < 1.0:
            return min(300.0, _SHORTEST_BAN * 2.0 ** (attempt - 1))
        if seconds > _LONGEST_BAN:
            raise SourceError(
                f"J-Quants asks to stay away for {seconds / 60:.0f} minutes (HTTP 429). Run the command again after "
                "that; if other programs use the key, set source.requests_per_minute below the plan's limit."
            )
        return seconds

    def _asked_for(self, said: str) -> float:
        """Seconds that a Retry-After asks for; 0 where it says nothing that can be understood."""
        if re.fullmatch(r"\d+(\.\d+)?", said):
            return float(said)
        try:
            until = parsedate_to_datetime(said)
        except ValueError:
            return 0.0
        until = until if until.tzinfo else until.replace(tzinfo=UTC)
        return (until - self._clock.now()).total_seconds()

    def _refused(self, response: requests.Response, url: str, params: Mapping[str, str] | None) -> None:
        """Raise for an answer that repeating does not mend.

        Raises:
            NotInPlanError: see :meth:`rows`.
            OutsideWindowError: see :meth:`rows`.
            SourceError: see :meth:`rows`.
        """
        status, said = response.status_code, self._message(response)
        window = _window(said)
        if window is not None:
            raise OutsideWindowError(*window)
        if status in (401, 403) and not _PATH_WORDS.search(said):
            if self._lacks_plan(status, said, url):
                raise NotInPlanError(said or f"HTTP {status}")
            raise SourceError(
                f"J-Quants rejected the API key (HTTP {status}: {said or 'no reason given'}) after {self.answered} "
                f"answers of this run. The key is wrong, was deleted, or its subscription has ended. {KEY_REMEDY}"
            )
        raise SourceError(
            f"J-Quants refused {self._asked(url, params)} with HTTP {status} ({said or 'no reason given'}). Check "
            "source.base_url, source.start and source.end; if they are right, the interface may have changed."
        )

    def _lacks_plan(self, status: int, said: str, url: str) -> bool:
        """Whether a 403 speaks of the plan; where the answer does not say, the calendar tells: every plan has it."""
        if _KEY_WORDS.search(said) or status == 401:
            return False
        if _PLAN_WORDS.search(said):
            return True
        probe = f"{self.JQUANTS_API_BASE}{BulkEndpoint.MKT_CALENDAR.value}"
        if url == probe:
            return False
        self._take(probe)
        try:
            found = self._read(probe, {"from": "2024-01-04", "to": "2024-01-05"}).status_code
        except requests.RequestException:
            found = 0
        if found in (401, 403):
            return False
        if found in (200, 210, 400):
            return True
        raise _TransientError(f"HTTP {status}", _LONGEST_PAUSE)

    def _message(self, response: requests.Response) -> str:
        try:
            payload = response.json()
        except (ValueError, RecursionError):
            return ""
        said = payload.get("message", "") if isinstance(payload, dict) else ""
        return self._clean(str(said))

    def _clean(self, text: str) -> str:
        """A server's words on one line, short, without the key, and such that they can be written."""
        return " ".join(self._key.redact(text).encode(errors="replace").decode().split())[:300]

    def _asked(self, url: str, params: Mapping[str, str] | None) -> str:
        """The path and the days that were asked for, as messages name them."""
        days = " to ".join(params[name] for name in ("date", "from", "to") if name in params) if params else ""
        return self._clean(url.removeprefix(self.JQUANTS_API_BASE) + (f" for {days}" if days else ""))


_Content = tuple[tuple[str, str], ...]


def _content(row: Mapping[str, Any]) -> _Content:
    """What tells one row from another, whatever the order of its columns."""
    return tuple(sorted((name, str(value)) for name, value in row.items() if not isinstance(value, list | dict)))


def _has_half_letters(payload: Mapping[str, Any]) -> bool:
    """Whether a text that is needed cannot be written down; names of companies, which are not, may be cut anywhere."""
    page = payload.get("data")
    rows = [row for row in page if isinstance(row, dict)] if isinstance(page, list) else []
    texts = [payload.get("pagination_key"), *(row.get(name) for row in rows for name in _TEXTS)]
    return any(isinstance(text, str) and any("\ud800" <= letter <= "\udfff" for letter in text) for text in texts)


def _window(said: str) -> tuple[date | None, date | None] | None:
    """First and last day that a refusal names; None where it names none."""
    found = _WINDOW.search(said)
    if found is None:
        return None
    try:
        first, last = (date.fromisoformat(text) if text else None for text in found.groups())
    except ValueError:
        return None
    return first, last
