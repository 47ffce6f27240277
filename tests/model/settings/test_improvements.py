"""Former names of switches are refused with the setting that does what they said."""

import re
from pathlib import Path

import pytest
import yaml

from model.errors import SettingsError
from model.settings import presets
from model.settings.improvements import IMPROVEMENTS
from model.settings.root import Settings
from model.trained_model.network.config import NetworkConfig

PAGE = Path(__file__).resolve().parents[3] / "docs" / "how-to" / "improvements.md"


@pytest.mark.parametrize("key", IMPROVEMENTS)
def test_a_former_switch_is_refused_with_the_setting_that_replaces_it(key: str, tmp_path: Path) -> None:
    preset = tmp_path / "old.yaml"
    preset.write_text(yaml.safe_dump({"extends": "demo", "graph": {key: True}}), encoding="utf-8")
    with pytest.raises(SettingsError) as refused:
        presets.load(preset)
    assert IMPROVEMENTS[key] in str(refused.value)


def test_the_former_section_is_refused_with_the_settings_for_each_of_its_switches(tmp_path: Path) -> None:
    preset = tmp_path / "old.yaml"
    switches = {"use_ema": True, "online_normalization": True, "huber_loss": False}
    preset.write_text(yaml.safe_dump({"extends": "demo", "improvements": switches}), encoding="utf-8")
    with pytest.raises(SettingsError) as refused:
        presets.load(preset)
    for key in switches:
        assert f"{key}: {IMPROVEMENTS[key]}" in str(refused.value)


def test_the_settings_that_replace_the_switches_exist_and_are_documented() -> None:
    page = PAGE.read_text("utf-8")
    for key, text in IMPROVEMENTS.items():
        assert f"`{key}`" in page, key
        for name in re.findall(r"(?:network|training|tracking|normalization)(?:\.\w+)+", text):
            place = Settings()
            for part in name.split("."):
                assert hasattr(place, part), name
                place = getattr(place, part)


@pytest.mark.parametrize(
    ("stage", "settings"),
    [
        ("first", ["network.output_head_small_init=true", "network.gat_temperature=1.0"]),
        ("second", ["training.ema_decay=0.99", "training.loss.pointwise_kind=huber"]),
        ("third", ["network.freq_dropout_p=0.1"]),
        (
            "back",
            ["network.output_head_small_init=false", "training.ema_decay=null", "training.loss.pointwise_kind=mse"],
        ),
    ],
)
def test_the_stages_of_rolling_out_and_back_are_valid_settings(stage: str, settings: list[str]) -> None:
    presets.load("demo", settings)
    page = PAGE.read_text("utf-8")
    assert all(setting in page for setting in settings), stage


def test_the_setting_that_freezes_parts_names_all_that_a_network_may_have() -> None:
    said = Settings.model_json_schema()["$defs"]["PhaseConfig"]["properties"]["freeze"]["description"]
    kinds = (NetworkConfig(), NetworkConfig(adaptive_norm="san", variable_selection=False))
    assert {part for kind in kinds for part in kind.parts} <= set(re.findall(r"\w+", said))


def test_the_safe_preset_extended_with_a_source_of_ones_own_reads_that_source(tmp_path: Path) -> None:
    page = PAGE.read_text("utf-8")
    preset = tmp_path / "mysafe.yaml"
    preset.write_text(page.partition("# mysafe.yaml\n")[2].partition("```")[0], encoding="utf-8")
    settings = presets.load(str(preset))
    assert settings.source.kind == "files" and settings.training.guards.exploding == "stop"
