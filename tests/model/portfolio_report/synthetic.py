"""A small market with planted skill, written as the artefacts that the report reads.

``python -m tests.model.portfolio_report.synthetic FOLDER`` renders the page of it, to look at.
"""

import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from model.portfolio_report.inputs import BASELINES, NETWORK, ORACLE, STORED_RANDOM, Inputs
from model.portfolio_report.settings import PortfolioSettings
from tests.model.portfolio.markets import trading_days

HORIZONS = (1, 5, 10, 20)
SKILL = {
    NETWORK: 1.0,
    "lightgbm": 0.62,
    "lightgbm_rank": 0.6,
    "ridge": 0.45,
    "momentum_120d": 0.1,
    "reversal_1d": 0.15,
    ORACLE: 1.6,
}


def make_inputs(
    days: int = 120,
    names: int = 40,
    folds: int = 3,
    horizons: tuple[int, ...] = HORIZONS,
    seed: int = 1,
    oracle: bool = True,
    skill: float = 0.25,
) -> Inputs:
    """Random returns, and predictions that know a planted share of what follows."""
    rng = np.random.default_rng(seed)
    reach = max(horizons)
    calendar = trading_days(days + reach + 1)
    codes = [f"{1000 + 10 * n}0" for n in range(names)]
    state = np.zeros((days + reach + 1, names))
    for t in range(1, len(state)):
        state[t] = 0.9 * state[t - 1] + rng.normal(size=names) * np.sqrt(1 - 0.81)
    noise = rng.normal(size=state.shape)
    market_move = rng.normal(size=(len(state), 1)) * 0.008
    # returns[t] is earned from t to t + 1
    returns = 0.0004 + market_move + 0.018 * (0.06 * state + noise)
    log = np.vstack([np.zeros(names), np.cumsum(np.log1p(returns), axis=0)])
    test = calendar[:days]
    frames = []
    for h in horizons:
        ahead = np.expm1(log[h : h + days] - log[:days])
        scores = {
            model: skill * worth * state[:days] + rng.normal(size=(days, names)) for model, worth in SKILL.items()
        }
        scores[ORACLE] = state[:days].copy()
        frames.append(
            pl.DataFrame(
                {
                    "Date": np.repeat(np.array(test, dtype="datetime64[D]"), names),
                    "Code": codes * days,
                    "horizon": np.full(days * names, h, dtype=np.int32),
                    "path": np.zeros(days * names, dtype=np.int32),
                    "fold": np.repeat([f"wf_{min(n * folds // days, folds - 1) + 1}" for n in range(days)], names),
                    "label": ahead.ravel(),
                    **{model: scores[model].ravel() for model in (NETWORK, *BASELINES, ORACLE)},
                    STORED_RANDOM: rng.normal(size=days * names),
                },
                schema_overrides={"Date": pl.Date},
            )
        )
    predictions = pl.concat(frames).sort("horizon", "Date", "Code")
    cut = days + reach
    market = pl.DataFrame(
        {
            "Date": np.repeat(np.array(calendar[:cut], dtype="datetime64[D]"), names),
            "Code": codes * cut,
            "return_next": returns[:cut].ravel(),
            "entry_return_next": returns[:cut].ravel(),
            "can_buy_next": rng.random(cut * names) > 0.01,
            "can_sell_next": rng.random(cut * names) > 0.01,
            "Sector": [f"Sector {n % 6}" for n in range(names)] * cut,
            "turnover_20": (np.exp(rng.normal(18, 1, names))[None, :] * np.ones((cut, 1))).ravel(),
            **dict.fromkeys(("price", "close"), 1000.0 * np.exp(log[:cut]).ravel()),
        },
        schema_overrides={"Date": pl.Date},
    )
    if not oracle:
        predictions = predictions.drop(ORACLE)
    return Inputs(predictions, market, tuple(test), tuple(_folds(predictions)))


def _stretches(days: list[date]) -> list[dict[str, Any]]:
    """Train, purge, validation, embargo and test between first and last days of the parts."""
    ends = list(zip(("train", "purge", "validation", "embargo", "test"), days[:-1], days[1:], strict=True))
    return [{"role": role, "start": a.isoformat(), "end": b.isoformat(), "days": (b - a).days} for role, a, b in ends]


def _folds(predictions: pl.DataFrame) -> list[dict[str, Any]]:
    documents = []
    for (fold,), rows in predictions.group_by("fold", maintain_order=True):
        first, last = rows["Date"].min(), rows["Date"].max()
        assert isinstance(first, date) and isinstance(last, date)
        back = [first - timedelta(n) for n in (900, 240, 190, 60)]
        keys = ("train_start", "train_end", "validation_start", "validation_end")
        documents.append(
            {
                "fold": str(fold),
                **dict(zip(keys, (day.isoformat() for day in back), strict=True)),
                "test_start": first.isoformat(),
                "test_end": last.isoformat(),
                "gap_days": 40,
                "purge_days": 20,
                "embargo_days": 20,
                "n_train": 460,
                "n_validation": 90,
                "n_test": rows["Date"].n_unique(),
                "stretches": _stretches([*back, first, last]),
            }
        )
    return sorted(documents, key=lambda fold: str(fold["test_start"]))


def make_curves(inputs: Inputs) -> dict[str, list[dict[str, Any]]]:
    """Training histories such as ``trained_model`` writes."""
    rng = np.random.default_rng(5)
    curves = {}
    for fold in inputs.folds:
        value, history = 0.0, []
        for epoch in range(1, 13):
            value += 0.3 * (0.05 - value) + 0.004 * float(rng.normal())
            phase = ("baseline", "adaptive_norm", "graph", "fine_tuning")[(epoch - 1) // 3]
            history.append({"epoch": epoch, "phase": phase, "val_rank_ic": value})
        curves[str(fold["fold"])] = history
    return curves


def main(folder: Path) -> None:
    """Write the report of a synthetic market for a person to look at."""
    from model.portfolio_report.compare import evaluate
    from model.portfolio_report.page import render

    inputs = make_inputs(days=500, names=80, folds=4)
    settings = PortfolioSettings(
        caveat="Simulated market with planted signals: nothing here says anything about a real one."
    )
    hashes = {
        f"{asset}/{fold['fold']}": f"{n:064x}"
        for n, asset in enumerate(("baseline", "validation_predictions"))
        for fold in inputs.folds
    }
    evaluation = evaluate(inputs, settings, entry="close_to_close", seed=7, generated_from=hashes)
    page, pictures = render(evaluation, make_curves(inputs), code_version="0" * 64)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.html").write_text(page, encoding="utf-8")
    for name, data in pictures.items():
        (folder / name).write_bytes(data)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
