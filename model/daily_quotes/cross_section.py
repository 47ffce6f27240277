"""Whether bars make a cross-section at all."""

import polars as pl

from model.errors import DataError


def require_names(names_by_day: pl.Series, codes: int, needed: int) -> None:
    """Refuse bars of too few names.

    Args:
        names_by_day: names with a close, one value a day.
        codes: distinct codes over all days.

    Raises:
        DataError: the median day has fewer than ``needed`` names.
    """
    median = names_by_day.median()
    names = float(median) if isinstance(median, (int, float)) else 0.0
    if names < needed:
        raise DataError(
            f"The {len(names_by_day)} days hold {codes} codes, and the median day has {names:.0f} names with a close; "
            f"a cross-section needs at least {needed}. Give the source more names, or lower quality.min_names."
        )
