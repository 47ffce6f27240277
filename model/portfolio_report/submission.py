"""Somebody else's predictions through the same evaluation as our own models.

They are held against the labels and the market of the current home; where the home has none, against the labels that
the file brings, and then there are correlations and no portfolios.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from model.errors import DataError, SettingsError
from model.portfolio_report.compare import Evaluation, evaluate
from model.portfolio_report.inputs import SUBMITTED, Inputs
from model.portfolio_report.submission_file import read_submission
from model.store.hashing import file_hash
from model.store.store import Store
from model.validation_predictions.artefact import MARKET_COLUMNS

if TYPE_CHECKING:
    from model.settings.root import Settings

LABELS = "quality_features"
_DAYS_AFTER = timedelta(days=10)
"""Calendar days read beyond the longest horizon, for holidays."""
_DAYS_BEFORE = timedelta(days=180)
"""Calendar days read before the first prediction, so that a book starts with volatilities and a covariance."""
_FEWEST_DRAWS = 20
_RANKED_ROWS = 100_000_000
"""Rows that all random rankings together may have: a large file has fewer of them, never fewer than 20."""
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Submission:
    """A file's rows, ready to be evaluated."""

    inputs: Inputs
    generated_from: dict[str, str]
    about: dict[str, Any]
    """The report's part ``submission``."""
    entry: str | None
    """Entry convention of the home's labels and market; None without a home."""


def evaluate_file(
    store: Store,
    settings: "Settings",
    path: Path,
    horizon: int | None = None,
    progress: Progress = lambda done, total, note: None,
) -> Evaluation:
    """Evaluate the predictions of a file.

    Args:
        horizon: trading days of a file without the column; ``portfolio.headline_horizon`` by default.

    Raises:
        SourceError: the file is not what it must be.
        SettingsError: a horizon that the home has no labels of, or another entry convention than its labels'.
        DataError: nothing to hold the predictions against, or nothing in common with it.
    """
    wanted = settings.portfolio.headline_horizon
    submission = prepare(store, path, horizon or wanted)
    _check_entry(store, submission.entry, settings.labels.entry)
    horizons = submission.inputs.horizons
    rows = submission.inputs.predictions.height
    portfolio = settings.portfolio.model_copy(
        update={
            "headline_horizon": min(horizons, key=lambda h: (abs(h - wanted), h)),
            "random_draws": min(settings.portfolio.random_draws, max(_FEWEST_DRAWS, _RANKED_ROWS // rows)),
            "caveat": settings.portfolio.caveat if submission.inputs.market is not None else "",
        }
    )
    evaluation = evaluate(
        submission.inputs,
        portfolio,
        entry=_entry_in_words(submission),
        seed=settings.seed,
        generated_from=submission.generated_from,
        progress=progress,
    )
    evaluation.report["submission"] = submission.about
    return evaluation


def prepare(store: Store, path: Path, horizon: int) -> Submission:
    """Read the file and hold it against the home.

    Raises:
        SourceError, SettingsError, DataError: as ``evaluate_file``.
    """
    rows = read_submission(path, horizon)
    left_out = {"missing_prediction": int(rows["prediction"].null_count())}
    about = {"file": path.name, "rows": rows.height, "labels": "file" if "label" in rows.columns else "home"}
    rows = rows.filter(pl.col("prediction").is_not_null())
    if rows.is_empty():
        raise DataError(f"Not one of the {left_out['missing_prediction']} rows of {path} has a prediction.")
    generated_from = {"file": file_hash(path)}
    manifest = store.manifest(LABELS)
    market: pl.DataFrame | None = None
    entry: str | None = None
    if manifest is not None:
        generated_from[LABELS] = manifest.content_hash
        rows, market, lost = _against_home(store, rows, path)
        left_out |= lost
        entry = manifest.extra.get("entry") or _entry_of(market)
    elif "label" not in rows.columns:
        raise DataError(
            f"{path} has no column label, and {store.root} has no labels to hold it against. Run `gogooku run` with "
            "the market that was predicted, or add the label to the file."
        )
    predictions = _as_predictions(rows if isinstance(rows["Code"].dtype, pl.Enum) else _coded(rows))
    test_dates = _test_days(predictions, market)
    inputs = Inputs(predictions, market, test_dates, _folds(predictions))
    return Submission(inputs, generated_from, {**about, "left_out": left_out}, entry)


def _against_home(store: Store, rows: pl.DataFrame, path: Path) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, int]]:
    """The rows in the home's universe with their labels, the market of their days, and how many rows were left out."""
    horizons = sorted(rows["horizon"].unique().to_list())
    own = "label" in rows.columns
    if not own:
        _check_horizons(store, horizons, path)
    first, last = _day(rows["Date"].min()), _day(rows["Date"].max())
    targets = [] if own else [f"target_{h}" for h in horizons]
    months = [month for month in store.chunks(LABELS, "labels") if f"{first:%Y-%m}" <= month <= f"{last:%Y-%m}"]
    if not months:
        raise _nothing_in_common(path, rows, store)
    end = last + timedelta(days=2 * max(horizons)) + _DAYS_AFTER
    columns = [*MARKET_COLUMNS, "InUniverse", *targets]
    home = store.read_chunks(LABELS, "labels", start=first - _DAYS_BEFORE, end=end, columns=columns)
    home = _coded(home)
    found = _joined(rows, home.select("Date", "Code", "InUniverse", *targets))
    if found.is_empty():
        raise _nothing_in_common(path, rows, store, home)
    kept = _where(found, found["InUniverse"].fill_null(False))
    lost = {"not_in_market": rows.height - found.height, "outside_universe": found.height - kept.height}
    if kept.is_empty():
        raise DataError(
            f"None of the {found.height} rows of {path} that the market has is in the universe on its day (a stock "
            "needs enough history and turnover). See the section `universe` of the settings."
        )
    if not own:
        chosen = pl.coalesce(
            pl.when(pl.col("horizon") == h).then(pl.col(name).cast(pl.Float64))
            for h, name in zip(horizons, targets, strict=True)
        )
        kept = kept.with_columns(label=chosen.fill_nan(None))
    # The chunks come in order of time, each sorted by day and code, so the market is.
    market = _where(home.select(MARKET_COLUMNS), home["Code"].is_in(kept["Code"].unique().implode()))
    return kept.drop("InUniverse", *targets), market, lost


