"""Settings of the sources of daily bars and of the exchange's calendar."""

from datetime import date
from typing import Annotated, Any, ClassVar, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from model.daily_quotes.sources.jquants.settings import JQuantsSource
from model.settings.base import Section

CANONICAL_COLUMNS = (
    "Date",
    "Code",
    "Open",
    "High",
    "Low",
    "Close",
    "Volume",
    "TurnoverValue",
    "AdjustmentFactor",
    "UpperLimit",
    "LowerLimit",
    "Sector",
    "Market",
    "KnownAt",
)
"""Canonical columns that a file may hold (without KnownAt it follows from the calendar)."""

SimulatedTable = Literal["statements", "investor_flow", "margin", "short_selling", "indices"]
"""Tables beside the bars that the simulated market can deliver (``revisions`` follow from ``revision_rate``)."""

FileTable = Literal["statements", "investor_flow", "margin", "short_selling", "indices"]
"""Tables beside the bars that files can deliver (``revisions`` follow from KnownAt in the bars)."""

_CLOCK = r"^([01]\d|2[0-3]):[0-5]\d$"


class SimulatedSource(Section):
    """A seeded market with planted signals; the same settings give the same bits, and a later end adds days only.

    Revisions of published bars are the exception, and are off by default: what was superseded after the old end is
    superseded in the longer market, as it is at a real source.
    """

    unhashed: ClassVar[frozenset[str]] = frozenset(
        {"end", "tables", "revision_rate", "correction_rate", "missing_value_rate", "index_weighting"}
    )

    kind: Literal["simulated"] = "simulated"
    """Which source this is."""
    seed: int = Field(default=11, ge=0)
    """Seed of the market."""
    start: date = date(2018, 1, 4)
    """First calendar day of the market."""
    end: date = date(2021, 12, 30)
    """Last calendar day of the market (a later one adds days and changes none, see ``revision_rate``)."""
    stocks: int = Field(default=150, ge=2, le=5000)
    """Number of codes, early delistings and late listings included."""
    sectors: int = Field(default=10, ge=1, le=33)
    """Number of sectors, named in the data."""
    cluster_size: int = Field(default=10, ge=3, le=100)
    """Mean number of stocks in a correlation cluster; clusters cut across sectors and are named nowhere."""
    leaders_per_cluster: int = Field(default=2, ge=1, le=10)
    """Stocks of each cluster whose own moves the others follow a day later."""
    tabular_strength: float = Field(default=0.10, ge=0.0, le=0.2)
    """Roughly the daily IC of the part that a stock's own past reveals (reversal, momentum, volume); 0 for none."""
    lead_lag_strength: float = Field(default=0.09, ge=0.0, le=0.2)
    """Roughly the daily IC of the part that only the leaders of a stock's cluster reveal; 0 for none."""
    regime_strength: float = Field(default=0.075, ge=0.0, le=0.2)
    """Roughly the daily IC of the part that oscillates or turns with the market's volatility; 0 for none."""
    daily_volatility: float = Field(default=0.02, gt=0.0, le=0.1)
    """Standard deviation of a typical stock's daily return."""
    market_share: float = Field(default=0.15, ge=0.0, le=0.5)
    """Share of a stock's variance that the whole market has in common."""
    cluster_share: float = Field(default=0.30, ge=0.0, le=0.5)
    """Share of a stock's variance that its cluster has in common."""
    sector_share: float = Field(default=0.05, ge=0.0, le=0.4)
    """Share of a stock's variance that its sector has in common."""
    tail_degrees: float = Field(default=5.0, gt=2.5, le=100.0)
    """Degrees of freedom of the stocks' own shocks (Student's t, scaled to unit variance)."""
    late_listing_share: float = Field(default=0.10, ge=0.0, le=0.9)
    """Share of stocks that list only after the start."""
    yearly_delisting_rate: float = Field(default=0.02, ge=0.0, le=0.5)
    """Share of listed stocks that leave the market in a year."""
    suspension_rate: float = Field(default=0.0008, ge=0.0, le=0.1)
    """Chance that a stock is suspended for one to five days (rows without prices), per day."""
    missing_row_rate: float = Field(default=0.0003, ge=0.0, le=0.1)
    """Chance that a stock's row is absent, per day."""
    jump_rate: float = Field(default=0.001, ge=0.0, le=0.1)
    """Chance of news that may take the price to its daily limit, per stock and day."""
    split_rate: float = Field(default=0.001, ge=0.0, le=0.1)
    """Chance that a stock with a high price splits, per day."""
    outage_rate: float = Field(default=0.0, ge=0.0, le=0.1)
    """Chance that the whole exchange stands still (every row without prices), per day."""
    revision_rate: float = Field(default=0.0, ge=0.0, le=0.1)
    """Chance that a bar is first published with one wrong field and superseded within ten trading days; 0 for none."""
    tables: tuple[SimulatedTable, ...] = ("statements", "investor_flow", "margin", "short_selling", "indices")
    """What the source delivers beside the bars."""
    statement_strength: float = Field(default=0.0, ge=0.0, le=0.2)
    """Roughly the daily IC of the drift that follows a surprising statement; 0 for none."""
    forecast_revision_rate: float = Field(default=0.15, ge=0.0, le=1.0)
    """Chance that a company revises its forecast between two of its quarterly statements."""
    correction_rate: float = Field(default=0.02, ge=0.0, le=1.0)
    """Chance that a statement, a week of investor flow or a margin figure is corrected some days later."""
    missing_value_rate: float = Field(default=0.01, ge=0.0, le=1.0)
    """Chance that a margin or short-selling figure is missing (a dash at a real source)."""
    index_weighting: Literal["cap", "equal"] = "cap"
    """How the index TOPIX weighs its names: by market value, or all alike."""

    @model_validator(mode="after")
    def _consistent(self) -> "SimulatedSource":
        if self.end < self.start:
            raise ValueError(f"source.end is {self.end}, before source.start {self.start}")
        if self.market_share + self.cluster_share + self.sector_share > 0.9:
            raise ValueError(
                "source.market_share, cluster_share and sector_share add up to more than 0.9: nothing of a "
                "stock's own variance is left"
            )
        return self


