"""A fold's normalisation from store to z-scores."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from model.daily_quotes.settings import FilesSource
from model.errors import DataError
from model.labels.settings import LabelSettings
from model.normalization_stats import checks, daily
from model.normalization_stats.load import load_normalizer, read_daily
from model.normalization_stats.settings import NormalizationSettings
from model.normalization_stats.stage import materialise
from model.normalization_stats.statistics import STATISTICS, Daily
from model.quality_features.digests import StoredDigests
from model.settings.root import Settings
from model.store.day_digests import DayDigests
from model.store.manifest import Identity
from model.store.stage import StageRun
from model.store.store import Store
from model.walk_forward_folds.fingerprint import fingerprint

IDENTITY = Identity(inputs={}, code_version="1", settings_hash="s")
DAYS = [date(2020, 1, 1) + timedelta(days=offset) for offset in range(40)]
ROLES = ["lookback"] * 5 + ["train"] * 20 + ["purge"] * 3 + ["validation"] * 6 + ["test"] * 6
REACH = [0] * 5 + [5] * 16 + [1] * 4 + [0] * 3 + [5] * 12
"""On the last four train days only the label over one day is fitted."""
FEATURES = ("size", "market", "empty", "flag")
NAMES = 60


def chosen(method: str = "zscore") -> Settings:
    return Settings(
        source=FilesSource(),
        labels=LabelSettings(horizons=(1, 5)),
        normalization=NormalizationSettings(method=method),  # type: ignore[arg-type]
    )


def features() -> pl.DataFrame:
    rng = np.random.Generator(np.random.PCG64(3))
    size = rng.lognormal(0, 1, (len(DAYS), NAMES))
    size[3, 4] = np.nan
    size[0] = 1e5  # nobody differs on the first day
    return pl.DataFrame(
        {
            "Date": pl.Series(DAYS).gather(np.repeat(np.arange(len(DAYS)), NAMES)),
            "Code": [f"{number:05d}" for number in range(NAMES)] * len(DAYS),
            "InUniverse": [number != 7 for number in range(NAMES)] * len(DAYS),
            "size": pl.Series(size.ravel().astype(np.float32), nan_to_null=True),
            "market": pl.Series(np.repeat(np.arange(len(DAYS)), NAMES).astype(np.float32)),
            "empty": pl.Series([None] * size.size, dtype=pl.Float32),
            "flag": pl.Series((size > 1.5).ravel().astype(np.float32)),
            "valid_5d": True,
        }
    )


def write_inputs(store: Store, frame: pl.DataFrame, long: tuple[str, ...] = ()) -> None:
    """Features and labels; the features named lie in a band of their own, and the market-wide one by day."""
    catalogue = [{"name": name, "scope": "market" if name == "market" else "stock"} for name in FEATURES]
    labels = frame.select("Date", "Code", "InUniverse", target_1=pl.col("size") / 10, target_5=pl.col("flag"))
    digests: dict[tuple[str, str], DayDigests] = {}
    with store.writer("quality_features", None, IDENTITY) as w:
        w.json("catalogue.json", catalogue)
        for table, rows in (
            ("features", frame.drop("market", *long)),
            *([("features_long", frame.select("Date", "Code", *long))] if long else []),
            ("features_market", frame.group_by("Date", maintain_order=True).agg(pl.col("market").first())),
            ("labels", labels.cast({"target_1": pl.Float64, "target_5": pl.Float64})),
        ):
            for (month,), chunk in rows.group_by(pl.col("Date").dt.strftime("%Y-%m"), maintain_order=True):
                found = digests[table, str(month)] = DayDigests.of(chunk)
                root = found.root(chunk.schema)
                key = ("Date", "Code") if "Code" in chunk.columns else ("Date",)
                w.chunk(table, str(month), chunk, key, input_hash="-", content_hash=root)
        tables = {table: digests[table, "2020-01"].columns for table, _ in digests}
        StoredDigests(store).write(w, sorted({month for _, month in digests}), tables, digests)
    made_from = {"quality_features": store.require("quality_features").content_hash}
    with store.writer("walk_forward_folds", "f", replace(IDENTITY, inputs=made_from)) as w:
        w.json("fold.json", {"fold": "f", "purge_days": 3, "embargo_days": 0})
        w.table("dates.parquet", pl.DataFrame({"Date": DAYS, "role": ROLES, "reach": REACH}), key=("Date",))
        w.json("fingerprint.json", fingerprint(store, DAYS[0], DAYS[-1]))


def build(home: Path, frame: pl.DataFrame, settings: Settings) -> Store:
    store = Store(home)
    write_inputs(store, frame)
    materialise(StageRun(store=store, settings=settings, identity=IDENTITY, partition="f"))
    return store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    yield build(tmp_path_factory.mktemp("home"), features(), chosen())


def test_z_scores_have_deviation_one_across_names_and_missing_is_zero(store: Store) -> None:
    normalizer = load_normalizer(store, "f")
    assert normalizer.features == FEATURES and len(normalizer.dates) == len(DAYS)
    grid = features().select(FEATURES).to_numpy().reshape(len(DAYS), NAMES, len(FEATURES))
    z = normalizer.apply(grid)
    assert z.dtype == np.float32 and np.isfinite(z).all()
    members = np.arange(NAMES) != 7
    raw = grid[10, members, 0].astype(np.float64)
    expected = np.clip((raw - raw.mean()) / raw.std(), normalizer.low[0], normalizer.high[0])
    np.testing.assert_allclose(z[10, members, 0], expected, rtol=1e-6)
    assert z[3, 4, 0] == 0.0 and (z[..., 2] == 0.0).all()
    assert (z[0, :, 0] == 0.0).all()  # a day without spread says nothing
    train = np.array([role == "train" for role in ROLES])
    series = np.arange(len(DAYS))[train]
    day = DAYS.index(DAYS[10])
    assert z[day, 0, 1] == pytest.approx((10 - series.mean()) / series.std())
    assert (z[-1, :, 1] == np.float32(normalizer.high[1])).all()


def test_rows_and_grids_give_the_same_scores(store: Store) -> None:
    normalizer = load_normalizer(store, "f").take(("flag", "size"))
    grid = features().select("flag", "size").to_numpy().reshape(len(DAYS), NAMES, 2)
    day, name = np.array([4, 39, 11]), np.array([1, 2, 3])
    np.testing.assert_array_equal(normalizer.apply(grid)[day, name], normalizer.apply(grid[day, name], day))


def test_shapes_and_unknown_features_are_refused(store: Store) -> None:
    normalizer = load_normalizer(store, "f")
    with pytest.raises(ValueError, match="features"):
        normalizer.apply(np.zeros((len(DAYS), NAMES, 3)))
    with pytest.raises(ValueError, match="must be"):
        normalizer.apply(np.zeros((3, NAMES, 4)))
    with pytest.raises(ValueError, match="one day each"):
        normalizer.apply(np.zeros((3, 4)), np.zeros(2, dtype=np.int64))
    with pytest.raises(DataError, match="nonsense"):
        normalizer.take(("size", "nonsense"))


def test_nothing_of_a_later_day_reaches_what_is_fitted(store: Store, tmp_path: Path) -> None:
    after = pl.col("Date") > DAYS[24]
    other = features().with_columns(
        (pl.when(after).then(pl.col(name) * 50 + 3).otherwise(pl.col(name))).cast(pl.Float32).alias(name)
        for name in ("size", "market", "flag")
    )
    changed = build(tmp_path, other, chosen())
    for table in ("bounds.parquet", "targets.parquet"):
        assert changed.read_table("normalization_stats", table, "f").equals(
            store.read_table("normalization_stats", table, "f")
        )
    early = [read_daily(s, "f", STATISTICS).filter(pl.col("Date") <= DAYS[24]) for s in (store, changed)]
    assert early[0].equals(early[1])


def test_a_day_with_too_few_names_counts_as_missing_for_that_feature(tmp_path: Path) -> None:
    few = (pl.col("Date") == DAYS[9]) & (pl.col("Code") > "00015")
    thinned = features().with_columns(size=pl.when(few).then(None).otherwise("size").cast(pl.Float32))
    store = build(tmp_path, thinned, chosen())
    grid = thinned.select(FEATURES).to_numpy().reshape(len(DAYS), NAMES, len(FEATURES))
    z = load_normalizer(store, "f").apply(grid)
    assert (z[9, :, 0] == 0.0).all() and (z[9, :, 3] != 0.0).any() and (z[10, :16, 0] != 0.0).any()
    outcome = checks.check_enough_names(store, chosen(), "f")
    assert outcome.passed and outcome.metadata["thin_days_size"] == 1


def noted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[tuple[date, ...], tuple[str, ...]]]:
    """The days and features of which statistics are computed from now on."""
    computed: list[tuple[tuple[date, ...], tuple[str, ...]]] = []
    compute = daily.Members.statistics

    def note(members: daily.Members, quantiles: Sequence[float]) -> Daily:
        computed.append((members.dates, members.features))
        return compute(members, quantiles)

    monkeypatch.setattr(daily.Members, "statistics", note)
    return computed


def test_only_the_cross_sections_that_changed_are_computed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    last, before = (pl.when(pl.col("Date") == day) for day in (DAYS[-1], DAYS[-2]))
    fixed = features().with_columns(
        flag=last.then(1 - pl.col("flag")).otherwise("flag").cast(pl.Float32),
        size=before.then(pl.col("size") * 2).otherwise("size").cast(pl.Float32),
        market=before.then(pl.col("market") + 100).otherwise("market").cast(pl.Float32),
    )
    stores = [Store(tmp_path / name) for name in ("partly", "whole")]
    run = [StageRun(store=store, settings=chosen(), identity=IDENTITY, partition="f") for store in stores]
    write_inputs(stores[0], features(), ("flag",))
    materialise(run[0])
    computed = noted(monkeypatch)
    write_inputs(stores[0], fixed, ("flag",))
    materialise(run[0])
    assert sorted(computed) == [((DAYS[-2],), ("size",)), ((DAYS[-1],), ("flag",))]
    write_inputs(stores[1], fixed, ("flag",))
    materialise(run[1])
    contents = {store.require("normalization_stats", "f").content_hash for store in stores}
    assert len(contents) == 1 and len(computed) == 4


def test_a_day_whose_universe_changed_is_computed_again_for_every_feature(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = (pl.col("Date") == DAYS[-1]) & (pl.col("Code") == pl.col("Code").max())
    fixed = features().with_columns(InUniverse=pl.col("InUniverse") & ~left)
    store = build(tmp_path / "partly", features(), chosen())
    computed = noted(monkeypatch)
    write_inputs(store, fixed)
    materialise(StageRun(store=store, settings=chosen(), identity=IDENTITY, partition="f"))
    assert computed == [((DAYS[-1],), tuple(sorted(set(FEATURES) - {"market"})))]
    whole = build(tmp_path / "whole", fixed, chosen()).require("normalization_stats", "f")
    assert whole.content_hash == store.require("normalization_stats", "f").content_hash


def test_statistics_are_kept_only_if_the_fold_was_made_from_the_features_of_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fold that is behind the features says nothing of what the statistics beside it were made from."""
    store = build(tmp_path, features(), chosen())
    fold = store.require("walk_forward_folds", "f")
    whole = store.require("normalization_stats", "f").content_hash
    documents = {name: store.read_json("walk_forward_folds", name, "f") for name in ("fold.json", "fingerprint.json")}
    dates = store.read_table("walk_forward_folds", "dates.parquet", "f")
    store.directory("normalization_stats", "f").rename(tmp_path / "gone")  # nothing there to take over
    write_inputs(store, features().with_columns(size=(pl.col("size") * 2).cast(pl.Float32)))
    with store.writer("walk_forward_folds", "f", replace(IDENTITY, inputs=fold.inputs)) as w:
        for name, document in documents.items():
            w.json(name, document)
        w.table("dates.parquet", dates, key=("Date",))
    run = StageRun(store=store, settings=chosen(), identity=IDENTITY, partition="f")
    materialise(run)
    assert not any(name.startswith("digests/") for name in store.require("normalization_stats", "f").files)
    computed = noted(monkeypatch)
    write_inputs(store, features())
    materialise(run)
    assert {name for _, names in computed for name in names} == set(FEATURES) - {"market"}  # which has no cross-section
    assert store.require("normalization_stats", "f").content_hash == whole


