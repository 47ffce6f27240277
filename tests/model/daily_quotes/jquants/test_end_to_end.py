"""From the server to the panel, as the pipeline goes; and a fetch that is killed in the middle."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from model.daily_quotes import calendar
from model.daily_quotes.sources.access import Access, Secret
from model.daily_quotes.sources.jquants.client import KEY_NAME
from model.daily_quotes.stage import ingest
from model.lineage.graph import BY_NAME
from model.lineage.source_days import look_up
from model.lineage.staleness import Lineage
from model.settings.root import Settings
from model.store.stage import StageRun
from model.store.store import Store
from tests.model.daily_quotes.jquants.conftest import JPX, START
from tests.model.daily_quotes.jquants.market import FakeMarket, no_trade, statement
from tests.model.daily_quotes.jquants.server import KEY, Fault, JQuantsServer

ROOT = Path(__file__).resolve().parents[4]
DAYS = calendar.trading_days(JPX, START, date(2024, 2, 14))
OUTAGE, EX_DATE = DAYS[10], DAYS[20]
ACCESS = Access(secrets={KEY_NAME: Secret(KEY)})


@pytest.fixture
def market() -> FakeMarket:
    made = FakeMarket(DAYS)
    made.split("72030", EX_DATE, 0.5)
    made.statements.append(statement(DAYS[5], "72030", "1", Sales="100", NP="10", TA="900", Eq="400"))
    for key in [key for key in made.bars if key[0] == str(OUTAGE)]:
        made.bars[key] = no_trade(made.bars[key])
    return made


@pytest.fixture
def settings(server: JQuantsServer) -> Settings:
    return Settings.model_validate(
        {
            "source": {
                "kind": "jquants",
                "plan": "premium",
                "base_url": server.url,
                "start": DAYS[0],
                "end": DAYS[-1],
                "sweep_days_per_sync": 0,
            },
            "quality": {"min_names": 3, "min_days": 20},
            "universe": {"size": 5, "lookback_days": 10},
        }
    )


def bring_up_to_date(home: Path, settings: Settings) -> tuple[Store, list[str]]:
    """Look up, ingest what is stale, build the panel; the days that were ingested."""
    store = Store(home)
    lineage = Lineage(store, settings, look_up(store, settings, DAYS[-1], ACCESS))
    due = stale_days(lineage)
    wanted = {date.fromisoformat(day): lineage.identity("daily_quotes", day) for day in due}
    list(ingest(store, settings, wanted))
    lineage.forget("daily_quotes")
    identity = lineage.identity("raw_dataset", None)
    BY_NAME["raw_dataset"].materialise(StageRun(store, settings, identity))
    return store, due


def stale_days(lineage: Lineage) -> list[str]:
    """The days that are to be ingested."""
    days = lineage.partitions("daily_quotes")
    return [str(day) for day in days if lineage.judge("daily_quotes", day).state != "fresh"]


def months(store: Store, table: str) -> pl.DataFrame:
    """A table of the panel, all months of it."""
    names = sorted(name for name in store.require("raw_dataset", None).files if name.startswith(f"{table}/"))
    return pl.concat([store.read_table("raw_dataset", name) for name in names])


def test_the_panel_follows_from_what_the_server_said(tmp_path: Path, settings: Settings) -> None:
    assert len(DAYS) == 28
    store, ingested = bring_up_to_date(tmp_path, settings)
    assert len(ingested) == 28
    panel = months(store, "panel").filter(pl.col("Code") == "72030").sort("Date")
    assert months(store, "panel")["Code"].unique().sort().to_list() == ["13010", "130A0", "72030", "86970", "99840"]
    steps = panel.select("Date", step=pl.col("AdjClose") / pl.col("AdjClose").shift(1)).drop_nulls()
    assert steps.filter(pl.col("Date") == EX_DATE)["step"].to_list() == pytest.approx([1220 / 1219])
    assert panel.filter(pl.col("Date") == OUTAGE)["Tradable"].to_list() in ([], [False])
    # Disclosed at 15:30, half an hour after the close of those years: it counts from the next day on.
    known = months(store, "slow").filter(pl.col("Code") == "72030").sort("Date")
    assert known["Sales"].to_list()[:8] == [None] * 6 + [100.0] * 2
    assert months(store, "market").sort("Date")["IndexClose"].to_list() == [2000.0 + place for place in range(28)]
    beside = {name.removesuffix(".parquet") for name in store.require("daily_quotes", str(DAYS[5])).files}
    assert {"quotes", "statements", "margin", "short_selling", "indices", "investor_flow", "revisions"} <= beside


def test_a_correction_makes_one_day_stale_and_the_next_run_mends_it(
    tmp_path: Path, settings: Settings, market: FakeMarket
) -> None:
    shorter = {"end": DAYS[24], "recheck_hours": 0.0}
    again = settings.model_copy(update={"source": settings.source.model_copy(update=shorter)})
    bring_up_to_date(tmp_path, again)
    market.bars[str(DAYS[22]), "13010"] |= {"C": 1111.0, "H": 1211.0}
    store, ingested = bring_up_to_date(tmp_path, again)
    assert ingested == [str(DAYS[22])]
    old = store.read_table("daily_quotes", "revisions.parquet", str(DAYS[22]))
    assert old.select("Code", "Close").rows() == [("13010", 1000.0 + 22)]
    assert stale_days(Lineage(store, again, look_up(store, again, DAYS[24], ACCESS))) == []


FETCH = """
import sys
from datetime import date
from pathlib import Path
from model.daily_quotes.settings import CalendarSettings
from model.daily_quotes.sources.access import Access, Secret
from model.daily_quotes.sources.jquants.settings import JQuantsSource
from model.daily_quotes.sources.jquants.source import JQuantsDays
url, home, key, first, last = sys.argv[1:]
settings = JQuantsSource(base_url=url, plan="premium", start=date.fromisoformat(first), end=date.fromisoformat(last))
access = Access(home=Path(home), secrets={"JQUANTS_API_KEY": Secret(key)})
print(JQuantsDays(settings, CalendarSettings(), settings.end, access).index().fingerprint)
"""


@pytest.fixture
def fetch(server: JQuantsServer, tmp_path: Path) -> Iterator[list[str]]:
    yield [sys.executable, "-c", FETCH, server.url, str(tmp_path), KEY, str(DAYS[0]), str(DAYS[7])]


def test_a_killed_fetch_leaves_neither_gap_nor_double(server: JQuantsServer, tmp_path: Path, fetch: list[str]) -> None:
    server.faults = [Fault("slow", times=10_000, seconds=0.05)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    running = subprocess.Popen(fetch, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with running:
        while len(server.requests) < 12 and running.poll() is None:
            time.sleep(0.02)
        running.send_signal(signal.SIGKILL)
    assert running.returncode == -signal.SIGKILL
    before = [query["date"] for query in server.asked("/equities/bars/daily")]
    server.faults, server.requests = [], []
    done = subprocess.run(fetch, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    after = [query["date"] for query in server.asked("/equities/bars/daily")]
    assert sorted({*before, *after}) == [str(day) for day in DAYS[:8]]
    assert len(set(before) & set(after)) <= 1  # at most the day during which it was killed
    kept = pl.read_parquet(sorted((tmp_path / "sources/jquants/quotes").rglob("*.parquet")))
    assert kept.height == kept.select("Date", "Code").unique().height == 8 * 6
