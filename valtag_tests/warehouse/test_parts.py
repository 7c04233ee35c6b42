"""Snapshots of many part files, some shared with earlier snapshots."""

import errno
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from valtag_assets.warehouse.errors import ManifestError, WarehouseError
from valtag_assets.warehouse.snapshot import Snapshot, TableRef
from valtag_assets.warehouse.staging import Staged
from valtag_assets.warehouse.store import Warehouse
from valtag_tests.chance import MORE
from valtag_tests.kit import connected
from valtag_tests.warehouse.publishing import DAY, MORNING, TABLE, arguments, rows

JANUARY = "SELECT i AS person_id, 10 AS spend FROM range(3) t(i)"
FEBRUARY = "SELECT i AS person_id, 20 AS spend FROM range(2) t(i)"
MARCH = "SELECT 7::BIGINT AS person_id, 30 AS spend"
LATER = MORNING + timedelta(hours=1)


def write(staged: Staged, queries: Mapping[str, str]) -> None:
    with connected() as con:
        for name, query in queries.items():
            con.sql(query).write_parquet(str(staged.path / name))


def publish(
    warehouse: Warehouse,
    new: Mapping[str, str],
    old: Snapshot | None = None,
    shared: Sequence[str] = (),
    **changes: object,
) -> Snapshot:
    """Publish new parts (file name to query) beside some shared with ``old``."""
    with warehouse.staging(TABLE) as staged:
        for name in shared:
            assert old is not None
            warehouse.share(staged, old, name)
        write(staged, new)
        return warehouse.publish(staged, **arguments(**changes))


@pytest.fixture
def two_months(warehouse: Warehouse) -> Snapshot:
    return publish(warehouse, {"part-2026-01.parquet": JANUARY, "part-2026-02.parquet": FEBRUARY})


def test_a_snapshot_names_its_parts_in_the_order_of_its_files(warehouse, two_months):
    assert [part.name for part in two_months.parts] == ["part-2026-01.parquet", "part-2026-02.parquet"]
    assert [part.name for part in two_months.parts] == [file.name for file in two_months.files]
    assert [part.rows for part in two_months.parts] == [3, 2]
    assert [part.bytes for part in two_months.parts] == [file.stat().st_size for file in two_months.files]
    assert warehouse.current(TABLE, DAY) == two_months


def test_the_digest_of_a_part_is_the_content_hash_of_its_rows_in_any_order(warehouse, two_months):
    alone = publish(warehouse, {"x.parquet": f"{JANUARY} ORDER BY person_id DESC"}, known_at=LATER)
    assert two_months.parts[0].digest == alone.content_hash == alone.parts[0].digest
    assert two_months.parts[1].digest != two_months.parts[0].digest


def test_names_of_parts_are_kept_and_other_names_are_numbered_around_them(warehouse):
    kept = {f"part-{name}.parquet": MARCH for name in ("0", "2026-01", "A_b.c-1")}
    odd = dict.fromkeys(("a.parquet", "part-.parquet", "part-上海.parquet", "part-x y.parquet"), FEBRUARY)
    snapshot = publish(warehouse, {**kept, **odd})
    assert {file.name for file in snapshot.files} == {*kept, *(f"part-{number}.parquet" for number in range(1, 5))}
    assert {part.name: part.rows for part in snapshot.parts if part.name in kept} == dict.fromkeys(kept, 1)
    assert len(rows(snapshot)) == snapshot.rows == 11


def test_a_shared_part_is_the_same_file_and_counts_like_any_other(warehouse, two_months):
    added = publish(
        warehouse,
        {"part-2026-03.parquet": MARCH},
        two_months,
        [part.name for part in two_months.parts],
        known_at=LATER,
    )
    assert rows(added) == sorted([*rows(two_months), (7, 30)])
    assert added.rows == 6
    assert added.parts[:2] == two_months.parts
    assert all(new.samefile(old) for new, old in zip(added.files[:2], two_months.files, strict=True))
    anew = publish(
        warehouse, {"all.parquet": " UNION ALL ".join([MARCH, FEBRUARY, JANUARY])}, as_of=DAY + timedelta(days=1)
    )
    assert anew.content_hash == added.content_hash


