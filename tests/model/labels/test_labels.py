"""Labels by hand, for both entry conventions."""

from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest

from model.errors import DataError
from model.labels.labels import labels, reach
from model.labels.settings import LabelSettings

DAYS = [date(2021, 3, 1) + timedelta(days=offset) for offset in (0, 1, 2, 3, 4, 7, 8)]
CLOSE = LabelSettings(horizons=(1, 3))
OPEN = LabelSettings(horizons=(1, 3), entry="next_open")


def panel(changes: dict[tuple[int, str], dict[str, Any] | None] | None = None) -> pl.DataFrame:
    """Codes A (closes 10, 11, …; opens a tenth below) and B over seven trading days; ``None`` removes a row."""
    rows = []
    for index, day in enumerate(DAYS):
        for code, base in (("A", 10.0), ("B", 20.0)):
            change = (changes or {}).get((index, code), {})
            if change is None:
                continue
            row: dict[str, Any] = {
                "Date": day,
                "Code": code,
                "AdjOpen": base + index - 0.1,
                "Close": base + index,
                "AdjClose": base + index,
                "TurnoverValue": 100.0 * (index + 1),
                "Tradable": True,
                "LimitUp": False,
                "LimitDown": False,
                "Sector": "S",
                "InUniverse": code == "A",
            }
            rows.append(row | change)
    return pl.DataFrame(rows)


def of(frame: pl.DataFrame, code: str, column: str) -> list[Any]:
    return frame.filter(pl.col("Code") == code)[column].to_list()


def test_close_to_close_runs_from_the_signals_own_close() -> None:
    table = labels(panel(), CLOSE, DAYS[0], DAYS[-1])
    assert of(table, "A", "target_1")[0] == 11 / 10 - 1
    assert of(table, "A", "target_3")[:4] == [13 / 10 - 1, 14 / 11 - 1, 15 / 12 - 1, 16 / 13 - 1]
    assert of(table, "A", "target_3")[4:] == [None] * 3
    assert of(table, "A", "resolved_3") == [*DAYS[3:], None, None, None]
    assert of(table, "A", "entry_return_next") == of(table, "A", "return_next") == of(table, "A", "target_1")


def test_next_open_runs_from_the_first_price_that_can_be_traded() -> None:
    table = labels(panel(), OPEN, DAYS[0], DAYS[-1])
    assert of(table, "A", "target_1")[0] == 11 / 10.9 - 1
    assert of(table, "A", "target_3")[0] == 13 / 10.9 - 1
    assert of(table, "A", "entry_return_next")[0] == 11 / 10.9 - 1
    assert of(table, "A", "return_next")[0] == 11 / 10 - 1


def test_a_label_is_null_without_a_tradable_price_at_either_end() -> None:
    frame = panel({(3, "A"): {"Tradable": False}, (5, "A"): {"AdjClose": None}, (4, "B"): None})
    by_close = labels(frame, CLOSE, DAYS[0], DAYS[-1])
    assert [value is None for value in of(by_close, "A", "target_1")] == [False, False, True, True, True, True, True]
    assert [value is None for value in of(by_close, "A", "target_3")] == [True, False, True, True, True, True, True]
    assert [value is None for value in of(by_close, "B", "target_3")] == [False, True, False, False, True, True]
    by_open = labels(frame, OPEN, DAYS[0], DAYS[-1])
    assert of(by_open, "A", "target_3")[2] is None
    assert of(by_open, "A", "target_3")[3] == 16 / 13.9 - 1


@pytest.mark.parametrize("settings", [CLOSE, OPEN])
def test_a_return_that_is_too_large_to_be_a_number_is_null(settings: LabelSettings) -> None:
    frame = panel({(1, "A"): {"AdjClose": 5e-324, "AdjOpen": 5e-324}, (4, "A"): {"AdjClose": 1e308, "AdjOpen": 1e308}})
    table = labels(frame, settings, DAYS[0], DAYS[-1])
    for name in ("target_1", "target_3", "return_next", "entry_return_next", "price", "close", "turnover_20"):
        assert table[name].drop_nulls().is_finite().all(), name
    assert of(table, "A", "return_next")[1] is None
    assert of(table, "A", "target_3")[0 if settings is OPEN else 1] is None


