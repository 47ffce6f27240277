"""Every picture of every asset, on artefacts with data and on artefacts with nothing to show."""

import struct
from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pytest
from matplotlib.container import BarContainer
from matplotlib.figure import Figure

from model.atft_tensors import pictures as tensors
from model.baseline import pictures as baseline
from model.correlation_graph import pictures as graph
from model.lineage.graph import BY_NAME
from model.normalization_stats import pictures as normalization
from model.quality_features import pictures as features
from model.raw_dataset import pictures as raw
from model.settings.root import Settings
from model.store.pictures import Picture
from model.store.store import Store
from model.trained_model import pictures as training
from model.validation_predictions import pictures as predictions
from model.walk_forward_folds import pictures as folds

FOLD = "wf_a"
ASSETS = (
    "raw_dataset",
    "quality_features",
    "walk_forward_folds",
    "normalization_stats",
    "baseline",
    "correlation_graph",
    "atft_tensors",
    "trained_model",
    "validation_predictions",
)
ALL = [(name, picture) for name in ASSETS for picture in BY_NAME[name].pictures()]
IDS = [f"{name}-{picture.name}" for name, picture in ALL]


def bars(figure: Figure, panel: int = 0) -> list[list[float]]:
    """Heights (or widths) of the bars of each group of a panel."""
    groups = [group for group in figure.axes[panel].containers if isinstance(group, BarContainer)]
    return [np.asarray(group.datavalues).tolist() for group in groups]


def texts(figure: Figure, panel: int = 0) -> list[str]:
    return [text.get_text() for text in figure.axes[panel].texts]


def legend(figure: Figure, panel: int = 0) -> list[str]:
    return figure.axes[panel].get_legend_handles_labels()[1]


def draw(store: Store, settings: Settings, name: str, picture: Picture) -> bytes:
    return picture.draw(store, settings, FOLD if BY_NAME[name].partitions == "fold" else None)


@pytest.mark.parametrize(("name", "picture"), ALL, ids=IDS)
def test_every_picture_is_a_small_png_of_the_house_size(
    name: str, picture: Picture, full_store: Store, settings: Settings
) -> None:
    data = draw(full_store, settings, name, picture)
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert len(data) < 120_000
    width, height = struct.unpack(">II", data[16:24])
    assert width == 900
    assert height in (420, 500)


@pytest.mark.parametrize(("name", "picture"), ALL, ids=IDS)
def test_every_picture_copes_with_nothing_to_show(
    name: str, picture: Picture, bare_store: Store, settings: Settings
) -> None:
    assert draw(bare_store, settings, name, picture)[:8] == b"\x89PNG\r\n\x1a\n"


def test_names_of_pictures_are_unique_within_an_asset() -> None:
    assert len(set(IDS)) == len(IDS)


def test_names_per_day_counts_members_and_priced_names(full_store: Store) -> None:
    daily = raw.names_per_day(full_store)
    assert daily.height == 60
    assert daily["priced"].unique().to_list() == [12]
    assert daily["members"].unique().to_list() == [11]
    figure = raw.names_figure(daily, 12)
    assert len(figure.axes[0].lines) == 4
    assert "universe.size = 12" in legend(figure)


def test_a_row_with_several_reasons_is_counted_once_under_the_first(full_store: Store) -> None:
    quarantine = full_store.read_table("raw_dataset", "quarantine.parquet")
    found = bars(raw.quarantine_figure(quarantine))
    assert len(found) == 2
    assert sum(map(sum, found)) == quarantine.height == 60
    assert [sum(heights) for heights in found] == [30, 30]


def test_rare_reasons_are_put_together_and_months_without_a_row_keep_their_place() -> None:
    months = [date(2019, 1, 5), date(2019, 4, 5)]
    reasons = [f"reason_{n}" for n in range(9) for _ in range(9 - n)]
    quarantine = pl.DataFrame({"Date": [months[n % 2] for n in range(len(reasons))], "reason": reasons})
    found = bars(raw.quarantine_figure(quarantine))
    assert [len(heights) for heights in found] == [4] * 7
    assert sum(found[-1]) == 3 + 2 + 1
    assert all(heights[1] == heights[2] == 0 for heights in found)


def test_null_shares_are_those_of_universe_members(full_store: Store) -> None:
    shares = features.null_shares(full_store, 48)
    assert set(shares["month"]) == {"2019-01", "2019-02", "2019-03"}
    half = shares.filter(pl.col("feature") == "half")["share"]
    # Every second row is missing and the left-out name holds one of the six others of each day.
    assert half.to_list() == pytest.approx([6 / 11] * 3)
    assert shares.filter(pl.col("feature") == "full")["share"].max() == 0.0


def test_of_a_long_history_the_newest_month_is_among_those_read(full_store: Store) -> None:
    assert features.null_shares(full_store, 2)["month"].unique().sort().to_list() == ["2019-01", "2019-03"]
    assert features.null_shares(full_store, 1)["month"].unique().to_list() == ["2019-03"]


