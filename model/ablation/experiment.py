"""Run the variants: build each market, train every variant on every fold, keep what they predicted out of fold.

Each simulated market has a store of its own, in which the same stages as ever are brought up to date; other data are
read where `gogooku run` has put them. Each training leaves its daily rank correlations in a file named by the hash of
all that decides them, so an ablation that was stopped goes on where it was and one that is repeated trains nothing.

On data that were not simulated the days it judges by are those of the report, and whoever goes on with the best network
has chosen it among all of them: the configurations compared are trials that the deflated Sharpe ratio counts.
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import polars as pl

from model.ablation.markets import OWN, Market, market_settings
from model.ablation.stores import WITH_BASELINES, Progress, ready_store, require_up_to_date
from model.ablation.variants import VARIANTS, Variant
from model.atft_tensors.panel import FoldPanel, load_panel
from model.atft_tensors.stage import ASSET as TENSORS
from model.atft_tensors.stage import shard_directory
from model.lineage.code_version import code_version
from model.metrics.ic import daily_ic
from model.portfolio_report import trials
from model.settings.root import Settings
from model.store import atomic
from model.store.hashing import merkle_root
from model.store.store import Store
from model.trained_model.checkpoint import training_key
from model.trained_model.ensemble import Member, predict_ensemble, train_ensemble
from model.trained_model.results import Callbacks, Record
from model.validation_predictions.stage import prediction_table
from model.walk_forward_folds.settings import LIVE

ORACLE = "oracle"
BASELINES = ("lightgbm", "ridge")
_KEY = ("market", "model", "seed", "horizon", "Date")
_JUDGED_BY = ("model.trained_model.ensemble", "model.metrics.ic")
"""Modules whose code, and that of all they import, decides what a training's file says."""

TRAININGS = {"market": pl.String, "model": pl.String, "seed": pl.Int64, "fold": pl.String, "attention": pl.Float64}
"""What is kept of each training beside its predictions."""


@dataclass(frozen=True)
class Plan:
    """What is run."""

    markets: tuple[Market, ...]
    seeds: tuple[int, ...]
    """Seeds of the network; each training is judged on its own, and figures are means over them."""

    @property
    def variants(self) -> tuple[Variant, ...]:
        """The variants of the markets asked for."""
        return tuple(variant for variant in VARIANTS if variant.market in self.markets)


@dataclass(frozen=True)
class Outcome:
    """What the trainings gave."""

    daily: pl.DataFrame
    """market, model (a variant, a baseline or the oracle), seed, horizon, Date, rank_ic: one row a test day, sorted."""
    trainings: pl.DataFrame
    """market, model, seed, fold, attention: the norm of the gradient of the graph attention's weights, root mean square
    over the epochs in which it learnt (and over members); null without a graph."""


def run(home: Path, settings: Settings, plan: Plan, today: date, progress: Progress, data: Store) -> Outcome:
    """Train and judge every variant.

    Args:
        home: folder of the simulated markets' stores and of the results.
        today: the date that no simulated day may lie after.
        data: the store of the home, which holds data that were not simulated.

    Raises:
        GogookuError: a market cannot be built or is not up to date, or a training is broken.
    """
    folds = tuple(key for key in settings.folds.names() if key != LIVE)
    for variant in plan.variants:  # what cannot be trained is said before the markets are built
        variant.training(settings.training, variant.network(settings.network))
    total = len(plan.variants) * len(folds) * len(plan.seeds)
    done = 0
    tables: list[pl.DataFrame] = []
    trainings: list[tuple[str, str, int, str, float | None]] = []
    for market in plan.markets:
        own = market_settings(settings, market)
        store = ready_store(home, own, market, today, progress) if market != OWN else require_up_to_date(data, own)
        for fold in folds:
            panel = load_panel(store.directory(TENSORS, fold), shard_directory(store), verify=False)
            labels = _labels(store, panel)
            tables.append(_of_baselines(store, market, fold, labels, panel, own))
            for variant in (each for each in plan.variants if each.market == market):
                for seed in plan.seeds:
                    title = f"{market}: {variant.name}, {fold}"
                    progress(title, done, total, "")
                    daily, attention = _trained(
                        home,
                        own,
                        variant,
                        panel,
                        labels,
                        seed,
                        lambda note, title=title, done=done: progress(title, done, total, note),  # type: ignore[misc]
                    )
                    tables.append(daily)
                    trainings.append((market, variant.name, seed, fold, attention))
                    done += 1
        if market == OWN:
            trials.record(data, configurations(own, plan.variants))
    return Outcome(pl.concat(tables).sort(_KEY), pl.DataFrame(trainings, schema=TRAININGS, orient="row"))


def configurations(settings: Settings, variants: Sequence[Variant]) -> set[str]:
    """What tells the configurations of these variants apart (model trials); that of the settings is one of them."""
    stated = settings.network.expected_parameters
    changed = []
    for variant in variants:
        network = variant.network(settings.network)
        named = replace(network, expected_parameters=stated)
        training = variant.training(settings.training, network)
        changed.append(settings.model_copy(update={"network": named, "training": training}))
    return {trials.configuration_hash(each) for each in changed}


