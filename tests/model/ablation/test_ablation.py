"""The ablation: markets, variants and claims, and one real run on a market of a few seconds."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from model.ablation import experiment
from model.ablation.claims import CLAIMS, document, summary
from model.ablation.experiment import BASELINES, ORACLE, TRAININGS, Outcome, Plan, run
from model.ablation.markets import MARKETS, OWN, judged_horizon, market_settings, markets_of
from model.ablation.stores import ready_store, require_up_to_date
from model.ablation.table import text
from model.ablation.variants import VARIANTS, shuffled
from model.atft_tensors.panel import FoldPanel
from model.daily_quotes.settings import SimulatedSource
from model.errors import SettingsError, StoreError
from model.portfolio_report import trials
from model.portfolio_report.document_figures import Ablation
from model.settings import presets
from model.settings.root import Settings
from model.store.store import Store
from model.trained_model.config import PhaseConfig, TrainingConfig
from model.trained_model.frozen import frozen_parts
from model.trained_model.network.config import NetworkConfig

TINY = Path(__file__).parents[2] / "presets" / "tiny.yaml"
FEW = [
    "training.phases=[{name: all, epochs: 1, lr: 0.002}]",
    "folds.periods=[2019q2]",
    "source.tables=[]",
    "features.groups=[returns, technical]",
    "tensors.features=[ret_1d, ret_5d, ret_20d]",
]
DAYS = 300


def daily(**means: float) -> pl.DataFrame:
    """Daily rank correlations of the models of the lead-lag and whole markets around the means given."""
    rng = np.random.Generator(np.random.PCG64(1))
    shared = rng.normal(0, 0.1, DAYS)
    rows = []
    for market, model in sorted({(c.market, name) for c in CLAIMS for name in (c.first, c.second)}):
        mean = means.get(f"{market}_{model}".replace(" ", "_"), means.get("other", 0.0))
        rows.append(
            pl.DataFrame(
                {
                    "Date": [date(2020, 1, 1) + timedelta(days=n) for n in range(DAYS)],
                    "rank_ic": mean + shared + rng.normal(0, 0.02, DAYS),
                }
            ).with_columns(market=pl.lit(market), model=pl.lit(model), seed=pl.lit(1), horizon=pl.lit(1, pl.Int32))
        )
    return pl.concat(rows)


def trainings(bypass: float | None = 2e-3, concatenation: float = 1e-3) -> pl.DataFrame:
    """Two folds of the lead-lag market's networks, with the gradient of their graph attention."""
    norms = {"network": bypass, "plain concatenation": concatenation, "without graph": None, "shuffled edges": 1e-3}
    norms["with graph"] = bypass
    rows = [
        (market, name, 1, fold, norm)
        for market in ("lead_lag", OWN)
        for name, norm in norms.items()
        for fold in ("wf_2019", "wf_2020")
    ]
    return pl.DataFrame(rows, schema=TRAININGS, orient="row")


def verdicts(of: dict[str, Any]) -> dict[tuple[str, str, str], bool]:
    return {(claim["market"], claim["first"], claim["second"]): claim["holds"] for claim in of["claims"]}


def test_each_market_keeps_one_kind_of_signal_and_the_rest_of_the_source() -> None:
    settings = presets.load("ablation")
    assert market_settings(settings, "whole") is settings
    for market in ("tabular", "lead_lag", "regime"):
        source = market_settings(settings, market).source
        assert isinstance(source, SimulatedSource) and isinstance(settings.source, SimulatedSource)
        strengths = {name: getattr(source, f"{name}_strength") for name in ("tabular", "lead_lag", "regime")}
        assert [name for name, value in strengths.items() if value] == [market]
        assert source.seed == settings.source.seed and source.stocks == settings.source.stocks


def test_a_source_without_planted_signals_is_one_market_and_has_no_other() -> None:
    files, simulated = presets.load("us_equities", ["source.path=bars.parquet"]), presets.load("ablation")
    assert markets_of(files) == (OWN,) and markets_of(simulated) == MARKETS
    assert markets_of(simulated, ["regime", "whole"]) == ("whole", "regime")
    assert judged_horizon(files) == files.portfolio.headline_horizon == 5 and judged_horizon(simulated) == 1
    with pytest.raises(SettingsError, match=r"'tabular' has planted signals, and source\.kind is files"):
        markets_of(files, ["tabular"])
    with pytest.raises(SettingsError, match="regime_strength is 0"):
        market_settings(presets.load("ablation", ["source.regime_strength=0"]), "regime")


