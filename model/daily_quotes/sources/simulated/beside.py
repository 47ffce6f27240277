"""The tables beside the simulated bars, in their canonical form.

Each function takes the market as simulated and gives the rows that are published within its days. What a row of a
day says follows from draws up to that day, so a later end adds rows and changes none.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from model.daily_quotes.beside import TABLES, empty_beside
from model.daily_quotes.settings import SimulatedSource
from model.daily_quotes.sources.simulated.clock import Clock, Dates, Positions, date_column, minute_of
from model.daily_quotes.sources.simulated.companies import Companies, Matrix, companies, shares_outstanding
from model.daily_quotes.sources.simulated.index import index_levels, market_returns
from model.daily_quotes.sources.simulated.margin import MarginRows, margin_rows
from model.daily_quotes.sources.simulated.market import Bars
from model.daily_quotes.sources.simulated.statements import Figures, Publication, Quarter, millions, quarters
from model.daily_quotes.sources.simulated.structure import Stream, Structure, generator

INDEX_CODE = "TOPIX"
_SECTIONS = {"Growth": 0.1, "Prime": 0.7, "Standard": 0.2}
_FLOW_MINUTE, _FLOW_DAYS, _FLOW_CORRECTION_DAYS = 18 * 60, 4, 9
"""Investor flow comes on the fourth trading day after its week, a correction in the week after that."""


@dataclass(frozen=True)
class Simulated:
    """The market as simulated, on its trading days."""

    settings: SimulatedSource
    clock: Clock
    fixed: Structure
    bars: Bars

    @property
    def firms(self) -> Companies:
        """The companies behind the stocks."""
        return companies(self.settings, self.fixed)


def beside_tables(market: Simulated) -> dict[str, pl.DataFrame]:
    """The tables that ``source.tables`` names, each sorted by its key."""
    return {name: _TABLES[name](market) for name in market.settings.tables}


def statements(market: Simulated) -> pl.DataFrame:
    """Quarterly statements, their corrections, and revisions of forecasts between them (those without figures).

    Shares count the splits up to the day of publication, as companies restate them.
    """
    shares = shares_outstanding(market.firms, market.bars.factor)
    codes = pl.Series("Code", market.fixed.codes, dtype=pl.String)
    days = market.clock.days
    frames = [
        _rows(market, document, codes, shares)
        for quarter in quarters(market.settings, market.fixed, days[0], days[-1])
        for document in _documents(quarter)
    ]
    return _canonical("statements", pl.concat(frames))


@dataclass(frozen=True)
class _Document:
    """One kind of document of one quarter, [N] each."""

    publication: Publication
    year_ends: Dates
    number: Positions
    values: dict[str, Matrix]
    reports: bool = True
    """Whether it holds figures, and shares with them."""


def _documents(quarter: Quarter) -> Iterator[_Document]:
    """Each kind of document; a revision of forecasts after a full year speaks of the year that has begun."""
    figures = _reported(quarter.figures)
    year_ends, number = quarter.year_ends, quarter.number
    yield _Document(quarter.statement, year_ends, number, figures | _forecasts(quarter.figures))
    restated = {name: millions(figures[name] * quarter.corrected) for name in ("Sales", "Profit")}
    since = quarter.revision.given & (quarter.revision.date <= quarter.correction.date)
    before, after = _forecasts(quarter.figures), _forecasts(quarter.revised)
    forecasts = {name: np.where(since, after[name], before[name]) for name in before}
    yield _Document(quarter.correction, year_ends, number, figures | restated | forecasts)
    silent = {name: np.full_like(values, np.nan) for name, values in figures.items()}
    speaks_of = np.where(number == 4, 1, number)
    yield _Document(quarter.revision, quarter.forecast_year_ends, speaks_of, silent | after, reports=False)


def _reported(figures: Figures) -> dict[str, Matrix]:
    return {
        "Sales": figures.sales,
        "OperatingProfit": figures.operating,
        "Profit": figures.profit,
        "Assets": figures.assets,
        "Equity": figures.equity,
    }


def _forecasts(figures: Figures) -> dict[str, Matrix]:
    return {
        "ForecastSales": figures.forecast_sales,
        "ForecastOperatingProfit": figures.forecast_operating,
        "ForecastProfit": figures.forecast_profit,
    }


def _rows(market: Simulated, document: _Document, codes: pl.Series, shares: Matrix) -> pl.DataFrame:
    """The rows that listed companies publish within the market's days."""
    clock, publication = market.clock, document.publication
    stock = np.flatnonzero(publication.given & clock.known(publication.date))
    position = clock.position(publication.date[stock])
    listed = market.bars.listed[position, stock]
    stock, position = stock[listed], position[listed]
    outstanding = shares[position, stock] if document.reports else np.full(len(stock), np.nan)
    return pl.DataFrame(
        {
            "Date": clock.column(position),
            "Code": codes.gather(stock),
            "PublishedAt": clock.at(publication.date[stock], publication.minute[stock]),
            "FiscalYearEnd": date_column(document.year_ends[stock]),
            "Quarter": pl.Series(document.number[stock].astype(np.int8)),
            **{name: pl.Series(column[stock], nan_to_null=True) for name, column in document.values.items()},
            "SharesOutstanding": pl.Series(outstanding, nan_to_null=True),
        }
    )


