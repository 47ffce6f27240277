"""The schema of ``report.json``: every key with its type and meaning.

The documentation of a key is the string under it; ``docs/reference/report.md`` and ``report.schema.json`` are written
from here. Nothing that computes a figure reads this module.
"""

from datetime import date
from typing import Literal

from pydantic import Field

from model.portfolio_report.document_figures import (
    Ablation,
    Cell,
    Decile,
    Difference,
    Exposures,
    Figure,
    Part,
    PathFigures,
    Signal,
    Trials,
)
from model.portfolio_report.settings import PortfolioSettings


class Stretch(Part):
    """Consecutive trading days of one role."""

    role: Literal["lookback", "train", "purge", "validation", "embargo", "test", "resolution"]
    """What the days are for."""
    start: date
    """First day."""
    end: date
    """Last day."""
    days: int
    """Trading days."""


class FoldFigures(Part):
    """A fold with the RankIC of every model on its own test days. Of submitted folds only the test days are known."""

    fold: str
    """Name of the fold."""
    test_start: date
    """First test day."""
    test_end: date
    """Last test day."""
    n_test: int
    """Test days."""
    rank_ic: dict[str, Figure]
    """Mean RankIC by model."""
    train_start: date | None = None
    """First train day."""
    train_end: date | None = None
    """Last train day."""
    validation_start: date | None = None
    """First validation day."""
    validation_end: date | None = None
    """Last validation day."""
    window_start: date | None = None
    """First day of which anything is read."""
    window_end: date | None = None
    """Last day of which anything is read."""
    n_lookback: int | None = None
    """Days that only feed windows."""
    n_train: int | None = None
    """Train days."""
    n_validation: int | None = None
    """Validation days."""
    n_resolution: int | None = None
    """Days after the test on which its labels resolve."""
    gap_days: int | None = None
    """Trading days between validation and test."""
    purge_days: int | None = None
    """Trading days until the longest label resolves."""
    embargo_days: int | None = None
    """Trading days left out after that."""
    stretches: list[Stretch] | None = None
    """The window as stretches of one role, in order."""


class Year(Part):
    """One calendar year."""

    year: int
    """The year."""
    n: int
    """Days with a portfolio."""
    return_net: float | None
    """Sum of net daily returns."""
    sharpe: float | None
    """Annualised net Sharpe ratio of the year."""
    max_drawdown: float | None
    """Deepest drawdown within the year."""
    rank_ic: float | None
    """Mean RankIC."""


class Month(Part):
    """One calendar month."""

    year: int
    """The year."""
    month: int
    """1 … 12."""
    n: int
    """Days with a portfolio."""
    return_gross: float | None
    """Sum of daily returns before costs."""
    return_net: float | None
    """Sum of net daily returns."""
    cumulative_gross: float | None
    """Sum of daily returns before costs from the first day to the end of the month."""
    cumulative_net: float | None
    """The same net of costs."""
    rank_ic: float | None
    """Mean RankIC."""


class SelfTest(Part):
    """Scores of known worth through the same evaluation."""

    rank_ic: Figure
    """What they scored."""
    passed: bool
    """Whether that is what theory says."""
    sharpe_gross: Figure | None = None
    """Gross Sharpe ratio, of a long-only book above its benchmark (`perfect` and `inverted`); its value is null without
    a market."""
    stored_rank_ic: Figure | None = None
    """RankIC of the baseline stage's own random scores (`random` only)."""


class SelfTests(Part):
    """The evaluator's self-tests."""

    horizon: int
    """Horizon that they were run at."""
    perfect: SelfTest
    """The labels as predictions: RankIC exactly 1."""
    inverted: SelfTest
    """The labels negated: RankIC exactly -1."""
    random: SelfTest
    """Random rankings: 0 inside their band."""


class DataProcessed(Part):
    """Counts."""

    samples: int
    """Rows (stock, day, horizon) that every model predicted."""
    features: int
    """Features that the baselines read."""
    stocks: int
    """Stocks that were ranked."""


class PipelineSummary(Part):
    """What went through the pipeline."""

    total_duration_seconds: None
    """Always null: seconds are kept in each artefact's manifest, for the same inputs must give the same document."""
    memory_usage_gb: None
    """Always null, likewise."""
    data_processed: DataProcessed
    """Samples, features, stocks."""


class SafetyValidation(Part):
    """Whether the split is safe."""

    walk_forward_splits: int
    """Folds."""
    embargo_days: int
    """Smallest embargo of any fold, in trading days."""
    overlaps_detected: int
    """Train and validation days, over all folds, whose longest label shares a day with that of a test day."""
    normalization_warnings: int
    """Features, over all folds, that no train day gave bounds for."""


class HorizonPerformance(Part):
    """LightGBM at one horizon."""

    mean_ic: float | None
    """Mean daily IC."""
    mean_rank_ic: float | None
    """Mean daily RankIC."""


class GraphStructure(Part):
    """A mean graph of the folds."""

    nodes: float
    """Nodes."""
    edges: float
    """Undirected edges."""