def _joined(rows: pl.DataFrame, home: pl.DataFrame) -> pl.DataFrame:
    """The rows that the home has, in their order, with its columns; looked up by day and code as numbers.

    Args:
        home: Code is an enumeration.
    """
    codes = home["Code"].dtype
    rows = rows.with_columns(pl.col("Code").cast(codes, strict=False))
    first = home["Date"].to_physical().min()
    day = pl.col("Date").to_physical().cast(pl.Int64) - first
    key = day * _count(codes) + pl.col("Code").to_physical().cast(pl.Int64)
    known = home.select(key).to_series().to_numpy()
    place = np.full(int(known.max(initial=0)) + 1, -1)
    place[known] = np.arange(len(known))
    wanted = rows.select(key).to_series().fill_null(-1).to_numpy()
    found = np.where((wanted >= 0) & (wanted < len(place)), place[wanted.clip(0, len(place) - 1)], -1)
    there = found >= 0
    beside = home.drop("Date", "Code")
    if not (len(found) == len(known) and bool((found == np.arange(len(found))).all())):
        rows, beside = _where(rows, pl.Series(there)), beside[found[there]]
    return pl.concat([rows, beside], how="horizontal")


def _coded(rows: pl.DataFrame) -> pl.DataFrame:
    """The same with Code as an enumeration in order, so that it is compared and looked up as a number."""
    return rows.with_columns(pl.col("Code").cast(pl.Enum(rows["Code"].unique().sort())))


def _count(codes: pl.DataType) -> int:
    if not isinstance(codes, pl.Enum):
        raise TypeError(f"codes are looked up as an enumeration, not {codes}")
    return len(codes.categories)


def _where(rows: pl.DataFrame, there: pl.Series) -> pl.DataFrame:
    """The rows that are there, without a copy where all are."""
    return rows if there.all() else rows.filter(there)


