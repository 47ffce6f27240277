"""One fold: which trading day plays which part."""

from dataclasses import dataclass
from datetime import date
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from model.store.store import Store

ASSET = "walk_forward_folds"

Role = Literal["lookback", "train", "purge", "validation", "embargo", "test", "resolution"]


@dataclass(frozen=True)
class Fold:
    """The trading days of a fold, in order, each with its role and its reach.

    ``lookback`` days come before the training and only feed windows. ``purge`` days are those on which labels of
    the part before are still open, ``embargo`` days follow them. ``resolution`` days come after the test: on them
    the labels of the test days resolve; nothing is predicted there. On a train day the labels up to its reach are
    fitted; its longer ones would resolve too close to a part that judges.
    """

    name: str
    window_dates: tuple[date, ...]
    """Every day of which anything may be read, increasing."""
    roles: tuple[Role, ...]
    """The role of each of ``window_dates``."""
    reach: tuple[int, ...]
    """Of each of ``window_dates``, the longest horizon of its labels that are used, in trading days.

    The longest there is on days that are chosen by or tested, that or less on train days, 0 on all others.
    """
    purge_days: int
    """Trading days until the longest label resolves."""
    embargo_days: int
    """Trading days left out after that."""

    @classmethod
    def load(cls, store: "Store", name: str) -> "Fold":
        """The stored fold.

        Raises:
            StoreError: it is not materialised, or its files are not as written.
        """
        document = store.read_json(ASSET, "fold.json", name)
        dates = store.read_table(ASSET, "dates.parquet", name, ["Date", "role", "reach"])
        return cls(
            name=document["fold"],
            window_dates=tuple(dates["Date"].to_list()),
            roles=tuple(dates["role"].to_list()),
            reach=tuple(dates["reach"].to_list()),
            purge_days=document["purge_days"],
            embargo_days=document["embargo_days"],
        )

    def dates_of(self, *roles: Role) -> tuple[date, ...]:
        """The days that have one of the roles, in order."""
        return tuple(day for day, role in zip(self.window_dates, self.roles, strict=True) if role in roles)

    @cached_property
    def train_dates(self) -> tuple[date, ...]:
        """Days of which at least the shortest label may be fitted."""
        return self.dates_of("train")

    def fitted_dates(self, horizon: int) -> tuple[date, ...]:
        """Train days whose label over ``horizon`` trading days may be fitted, in order."""
        days = zip(self.window_dates, self.roles, self.reach, strict=True)
        return tuple(day for day, role, reach in days if role == "train" and reach >= horizon)

    @cached_property
    def validation_dates(self) -> tuple[date, ...]:
        """Days on which training is stopped early and choices are made."""
        return self.dates_of("validation")

    @cached_property
    def test_dates(self) -> tuple[date, ...]:
        """Days that are predicted out of fold."""
        return self.dates_of("test")

    @property
    def window_start(self) -> date:
        """First day of which anything may be read."""
        return self.window_dates[0]

    @property
    def window_end(self) -> date:
        """Last day of which anything may be read."""
        return self.window_dates[-1]

    @property
    def train_start(self) -> date:
        """First train day."""
        return self.train_dates[0]

    @property
    def train_end(self) -> date:
        """Last train day."""
        return self.train_dates[-1]

    @property
    def validation_start(self) -> date:
        """First validation day."""
        return self.validation_dates[0]

    @property
    def validation_end(self) -> date:
        """Last validation day."""
        return self.validation_dates[-1]

    @property
    def test_start(self) -> date:
        """First test day."""
        return self.test_dates[0]

    @property
    def test_end(self) -> date:
        """Last test day."""
        return self.test_dates[-1]

    @property
    def active_end(self) -> date:
        """Last day that is trained on, chosen on or tested."""
        return max(self.train_end, self.validation_end, self.test_end)

    @property
    def gap_days(self) -> int:
        """Trading days strictly between a day whose longest label is used and the next part."""
        return self.purge_days + self.embargo_days

    @property
    def n_train(self) -> int:
        """Number of train days."""
        return len(self.train_dates)

    @property
    def n_validation(self) -> int:
        """Number of validation days."""
        return len(self.validation_dates)

    @property
    def n_test(self) -> int:
        """Number of test days."""
        return len(self.test_dates)

    def stretches(self) -> tuple[tuple[Role, date, date, int], ...]:
        """Runs of days of one role in the order of time: role, first day, last day, number of days."""
        found: list[tuple[Role, date, date, int]] = []
        for role, group in groupby(zip(self.roles, self.window_dates, strict=True), key=lambda pair: pair[0]):
            days = [day for _, day in group]
            found.append((role, days[0], days[-1], len(days)))
        return tuple(found)

    def document(self) -> dict[str, Any]:
        """What ``fold.json`` holds: plain values, dates as ISO text; ``*_start`` and ``*_end`` are first and last."""
        dates = ("train_start", "train_end", "validation_start", "validation_end", "test_start", "test_end")
        counts = ("gap_days", "purge_days", "embargo_days", "n_train", "n_validation", "n_test")
        return {
            "fold": self.name,
            **{key: getattr(self, key).isoformat() for key in (*dates, "window_start", "window_end")},
            **{key: getattr(self, key) for key in counts},
            **{f"n_{role}": self.roles.count(role) for role in ("lookback", "resolution")},
            "stretches": [
                {"role": role, "start": first.isoformat(), "end": last.isoformat(), "days": days}
                for role, first, last, days in self.stretches()
            ],
        }