def test_only_the_months_that_changed_are_computed_again_and_other_folds_share_them(
    store: Store, tmp_path: Path
) -> None:
    late = pl.when(pl.col("Date") == DAYS[-1]).then(pl.col("size") * 2).otherwise(pl.col("size"))
    fixed = features().with_columns(size=late.cast(pl.Float32))
    partly = build(tmp_path / "partly", features(), chosen())
    before = partly.require("normalization_stats", "f")
    write_inputs(partly, fixed)
    materialise(StageRun(store=partly, settings=chosen(), identity=IDENTITY, partition="f"))
    after = partly.require("normalization_stats", "f")
    assert before.files["daily/2020-01.parquet"] == after.files["daily/2020-01.parquet"]
    assert before.files["daily/2020-02.parquet"] != after.files["daily/2020-02.parquet"]
    assert after.extra["chunks_taken_over"] == 2  # January of both tables; the labels follow from size too
    whole = build(tmp_path / "whole", fixed, chosen())
    assert whole.require("normalization_stats", "f").content_hash == after.content_hash
    with partly.writer("walk_forward_folds", "g", IDENTITY) as w:
        for name in ("fold.json", "fingerprint.json"):
            w.json(name, partly.read_json("walk_forward_folds", name, "f"))
        w.table("dates.parquet", partly.read_table("walk_forward_folds", "dates.parquet", "f"), key=("Date",))
    materialise(StageRun(store=partly, settings=chosen(), identity=IDENTITY, partition="g"))
    other = partly.require("normalization_stats", "g")
    assert other.extra["chunks_taken_over"] == 4 and other.content_hash == after.content_hash


