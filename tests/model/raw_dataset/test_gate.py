"""The quality gate on rows whose defects are known."""

import math
from datetime import date
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.errors import SourceError
from model.raw_dataset.gate import REASONS, count_defective, count_reasons, gate, refuse_bad_data, traded_value
from model.raw_dataset.settings import QualitySettings

SETTINGS = QualitySettings()
GOOD = {"Open": 10.0, "High": 12.0, "Low": 9.0, "Close": 11.0, "Volume": 100}


def rows(*changes: dict[str, Any]) -> pl.DataFrame:
    """One row a change, each of a code of its own, with the columns that the gate reads."""
    schema = dict.fromkeys(("Open", "High", "Low", "Close", "cumulative", "last_close"), pl.Float64) | {
        "Volume": pl.Int64
    }
    values = [
        {"Date": date(2020, 1, 6), "Code": f"{n:04d}", "cumulative": 1.0, "last_close": None, **GOOD, **change}
        for n, change in enumerate(changes)
    ]
    return pl.DataFrame(values, schema_overrides=schema)


@pytest.mark.parametrize(
    ("change", "reason", "nulled"),
    [
        ({"Open": 0.0}, "open_not_positive", ("Open",)),
        ({"High": 0.0}, "high_not_positive", ("High",)),
        ({"Low": 0.0}, "low_not_positive", ("Low",)),
        ({"Close": 0.0}, "close_not_positive", ("Close",)),
        ({"Open": math.nan}, "open_not_finite", ("Open",)),
        ({"High": math.inf}, "high_not_finite", ("High",)),
        ({"Low": math.nan}, "low_not_finite", ("Low",)),
        ({"Close": math.nan}, "close_not_finite", ("Close",)),
        ({"Close": math.inf}, "close_not_finite", ("Close",)),
        ({"Close": -math.inf}, "close_not_positive;close_not_finite", ("Close",)),
        ({"Open": 5e-324}, "open_implausible", ("Open",)),
        ({"High": 1e300}, "high_implausible", ("High",)),
        ({"Low": 1e-310}, "low_implausible", ("Low",)),
        ({"Close": 5e-324}, "close_implausible", ("Close",)),
        ({"Close": 1e308}, "close_implausible", ("Close",)),
        ({"High": 8.0, "Low": 9.0}, "high_below_low", ("High", "Low")),
        ({"Close": 12.5}, "close_outside_range", ("High", "Low")),
        ({"Close": 8.5}, "close_outside_range", ("High", "Low")),
        ({"Close": 1e6}, "close_outside_range", ("High", "Low")),
        ({"Open": 12.5}, "open_outside_range", ("Open",)),
        ({"Volume": 0}, "volume_not_positive", ()),
        ({"Volume": None}, "volume_missing", ()),
        ({"Close": None}, "close_missing", ()),
        ({"last_close": 5.0}, "return_suspicious", ()),
        (
            {"Open": 0.0, "High": 0.0, "Low": 0.0},
            "open_not_positive;high_not_positive;low_not_positive",
            ("Open", "High", "Low"),
        ),
        ({"Close": 0.0, "Volume": 0}, "close_not_positive;volume_not_positive", ("Close",)),
    ],
)
def test_each_defect_is_written_down_and_nulls_what_cannot_be_believed(
    change: dict[str, Any], reason: str, nulled: tuple[str, ...]
) -> None:
    given_rows = rows(change)
    gated = gate(given_rows, SETTINGS)
    found = gated.quarantine.row(0, named=True)
    assert found["reason"] == reason
    assert found["treatment"] == ("field_nulled" if nulled else "row_kept")
    received = {**GOOD, **{name: value for name, value in change.items() if name in GOOD}}
    assert {name: found[name] for name in GOOD} == pytest.approx(received, nan_ok=True)
    expected = {name: None if name in nulled else value for name, value in received.items()}
    assert gated.rows.select(list(GOOD)).row(0, named=True) == expected
    assert gated.rows.columns == given_rows.columns and gated.rows.height == 1


def test_clean_rows_pass_untouched() -> None:
    clean = rows({}, {"Open": None, "High": None}, {"last_close": 5.6}, {"Close": 12.000001, "High": 12.0})
    gated = gate(clean, SETTINGS)
    assert gated.rows.equals(clean) and gated.quarantine.is_empty()