def test_variants_change_the_part_they_name_and_nothing_else() -> None:
    config = NetworkConfig(freq_dropout_p=0.1, expected_parameters=5)
    found = {(v.market, v.name): v.network(config) for v in VARIANTS}
    assert {market for market, _ in found} == {*MARKETS, OWN}
    bare = {v.name: v.network(NetworkConfig(graph=False)).graph for v in VARIANTS if v.market == OWN}
    assert [name for name, graph in bare.items() if graph] == ["with graph", "plain concatenation"]
    assert not found["lead_lag", "without graph"].graph
    assert found["lead_lag", "plain concatenation"].fusion == "concatenation"
    assert [found["regime", name].adaptive_norm for name in ("FAN", "SAN", "neither")] == ["fan", "san", "none"]
    assert found["whole", "network"].hidden == config.hidden and found["whole", "network"].graph


def test_a_training_in_stages_is_one_of_every_variants_own_parts() -> None:
    training = TrainingConfig(
        phases=(
            PhaseConfig(name="statistics", epochs=1, lr=1e-3, graph=False, train_only=("san",)),
            PhaseConfig(name="network", epochs=1, lr=1e-3, freeze=("san", "heads")),
        )
    )
    stages = {}
    for variant in VARIANTS:
        network = variant.network(NetworkConfig(adaptive_norm="san"))
        found = variant.training(training, network)
        for phase in found.phases:
            frozen_parts(phase, network)  # refuses parts that the network lacks
        stages[variant.market, variant.name] = [(phase.train_only, phase.freeze) for phase in found.phases]
    assert stages["regime", "SAN"] == stages["lead_lag", "without graph"] == [(("san",), ()), ((), ("san", "heads"))]
    assert stages["regime", "FAN"] == [(("fan",), ()), ((), ("fan", "heads"))]
    assert stages["regime", "neither"] == [((), ()), ((), ("heads",))], "where nothing would learn, the rest does"


def test_a_part_that_no_phase_switches_on_is_not_measured() -> None:
    training = TrainingConfig(phases=(PhaseConfig(name="all", epochs=1, lr=1e-3, graph=False, adaptive_norm=False),))
    refused = set()
    for variant in VARIANTS:
        network = variant.network(NetworkConfig())
        try:
            assert variant.training(training, network) == training
        except SettingsError:
            refused.add((variant.market, variant.name))
    own = {(OWN, name) for name in ("with graph", "plain concatenation", "FAN", "SAN")}
    assert refused == own | {("regime", "FAN"), ("regime", "SAN"), ("lead_lag", "shuffled edges")}
    edges = next(variant for variant in VARIANTS if variant.shuffled_edges)
    with pytest.raises(SettingsError, match=r"network\.graph is false, so 'shuffled edges'.*--market"):
        edges.training(TrainingConfig(), edges.network(NetworkConfig(graph=False)))


def test_shuffled_edges_keep_degrees_and_attributes_but_not_who_is_whose_neighbour(
    make_panel: Any,
) -> None:
    panel: FoldPanel = make_panel()
    other = shuffled(panel, 3)
    assert np.array_equal(other.edge_attr, panel.edge_attr) and np.array_equal(other.graph_ptr, panel.graph_ptr)
    for start, stop in zip(panel.graph_ptr[:-1], panel.graph_ptr[1:], strict=True):
        before, after = (np.bincount(p.edge_index[0, start:stop]) for p in (panel, other))
        assert sorted(before[before > 0]) == sorted(after[after > 0])
    assert not np.array_equal(other.edge_index, panel.edge_index)
    assert np.array_equal(other.edge_index, shuffled(panel, 3).edge_index)


def test_claims_hold_where_the_figures_say_so() -> None:
    good = document(
        daily(
            whole_network=0.09,
            whole_oracle=0.1,
            lead_lag_network=0.055,
            lead_lag_without_graph=0.01,
            lead_lag_shuffled_edges=0.0,
            lead_lag_plain_concatenation=0.05,
            regime_FAN=0.06,
            regime_SAN=0.06,
            regime_neither=0.03,
            own_with_graph=0.05,
            own_without_graph=0.02,
            own_plain_concatenation=0.05,
            own_FAN=0.05,
            own_SAN=0.05,
            own_neither=0.02,
        ),
        trainings(),
        seed=1,
        horizon=1,
    )
    assert all(verdicts(good).values()), text(good)
    share = next(claim for claim in good["claims"] if claim["kind"] == "ratio")
    assert share["value"] == pytest.approx(0.9, abs=0.15) and share["n"] == DAYS


