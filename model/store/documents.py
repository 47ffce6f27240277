"""Documents that lie beside the artefacts and are written by others than a stage: the tracking store's, a study's.

A stage that reads one names it among its inputs, by content: it becomes stale when the document says something else,
and two homes with the same documents make the same artefacts.
"""

import json
from typing import Any

from model.errors import StoreError
from model.store import atomic
from model.store.hashing import json_hash
from model.store.store import Store

TRIALS = "trials.json"
"""The configurations that were ever trained in this home, as the tracking store counts them."""
ABLATION = "ablation.json"
"""What the network loses without each of its parts, where such a study was made."""
ABOUT = {
    TRIALS: "the configurations of the network that were ever trained here, which the deflated Sharpe ratio counts.",
    ABLATION: "what the network loses without each of its parts, where such a study was made.",
}
"""What each document says, for people."""


def read(store: Store, name: str) -> Any | None:
    """A document (plain JSON) of the storage root, or None where there is none.

    Raises:
        StoreError: the file is no JSON.
    """
    path = store.home / name
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise StoreError(f"{path} is no JSON document ({error}). Write it again, or remove it.") from error


def content_hash(store: Store, name: str) -> str | None:
    """Hash of a document's values; None where there is none.

    Raises:
        StoreError: the file is no JSON.
    """
    document = read(store, name)
    return None if document is None else json_hash(document)


def write(store: Store, name: str, document: Any) -> None:
    """Replace a document; one that says the same is left alone."""
    if read(store, name) != document:
        atomic.write_bytes(store.home / name, (json.dumps(document, indent=1, sort_keys=True) + "\n").encode())
