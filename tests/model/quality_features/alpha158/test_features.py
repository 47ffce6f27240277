"""All 158 columns, through the engine, against an implementation that shares no code with it."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.typing import NDArray

from model.quality_features.alpha158.features import LISTED_WITHIN_DAYS, WINDOWS, features
from model.quality_features.engine import compute_features, feature_plan
from model.quality_features.language.expression import text
from model.quality_features.language.parse import parse
from model.quality_features.settings import FeatureSettings
from tests.model.quality_features.alpha158.reference import alpha158

Array = NDArray[np.float64]
DAYS = 150
SETTINGS = FeatureSettings(set="alpha158")
NAMES = [feature.name for feature in features()]
# fmt: off
CANDLE = ("KMID", "KLEN", "KMID2", "KUP", "KUP2", "KLOW", "KLOW2", "KSFT", "KSFT2", "OPEN0", "HIGH0", "LOW0", "VWAP0")
STATISTICS = (
    "ROC", "MA", "STD", "BETA", "RSQR", "RESI", "MAX", "MIN", "QTLU", "QTLD", "RANK", "RSV", "IMAX", "IMIN", "IMXD",
    "CORR", "CORD", "CNTP", "CNTN", "CNTD", "SUMP", "SUMN", "SUMD", "VMA", "VSTD", "WVMA", "VSUMP", "VSUMN", "VSUMD",
)
# fmt: on


def bars_of(seed: int, days: int) -> pd.DataFrame:
    """A random walk on the last ``days`` of DAYS trading days, with cents and whole shares so that values tie."""
    rng = np.random.Generator(np.random.PCG64(seed))
    close = 50.0 * np.exp(np.cumsum(rng.normal(0, 0.02, days)))
    open_ = close * np.exp(rng.normal(0, 0.01, days))
    high = np.maximum(open_, close) * np.exp(np.abs(rng.normal(0, 0.01, days)))
    low = np.minimum(open_, close) * np.exp(-np.abs(rng.normal(0, 0.01, days)))
    volume = np.floor(rng.lognormal(8, 1, days))
    prices = {"open": open_, "high": high, "low": low, "close": close}
    bars = pd.DataFrame({name: np.round(values, 1) for name, values in prices.items()})
    bars["volume"] = volume
    bars["vwap"] = (bars["high"] + bars["low"] + bars["close"]) / 3
    return bars.set_axis(range(DAYS - days, DAYS))


def missing_days(bars: pd.DataFrame, *stretches: tuple[int, int]) -> pd.DataFrame:
    """Nothing known on the days from each start up to each end."""
    holed = bars.copy()
    for start, end in stretches:
        holed.loc[start : end - 1] = np.nan
    return holed


def suspended_at_random(bars: pd.DataFrame, seed: int) -> pd.DataFrame:
    rng = np.random.Generator(np.random.PCG64(seed))
    hidden = rng.random(len(bars)) < 0.1
    hidden[[0, -1]] = False
    return bars.mask(pd.Series(hidden, index=bars.index))


def still(bars: pd.DataFrame, start: int, end: int) -> pd.DataFrame:
    """One price and no trading from start to end, as in a halted but quoted share."""
    quiet = bars.copy()
    price = bars["close"][start]
    quiet.loc[start : end - 1, ["open", "high", "low", "close", "vwap"]] = price
    quiet.loc[start : end - 1, "volume"] = 0.0
    return quiet


def untraded_at_random(bars: pd.DataFrame, seed: int) -> pd.DataFrame:
    rng = np.random.Generator(np.random.PCG64(seed))
    traded = rng.random(len(bars)) > 0.15
    return bars.assign(volume=bars["volume"].where(traded | bars["volume"].isna(), 0.0))


@pytest.fixture(scope="module")
def market() -> dict[str, pd.DataFrame]:
    whole = bars_of(1, DAYS)
    jump = bars_of(6, DAYS)
    jump.loc[70:, ["open", "high", "low", "close", "vwap"]] *= 1e5
    return {
        "A whole": whole,
        "B suspended": suspended_at_random(bars_of(2, DAYS), 2),
        "C gap": missing_days(bars_of(3, DAYS), (40, 75), (110, 113)),
        "D still": still(bars_of(4, DAYS), 50, 125),
        "E untraded": untraded_at_random(suspended_at_random(bars_of(5, DAYS), 5), 6),
        "F jump": jump,
        "G late": bars_of(7, 33),
        "H new": bars_of(8, 2),
    }


def panel_of(market: dict[str, pd.DataFrame]) -> pl.DataFrame:
    """Rows of raw_dataset's panel: none where a name's bar is missing on an even day, nulls on an odd one."""
    axis = [day for day in (date(2020, 1, 1) + timedelta(n) for n in range(DAYS * 2)) if day.weekday() < 5]
    frames = []
    for code, bars in market.items():
        kept = bars[bars["close"].notna() | (bars.index % 2 == 1)]
        columns = {f"Adj{name.capitalize()}": kept[name].to_numpy() for name in ("open", "high", "low", "close")}
        frames.append(
            pl.DataFrame(
                {
                    "Date": [axis[number] for number in kept.index],
                    "Code": [code] * len(kept),
                    **columns,
                    "AdjVolume": kept["volume"].to_numpy(),
                    "TurnoverValue": (kept["volume"] * kept["vwap"]).to_numpy(),
                    "Close": kept["close"].to_numpy(),
                    "Sector": ["S"] * len(kept),
                    "InUniverse": [True] * len(kept),
                }
            )
        )
    return pl.concat(frames).fill_nan(None).sort("Date", "Code")


def expected_of(bars: pd.DataFrame) -> pd.DataFrame:
    """The reference's columns; VWAP0 is missing where nothing was traded."""
    return alpha158(bars.assign(vwap=bars["vwap"].where(bars["volume"] > 0)))