def test_claims_fail_where_a_part_brings_nothing_or_a_control_gains() -> None:
    bad = verdicts(
        document(
            daily(
                other=0.03,
                whole_network=0.05,
                whole_oracle=0.1,
                tabular_network=0.02,
                lead_lag_shuffled_edges=0.06,
                lead_lag_plain_concatenation=0.06,
                regime_neither=0.04,
                own_network=0.02,
                own_plain_concatenation=0.06,
            ),
            trainings(),
            seed=1,
            horizon=1,
        )
    )
    assert bad == dict.fromkeys(bad, False)


@pytest.mark.parametrize(("bypass", "holds"), [(2e-3, True), (1e-3, True), (0.5e-3, False), (None, None)])
def test_the_bypass_must_not_starve_the_attention_of_its_gradient(bypass: float | None, holds: bool | None) -> None:
    equal = daily(lead_lag_network=0.055, lead_lag_plain_concatenation=0.05)
    found = verdicts(document(equal, trainings(bypass), seed=1, horizon=1))
    assert found["lead_lag", "network", "plain concatenation"] is holds


def test_the_text_names_every_model_and_verdict() -> None:
    shown = text(document(daily(whole_network=0.09, whole_oracle=0.1), trainings(), seed=1, horizon=1))
    assert "gradient of the graph attention: 2.00 times the other's, 2 trainings each" in shown
    assert all(claim.text in shown for claim in CLAIMS)
    assert "does NOT hold" in shown and "of the oracle" in shown


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ablation")


def ablate(place: Path, settings: Settings, plan: Plan) -> tuple[Outcome, list[str]]:
    """The outcome, and the notes of the progress."""
    told: list[str] = []
    data = Store(place / "tabular")
    outcome = run(place, settings, plan, date(2024, 1, 1), lambda what, done, total, note: told.append(note), data)
    return outcome, told


def test_one_network_under_two_names_is_no_claim() -> None:
    figures = daily()
    same = figures.filter(pl.col("market") == "lead_lag", pl.col("model") == "network")
    others = figures.filter((pl.col("market") != "lead_lag") | (pl.col("model") != "plain concatenation"))
    twice = pl.concat([others, same.with_columns(model=pl.lit("plain concatenation"))])
    found = document(twice, trainings(), seed=1, horizon=1)
    bypass = next(claim for claim in found["claims"] if claim["text"].startswith("residual bypass"))
    assert bypass["holds"] is None and bypass["value"] is None and bypass["n"] == DAYS
    assert "cannot be said residual bypass" in text(found)


