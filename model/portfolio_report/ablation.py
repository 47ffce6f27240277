"""The optional study of the network's parts: ``ablation.json`` in the storage root, as the report has it."""

from typing import Any

from pydantic import ValidationError

from model.errors import StoreError
from model.portfolio_report.document_figures import Ablation
from model.store import documents
from model.store.documents import ABLATION
from model.store.store import Store


def read(store: Store) -> dict[str, Any] | None:
    """The study, checked against its schema; None where there is none.

    Raises:
        StoreError: the document is not of that form.
    """
    document = documents.read(store, ABLATION)
    if document is None:
        return None
    try:
        return Ablation.model_validate(document).model_dump(mode="json")
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the document"
        raise StoreError(
            f"{store.home / ABLATION}: {place}: {first['msg']} ({error.error_count()} problems in all). Write it as "
            "docs/reference/report.md says of Ablation, or remove it."
        ) from error
