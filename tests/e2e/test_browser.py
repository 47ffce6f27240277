"""What people see: the graph in Dagster, and the report in the browser."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from gogooku_dagster.lib.assets import document_asset
from model.lineage.graph import ASSET_NAMES, BY_NAME
from tests.conftest import Computed
from tests.e2e.conftest import Browser, request

pytestmark = pytest.mark.e2e

ASSETS = """
{
  assetNodes {
    assetKey { path }
    groupName
    description
    isPartitioned
    partitionStats { numPartitions numMaterialized numFailed }
    assetMaterializations(limit: 1) { runId }
    assetChecksOrError {
      ... on AssetChecks { checks { name blocking executionForLatestMaterialization { status } } }
    }
    repository { location { name } }
  }
}
"""


FITS_A_NODE = 18
"""Letters that a node of the graph has room for; longer names are shortened in the middle."""


def is_label(text: str, name: str) -> bool:
    """Whether a text of the graph is an asset's name, whole or with an ellipsis in the middle."""
    start, ellipsis, end = text.partition("…")
    return text == name or bool(ellipsis and start and end and name.startswith(start) and name.endswith(end))


def colours(path: Path) -> int:
    """How many colours a picture has; a blank page has one."""
    with Image.open(path) as picture:
        found = picture.convert("RGB").getcolors(maxcolors=1 << 24)
    return len(found or [])


@pytest.fixture(scope="module")
def nodes(dagster: str) -> dict[str, dict[str, Any]]:
    answer = request(f"{dagster}/graphql", {"query": ASSETS})
    assert "errors" not in answer, answer["errors"]
    return {"/".join(node["assetKey"]["path"]): node for node in answer["data"]["assetNodes"]}


def test_dagster_shows_the_eleven_assets_in_one_code_location(nodes: dict[str, dict[str, Any]]) -> None:
    documents = {document_asset(name) for stage in BY_NAME.values() for name in stage.documents}
    assert set(nodes) == set(ASSET_NAMES) | documents
    assert len(ASSET_NAMES) == 11
    assert {node["repository"]["location"]["name"] for node in nodes.values()} == {"gogooku"}
    assert all(node["description"] for node in nodes.values())


@pytest.mark.parametrize("name", ASSET_NAMES)
def test_every_asset_is_materialised_in_every_partition(nodes: dict[str, dict[str, Any]], name: str) -> None:
    node = nodes[name]
    assert node["isPartitioned"] == (BY_NAME[name].partitions != "none")
    assert node["assetMaterializations"]
    if node["isPartitioned"]:
        stats = node["partitionStats"]
        assert stats["numPartitions"] == stats["numMaterialized"] > 0
        assert stats["numFailed"] == 0


@pytest.mark.parametrize("name", ASSET_NAMES)
def test_every_blocking_check_was_run_and_passed(nodes: dict[str, dict[str, Any]], name: str) -> None:
    checks = nodes[name]["assetChecksOrError"]["checks"]
    blocking = [check for check in checks if check["blocking"]]
    assert blocking
    states = {check["name"]: check["executionForLatestMaterialization"] for check in blocking}
    assert {check: state and state["status"] for check, state in states.items()} == dict.fromkeys(states, "SUCCEEDED")


def test_the_graph_page_draws_every_asset(dagster: str, browser: Browser, tmp_path: Path) -> None:
    browser.open(f"{dagster}/assets/portfolio_report?view=lineage&lineageScope=upstream&lineageDepth=10")
    assert browser.wait_until_shown([name for name in ASSET_NAMES if len(name) <= FITS_A_NODE]) == []
    drawn = browser.script("return document.body.innerText").split()
    assert [name for name in ASSET_NAMES if not any(is_label(text, name) for text in drawn)] == []
    assert colours(browser.screenshot(tmp_path / "graph.png")) > 50


def test_the_catalogue_page_names_every_asset(dagster: str, browser: Browser, tmp_path: Path) -> None:
    browser.open(f"{dagster}/assets")
    assert browser.wait_until_shown(list(ASSET_NAMES)) == []
    assert colours(browser.screenshot(tmp_path / "assets.png")) > 50


def test_the_report_is_one_page_that_loads_nothing_else(pipeline: Computed, browser: Browser, tmp_path: Path) -> None:
    page = pipeline.home / "artifacts" / "portfolio_report" / "all" / "report.html"
    browser.open(page.as_uri())
    assert browser.wait_until_shown(["RankIC", "ATFT-GAT-FAN"], seconds=20) == []
    outside = browser.script("return performance.getEntriesByType('resource').map(e => e.name)")
    assert [name for name in outside if not name.startswith(("data:", "blob:"))] == []
    assert colours(browser.screenshot(tmp_path / "report.png")) > 50


@pytest.mark.parametrize("width", [390, 820, 1440], ids=["phone", "tablet", "laptop"])
def test_the_report_fits_the_screen(pipeline: Computed, browser: Browser, width: int) -> None:
    page = pipeline.home / "artifacts" / "portfolio_report" / "all" / "report.html"
    browser.resize(width)
    browser.open(page.as_uri())
    assert browser.wait_until_shown(["RankIC", "js-plotly-plot"], seconds=20) == []
    assert browser.script("return window.innerWidth") == width
    assert browser.script("return document.documentElement.scrollWidth <= window.innerWidth")
