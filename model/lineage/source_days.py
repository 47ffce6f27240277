"""The trading days that the source has, each with the hash of its rows, as they were last looked up.

The look-up is kept beside the artefacts (``source_days``), so that a source whose files have not changed is not parsed
again, and so that stages below ``daily_quotes`` need no access to the source. Each source has a file of its own: a
command that only looks at another one leaves alone what a run at work goes by.
"""

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

from model.daily_quotes.sources.access import NO_ACCESS, Access
from model.daily_quotes.sources.base import SourceIndex
from model.daily_quotes.sources.source import open_source
from model.settings.root import Settings
from model.store import atomic
from model.store.store import Store

FOLDER = "source_days"


def look_up(store: Store, settings: Settings, today: date, access: Access = NO_ACCESS) -> dict[date, str]:
    """Ask the source for its days now, and remember the answer.

    Args:
        today: the date that no row may lie after.
        access: secrets and a listener for a source that fetches; it keeps what it fetched below the store's root.

    Raises:
        SourceError: the source cannot be read or is not usable.
    """
    cached = _read(store, settings)
    index = open_source(settings, cached=cached, access=replace(access, home=store.home), today=today).index()
    if index != cached:
        path = _path(store, settings)
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_bytes(path, (json.dumps(index.to_json(), indent=0) + "\n").encode())
    return dict(index.days)


def known_days(store: Store, settings: Settings) -> dict[date, str]:
    """The days of the last look-up, without asking the source; empty where there was none."""
    index = _read(store, settings)
    return {} if index is None else dict(index.days)


def _read(store: Store, settings: Settings) -> SourceIndex | None:
    """The remembered index of the source that these settings name.

    A damaged file (a full disk, a copy that was cut short) is no memory: the source is asked again.
    """
    try:
        return SourceIndex.from_json(json.loads(_path(store, settings).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _path(store: Store, settings: Settings) -> Path:
    return store.home / FOLDER / f"{settings.hash_of('source')}.json"
