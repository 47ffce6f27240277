"""What a source may need besides its settings: a place to keep what it fetched, secrets, and a listener.

``model`` reads no environment, so whoever opens a source hands these in. Sources that need none of it (files, the
simulated market) ignore it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from model.store.stage import Progress, silent

HIDDEN = "[hidden]"


class Secret:
    """A text that shows itself nowhere: not in ``repr``, not in ``str``, not in an f-string.

    Only :meth:`reveal` gives it away; whoever calls that sends it and nothing else.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text.strip()

    def __repr__(self) -> str:
        return "Secret(hidden)"

    def __str__(self) -> str:
        return HIDDEN

    def __bool__(self) -> bool:
        return bool(self._text)

    def __reduce__(self) -> str:
        raise TypeError("A secret is not pickled: hand it to the process that needs it.")

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def redact(self, text: str) -> str:
        """``text`` with the secret, also as it stands in a URL, blotted out."""
        if not self._text:
            return text
        return text.replace(self._text, HIDDEN).replace(quote(self._text, safe=""), HIDDEN)


@dataclass(frozen=True)
class Access:
    """What a source is opened with.

    Args:
        home: the storage root; a source that keeps what it fetched does so below ``<home>/sources``.
        secrets: by the name under which the source asks for them, such as ``JQUANTS_API_KEY``.
        progress: told how far a long fetch is.
    """

    home: Path | None = None
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    progress: Progress = silent


NO_ACCESS = Access()
"""For sources that keep nothing and need no key."""