def investor_flow(market: Simulated) -> pl.DataFrame:
    """Weekly net purchases by kind of investor: foreigners follow the week's market, individuals lean against it."""
    clock, settings = market.clock, market.settings
    weeks = len(clock.week_ends)
    draws = generator(settings, Stream.FLOW).standard_normal((weeks, 4, len(_SECTIONS)))
    corrected = generator(settings, Stream.FLOW_CORRECTIONS).random(weeks) < settings.correction_rate
    traded = np.bincount(clock.week, weights=market.bars.turnover.sum(axis=1, where=market.bars.row), minlength=weeks)
    moved = np.bincount(clock.week, weights=market_returns(market.bars), minlength=weeks)[:, np.newaxis] / 0.02
    habit = _swing(draws[:, 0], 0.7, 0.4)
    total = np.rint(2.0 * traded[:, np.newaxis] * np.array(list(_SECTIONS.values())) * np.exp(0.05 * draws[:, 1]))
    foreign = np.rint(total * 0.02 * (moved + habit))
    individual = np.rint(total * 0.015 * (0.5 * draws[:, 2] - moved - 0.5 * habit))
    mended = np.rint(foreign * (1.0 + 0.1 * draws[:, 3]))
    versions = [(_FLOW_DAYS, foreign, np.ones(weeks, dtype=np.bool_)), (_FLOW_CORRECTION_DAYS, mended, corrected)]
    frames = []
    for later, bought, given in versions:
        week = np.flatnonzero(given & (clock.week_ends + later < clock.size))
        position = clock.week_ends[week] + later
        for place, section in enumerate(_SECTIONS):
            frame = pl.DataFrame(
                {
                    "Date": clock.column(position),
                    "PeriodStart": clock.column(clock.week_starts[week]),
                    "PeriodEnd": clock.column(clock.week_ends[week]),
                    "PublishedAt": clock.at(clock.dates[position], _FLOW_MINUTE),
                    "ForeignNet": bought[week, place],
                    "IndividualNet": individual[week, place],
                    "Total": total[week, place],
                }
            )
            frames.append(frame.with_columns(Section=pl.lit(section)))
    return _canonical("investor_flow", pl.concat(frames))


def short_selling(market: Simulated) -> pl.DataFrame:
    """Each sector's share of short sales, published with the day's bars; some figures are missing."""
    clock, settings = market.clock, market.settings
    sectors = settings.sectors
    rng = generator(settings, Stream.SHORT_SELLING)
    draws = rng.standard_normal((clock.size, sectors))
    missing = generator(settings, Stream.SHORT_SELLING_MISSING).random(draws.shape) < settings.missing_value_rate
    ratio = np.clip(0.40 + _swing(draws, 0.9, 0.03), 0.05, 0.9)
    day, sector = np.divmod(np.arange(ratio.size), sectors)
    dates = clock.column(day)
    frame = pl.DataFrame(
        {
            "Date": dates,
            "Sector": sector_names(sector),
            "RecordDate": dates,
            "PublishedAt": clock.at(clock.dates[day], minute_of(clock.calendar.publication)),
            "ShortRatio": pl.Series(np.where(missing, np.nan, np.round(ratio, 4)).ravel(), nan_to_null=True),
        }
    )
    return _canonical("short_selling", frame)


def margin(market: Simulated) -> pl.DataFrame:
    """Shares in margin trading: weekly for all names, daily for a few that the exchange watches."""
    codes = pl.Series("Code", market.fixed.codes, dtype=pl.String)
    frames = [
        pl.DataFrame(
            {
                "Date": market.clock.column(rows.position),
                "Code": codes.gather(rows.stock),
                "RecordDate": market.clock.column(rows.record),
                "PublishedAt": _published_if(market.clock, rows),
                "MarginLong": pl.Series(rows.long, nan_to_null=True),
                "MarginShort": pl.Series(rows.short, nan_to_null=True),
            }
        ).with_columns(Kind=pl.lit(rows.kind, dtype=pl.String))
        for rows in margin_rows(market.settings, market.clock, market.fixed, market.bars)
    ]
    return _canonical("margin", pl.concat(frames)) if frames else empty_beside("margin")


def _published_if(clock: Clock, rows: MarginRows) -> pl.Series:
    """When the rows were published, null where the source does not say."""
    stamps = clock.at(clock.dates[rows.position], minute_of(clock.calendar.publication))
    return stamps if rows.dated else stamps.clear(len(stamps))


def indices(market: Simulated) -> pl.DataFrame:
    """One index of the whole market, in the manner of TOPIX; null on a day without any trade."""
    clock = market.clock
    levels = index_levels(market.settings, market.firms, market.bars)
    days = np.arange(clock.size)
    frame = pl.DataFrame(
        {
            "Date": clock.column(days),
            "PublishedAt": clock.at(clock.dates, minute_of(clock.calendar.publication)),
            **{name: pl.Series(values, nan_to_null=True) for name, values in levels.items()},
        }
    )
    return _canonical("indices", frame.with_columns(IndexCode=pl.lit(INDEX_CODE)))


def sector_names(sector: Positions) -> pl.Series:
    """Names of sectors by number, from 0."""
    names = pl.Series("Sector", [f"S{number + 1:02d}" for number in range(int(sector.max(initial=-1)) + 1)], pl.String)
    return names.gather(sector)


def _swing(draws: Matrix, memory: float, size: float) -> Matrix:
    """First-order autoregression along the first axis."""
    swing, state = np.empty_like(draws), np.zeros(draws.shape[1:])
    for step, draw in enumerate(draws):
        state = memory * state + size * draw
        swing[step] = state
    return swing


def _canonical(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    table = TABLES[name]
    return frame.select(list(table.schema)).sort(table.key)


_TABLES: dict[str, Callable[[Simulated], pl.DataFrame]] = {
    "statements": statements,
    "investor_flow": investor_flow,
    "margin": margin,
    "short_selling": short_selling,
    "indices": indices,
}