def test_the_heat_map_has_a_cell_for_each_group_and_month(full_store: Store) -> None:
    shares = features.null_shares(full_store, 48)
    figure = features.groups_figure(shares, features.catalogue_groups(full_store))
    grid = figure.axes[0].images[0].get_array()
    assert grid is not None
    assert np.asarray(grid).shape == (2, 3)
    emptiest = bars(features.emptiest_figure(shares.filter(pl.col("month") == "2019-03"), 0.05))
    assert emptiest == [pytest.approx([600 / 11])]


def test_the_timeline_has_a_bar_for_each_stretch_of_a_role(full_store: Store) -> None:
    days = full_store.read_table("walk_forward_folds", "dates.parquet", FOLD)
    figure = folds.timeline_figure(FOLD, days)
    assert len(bars(figure)) == 7
    assert "2019-01-01 to 2019-01-10, 8 days" in texts(figure)


def test_clip_bounds_have_a_bar_for_each_feature(full_store: Store) -> None:
    bounds = full_store.read_table("normalization_stats", "bounds.parquet", FOLD)
    assert bars(normalization.bounds_figure(bounds, 5.0)) == [[4.0, 6.0], [2.0]]


def test_drift_is_measured_against_the_train_days() -> None:
    days = pl.date_range(date(2019, 1, 1), date(2019, 1, 4), eager=True)
    roles = pl.DataFrame({"Date": days, "role": ["train", "train", "test", "test"]})
    daily = pl.DataFrame({"Date": days, "feature": ["f"] * 4, "std": [2.0, 2.0, 4.0, 1.0]})
    figure = normalization.drift_figure(daily, roles)
    assert np.asarray(figure.axes[0].lines[0].get_ydata()).tolist() == [1.0, 1.0, 2.0, 0.5]
    assert texts(figure) == ["train", "test"]


def test_importances_are_shares_of_the_gain_by_horizon(full_store: Store) -> None:
    importances = full_store.read_table("baseline", "importances.parquet", FOLD)
    figure = baseline.importances_figure(importances, (1, 5))
    assert bars(figure, 0) == bars(figure, 1) == [[50.0, 50.0]]


def test_a_prediction_that_is_the_label_has_a_rank_ic_of_one() -> None:
    labels = pl.DataFrame({"Date": [date(2019, 1, 1)] * 12, "Code": [str(n) for n in range(12)]})
    labels = labels.with_columns(target_1=pl.int_range(12).cast(pl.Float64))
    own = labels.select("Date", "Code", prediction="target_1", horizon=pl.lit(1, pl.Int32), model=pl.lit("ridge"))
    daily = baseline.model_rank_ic(own, labels, (1,), 10)
    assert daily["rank_ic"].to_list() == pytest.approx([1.0])
    figure = baseline.rank_ic_figure(daily, (1,))
    assert legend(figure) == ["lightgbm: no labels yet", "ridge: mean +1.000, 1 days"]


def test_edges_are_counted_as_pairs_and_isolated_names_apart(full_store: Store) -> None:
    edges = full_store.read_table("correlation_graph", "edges.parquet", FOLD)
    nodes = full_store.read_table("correlation_graph", "nodes.parquet", FOLD)
    figure = graph.density_figure(edges, nodes)
    assert bars(figure, 0) == [[1.0, 1.0], [1.0, 1.0]]
    assert bars(figure, 1) == [[4.0, 4.0], [8.0, 8.0]]
    assert bars(graph.degrees_figure(nodes, 3)) == [[8], [4, 0, 0]]


def test_coverage_counts_samples_and_labels_of_each_role(full_store: Store) -> None:
    coverage = tensors.read_coverage(full_store, FOLD)
    assert set(coverage.samples.tolist()) == {12}
    assert set(coverage.labelled.tolist()) == {11}
    assert legend(tensors.coverage_figure(coverage))[0] == "train: 22 days, 264 samples"


def test_curves_have_two_losses_and_a_line_for_each_horizon(full_store: Store) -> None:
    metrics = full_store.read_json("trained_model", "metrics.json", FOLD)
    weights = full_store.read_json("trained_model", "config.json", FOLD)["training"]["loss"]
    figure = training.curves_figure(metrics["history"], weights, metrics["best_epoch"])
    assert [label.split(":")[0] for label in legend(figure, 0)] == ["ranking", "error", "kept"]
    assert legend(figure, 1) == ["1 d", "5 d", "mean", "kept: epoch 4"]
    assert np.asarray(figure.axes[0].lines[0].get_ydata()).tolist() == pytest.approx([1, 1 / 2, 1 / 3, 1 / 4, 1 / 5])
    assert texts(figure) == ["baseline", "gat"]