def test_a_label_counts_trading_days_even_where_the_code_has_no_row() -> None:
    table = labels(panel({(1, "B"): None, (2, "B"): None}), CLOSE, DAYS[0], DAYS[-1])
    assert of(table, "B", "target_3")[0] == 23 / 20 - 1
    assert of(table, "B", "resolved_3")[0] == DAYS[3]
    assert of(table, "B", "target_1")[0] is None


def test_a_name_locked_at_its_limit_cannot_be_traded_on_one_side() -> None:
    changes: dict[tuple[int, str], dict[str, Any] | None] = {
        (1, "A"): {"LimitUp": True},
        (2, "A"): {"LimitDown": True},
        (3, "A"): {"Tradable": False},
        (4, "A"): None,
    }
    at_open = labels(panel(changes), OPEN, DAYS[0], DAYS[-1])
    assert of(at_open, "A", "can_buy_next") == [False, True, False, False, True, None]
    assert of(at_open, "A", "can_sell_next") == [True, False, False, False, True, None]
    at_close = labels(panel(changes), CLOSE, DAYS[0], DAYS[-1])  # filled a day earlier, at the close of t itself
    assert of(at_close, "A", "can_buy_next") == [True, False, True, False, True, None]
    assert of(at_close, "A", "can_sell_next") == [True, True, False, False, True, None]


def test_a_close_at_the_limit_enters_the_labels_all_the_same() -> None:
    locked = panel({(1, "A"): {"LimitUp": True}, (2, "A"): {"LimitDown": True}})
    for settings in (CLOSE, OPEN):
        free, found = (labels(frame, settings, DAYS[0], DAYS[-1]) for frame in (panel(), locked))
        flags = ("can_buy_next", "can_sell_next")
        assert found.drop(flags).equals(free.drop(flags)) and not found.equals(free)


def test_turnover_is_the_median_of_the_past_and_the_universe_is_kept() -> None:
    frame = panel({(2, "A"): {"TurnoverValue": None}})
    table = labels(frame, CLOSE, DAYS[0], DAYS[-1])
    assert of(table, "A", "turnover_20") == [100.0, 150.0, 150.0, 200.0, 300.0, 400.0, 450.0]
    assert set(of(table, "A", "InUniverse")) == {True} and set(of(table, "B", "InUniverse")) == {False}


def test_a_row_carries_its_price_as_traded_and_adjusted_unless_nobody_traded() -> None:
    frame = panel({(1, "A"): {"Close": 30.0}, (3, "A"): {"Tradable": False}})
    table = labels(frame, CLOSE, DAYS[0], DAYS[-1])
    assert of(table, "A", "price")[:4] == [10.0, 30.0, 12.0, None]
    assert of(table, "A", "close")[:4] == [10.0, 11.0, 12.0, None]


def test_turnover_forgets_what_is_older_than_twenty_days() -> None:
    days = [date(2021, 1, 1) + timedelta(days=offset) for offset in range(30)]
    one = panel().filter(pl.col("Code") == "A").head(1)
    frame = pl.concat([one.with_columns(Date=pl.lit(day), TurnoverValue=float(n)) for n, day in enumerate(days)])
    table = labels(frame, CLOSE, days[29], days[29])
    assert table["turnover_20"].to_list() == [sum((19, 20)) / 2]


def test_part_of_the_panel_gives_the_same_labels_as_the_whole() -> None:
    whole = labels(panel(), CLOSE, DAYS[0], DAYS[-1]).filter(pl.col("Date").is_between(DAYS[1], DAYS[3]))
    enough = panel().filter(pl.col("Date") <= DAYS[3 + reach(CLOSE)])
    assert labels(enough, CLOSE, DAYS[1], DAYS[3]).equals(whole)
    shorter = labels(panel().filter(pl.col("Date") <= DAYS[4]), CLOSE, DAYS[1], DAYS[3])
    assert shorter["target_1"].equals(whole["target_1"]) and not shorter["target_3"].equals(whole["target_3"])


def test_horizons_must_increase() -> None:
    for bad in ((), (0, 1), (5, 1), (1, 1)):
        with pytest.raises(ValueError, match="horizons"):
            LabelSettings(horizons=bad)


def test_a_panel_without_tradability_is_refused() -> None:
    with pytest.raises(DataError, match="Tradable"):
        labels(panel().drop("Tradable"), CLOSE, DAYS[0], DAYS[1])
