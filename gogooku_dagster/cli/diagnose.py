"""``gogooku diagnose``: the health of a trained network: head, gradients, graph, labels and features."""

import json
from typing import Any

import click

from gogooku_dagster.cli import options


@click.command("diagnose")
@options.configuration
@click.option("--fold", metavar="FOLD", multiple=True, help="A trained fold [the last one]. May be repeated.")
@options.as_json
def command(config: str | None, overrides: tuple[str, ...], fold: tuple[str, ...], as_json_: bool) -> int:
    """Show prediction head, gradients, labels and features of trained networks, and what to do about complaints."""
    from gogooku_dagster.lib.home import last_installation
    from model.errors import StoreError
    from model.trained_model.diagnosis import diagnose, trained_folds

    place = last_installation(config, overrides)
    trained = trained_folds(place.store, place.settings)
    unknown = [name for name in fold if name not in trained]
    if not trained or unknown:
        which = f"fold {', '.join(unknown)} was not" if unknown else "no fold was"
        raise StoreError(
            f"There is nothing to diagnose: {which} trained in {place.home}. Trained: {', '.join(trained) or 'none'}. "
            "Run `gogooku run --until trained_model` first."
        )
    found = [diagnose(place.store, place.settings, name) for name in fold or trained[-1:]]
    if as_json_:
        document = {"healthy": all(each["healthy"] for each in found), "folds": found}
        click.echo(json.dumps(document, indent=1, ensure_ascii=False))
        return 0
    for each in found:
        _show(each)
    return 0


def _show(document: dict[str, Any]) -> None:
    members = f", {document['members']} members (the first is shown)" if document["members"] > 1 else ""
    click.echo(
        f"{document['fold']}: epoch {document['kept_epoch']} of {document['epochs']} kept, phase "
        f"{document['kept_phase']}{members}"
    )
    _table(
        ("prediction head", "RankIC", "days", "std/target", ""),
        [
            (
                f"{horizon} d",
                _number(each["rank_ic"], "+.4f"),
                _number(each["days"], "d"),
                _number(each["std_ratio"], ".4f"),
                "dead" if each["dead"] else "too wide" if each["wide"] else "alive",
            )
            for horizon, each in document["head"].items()
        ],
    )
    _table(
        ("gradient norm", "first epoch", "kept epoch", "last epoch"),
        [
            (name, *(_number(norms[at], ".2e") for at in (0, document["kept_epoch"] - 1, -1)))
            for name, norms in document["gradients"].items()
        ],
    )
    if document["graph"]["acts"]:
        edges, alpha = (
            document["graph"][name][document["kept_epoch"] - 1] for name in ("edges_per_step", "gate_alpha")
        )
        click.echo(f"graph: {edges:,.0f} edges a step, gate alpha {_number(alpha, '.3f')}")
    _table(
        ("labels", "samples", "missing", "mean", "std", "1 %", "99 %"),
        [
            (
                f"{horizon} d",
                f"{each['samples']:,}",
                f"{each['null_share']:.2%}",
                *(_number(each[name], "+.4f") for name in ("mean", "std", "q01", "q99")),
            )
            for horizon, each in document["labels"].items()
        ],
    )
    features = document["features"]
    worst = sorted(features, key=lambda name: -features[name]["null_share"])[:5]
    _table(
        ("features (worst)", "missing", "clipped", ""),
        [
            (
                name,
                f"{features[name]['null_share']:.2%}",
                f"{features[name]['clip_share']:.2%}",
                "constant" if features[name]["constant"] else "",
            )
            for name in worst
        ],
    )
    for flag in document["flags"]:
        click.echo(f"flagged in training: {flag}")
    for each in document["complaints"]:
        click.echo(f"{each['about']}: {each['says']}. Remedy: {each['remedy']}.")
    if document["healthy"]:
        click.echo("healthy: no guard flagged anything, and nothing looks wrong")


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    for row in (header, *rows):
        click.echo(f"  {row[0]:<20}" + "".join(f"{cell:>14}" for cell in row[1:]).rstrip())


def _number(value: float | None, form: str) -> str:
    return "none" if value is None else f"{value:{form}}"
