"""The slow and market tables from their definition: for each row look through everything that is known by then."""

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta
from typing import Any

import polars as pl

from model.daily_quotes.availability import open_exchange, with_availability
from model.daily_quotes.beside import FORECAST, REPORTED
from model.raw_dataset.market import MARKET
from model.raw_dataset.slow import SLOW
from tests.model.raw_dataset.synthetic import CALENDAR, DAYS, Market

Row = dict[str, Any]
SHARES = (("statements", ("SharesOutstanding",)), ("margin", ("MarginLong", "MarginShort")))


def slow_table(market: Market) -> pl.DataFrame:
    """Every row of the slow table."""
    known = _available(market)
    keys = market.quotes.select("Date", "Code", "Sector").rows()
    return pl.DataFrame([_slow_row(known, *key) for key in keys], schema=SLOW)


def market_table(market: Market, index: str = "TOPIX") -> pl.DataFrame:
    """Every row of the market table."""
    known = _available(market)
    days = market.quotes["Date"].unique().sort().to_list()
    return pl.DataFrame([_market_row(known, day, index) for day in days], schema=MARKET)


def _available(market: Market) -> dict[str, list[Row]]:
    exchange = open_exchange(CALENDAR)
    known = {
        name: with_availability(name, rows, exchange).sort("AvailableFrom", "PublishedAt", "Date").to_dicts()
        for name, rows in market.beside.items()
    }
    factors = market.quotes.filter(pl.col("AdjustmentFactor") != 1.0).select("Code", "Date", "AdjustmentFactor").rows()
    for table, names in SHARES:
        for each in known[table]:
            day = each["RecordDate"] if table == "margin" else (each["PublishedAt"] + timedelta(hours=9)).date()
            factor = math.prod(by for code, when, by in factors if code == each["Code"] and when <= day)
            each |= {name: None if each[name] is None else each[name] * factor for name in names}
    return known


def _slow_row(known: Mapping[str, list[Row]], day: date, code: str, sector: str) -> Row:
    row: Row = {"Date": day, "Code": code}
    own = _by_then(known["statements"], day, lambda each: each["Code"] == code)
    reports = [each for each in own if any(each[name] is not None for name in REPORTED)]
    if reports:
        period = max((each["FiscalYearEnd"], each["Quarter"]) for each in reports)
        current = _last(reports, lambda each: (each["FiscalYearEnd"], each["Quarter"]) == period)
        age = _age(current, day)
        if age < 300:
            row |= {name: current[name] for name in REPORTED}
            row |= {"Quarter": float(period[1]), "DaysSinceStatement": float(age)}
            year_before = period[0].replace(year=period[0].year - 1), period[1]
            compared = [each for each in reports if (each["FiscalYearEnd"], each["Quarter"]) == year_before]
            if compared:
                row |= {f"{name}YearAgo": compared[-1][name] for name in ("Sales", "OperatingProfit", "Profit")}
    forecasts = [each for each in own if any(each[name] is not None for name in FORECAST)]
    forecasts = [each for each in forecasts if not _corrects_an_older_period(each, own)]
    if forecasts:
        latest = max(_forecast_year(each) for each in forecasts)
        versions: dict[date, Row] = {}
        for each in forecasts:
            if _forecast_year(each) == latest:
                versions[_counts_from(each["AvailableFrom"])] = each
        *earlier, newest = versions.values()
        row |= {name: newest[name] for name in FORECAST}
        profits = [each["ForecastProfit"] for each in earlier if each["ForecastProfit"] is not None]
        row["ForecastProfitBefore"] = profits[-1] if profits else None
    row |= _margin(known["margin"], day, code)
    ratios = _by_then(known["short_selling"], day, lambda each: each["Sector"] == sector)
    if ratios:
        record = max(each["RecordDate"] for each in ratios)
        ratio = _last(ratios, lambda each: each["RecordDate"] == record)
        row["SectorShortRatio"] = ratio["ShortRatio"] if _age(ratio, day) < 10 else None
    return row


def _corrects_an_older_period(row: Row, own: list[Row]) -> bool:
    before = [each for each in own[: own.index(row)] if any(each[name] is not None for name in REPORTED)]
    periods = [(each["FiscalYearEnd"], each["Quarter"]) for each in before]
    reported = any(row[name] is not None for name in REPORTED)
    return reported and bool(periods) and (row["FiscalYearEnd"], row["Quarter"]) < max(periods)


def _counts_from(available: date) -> date:
    """The trading day at whose close a row first counts; before all of them, its own day."""
    following = [day for day in DAYS if day >= available]
    return following[0] if following and available >= DAYS[0] else available


def _margin(records: list[Row], day: date, code: str) -> Row:
    choices = []
    for kind in ("weekly", "daily"):
        own = _by_then(records, day, lambda each: each["Code"] == code and each["Kind"] == kind)  # noqa: B023
        if own:
            choices.append((max(each["RecordDate"] for each in own), own))
    if not choices:
        return {}
    record = max(choice[0] for choice in choices)
    own = [choice[1] for choice in choices if choice[0] == record][-1]
    newest = _last(own, lambda each: each["RecordDate"] == record)
    if _age(newest, day) >= 20:
        return {}
    found = {"MarginLong": newest["MarginLong"], "MarginShort": newest["MarginShort"]}
    found["DaysSinceMargin"] = float(_age(newest, day))
    earlier = [each for each in own if each["RecordDate"] < record]
    if earlier:
        before = max(each["RecordDate"] for each in earlier)
        last = _last(earlier, lambda each: each["RecordDate"] == before)
        found |= {"MarginLongBefore": last["MarginLong"], "MarginShortBefore": last["MarginShort"]}
    return found


def _market_row(known: Mapping[str, list[Row]], day: date, index: str) -> Row:
    row: Row = {"Date": day}
    levels = [each for each in known["indices"] if each["Date"] == day and each["IndexCode"] == index]
    for level in levels:
        row |= {f"Index{name}": level[name] for name in ("Open", "High", "Low", "Close")}
    weeks = _by_then(known["investor_flow"], day, lambda each: True)
    if not weeks:
        return row
    end = max(each["PeriodEnd"] for each in weeks)
    sections = {each["Section"]: each for each in weeks if each["PeriodEnd"] == end}
    newest = max(sections.values(), key=lambda each: each["AvailableFrom"])
    if _age(newest, day) < 20:
        for name, column in (("ForeignNet", "ForeignNet"), ("IndividualNet", "IndividualNet"), ("FlowTotal", "Total")):
            row[name] = sum(each[column] for each in sections.values())
        row["FlowWeeks"] = float((day - end).days // 7)
    return row


def _by_then(records: Iterable[Row], day: date, wanted: Callable[[Row], bool]) -> list[Row]:
    return [each for each in records if each["AvailableFrom"] <= day and wanted(each)]


def _last(records: list[Row], wanted: Callable[[Row], bool]) -> Row:
    return [each for each in records if wanted(each)][-1]


def _forecast_year(statement: Row) -> date:
    end: date = statement["FiscalYearEnd"]
    return end.replace(year=end.year + 1) if statement["Quarter"] == 4 else end


def _age(record: Row, day: date) -> int:
    """Trading days from the first one on or after AvailableFrom."""
    return DAYS.index(day) - next(place for place, each in enumerate(DAYS) if each >= record["AvailableFrom"])
