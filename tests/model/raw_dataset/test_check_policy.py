"""``quality.checks`` decides what a data check does."""

import importlib
from typing import Any

import pytest
from pydantic import ValidationError

from model.lineage.graph import BY_NAME
from model.raw_dataset.check_names import CHECKS_OF, DATA_CHECKS
from model.raw_dataset.check_policy import refuses, under_policy
from model.raw_dataset.settings import QualitySettings
from model.store.checks import Check, CheckOutcome


def check(name: str, *, blocking: bool, severity: Any = "error") -> Check:
    def run(store: Any, settings: Any, partition: Any) -> CheckOutcome:
        return CheckOutcome(False, f"{name} failed", severity, {"rows": 3})

    return Check(name, "A check.", run, blocking)


OWN = (
    check("coverage", blocking=False, severity="warn"),
    check("quarantined_share", blocking=True),
    check("outliers", blocking=False, severity="warn"),
)


@pytest.mark.parametrize("asset", list(CHECKS_OF))
def test_the_names_that_settings_know_are_those_of_the_rooms(asset: str) -> None:
    found = {check.name for check in importlib.import_module(f"model.{asset}.checks").CHECKS}
    assert found == set(CHECKS_OF[asset]), "update model/raw_dataset/check_names.py"


def test_a_name_stands_for_one_check_of_the_data_only() -> None:
    assert len(set(DATA_CHECKS)) == len(DATA_CHECKS)


def test_without_a_policy_checks_stay_as_they_declare_themselves() -> None:
    assert under_policy("raw_dataset", OWN, {}) == OWN


def test_a_policy_makes_checks_block_warn_or_go() -> None:
    policy = QualitySettings(checks={"coverage": "block", "quarantined_share": "warn", "outliers": "off"}).checks
    blocks, warns = under_policy("raw_dataset", OWN, policy)
    assert (blocks.name, blocks.blocking) == ("coverage", True)
    assert (warns.name, warns.blocking) == ("quarantined_share", False)
    outcome = blocks.run(None, None, None)  # type: ignore[arg-type]
    assert (outcome.severity, outcome.passed, outcome.metadata) == ("error", False, {"rows": 3})
    assert warns.run(None, None, None).severity == "warn"  # type: ignore[arg-type]


def test_the_policy_of_the_data_leaves_other_assets_alone() -> None:
    finite = (check("finite", blocking=True),)
    assert under_policy("atft_tensors", finite, {"finite": "off"}) == finite
    assert under_policy("quality_features", finite, {"finite": "off"}) == ()


def test_a_failure_on_record_counts_as_the_settings_say_now() -> None:
    assert refuses("raw_dataset", "coverage", False, {"coverage": "block"})
    assert not refuses("raw_dataset", "coverage", True, {"coverage": "warn"})
    assert not refuses("raw_dataset", "coverage", True, {"coverage": "off"})
    assert refuses("raw_dataset", "coverage", True, {"outliers": "off"})
    assert refuses("atft_tensors", "finite", True, {"finite": "off"})


def test_unknown_checks_and_modes_are_refused_with_a_hint() -> None:
    with pytest.raises(ValidationError, match=r"no data check named outlier \(did you mean 'outliers'"):
        QualitySettings(checks={"outlier": "warn"})
    with pytest.raises(ValidationError, match="those are schema, duplicates"):
        QualitySettings(checks={"xyzzy": "warn"})
    with pytest.raises(ValidationError, match="'block', 'warn' or 'off'"):
        QualitySettings(checks={"outliers": "no"})  # type: ignore[dict-item]


def test_a_bare_off_in_yaml_is_off() -> None:
    assert QualitySettings.model_validate({"checks": {"outliers": False}}).checks == {"outliers": "off"}


def test_what_only_the_checks_read_makes_no_artefact_stale() -> None:
    plain = QualitySettings()
    other = QualitySettings(checks={"outliers": "off"}, outlier_mads=30, stale_days=5, max_panel_null_share=0.5)
    assert plain.hashed() == other.hashed()


@pytest.mark.parametrize("asset", list(CHECKS_OF))
def test_every_check_of_the_data_says_what_it_asks(asset: str) -> None:
    assert all(check.description.endswith(".") for check in BY_NAME[asset].checks())
