"""The manifest file: readable, bounded, never silently empty."""

import json
from datetime import date, timedelta

import filelock
import pytest

from valtag_assets.warehouse.errors import LockTimeout, ManifestError
from valtag_assets.warehouse.snapshot import Attempt, TableRef
from valtag_assets.warehouse.store import Warehouse
from valtag_tests.warehouse.publishing import DAY, HELD, MORNING, TABLE, publish, rows


def manifest_path(warehouse):
    return warehouse.root / "tags" / "transaction" / "manifest.json"


def test_the_manifest_is_plain_json_with_relative_paths(warehouse):
    snapshot = publish(warehouse)
    text = manifest_path(warehouse).read_text(encoding="utf-8")
    data = json.loads(text)
    assert data["format"] == 2
    assert data["table"] == "tags/transaction"
    assert data["snapshots"][0]["folder"] == f"tags/transaction/as_of=2026-09-01/{snapshot.id}"
    assert str(warehouse.root) not in text


@pytest.mark.parametrize("damage", ["", "{", "[]", "{}", '{"format": 2, "table": "tags/transaction"}', "\x00\x00"])
def test_a_damaged_manifest_is_an_error_naming_file_and_remedy(warehouse, damage):
    publish(warehouse)
    path = manifest_path(warehouse)
    path.write_text(damage)
    for use in (
        lambda: warehouse.current(TABLE, DAY),
        lambda: publish(warehouse),
        lambda: warehouse.snapshots(TABLE),
    ):
        with pytest.raises(ManifestError, match="restore it from a backup") as caught:
            use()
        assert str(path) in str(caught.value)
    assert path.read_text() == damage


@pytest.mark.parametrize("field", ["known_at", "folder", "files"])
def test_a_manifest_entry_without_a_field_is_damage(warehouse, field):
    publish(warehouse)
    path = manifest_path(warehouse)
    data = json.loads(path.read_text())
    del data["snapshots"][0][field]
    path.write_text(json.dumps(data))
    with pytest.raises(ManifestError, match="damaged"):
        warehouse.latest(TABLE)


def test_bytes_that_are_no_text_are_damage(warehouse):
    publish(warehouse)
    manifest_path(warehouse).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ManifestError, match="damaged"):
        warehouse.latest(TABLE)


def test_a_manifest_of_a_newer_format_asks_for_an_upgrade(warehouse):
    publish(warehouse)
    path = manifest_path(warehouse)
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 3}))
    with pytest.raises(ManifestError, match=r"format 3; this one reads 2.*upgrade"):
        warehouse.current(TABLE, DAY)


def test_a_manifest_in_the_wrong_folder_is_refused(warehouse):
    publish(warehouse)
    other = warehouse.root / "tags" / "behavior"
    manifest_path(warehouse).parent.rename(other)
    with pytest.raises(ManifestError, match="belongs to table 'tags/transaction'"):
        warehouse.latest(TableRef("tags", "behavior"))


def test_a_missing_snapshot_record_is_an_error_naming_it(warehouse):
    snapshot = publish(warehouse)
    record = snapshot.files[0].parent / "_snapshot.json"
    record.unlink()
    with pytest.raises(ManifestError, match=r"_snapshot\.json is missing"):
        warehouse.current(TABLE, DAY)


def test_attempts_are_bounded_but_a_standing_refusal_is_never_forgotten(warehouse):
    publish(warehouse)
    warehouse.record_attempt(TABLE, Attempt(DAY, MORNING + timedelta(hours=1), "r", "in", "refused", None, (HELD,)))
    for number in range(60):
        day, at = date(2026, 1, 1) + timedelta(days=number), MORNING + timedelta(days=1, seconds=number)
        warehouse.record_attempt(TABLE, Attempt(day, at, "r", "in", "reused"))
    assert warehouse.blocked(TABLE, DAY).verdicts == (HELD,)
    assert len(json.loads(manifest_path(warehouse).read_text())["attempts"]) == 51
    assert warehouse.last_attempt(TABLE, date(2026, 1, 1)) is None
    assert len(warehouse.snapshots(TABLE)) == 1


def test_a_lock_held_too_long_is_named_and_nothing_is_lost(warehouse):
    good = publish(warehouse)
    path = manifest_path(warehouse).with_name("manifest.lock")
    impatient = Warehouse(warehouse.root, lock_seconds=0.1)
    with filelock.FileLock(path):
        with pytest.raises(LockTimeout, match="tags/transaction: another process has held") as caught:
            publish(impatient, "SELECT 2 AS person_id", known_at=MORNING + timedelta(hours=1))
        assert str(path) in str(caught.value)
        assert rows(impatient.current(TABLE, DAY)) == rows(good)
    assert publish(impatient, "SELECT 2 AS person_id", known_at=MORNING + timedelta(hours=1)).rows == 1
