"""The gate and the calendar on the shared NASDAQ bars, whose defects are counted."""

from datetime import date

import pytest

from model.daily_quotes.calendar import trading_days
from model.daily_quotes.settings import CalendarSettings, FilesSource
from model.daily_quotes.sources.files import FilesOfBars
from model.raw_dataset.adjustment import empty_state, with_cumulative
from model.raw_dataset.gate import count_reasons, gate, refuse_bad_data
from model.raw_dataset.settings import QualitySettings
from tests.model.raw_dataset.nasdaq import shared_file

US = CalendarSettings(exchange="us", timezone="America/New_York", close="16:00", publication="18:00")


@pytest.mark.shared
def test_the_defects_of_the_nasdaq_bars_are_counted_exactly() -> None:
    source = FilesOfBars(settings=FilesSource(path=str(shared_file())), calendar=US, today=date(2026, 1, 1))
    batch = source.load()
    assert batch.quotes.height == 3_472_702
    assert batch.days == trading_days(US, date(2012, 1, 3), date(2017, 12, 11))
    assert {"ON", "TRUE"} <= set(batch.quotes["Code"].unique())
    quarantine = gate(with_cumulative(batch.quotes, empty_state()), QualitySettings()).quarantine
    counts = count_reasons(quarantine)
    assert counts["open_not_positive"] == 39_883
    assert counts["close_not_positive"] == 42
    assert counts["volume_not_positive"] == 42_442
    assert 300 < counts["return_suspicious"] < 1000
    refuse_bad_data(batch.quotes.height, quarantine, QualitySettings())
