"""The resource that every asset works with: the store, the settings and the lineage of one installation."""

from pathlib import Path

import dagster as dg
from pydantic import Field

from gogooku_dagster.lib.home import Installation
from model.lineage.staleness import Lineage


class Workspace(dg.ConfigurableResource):
    """Where artefacts lie and which configuration computes them."""

    home: str = Field(description="Storage root (GOGOOKU_HOME).")
    preset: str = Field(description="Preset file whose settings are used (GOGOOKU_CONFIG).")

    def installation(self) -> Installation:
        """Home and configuration."""
        return Installation(Path(self.home), Path(self.preset))


def lineage(installation: Installation) -> Lineage:
    """The graph over an installation's store, with the days of the source as they were last looked up."""
    from model.lineage.source_days import known_days

    return Lineage(installation.store, installation.settings, known_days(installation.store, installation.settings))