def test_the_target_scale_is_the_deviation_on_train_dates(store: Store) -> None:
    rows = features().filter(pl.col("Date").is_between(DAYS[5], DAYS[24]) & pl.col("InUniverse"))
    targets = store.read_table("normalization_stats", "targets.parquet", "f")
    expected = (rows["size"].cast(pl.Float64) / 10).std(ddof=0)
    assert targets["scale"][0] == pytest.approx(expected, rel=1e-6)
    longer = rows.filter(pl.col("Date") <= DAYS[20])["flag"].cast(pl.Float64).std(ddof=0)
    assert targets["scale"][1] == pytest.approx(longer, rel=1e-6)
    assert longer != pytest.approx(rows["flag"].cast(pl.Float64).std(ddof=0), rel=1e-4)
    assert load_normalizer(store, "f").target_scale.keys() == {1, 5}


def test_checks_pass_and_say_what_has_no_spread(store: Store) -> None:
    outcomes = {check.name: check.run(store, chosen(), "f") for check in checks.CHECKS}
    assert [name for name, outcome in outcomes.items() if not outcome.passed] == []
    strict = Settings(source=FilesSource(), normalization=NormalizationSettings(minimum_names=NAMES))
    assert not checks.check_enough_names(store, strict, "f").passed


def test_the_robust_method_uses_median_and_mad(tmp_path: Path) -> None:
    robust = load_normalizer(build(tmp_path, features(), chosen("robust")), "f")
    members = features().filter((pl.col("Date") == DAYS[10]) & pl.col("InUniverse"))["size"].to_numpy().astype(float)
    median = np.median(members)
    assert robust.mean[10, 0] == pytest.approx(median)
    assert robust.std[10, 0] == pytest.approx(1.4826 * np.median(np.abs(members - median)))


