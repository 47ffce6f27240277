"""Settings of the J-Quants source."""

from datetime import date
from typing import ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from model.settings.base import Section

Plan = Literal["free", "light", "standard", "premium"]
OptionalTable = Literal[
    "statements", "investor_flow", "margin", "daily_margin", "short_selling", "topix", "sector_indices"
]

OPTIONAL_TABLES: tuple[OptionalTable, ...] = (
    "statements",
    "investor_flow",
    "margin",
    "daily_margin",
    "short_selling",
    "topix",
    "sector_indices",
)
PLAN_LIMITS: dict[Plan, int] = {"free": 5, "light": 60, "standard": 120, "premium": 500}
"""Requests a minute by plan, as J-Quants publishes them."""

_LOCAL = ("localhost", "127.0.0.1", "::1")


class JQuantsSource(Section):
    """The Tokyo Stock Exchange's bars, master and slower tables from J-Quants (API V2); needs an API key.

    Most keys say how to fetch: they act through the rows that come, and those are hashed.
    """

    unhashed: ClassVar[frozenset[str]] = frozenset(
        {"start", "end", "plan", "requests_per_minute", "tables", "empty_days", "recheck_days", "recheck_hours"}
        | {"sweep_days_per_sync", "timeout_seconds", "attempts", "base_url", "offline"}
    )

    kind: Literal["jquants"] = "jquants"
    """Which source this is."""
    plan: Plan = "free"
    """The plan that the key belongs to; it decides how many requests a minute are sent (5, 60, 120 or 500)."""
    requests_per_minute: int | None = Field(default=None, ge=1, le=500)
    """A cap of one's own below the plan's, where the key is shared with other programs."""
    start: date = Field(default=date(2016, 1, 4), ge=date(2008, 5, 7))
    """First day asked for; days before the plan's window are left out, and the coverage record says so."""
    end: date | None = None
    """Last day asked for; left out, every day that is published."""
    tables: tuple[OptionalTable, ...] = OPTIONAL_TABLES
    """Tables to fetch beside the bars and the master, where the plan has them; each costs requests of its own."""
    leave_out_markets: tuple[str, ...] = ("0105", "0109")
    """Market codes of the master whose names are left out: TOKYO PRO, and Others (funds, trusts)."""
    empty_days: tuple[date, ...] = ()
    """Trading days on which J-Quants really has no bars: without this an empty day is refused."""
    recheck_days: int = Field(default=5, ge=0, le=250)
    """The newest trading days are asked for again at every sync: their rows may still change."""
    recheck_hours: float = Field(default=6.0, ge=0.0, le=168.0)
    """A sync asks again only for what was asked for longer ago than this."""
    sweep_days_per_sync: int = Field(default=5, ge=0, le=1000)
    """Older days and tables asked for again at each sync, the longest unasked first, so that late corrections show."""
    timeout_seconds: float = Field(default=60.0, gt=0.0, le=600.0)
    """How long one answer may take as a whole."""
    attempts: int = Field(default=8, ge=1, le=20)
    """How often one request is sent before the sync gives up (429, 5xx, time-outs, cut connections)."""
    base_url: str = ""
    """Another address of the API, such as a proxy's; left empty, that of the official client. Only https, or this
    machine: the key travels with every request."""
    offline: bool = False
    """True to ask nothing and work with the days that are kept already."""

    @property
    def rate(self) -> int:
        """Requests a minute: the plan's limit, or the lower cap."""
        limit = PLAN_LIMITS[self.plan]
        return min(limit, self.requests_per_minute or limit)

    @field_validator("base_url")
    @classmethod
    def _safe_address(cls, address: str) -> str:
        if not address:
            return address
        parts = urlsplit(address)
        if parts.username is not None or parts.password is not None:
            raise ValueError(
                "source.base_url holds a user name or a password, which settings are no place for: they are written "
                "beside every run. Let the proxy ask for none, or take them from its own environment"
            )
        if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOCAL):
            return address.rstrip("/")
        raise ValueError(
            f"source.base_url is {address!r}: give an https address (http only for this machine), because the API "
            "key is sent with every request"
        )

    @model_validator(mode="after")
    def _ordered(self) -> "JQuantsSource":
        if self.end is not None and self.end < self.start:
            raise ValueError(f"source.end is {self.end}, before source.start {self.start}")
        return self
