"""The trading days that the source has, each with the hash of its rows, as they were last looked up.

The look-up is kept beside the artefacts (``source_index.json``), so that a source whose files have not changed
is not parsed again, and so that stages below ``daily_quotes`` need no access to the source.
"""

import json
from dataclasses import replace
from datetime import date

from model.daily_quotes.sources.access import NO_ACCESS, Access
from model.daily_quotes.sources.base import SourceIndex
from model.daily_quotes.sources.source import open_source
from model.settings.root import Settings
from model.store import atomic
from model.store.store import Store

NAME = "source_index.json"


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
        document = {
            "source": settings.hash_of("source"),
            "index": index.to_json(),
        }
        atomic.write_bytes(store.home / NAME, (json.dumps(document, indent=0) + "\n").encode())
    return dict(index.days)


def known_days(store: Store) -> dict[date, str]:
    """The days of the last look-up, without asking the source; empty where there was none."""
    index = _read(store, None)
    return {} if index is None else dict(index.days)


def _read(store: Store, settings: Settings | None) -> SourceIndex | None:
    """The remembered index; only if it was made with the same source settings, where settings are given."""
    try:
        document = json.loads((store.home / NAME).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    if settings is not None and document["source"] != settings.hash_of("source"):
        return None
    return SourceIndex.from_json(document["index"])
