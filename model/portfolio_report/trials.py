"""How many strategies were tried before this one was chosen: the number that the deflated Sharpe ratio answers for.

Every configuration that was ever trained in a home is kept in the tracking store; the orchestration writes their hashes
into one document beside the artefacts after each training, and an ablation on the home's data those that it compared.
The report names that document among its inputs. So the number is the same whenever and wherever the same history is
evaluated, and a report is stale once more was tried.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from model.portfolio_report.inputs import ORACLE, SUBMITTED, Inputs
from model.store import documents
from model.store.documents import TRIALS
from model.store.store import Store

if TYPE_CHECKING:
    from model.settings.root import Settings

SECTIONS = ("features", "labels", "normalization", "graph", "tensors", "network", "training", "seed")
"""Settings that make a different model of the same data and folds."""


@dataclass(frozen=True)
class Trials:
    """The number, and what it is made of."""

    number: int
    configurations: int | None
    """Distinct configurations of the network tried in this home; None where nothing was recorded."""
    others: int
    """Models in the table beside the subject."""
    at_least: int
    """The setting ``portfolio.trials``."""
    submitted: bool = False
    """The subject is somebody else's."""

    @property
    def source(self) -> str:
        """Where the number comes from, in words."""
        if self.submitted:
            return "the setting portfolio.trials: what the author of the predictions tried is not known here"
        trained = "no configuration recorded in this home, so the network counts once"
        if self.configurations is not None:
            plural = "" if self.configurations == 1 else "s"
            trained = f"{self.configurations} configuration{plural} of the network tried in this home"
        text = f"{trained}, and {self.others} other models in the table"
        if self.number > (self.configurations or 1) + self.others:
            return f"the setting portfolio.trials, which is above the count ({text})"
        return text

    def to_json(self) -> dict[str, Any]:
        """The report's part ``trials``."""
        return {
            "number": self.number,
            "configurations": self.configurations,
            "others": self.others,
            "at_least": self.at_least,
            "source": self.source,
        }


def configuration_hash(settings: "Settings") -> str:
    """What tells one trained configuration from another."""
    return settings.hash_of(*SECTIONS)


def record(store: Store, configurations: Collection[str]) -> None:
    """Remember every configuration that was ever trained; what was remembered before is kept."""
    known = set(recorded(store) or ())
    documents.write(store, TRIALS, {"configurations": sorted(known | set(configurations))})


def recorded(store: Store) -> tuple[str, ...] | None:
    """The remembered configurations; None where nothing was recorded."""
    document = documents.read(store, TRIALS)
    return None if document is None else tuple(document["configurations"])


def count(inputs: Inputs, configurations: Collection[str] | None, at_least: int) -> Trials:
    """The number of trials behind a table of models.

    Args:
        configurations: of the subject's kind, as remembered.
        at_least: the setting ``portfolio.trials``.
    """
    others = sum(model not in (inputs.subject, ORACLE) for model in inputs.models)
    known = None if configurations is None else len(set(configurations))
    return Trials(max((known or 1) + others, at_least), known, others, at_least, inputs.subject == SUBMITTED)
