"""Settings of the baselines."""

from typing import ClassVar

from pydantic import Field, field_validator

from model.settings.base import Section


class BaselineSettings(Section):
    """LightGBM (as regression and as ranking) and ridge, one model a horizon."""

    unhashed: ClassVar[frozenset[str]] = frozenset({"leak_alarm_rank_ic"})

    n_estimators: int = Field(default=300, ge=1)
    """Most trees of a LightGBM model; fewer where early stopping ends it."""
    early_stopping_rounds: int = Field(default=30, ge=1)
    """Trees without a better squared error on the validation dates after which LightGBM stops."""
    learning_rate: float = Field(default=0.03, gt=0.0, le=1.0)
    """Weight of each tree."""
    num_leaves: int = Field(default=15, ge=2)
    """Leaves of a tree."""
    min_data_in_leaf: int = Field(default=200, ge=1)
    """Rows that a leaf must hold."""
    feature_fraction: float = Field(default=0.3, gt=0.0, le=1.0)
    """Share of the features that each tree sees."""
    bagging_fraction: float = Field(default=0.8, gt=0.0, le=1.0)
    """Share of the rows that each tree sees."""
    bagging_freq: int = Field(default=1, ge=0)
    """Trees after which the rows are drawn anew; 0 turns bagging off."""
    lambda_l2: float = Field(default=10.0, ge=0.0)
    """L2 penalty on the values of leaves."""
    max_bin: int = Field(default=63, ge=2, le=255)
    """Most bins of a feature's histogram."""
    rank_truncation: int = Field(default=100, ge=1)
    """Names at the head of a day's list whose pairs the ranking learns from; more costs time."""
    contribution_rows: int = Field(default=2000, ge=1)
    """Rows of the validation dates, evenly spread, whose SHAP values make the importances."""
    train_day_stride: int = Field(default=1, ge=1)
    """Every so many train dates are used (1 takes all): memory and time for small machines."""
    target_clip: float = Field(default=5.0, gt=0.0)
    """Where targets, demeaned by day and divided by their scale, are clipped in training."""
    ridge_alphas: tuple[float, ...] = (0.01, 0.1, 1.0)
    """Ridge penalties to choose from on the validation dates, relative to the mean square of a z-scored feature."""
    network_feature: bool = False
    """Give the network LightGBM's predictions as features, one a horizon: of every day by a model that was fitted on
    train days whose labels had resolved before it (never in sample)."""
    network_feature_blocks: int = Field(default=5, ge=2)
    """Blocks of train days after each of which those models are fitted anew; the first block has no such feature."""
    leak_alarm_rank_ic: float = Field(default=0.2, gt=0.0, le=1.0)
    """Absolute mean RankIC from which the leak alarm refuses the fold, where so few names and days do not give as much
    by luck (the simulated market is exempt)."""

    @field_validator("ridge_alphas")
    @classmethod
    def _positive(cls, alphas: tuple[float, ...]) -> tuple[float, ...]:
        if not alphas or min(alphas) <= 0.0:
            raise ValueError("baseline.ridge_alphas must name at least one penalty, all above 0")
        return alphas
