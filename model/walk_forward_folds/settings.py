"""Settings of the walk-forward folds."""

from itertools import combinations
from math import comb
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from model.settings.base import Section
from model.walk_forward_folds.periods import period_bounds

LIVE = "live"
PREFIX = "wf_"
COMBINATORIAL_PREFIX = "cv_"
_MOST_SPLITS = 66
"""Every split trains every model anew, and Dagster's pages are made for some tens of partitions."""


class FoldSettings(Section):
    """Folds, counted in trading days."""

    unhashed: ClassVar[frozenset[str]] = frozenset(
        {"scheme", "tested_periods", "periods", "live", "max_thin_days_share"}
    )

    scheme: Literal["walk_forward", "combinatorial"] = "walk_forward"
    """Train before each test period, or on all days around every choice of tested periods (López de Prado 2018)."""
    tested_periods: int = Field(default=2, ge=1)
    """Periods that a combinatorial split tests at a time."""
    periods: tuple[str, ...] = ("2020h1", "2020h2", "2021h1", "2021h2")
    """Test windows, in order and apart: half-years (2016h1), quarters (2016q3) or years (2016)."""
    live: bool = True
    """Whether there is a fold that trains up to today and predicts the newest days."""
    train_days: int | None = Field(default=None, ge=20)
    """Trading days to train on with all labels; left out, all from the first usable one (an expanding window)."""
    min_train_days: int = Field(default=252, ge=20)
    """Fewest trading days with all labels that a fold may train on."""
    validation_days: int = Field(default=63, ge=5)
    """Trading days, cut off the end of the training side, on which training is stopped early."""
    embargo_days: int = Field(default=20, ge=0)
    """Trading days left out after the last label has resolved, on both sides of the validation days."""
    lookback_days: int = Field(default=60, ge=1)
    """Earlier days that a fold reads besides: the network's window and the graph's first window end here."""
    min_names: int = Field(default=20, ge=2)
    """Universe members that a day needs: training starts on the first such day, and a check looks at all others."""
    max_thin_days_share: float = Field(default=0.01, ge=0.0, lt=1.0)
    """Share of a fold's days that may have fewer members (an exchange outage) before the check refuses the fold."""

    @field_validator("periods", mode="before")
    @classmethod
    def _years_are_text(cls, periods: object) -> object:
        """YAML reads a bare 2016 as a number."""
        if isinstance(periods, (list, tuple)):
            return tuple(str(each) if type(each) is int else each for each in periods)
        return periods

    @field_validator("periods")
    @classmethod
    def _in_order_and_apart(cls, periods: tuple[str, ...]) -> tuple[str, ...]:
        if not periods:
            raise ValueError(
                "folds.periods must name at least one period, such as [2020h1]: the report judges tested days"
            )
        bounds = [period_bounds(period) for period in periods]
        for earlier, later, name in zip(bounds, bounds[1:], periods[1:], strict=False):
            if later[0] <= earlier[1]:
                raise ValueError(
                    f"folds.periods must be in order and must not overlap: {name!r} begins on {later[0]}, "
                    f"and the period before it ends on {earlier[1]}"
                )
        return periods

    @model_validator(mode="after")
    def _training_is_long_enough(self) -> "FoldSettings":
        if self.train_days is not None and self.train_days < self.min_train_days:
            raise ValueError(
                f"folds.train_days is {self.train_days}, less than folds.min_train_days ({self.min_train_days})"
            )
        return self

    @model_validator(mode="after")
    def _splits_are_some_tens(self) -> "FoldSettings":
        if self.scheme == "walk_forward":
            return self
        count = comb(len(self.periods), self.tested_periods)
        if self.tested_periods >= len(self.periods) or count > _MOST_SPLITS:
            raise ValueError(
                f"folds.tested_periods is {self.tested_periods} of {len(self.periods)} periods, which makes {count} "
                f"combinatorial splits; at least one period must be left to train on, and at most {_MOST_SPLITS} "
                "splits are made"
            )
        return self

    def hashed(self) -> dict[str, Any]:
        """As for every section; a combinatorial split also learns from the periods that it does not test."""
        periods = {"periods": list(self.periods)} if self.scheme == "combinatorial" else {}
        return super().hashed() | periods

    def names(self) -> tuple[str, ...]:
        """Names of the folds: ``wf_2016h1`` … or ``cv_2016h1_2017h1`` …, ``live`` last."""
        if self.scheme == "combinatorial":
            tested = combinations(self.periods, self.tested_periods)
            names = tuple(f"{COMBINATORIAL_PREFIX}{'_'.join(each)}" for each in tested)
        else:
            names = tuple(f"{PREFIX}{period}" for period in self.periods)
        return (*names, *((LIVE,) if self.live else ()))
