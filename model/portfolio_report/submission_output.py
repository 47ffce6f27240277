"""The report of submitted predictions as files: document, page and daily figures."""

import io
import json
from pathlib import Path

from model.errors import SettingsError
from model.portfolio_report.compare import Evaluation
from model.portfolio_report.inputs import REPORT
from model.portfolio_report.page import render
from model.store import atomic

PAGE = "report.html"
DAILY = "daily.parquet"


def check_folder(folder: Path) -> None:
    """Refuse a folder that cannot be one, before anything is computed.

    Raises:
        SettingsError: a file stands in its way.
    """
    for part in (folder, *folder.parents):
        if part.exists():
            if not part.is_dir():
                raise SettingsError(f"{folder} cannot be made: {part} is a file. Name another folder with --out.")
            return


def write(evaluation: Evaluation, folder: Path, code_version: str) -> Path:
    """Write (or replace) the files. Returns the page.

    Raises:
        SettingsError: the folder cannot be written to.
    """
    page = render(evaluation, {}, code_version)
    table = io.BytesIO()
    evaluation.daily.table.write_parquet(table)
    document = json.dumps(evaluation.report, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        for name, data in ((REPORT, document.encode()), (DAILY, table.getvalue()), (PAGE, page.encode())):
            atomic.write_bytes(folder / name, data)
    except OSError as error:
        raise SettingsError(
            f"{folder} cannot be written to ({error.strerror}). Name another folder with --out."
        ) from error
    return folder / PAGE
