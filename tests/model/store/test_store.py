"""Artefacts are there whole or not at all, and what is read is what was written."""

import hashlib
import json
import shutil
import time
from dataclasses import asdict
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from model.errors import StoreError
from model.store.catalogue import is_in_place, write_catalogue
from model.store.checks import CheckOutcome
from model.store.manifest import Identity
from model.store.store import Store
from model.store.verdicts import UNCHECKED, record, refusals

IDENTITY = Identity({"source": "s"}, "code", "settings")
DAYS = [date(2020, 1, 30), date(2020, 1, 31), date(2020, 2, 3)]


def table(days: list[date], value: float = 1.0) -> pl.DataFrame:
    return pl.DataFrame({"Date": days, "Code": ["NA"] * len(days), "x": [value] * len(days)})


def write(store: Store, value: float = 1.0) -> str:
    with store.writer("quality_features", None, IDENTITY) as w:
        w.chunk("features", "2020-01", table(DAYS[:2], value), ("Date", "Code"), input_hash="a")
        w.chunk("features", "2020-02", table(DAYS[2:], value), ("Date", "Code"), input_hash="b")
        w.json("catalogue.json", {"x": value})
        w.array("order.npy", np.arange(3))
        w.bytes("plot.png", b"png", hashed=False)
    return w.manifest.content_hash


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    store = Store(tmp_path / "no pattern [1]")
    write(store)
    assert store.read_chunks("quality_features", "features").equals(table(DAYS))
    assert store.read_json("quality_features", "catalogue.json") == {"x": 1.0}
    assert list(store.chunks("quality_features", "features")) == ["2020-01", "2020-02"]
    manifest = store.require("quality_features")
    assert (manifest.rows, manifest.first_date, manifest.last_date) == (3, DAYS[0], DAYS[2])
    assert manifest.inputs == {"source": "s"}


def test_chunks_are_read_only_between_the_dates(tmp_path: Path) -> None:
    store = Store(tmp_path)
    write(store)
    found = store.read_chunks("quality_features", "features", start=DAYS[1], end=DAYS[2], columns=["x"])
    assert found.columns == ["x"] and found.height == 2
    with pytest.raises(StoreError, match="no month between"):
        store.read_chunks("quality_features", "features", start=date(2021, 1, 1))


