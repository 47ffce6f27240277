"""Settings of the correlation graph."""

from pydantic import Field, model_validator

from model.settings.base import Section


class GraphSettings(Section):
    """Which names are neighbours: those whose past returns moved together, or against each other."""

    window_days: int = Field(default=60, ge=5)
    """Most trading days of past returns that a graph is made from, as far as the fold has them, its own included."""
    min_joint: int = Field(default=40, ge=3)
    """Days on which both names must have a return; pairs with fewer are no neighbours."""
    threshold: float = Field(default=0.3, ge=0.0, lt=1.0)
    """Smallest absolute correlation, after shrinkage, of two neighbours."""
    min_t_value: float = Field(default=0.0, ge=0.0)
    """The same in standard errors: 1 / √n of n days that count alike. What two years can tell from chance, a month
    cannot."""
    max_neighbours: int = Field(default=10, ge=1)
    """Most neighbours of a name, counted after the graph was made symmetric."""
    ewm_halflife: float | None = Field(default=20.0, gt=0.0)
    """Trading days after which a return counts half; left out (null), all days of the window count alike."""
    shrinkage: float = Field(default=0.05, ge=0.0, lt=1.0)
    """Share by which correlations are drawn towards zero."""
    denoise: bool = False
    """Whether the correlations' noise is taken out first: eigenvalues that chance alone would give count as noise
    (Marchenko and Pastur). Groups that last come out whole; it costs an eigendecomposition of all names a graph."""
    lead_window_days: int = Field(default=500, ge=20)
    """Trading days of past returns, as far as the fold has them, from which it is estimated which names lead."""
    rebalance_days: int = Field(default=20, ge=1)
    """Trading days from one graph to the next, counted from the fold's first train day."""
    residualise: bool = True
    """Whether the equal-weight return of the members, times each name's beta, is subtracted first, so that the market
    is not an edge."""

    @model_validator(mode="after")
    def _joint_days_fit(self) -> "GraphSettings":
        if self.min_joint > self.window_days:
            raise ValueError(
                f"graph.min_joint is {self.min_joint} days, more than graph.window_days ({self.window_days})"
            )
        return self
