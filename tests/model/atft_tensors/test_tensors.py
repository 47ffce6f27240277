"""From tables to the panel that the network reads."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load_file, save_file

from model.atft_tensors import checks
from model.atft_tensors.build import graph_arrays
from model.atft_tensors.panel import REACH, STATS, FoldPanel, load_panel
from model.atft_tensors.settings import TensorSettings
from model.atft_tensors.shards import MonthArrays, read_month, write_month
from model.atft_tensors.stage import ASSET, materialise, shard_directory
from model.errors import DataError, SettingsError
from model.normalization_stats.load import load_normalizer
from tests.model.atft_tensors.conftest import IDENTITY


def _panel(upstream: Any, fold: str = "wf_a") -> FoldPanel:
    materialise(upstream.run(fold))
    return load_panel(upstream.store.directory(ASSET, fold))


def test_every_cell_of_the_panel_is_the_table_row_it_stands_for(upstream: Any) -> None:
    panel = _panel(upstream)
    normalizer = load_normalizer(upstream.store, "wf_a").take(panel.features)
    rows = {(row["Date"], row["Code"]): row for row in upstream.features.iter_rows(named=True)}
    targets = {(row["Date"], row["Code"]): row for row in upstream.labels.iter_rows(named=True)}
    dates = upstream.store.read_table("walk_forward_folds", "dates.parquet", "wf_a")
    reach = dict(zip(dates["Date"], dates["reach"], strict=True))
    assert set(reach.values()) == {0, 1, 5}
    for t, number in enumerate(panel.dates):
        day = date(1970, 1, 1) + timedelta(days=int(number))
        for n, code in enumerate(panel.codes):
            row = rows.get((day, code))
            assert panel.present[t, n] == (row is not None)
            assert panel.member[t, n] == (row is not None and row["InUniverse"])
            if row is None:
                assert not panel.x[t, n].any()
                assert np.isnan(panel.y[t, n]).all()
                assert panel.own_return[t, n] == 0
                continue
            raw = np.array([[np.nan if row[f] is None else row[f] for f in panel.features]], np.float32)
            assert np.array_equal(panel.x[t, n], normalizer.apply(raw, np.array([t]))[0])
            used = [h <= reach[day] for h in panel.horizons]
            expected = [np.float32(targets[day, code][f"target_{h}"]) for h in panel.horizons]
            assert np.array_equal(panel.y[t, n], np.where(used, expected, np.nan), equal_nan=True)
            assert panel.own_return[t, n] == np.float32(row["ret_1d"])


def test_tensors_of_an_older_version_are_named_as_such(upstream: Any) -> None:
    _panel(upstream)
    path = upstream.store.directory(ASSET, "wf_a") / STATS
    stats = load_file(path)
    del stats[REACH]
    save_file(stats, path)
    with pytest.raises(DataError, match="older version"):
        load_panel(upstream.store.directory(ASSET, "wf_a"))


def test_codes_are_those_in_the_universe_on_some_day_of_the_window(upstream: Any) -> None:
    panel = _panel(upstream)
    assert "13250" not in panel.codes
    assert panel.codes == tuple(sorted(panel.codes))
    assert panel.member.any(axis=0).all()


def test_roles_are_positions_of_the_folds_days(upstream: Any) -> None:
    panel = _panel(upstream)
    assert panel.train.tolist() == list(range(4, 24))
    assert panel.validation.tolist() == list(range(26, 32))
    assert panel.test.tolist() == list(range(34, 40))


def test_folds_share_the_shards_of_months_inside_both_windows(
    upstream: Any, make_fold: Callable[[str, int], None]
) -> None:
    _panel(upstream)
    before = set(shard_directory(upstream.store).iterdir())
    make_fold("wf_b", 5)
    panel = _panel(upstream, "wf_b")
    after = set(shard_directory(upstream.store).iterdir())
    assert before < after
    months = [
        json.loads((upstream.store.directory(ASSET, f) / "index.json").read_text())["shards"] for f in ("wf_a", "wf_b")
    ]
    whole = [entry for entry in months[0] if entry["month"] == "2016-02"]
    assert {**whole[0], "first_day": 0} in [{**entry, "first_day": 0} for entry in months[1]]
    assert panel.x.shape[0] == 45


def test_the_artefact_depends_only_on_the_folds_own_window(upstream: Any) -> None:
    first = materialise(upstream.run("wf_a")).content_hash
    late = upstream.days[45]
    upstream.features = upstream.features.with_columns(
        pl.when(pl.col("Date") >= late).then(9.0).otherwise(pl.col("gap")).cast(pl.Float32).alias("gap"),
        pl.when(pl.col("Date") >= late).then(9.0).otherwise(pl.col("ret_1d")).cast(pl.Float32).alias("ret_1d"),
    )
    upstream.write_features()
    assert materialise(upstream.run("wf_a")).content_hash == first


def test_all_checks_pass_on_sound_tensors(upstream: Any) -> None:
    _panel(upstream)
    for check in checks.CHECKS:
        outcome = check.run(upstream.store, upstream.settings, "wf_a")
        assert outcome.passed, (check.name, outcome)


def test_a_feature_that_says_nothing_in_a_fold_is_refused_with_the_remedy(upstream: Any) -> None:
    _panel(upstream)
    path = upstream.store.directory(ASSET, "wf_a") / STATS
    stats = load_file(path)
    stats["std"][:, 1] = 0.0  # as of a market-wide flag that never changed on a train day
    save_file(stats, path)
    outcome = checks.check_finite(upstream.store, upstream.settings, "wf_a")
    assert not outcome.passed and outcome.metadata["dead_features"] == ["rsi_14"]
    assert "(rsi_14): " in outcome.summary and "tensors.features" in outcome.summary


def test_the_check_finds_statistics_of_another_fold(upstream: Any, make_fold: Callable[[str, int], None]) -> None:
    _panel(upstream)
    upstream.features = upstream.features.with_columns(pl.col("ret_1d") * 2)
    upstream.write_fold("wf_a", 0, [("lookback", 4), ("train", 20), ("validation", 10), ("test", 11)], (0,))
    assert not checks.check_statistics_of_same_fold(upstream.store, upstream.settings, "wf_a").passed


def test_an_altered_or_missing_shard_is_found(upstream: Any) -> None:
    materialise(upstream.run("wf_a"))
    directory = upstream.store.directory(ASSET, "wf_a")
    path = next(p for p in sorted(shard_directory(upstream.store).iterdir()) if p.stat().st_size > 1000)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match="was altered"):
        load_panel(directory)
    path.unlink()
    with pytest.raises(DataError, match="is missing"):
        load_panel(directory)


def test_unknown_features_are_refused(upstream: Any) -> None:
    upstream.settings.tensors.features = ("ret_1d", "magic")
    with pytest.raises(SettingsError, match="asks for magic"):
        materialise(upstream.run("wf_a"))


def test_all_means_every_normalised_feature(upstream: Any) -> None:
    upstream.settings.tensors.features = "all"
    assert _panel(upstream).features == ("ret_1d", "rsi_14", "gap")


def test_a_lookback_longer_than_the_folds_history_is_refused(upstream: Any) -> None:
    upstream.settings.tensors.lookback = 50
    with pytest.raises(DataError, match="None of the 20 train days"):
        materialise(upstream.run("wf_a"))


def test_a_month_survives_the_disk_and_equal_content_has_one_name(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = MonthArrays(
        features=np.where(rng.random((3, 4, 2)) < 0.3, np.nan, rng.standard_normal((3, 4, 2))).astype(np.float32),
        labels=np.full((3, 4, 1), np.nan, np.float32),
        own_return=np.zeros((3, 4), np.float32),
        present=np.ones((3, 4), np.bool_),
        member=rng.random((3, 4)) < 0.5,
        codes=np.array(["130A0", "13010", "13020", "99990"]),
    )
    shards = write_month(tmp_path, "2016-01", 0, arrays)
    assert write_month(tmp_path, "2016-01", 0, arrays) == shards
    assert len(list(tmp_path.iterdir())) == 6
    back = read_month(tmp_path, shards)
    for name, value in vars(arrays).items():
        assert np.array_equal(getattr(back, name), value, equal_nan=value.dtype.kind == "f")
    assert isinstance(back.features, np.memmap)


def test_graphs_hold_from_their_date_and_only_the_last_before_the_window_counts() -> None:
    days = tuple(date(2016, 3, 7) + timedelta(days=n) for n in range(5))
    dates = [date(2016, 1, 4), date(2016, 3, 1), date(2016, 3, 9), date(2016, 4, 1)]
    edges = pl.DataFrame(
        {
            "rebalance": [dates[0], dates[1], dates[2], dates[2], dates[3]],
            "source": ["A", "B", "A", "C", "A"],
            "target": ["B", "A", "B", "Z", "B"],
            "correlation": [0.1, -0.2, 0.3, 0.4, 0.5],
            "same_sector": [True, False, True, True, True],
            "lead": [0.0, 1.5, -9.0, 0.0, 0.0],
        }
    )
    nodes = pl.DataFrame({"rebalance": dates, "Code": ["A"] * 4})
    graphs = graph_arrays(edges, nodes, days, ("A", "B", "C"))
    assert graphs.start.tolist() == [0, 2]
    assert graphs.ptr.tolist() == [0, 1, 2]
    assert graphs.edge_index.tolist() == [[1, 0], [0, 1]]
    assert np.allclose(graphs.edge_attr, [[-0.2, 0.2, 0.0, 0.5], [0.3, 0.3, 1.0, -2.0]])
    none = graph_arrays(edges.clear(), nodes.clear(), days, ("A", "B"))
    assert none.start.shape == (0,)
    assert none.ptr.tolist() == [0]
    assert none.edge_index.shape == (2, 0)
    assert none.edge_attr.shape == (0, 4)


def test_a_list_of_features_may_not_repeat() -> None:
    with pytest.raises(ValueError, match="each once"):
        TensorSettings(features=("a", "a"))


def _with_own(upstream: Any) -> pl.DataFrame:
    """The baseline's predictions beside the fold, as an input of its tensors."""
    rng = np.random.default_rng(5)
    dated = pl.col("Date").is_between(upstream.days[11], upstream.days[44])
    rows = upstream.features.filter(pl.col("InUniverse") & dated).select("Date", "Code")
    scores = pl.Series(rng.normal(size=rows.height), dtype=pl.Float32)
    table = rows.with_columns(lightgbm_1=scores, lightgbm_5=pl.lit(None, pl.Float32))
    with upstream.store.writer("baseline", "wf_a", IDENTITY) as w:
        w.table("network_feature.parquet", table, key=("Date", "Code"))
    return table


