"""Receipts: the same whatever their order, however often and however late."""

import json
import random
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import csv

from valtag_assets.delivery.outbox import Outbox
from valtag_assets.delivery.receipts import BadReceipt, Receipt, Receipts, export, land, read_receipt
from valtag_tests.chance import MORE

NOW = datetime(2024, 3, 11, 4, 0, tzinfo=UTC)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    file = tmp_path / "outbox.sqlite"
    with Outbox.open(file) as outbox:
        rows = {
            "key": ["k1", "k2"],
            "kind": ["message"] * 2,
            "origin": ["care"] * 2,
            "step": ["sms", "advisor"],
            "destination": ["gateway", "desk"],
            "person_id": ["a", "b"],
            "operation": ["message"] * 2,
            "values": ["{}"] * 2,
            "created_at": [NOW] * 2,
        }
        outbox.plan(pa.table(rows))
    return file


RECEIPTS = st.lists(
    st.builds(
        Receipt,
        key=st.sampled_from(["k1", "k2", "strange"]),
        state=st.sampled_from(["delivered", "opened", "unsubscribed", "subscribed"]),
        at=st.integers(0, 5).map(lambda hours: NOW + timedelta(hours=hours)),
    ),
    max_size=12,
)


@settings(max_examples=25 * MORE)
@given(told=RECEIPTS, seed=st.integers(0, 99))
def test_order_and_repetition_make_no_difference(told: list[Receipt], seed: int, tmp_path_factory: Any) -> None:
    folder = tmp_path_factory.mktemp("ledgers")
    mixed = [*told, *told]
    random.Random(seed).shuffle(mixed)
    found = []
    for name, batches in (("one", [told]), ("other", [mixed[:5], mixed[5:]])):
        Outbox.open(folder / name).close()
        with Receipts.open(folder / name) as receipts:
            for batch in batches:
                receipts.keep(batch, NOW)
            found.append(receipts.read().to_pylist())
    assert found[0] == found[1]
    opened = [receipt for receipt in told if receipt.state == "opened"]
    first = {receipt.key: min(o.at for o in opened if o.key == receipt.key) for receipt in opened}
    assert {row["key"]: row["at"] for row in found[0] if row["state"] == "opened"} == first


def test_files_are_taken_in_once_and_bad_lines_are_counted(ledger: Path, tmp_path: Path) -> None:
    folder = tmp_path / "receipts"
    file = land(folder, [Receipt("k1", "delivered", NOW), Receipt("k2", "clicked", NOW)])
    assert land(folder, [Receipt("k1", "delivered", NOW), Receipt("k2", "clicked", NOW)]) == file
    (folder / "more.jsonl").write_text(
        '{"key": "k1", "state": "delivered", "at": "2024-03-11"}\n{\n', encoding="utf-8"
    )
    with Receipts.open(ledger) as receipts:
        taken = receipts.take_in(folder, NOW)
        assert (taken.files, taken.receipts, taken.refused) == (2, 2, 2)
        assert receipts.take_in(folder, NOW).files == 0
        with (folder / "more.jsonl").open("a", encoding="utf-8") as lines:
            lines.write(json.dumps({"key": "k1", "state": "opened", "at": "2024-03-11T12:00:00+08:00"}) + "\n")
        assert receipts.take_in(folder, NOW).receipts == 1
        table = receipts.read("k1").to_pylist()
    assert [(row["person_id"], row["step"], row["state"]) for row in table] == [
        ("a", "sms", "delivered"),
        ("a", "sms", "opened"),
    ]


def test_a_receipt_from_the_future_does_not_outrank_a_later_unsubscribe(ledger: Path) -> None:
    later = NOW + timedelta(days=2)
    with Receipts.open(ledger) as receipts:
        receipts.keep([Receipt("k1", "subscribed", NOW.replace(year=9999))], NOW)
        receipts.keep([Receipt("k1", "unsubscribed", later)], later)
        told = [row["state"] for row in receipts.read("k1").to_pylist()]
    assert told == ["subscribed", "unsubscribed"]


@pytest.mark.parametrize(
    "line", ["[" * 100_000, '{"key": "\\ud800", "state": "clicked", "at": "2024-03-11T12:00:00Z"}']
)
def test_no_line_keeps_the_others_from_being_read(line: str, ledger: Path, tmp_path: Path) -> None:
    file = land(tmp_path / "receipts", [Receipt("k1", "unsubscribed", NOW)])
    file.write_text(f"{line}\n{file.read_text(encoding='utf-8')}", encoding="utf-8")
    with Receipts.open(ledger) as receipts:
        taken = receipts.take_in(file.parent, NOW)
    assert (taken.receipts, taken.refused) == (1, 1)


def test_receipts_become_a_table_that_a_source_reads(ledger: Path, tmp_path: Path) -> None:
    folder = tmp_path / "landing"
    with Receipts.open(ledger) as receipts:
        receipts.keep([Receipt("k1", "clicked", NOW), Receipt("nobody", "clicked", NOW)], NOW)
        receipts.keep([Receipt("", "unsubscribed", NOW, "c", "*")], NOW)
        table = receipts.read()

    def channel(origin: str, step: str, destination: str) -> str | None:
        return {("care", "sms", "gateway"): "sms"}.get((origin, step, destination))

    assert export(table, channel, folder) == 1
    (file,) = folder.glob("*.csv")
    rows = csv.read_csv(file).to_pylist()
    assert [(row["receipt_id"], row["person_id"], row["origin"], row["channel"]) for row in rows] == [
        ("k1|a||clicked", "a", "care", "sms"),
        ("|c|*|unsubscribed", "c", "", "*"),
    ]
    assert export(table, channel, folder) == 0, "a file that says the same is not touched"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (["k"], "is an object"),
        ({"key": "k", "state": "read", "at": "2024-03-11T12:00:00Z"}, "none of"),
        ({"key": "k", "state": "opened", "at": "2024-03-11T12:00:00"}, "no zone"),
        ({"key": "k", "state": "opened", "at": 7}, "no instant"),
        ({"state": "opened", "at": "2024-03-11T12:00:00Z"}, "key is missing"),
        ({"key": "k", "person_id": "a", "state": "opened", "at": "2024-03-11T12:00:00Z"}, "leave person_id"),
        ({"key": "k", "phone": "1", "state": "opened", "at": "2024-03-11T12:00:00Z"}, "has no 'phone'"),
        ({"key": "\ud800", "state": "opened", "at": "2024-03-11T12:00:00Z"}, "whole characters"),
        ({"key": "k" * 201, "state": "opened", "at": "2024-03-11T12:00:00Z"}, "at most 200"),
    ],
)
def test_what_is_no_receipt_is_refused(written: Any, said: str) -> None:
    with pytest.raises(BadReceipt, match=said):
        read_receipt(written)


def test_an_instant_is_the_same_in_every_zone(ledger: Path) -> None:
    local = datetime(2024, 3, 11, 12, 0, tzinfo=timezone(timedelta(hours=8)))
    with Receipts.open(ledger) as receipts:
        receipts.keep([Receipt("k1", "opened", local)], NOW)
        assert receipts.read()["at"].to_pylist() == [NOW]