@pytest.fixture(scope="module")
def computed(market: dict[str, pd.DataFrame]) -> pl.DataFrame:
    panel = panel_of(market)
    return compute_features(panel, SETTINGS, panel["Date"][0], panel["Date"][-1])


def test_the_158_names_are_qlibs_in_its_order() -> None:
    assert [*CANDLE, *(f"{name}{days}" for name in STATISTICS for days in WINDOWS)] == NAMES
    assert len(set(NAMES)) == 158


def test_every_value_is_that_of_the_independent_implementation(
    market: dict[str, pd.DataFrame], computed: pl.DataFrame
) -> None:
    for code, bars in market.items():
        rows = computed.filter(pl.col("Code") == code)
        kept = bars["close"].notna() | (bars.index % 2 == 1)
        wanted = expected_of(bars)[kept]
        assert rows.height == kept.sum()
        for name in NAMES:
            found = rows[name].cast(pl.Float64).to_numpy()
            np.testing.assert_allclose(found, finite(wanted[name]), rtol=1e-5, atol=1e-9, err_msg=f"{name} of {code}")


def finite(column: pd.Series) -> Array:
    """Float32 holds no infinity in the feature table: too large is missing."""
    values = column.to_numpy(dtype=np.float64)
    return np.where(np.abs(values) > np.finfo(np.float32).max, np.nan, values)


def test_later_days_and_an_earlier_start_change_no_bit(market: dict[str, pd.DataFrame], computed: pl.DataFrame) -> None:
    panel = panel_of(market)
    days = panel["Date"].unique().sort()
    first, last = days[DAYS - 12], days[DAYS - 5]
    reach = days[DAYS - 12 - feature_plan(SETTINGS, tuple(NAMES)).lookback_days + 1]
    known = panel.filter(pl.col("Date").is_between(reach, last))
    part = compute_features(known, SETTINGS, first, last, names=NAMES, threads=1)
    assert part.equals(computed.filter(pl.col("Date").is_between(first, last)).select(part.columns))


def test_most_cells_hold_a_value(computed: pl.DataFrame) -> None:
    share = computed.filter(pl.col("Code") == "A whole").select(pl.col(NAMES).is_not_null().mean())
    assert min(share.row(0)) > 0.55


def test_positions_pass_over_a_missing_day(computed: pl.DataFrame, market: dict[str, pd.DataFrame]) -> None:
    bars = market["C gap"]
    day = 115
    high = bars["high"].loc[day - 9 : day].to_numpy()
    position = float(np.nanargmax(high) + 1)
    assert np.isnan(high).any() and np.argmax(high) + 1 != position
    kept = bars["close"].notna() | (bars.index % 2 == 1)
    row = int(kept.loc[:day].sum()) - 1
    found = computed.filter(pl.col("Code") == "C gap")["IMAX10"][row]
    assert found == pytest.approx(position / 10)


def test_a_name_counts_as_listed_only_while_its_last_close_is_recent(market: dict[str, pd.DataFrame]) -> None:
    bars = missing_days(market["A whole"], (20, 20 + LISTED_WITHIN_DAYS + 5))
    panel = panel_of({"A whole": market["A whole"], "gap": bars})
    rows = compute_features(panel, SETTINGS, panel["Date"][0], panel["Date"][-1]).filter(pl.col("Code") == "gap")
    back = rows.filter(pl.col("Date") == panel["Date"].unique().sort()[20 + LISTED_WITHIN_DAYS + 5])
    assert back["CNTP5"].item() == 0.0
    assert back["CNTP60"].item() == 0.0


def test_every_formula_reads_back_as_itself() -> None:
    for feature in features():
        assert text(parse(feature.formula)) == feature.formula
        assert feature.group == "alpha158" and feature.description
    assert max(feature.lookback_days for feature in features()) == max(WINDOWS) + LISTED_WITHIN_DAYS - 1


def test_a_window_starts_with_its_first_value(computed: pl.DataFrame) -> None:
    first = computed.filter(pl.col("Code") == "G late").row(0, named=True)
    assert first["MA60"] == pytest.approx(1.0) and first["RANK60"] == 1.0
    assert first["IMAX60"] == pytest.approx(1 / 60) and first["CNTP60"] == 0.0
    assert first["STD60"] is None and first["ROC5"] is None and first["CORR60"] is None