def _trained(
    home: Path,
    settings: Settings,
    variant: Variant,
    panel: FoldPanel,
    labels: pl.DataFrame,
    seed: int,
    note: Callable[[str], None],
) -> tuple[pl.DataFrame, float | None]:
    """Daily rank IC of one training on its test days and its attention's gradient, from its file where there is one."""
    own = variant.panel(panel, seed)
    network = variant.network(settings.network)
    training = variant.training(settings.training, network)
    lookback = settings.tensors.lookback
    key = training_key(own, network, training, lookback=lookback, seed=seed)
    path = training_file(home, key, settings.portfolio.min_names)
    if path.is_file():
        kept = json.loads(path.read_text(encoding="utf-8"))
        attention = kept["attention"]
        schema = {"horizon": pl.Int32, "Date": pl.String, "rank_ic": pl.Float64}
        daily = pl.DataFrame(kept["daily"], schema=schema).with_columns(pl.col("Date").str.to_date())
    else:
        epochs = sum(phase.epochs for phase in training.phases)

        def on_epoch(record: Record) -> None:
            member = f"member {int(record['member']) + 1}, " if "member" in record else ""
            rank_ic = record.get("val_rank_ic", 0.0)
            note(f"{member}epoch {record['epoch']} of at most {epochs}, validation rank IC {rank_ic:.4f}")

        results = train_ensemble(
            own, network, training, lookback=lookback, seed=seed, callbacks=Callbacks(on_epoch=on_epoch)
        )
        found = predict_ensemble(
            own,
            network,
            [Member(result.state, result.switches) for result in results],
            own.test,
            lookback=lookback,
            threads=training.threads,
        )
        daily = _rank_ic(prediction_table(found, own, labels), "prediction", settings)
        attention = _attention([record for result in results for record in result.history])
        rows = daily.with_columns(pl.col("Date").cast(pl.String)).to_dict(as_series=False)
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_bytes(path, (json.dumps({"attention": attention, "daily": rows}) + "\n").encode())
    return _named(daily, variant.market, variant.name, seed), attention


def training_file(home: Path, key: str, min_names: int) -> Path:
    """Where the figures of a training of this key are kept, as long as the code that makes them is the same.

    Args:
        min_names: fewest names with which a day counts.
    """
    code = merkle_root({name: code_version(name) for name in _JUDGED_BY} | {"portfolio.min_names": str(min_names)})
    return home / "trainings" / f"{key[:32]}-{code[:12]}.json"


def _attention(history: list[Record]) -> float | None:
    """Root mean square over the epochs with a graph of the gradient norm of the attention's weights."""
    norms = [float(record["gradient_attention"]) for record in history if "gate_alpha" in record]
    return math.sqrt(sum(norm**2 for norm in norms) / len(norms)) if norms else None


def _of_baselines(
    store: Store, market: Market, fold: str, labels: pl.DataFrame, panel: FoldPanel, settings: Settings
) -> pl.DataFrame:
    """The oracle of a simulated market, and the baselines where they were trained, on the fold's days and members."""
    dates = [_date(int(panel.dates[day])) for day in panel.test]
    names: tuple[str, ...] = () if market == OWN else (ORACLE,)
    long = pl.concat(
        [
            labels.filter(pl.col("InUniverse") & pl.col("Date").is_in(dates)).select(
                "Date",
                "Code",
                pl.lit(h, pl.Int32).alias("horizon"),
                pl.col(f"target_{h}").alias("label"),
                *(pl.col(f"{name}_{h}").alias(name) for name in names),
            )
            for h in settings.labels.horizons
        ]
    )
    if market in WITH_BASELINES:
        wide = store.read_table("baseline", "predictions.parquet", fold).pivot(
            on="model", index=["Date", "Code", "horizon"], values="prediction"
        )
        long = long.join(wide.select("Date", "Code", "horizon", *BASELINES), on=["Date", "Code", "horizon"], how="left")
        names = (*names, *BASELINES)
    return pl.concat([_named(_rank_ic(long, name, settings), market, name, seed=settings.seed) for name in names])


def _rank_ic(rows: pl.DataFrame, prediction: str, settings: Settings) -> pl.DataFrame:
    least = settings.portfolio.min_names
    return daily_ic(rows, prediction, by=["horizon", "Date"], min_names=least).select("horizon", "Date", "rank_ic")


def _named(daily: pl.DataFrame, market: Market, model: str, seed: int) -> pl.DataFrame:
    return daily.select(
        pl.lit(market).alias("market"),
        pl.lit(model).alias("model"),
        pl.lit(seed).alias("seed"),
        pl.col("horizon").cast(pl.Int32),
        "Date",
        "rank_ic",
    )


def _labels(store: Store, panel: FoldPanel) -> pl.DataFrame:
    first, last = (_date(int(panel.dates[day])) for day in (panel.test[0], panel.test[-1]))
    return store.read_chunks("quality_features", "labels", start=first, end=last)


def _date(number: int) -> date:
    return date(1970, 1, 1) + timedelta(days=number)
