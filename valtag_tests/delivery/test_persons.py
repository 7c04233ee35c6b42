"""Messages of persons who turned out to be one, or two: who counts as whom at the gate and in the ledger."""

from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from valtag_assets.delivery.erasing import purge
from valtag_assets.delivery.outbox import Outbox
from valtag_assets.delivery.receipts import Receipt, Receipts
from valtag_assets.delivery.standing import Spell
from valtag_tests.delivery.test_gateway import NOON, Desk

LATER = NOON + timedelta(hours=1)


def follow(outbox: Outbox, snapshot: str, was: dict[str, str], parts: dict[str, str] | None = None) -> None:
    """Tell the ledger whose ids are no more (``was``: old to new), and of whom persons are a part (part to whole)."""
    told = pa.table({"was": pa.array(list(was), pa.string()), "now": pa.array(list(was.values()), pa.string())})
    parts = parts or {}
    whole, part = pa.array(list(parts.values()), pa.string()), pa.array(list(parts), pa.string())
    outbox.follow(snapshot, told, pa.table({"whole": whole, "person_id": part}))


def test_what_was_sent_to_two_counts_for_the_one_they_are(tmp_path: Path) -> None:
    desk = Desk(tmp_path, caps=[{"at_most": 2, "within": "7d"}])
    for person in ("a", "b"):
        desk.plan(person, NOON)
    assert set(desk.kinds(NOON).values()) == {"send"}
    follow(desk.outbox, "s1", {"b": "a"})
    third, other = desk.plan("a", LATER), desk.plan("c", LATER)
    assert desk.kinds(LATER) == {third: "hold", other: "send"}
    follow(desk.outbox, "s2", {})
    assert desk.kinds(LATER + timedelta(hours=2)) == {third: "send"}, "they were two after all"


def test_a_message_that_waits_goes_to_whoever_the_person_is_now(tmp_path: Path) -> None:
    desk = Desk(tmp_path, {"a": {"consent_sms": False}})
    waits, sync = desk.plan("b", NOON), desk.plan("b", NOON, kind="sync", operation="remove", origin="vip")
    follow(desk.outbox, "s1", {"b": "a"})
    claimed = {item.key: item for item in desk.outbox.claim("gateway", 9, NOON, NOON + timedelta(hours=1))}
    assert (claimed[waits].person_id, claimed[waits].planned_for) == ("a", "b")
    assert claimed[sync].person_id == "b", "what a destination holds is taken out under the id it holds"
    verdicts = desk.gateway(list(claimed.values()), NOON)
    assert (verdicts[waits].reason, verdicts[sync].kind) == ("no_consent", "send")


def test_of_two_entries_of_one_person_the_one_that_was_closed_sends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(tmp_path)
    asked: list[str] = []

    def spells(trigger: str, persons: list[str]) -> dict[tuple[str, str], Spell]:
        asked.extend(persons)
        return {("b", "1"): Spell(None, is_open=False, is_done=True, is_merged=True)}

    monkeypatch.setattr(desk.gateway._standing, "spells", spells)
    waits, own = desk.plan("b", NOON, entry="1"), desk.plan("a", NOON, entry="1")
    follow(desk.outbox, "s1", {"b": "a"})
    verdicts = desk.send(NOON)
    assert (verdicts[waits].reason, verdicts[own].kind) == ("merged", "send")
    assert sorted(asked) == ["a", "b"], "entries are known by the id of then"


def test_who_left_under_one_id_has_left(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    with Receipts.open(desk.file) as receipts:
        receipts.keep([Receipt("", "unsubscribed", NOON, "b", "sms")], NOON)
        follow(desk.outbox, "s1", {"b": "a"})
        key = desk.plan("a", NOON)
        assert desk.send(NOON)[key].reason == "unsubscribed"
        receipts.keep([Receipt("", "subscribed", LATER, "a", "sms")], LATER)
        again = desk.plan("a", LATER)
        assert desk.kinds(LATER) == {again: "send"}


def test_what_a_whole_withdrew_every_part_withdrew(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    with Receipts.open(desk.file) as receipts:
        receipts.keep([Receipt("", "unsubscribed", NOON, "old", "sms")], NOON)
        receipts.keep([Receipt("", "subscribed", LATER, "a", "sms")], LATER)
        # old became a; c is a part of a, and d of c.
        follow(desk.outbox, "s1", {"old": "a"}, {"c": "a", "d": "c"})
        keys = {person: desk.plan(person, LATER) for person in "acd"}
        verdicts = desk.send(LATER)
    assert {person: verdicts[key].reason for person, key in keys.items()} == {
        "a": "",
        "c": "unsubscribed",
        "d": "unsubscribed",
    }, "a came back; nobody knows whether the others did"


def test_the_ledger_finds_a_persons_messages_by_every_id(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    keys = {desk.plan("b", NOON), desk.plan("a", NOON)}
    desk.plan("c", NOON)
    follow(desk.outbox, "s1", {"b": "a"})
    assert set(desk.outbox.read(person="a")["key"].to_pylist()) == keys
    follow(desk.outbox, "s1", {})
    assert desk.outbox.read(person="a").num_rows == 2, "the same snapshot says the same"


def test_who_is_erased_leaves_no_id_in_the_ledger(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.plan("former", NOON), desk.plan("other", NOON)
    follow(desk.outbox, "s1", {"former": "erased"}, {"erased": "whole"})
    desk.outbox.close()
    assert purge(desk.file, ["former", "erased"])["messages"] == 1
    assert all(name not in desk.file.read_bytes() for name in (b"former", b"erased"))
    assert b"other" in desk.file.read_bytes()