def test_a_doubling_is_found_within_the_rows_and_after_a_gap() -> None:
    days = [date(2020, 1, day) for day in (6, 7, 8, 9)]
    frame = pl.DataFrame(
        {
            "Date": days,
            "Code": "A",
            "Open": 10.0,
            "High": 30.0,
            "Low": 5.0,
            "Close": [10.0, None, 20.5, 10.0],
            "Volume": 100,
            "cumulative": [1.0, 1.0, 1.0, 0.5],
            "last_close": None,
        },
        schema_overrides={"last_close": pl.Float64},
    )
    quarantine = gate(frame, SETTINGS).quarantine
    assert quarantine.select("Date", "reason").rows() == [(days[1], "close_missing"), (days[2], "return_suspicious")]


def test_reasons_are_counted_one_by_one_and_rows_without_trading_are_no_defect() -> None:
    gated = gate(rows({"Open": 0.0, "Volume": 0}, {"Volume": 0}, {"Close": None}, {"Close": 0.0}, {}), SETTINGS)
    counts = count_reasons(gated.quarantine)
    assert list(counts) == list(REASONS)
    assert {name: count for name, count in counts.items() if count} == {
        "open_not_positive": 1,
        "close_not_positive": 1,
        "volume_not_positive": 2,
        "close_missing": 1,
    }
    assert count_defective(gated.quarantine) == 2


def test_too_large_a_share_of_defects_is_refused_and_names_the_key() -> None:
    closes = gate(rows(*[{"Close": 0.0}] * 1, *[{}] * 99), SETTINGS).quarantine
    with pytest.raises(
        SourceError, match=r"1 of 100 rows \(1\.00%, the limit is 0\.50%\).*quality\.max_bad_close_share"
    ):
        refuse_bad_data(100, closes, SETTINGS)
    opens = gate(rows(*[{"Open": 0.0}] * 6, *[{}] * 94), SETTINGS).quarantine
    with pytest.raises(SourceError, match=r"6 of 100 rows.*quality\.max_quarantined_share"):
        refuse_bad_data(100, opens, SETTINGS)
    idle = gate(rows(*[{"Volume": 0}] * 50, *[{}] * 50), SETTINGS).quarantine
    refuse_bad_data(100, idle, SETTINGS)


def test_the_value_traded_is_the_reported_one_or_price_times_volume() -> None:
    frame = pl.DataFrame(
        {
            "Close": [10.0, 10.0, 0.0, 10.0, None, 10.0, 10.0, 10.0, None, 10.0, 10.0, 1e308, math.inf, 10.0],
            "Volume": [5, 5, 5, 0, 5, 5, 5, 0, 0, None, -5, 5, 5, 5],
            "TurnoverValue": [49.0, None, 7.0, 7.0, 7.0, math.nan, math.inf, None, 0.0, 0.0, None, None, None, 1e308],
        }
    )
    known = [49.0, 50.0, None, None, None, 50.0, 50.0]  # the fourth was reported of a volume of nothing
    assert frame.select(traded_value()).to_series().to_list() == [*known, 0.0, 0.0, None, None, None, None, 50.0]


price = st.one_of(st.none(), st.sampled_from([0.0, 5e-324, 1.0, 2.0, 5.0, 9.5, 1e308, math.nan, math.inf, -math.inf]))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(price, price, price, price, st.sampled_from([None, 0, 100])), min_size=1, max_size=12))
def test_what_passes_the_gate_is_consistent_and_nothing_is_lost(values: list[tuple[Any, ...]]) -> None:
    frame = rows(*[dict(zip(("Open", "High", "Low", "Close", "Volume"), each, strict=True)) for each in values])
    gated = gate(frame, SETTINGS)
    assert gated.rows.select("Date", "Code").equals(frame.select("Date", "Code"))
    clean = gated.rows
    for name in ("Open", "High", "Low", "Close"):
        assert (clean[name].drop_nulls() > 0).all() and clean[name].drop_nulls().is_finite().all()
    assert (clean["High"] >= clean["Low"]).drop_nulls().all()
    for name in ("Open", "Close"):
        assert (clean["High"] >= clean[name]).drop_nulls().all() and (clean[name] >= clean["Low"]).drop_nulls().all()
    assert (clean["Close"] * clean["Volume"]).drop_nulls().is_finite().all()
    touched = frame.filter(
        pl.Series([before != after for before, after in zip(frame.rows(), clean.rows(), strict=True)])
    )
    assert set(touched["Code"]) == set(gated.quarantine.filter(pl.col("treatment") == "field_nulled")["Code"])
