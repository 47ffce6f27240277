"""The parts of ``report.json`` that hold figures: see ``document``."""

from datetime import date

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """One closed part of the document."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class Figure(Part):
    """A number with what it rests on."""

    value: float | None
    """The figure; null where the data cannot give it (a constant prediction, no day)."""
    n: int
    """Days that it rests on (of `hit_rate` too: days, not pairs)."""
    interval: tuple[float, float] | None
    """Lower and upper end at `config.confidence`; null where none is defined or the days make fewer than 6 blocks."""


class Drawdown(Figure):
    """The deepest fall of net wealth below an earlier peak, as a share of capital."""

    peak: date | None = None
    """Day at whose end wealth was highest before the fall (the first day where that was the start)."""
    trough: date | None = None
    """Day at whose end wealth was lowest."""
    recovered: date | None = None
    """First day back at the peak; null where it was not reached again."""


class Costs(Part):
    """What trading takes from the return of a year, as a share of capital."""

    commission: Figure
    """Commission."""
    half_spread: Figure
    """Half of the spread on each side."""
    impact: Figure
    """Market impact (square-root law)."""
    borrow: Figure
    """Stock loan for what is held short."""
    total: Figure
    """All together: gross minus net."""


class Unfilled(Part):
    """Orders that were not filled, or not wholly."""

    not_traded: int
    """The stock did not trade."""
    limit_up: int
    """Locked at the upper price limit: no buying."""
    limit_down: int
    """Locked at the lower price limit: no selling."""
    volume_cap: int
    """Beyond the volume cap."""
    lot: int
    """Less than a trading unit."""


class Cell(Part):
    """One model at one horizon. Of random rankings a figure is the mean over the draws, its interval their band."""

    blocks: float | None = None
    """Bootstrap blocks that the days with RankIC make: what its interval rests on; absent from `random`. Of predictions
    rarer than days as many make a block as fall into its days."""
    ic: Figure
    """Mean over days of the Pearson correlation of prediction and label across stocks."""
    rank_ic: Figure
    """The same of their ranks (Spearman), average ranks for ties."""
    icir: Figure
    """Mean over standard deviation of the daily RankIC; not annualised."""
    nw_t: Figure
    """t-statistic of the mean RankIC with Newey-West standard error, at least 3 (k - 1) lags, where k labels share a
    day: `horizon` many of daily predictions, fewer of rarer ones."""
    rank_ic_p: Figure
    """Two-sided p-value of `nw_t`, with the wider limits that lags in a fixed proportion to the days ask for (Kiefer
    and Vogelsang 2005)."""
    rank_ic_q: Figure
    """Smallest false-discovery rate at which this RankIC is called different from 0 (Benjamini and Hochberg 1995), over
    all models but the oracle and all horizons."""
    hit_rate: Figure
    """Share of stocks on the predicted side of the day's median."""
    sharpe: Figure
    """Annualised Sharpe ratio of net daily returns."""
    sharpe_gross: Figure
    """Annualised Sharpe ratio of daily returns before costs."""
    ann_return_net: Figure
    """Mean net daily return times `config.periods_per_year`."""
    ann_return_gross: Figure
    """The same before costs."""
    max_drawdown: Drawdown
    """The deepest drawdown of net wealth, with its dates."""
    turnover: Figure
    """Mean over days of the sum of absolute traded weights."""
    deflated_sharpe: Figure
    """Probability that the net Sharpe ratio exceeds the best of `trials.number` useless strategies."""
    probabilistic_sharpe: Figure
    """Probability that the true net Sharpe ratio is above 0."""
    minimum_track_record: Figure
    """Days after which a net Sharpe ratio like this one is told apart from 0 at `config.confidence` (one-sided); null
    where it is not positive."""
    sortino: Figure
    """Annualised mean over downside deviation of net returns."""
    calmar: Figure
    """Net return a year over the depth of the deepest drawdown."""
    gross_exposure: Figure
    """Mean sum of absolute weights held; 2 when both legs are fully invested."""
    net_exposure: Figure
    """Mean sum of weights held: long minus short."""
    ann_return_benchmark: Figure
    """Mean daily return of the benchmark (`benchmark` of the document) times `config.periods_per_year`."""
    ann_return_active: Figure
    """Net return a year above the benchmark's."""
    information_ratio: Figure
    """Annualised mean over standard deviation of the daily net return above the benchmark's."""
    capacity: Figure
    """Capital in currency units at which market impact eats half of the gross return, at the impact coefficient of
    `config.costs`, or 1 where none is charged; null where the gross return is not positive."""
    costs: Costs | None = None
    """What trading cost, by component; absent from `random`."""
    missing_returns: int | None = None
    """Held positions (sleeve, day, stock) whose return was missing and counted as 0."""
    unfilled_orders: int | None = None
    """Orders that could not be filled and stayed undone, for any reason."""
    unfilled: Unfilled | None = None
    """The same by reason."""
    unsolved_days: int | None = None
    """Days on which the optimiser found no solution and the book was left as it was."""
    draws: int | None = None
    """Random rankings drawn; of `random` only."""


