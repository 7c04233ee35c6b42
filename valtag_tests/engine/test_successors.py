"""What earlier runs left by person, read with the persons of now."""

import random
import string
from datetime import date
from pathlib import Path
from typing import Any

import ibis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from valtag_assets.engine.duckdb import DuckDBEngine
from valtag_assets.engine.identity.keying import keyed_rows
from valtag_assets.engine.identity.keys import normalised
from valtag_assets.engine.identity.naming import key_of
from valtag_assets.engine.identity.tables import HISTORY, KEYS, SUCCESSORS, identity_columns
from valtag_assets.engine.lists import matched
from valtag_assets.engine.persons import PERSON, PERSONS
from valtag_assets.engine.segments import changes_expression
from valtag_assets.engine.session import unbound
from valtag_assets.engine.successors import renamed, renamed_once
from valtag_assets.engine.tags import category_expression
from valtag_assets.engine.transitions import count_moves
from valtag_assets.engine.trigger_effect import arms_expression, funnel_expression, outcomes_table
from valtag_assets.engine.trigger_state import state_schema
from valtag_assets.expression.resolved import Resolved
from valtag_assets.spec.types import INTEGER, TEXT
from valtag_tests.chance import MORE
from valtag_tests.engine.test_trigger_effect import (
    AS_OF,
    FLAGS,
    KEPT,
    OUTCOMES,
    Tables,
    arrow,
    entry,
    resolved,
)
from valtag_tests.kit import category, connected, make_catalog, run, tag, write_persons, write_rows

__all__ = ["resolved"]  # a fixture
MOVES = {"was": TEXT, "now": TEXT}


def successors(folder: Path, moves: dict[str, str | None]) -> dict[str, list[Path]]:
    rows = [{"was": was, "now": now} for was, now in moves.items()]
    return {SUCCESSORS: [write_rows(folder / "successors.parquet", MOVES, rows)]}


def table_of(folder: Path, name: str, rows: list[dict[str, Any]]) -> dict[str, list[Path]]:
    return {name: [write_rows(folder / f"{name}.parquet", {PERSON: TEXT, "tier": TEXT, "points": INTEGER}, rows)]}


def test_ids_that_went_to_nobody_stay_and_no_row_is_lost(tmp_path: Path) -> None:
    rows = [{PERSON: person} for person in ("a", "b", "c", "gone")]
    inputs = table_of(tmp_path, "t", rows) | successors(tmp_path, {"b": "a", "gone": None})
    table = unbound("t", {PERSON: "string"})
    found = run(renamed(table).order_by(PERSON), inputs, tmp_path / "out.parquet")
    assert found[PERSON].to_pylist() == ["a", "a", "c", "gone"]


def test_of_persons_who_became_one_the_own_value_comes_first(tmp_path: Path) -> None:
    lots = random.Random(1)
    ids = [f"P{n:02d}" for n in range(40)]
    moves = {was: f"P{n % 6:02d}" for n, was in enumerate(ids) if n >= 12}
    rows = [
        {PERSON: who, "tier": lots.choice(["a", "b", None]), "points": lots.choice([1, 2, None])}
        for who in ids
        if lots.random() < 0.8
    ]
    inputs = table_of(tmp_path, "t", rows) | successors(tmp_path, dict(moves))
    table = unbound("t", {PERSON: "string", "tier": "string", "points": "int64"})
    found = run(renamed_once(table), inputs, tmp_path / "out.parquet").to_pylist()
    wanted: dict[str, dict[str, Any]] = {}
    for row in sorted(rows, key=lambda item: (item[PERSON] in moves, item[PERSON])):
        person = moves.get(row[PERSON], row[PERSON])
        mine = wanted.setdefault(person, {PERSON: person, "tier": None, "points": None})
        for name in ("tier", "points"):
            mine[name] = row[name] if mine[name] is None else mine[name]
    assert sorted(found, key=lambda row: str(row[PERSON])) == [wanted[who] for who in sorted(wanted)]


