"""The asset graph as promised. What it looks like is kept in ``graph_snapshot.json``.

A change of the graph must show in review. When it is meant, write the snapshot anew with::

    python -m tests.gogooku_dagster.test_definitions
"""

import json
import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.definitions.partitions.definition import TimeWindowPartitionsDefinition

from gogooku_dagster.lib.assets import document_asset
from model.lineage.graph import STAGES
from tests.gogooku_dagster.support import FOLDS, ROOT, TINY, Place, kept_environment

SNAPSHOT = Path(__file__).with_name("graph_snapshot.json")
GRAPH = {
    "daily_quotes": ("day", set()),
    "raw_dataset": (None, {"daily_quotes"}),
    "quality_features": (None, {"raw_dataset"}),
    "walk_forward_folds": ("fold", {"quality_features"}),
    "normalization_stats": ("fold", {"walk_forward_folds"}),
    "baseline": ("fold", {"walk_forward_folds", "normalization_stats"}),
    "correlation_graph": ("fold", {"walk_forward_folds"}),
    "atft_tensors": ("fold", {"walk_forward_folds", "normalization_stats", "correlation_graph"}),
    "trained_model": ("fold", {"atft_tensors"}),
    "validation_predictions": ("fold", {"walk_forward_folds", "atft_tensors", "trained_model"}),
    "portfolio_report": (
        None,
        {
            "walk_forward_folds",
            "normalization_stats",
            "baseline",
            "correlation_graph",
            "atft_tensors",
            "trained_model",
            "validation_predictions",
            "trials",
            "ablation",
        },
    ),
}
DOCUMENTS = {"trials", "ablation"}
HEAVY = ("torch", "mlflow", "lightgbm", "matplotlib", "plotly")


def specs(definitions: dg.Definitions) -> dict[str, dg.AssetSpec]:
    """All assets that a stage computes, by name."""
    found = {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}
    return {name: spec for name, spec in found.items() if name not in DOCUMENTS}


def partitions_of(spec: dg.AssetSpec) -> str | None:
    """Which partition set an asset has."""
    match spec.partitions_def:
        case None:
            return None
        case dg.StaticPartitionsDefinition():
            return "fold"
        case TimeWindowPartitionsDefinition() | dg.DynamicPartitionsDefinition():
            return "day"
    raise AssertionError(spec.partitions_def)


def description_of(definitions: dg.Definitions) -> dict[str, Any]:
    """The part of the graph that people rely on, as plain JSON."""
    repository = definitions.get_repository_def()
    graph = definitions.resolve_asset_graph()
    pools = {
        key.to_user_string(): assets.op.pool for assets in repository.assets_defs_by_key.values() for key in assets.keys
    }
    return {
        "assets": {
            name: {
                "deps": sorted(dep.asset_key.to_user_string() for dep in spec.deps),
                "partitions": partitions_of(spec),
                "group": spec.group_name,
                "kinds": sorted(spec.kinds),
                "owners": list(spec.owners),
                "pool": pools[name],
                "automation": spec.automation_condition.get_label() if spec.automation_condition else None,
                "checks": {
                    key.name: "blocking" if graph.get(key).blocking else "warns"
                    for key in sorted(graph.get(spec.key).check_keys)
                },
            }
            for name, spec in sorted(specs(definitions).items())
        },
        "jobs": {
            job.name: sorted(key.to_user_string() for key in job.asset_layer.executable_asset_keys)
            for job in sorted(repository.get_all_jobs(), key=lambda job: job.name)
            if not job.name.startswith("__")
        },
        "schedules": {
            each.name: [each.job_name, each.cron_schedule, each.execution_timezone, each.default_status.value]
            for each in repository.schedule_defs
        },
        "sensors": {each.name: each.default_status.value for each in repository.sensor_defs},
    }


@pytest.fixture(scope="module")
def definitions(unchanged: Place) -> dg.Definitions:
    return unchanged.definitions


@pytest.fixture(scope="module")
def fresh_environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """As on a machine on which nothing has run yet."""
    home = tmp_path_factory.mktemp("fresh")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GOGOOKU_", "DAGSTER_"))}
    return {**kept, "GOGOOKU_HOME": str(home), "DAGSTER_HOME": str(home), "DAGSTER_DISABLE_TELEMETRY": "1"}


