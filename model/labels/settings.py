"""Settings of the labels."""

from typing import Literal

from pydantic import field_validator

from model.settings.base import Section


class LabelSettings(Section):
    """What is predicted: forward returns over trading days."""

    horizons: tuple[int, ...] = (1, 5, 10, 20)
    """Horizons in trading days, increasing."""
    entry: Literal["close_to_close", "next_open"] = "close_to_close"
    """Price a position starts from: the close of day t itself, or the open of day t + 1 (which can be traded). Price
    limits and suspensions of that day decide whether a portfolio can have it."""

    @field_validator("horizons")
    @classmethod
    def _increasing(cls, horizons: tuple[int, ...]) -> tuple[int, ...]:
        if not horizons or horizons[0] < 1 or list(horizons) != sorted(set(horizons)):
            raise ValueError("labels.horizons must be positive trading days, each once, in increasing order")
        return horizons
