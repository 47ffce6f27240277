"""A small market in the shape of the J-Quants API V2: what a server answers, by path and query.

Columns are those of the public specification; extra ones that we do not read (names of companies, restated adjusted
prices) are there as they would be. Tests change the rows in place.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

Row = dict[str, Any]

CODES = ("13010", "130A0", "72030", "86970", "99840", "15700")
"""Five shares, an alphanumeric code among them, and a fund (the last one)."""
SECTORS = {"13010": "0050", "130A0": "5250", "72030": "3700", "86970": "7200", "99840": "5250", "15700": "9999"}
SERVED_ON = "_ServedOn"
"""In a row with an odd date, the day that it is served for."""


@dataclass
class FakeMarket:
    """Rows by endpoint; ``days`` are the trading days."""

    days: Sequence[date]
    codes: Sequence[str] = CODES
    bars: dict[tuple[str, str], Row] = field(default_factory=dict)
    master: dict[tuple[str, str], Row] = field(default_factory=dict)
    statements: list[Row] = field(default_factory=list)
    flows: list[Row] = field(default_factory=list)
    margin: list[Row] = field(default_factory=list)
    alerts: list[Row] = field(default_factory=list)
    shorts: list[Row] = field(default_factory=list)
    topix: list[Row] = field(default_factory=list)
    indices: list[Row] = field(default_factory=list)
    closed: set[date] = field(default_factory=set)

    def __post_init__(self) -> None:
        for place, day in enumerate(self.days):
            for number, code in enumerate(self.codes):
                self.bars[day.isoformat(), code] = bar(day, code, 1000.0 + 100 * number + place)
                self.master[day.isoformat(), code] = listing(day, code)
            self.topix.append(level(day, None, 2000.0 + place))
            self.indices += [level(day, "0000", 2000.0 + place), level(day, "0040", 500.0 + place)]
            self.shorts += [
                {"Date": str(day), "S33": sector, "SellExShortVa": 600.0, "ShrtWithResVa": 300.0, "ShrtNoResVa": 100.0}
                for sector in sorted({SECTORS.get(code, "3700") for code in self.codes})
            ]
        for week_end in {day.isocalendar()[:2]: day for day in self.days}.values():
            self.margin += [balance(week_end, code) for code in self.codes]
            published = next((day for day in self.days if day >= week_end + timedelta(days=6)), None)
            if published is not None:
                self.flows.append(flow(week_end, published))

    def answer(self, path: str, query: dict[str, str]) -> list[Row]:
        """All rows of an endpoint for a query."""
        if path == "/markets/calendar":
            return self._calendar(query["from"], query["to"])
        tables: dict[str, tuple[Iterable[Row], str]] = {
            "/equities/bars/daily": (self.bars.values(), "Date"),
            "/equities/master": (self.master.values(), "Date"),
            "/fins/summary": (self.statements, "DiscDate"),
            "/equities/investor-types": (self.flows, "PubDate"),
            "/markets/margin-interest": (self.margin, "Date"),
            "/markets/margin-alert": (self.alerts, "PubDate"),
            "/markets/short-ratio": (self.shorts, "Date"),
            "/indices/bars/daily/topix": (self.topix, "Date"),
            "/indices/bars/daily": (self.indices, "Date"),
        }
        rows, column = tables[path]
        low, high = query.get("date", query.get("from", "")), query.get("date", query.get("to", ""))
        return [row for row in rows if low <= row.get(SERVED_ON, row[column]) <= high]

    def _calendar(self, low: str, high: str) -> list[Row]:
        first, last = date.fromisoformat(low), min(date.fromisoformat(high), self.days[-1])
        every = [first + timedelta(days=offset) for offset in range((last - first).days + 1)]
        return [
            {"Date": str(day), "HolDiv": "1" if day in self.days and day not in self.closed else "0"}
            for day in every
            if day >= self.days[0]
        ]

    def split(self, code: str, ex_date: date, factor: float) -> None:
        """A split: raw prices fall from the ex-date on, and the adjusted history is restated, as the API does it."""
        for (day, each), row in self.bars.items():
            if each != code:
                continue
            if day >= str(ex_date):
                for name in ("O", "H", "L", "C"):
                    row[name] = row[name] * factor
            else:
                for name in ("AdjO", "AdjH", "AdjL", "AdjC"):
                    row[name] = row[name] * factor
                row["AdjVo"] = row["AdjVo"] / factor
        self.bars[str(ex_date), code]["AdjFactor"] = factor


def bar(day: date, code: str, close: float) -> Row:
    prices = {"O": close - 5, "H": close + 10, "L": close - 10, "C": close}
    return {
        "Date": str(day),
        "Code": code,
        **prices,
        "UL": "0",
        "LL": "0",
        "Vo": 10000.0,
        "Va": close * 10000.0,
        "AdjFactor": 1.0,
        **{f"Adj{name}": value for name, value in prices.items()},
        "AdjVo": 10000.0,
    }


def no_trade(row: Row) -> Row:
    """The same bar on a day without trading."""
    return row | dict.fromkeys(("O", "H", "L", "C", "Vo", "Va", "AdjO", "AdjH", "AdjL", "AdjC", "AdjVo"))


def listing(day: date, code: str) -> Row:
    fund = SECTORS.get(code) == "9999"
    return {
        "Date": str(day),
        "Code": code,
        "CoName": "会社",
        "CoNameEn": "Company",
        "S17": "1",
        "S17Nm": "食品",
        "S33": SECTORS.get(code, "3700"),
        "S33Nm": "業種",
        "ScaleCat": "TOPIX Small 1",
        "Mkt": "0109" if fund else "0111",
        "MktNm": "その他" if fund else "プライム",
        "Mrgn": "1",
        "MrgnNm": "信用",
        "ProdCat": "014" if fund else "011",
    }


def level(day: date, code: str | None, close: float) -> Row:
    row: Row = {"Date": str(day), "O": close - 1, "H": close + 2, "L": close - 2, "C": close}
    return row if code is None else row | {"Code": code}


def balance(day: date, code: str, published: date | None = None) -> Row:
    return {
        "PubDate": None if published is None else str(published),
        "Date": str(day),
        "Code": code,
        "IssType": "2",
        "ShrtVol": "-" if code == "130A0" else 4100.0,
        "LongVol": 27600.0,
        "ShrtNegVol": 0.0,
        "LongNegVol": 0.0,
        "ShrtStdVol": 4100.0,
        "LongStdVol": 27600.0,
    }


def alert(published: date, code: str, record: date, short: float, long: float) -> Row:
    return {
        "PubDate": str(published),
        "Code": code,
        "AppDate": str(record),
        "PubReason": {"Restricted": "0", "DailyPublication": "1"},
        "ShrtOut": short,
        "ShrtOutChg": "-",
        "ShrtOutRatio": "*",
        "LongOut": long,
        "LongOutChg": 0.0,
        "LongOutRatio": "*",
        "SLRatio": 1.6,
        "TSEMrgnRegCls": "001",
    }


def flow(week_end: date, published: date) -> Row:
    return {
        "PubDate": str(published),
        "StDate": str(week_end - timedelta(days=4)),
        "EnDate": str(week_end),
        "Section": "TSEPrime",
        "FrgnSell": 100,
        "FrgnBuy": 350,
        "FrgnTot": 450,
        "FrgnBal": 250,
        "IndBal": -240,
        "TotSell": 1000,
        "TotBuy": 1000,
        "TotTot": 2000,
        "TotBal": 0,
    }


def statement(day: date, code: str, number: str, **figures: Any) -> Row:
    """A third-quarter statement; every figure that is not given is empty, as the API has it."""
    names = ("Sales", "OP", "OdP", "NP", "TA", "Eq", "FSales", "FOP", "FNP", "NxFSales", "NxFOP", "NxFNp")
    names += ("ShOutFY", "TrShFY", "NCSales", "NCOP", "NCNP", "NCTA", "NCEq", "FNCSales", "FNCOP", "FNCNP")
    names += ("NxFNCSales", "NxFNCOP", "NxFNCNP")
    return {
        "DiscDate": str(day),
        "DiscTime": "15:30:00",
        "Code": code,
        "DiscNo": number,
        "DocType": "3QFinancialStatements_Consolidated_JP",
        "CurPerType": "3Q",
        "CurPerSt": "2023-04-01",
        "CurPerEn": "2023-12-31",
        "CurFYSt": "2023-04-01",
        "CurFYEn": "2024-03-31",
        "NxtFYSt": "",
        "NxtFYEn": "",
        **dict.fromkeys(names, ""),
        **figures,
    }
