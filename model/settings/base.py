"""The base of every settings section."""

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """One closed group of settings: unknown keys are refused, values never change after loading.

    The string under each field is its documentation (the settings reference is generated from it).
    ``unhashed`` names the keys that cannot change a stage's result (where a file lies, how many threads):
    they do not enter the hash that decides whether an artefact is stale.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, validate_default=True, allow_inf_nan=False
    )

    unhashed: ClassVar[frozenset[str]] = frozenset()

    def hashed(self) -> dict[str, Any]:
        """The section as plain JSON values, without the keys that cannot change a result."""
        return self.model_dump(mode="json", exclude=set(self.unhashed))
