"""The distribution of the labels, and when it is not plausible."""

from collections.abc import Iterator
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.labels.distribution import check_distribution, measure

DAYS, NAMES = 12, 30


def labels(seed: int = 0, scale: float = 0.03) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    days = [date(2020, 1, 6) + timedelta(days=day) for day in range(DAYS) for _ in range(NAMES)]
    values = {h: scale * h**0.5 * random.standard_normal(len(days)) for h in (1, 5)}
    return pl.DataFrame({"Date": days, **{f"target_{h}": of_one.astype(np.float32) for h, of_one in values.items()}})


def months(frame: pl.DataFrame, cut: int) -> Iterator[pl.DataFrame]:
    yield from (frame[: cut * NAMES], frame[cut * NAMES :])


@given(cut=st.integers(0, DAYS), seed=st.integers(0, 20))
@settings(max_examples=10, deadline=None)
def test_the_sums_of_months_give_the_moments_of_the_whole(cut: int, seed: int) -> None:
    frame = labels(seed).with_columns(target_5=pl.when(pl.int_range(pl.len()) % 7 > 0).then("target_5"))
    found = measure(months(frame, cut), [1, 5])
    for h in (1, 5):
        own = frame[f"target_{h}"].drop_nulls().to_numpy().astype(float)
        assert (found[h].rows, found[h].count) == (DAYS * NAMES, len(own))
        assert found[h].mean == pytest.approx(own.mean(), abs=1e-12)
        assert found[h].std == pytest.approx(own.std(), rel=1e-9)
        assert (found[h].days, found[h].flat_days, found[h].zeros, found[h].giants) == (DAYS, 0, 0, 0)


def test_ordinary_returns_pass_and_every_figure_is_a_number() -> None:
    outcome = check_distribution(months(labels(), 5), [1, 5])
    assert outcome.passed and outcome.summary == "Labels of 2 horizons; all are plausible."
    assert all(isinstance(value, (int, float)) for value in outcome.metadata.values())
    assert outcome.metadata["null_share_5"] == 0.0


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (pl.lit(0.01), "all labels are equal"),
        (pl.col("target_5") + 0.2, "far off centre"),
        (pl.when(pl.int_range(pl.len()) % 50 == 0).then(40.0).otherwise("target_5"), "lie beyond 200%"),
        (pl.when(pl.int_range(pl.len()) % 3 > 0).then(0.0).otherwise("target_5"), "are exactly 0"),
        (pl.lit(None, pl.Float32), "no label at all"),
        (
            pl.when(pl.col("Date") == pl.date(2020, 1, 8)).then(0.01).otherwise("target_5"),
            "all names have the same label on 1 of 12 days",
        ),
    ],
)
def test_what_is_not_plausible_is_said(damage: pl.Expr, words: str) -> None:
    outcome = check_distribution(months(labels().with_columns(target_5=damage), 7), [1, 5])
    assert not outcome.passed and outcome.severity == "warn"
    assert "5 days: " in outcome.summary and words in outcome.summary and "1 days" not in outcome.summary


def test_no_months_are_no_labels() -> None:
    assert "no label at all" in check_distribution([], [1]).summary