def test_a_line_of_losses_ends_where_a_phase_weighs_them_in_another_way() -> None:
    weights = {**dict.fromkeys(("rank_ic", "cs_ic", "sharpe", "pointwise", "direction"), 0.5), "pinball": 0.1}
    ranking = ("rank_ic", "cs_ic", "sharpe")
    first = {**dict.fromkeys((*ranking, "pointwise", "direction"), 0.0), "pinball": 1.0, "horizon_weights": None}
    history: list[dict[str, Any]] = [
        {"epoch": 1, "phase": "statistics", "loss_pinball": 4.0},
        {"epoch": 2, "phase": "statistics", "loss_pinball": 2.0},
        *(
            {"epoch": epoch, "phase": "network", **{f"loss_{name}": 6.0 / epoch for name in weights}}
            for epoch in (3, 4)
        ),
    ]
    figure = training.curves_figure(history, weights, 4, {"statistics": first, "network": dict.fromkeys(weights)})
    lines = [line for line in figure.axes[0].lines if str(line.get_marker()) == "o"]
    drawn = [(np.asarray(line.get_xdata()).tolist(), np.asarray(line.get_ydata()).tolist()) for line in lines]
    assert drawn == [([3, 4], [1.0, 0.75]), ([1, 2], [1.0, 0.5]), ([3, 4], [1.0, pytest.approx(0.75)])]
    assert [label.split(":")[0] for label in legend(figure, 0)] == ["ranking", "error", "kept"]


def test_a_line_of_losses_starts_at_the_first_epoch_above_zero() -> None:
    weights = dict.fromkeys(("rank_ic", "cs_ic", "sharpe", "pointwise", "pinball", "direction"), 0.5)
    history: list[dict[str, Any]] = [
        {"epoch": epoch, "phase": "all", **{f"loss_{name}": loss for name in weights}}
        for epoch, loss in ((1, 0.0), (2, 0.8), (3, 0.4))
    ]
    line = training.curves_figure(history, weights, 0).axes[0].lines[0]
    assert np.asarray(line.get_xdata()).tolist() == [2, 3]
    assert np.asarray(line.get_ydata()).tolist() == pytest.approx([1.0, 0.5])


def test_the_rate_is_drawn_for_every_step(full_store: Store) -> None:
    metrics: dict[str, Any] = full_store.read_json("trained_model", "metrics.json", FOLD)
    figure = training.rate_figure(metrics["rates"], metrics["history"])
    assert len(np.asarray(figure.axes[0].lines[0].get_ydata())) == 20
    assert texts(figure) == ["baseline", "gat"]


def test_selection_and_attention_are_drawn_in_percent_with_what_equal_shares_would_be(full_store: Store) -> None:
    insight: dict[str, Any] = full_store.read_json("trained_model", "insight.json", FOLD)
    selection = training.selection_figure(insight)
    assert bars(selection) == [pytest.approx([20.0, 30.0, 50.0])]
    assert [text.get_text() for text in selection.axes[0].get_yticklabels()] == ["rsi_14", "natr_14", "ret_1d"]
    assert legend(selection) == ["all 3 alike"]
    assert bars(training.attention_figure(insight)) == [pytest.approx([10.0, 20.0, 70.0])]


def test_the_picture_of_a_network_without_variable_selection_says_so(full_store: Store) -> None:
    insight: dict[str, Any] = full_store.read_json("trained_model", "insight.json", FOLD)
    figure = training.selection_figure({**insight, "selection": None})
    assert bars(figure) == []
    assert texts(figure) == ["network.variable_selection is off"]


def test_calibration_takes_the_mean_of_the_day_off_the_labels() -> None:
    # Two days whose labels are the same but for the day's mean: the same excess, the same shares.
    spread = [-2.0, -1.0, 1.0, 2.0]
    frame = pl.DataFrame(
        {
            "Date": [date(2019, 1, 1)] * 4 + [date(2019, 1, 2)] * 4,
            "horizon": [1] * 8,
            "label": [*spread, *(value + 10.0 for value in spread)],
            "q05": [-1.5] * 8,
            "q95": [3.0] * 8,
        }
    )
    shares = predictions.below_quantiles(frame)
    assert shares.select("level", "share", "n").rows() == [(0.05, 0.25, 8), (0.95, 1.0, 8)]
    assert bars(predictions.calibration_figure(shares)) == [[25.0, 100.0]]


def test_without_labels_the_pictures_of_predictions_say_so(bare_store: Store) -> None:
    frame = bare_store.read_table("validation_predictions", "predictions.parquet", FOLD)
    assert texts(predictions.calibration_figure(predictions.below_quantiles(frame))) == ["no labels yet"]
    daily = frame.select("horizon", "Date").unique().with_columns(rank_ic=pl.lit(None, pl.Float64))
    assert texts(predictions.rank_ic_figure(daily)) == ["no labels yet"]
