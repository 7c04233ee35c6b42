"""Triggers in the graph: from tables to a receiver and back, once, with reasons."""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from valtag_assets.definitions import build_definitions
from valtag_assets.delivery.gateway import stops_of
from valtag_assets.delivery.outbox import Outbox, ledger_file
from valtag_assets.delivery.receipts import Receipts
from valtag_assets.graph.jobs import MESSAGES, TRIGGERS
from valtag_assets.graph.messages import receipts_folder
from valtag_assets.graph.trigger_sensors import trigger_sensors
from valtag_tests.graph.shop import AS_OF, FILES, PROJECT, SEGMENTS, Shop, orders

MORNING = datetime(2024, 3, 11, 2, 0, tzinfo=UTC)  # 10:00 in Shanghai, the day after the as-of
CHANNELS = """
channels:
  - {code: sms, title: {zh: 短信, en: SMS}, reachable: gender is not null, quiet: {from: "21:00", to: "09:00"}}
  - {code: advisor, title: {zh: 顾问, en: Advisor}, reachable: "city = '成都'"}
contact:
  caps: [{at_most: 1, within: 1d, channel: sms}]
"""
CARE = """
trigger: care
title: {zh: 关怀, en: Care}
when: total_spend > 100 and city = '成都'
together: true
holdout: {share: 0.2, seed: 3}
actions:
  - {step: sms, to: gateway, fields: {spend: total_spend}, texts: {template: 'A"1'}}
  - {step: advisor, to: desk}
"""
THANKS = """
trigger: thanks
title: {zh: 谢谢, en: Thanks}
on: {event: {fact: orders, where: amount > 20}}
priority: -1
ttl: 5d
actions: [{step: sms, to: gateway}]
"""
RECEIVER = """
destination: {code}
title: {{zh: 接收, en: Receiver}}
kind: file
path: {code}.jsonl
format: jsonl
mode: append
channel: {channel}
"""
TRIGGERED = {
    "project.yaml": PROJECT + CHANNELS,
    "segments/audiences.yaml": SEGMENTS,
    "triggers/care.yaml": CARE,
    "triggers/thanks.yaml": THANKS,
    "destinations/gateway.yaml": RECEIVER.format(code="gateway", channel="sms"),
    "destinations/desk.yaml": RECEIVER.format(code="desk", channel="advisor"),
}


@pytest.fixture
def caring(ran: Shop) -> Shop:
    """A shop that was run once, to whose catalog triggers are added; it is the morning after."""
    return with_files(ran, TRIGGERED)