def test_features_of_the_fold_alone_follow_those_of_the_shards(upstream: Any) -> None:
    plain, table = _panel(upstream), _with_own(upstream)
    identity = replace(IDENTITY, inputs={"baseline/wf_a": "b"})
    materialise(replace(upstream.run("wf_a"), identity=identity))
    panel = load_panel(upstream.store.directory(ASSET, "wf_a"))
    assert panel.features == (*plain.features, "lightgbm_1", "lightgbm_5")
    assert np.array_equal(panel.x[..., : len(plain.features)], plain.x)
    rows = {(row["Date"], row["Code"]): row["lightgbm_1"] for row in table.iter_rows(named=True)}
    for t, number in enumerate(panel.dates):
        day = date(1970, 1, 1) + timedelta(days=int(number))
        expected = [np.float32(rows.get((day, code), 0.0)) for code in panel.codes]
        assert panel.x[t, :, -2].tolist() == expected
    assert not panel.x[..., -1].any()
    assert checks.check_statistics_of_same_fold(upstream.store, upstream.settings, "wf_a").passed
    (upstream.store.directory(ASSET, "wf_a") / "own.safetensors").unlink()
    with pytest.raises(DataError, match=r"own\.safetensors"):
        load_panel(upstream.store.directory(ASSET, "wf_a"))


def test_predictions_of_the_baseline_that_are_no_input_are_not_read(upstream: Any) -> None:
    plain = _panel(upstream)
    _with_own(upstream)
    assert _panel(upstream).features == plain.features
