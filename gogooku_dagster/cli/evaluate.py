"""``gogooku evaluate``: the report's figures and page for anybody's predictions."""

import json
from pathlib import Path

import click

from gogooku_dagster.cli import options

DEFAULT_FOLDER = "evaluation"


@click.command("evaluate")
@click.argument("file", type=click.Path(path_type=Path))
@options.configuration
@click.option("--horizon", type=click.IntRange(1), help="Trading days that a file without that column predicts.")
@click.option("--out", metavar="DIR", help="Folder of report.json and report.html [evaluation/<FILE> in the home].")
@options.as_json
def command(
    file: Path,
    config: str | None,
    overrides: tuple[str, ...],
    horizon: int | None,
    out: str | None,
    as_json_: bool,
) -> int:
    """Judge the predictions in FILE as our own models are judged.

    FILE is Parquet or CSV with the columns Date, Code and prediction, and optionally horizon (trading days), label and
    fold. Labels and market are those of the home; a file with labels of its own needs no home, and then has no
    portfolios.
    """
    from gogooku_dagster.cli.terminal import Terminal
    from gogooku_dagster.lib.home import last_installation
    from model.lineage.code_version import code_version
    from model.portfolio_report.headline import headline_text
    from model.portfolio_report.submission import evaluate_file
    from model.portfolio_report.submission_output import check_folder, write

    place = last_installation(config, overrides)
    settings, path = place.settings, file.expanduser().absolute()
    folder = Path(out).expanduser().absolute() if out else place.home / DEFAULT_FOLDER / path.stem
    check_folder(folder)
    with Terminal(quiet=as_json_) as terminal:
        terminal.begin("evaluate")

        def progress(done: int, total: int, note: str = "") -> None:
            terminal.progress("evaluate", None, done, total, note)

        evaluation = evaluate_file(place.store, settings, path, horizon, progress)
        page = write(evaluation, folder, code_version("model.portfolio_report.submission"))
    if as_json_:
        click.echo(json.dumps({"path": str(page), **evaluation.report}, indent=1, ensure_ascii=False))
    else:
        click.echo(headline_text(evaluation.report))
        click.echo(f"\nReport: {page}")
    return 0