def test_a_shared_part_is_not_read_again(warehouse, two_months):
    content = two_months.files[0].read_bytes()
    two_months.files[0].write_bytes(bytes(len(content)))
    added = publish(warehouse, {"b.parquet": MARCH}, two_months, ["part-2026-01.parquet"], known_at=LATER)
    two_months.files[0].write_bytes(content)
    assert rows(added) == [(0, 10), (1, 10), (2, 10), (7, 30)]
    assert added.rows == 4


def test_a_table_of_shared_parts_alone_is_a_table(warehouse, two_months):
    shrunk = publish(warehouse, {}, two_months, ["part-2026-02.parquet"], known_at=LATER)
    assert rows(shrunk) == [(0, 20), (1, 20)]
    assert shrunk.parts == two_months.parts[1:]


def test_the_same_parts_from_the_same_inputs_are_the_same_snapshot(warehouse, two_months):
    names = [part.name for part in two_months.parts]
    assert publish(warehouse, {}, two_months, names, known_at=LATER) == two_months


def test_without_the_snapshot_it_shares_with_a_snapshot_is_whole(warehouse, two_months):
    added = publish(warehouse, {"b.parquet": MARCH}, two_months, ["part-2026-01.parquet"], known_at=LATER)
    shutil.rmtree(two_months.files[0].parent)
    assert len(rows(added)) == added.rows == 4
    third = publish(
        warehouse, {"c.parquet": MARCH}, added, ["part-2026-01.parquet"], known_at=LATER + timedelta(hours=1)
    )
    assert third.parts[1] == added.parts[1]


def test_an_empty_part_has_no_rows_and_a_digest(warehouse, two_months):
    empty = publish(warehouse, {"part-none.parquet": f"{JANUARY} WHERE false"}, known_at=LATER)
    assert (empty.rows, empty.parts[0].rows, empty.parts[0].sums) == (0, 0, (0, 0))
    added = publish(
        warehouse, {}, two_months, ["part-2026-01.parquet"], known_at=LATER, as_of=DAY + timedelta(days=1)
    )
    assert len({empty.parts[0].digest, added.parts[0].digest}) == 2


@settings(max_examples=6 * MORE)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.booleans()), min_size=1, max_size=12))
def test_the_content_hash_is_that_of_the_rows_whatever_the_split_and_what_is_shared(tmp_path_factory, placed):
    """Each row lies in one of four parts; a part is shared if its first row says so."""
    warehouse = Warehouse(tmp_path_factory.mktemp("split"))
    parts: dict[str, list[tuple[int, bool]]] = {}
    for value, part, shared in placed:
        parts.setdefault(f"part-{part}.parquet", []).append((value, shared))
    queries = {
        name: f"SELECT * FROM (VALUES {', '.join(f'({value})' for value, _ in held)}) t(person_id)"
        for name, held in parts.items()
    }
    shared_names = [name for name, held in parts.items() if held[0][1]]
    whole = f"SELECT * FROM (VALUES {', '.join(f'({value})' for value, _, _ in placed)}) t(person_id)"
    one = publish(warehouse, {"whole.parquet": whole})
    old = publish(warehouse, queries, as_of=DAY + timedelta(days=1))
    new = {name: query for name, query in queries.items() if name not in shared_names}
    again = publish(warehouse, new, old, shared_names, as_of=DAY + timedelta(days=2))
    assert one.content_hash == old.content_hash == again.content_hash
    assert again.parts == old.parts


def truncate(file: Path) -> None:
    os.truncate(file, file.stat().st_size - 1)


def lengthen(file: Path) -> None:
    with file.open("ab") as opened:
        opened.write(b"x")


