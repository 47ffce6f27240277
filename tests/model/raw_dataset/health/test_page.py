"""The data-health page says what is stored, opens offline, and is built from any dataset."""

import re
from datetime import date
from html import unescape
from html.parser import HTMLParser
from typing import Any

import polars as pl
import pytest
from markupsafe import escape

from model.daily_quotes.schema import ASSET as QUOTES_ASSET
from model.daily_quotes.schema import QUOTES
from model.daily_quotes.sources.jquants.cache import Cache, Coverage, Status
from model.daily_quotes.sources.jquants.settings import JQuantsSource
from model.errors import StoreError
from model.pictures.html_style import style_sheet
from model.raw_dataset.health.heat import null_lines
from model.raw_dataset.health.palette import DARK, LIGHT
from model.raw_dataset.health.windows import AFTER, BEFORE, draw, read_windows
from model.raw_dataset.pages import PAGES
from model.raw_dataset.settings import UniverseSettings
from model.raw_dataset.stage import ASSET
from model.store.store import Store
from tests.model.raw_dataset.conftest import sections

PRICES = ("Open", "High", "Low", "Close")
VOID = {"meta", "br", "path", "circle", "use", "rect", "line"}


class Tags(HTMLParser):
    """Open tags must close in order; every address must lie in the page itself."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.outside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.outside += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.outside += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def page(installation: Any) -> str:
    installation.build()
    [health] = PAGES
    assert health.name == "health.html"
    return health.build(installation.store, installation.settings).decode()


def calm_codes(installation: Any) -> list[str]:
    days = [
        installation.store.read_table(QUOTES_ASSET, QUOTES, day) for day in installation.store.partitions(QUOTES_ASSET)
    ]
    codes = pl.concat(days).group_by("Code").agg(pl.col("Close").count(), pl.col("AdjustmentFactor").min())
    whole = codes.filter((pl.col("Close") == len(days)) & (pl.col("AdjustmentFactor") == 1.0))
    return whole["Code"].sort().to_list()


STRANGE = '<i a="&">'


@pytest.fixture(scope="module")
def damaged(market: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, str, str]:
    """A market with a bit of everything, a code of it with a defect, and its page.

    A code that cannot be markup splits five for one on 2020-05-11, and nobody says so; an open is negative, a day is
    thin and another is missing. It comes from a plan of J-Quants.
    """
    installation = market.afresh(tmp_path_factory.mktemp("damaged"))
    code, other = calm_codes(installation)[:2]
    own, late = pl.col("Code") == code, pl.col("Date") >= date(2020, 5, 11)
    negative = (pl.col("Code") == other) & (pl.col("Date") == date(2020, 2, 3))
    store = installation.store
    rows = pl.concat([store.read_table(QUOTES_ASSET, QUOTES, day) for day in store.partitions(QUOTES_ASSET)])
    rows = rows.with_columns(
        *[pl.when(own & late).then(pl.col(name) / 5).otherwise(name).alias(name) for name in PRICES],
        Volume=pl.when(own & late).then(pl.col("Volume") * 5).otherwise("Volume"),
        Code=pl.when(own).then(pl.lit(STRANGE)).otherwise("Code"),
    ).with_columns(Open=pl.when(negative).then(-7.25).otherwise("Open"))
    thin = (pl.col("Date") == date(2020, 6, 10)) & (pl.int_range(pl.len()).over("Date") >= 15)
    installation.put(rows.filter(~thin).sort("Date", "Code"))
    store.directory(QUOTES_ASSET, "2020-03-10").rename(store.root / "aside")
    installation.settings = sections(source=JQuantsSource(start=date(2020, 1, 6)), universe=UniverseSettings(size=None))
    coverage = Coverage(plan="light", awaited={"2020-07-31": ""}, synced="2020-07-31T18:00:00+09:00")
    coverage.tables = {
        "statements": Status("present", asked="2020-07-31T17:00:00", window=["2019-05-01", None]),
        "margin": Status("absent", "This API is not <available> on your subscription."),
    }
    coverage.note_left_out("statements", "2020-05-15", 2)
    coverage.note_left_out("statements", "2020-06-15", 1)
    coverage.note_cut("statements", "2020-05-18", 7)
    Cache(store.home).write_coverage(coverage)
    return installation, other, page(installation)


@pytest.fixture(scope="module")
def clean(market: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, str]:
    """A market without a defect, and its page."""
    installation = market.afresh(tmp_path_factory.mktemp("clean"))
    return installation, page(installation)


def test_the_page_is_one_well_formed_file_that_asks_for_nothing_else(clean: tuple[Any, str]) -> None:
    _, text = clean
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    assert [address for address in tags.outside if not address.startswith("#")] == []
    assert "@import" not in text and "url(http" not in text and "<script" not in text
    assert text.startswith("<!doctype html>") and 'name="viewport"' in text


def test_a_clean_market_reads_as_clean(clean: tuple[Any, str]) -> None:
    installation, text = clean
    panel = installation.store.read_chunks(ASSET, "panel")
    days, codes = panel["Date"].n_unique(), panel["Code"].n_unique()
    assert f"{panel.height:,} rows of {codes} codes on {days} days: nothing looks like an error" in text
    assert "Suspected errors" in text and "2020-01-06 to 2020-07-31" in text
    assert "Median traded value of the members" in text


def test_a_suspected_split_is_shown_with_its_price_plot_and_its_figures(damaged: tuple[Any, str, str]) -> None:
    _, _, text = damaged
    assert "days: 1 place looks like an error and 1 row has a defect" in text
    assert f"<b>{escape(STRANGE)}</b><time>2020-05-11</time>" in text and "about 5:1" in text
    assert f'aria-label="{STRANGE} around 2020-05-11"' in unescape(text)


def test_defects_are_counted_and_shown_as_received(damaged: tuple[Any, str, str]) -> None:
    _, code, text = damaged
    assert re.search(rf"<td>{code}</td><td>2020-02-03</td><td>open not positive</td><td>-7\.25</td>", text)


def test_each_reason_counts_what_it_nulled_itself_and_shows_each_row_once(installation: Any) -> None:
    code = calm_codes(installation)[0]
    tenfold = [pl.when(pl.col("Code") == code).then(pl.col(name) * 10).otherwise(name).alias(name) for name in PRICES]
    no_low = pl.when(pl.col("Code") == code).then(0.0).otherwise("Low").alias("Low")
    installation.change("2020-02-04", lambda rows: rows.with_columns(tenfold).with_columns(no_low))
    installation.change("2020-03-04", lambda rows: rows.with_columns(tenfold))
    text = page(installation)
    counts = re.findall(r"<td>([a-z ]+)</td><td>(\d+)</td><td>\d+</td><td>(\d+)</td>", text)
    assert {("return suspicious", "2", "0"), ("low not positive", "1", "1")} <= set(counts)
    shown = re.findall(rf"<td>{code}</td><td>([-\d]+)</td><td>([a-z ]+)</td>", text)
    assert shown == [
        ("2020-02-04", "return suspicious"),
        ("2020-03-04", "return suspicious"),
        ("2020-02-04", "low not positive"),
    ]


def test_a_market_with_defects_and_no_suspicion_does_not_read_as_clean(installation: Any) -> None:
    installation.change(
        "2020-02-04", lambda rows: rows.with_columns(Open=pl.when(pl.int_range(pl.len()) < 2).then(0.0))
    )
    text = page(installation)
    assert "2 rows have a defect" in text and "nothing looks like an error" not in text


def test_a_thin_day_and_a_missing_one_are_named(damaged: tuple[Any, str, str]) -> None:
    _, _, text = damaged
    assert "1: 2020-03-10" in text and "1 off the calendar" in text
    assert re.search(r"2020-06-10 \(1\d names against 3\d\)", text)


def test_names_from_the_data_and_words_from_the_server_cannot_become_markup(damaged: tuple[Any, str, str]) -> None:
    _, _, text = damaged
    assert "<i a=" not in text and "&lt;i a=" in text and "&lt;available&gt;" in text
    tags = Tags()
    tags.feed(text)
    assert tags.open == []


def test_a_plan_of_jquants_is_shown_with_what_it_lacks(clean: tuple[Any, str], damaged: tuple[Any, str, str]) -> None:
    _, _, text = damaged
    assert "plan of J-Quants" not in clean[1]
    assert "What the plan <b>light</b> gave" in text and "last on 2020-07-31" in text and "awaited: 2020-07-31" in text
    cells = {row[0]: row[1:] for row in re.findall("<tr>" + "<td>([^<]*)</td>" * 6 + "</tr>", text)}
    assert cells["statements"] == ("served", "2019-05-01 to now", "0", "3", "2020-07-31")
    assert cells["margin"][0] == "not in the plan" and cells["sector indices"][0] == "not asked"
    assert "statements: the last answer for 1 of its units was cut (the first: 2020-05-18)" in text
    assert "margin: This API is not &lt;available&gt; on your subscription." in text


def test_the_same_dataset_gives_the_same_page(clean: tuple[Any, str]) -> None:
    installation, text = clean
    assert PAGES[0].build(installation.store, installation.settings).decode() == text


def test_every_name_as_a_member_needs_no_figure_of_the_universe(damaged: tuple[Any, str, str]) -> None:
    assert "Every name with a close is a member" in damaged[2]


def test_without_a_dataset_the_page_says_what_to_run(tmp_path: Any, installation: Any) -> None:
    with pytest.raises(StoreError, match="gogooku run --until raw_dataset"):
        PAGES[0].build(Store(tmp_path), installation.settings)


def test_dark_and_light_name_the_same_colours() -> None:
    assert LIGHT.keys() == DARK.keys()
    assert len({*LIGHT.values()}) == len(LIGHT)  # each drawn colour stands for one variable
    sheet = style_sheet(LIGHT, DARK)
    assert all(sheet.count(f"--{name}:") == 2 for name in LIGHT)


def test_windows_hold_the_closes_around_the_day_and_no_more(clean: tuple[Any, str]) -> None:
    installation, _ = clean
    code = calm_codes(installation)[0]
    first, middle, late = read_windows(
        installation.store, [(date(2020, 1, 6), code), (date(2020, 4, 15), code), (date(2020, 4, 18), code)]
    )
    assert late is None  # a Saturday
    assert first is not None and (first.event, first.rows.height) == (0, AFTER)
    assert middle is not None and (middle.event, middle.rows.height) == (BEFORE, BEFORE + AFTER)
    assert middle.rows["Date"][middle.event] == date(2020, 4, 15)
    drawn = draw(middle, "a title")
    assert drawn.startswith("<svg") and drawn.endswith("</svg>") and "nan" not in drawn


def test_missing_values_are_summed_by_column_and_period() -> None:
    months = [f"{year}-{month:02d}" for year in range(2000, 2010) for month in range(1, 13)]
    nulls = pl.DataFrame(
        {
            "table": "panel",
            "month": months * 3,
            "column": ["Open"] * 120 + ["Close"] * 120 + ["Sector"] * 120,
            "rows": 100,
            "nulls": [1] + [0] * 119 + [0] * 120 + [100] * 120,
        }
    )
    opening, sector = null_lines(nulls)
    assert (opening.column, opening.absent, opening.share) == ("Open", False, pytest.approx(1 / 12000))
    assert len(opening.cells) == 40 and opening.cells[0].first == "2000-01"
    assert opening.cells[0].share == pytest.approx(1 / 300) and opening.cells[1].shade == 0.0
    assert (sector.column, sector.absent) == ("Sector", True)