@pytest.mark.parametrize("changed", ["model.trained_model.ensemble", "model.metrics.ic"])
def test_figures_are_kept_only_for_the_code_that_made_them(
    changed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = experiment.training_file(tmp_path, "a" * 64, 20)
    assert before == experiment.training_file(tmp_path, "a" * 64, 20)
    assert before != experiment.training_file(tmp_path, "b" * 64, 20)
    assert before != experiment.training_file(tmp_path, "a" * 64, 10)
    real = experiment.code_version
    monkeypatch.setattr(experiment, "code_version", lambda name: "other" if name == changed else real(name))
    assert experiment.training_file(tmp_path, "a" * 64, 20) != before


def test_a_run_judges_every_variant_on_its_test_days_and_a_second_one_trains_nothing(place: Path) -> None:
    settings = presets.load(TINY, FEW)
    plan = Plan(("tabular", "lead_lag"), (7,))
    outcome, told = ablate(place, settings, plan)
    found = outcome.daily
    for market, beside in (("tabular", {ORACLE, *BASELINES}), ("lead_lag", {ORACLE})):
        names = {variant.name for variant in plan.variants if variant.market == market}
        assert set(found.filter(pl.col("market") == market)["model"].unique()) == names | beside
    days = found.filter(pl.col("model") == "network")["Date"].unique()
    assert days.min() >= date(2019, 4, 1) and days.max() <= date(2019, 6, 28)  # type: ignore[operator]
    assert found.filter(pl.col("model") == ORACLE, pl.col("horizon") == 1)["rank_ic"].mean() > 0.0  # type: ignore[operator]
    assert any("epoch 1" in note for note in told)
    again, told = ablate(place, settings, plan)
    assert again.daily.equals(found) and not any("epoch" in note for note in told)
    assert again.trainings.equals(outcome.trainings)
    attention = dict(outcome.trainings.filter(pl.col("market") == "lead_lag").select("model", "attention").rows())
    assert attention.pop("without graph") is None and len(attention) == 3
    assert all(norm > 1e-6 for norm in attention.values())


def test_data_of_ones_own_are_judged_without_an_oracle_from_what_the_home_has(place: Path) -> None:
    settings = market_settings(presets.load(TINY, FEW), "tabular")
    ready_store(place, settings, "tabular", date(2024, 1, 1), lambda *_: None)
    outcome, told = ablate(place, settings, Plan((OWN,), (8,)))
    names = {variant.name for variant in VARIANTS if variant.market == OWN}
    assert set(outcome.daily["model"].unique()) == {*names, *BASELINES}
    assert sum("epoch" in note for note in told) == 5  # the network, "with graph" and FAN are one
    tried = trials.recorded(Store(place / "tabular"))
    assert tried is not None and len(tried) == 5 and trials.configuration_hash(settings) in tried
    shown = document(outcome.daily, outcome.trainings, seed=1, horizon=5)
    assert [claim["n"] > 20 for claim in shown["claims"]] == [True] * 5 and "oracle" not in text(shown)
    assert summary(shown)["note"].startswith("These data")


def test_data_of_ones_own_that_are_not_up_to_date_are_refused_with_the_remedy(tmp_path: Path, place: Path) -> None:
    settings = market_settings(presets.load(TINY, FEW), "tabular")
    with pytest.raises(StoreError, match=r"raw_dataset in .* is missing.*gogooku run --until baseline"):
        require_up_to_date(Store(tmp_path), settings)
    ready_store(place, settings, "tabular", date(2024, 1, 1), lambda *_: None)
    assert require_up_to_date(Store(place / "tabular"), settings).home == place / "tabular"
    other = presets.load(TINY, [*FEW, "graph.max_neighbours=3"])
    with pytest.raises(StoreError, match=r"correlation_graph/wf_2019q2 in .* is stale \(settings changed"):
        require_up_to_date(Store(place / "tabular"), market_settings(other, "tabular"))


def test_the_summary_is_what_a_report_shows() -> None:
    found = document(daily(lead_lag_network=0.05, lead_lag_without_graph=0.01), trainings(), seed=1, horizon=1)
    shown = Ablation.model_validate(summary(found))
    row = next(row for row in shown.rows if row.name.startswith("lead-lag part: with the graph"))
    assert row.difference.value == pytest.approx(0.04, abs=0.005) and row.difference.n == DAYS
    assert row.rank_ic.value == pytest.approx(0.01, abs=0.02) and "(holds)" in row.name


def test_days_that_make_too_few_blocks_prove_and_refute_nothing() -> None:
    short = daily(lead_lag_network=0.05, whole_oracle=0.1).filter(pl.col("Date") < date(2020, 2, 29))  # 59 of them
    found = document(short, trainings(), seed=1, horizon=1)
    assert all(claim["holds"] is None and claim["interval"] is None for claim in found["claims"])
    assert all(figure["interval"] is None for figure in found["figures"])
    gain = next(claim for claim in found["claims"] if claim["second"] == "without graph")
    assert gain["value"] == gain["difference"]["value"] > 0.0 and gain["difference"]["interval"] is None
    shown = Ablation.model_validate(summary(found))
    assert shown.rows and all("(cannot be said)" in row.name for row in shown.rows)
    assert "cannot be said" in text(found) and "holds" not in text(found)


def test_a_multiple_of_nothing_is_not_given() -> None:
    found = document(daily(lead_lag_network=0.055, lead_lag_without_graph=-0.02), trainings(), seed=1, horizon=1)
    [claim] = [each for each in found["claims"] if each["second"] == "without graph" and each["first"] == "network"]
    assert (
        claim["holds"]
        and claim["ratio"] is None
        and "ratio"
        not in "".join(line for line in text(found).splitlines() if "with the graph against without" in line)
    )