def run(environment: dict[str, str], *arguments: str) -> str:
    """Output of a command that must succeed."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_eleven_assets_have_the_promised_names_inputs_and_partitions(definitions: dg.Definitions) -> None:
    found = {
        name: (partitions_of(spec), {dep.asset_key.to_user_string() for dep in spec.deps})
        for name, spec in specs(definitions).items()
    }
    assert found == GRAPH


def test_every_asset_says_what_it_is_who_owns_it_and_which_code_makes_it(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    for name, spec in specs(definitions).items():
        assert spec.description and len(spec.description) > 40, name
        assert spec.owners == ["team:quant"], name
        assert spec.kinds, name
        assert spec.group_name not in (None, "default"), name
        assert spec.code_version and len(spec.code_version) == 33, name
        assert graph.get(spec.key).check_keys, name
        assert (spec.automation_condition is None) == (name == "daily_quotes"), name
        assert spec.automation_condition is None or spec.automation_condition.is_serializable, "the daemon evaluates it"
        assert spec.tags["gogooku/stage"] == name


def test_documents_beside_the_artefacts_are_sources_that_can_be_observed(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    found = {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}
    assert found.keys() - GRAPH.keys() == DOCUMENTS
    for name in DOCUMENTS:
        assert graph.get(dg.AssetKey(name)).is_observable
        assert found[name].group_name == "documents" and len(found[name].description or "") > 40


def test_code_versions_differ_between_assets(definitions: dg.Definitions) -> None:
    versions = [spec.code_version for spec in specs(definitions).values()]
    assert len(set(versions)) == len(versions)


def test_fold_keys_and_checks_of_folds_are_partitioned_alike(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    for name, spec in specs(definitions).items():
        for key in graph.get(spec.key).check_keys:
            partitions = graph.get(key).partitions_def
            assert (partitions == spec.partitions_def) if partitions_of(spec) == "fold" else partitions is None, name
        if spec.partitions_def is not None and partitions_of(spec) == "fold":
            assert tuple(spec.partitions_def.get_partition_keys()) == FOLDS


def test_a_range_of_days_is_one_run_and_a_fold_is_a_run_of_its_own(definitions: dg.Definitions) -> None:
    for assets in definitions.get_repository_def().assets_defs_by_key.values():
        if {key.to_user_string() for key in assets.keys} <= DOCUMENTS:
            continue
        name = assets.key.to_user_string()
        expected = {"day": dg.BackfillPolicy.single_run(), "fold": dg.BackfillPolicy.multi_run(1), None: None}
        assert assets.backfill_policy == expected[GRAPH[name][0]], name


def test_every_schedule_sensor_and_job_says_in_the_ui_what_it_is_for(definitions: dg.Definitions) -> None:
    repository = definitions.get_repository_def()
    named = {each.name: each for each in (*repository.schedule_defs, *repository.sensor_defs)}
    named |= {job: definitions.resolve_job_def(job) for job in description_of(definitions)["jobs"]}
    assert {name for name, each in named.items() if len(each.description or "") < 20} == set()


def test_no_job_mixes_partition_sets(definitions: dg.Definitions) -> None:
    for job, assets in description_of(definitions)["jobs"].items():
        assert len({GRAPH[name][0] for name in assets} - {None}) <= 1, job
    assert {name for assets in description_of(definitions)["jobs"].values() for name in assets} == set(GRAPH)


def test_the_graph_is_as_in_the_snapshot(definitions: dg.Definitions) -> None:
    assert description_of(definitions) == json.loads(SNAPSHOT.read_text(encoding="utf-8")), __doc__


def test_dagster_and_the_model_agree_on_the_graph(definitions: dg.Definitions) -> None:
    documents = {stage.name: {document_asset(name) for name in stage.documents} for stage in STAGES}
    reads = {stage.name: set(stage.upstream) | documents[stage.name] for stage in STAGES}
    assert reads == {name: deps for name, (_, deps) in GRAPH.items()}
    assert {stage.name: stage.description for stage in STAGES} == {
        name: spec.description for name, spec in specs(definitions).items()
    }


def test_a_source_that_has_ended_is_never_late(definitions: dg.Definitions) -> None:
    assert all(spec.freshness_policy is None for spec in specs(definitions).values())


def test_an_open_source_must_be_fresh_by_the_morning(fresh_environment: dict[str, str], tmp_path: Path) -> None:
    preset = tmp_path / "open.yaml"
    preset.write_text(yaml.safe_dump({"extends": str(TINY), "source": {"kind": "files", "path": "bars.parquet"}}))
    program = (
        "from gogooku_dagster.definitions import defs\n"
        "late = {s.key.to_user_string(): s.freshness_policy for s in defs().resolve_all_asset_specs()}\n"
        "late = {name: policy for name, policy in late.items() if policy}\n"
        "print(sorted(late), {(p.deadline_cron, p.timezone) for p in late.values()})\n"
    )
    output = run({**fresh_environment, "GOGOOKU_CONFIG": str(preset)}, "-c", program)
    assert output.strip().splitlines()[-1] == (
        "['daily_quotes', 'quality_features', 'raw_dataset'] {('0 8 * * 2-6', 'Asia/Tokyo')}"
    )


def test_loading_imports_no_heavy_library_and_causes_no_warning(fresh_environment: dict[str, str]) -> None:
    program = (
        "import sys, warnings\n"
        "warnings.simplefilter('error', DeprecationWarning)\n"
        "from dagster_shared.utils.warnings import BetaWarning, PreviewWarning, SupersessionWarning\n"
        "for each in (BetaWarning, PreviewWarning, SupersessionWarning): warnings.simplefilter('error', each)\n"
        "import gogooku_dagster.definitions\n"
        "gogooku_dagster.definitions.defs().get_repository_def()\n"
        f"print(sorted(set({HEAVY}) & set(sys.modules)))\n"
    )
    assert run(fresh_environment, "-c", program).strip().splitlines()[-1] == "[]"


def test_dagster_validates_the_workspace(fresh_environment: dict[str, str]) -> None:
    output = run(fresh_environment, "-m", "dagster", "definitions", "validate", "-w", "workspace.yaml")
    assert "Validation successful for code location gogooku" in output
    assert "does not match" not in output


def test_the_code_location_has_one_name() -> None:
    workspace = yaml.safe_load((ROOT / "workspace.yaml").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    [entry] = workspace["load_from"]
    assert entry["python_module"]["location_name"] == project["dg"]["project"]["code_location_name"]
    assert entry["python_module"]["module_name"] == f"{project['dg']['project']['root_module']}.definitions"
    assert "dagster" not in project, "[tool.dagster] would silently win over workspace.yaml"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, kept_environment():
        fresh = Place(Path(folder) / "home")
        fresh.home.mkdir()
        fresh.configure()
        SNAPSHOT.write_text(json.dumps(description_of(fresh.definitions), indent=1) + "\n", encoding="utf-8")
        sys.stdout.write(f"{SNAPSHOT}\n")