class FilesSource(Section):
    """One's own bars in Parquet or CSV. Every key acts through the rows it yields, and those are what is hashed.

    With a column ``KnownAt`` (when a row became known), a row may come in several versions: the newest counts, and the
    others are kept as revisions. Time stamps without a zone are the exchange's local time.
    """

    unhashed: ClassVar[frozenset[str]] = frozenset(
        {"path", "columns", "date_format", "code_type", "code_width", "adjusted", "missing", "separator", "sort"}
        | {"tables", "start", "end"}
    )

    kind: Literal["files"] = "files"
    """Which source this is."""
    path: str = ""
    """A Parquet or CSV file, a folder of such files (folders in it such as ``Date=2020-01-06`` give a column), or a
    glob pattern such as ``bars/*.parquet``."""
    tables: dict[FileTable, str] = Field(default_factory=dict)
    """Tables beside the bars, with canonical columns: ``statements: statements.csv``. A relative path is taken from
    the folder in which ``source.path`` lies."""
    columns: dict[str, str] = Field(default_factory=dict)
    """Canonical column to the file's column, such as ``Close: adj_close``; a column not named here keeps its name."""
    date_format: str = "%Y-%m-%d"
    """How dates are written where they are text or whole numbers (strftime codes). By default time stamps such as
    ``2020-01-06 00:00:00+09:00`` are understood as well: of them the date counts."""
    code_type: Literal["text", "integer"] = "text"
    """``integer`` accepts whole-number codes in Parquet; CSV codes are always read as they are written."""
    code_width: int | None = Field(default=None, ge=1, le=12)
    """Codes shorter than this are filled with zeros on the left; left out, codes stay as they are."""
    adjusted: bool = False
    """True if prices are already adjusted for splits: adjustment factors in the file are then left aside."""
    missing: tuple[str, ...] = ("", "-", "*")
    """Texts that stand for a missing number."""
    separator: str = Field(default=",", min_length=1, max_length=1)
    """The character between the columns of a CSV file."""
    sort: bool = False
    """True to accept files whose dates go back and forth within a code, and sort them."""
    start: date | None = None
    """Leave out the days before this one."""
    end: date | None = None
    """Leave out the days after this one."""

    @field_validator("columns")
    @classmethod
    def _known_columns(cls, columns: dict[str, str]) -> dict[str, str]:
        unknown = [name for name in columns if name not in CANONICAL_COLUMNS]
        if unknown:
            raise ValueError(
                f"source.columns maps {', '.join(unknown)}, which are no canonical columns; those are "
                f"{', '.join(CANONICAL_COLUMNS)}"
            )
        return columns

    @model_validator(mode="after")
    def _ordered(self) -> "FilesSource":
        if self.start is not None and self.end is not None and self.end < self.start:
            raise ValueError(f"source.end is {self.end}, before source.start {self.start}")
        return self


SourceSettings = Annotated[SimulatedSource | FilesSource | JQuantsSource, Field(discriminator="kind")]


_ZONES = {"jpx": "Asia/Tokyo", "us": "America/New_York"}
"""Exchange of a packaged holiday file to its clock."""


class CalendarSettings(Section):
    """The exchange's trading days and hours."""

    exchange: Literal["jpx", "us", "from_data"] = "jpx"
    """Whose holidays count; ``from_data`` takes the days found in the source as the calendar."""
    timezone: str = "Asia/Tokyo"
    """The exchange's time zone."""
    close: str | None = Field(default=None, pattern=_CLOCK)
    """Close of trading, local time, in place of the closes in the holiday file (its half days stay)."""
    publication: str = Field(default="16:30", pattern=_CLOCK)
    """When a day's bars are published, local time: a row counts as known from then on."""
    holidays: str | None = None
    """A holiday file of one's own (YAML: first_year, last_year, holidays, closes) instead of the packaged one."""

    def hashed(self) -> dict[str, Any]:
        """The section and what the holiday file says: a corrected holiday makes stale what was counted with it."""
        from model.daily_quotes.calendar import holidays_hash

        return {**super().hashed(), "holidays": holidays_hash(self)}

    @field_validator("close", "publication", mode="before")
    @classmethod
    def _yaml_reads_a_bare_time_as_minutes(cls, value: object) -> object:
        """``15:30`` without quotation marks is the number 930 to YAML."""
        return f"{value // 60:02d}:{value % 60:02d}" if type(value) is int and 0 <= value < 24 * 60 else value

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"calendar.timezone {name!r} is no time zone; write it like Asia/Tokyo") from error
        return name

    @model_validator(mode="after")
    def _where_the_exchange_is(self) -> "CalendarSettings":
        zone = _ZONES.get(self.exchange)
        if zone is not None and self.holidays is None and self.timezone != zone:
            raise ValueError(
                f"calendar.exchange {self.exchange} trades by the clock of {zone}, and calendar.timezone is "
                f"{self.timezone}: its bars would count as known at another hour. Set calendar.timezone={zone}, and "
                "calendar.publication to the local time there"
            )
        return self