def test_a_list_of_ids_that_were_given_names_the_parts_too(tmp_path: Path) -> None:
    stop = {"source": "stop", "title": {"zh": "s", "en": "s"}, "kind": "list", "person": "who"}
    stop |= {"read": {"path": "s.csv"}, "fields": [{"name": "who", "type": "text"}]}
    kind = {"code": "member", "title": {"zh": "m", "en": "m"}}
    sources = {"members": {"member": "member"}, "orders": {"member": "member"}, "stop": {"who": "person"}}
    files = {"sources/stop.yaml": stop, "identity.yaml": {"kinds": [kind], "sources": sources}}
    resolved = make_catalog(tmp_path / "catalog", files)
    source, identity = resolved.sources["stop"], resolved.identity
    assert identity is not None
    keys = [{"kind": "member", "key": f"M{who}", "person_id": who} for who in ("a", "part", "c")]
    told = [("split", "old", "part"), ("merged", "old", "a"), ("split", "c", "other")]
    columns = dict(source.columns) | {"_file": TEXT, "_row": INTEGER}
    inputs: dict[str, list[Path]] = successors(tmp_path, {"old": "a", "none": None})
    inputs[KEYS] = [write_rows(tmp_path / "keys.parquet", identity_columns(KEYS), keys)]
    events = [{"ordinal": n, "event": event, "was": was, "now": now} for n, (event, was, now) in enumerate(told)]
    inputs[HISTORY] = [write_rows(tmp_path / "history.parquet", identity_columns(HISTORY), events)]
    listed = [{"who": who} for who in ("old", "none", "stranger")]
    inputs["clean/stop"] = [write_rows(tmp_path / "stop.parquet", columns, listed)]
    rows = run(keyed_rows(source, identity), inputs, tmp_path / "keyed.parquet")
    assert {row["who"]: row["_person"] for row in rows.to_pylist()} == {"old": "a", "none": None, "stranger": None}
    inputs["keyed/stop"] = [tmp_path / "keyed.parquet"]
    inputs |= {PERSONS: write_persons(tmp_path, ["a", "part", "c"])}
    found = run(matched(source, given=True), inputs, tmp_path / "matched.parquet")
    assert found["person_id"].to_pylist() == ["a", "part"]


def test_members_who_became_one_have_neither_come_nor_left(tmp_path: Path) -> None:
    before = table_of(tmp_path, "previous", [{PERSON: who} for who in ("a", "b", "x")])
    now = {"segments/s": table_of(tmp_path, "now", [{PERSON: who} for who in ("a", "y")])["now"]}
    inputs = {**before, **now, **successors(tmp_path, {"b": "a"})}
    found = run(changes_expression("s", linked=True), inputs, tmp_path / "out.parquet").to_pylist()
    assert found == [{"entries": 1, "exits": 1}]


def test_a_tier_of_before_is_the_persons_own(tmp_path: Path) -> None:
    before = table_of(tmp_path, "b", [{PERSON: who, "tier": tier} for who, tier in (("a", "gold"), ("b", "new"))])
    now = table_of(tmp_path, "n", [{PERSON: "a", "tier": "gold"}])
    table = unbound("n", {PERSON: "string", "tier": "string"})
    with connected() as connection:
        asked = (DuckDBEngine(connection), table, "tier", now["n"], before["b"])
        assert count_moves(*asked, successors(tmp_path, {"b": "a"})) == [("gold", "gold", 1)]
        assert len(count_moves(*asked)) == 2


@pytest.fixture
def tables(tmp_path: Path, resolved: Resolved) -> Tables:
    made = Tables(tmp_path, resolved)
    made.orders()
    return made


def linked_entries(tables: Tables, *rows: dict[str, Any]) -> None:
    tables.write("triggers/hello", rows, arrow(state_schema(KEPT, linked=True)))


def counted(tables: Tables, expression: Any) -> list[dict[str, Any]]:
    with connected() as connection:
        asked = expression(tables.resolved, tables.resolved.triggers["hello"], KEPT, AS_OF, linked=True)
        return DuckDBEngine(connection).fetch(asked, tables.files).to_pylist()