@pytest.mark.parametrize(
    ("damage", "message"),
    [(truncate, "bytes and had"), (lengthen, "bytes and had"), (Path.unlink, "No such file")],
    ids=["truncated", "lengthened", "missing"],
)
def test_a_damaged_part_is_named_and_not_shared(warehouse, two_months, damage, message):
    damage(two_months.files[1])
    with warehouse.staging(TABLE) as staged:
        with pytest.raises(WarehouseError, match=message) as caught:
            warehouse.share(staged, two_months, "part-2026-02.parquet")
        assert str(two_months.files[1]) in str(caught.value)
        assert list(staged.path.iterdir()) == []
        warehouse.share(staged, two_months, "part-2026-01.parquet")
        write(staged, {"part-2026-02.parquet": FEBRUARY})
        healed = warehouse.publish(staged, **arguments(known_at=LATER, input_hash="healed"))
    assert healed.content_hash == two_months.content_hash
    assert len(rows(healed)) == 5


def test_a_shared_part_written_over_before_publishing_is_refused(warehouse, two_months):
    with warehouse.staging(TABLE) as staged:
        warehouse.share(staged, two_months, "part-2026-01.parquet")
        write(staged, {"part-2026-01.parquet": MARCH})
        with pytest.raises(WarehouseError, match=r"part-2026-01\.parquet: it has"):
            warehouse.publish(staged, **arguments(known_at=LATER))
    assert rows(two_months) == [(0, 10), (0, 20), (1, 10), (1, 20), (2, 10)]


def test_parts_of_different_schemas_are_both_named(warehouse, two_months):
    for query, found in (("SELECT 1 AS person_id, 30 AS spend", "person_id INTEGER"), ("SELECT 1 AS x", "x INTEGER")):
        with pytest.raises(WarehouseError, match=r"part-2026-03.parquet and part-2026-01.parquet .*differ") as caught:
            publish(warehouse, {"part-2026-03.parquet": query}, two_months, ["part-2026-01.parquet"], known_at=LATER)
        assert f"{found} against person_id BIGINT" in str(caught.value)
    assert warehouse.current(TABLE, DAY) == two_months


def test_what_cannot_be_shared_is_refused(warehouse, two_months):
    with warehouse.staging(TABLE) as staged:
        with pytest.raises(WarehouseError, match=r"has no part '\.\./x'; it has \['part-2026-01"):
            warehouse.share(staged, two_months, "../x")
        warehouse.share(staged, two_months, "part-2026-01.parquet")
        with pytest.raises(WarehouseError, match="is there already"):
            warehouse.share(staged, two_months, "part-2026-01.parquet")
    with (
        warehouse.staging(TableRef("tags", "behavior")) as staged,
        pytest.raises(ValueError, match="within one table"),
    ):
        warehouse.share(staged, two_months, "part-2026-01.parquet")


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK], ids=errno.errorcode.get)
def test_where_no_link_can_be_made_the_part_is_copied(warehouse, two_months, monkeypatch, code):
    def refuse(source: Path, target: Path) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", refuse)
    added = publish(warehouse, {"b.parquet": MARCH}, two_months, ["part-2026-01.parquet"], known_at=LATER)
    copied = next(file for file in added.files if file.name == "part-2026-01.parquet")
    assert not copied.samefile(two_months.files[0])
    assert copied.read_bytes() == two_months.files[0].read_bytes()
    assert added.rows == len(rows(added)) == 4


def test_any_other_failure_to_link_is_named(warehouse, two_months, monkeypatch):
    def fail(source: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "link", fail)
    with warehouse.staging(TABLE) as staged, pytest.raises(WarehouseError, match=r"part-2026-01\.parquet: No space"):
        warehouse.share(staged, two_months, "part-2026-01.parquet")


@pytest.mark.parametrize("file", ["manifest.json", "_snapshot.json"])
def test_a_warehouse_of_an_older_format_says_what_to_do(warehouse, two_months, file):
    folder = two_months.files[0].parent
    path = folder / file if file.startswith("_") else folder.parent.parent / file
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 1}))
    with pytest.raises(ManifestError, match=r"older valtag \(format 1; this one reads 2\).*run again") as caught:
        warehouse.current(TABLE, DAY)
    assert str(path) in str(caught.value)
