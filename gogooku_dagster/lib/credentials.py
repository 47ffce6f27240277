"""Secrets from the environment, read here and nowhere else.

``JQUANTS_API_KEY`` is the key of the J-Quants API (V2). It is handed to the source as an object that shows itself in
no log, event, manifest or message.
"""

import os

from gogooku_dagster.lib.progress import listener
from model.daily_quotes.sources.access import Access, Secret
from model.store.stage import Progress, silent

NAMES = ("JQUANTS_API_KEY",)
"""The variables that may hold secrets, by the names under which sources ask for them."""


SOURCE = "source"
"""Under this name a listener hears how far a fetch is."""


def source_access(progress: Progress | None = None) -> Access:
    """What a source is opened with: the secrets that are set, and ``progress`` or whoever listens in this process."""
    secrets = {name: Secret(os.environ[name]) for name in NAMES if os.environ.get(name)}
    return Access(secrets=secrets, progress=progress or _heard())


def _heard() -> Progress:
    heard = listener()
    if heard is None:
        return silent

    def show(done: int, total: int, note: str = "") -> None:
        heard.progress(SOURCE, None, done, total, note)

    return show
