"""Configuration is closed: what is misspelt is refused, with the nearest valid name."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from model.errors import SettingsError
from model.settings import presets

PRESETS = sorted(path.stem for path in presets.FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_that_comes_with_the_package_is_valid(name: str) -> None:
    assert presets.load(name).seed >= 0


def test_the_promised_presets_are_there() -> None:
    assert {"demo", "us_equities", "production", "safe"} <= set(PRESETS)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("baselin.ridge_alpha=1", "unknown key 'baselin' (did you mean 'baseline'?)"),
        ("folds.embargo_dayz=3", "unknown key 'folds.embargo_dayz' (did you mean 'folds.embargo_days'?)"),
        ("source.stockz=50", "unknown key 'source.stockz' (did you mean 'source.stocks'?)"),
        ("network.hiden=8", "unknown key 'network.hiden' (did you mean 'network.hidden'?)"),
        ("training.weight_decai=8", "unknown key 'training.weight_decai' (did you mean 'training.weight_decay'?)"),
        ("graph.window_days=many", "graph.window_days"),
        ("training.loss.horizon_weights={7: 2.0}", "horizon 7; the horizons predicted are 1, 5, 10, 20"),
        ("training.loss.horizon_weights={5: 0}", "left out of labels.horizons"),
        ("training.phases=[{name: a, epochs: 1, lr: 1, loss: {pinbal: 1}}]", "pinbal"),
        ("training.phases=[{name: a, epochs: 1, lr: 1, freeze: [san], train_only: [gat]}]", "not both of them"),
        ("training.phases=[{name: a, epochs: 1, lr: 1, loss: {rank_ic: -1}}]", "loss weights must be 0 or more"),
        ("training.phases=[{name: a, epochs: 1, lr: 1, loss: {rank_ic: .nan}}]", "finite number"),
        ("training.phases=[{name: a, epochs: 1, lr: .inf}]", "finite number"),
        (
            "training.phases=[{name: a, epochs: 1, lr: 1, freeze: [nonsense]}]",
            "the parts of this network are vsn, temp",
        ),
        ("training.phases=[{name: a, epochs: 1, lr: 1, train_only: [gat], graph: false}]", "would train nothing"),
        ("training.loss.cs_ic=.nan", "finite number"),
        ("training.loss.horizon_weights={5: .inf}", "finite number"),
        ("training.weight_decay=.inf", "finite number"),
        ("graph.threshold=.nan", "finite number"),
        ("network.layer_scale_init=.inf", "finite number"),
        ("network.quantiles=[0.5, 0.50001]", "differ in 4 digits"),
        ("network.quantiles=[0.00001, 0.5]", "differ in 4 digits"),
        ("seed=-1", "seed"),
        ("seed", "key=value"),
        ("seed.x=1", "seed is a single value"),
        ("tensors.lookback=500", "a fold must reach back at least as far as the network looks"),
        ("source.start=2021-13-01", "source.start: Input should be a valid date"),
        ("source.end=2021-02-30", "(given: '2021-02-30')"),
        ("quality.as_of=2020-13-01", "quality.as_of: Input should be a valid datetime"),
        ("folds.periods=[2021-01-99]", "'2021-01-99' is not a period"),
        ("folds.periods=[]", "folds.periods must name at least one period"),
        ("graph={window_days: 80, window_days: 90}", "the key 'window_days' of line 1 stands once more in line 1"),
        ("runtime.night_window=[a, b]", "runtime.night_window: 'a' is not a cron expression"),
    ],
)
def test_a_bad_override_is_refused_in_one_readable_paragraph(override: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        presets.load("demo", [override])
    text = str(caught.value)
    assert message in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["network.direct=false", "training.leaders_l1=0.2"], "Set training.leaders_l1 to 0"),
        (
            ["network.freq_dropout_p=0.2", "training.phases=[{name: a, epochs: 1, lr: 0.01, adaptive_norm: false}]"],
            "which no phase of training.phases switches on",
        ),
    ],
)
def test_a_switch_that_nothing_would_heed_is_refused(overrides: list[str], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        presets.load("demo", overrides)
    presets.load("demo", [*overrides, "training.leaders_l1=0.0", "network.freq_dropout_p=0.0"])


def test_a_normalisation_that_would_leave_nothing_is_refused_before_any_training() -> None:
    with pytest.raises(SettingsError, match="every feature would be exactly zero"):
        presets.load("demo", ["network.fan_top_k=400", "network.adaptive_main_channel=false"])


def test_an_unknown_preset_names_the_nearest_one() -> None:
    with pytest.raises(SettingsError, match="Did you mean 'demo'"):
        presets.load("dmeo")


def test_overrides_take_effect_and_change_only_their_sections_hash() -> None:
    plain, changed = presets.load("demo"), presets.load("demo", ["graph.max_neighbours=7"])
    assert changed.graph.max_neighbours == 7
    assert changed.hash_of("graph") != plain.hash_of("graph")
    assert changed.hash_of("baseline", "folds", "network") == plain.hash_of("baseline", "folds", "network")


def test_where_a_file_lies_and_how_many_threads_run_do_not_enter_a_hash() -> None:
    one = presets.load("us_equities", ["source.path=a.parquet", "runtime.threads=1"])
    other = presets.load("us_equities", ["source.path=b.parquet", "runtime.threads=2"])
    assert one.hash_of("source", "runtime") == other.hash_of("source", "runtime")


def test_a_preset_whose_parent_is_gone_is_named_with_the_file_that_extends_it(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("extends: /elsewhere/mine.yaml\n")
    with pytest.raises(SettingsError, match=r"config\.yaml extends '/elsewhere/mine\.yaml'.* Put the file back"):
        presets.load(tmp_path / "config.yaml")


def test_a_preset_extends_another_key_by_key(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("extends: demo\ngraph: {threshold: 0.4}\n")
    mine, demo = presets.load(tmp_path / "mine.yaml"), presets.load("demo")
    assert mine.graph.threshold == 0.4
    assert mine.graph.max_neighbours == demo.graph.max_neighbours
    assert mine.folds == demo.folds


def test_a_mapping_in_an_override_changes_the_keys_that_it_names(tmp_path: Path) -> None:
    override = "graph={window_days: 80}"
    (tmp_path / "mine.yaml").write_text("extends: demo\ngraph: {window_days: 80}\n")
    assert presets.load("demo", [override]) == presets.load(tmp_path / "mine.yaml")
    deeper = presets.load("demo", ["training={loss: {pinball: 0.25}}"]).training
    assert deeper.loss.pinball == 0.25
    assert replace(deeper, loss=presets.load("demo").training.loss) == presets.load("demo").training


@pytest.mark.parametrize(
    "overrides",
    [
        ["graph={window_days: 80}", "graph={max_neighbours: 5}"],
        ["graph.window_days=80", "graph={max_neighbours: 5}", "graph.max_neighbours=6"],
        ["source.path=b.csv", "source={kind: files, sort: true}"],
    ],
)
def test_overrides_laid_over_a_preset_that_extends_are_the_same_settings(tmp_path: Path, overrides: list[str]) -> None:
    document: dict[str, object] = {"extends": "demo"}
    presets.overlay(document, overrides)
    (tmp_path / "record.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    assert presets.load(tmp_path / "record.yaml") == presets.load("demo", overrides)


def test_another_kind_in_an_override_is_another_mapping_whatever_the_order() -> None:
    for overrides in (["source={kind: files}", "source.path=b.csv"], ["source.path=b.csv", "source={kind: files}"]):
        source = presets.load("demo", overrides).source
        assert source.kind == "files" and source.path == "b.csv"


def test_another_kind_of_source_is_another_mapping(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("extends: demo\nsource: {kind: files, path: bars.parquet}\n")
    assert presets.load(tmp_path / "mine.yaml").source.kind == "files"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("extends: loop\n", "extends itself"),
        ("- 1\n", "mapping of sections"),
        ("a: [\n", "not readable YAML"),
        ("extends: [demo]\n", r"loop\.yaml says extends: \['demo'\], which is a list"),
        ("extends: 3\n", "extends: 3, which is a int"),
        ("extends: demo\nsource: {start: 2021-13-01}\n", r"source\.start: .*given: '2021-13-01'"),
        ("seed: 1\ngraph: {}\nseed: 2\n", "the key 'seed' of line 1 stands once more in line 3"),
        (
            "graph:\n  window_days: 80\n  window_days: 90\n",
            "the key 'window_days' of line 2 stands once more in line 3",
        ),
    ],
)
def test_an_unusable_preset_file_says_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "loop.yaml").write_text(text)
    with pytest.raises(SettingsError, match=message):
        presets.load(tmp_path / "loop.yaml")


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["tensors.features=[ret_1d, macd_hits]"], "no feature 'macd_hits'. The nearest is 'macd_hist'"),
        (["tensors.features=[ret_1d, flow_smart_money]"], "switch on flow in features.groups"),
        (["tensors.features=[ret_1d, KMID]"], "set features.set to both"),
        (
            ["tensors.features=atft13", "features.groups=[returns, technical]"],
            "switch on range_volume, low_frequency in",
        ),
        (["tensors.features=atft13", "features.set=alpha158"], "set features.set to both"),
    ],
)
def test_features_of_the_network_that_are_not_computed_are_refused_with_what_has_them(
    overrides: list[str], says: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        presets.load("demo", overrides)
    assert says in str(caught.value)
    presets.load("demo", [*overrides, "tensors.features=all"])


def test_a_feature_of_ones_own_may_be_what_the_network_reads() -> None:
    own = "features.custom=[{name: mine, formula: 'ret(close, 3)'}]"
    assert presets.load("demo", [own, "tensors.features=[mine]"]).tensors.features == ("mine",)


def test_settings_never_change_after_loading() -> None:
    settings = presets.load("demo")
    with pytest.raises(ValueError, match="frozen"):
        settings.seed = 1


@pytest.mark.parametrize(
    ("key", "text"), [("date_format", "%d.%m.%Y %H:%M"), ("path", "*.csv"), ("separator", "|"), ("code_type", "text")]
)
def test_a_value_that_yaml_would_take_for_something_else_needs_no_quotation_marks(key: str, text: str) -> None:
    assert getattr(presets.load("us_equities", [f"source.{key}={text}"]).source, key) == text


def test_a_time_without_quotation_marks_is_a_time() -> None:
    calendar = presets.load("demo", ["calendar.close=15:30", "calendar.publication=16:05"]).calendar
    assert (calendar.close, calendar.publication) == ("15:30", "16:05")


def test_the_market_index_of_the_features_is_the_one_that_is_kept() -> None:
    with pytest.raises(SettingsError, match=r"quality\.index"):
        presets.load("demo", ["features.market_index=NIKKEI"])
    both = ["features.market_index=NIKKEI", "quality.index=NIKKEI"]
    assert presets.load("demo", both).features.market_index == "NIKKEI"
