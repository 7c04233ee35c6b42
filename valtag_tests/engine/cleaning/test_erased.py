"""Rows of persons who were erased don't come back, and nobody else's row goes with them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from valtag_assets.engine.cleaning.account import Restated
from valtag_assets.engine.cleaning.clean import clean_source
from valtag_assets.engine.cleaning.judge import judge
from valtag_assets.engine.cleaning.spread import Medians
from valtag_assets.engine.duckdb import open_duckdb
from valtag_assets.engine.session import compile_sql
from valtag_assets.warehouse.tokens import Tokens
from valtag_assets.warehouse.tombstones import Tombstones
from valtag_tests.engine.cleaning.cleaned import project, raw_table, row_rules, source

MEMBERS = source(
    [
        {"name": "member", "type": "text", "from": "m", "access": "pii"},
        {"name": "phone", "type": "text", "access": "pii"},
        {"name": "points", "type": "integer"},
        {"name": "friend", "type": "text", "access": "pii"},
    ],
    kind="master",
    person="member",
    key=[],
)
ROWS = {
    "m": ["a-1", " a-1 ", "b-2", None, "c-3", "d-4"],
    "phone": ["13800000001", None, "13800000002", "13800000001", "13800000003", "13800000004"],
    "points": ["1", "2", "3", "4", "x", "5"],
    "friend": [None, None, "a-1", None, "a-1", "b-2"],
}


def cleaned(folder: Path, erased: list[str]):
    arrays = {name: pa.array(values, pa.string()) for name, values in ROWS.items()}
    raw = raw_table(folder / "raw", arrays, dict.fromkeys(arrays, "VARCHAR"))
    stones = Tombstones(folder)
    if erased:
        stones.add(erased)
    key = Tokens(folder, {}).table(folder)
    rules = replace(row_rules(MEMBERS, {}), erased=stones.table(folder), own=("member",), key=key)
    with open_duckdb() as engine:
        result = clean_source(engine, MEMBERS, project(), raw, {}, rules, Medians(), folder)
    vault = pq.read_table(result.vault.folder).to_pylist()
    assert not erased or not set(erased) & {row["value"] for row in vault}
    known = {row["token"]: row["value"] for row in vault}
    rows = [{name: known.get(value, value) for name, value in row.items()} for row in read(result.clean)]
    return {row["member"]: row for row in rows}, read(result.quarantine), result.account


def read(table: Restated) -> list[dict[str, Any]]:
    return pq.read_table(table.folder).to_pylist()


def test_an_erased_person_does_not_come_back_in_any_row(tmp_path):
    rows, refused, account = cleaned(tmp_path, ["a-1", "13800000001"])
    assert set(rows) == {"b-2", "d-4"}
    # The row without a key holds the phone; the one of c-3 would have been refused as it came, with a-1 in it.
    assert refused == []
    assert (account.rows_in, account.clean, account.erased, account.quarantined, account.filtered) == (6, 2, 4, 0, 0)
    assert account.balanced and account.by_rule == {"erased": 4}


def test_a_row_of_somebody_else_loses_just_the_name_of_the_erased(tmp_path):
    rows, _, _ = cleaned(tmp_path, ["a-1"])
    assert (rows["b-2"]["friend"], rows["b-2"]["phone"], rows["b-2"]["points"]) == (None, "13800000002", 3)
    assert rows["d-4"]["friend"] == "b-2"


def test_without_tombstones_everything_is_as_before(tmp_path):
    rows, refused, account = cleaned(tmp_path, [])
    assert set(rows) == {"a-1", "b-2", "d-4"} and len(refused) == 2
    assert account.erased == 0 and account.balanced


CALLS = source(
    [
        {"name": "phone", "type": "text", "access": "pii"},
        {"name": "called_on", "type": "date", "required": True},
        {"name": "friend", "type": "text", "access": "pii"},
    ],
    kind="fact",
    time="called_on",
    key=[],
)
DAYS = {
    "phone": ["13800000001", " 13800000001", "13800000001", "13800000002", "13800000003"],
    "called_on": ["2024-05-31", "2024-06-01", "2024-07-01", "2024-07-01", "2024-07-01"],
    "friend": [None, None, None, "13800000001", None],
}


def called(folder: Path, passing: tuple[str, ...]) -> list[tuple[str, str, str | None]]:
    """The calls that are left of an erased person whose number may be somebody else's since June."""
    arrays = {name: pa.array(values, pa.string()) for name, values in DAYS.items()}
    raw = raw_table(folder / "raw", arrays, dict.fromkeys(arrays, "VARCHAR"))
    stones = Tombstones(folder)
    stones.add(["13800000001", "13800000003"], {"13800000001": "2024-06-01"})
    key = Tokens(folder, {}).table(folder)
    rules = replace(row_rules(CALLS, {}), erased=stones.table(folder), own=("phone",), passing=passing, key=key)
    with open_duckdb() as engine:
        found = clean_source(engine, CALLS, project(), raw, {}, rules, Medians(), folder)
    assert found.account.balanced
    assert found.vault is not None
    known = {row["token"]: row["value"] for row in read(found.vault)}
    return sorted((known[row["phone"]], str(row["called_on"]), row["friend"]) for row in read(found.clean))


def test_a_number_that_went_to_somebody_else_is_his_from_that_day_on(tmp_path):
    other = ("13800000002", "2024-07-01", None)
    assert called(tmp_path / "a", ()) == [other]
    later = [("13800000001", day, None) for day in ("2024-06-01", "2024-07-01")]
    assert called(tmp_path / "b", ("phone",)) == [*later, other]


def test_who_was_erased_for_ever_or_until_later_stays_so(tmp_path):
    stones = Tombstones(tmp_path)
    stones.add(["a", "b", "c"], {"a": "2024-06-01", "c": "2024-06-01"})
    stones.add(["a", "b", "c"], {"a": "2023-01-01", "b": "2025-01-01", "c": "2025-01-01"})
    found = stones.digests()
    assert [found[stones.digest(name)] for name in "abc"] == ["2024-06-01", None, "2025-01-01"]
    file = tmp_path / "erased/tombstones.json"
    file.write_text(json.dumps(sorted(found)), encoding="ascii")  # as they were kept before there were days
    assert stones.digests() == dict.fromkeys(found) and stones.state


def test_a_tombstone_says_nothing_without_its_key(tmp_path):
    for name in ("one", "other"):
        Tombstones(tmp_path / name).add(["13800000001"])
    (one,), (other,) = (Tombstones(tmp_path / name).digests() for name in ("one", "other"))
    assert one != other and "138" not in (tmp_path / "one/erased/tombstones.json").read_text(encoding="utf-8")[:4]


def test_the_same_is_asked_of_spark(tmp_path):
    arrays = {name: pa.array(values, pa.string()) for name, values in ROWS.items()}
    raw = raw_table(tmp_path / "raw", arrays, dict.fromkeys(arrays, "VARCHAR"))
    rules = replace(row_rules(MEMBERS, {}), erased=tmp_path, own=("member",), passing=("member",))
    sql = compile_sql(judge(MEMBERS, project(), raw, {}, rules, {})[0], "spark")
    assert "SHA2(" in sql.upper() and "LEFT OUTER JOIN" in sql.upper()