class FinalReport(Part):
    """The safe training pipeline's summary under its own names. Its `performance_achieved` held words and is gone."""

    pipeline_summary: PipelineSummary
    """What went through."""
    safety_validation: SafetyValidation
    """Folds and what lies between their parts."""
    model_performance: dict[str, HorizonPerformance]
    """LightGBM by horizon: `1d`, `5d`, …"""
    graph_structure: GraphStructure
    """The correlation graph."""


class Submission(Part):
    """The file that `gogooku evaluate` read."""

    file: str
    """Its name without folders."""
    rows: int
    """Rows in it."""
    labels: Literal["file", "home"]
    """Where the labels came from."""
    left_out: dict[str, int]
    """Rows that have no part, by reason: `missing_prediction`, `not_in_market`, `outside_universe`."""


class Config(PortfolioSettings):
    """The settings of the section `portfolio` and what else the figures depend on."""

    entry: str
    """Entry convention of the labels, at which the portfolios are filled; both where a file brings its own labels."""
    horizons: list[int]
    """Horizons in trading days."""
    seed: int
    """Seed of the bootstrap and of the random rankings."""
    capital: str
    """What becomes of gains, in words."""
    turnover: str
    """What turnover counts, in words."""
    bootstrap: str
    """Which bootstrap, in words."""


class Coverage(Part):
    """What was evaluated."""

    rows: dict[str, int]
    """Prediction rows by model, and `common`: those that every model has, on which all are judged."""
    portfolio_days: int
    """Days with a portfolio; 0 without a market."""
    first_date: date
    """First test day."""
    last_date: date
    """Last test day."""
    names: int
    """Stocks."""


class Benchmark(Part):
    """What the books are judged against."""

    name: str
    """`cash`, `equal-weight universe` or `inverse-volatility universe`."""
    weighting: str
    """Weights inside the book and inside the benchmark."""
    why: str
    """In words."""


class Gate(Part):
    """The network must beat LightGBM."""

    against: str
    """Key of the model to beat."""
    horizon: int
    """The headline horizon."""
    difference: Figure
    """Difference of mean RankIC on the same days and stocks, resampled in pairs."""
    passed: bool
    """The whole interval lies above 0."""
    sentence: str
    """The verdict in words; where the days are too few for an interval, that."""


class Headline(Part):
    """The few figures that a reader needs first."""

    model: str
    """Key of the model."""
    label: str
    """Its name in words."""
    horizon: int
    """The headline horizon."""
    n_days: int
    """Days with RankIC."""
    n_blocks: float | None
    """Bootstrap blocks that they make; null for `random`."""
    rank_ic: Figure
    """Mean RankIC."""
    sharpe: Figure
    """Net Sharpe ratio."""
    sharpe_gross: Figure
    """Gross Sharpe ratio."""
    turnover: Figure
    """Mean turnover a day."""


class Report(Part):
    """The whole document. Figures without a horizon in their key are at `config.headline_horizon`; several backtest
    paths are averaged day by day."""

    schema_version: Literal[2]
    """Raised when a key goes away or changes its meaning; new keys alone do not raise it."""
    subject: str
    """The model that the report is about: `atft_gat_fan`, or `submitted`."""
    generated_from: dict[str, str]
    """Content hash of everything read, by artefact (of `gogooku evaluate`: `file` and what it was held against)."""
    config: Config
    """Settings."""
    coverage: Coverage
    """Rows, days and names."""
    gate: Gate | None
    """Whether the network beats LightGBM; null for submitted predictions."""
    benchmark: Benchmark | None
    """What the books are judged against; null without a market."""
    headline: list[Headline]
    """One row a model, in the order shown."""
    trials: Trials
    """How many strategies were tried."""
    models: dict[str, dict[str, Cell]]
    """By model and horizon (as text)."""
    differences: dict[str, dict[str, Difference]]
    """Subject minus baseline, by baseline and horizon."""
    reachable: dict[str, dict[str, Figure]] | None
    """RankIC as a share of the reachable oracle's, by model and horizon; null where there is no oracle."""
    paths: dict[str, list[PathFigures]] | None
    """By model, the figures of each backtest path; null where there is one."""
    deciles: dict[str, list[Decile]]
    """By model, ten groups by prediction."""
    decile_horizons: dict[str, dict[str, list[Decile]]]
    """The same by model and horizon (as text), of the subject and LightGBM."""
    signal: dict[str, Signal]
    """Decay and persistence of the subject and LightGBM."""
    exposures: dict[str, Exposures] | None
    """Exposures of the books of the subject and LightGBM; null without a market."""
    folds: list[FoldFigures]
    """Folds in order of time."""
    yearly: dict[str, list[Year]]
    """By model, calendar years."""
    monthly: dict[str, list[Month]]
    """By model, calendar months."""
    self_tests: SelfTests
    """Does the evaluator say what it must?"""
    ablation: Ablation | None
    """A study of the network's parts (`ablation.json` in the home); null where none was made."""
    final_report: FinalReport | None
    """Data, folds, baseline and graph in the words of the safe training pipeline; null for submitted predictions."""
    submission: Submission | None = Field(default=None)
    """The file; absent from the pipeline's own report."""
