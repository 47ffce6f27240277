"""Whether bars make a cross-section at all."""

import polars as pl

from model.errors import DataError


def require_names(names_by_day: pl.Series, codes: int, needed: int, where: str = "The source") -> None:
    """Refuse bars of too few names.

    Days without any price are left out of account, as long as there are others: the exchange stood still.

    Args:
        names_by_day: names with a close, one value a day.
        codes: distinct codes over all days.
        where: what holds the bars, such as the file's path.

    Raises:
        DataError: the median day has fewer than ``needed`` names, or no day has any.
    """
    median = names_by_day.filter(names_by_day > 0).median()
    names = float(median) if isinstance(median, (int, float)) else 0.0
    if names < needed:
        raise DataError(
            f"{where} holds {_counted(codes, 'code')} on {_counted(len(names_by_day), 'day')}, and the median day has "
            f"{_counted(round(names), 'name')} with a close; a cross-section needs at least {needed}. Give the source "
            "more names, or lower quality.min_names."
        )


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
