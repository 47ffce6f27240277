"""Cron expressions, read closely enough to refuse what is none (the scheduler would end in a traceback)."""

_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of the month", 1, 31), ("month", 1, 12), ("weekday", 0, 7))
_NAMES = {
    "month": ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"),
    "weekday": ("sun", "mon", "tue", "wed", "thu", "fri", "sat"),
}


def require(text: str) -> str:
    """The expression itself, after making sure that it is one.

    Raises:
        ValueError: it has not five fields, or a field is not what a cron expression has there.
    """
    fields = text.split()
    if len(fields) != len(_FIELDS):
        raise ValueError(
            f"{text!r} is not a cron expression: five fields (minute, hour, day of the month, month, weekday), such as "
            "'0 20 * * 1-5' for 20:00 from Monday to Friday"
        )
    for field, (name, least, most) in zip(fields, _FIELDS, strict=True):
        if not all(_is_range(part, name, least, most) for part in field.split(",")):
            raise ValueError(
                f"{text!r} is not a cron expression: its {name} is {field!r}; write *, a number from {least} to "
                f"{most}, a range such as 1-5, a step such as */2, or several of them with commas between them"
            )
    return text


def _is_range(text: str, field: str, least: int, most: int) -> bool:
    """``*`` or ``a`` or ``a-b``, each with ``/step`` where wanted."""
    span, sign, step = text.partition("/")
    if sign and not (step.isdecimal() and 1 <= int(step) <= most):
        return False
    if span == "*":
        return True
    first, dash, last = span.partition("-")
    ends = [_number(each, field, least) for each in ((first, last) if dash else (first,))]
    known = [end for end in ends if end is not None and least <= end <= most]
    return len(known) == len(ends) and known == sorted(known)


def _number(text: str, field: str, least: int) -> int | None:
    names = _NAMES.get(field, ())
    if text.lower() in names:
        return names.index(text.lower()) + least
    return int(text) if text.isdecimal() and text.isascii() else None