class Trials(Part):
    """How many strategies were tried: what the deflated Sharpe ratio is corrected for."""

    number: int
    """`configurations` (1 where unknown) and `others`, or `at_least` if more."""
    configurations: int | None
    """Distinct configurations of the network tried in this home; null where nothing was recorded."""
    others: int
    """Models in the table beside the subject."""
    at_least: int
    """The setting `portfolio.trials`."""
    source: str
    """Where the number comes from, in words."""


class AblationRow(Part):
    """The network without one of its parts."""

    name: str
    """What was left out, in words."""
    rank_ic: Figure
    """Mean RankIC without it."""
    difference: Figure
    """The whole network minus this one, on the same days and stocks."""
    seeds: int | None = None
    """Seeds that were averaged."""


class Ablation(Part):
    """What the network loses without each of its parts."""

    horizon: int
    """Horizon in trading days."""
    rows: list[AblationRow]
    """In the order shown."""
    note: str = ""
    """How it was made, in words."""


class Difference(Part):
    """The subject minus another model, on the same days and stocks."""

    rank_ic: Figure
    """Difference of mean RankIC, resampled in pairs."""
    nw_t: Figure
    """t-statistic of the daily difference."""
    nw_p: Figure
    """Its two-sided p-value."""
    sharpe: Figure
    """Difference of net Sharpe ratios, resampled in pairs."""


class PathFigures(Part):
    """One model on one backtest path."""

    path: int
    """Number of the path, from 0."""
    rank_ic: Figure
    """Mean RankIC."""
    sharpe: Figure
    """Net Sharpe ratio."""


class Decile(Figure):
    """Mean label of a tenth of the day's stocks, above the mean of all."""

    decile: int
    """1 lowest predictions … 10 highest."""


class Lag(Figure):
    """A figure at a distance in trading days."""

    lag: int
    """Trading days."""


class Signal(Part):
    """How long a signal lasts."""

    ic_decay: list[Lag] | None
    """RankIC of a day's predictions with the one-day return that ends `lag` days later; null without a market."""
    autocorrelation: list[Lag]
    """Rank correlation of a day's predictions with those `lag` prediction days before."""


class Sector(Part):
    """Mean weights in one sector over the days on which the book holds anything."""

    sector: str
    """Name of the sector; `unknown` for stocks without one."""
    long: float
    """Mean long weight, as a share of capital."""
    short: float
    """Mean short weight, negative."""
    net: float
    """Their sum."""
    n: int
    """Days on which the book holds anything."""
    interval: tuple[float, float] | None
    """Interval of `net`."""


class Size(Part):
    """Position of a leg among the day's ranked names by median traded value of 20 days: 0 smallest, 1 largest."""

    long: Figure
    """Weighted mean position of the long leg."""
    short: Figure
    """Weighted mean position of the short leg; its value is null in a book that holds none."""
    difference: Figure
    """Long minus short; of a book with one side, minus the middle of the ranked names (0.5)."""


class ExposureAt(Part):
    """Exposures over the last 60 days on which the book held anything, seen from the end of a calendar month."""

    date: date
    """The last of the 60 days."""
    market_beta: float | None
    """As `market_beta`; null where the market did not move."""
    size: float | None
    """As `size.difference`; null where no traded value is known."""
    net: float | None
    """Mean sum of weights."""
    n: dict[str, int]
    """Days that `market_beta`, `size` and `net` rest on."""
    interval: dict[str, tuple[float, float] | None]
    """Their intervals."""
    sectors: dict[str, float]
    """Mean net weight by sector, of those held on any of the 60 days."""


class Exposures(Part):
    """What the long-short book holds besides its ranking."""

    market_beta: Figure
    """Slope of the book's return on the mean return of the day's ranked names; its interval resamples days in pairs."""
    size: Size | None
    """Size of both legs; null where no traded value is known."""
    sectors: list[Sector]
    """Sectors by absolute net weight, largest first; empty where no sector is known."""
    net: Figure
    """Mean sum of weights: long minus short."""
    over_time: list[ExposureAt]
    """One row a calendar month, from the first that ends 60 held days or more after the start."""
