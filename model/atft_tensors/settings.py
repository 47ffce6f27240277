"""Settings of the fold tensors."""

from typing import Literal

from pydantic import Field, field_validator

from model.settings.base import Section


class TensorSettings(Section):
    """What the network reads of each stock and day."""

    lookback: int = Field(default=20, ge=3, le=512)
    """Days in a window, the day of the prediction included."""
    features: Literal["atft13", "all"] | tuple[str, ...] = "atft13"
    """The 13 features of the ATFT selection, all of the catalogue, or a list of names."""

    @field_validator("features")
    @classmethod
    def _named_once(cls, features: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if not isinstance(features, str) and (not features or len(set(features)) != len(features)):
            raise ValueError("tensors.features must be atft13, all, or a list of feature names, each once")
        return features
