"""From settings to a source: the one door to daily bars."""

from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from model.daily_quotes.settings import FilesSource
from model.daily_quotes.sources.access import NO_ACCESS, Access
from model.daily_quotes.sources.base import Source, SourceIndex
from model.daily_quotes.sources.files import FilesOfBars
from model.daily_quotes.sources.jquants.settings import JQuantsSource
from model.daily_quotes.sources.simulated.source import SimulatedMarket

if TYPE_CHECKING:
    from model.settings.root import Settings


def open_source(
    settings: "Settings",
    cached: SourceIndex | None = None,
    *,
    access: Access = NO_ACCESS,
    today: date | None = None,
    config_dir: Path | None = None,
) -> Source:
    """The source that the settings name; nothing is read or simulated until it is asked.

    Args:
        settings: all settings; ``source`` and ``calendar`` are used.
        cached: an index kept from an earlier run; it is used if its fingerprint still holds.
        access: the storage root, secrets and a listener, for a source that fetches and keeps.
        today: no row of a file may be dated after this day; the exchange's present date by default.
        config_dir: the folder with ``holidays/``; the packaged one by default.
    """
    source, calendar = settings.source, settings.calendar
    now = today or datetime.now(ZoneInfo(calendar.timezone)).date()
    if isinstance(source, JQuantsSource):
        from model.daily_quotes.sources.jquants.source import JQuantsDays

        return JQuantsDays(source, calendar, now, access, config_dir)
    if isinstance(source, FilesSource):
        return FilesOfBars(
            cached,
            settings=source,
            calendar=calendar,
            today=now,
            config_dir=config_dir,
            min_names=settings.quality.min_names,
            max_bad_close_share=settings.quality.max_bad_close_share,
        )
    return SimulatedMarket(cached, settings=source, calendar=calendar, config_dir=config_dir)