def test_equal_content_gives_an_equal_hash_and_pictures_do_not_count(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first = write(store)
    with store.writer("quality_features", None, Identity({"other": "o"}, "c2", "s2")) as w:
        w.json("catalogue.json", {"x": 1.0})
        w.array("order.npy", np.arange(3))
        w.reuse("features/2020-02.parquet")
        w.chunk("features", "2020-01", table(DAYS[:2]), ("Date", "Code"), input_hash="other input")
        w.bytes("plot.png", b"another picture", hashed=False)
    assert w.manifest.content_hash == first
    assert write(store, 2.0) != first


def test_a_file_of_another_artefact_is_adopted_only_while_it_is_what_its_entry_says(tmp_path: Path) -> None:
    store = Store(tmp_path)
    write(store)
    other = store.require("quality_features")
    entry = other.files["features/2020-01.parquet"]
    folder = store.directory("quality_features")
    with store.writer("normalization_stats", "wf_2020", IDENTITY) as w:
        assert w.adopt("features/2020-01.parquet", folder, entry) == entry
        assert w.adopt("features/2020-02.parquet", folder, entry) is None  # other bytes than the entry's
        assert w.adopt("features/2031-01.parquet", folder, entry) is None
    assert list(w.manifest.files) == ["features/2020-01.parquet"]
    assert w.manifest.last_date == DAYS[1]
    adopted = store.directory("normalization_stats", "wf_2020") / "features/2020-01.parquet"
    assert adopted.samefile(folder / "features/2020-01.parquet")


def test_an_error_in_the_middle_leaves_the_old_artefact_and_no_rest(tmp_path: Path) -> None:
    store = Store(tmp_path)
    before = write(store)
    with pytest.raises(ZeroDivisionError), store.writer("quality_features", None, IDENTITY) as w:
        w.json("catalogue.json", {"x": 3.0})
        raise ZeroDivisionError
    assert store.require("quality_features").content_hash == before
    assert store.read_json("quality_features", "catalogue.json") == {"x": 1.0}
    assert sorted(path.name for path in (tmp_path / "artifacts" / "quality_features").iterdir()) == ["all"]


def test_a_killed_writer_leaves_only_a_staging_folder_that_is_swept(tmp_path: Path) -> None:
    store = Store(tmp_path)
    write(store)
    (tmp_path / "artifacts" / "quality_features" / ".staging-dead").mkdir()
    assert store.partitions("quality_features") == ["all"]
    assert store.remove_staging() == 1


@pytest.mark.parametrize("damage", [b"", b"other bytes"])
def test_a_file_that_was_altered_is_refused_by_name_and_the_remedy_names_its_artefact(
    tmp_path: Path, damage: bytes
) -> None:
    store = Store(tmp_path)
    write(store)
    path = store.directory("quality_features") / "features" / "2020-01.parquet"
    path.write_bytes(damage)
    with pytest.raises(StoreError, match=rf"not the file that was written .* folder {path.parents[1]} and run"):
        store.read_table("quality_features", "features/2020-01.parquet")


@pytest.mark.parametrize("earlier", [False, True])
def test_one_altered_bit_is_noticed_also_under_the_checksums_of_earlier_manifests(
    tmp_path: Path, earlier: bool
) -> None:
    store = Store(tmp_path)
    write(store)
    folder = store.directory("quality_features")
    path = folder / "features" / "2020-01.parquet"
    if earlier:  # which held the SHA-256 of each file
        document = json.loads((folder / "manifest.json").read_text())
        for name, entry in document["files"].items():
            assert entry.pop("checksum").startswith("xxh3:")
            entry["sha256"] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        (folder / "manifest.json").write_text(json.dumps(document), encoding="utf-8")
        store = Store(tmp_path)
    assert store.read_table("quality_features", "features/2020-01.parquet").height == 2
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(StoreError, match="not the file that was written"):
        store.read_table("quality_features", "features/2020-01.parquet")


def test_a_missing_artefact_says_which_command_makes_it(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="gogooku run --until raw_dataset"):
        Store(tmp_path).read_json("raw_dataset", "x.json")


@pytest.mark.parametrize("content", [b"", b"{", b'{"asset": "\xff"}', b"[]", b"3", b"{}"])
def test_a_damaged_manifest_is_an_error_and_not_an_absent_artefact(tmp_path: Path, content: bytes) -> None:
    store = Store(tmp_path)
    write(store)
    (store.directory("quality_features") / "manifest.json").write_bytes(content)
    with pytest.raises(StoreError, match="not a readable manifest"):
        store.manifest("quality_features")


@pytest.mark.parametrize("days", [[DAYS[1], DAYS[0]], [DAYS[0], DAYS[0]]])
def test_rows_out_of_order_or_repeated_are_refused(tmp_path: Path, days: list[date]) -> None:
    with (
        pytest.raises(StoreError, match="1 of 2 rows break the order by Date, Code"),
        Store(tmp_path).writer("raw_dataset", None, IDENTITY) as w,
    ):
        w.table("t.parquet", table(days), ("Date", "Code"))


def test_the_text_of_a_manifest_says_every_field_with_one_file_a_line(tmp_path: Path) -> None:
    store = Store(tmp_path)
    write(store)
    manifest = store.require("quality_features")
    copied = {"schema_version": 2, **asdict(manifest), "first_date": "2020-01-30", "last_date": "2020-02-03"}
    copied["columns"] = [manifest.files["features/2020-01.parquet"].columns]  # of all chunks, said once
    for entry in copied["files"].values():
        entry["columns"] = None if entry["columns"] is None else copied["columns"].index(entry["columns"])
    text = (store.directory("quality_features") / "manifest.json").read_text(encoding="utf-8")
    assert text == manifest.to_json()
    assert json.loads(text) == json.loads(json.dumps(copied))
    assert [line.split('"')[1] for line in text.splitlines() if line.startswith("  ")] == list(manifest.files)


def test_a_table_of_which_columns_were_copied_was_not_written_in_full(tmp_path: Path) -> None:
    store, rows = Store(tmp_path), table(DAYS)
    with store.writer("raw_dataset", None, IDENTITY, started=time.perf_counter() - 100.0) as w:
        w.table("t.parquet", rows, ("Date", "Code"))
    changed = rows.select(pl.col("x") + 1.0)
    with store.writer("raw_dataset", None, IDENTITY) as w:
        w.mended("t.parquet", store.path("raw_dataset", "t.parquet"), changed, content_hash="of the new values")
    assert w.manifest.extra["full_seconds"] >= 100.0 > w.manifest.seconds
    assert Store(tmp_path).read_table("raw_dataset", "t.parquet").equals(rows.with_columns(changed))


def test_a_manifest_of_the_format_before_is_read_as_it_was(tmp_path: Path) -> None:
    store = Store(tmp_path)
    write(store)
    manifest = store.require("quality_features")
    before = {"schema_version": 1, **asdict(manifest), "first_date": "2020-01-30", "last_date": "2020-02-03"}
    (store.directory("quality_features") / "manifest.json").write_text(json.dumps(before), encoding="utf-8")
    assert Store(tmp_path).require("quality_features") == manifest
    before["schema_version"] = 3
    (store.directory("quality_features") / "manifest.json").write_text(json.dumps(before), encoding="utf-8")
    with pytest.raises(StoreError, match="in another format of the store"):
        Store(tmp_path).require("quality_features")


def test_the_manifest_on_disk_is_plain_json_with_every_promised_field(tmp_path: Path) -> None:
    store = Store(tmp_path)
    write(store)
    document = json.loads((store.directory("quality_features") / "manifest.json").read_text())
    promised = {"content_hash", "files", "inputs", "code_version", "settings_hash", "seed", "libraries", "seconds"}
    assert promised | {"peak_memory_bytes", "rows", "first_date", "last_date"} <= document.keys()


def test_the_catalogue_has_a_view_for_each_table(tmp_path: Path) -> None:
    import duckdb

    store = Store(tmp_path / "no pattern [1] * and no quote's end")
    write(store)
    for fold in ("wf_2020h1", "live"):
        with store.writer("validation_predictions", fold, IDENTITY) as w:
            w.table("predictions.parquet", table(DAYS), ("Date", "Code"))
    with duckdb.connect(str(write_catalogue(store)), read_only=True) as connection:
        assert connection.sql("SELECT count(*) FROM quality_features").fetchall() == [(3,)]
        rows = connection.sql(
            'SELECT "partition", count(*) FROM validation_predictions GROUP BY 1 ORDER BY 1'
        ).fetchall()
    assert rows == [("live", 3), ("wf_2020h1", 3)]


def test_the_catalogue_of_a_copied_home_is_known_to_read_the_other_one(tmp_path: Path) -> None:
    store, copy = Store(tmp_path / "an artist's"), Store(tmp_path / "copy")
    write(store)
    assert not is_in_place(store)
    write_catalogue(store)
    assert is_in_place(store)
    shutil.copytree(store.home, copy.home)
    assert not is_in_place(copy)
    write_catalogue(copy)
    assert is_in_place(copy) and is_in_place(store)


def test_a_refusal_counts_for_the_content_that_was_refused_only(tmp_path: Path) -> None:
    store = Store(tmp_path)
    write(store)
    manifest = store.require("quality_features")
    outcomes = {"finite": CheckOutcome(False, "3 values are infinite"), "nulls": CheckOutcome(False, "many")}
    record(store, manifest, outcomes, blocking={"finite"})
    assert refusals(store, manifest) == ("check finite: 3 values are infinite",)
    write(store, 2.0)
    assert refusals(store, store.require("quality_features")) == ()
    record(store, manifest, {"finite": CheckOutcome(True, "fine")}, blocking={"finite"})
    assert refusals(store, manifest) == ()


@pytest.mark.parametrize("content", [b"", b'{"content_hash', b"[]", b"{}", b"\xff"])
def test_a_damaged_record_of_checks_counts_as_checks_that_have_not_been_run(tmp_path: Path, content: bytes) -> None:
    store = Store(tmp_path)
    write(store)
    manifest = store.require("quality_features")
    record(store, manifest, {"finite": CheckOutcome(False, "3 values are infinite")}, blocking={"finite"})
    [kept] = (tmp_path / "checks").rglob("*.json")
    kept.write_bytes(content)
    assert refusals(store, manifest) == (UNCHECKED,)


def test_columns_that_lie_in_bands_are_one_view(tmp_path: Path) -> None:
    import duckdb

    store = Store(tmp_path)
    with store.writer("quality_features", None, IDENTITY) as w:
        rows = table(DAYS)
        w.chunk("features", "2020-01", rows, ("Date", "Code"), input_hash="a")
        w.chunk("features_long", "2020-01", rows.rename({"x": "slow"}), ("Date", "Code"), input_hash="a")
        market = pl.DataFrame({"Date": DAYS, "market": [1.0, 2.0, 3.0]})
        w.chunk("features_market", "2020-01", market, ("Date",), input_hash="a")
        w.chunk("labels", "2020-01", rows, ("Date", "Code"), input_hash="a")
    with duckdb.connect(str(write_catalogue(store)), read_only=True) as connection:
        found = pl.from_arrow(connection.sql("SELECT * FROM quality_features ORDER BY Date").to_arrow_table())
        assert isinstance(found, pl.DataFrame)
        names = {
            name for (name,) in connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
        }
    assert found.columns == ["Date", "Code", "x", "slow", "market"] and found.height == rows.height
    assert found["slow"].equals(found["x"].rename("slow")) and found["market"].to_list() == [1.0, 2.0, 3.0]
    assert names == {"quality_features", "quality_features_labels"}
