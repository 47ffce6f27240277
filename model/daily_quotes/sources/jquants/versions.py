"""What was known when: every row of a unit with the versions it has had.

``_Seen`` is when a version was first seen if an earlier ask did not find it though it was published, and null
otherwise (it then counts from its publication). ``_Until`` is when the version was superseded, null for the newest one.
"""

from datetime import datetime

import polars as pl

from model.daily_quotes.sources.jquants.tables import Table
from model.errors import SourceError

SEEN, UNTIL = "_Seen", "_Until"
_TIME = pl.Datetime("us", "UTC")
_CUT_SHARE = 0.5
_CUT_ROWS = 20
"""An answer with fewer than half the rows on record, of more than so many, was cut rather than corrected."""


def current(frame: pl.DataFrame) -> pl.DataFrame:
    """The newest version of every row, version columns included."""
    return frame.filter(pl.col(UNTIL).is_null())


def first_versions(answer: pl.DataFrame) -> pl.DataFrame:
    """A first answer: all of it known since its publication."""
    return answer.with_columns(pl.lit(None, dtype=_TIME).alias(SEEN), pl.lit(None, dtype=_TIME).alias(UNTIL))


def is_cut(table: Table, known: int, answered: int) -> bool:
    """Whether so many rows are a cut answer, where so many are on record."""
    whole = table.cadence != "year"  # a plan's window cuts the oldest year short
    return whole and known > _CUT_ROWS and answered < _CUT_SHARE * known


def update(
    table: Table, unit: str, known: pl.DataFrame, answer: pl.DataFrame, now: datetime, overdue: pl.Series | None = None
) -> pl.DataFrame:
    """The versions after another answer; ``known`` itself where it says nothing new.

    Tables of which a row is replaced (bars, index levels) date every novelty in a day from now. In a year, which is
    asked for again as it grows, and in the other tables a new row counts from its own publication or, where it is
    overdue, from now, a changed one from now, and none ever goes away: it was published.

    Args:
        overdue: for each row of the answer, whether an earlier ask should have found it; none by default.

    Raises:
        SourceError: the answer has far fewer rows than are on record.
    """
    newest, replaces = current(known), table.replaces and table.cadence != "year"
    if is_cut(table, newest.height, answer.height):
        raise SourceError(
            f"J-Quants answered {table.name} for {unit} with {answer.height} rows, where {newest.height} are on "
            "record: that is a cut answer rather than a correction, so nothing was replaced. Run the command again "
            "later."
        )
    key, values = list(table.key), [name for name in table.columns if name not in table.key]
    pairs = newest.select(table.columns).join(
        answer.with_columns(_there=True), on=key, how="full", suffix="_new", coalesce=True
    )
    had = newest.select(key).with_columns(_had=True)
    pairs = pairs.join(had, on=key, how="left")
    differs = pl.any_horizontal(*(pl.col(name).ne_missing(pl.col(f"{name}_new")) for name in values))
    both = pl.col("_had").is_not_null() & pl.col("_there").is_not_null()
    changed = pairs.filter(both & differs).select(key)
    added = pairs.filter(pl.col("_had").is_null()).select(key)
    gone = pairs.filter(pl.col("_there").is_null()).select(key) if replaces else added.clear()
    if not (changed.height or added.height or gone.height):
        return known
    stamp = pl.lit(now).cast(_TIME)
    ended = pl.concat([changed, gone]).with_columns(_ended=True)
    old = known.join(ended, on=key, how="left", maintain_order="left").with_columns(
        pl.when(pl.col("_ended").is_not_null() & pl.col(UNTIL).is_null()).then(stamp).otherwise(UNTIL).alias(UNTIL)
    )
    late = added if replaces else added.clear()
    if overdue is not None and not replaces:
        late = added.join(answer.filter(overdue), on=key, how="semi")
    seen = answer.join(pl.concat([changed, late]), on=key, how="semi")
    punctual = answer.join(added.join(late, on=key, how="anti"), on=key, how="semi")
    fresh = first_versions(seen).with_columns(stamp.alias(SEEN)), first_versions(punctual)
    return pl.concat([old.drop("_ended"), *fresh]).sort(*key, SEEN, nulls_last=False, maintain_order=True)