def test_the_robust_method_keeps_flags(tmp_path: Path) -> None:
    store = build(tmp_path, features(), chosen("robust"))
    robust, place = load_normalizer(store, "f").take(["flag"]), 10
    rows = features().filter((pl.col("Date") == DAYS[place]) & pl.col("InUniverse"))["flag"].to_numpy()
    assert 0.0 < rows.mean() < 0.5
    assert robust.std[place, 0] == pytest.approx(rows.std())
    scores = robust.apply(rows[:, None], np.full(len(rows), place))[:, 0]
    assert set(scores[rows == 0.0].tolist()) == {0.0} and (scores[rows == 1.0] > 1.0).all()
    assert "flag" not in checks.check_spread(store, chosen("robust"), "f").metadata["features"]


def test_a_train_day_on_which_nobody_traded_stops_nothing(tmp_path: Path) -> None:
    outage = DAYS[12]
    shut = features().with_columns(InUniverse=pl.col("InUniverse") & (pl.col("Date") != outage))
    store = build(tmp_path, shut, chosen())
    daily = read_daily(store, "f", ["n"])
    assert daily.filter(pl.col("Date") == outage)["n"].to_list() == [0] * len(FEATURES)
    there, whole = load_normalizer(store, "f"), load_normalizer(build(tmp_path / "whole", features(), chosen()), "f")
    assert np.isnan(there.std[12, 0])
    np.testing.assert_array_equal(np.delete(there.std, 12, axis=0)[:, 0], np.delete(whole.std, 12, axis=0)[:, 0])
    np.testing.assert_allclose(there.high, whole.high, rtol=0.2)


def test_a_fold_without_members_or_labels_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no universe member"):
        build(tmp_path / "a", features().with_columns(InUniverse=pl.lit(False)), chosen())
    with pytest.raises(DataError, match="target_5"):
        build(tmp_path / "b", features().with_columns(flag=pl.lit(0.0, pl.Float32)), chosen())