@pytest.fixture(scope="module")
def cared_once(run_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of such a shop after its triggers ran and their messages were sent. Not to be changed."""
    folder = tmp_path_factory.mktemp("cared")
    shutil.copytree(run_once, folder, dirs_exist_ok=True)
    with dg.DagsterInstance.ephemeral() as instance:
        assert with_files(Shop(folder, instance), TRIGGERED).run(job=TRIGGERS)["triggers/care"] == "published"
    return folder


@pytest.fixture
def cared(cared_once: Path, tmp_path: Path) -> Iterator[Shop]:
    """A shop of one's own whose triggers ran."""
    shutil.copytree(cared_once, tmp_path, dirs_exist_ok=True)
    with dg.DagsterInstance.ephemeral() as instance:
        yield with_files(Shop(tmp_path, instance), TRIGGERED)


def with_files(shop: Shop, files: Mapping[str, str]) -> Shop:
    for name, text in files.items():
        path = shop.root / "catalog" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    shop.files = {**FILES, **shop.files, **files}
    shop.clock = lambda: MORNING
    return shop


def messages(shop: Shop, **wanted: Any) -> list[dict[str, Any]]:
    with Outbox.open(ledger_file(shop.setting.warehouse)) as outbox:
        return [row for row in outbox.read().to_pylist() if all(row[n] == v for n, v in wanted.items())]


def received(shop: Shop, code: str) -> list[dict[str, Any]]:
    folder = shop.root / "data" / "deliveries" / "shop"
    return [json.loads(line) for file in sorted(folder.rglob(f"*{code}*")) for line in lines_of(file)]


def lines_of(file: Path) -> list[str]:
    found = sorted(file.rglob("*.jsonl")) if file.is_dir() else [file]
    return [line for part in found for line in part.read_text(encoding="utf-8").splitlines()]


def expected(shop: Shop) -> set[str]:
    """Who spent more than 100 and lives in Chengdu, from the raw tables."""
    rows = pd.read_csv(shop.root / "catalog" / "data" / "orders.csv", dtype={"customer_id": str})
    spend = rows.groupby("customer_id")["amount"].sum()
    return {who for who, total in spend.items() if total > 100 and int(str(who)[1:]) % 3 == 2}


def test_both_actions_reach_the_receivers_once_and_the_control_arm_neither(cared: Shop) -> None:
    rows = cared.rows("triggers/care")
    assert set(rows["person_id"]) == expected(cared)
    treated = set(rows[rows["arm"] == "treated"]["person_id"])
    assert 0 < len(treated) < len(rows)
    sms, desk = received(cared, "gateway"), received(cared, "desk")
    texted = {row["person_id"] for row in sms if row["origin"] == "care"}
    assert texted == {row["person_id"] for row in desk} == treated
    spend = rows.set_index("person_id")["seen_total_spend"]
    care = [row for row in sms if row["origin"] == "care"]
    assert all(row["template"] == 'A"1' and row["spend"] == str(spend[row["person_id"]]) for row in care)
    control = messages(cared, origin="care", state="held_back")
    assert {row["person_id"] for row in control} == set(rows["person_id"]) - treated
    assert {(row["arm"], row["reason"]) for row in control} == {("control", "control")}
    before = messages(cared)
    cared.run(job=TRIGGERS)
    cared.full = True
    cared.run(job=TRIGGERS)
    assert (received(cared, "gateway"), messages(cared)) == (sms, before), "nothing is sent twice"


def test_a_cap_over_triggers_lets_the_more_urgent_through(cared: Shop) -> None:
    both = {row["person_id"] for row in messages(cared, origin="thanks", reason="capped")}
    assert both and both <= {row["person_id"] for row in messages(cared, origin="care", state="sent")}
    assert {row["state"] for row in messages(cared, origin="thanks", reason="capped")} == {"pending"}


def test_at_night_text_messages_wait_and_the_morning_run_sends_them(caring: Shop) -> None:
    caring.clock = lambda: MORNING - timedelta(hours=5)
    caring.run(job=TRIGGERS)
    waiting = messages(caring, origin="care", destination="gateway", state="pending")
    assert {(row["reason"], row["not_before"]) for row in waiting} == {("quiet hours", MORNING - timedelta(hours=1))}
    assert messages(caring, destination="desk", state="sent"), "another channel has other hours"
    ticks = due(caring)
    assert ticks(MORNING - timedelta(hours=1, seconds=1)) == 0
    assert ticks(MORNING) == 1
    caring.run(job=MESSAGES)
    assert len(messages(caring, origin="care", destination="gateway", state="sent")) == len(waiting)


def due(shop: Shop) -> Any:
    """How many runs the sensor of due messages asks for at an instant."""

    def at(now: datetime) -> int:
        shop.clock = lambda: now
        (_, sensor) = trigger_sensors(shop.setting)
        with dg.build_sensor_context(instance=shop.instance) as context:
            return len(sensor.evaluate_tick(context).run_requests or [])

    return at


def test_a_past_as_of_is_not_sent(caring: Shop) -> None:
    caring.clock = lambda: MORNING + timedelta(days=30)
    caring.run(job=TRIGGERS)
    assert received(caring, "gateway") == []
    assert {row["state"] for row in messages(caring)} == {"held_back"}
    late = "its time was over before it was planned"
    assert late in {row["reason"] for row in messages(caring)}


def test_a_held_tag_stops_the_trigger_and_what_was_decided_stays(cared: Shop) -> None:
    before = received(cared, "gateway")
    rows = orders()
    rows["amount"] = rows["amount"].astype(float) * 10
    cared.write(order_rows=rows)
    outcomes = cared.run(AS_OF, TRIGGERS)
    assert outcomes["triggers/care"] == "refused"
    assert "total_spend" in cared.reason("triggers/care")
    assert received(cared, "gateway") == before


def test_a_new_event_reaches_the_receiver_with_one_tick_and_one_run(cared: Shop) -> None:
    definitions = build_definitions(cared.setting)
    arrivals = definitions.resolve_sensor_def("trigger_arrivals")
    repository = definitions.get_repository_def()
    with dg.build_sensor_context(instance=cared.instance, repository_def=repository) as context:
        first = arrivals.evaluate_tick(context)
        row = {"order_id": "N1", "customer_id": "C060", "ordered_at": "2024-03-11 09:59:00", "amount": "99.00"}
        pd.DataFrame([row]).to_csv(cared.root / "catalog" / "data" / "orders_new.csv", index=False)
    with dg.build_sensor_context(cared.instance, cursor=first.cursor, repository_def=repository) as context:
        second = arrivals.evaluate_tick(context)
        assert [request.partition_key for request in second.run_requests or ()] == [AS_OF.isoformat()]
    cared.run(job=TRIGGERS)
    assert [row["person_id"] for row in received(cared, "gateway") if row["origin"] == "thanks"].count("C060") == 1
    entry = cared.rows("triggers/thanks").set_index("person_id").loc["C060"]
    assert (entry["event"], str(entry["event_at"])) == ("N1", "2024-03-11 09:59:00")


def test_who_unsubscribes_is_not_sent_the_next_message(cared: Shop) -> None:
    sent = messages(cared, origin="care", destination="gateway", state="sent")
    at = (MORNING + timedelta(hours=1)).isoformat()
    left = [{"key": row["key"], "state": "unsubscribed", "at": at} for row in sent]
    land(cared, "a.jsonl", [*left, *left[::-1], {"state": "?"}])
    waiting = {row["person_id"] for row in messages(cared, origin="thanks", reason="capped")}
    cared.clock = lambda: MORNING + timedelta(days=1, hours=2)
    cared.run(job=MESSAGES)
    with Receipts.open(ledger_file(cared.setting.warehouse)) as receipts:
        assert receipts.read().num_rows == len(sent)
    assert {row["person_id"] for row in messages(cared, origin="thanks", reason="unsubscribed")} == waiting
    assert {row["state"] for row in messages(cared, origin="thanks", reason="unsubscribed")} == {"held_back"}


def land(shop: Shop, name: str, receipts: Sequence[Mapping[str, Any]]) -> None:
    folder = receipts_folder(shop.setting)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in receipts), encoding="utf-8")


def test_what_is_stopped_is_planned_and_not_sent(caring: Shop) -> None:
    stops_of(caring.setting.warehouse).stop("channel.sms")
    caring.run(job=TRIGGERS)
    assert received(caring, "gateway") == []
    assert {row["reason"] for row in messages(caring, destination="gateway", arm="treated")} == {
        "stopped: channel.sms"
    }


def test_who_is_still_under_way_the_next_day_is_not_entered_again(cared: Shop) -> None:
    before = len(messages(cared, origin="care"))
    cared.clock = lambda: MORNING + timedelta(days=1)
    cared.run(AS_OF + timedelta(days=1), TRIGGERS)
    rows = cared.rows("triggers/care", AS_OF + timedelta(days=1))
    assert set(rows["entered"]) == {date(2024, 3, 10)}
    assert len(messages(cared, origin="care")) == before
