"""Which configuration is recorded, by whom, and which Dagster instance a command belongs to."""

import shutil
from pathlib import Path

import pytest
import yaml
from dagster import DagsterInstance

from gogooku_dagster.lib import tracking
from gogooku_dagster.lib.exclusive import BusyError, exclusive
from gogooku_dagster.lib.home import CONFIG, HOME, Installation, installation, last_installation
from gogooku_dagster.lib.reconcile import Reconciler
from model.errors import SettingsError
from model.settings import presets
from tests.gogooku_dagster.support import TODAY, Place


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty home, and an environment that ``prepare`` may write to."""
    monkeypatch.setenv(HOME, str(tmp_path / "home"))
    monkeypatch.setenv(CONFIG, "")
    monkeypatch.delenv("DAGSTER_HOME", raising=False)


def recorded() -> Installation:
    return Installation(installation().home, installation().record)


def test_overrides_of_a_later_command_are_recorded_on_top_of_those_of_the_last_run() -> None:
    installation("demo", ["portfolio.cost_bps_per_side=7", "seed=3"]).prepare()
    asked = last_installation(overrides=["portfolio.cost_bps_per_side=9"])
    assert asked.settings.portfolio.cost_bps_per_side == 9.0 and asked.changes_the_record
    asked.prepare()
    settings = recorded().settings
    assert (settings.portfolio.cost_bps_per_side, settings.seed) == (9.0, 3)
    assert not last_installation(overrides=["portfolio.cost_bps_per_side=9"]).changes_the_record
    named = installation(str(asked.record), ["seed=4"])
    named.prepare()
    assert recorded().settings.seed == named.settings.seed == 4
    assert recorded().settings.portfolio.cost_bps_per_side == 9.0


def test_another_kind_of_source_takes_no_key_of_the_recorded_one_along(tmp_path: Path) -> None:
    installation("demo", ["source.kind=simulated", "source.stocks=30"]).prepare()
    path = tmp_path / "bars.csv"
    last_installation(overrides=[f"source.path={path}", "source.kind=files"]).prepare()
    assert yaml.safe_load(recorded().record.read_text())["source"] == {"kind": "files", "path": str(path)}
    assert recorded().settings.source.kind == "files"


def test_a_relative_path_of_a_preset_is_meant_from_where_it_was_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "own.yaml").write_text("extends: us_equities\nsource: {path: bars/*.csv}\n")
    monkeypatch.chdir(tmp_path)
    installation("own.yaml").prepare()
    monkeypatch.chdir(tmp_path / "elsewhere")
    settings = last_installation().settings
    assert getattr(settings.source, "path") == str(tmp_path / "bars" / "*.csv")  # noqa: B009 - only files have one


def test_a_setting_that_cannot_be_is_not_recorded() -> None:
    installation("demo").prepare()
    before = recorded().record.read_bytes()
    with pytest.raises(SettingsError, match=r"portfolio\.cost_bps_per_side"):
        last_installation(overrides=["portfolio.cost_bps_per_side=-1"]).settings  # noqa: B018
    assert recorded().record.read_bytes() == before


def test_a_command_that_is_refused_because_another_computes_leaves_the_record_alone(place: Place) -> None:
    place.bring_up_to_date()
    before = place.installation.record.read_bytes()
    place.configure(portfolio={"cost_bps_per_side": 50.0})
    other = Reconciler(place.installation, lambda: pytest.fail("nothing may be computed"), TODAY)
    other.installation = Installation(place.home, place.preset, ("seed=9",))
    with exclusive(place.installation), pytest.raises(BusyError, match="is computing"):
        other.bring_up_to_date()
    assert place.installation.record.read_bytes() == before


@pytest.mark.parametrize(("below", "shared"), [("dagster/storage", True), ("elsewhere", False)])
def test_a_named_instance_is_used_if_it_keeps_its_files_in_this_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, below: str, shared: bool
) -> None:
    named = tmp_path / "instance"
    named.mkdir()
    place = {"local_artifact_storage": {"config": {"base_dir": str(tmp_path / "home" / below)}}}
    (named / "dagster.yaml").write_text(yaml.safe_dump(place))
    monkeypatch.setenv("DAGSTER_HOME", str(named))
    assert installation().dagster_home == (named if shared else tmp_path / "home" / "dagster")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "nothing"))
    assert installation().dagster_home == tmp_path / "home" / "dagster"


@pytest.mark.parametrize("content", ["", "[]", "local_artifact_storage:", "local_artifact_storage: {config: 3}"])
def test_an_instance_that_names_no_place_is_another_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    (tmp_path / "dagster.yaml").write_text(content)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    assert installation().dagster_home == tmp_path / "home" / "dagster"


def test_an_instance_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dagster.yaml").write_text("{")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with pytest.raises(SettingsError, match=r"dagster\.yaml, to which DAGSTER_HOME leads, is not readable YAML"):
        installation().dagster_home  # noqa: B018


def test_a_copied_home_keeps_what_mlflow_gets_in_its_own_folder(tmp_path: Path) -> None:
    first, copy = (Installation(tmp_path / name, presets.locate("demo")) for name in ("a first", "copy"))
    dagster = DagsterInstance.ephemeral()
    made = tracking._experiment(tracking._client(first), first, dagster)
    assert tracking._experiment(tracking._client(first), first, dagster) == made
    shutil.copytree(first.home, copy.home)
    client = tracking._client(copy)
    other = client.get_experiment(tracking._experiment(client, copy, dagster))
    assert (other.name, other.artifact_location) == ("gogooku", (copy.home / "mlflow" / "artifacts").as_uri())
    assert client.get_experiment(made).name == f"gogooku {made} of {(first.home / 'mlflow' / 'artifacts').as_uri()}"
    (tmp_path / "link").symlink_to(copy.home)
    for same in (copy, Installation(tmp_path / "link", copy.preset)):
        assert tracking._experiment(client, same, dagster) == other.experiment_id
