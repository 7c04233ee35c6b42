"""Persons are taken out of every snapshot of a table, and nothing else changes."""

import re
from datetime import timedelta
from io import BytesIO

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from valtag_assets.warehouse.damage import damage
from valtag_assets.warehouse.errors import WarehouseError
from valtag_assets.warehouse.manifest import MANIFEST
from valtag_assets.warehouse.marks import Marks
from valtag_assets.warehouse.repair import repair
from valtag_assets.warehouse.rewriting import Rewrite, Whose
from valtag_tests.chance import MORE
from valtag_tests.warehouse.publishing import DAY, MORNING, TABLE, arguments, publish, rows

PERSON, PHONE = "C-0001", "13800000001"
QUERY = f"""
    SELECT * FROM (VALUES
        ('{PERSON}', 1, 'call {PHONE}', ['a', '{PERSON}']),
        ('C-0002', 2, 'friend of {PERSON}, {PERSON}', ['b']),
        ('C-00010', 3, 'C-00011', ['{PHONE}', 'x']),
        ('C-0003', 4, NULL, NULL)
    ) AS rows (person_id, spend, note, seen)"""


def marks():
    return Marks.of([PERSON], [PHONE])


def rewrite(warehouse, what=None):
    plan = Rewrite(what or marks(), lambda *_: Whose(("person_id",)), lambda _, __, d, ___: d.metrics, "e1", MORNING)
    return plan.table(warehouse, TABLE)


def test_rows_of_the_person_go_and_others_keep_all_but_the_name(warehouse):
    before = publish(warehouse, QUERY)
    assert rewrite(warehouse)[before.id].rows == 1
    after = warehouse.current(TABLE, DAY)
    assert (after.id, after.known_at, after.rows) == (before.id, before.known_at, 3)
    assert after.content_hash != before.content_hash
    assert rows(after) == [
        ("C-00010", 3, "C-00011", ["***", "x"]),
        ("C-0002", 2, "friend of ***, ***", ["b"]),
        ("C-0003", 4, None, None),
    ]
    assert damage(after) is None and not before.files[0].exists()
    assert not any(marks().stand_in_bytes(file.open("rb")) for file in warehouse.root.rglob("*") if file.is_file())


def test_untouched_snapshots_and_parts_stay_as_they_are(warehouse):
    other = publish(warehouse, "SELECT 'C-0002' AS person_id, 10 AS spend", as_of=DAY - timedelta(days=1))
    parts = ["SELECT 'C-0002' AS person_id, 1 AS spend", f"SELECT '{PERSON}' AS person_id, 2 AS spend"]
    publish(warehouse, parts=parts)
    rewrite(warehouse)
    assert warehouse.current(TABLE, DAY - timedelta(days=1)) == other
    kept, emptied = warehouse.current(TABLE, DAY).parts
    assert (kept.rows, emptied.rows) == (1, 0)
    assert rewrite(warehouse) == {}


def test_a_rewritten_table_is_healed_from_its_records(warehouse):
    publish(warehouse, QUERY)
    rewrite(warehouse)
    after = warehouse.current(TABLE, DAY)
    (warehouse.folder(TABLE) / MANIFEST).unlink()
    repair(warehouse, TABLE, MORNING)
    assert warehouse.current(TABLE, DAY) == after


def test_a_reader_sees_the_table_as_it_was_until_it_is_whole(warehouse, monkeypatch):
    before = publish(warehouse, QUERY)

    def full(*_):
        raise WarehouseError("no space left on device")

    monkeypatch.setattr(Rewrite, "_replace", full)
    with pytest.raises(WarehouseError):
        rewrite(warehouse)
    assert warehouse.current(TABLE, DAY) == before and damage(before) is None


def test_identifiers_with_any_character_are_values_and_no_patterns(warehouse):
    strange = ["a.*'); DROP TABLE x;--", 'q"uo\\te(', "张三丰先生", "line\nbreak", "C-.."]
    found = Marks.of(strange, [])
    with warehouse.staging(TABLE) as staged:
        texts = [*strange, "C-00", "aXX"]
        pq.write_table(pa.table({"person_id": texts, "note": texts}), staged.path / "part-0.parquet")
        warehouse.publish(staged, **arguments())
    rewrite(warehouse, found)
    assert rows(warehouse.current(TABLE, DAY)) == [("C-00", "C-00"), ("aXX", "aXX")]


def test_short_numbers_are_no_marks_but_tell_persons_in_their_column(warehouse):
    publish(warehouse, "SELECT * FROM (VALUES (7, 'size 7'), (17, '7')) AS t (person_id, note)")
    rewrite(warehouse, Marks.of(["7"], []))
    assert rows(warehouse.current(TABLE, DAY)) == [(17, "7")]


def test_very_many_marks_and_very_long_ones_are_found(warehouse):
    long = "Z" * 200_000
    found = Marks.of([long], [f"someone-{number:05d}@example.com" for number in range(9_000)])
    texts = ["someone-00000@example.com", "of someone-08999@example.com", "nobody@example.com", f"({long})"]
    with warehouse.staging(TABLE) as staged:
        pq.write_table(pa.table({"person_id": [long, "a", "b", "c"], "note": texts}), staged.path / "part-0.parquet")
        warehouse.publish(staged, **arguments())
    rewrite(warehouse, found)
    assert rows(warehouse.current(TABLE, DAY)) == [
        ("a", "of ***"),
        ("b", "nobody@example.com"),
        ("c", "(***)"),
    ]


def whole(text, mark):
    """Whether the mark stands in the text as a word, or at all if it is long."""
    places = [place for place in range(len(text)) if text.startswith(mark, place)]
    edge = [(text[place - 1 : place] + text[place + len(mark) : place + len(mark) + 1]) for place in places]
    return bool(places) and (len(mark.encode()) >= 11 or any(not re.search("[0-9A-Za-z]", end) for end in edge))


WORDS = st.text("ab1-.张", min_size=4, max_size=14)


@settings(max_examples=60 * MORE, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(WORDS, min_size=1, max_size=8), st.lists(WORDS, max_size=4))
def test_however_many_marks_begin_alike_each_is_found_and_nothing_else(tmp_path, known, others):
    found = Marks.of([], known)
    text = "b".join([*others, *(mark[:-1] for mark in known)]) + "|" + (known[0] if len(others) % 2 else "")
    file = tmp_path / "text"
    file.write_text(text, encoding="utf-8")
    there = any(whole(text, mark) for mark in found.texts)
    assert found.stand_in(text) == there and found.stand_in_bytes(BytesIO(file.read_bytes())) == there
    assert not found.stand_in(found.without(text))
