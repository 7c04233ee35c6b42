"""The ledger: a message is planned once, belongs to one sender at a time, and ends in one state."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from valtag_assets.delivery import statements
from valtag_assets.delivery.keys import message_key
from valtag_assets.delivery.message import Message, Result, State
from valtag_assets.delivery.outbox import Outbox
from valtag_assets.spec.mistake import Mistake
from valtag_assets.warehouse.errors import WarehouseError

NOW = datetime(2024, 3, 10, 8, tzinfo=UTC)
LEASE = NOW + timedelta(minutes=5)


def messages(persons: list[str], *, operation: str = "message", entry: str = "1", **more: object) -> pa.Table:
    kind = "message" if operation == "message" else "sync"
    rows = [
        {
            "key": message_key("sms", "win_back", "", "", person, entry, operation),
            "kind": kind,
            "origin": "win_back",
            "destination": "sms",
            "person_id": person,
            "entry": entry,
            "operation": operation,
            "values": "{}",
            "values_hash": f"hash of {person}",
            "created_at": NOW,
            **more,
        }
        for person in persons
    ]
    return pa.Table.from_pylist(rows)


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with Outbox.open(tmp_path / "outbox" / "outbox.sqlite") as made:
        yield made


def states(outbox: Outbox) -> dict[str, str]:
    table = outbox.read()
    return dict(zip(table["person_id"].to_pylist(), table["state"].to_pylist(), strict=True))


def claim(outbox: Outbox, most: int = 10, now: datetime = NOW) -> list[Message]:
    return outbox.claim("sms", most, now, now + timedelta(minutes=5))


def settle(outbox: Outbox, message: Message, state: State, **more: object) -> None:
    outbox.settle([Result(message, state, NOW, **more)])  # type: ignore[arg-type]


def test_a_plan_that_is_made_again_plans_nothing_twice(outbox: Outbox) -> None:
    assert outbox.plan(messages(["a", "b"])) == 2
    assert outbox.plan(messages(["a", "b", "c"])) == 1
    (first, *_) = claim(outbox)
    settle(outbox, first, "sent")
    assert outbox.plan(messages(["a", "b", "c"])) == 0
    assert states(outbox)[first.person_id] == "sent"


def test_a_plan_says_what_it_lacks(outbox: Outbox) -> None:
    with pytest.raises(ValueError, match="values"):
        outbox.plan(messages(["a"]).drop_columns(["values"]))
    with pytest.raises(ValueError, match="phone"):
        outbox.plan(messages(["a"], phone="138"))


def test_a_claimed_message_is_nobody_elses_until_its_lease_ends(outbox: Outbox) -> None:
    outbox.plan(messages(["a", "b", "c"]))
    mine, theirs = claim(outbox, 2), claim(outbox, 2)
    assert len(mine) == 2 and len(theirs) == 1
    assert {m.key for m in mine} & {m.key for m in theirs} == set()
    assert claim(outbox) == []


def test_the_urgent_ones_come_first_and_none_before_its_time_or_after_its_end(outbox: Outbox) -> None:
    outbox.plan(messages(["later"], not_before=NOW + timedelta(hours=1)))
    outbox.plan(messages(["over"], expires_at=NOW))
    outbox.plan(messages(["plain"]))
    outbox.plan(messages(["urgent"], priority=5))
    assert [m.person_id for m in claim(outbox)] == ["urgent", "plain"]
    outbox.recover("sms", NOW, idempotent=True)
    assert states(outbox)["over"] == "expired"
    assert outbox.due(NOW) == {}
    assert outbox.next_at("sms") == NOW + timedelta(minutes=5)
    assert outbox.due(NOW + timedelta(hours=1)) == {"sms": 1}


@pytest.mark.parametrize(("idempotent", "state"), [(True, "pending"), (False, "unknown")])
def test_what_a_dead_sender_had_is_sent_again_only_where_that_does_no_harm(
    outbox: Outbox, idempotent: bool, state: str
) -> None:
    outbox.plan(messages(["a"]))
    claim(outbox)
    assert outbox.recover("sms", LEASE - timedelta(seconds=1), idempotent=idempotent) == 0
    assert outbox.recover("sms", LEASE + timedelta(seconds=1), idempotent=idempotent) == 1
    assert states(outbox) == {"a": state}


def test_the_answer_of_a_sender_that_slept_past_its_lease_counts_only_if_the_message_was_taken(
    outbox: Outbox,
) -> None:
    outbox.plan(messages(["a"]))
    (slept,) = claim(outbox)
    outbox.recover("sms", LEASE + timedelta(seconds=1), idempotent=True)
    (again,) = claim(outbox, now=LEASE + timedelta(seconds=1))
    settle(outbox, slept, "rejected", reason="late")
    assert states(outbox) == {"a": "claimed"}
    settle(outbox, slept, "sent")
    assert states(outbox) == {"a": "sent"}
    settle(outbox, again, "dead")
    assert states(outbox) == {"a": "sent"}


def test_a_retry_waits_and_one_that_was_not_tried_is_not_counted(outbox: Outbox) -> None:
    outbox.plan(messages(["a"]))
    (first,) = claim(outbox)
    settle(outbox, first, "pending", until=NOW + timedelta(seconds=30), reason="busy")
    assert claim(outbox) == []
    (second,) = claim(outbox, now=NOW + timedelta(seconds=30))
    assert second.attempts == 2
    settle(outbox, second, "pending", until=NOW, counted=False)
    assert claim(outbox)[0].attempts == 2


def test_what_the_receiver_holds_follows_its_acknowledgements_alone(outbox: Outbox) -> None:
    def holds() -> dict[str, str]:
        rows = outbox.acknowledged("sms", "win_back").to_pylist()
        return {row["person_id"]: row["values_hash"] for row in rows}

    outbox.plan(messages(["a", "b", "c"], operation="add"))
    found = {message.person_id: message for message in claim(outbox)}
    settle(outbox, found["a"], "acknowledged")
    settle(outbox, found["b"], "rejected", reason="no")
    settle(outbox, found["c"], "pending", until=NOW, doubt=True)
    assert holds() == {"a": "hash of a", "c": ""}
    outbox.plan(messages(["a"], operation="remove", entry="2"))
    assert holds() == {"a": "hash of a", "c": ""}
    for message in claim(outbox):
        settle(outbox, message, "acknowledged")
    assert holds() == {"c": "hash of c"}


def test_of_what_a_dead_sender_had_nobody_knows_what_the_receiver_holds(outbox: Outbox) -> None:
    outbox.plan(messages(["a"], operation="add"))
    claim(outbox)
    outbox.recover("sms", LEASE + timedelta(seconds=1), idempotent=True)
    assert outbox.replace("win_back", messages(["a"]).slice(0, 0), [], "r2", NOW) == 1
    assert states(outbox) == {"a": "expired"}
    assert outbox.acknowledged("sms", "win_back").to_pylist() == [{"person_id": "a", "values_hash": ""}]


def test_somebody_decides_about_an_unknown_message_once(outbox: Outbox) -> None:
    outbox.plan(messages(["a", "b"]))
    for message in claim(outbox):
        settle(outbox, message, "unknown", reason="timed out", doubt=True)
    keys = {row["person_id"]: row["key"] for row in outbox.unknown().to_pylist()}
    outbox.resolve(keys["a"], "requeue", NOW)
    outbox.resolve(keys["b"], "close", NOW)
    assert states(outbox) == {"a": "pending", "b": "dead"}
    with pytest.raises(Mistake, match="waits for a decision"):
        outbox.resolve(keys["a"], "requeue", NOW)


def test_counts_and_rows_are_what_was_written(outbox: Outbox) -> None:
    outbox.plan(messages(["a", "b"], as_of=NOW.date(), run="r1"))
    outbox.plan(messages(["c"], operation="add"))
    counted = {(row["operation"], row["state"]): row["messages"] for row in outbox.counts(run="r1")}
    assert counted == {("message", "pending"): 2}
    table = outbox.read(person="a")
    assert table["as_of"].to_pylist() == [NOW.date()]
    assert table["created_at"].to_pylist() == [NOW]
    assert table["not_before"].to_pylist() == [NOW]
    assert outbox.read(origin="nothing").num_rows == 0


def test_a_ledger_of_a_later_format_is_left_alone(outbox: Outbox, tmp_path: Path) -> None:
    file = tmp_path / "outbox" / "outbox.sqlite"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA user_version = 7")
    with pytest.raises(WarehouseError, match="format 7"):
        Outbox.open(file)


ASKED = {
    **{name: text for name, text in vars(statements).items() if name.isupper() and not name.startswith("_")},
    "read pending": statements.read({"destination": "sms", "state": "pending", "kind": "message"}),
    "read unknown": statements.read({"state": "unknown"}),
    "read one": statements.read({"key": "k"}),
    "read person": statements.read({"person": "p", "kind": "message"}),
    "count run": statements.counts({"origin": "o", "run": "r"}),
}


@pytest.mark.parametrize("name", ASKED)
def test_nothing_that_is_asked_of_the_ledger_reads_all_of_it(outbox: Outbox, tmp_path: Path, name: str) -> None:
    text = ASKED[name]
    with closing(sqlite3.connect(tmp_path / "outbox" / "outbox.sqlite")) as connection:
        connection.execute("CREATE TEMP TABLE kept (key TEXT PRIMARY KEY)")
        named = dict.fromkeys(re.findall(r":([a-z]+)", text))
        values = named or (None,) * text.count("?")
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {text}", values)]
    assert [step for step in plan if step == "SCAN message"] == []