def test_who_was_drawn_into_both_arms_counts_in_none_and_is_told(tables: Tables) -> None:
    day = date(2024, 3, 1)
    linked_entries(
        tables,
        entry("a", day) | {"entered_as": "a"},
        entry("a", day, "control") | {"entered_as": "b"},
        entry("c", day) | {"entered_as": "c"},
        entry("c", date(2024, 3, 5)) | {"entered_as": "d"},
        # The share was changed between the two: not two persons.
        entry("e", day) | {"entered_as": "e"},
        entry("e", date(2024, 3, 5), "control") | {"entered_as": "e", "entry": 2},
    )
    whole = {row["treated"]: row for row in counted(tables, arms_expression) if row["period"] == "all"}
    assert {arm: (row["entered"], row["n"], row["crossed"]) for arm, row in whole.items()} == {
        True: (4, 2, 1),
        False: (2, 0, 1),
    }


def test_messages_are_of_the_entry_under_whatever_id_it_began(tables: Tables) -> None:
    day = date(2024, 3, 1)
    linked_entries(tables, entry("a", day) | {"entered_as": "a"}, entry("a", day) | {"entered_as": "b"})
    told = {"entry": 1, "step": "sms", "destination": "gateway"} | dict.fromkeys(FLAGS, False)
    rows = [{**told, "person_id": who, "planned": True, "sent": True} for who in ("a", "b")]
    tables.write(OUTCOMES, rows, arrow(outcomes_table().schema()))
    found = {row["period"]: (row["sent"], row["counted"]) for row in counted(tables, funnel_expression)}
    assert found["all"] == (2, 1)


SPELLINGS = st.text(string.ascii_letters + string.digits + "+-(). /@张\t", max_size=18) | st.from_regex(
    r"(\+86|0086|86|\+1 |00)?1[3-9][0-9]{9}", fullmatch=True
)


@settings(max_examples=12 * MORE)
@given(st.lists(SPELLINGS, min_size=1, max_size=40))
def test_a_text_is_the_same_key_with_and_without_an_engine(texts: list[str]) -> None:
    for how in ("text", "upper", "lower", "phone", "email"):
        values = ", ".join("(?)" for _ in texts)
        with connected() as connection:
            connection.execute(f"CREATE TABLE t AS SELECT * FROM (VALUES {values}) AS v(text)", texts)
            column = ibis.table({"text": "string"}, name="t")
            asked = ibis.to_sql(column.select(key=normalised(column.text, how)), dialect="duckdb")  # type: ignore[arg-type]
            found = [row[0] for row in connection.execute(asked).fetchall()]
        assert found == [key_of(text, how) for text in texts]  # type: ignore[arg-type]


def test_a_kept_value_goes_with_the_person(tmp_path: Path) -> None:
    kind = {"code": "member", "title": {"zh": "m", "en": "m"}}
    sources = {"members": {"member": "member"}, "orders": {"member": "member"}}
    kept = tag("points", "integer", {"master": "members", "of": "points"}, null_policy="keep_last")
    files = {"identity.yaml": {"kinds": [kind], "sources": sources}, "tags/p.yaml": category("p", kept)}
    resolved = make_catalog(tmp_path / "catalog", files)
    columns = dict(resolved.sources["members"].columns) | {"_file": TEXT, "_row": INTEGER, "_person": TEXT}
    now = [{"_person": "a"}, {"_person": "c", "points": 9}]
    before = [{PERSON: "a"}, {PERSON: "b", "points": 5}, {PERSON: "c", "points": 1}]
    inputs = {
        "keyed/members": [write_rows(tmp_path / "members.parquet", columns, now)],
        "previous": [write_rows(tmp_path / "previous.parquet", {PERSON: TEXT, "points": INTEGER}, before)],
        PERSONS: write_persons(tmp_path, ["a", "c"]),
        **successors(tmp_path, {"b": "a"}),
    }
    made = category_expression(resolved, resolved.categories["p"], AS_OF, previous=True)
    assert run(made, inputs, tmp_path / "out.parquet").to_pylist() == [
        {PERSON: "a", "points": 5},
        {PERSON: "c", "points": 9},
    ]