def _check_horizons(store: Store, horizons: Sequence[int], path: Path) -> None:
    chunks = list(store.chunks(LABELS, "labels").values())
    known = [int(name.removeprefix("target_")) for name in chunks[-1].columns or {} if name.startswith("target_")]
    if not set(horizons) <= set(known):
        raise SettingsError(
            f"{path} predicts {list(horizons)} trading days ahead, and the labels of {store.root} are of "
            f"{sorted(known)}. Add the column horizon or the option --horizon, bring labels of your own in the column "
            "label, or compute those labels (labels.horizons)."
        )


def _entry_of(market: pl.DataFrame) -> str:
    """The entry convention of labels that were stored before their manifest named it."""
    same = market["entry_return_next"].equals(market["return_next"])
    return "close_to_close" if same else "next_open"


def _check_entry(store: Store, stored: str | None, wanted: str) -> None:
    if stored not in (None, wanted):
        raise SettingsError(
            f"labels.entry is {wanted}, and the labels and the market of {store.root} were computed with {stored}: the "
            f"figures could not be those of {wanted}. Leave labels.entry at {stored}, or compute the labels anew, "
            f"`gogooku run --until quality_features --set labels.entry={wanted}` (best in a GOGOOKU_HOME of its own)."
        )


def _entry_in_words(submission: Submission) -> str:
    if submission.about["labels"] == "home":
        return str(submission.entry)
    return "as in the file" + (f" (portfolio: {submission.entry})" if submission.entry else "")


def _nothing_in_common(path: Path, rows: pl.DataFrame, store: Store, home: pl.DataFrame | None = None) -> DataError:
    months = list(store.chunks(LABELS, "labels"))
    codes = "" if home is None else f", with codes such as {home['Code'].unique().sort().head(3).to_list()}"
    first, last = _day(rows["Date"].min()), _day(rows["Date"].max())
    return DataError(
        f"No row of {path} is in the market of {store.root}: the file has {first} to {last} and codes such as "
        f"{rows['Code'].unique().sort().head(3).to_list()}, the market has {months[0]} to {months[-1]}{codes}. Name "
        "the home of the market that was predicted (GOGOOKU_HOME), or write codes as it does."
    )


def _as_predictions(rows: pl.DataFrame) -> pl.DataFrame:
    fold = pl.col("fold") if "fold" in rows.columns else pl.lit("all").alias("fold")
    return rows.select(
        "Date",
        "Code",
        "horizon",
        pl.lit(0, pl.Int32).alias("path"),
        fold,
        "label",
        pl.col("prediction").alias(SUBMITTED),
    )


def _test_days(predictions: pl.DataFrame, market: pl.DataFrame | None) -> tuple[date, ...]:
    """Days with predictions, and the market's days between them, on which a book is held on or idle.

    Daily predictions end with their last day and with each fold's, as our own models do. Rarer ones are followed until
    the longest horizon of the last has passed.
    """
    predicted = predictions["Date"].unique().sort()
    if market is None:
        return tuple(predicted.to_list())
    calendar = market["Date"].unique().sort()
    place = np.searchsorted(calendar.to_physical().to_numpy(), predicted.to_physical().to_numpy())
    counted = np.zeros(len(calendar), dtype=np.bool_)
    if len(place) > 1 and np.median(np.diff(place)) == 1:
        spans = predictions.group_by("fold").agg(first=pl.col("Date").min(), last=pl.col("Date").max())
        for first, last in spans.select("first", "last").iter_rows():
            counted |= calendar.is_between(first, last).to_numpy()
    else:
        counted[place[0] : place[-1] + int(predictions["horizon"].max())] = True  # type: ignore[arg-type]
    return tuple(calendar.filter(pl.Series(counted)).to_list())


def _folds(predictions: pl.DataFrame) -> tuple[dict[str, Any], ...]:
    days = predictions.group_by("fold").agg(
        first=pl.col("Date").min(), last=pl.col("Date").max(), n=pl.col("Date").n_unique()
    )
    return tuple(
        {"fold": row["fold"], "test_start": str(row["first"]), "test_end": str(row["last"]), "n_test": row["n"]}
        for row in days.sort("first", "fold").iter_rows(named=True)
    )


def _day(value: object) -> date:
    if not isinstance(value, date):
        raise TypeError(f"{value!r} is no date")
    return value
