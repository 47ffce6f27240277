"""The report as its schema says."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from model.portfolio_report.document import Report
from model.portfolio_report.inputs import Inputs
from tests.model.portfolio_report.synthetic import make_inputs
from tests.model.portfolio_report.test_compare import SETTINGS, run


def undescribed(schema: dict[str, Any]) -> Iterator[str]:
    """Keys of the document without a meaning."""
    for name, part in {"Report": schema, **schema["$defs"]}.items():
        yield from (f"{name}.{key}" for key, found in part["properties"].items() if not found.get("description"))


@pytest.mark.parametrize(
    "inputs",
    [make_inputs(days=70, names=25, horizons=(1, 5)), make_inputs(days=60, names=25, horizons=(5,), oracle=False)],
    ids=["with_oracle", "without"],
)
def test_a_real_document_has_the_declared_keys_and_no_others(inputs: Inputs) -> None:
    document = run(inputs, SETTINGS).report
    parsed = Report.model_validate_json(json.dumps(document, allow_nan=False))
    assert json.loads(parsed.model_dump_json(exclude_unset=True)) == document


def test_every_key_is_described() -> None:
    assert list(undescribed(Report.model_json_schema())) == []
