"""The send gateway: caps, quiet hours, consent, receipts and the kill switch, with frozen clocks."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from valtag_assets.delivery.gateway import Gateway, greedy
from valtag_assets.delivery.message import Message, Result, Verdict
from valtag_assets.delivery.outbox import Outbox
from valtag_assets.delivery.quiet import quiet_until
from valtag_assets.delivery.receipts import Receipt, Receipts
from valtag_assets.delivery.standing import Spell
from valtag_assets.delivery.stops import Stops
from valtag_assets.expression.resolved import Resolved
from valtag_assets.spec.project import Quiet
from valtag_tests.chance import MORE
from valtag_tests.kit import category, make_catalog, tag

NOON = datetime(2024, 3, 11, 4, 0, tzinfo=UTC)  # in Shanghai
QUIET = {"from": "21:00", "to": "09:00"}
OPEN: dict[str, object] = {
    "reachable_sms": True,
    "consent_sms": True,
    "suppressed_sms": False,
    "reachable_push": True,
}


class Everybody:
    """What is known of persons, without tables."""

    def __init__(self, rows: Mapping[str, Mapping[str, object]]) -> None:
        self.rows = rows

    def expect(self, persons: Sequence[str]) -> None:
        pass

    def spells(self, trigger: str, persons: Sequence[str]) -> dict[tuple[str, str], Spell]:
        return {}

    def of(self, persons: Sequence[str]) -> dict[str, Mapping[str, object]]:
        return {person: {**OPEN, "zone": None, **self.rows.get(person, {})} for person in persons}


def catalog(folder: Path, **contact: Any) -> Resolved:
    sms = {"code": "sms", "title": {"zh": "短信", "en": "SMS"}, "reachable": "is_vip", "quiet": QUIET}
    push = {"code": "push", "title": {"zh": "推送", "en": "Push"}, "reachable": "is_vip"}
    project = {
        "name": "shop",
        "title": {"zh": "商店", "en": "Shop"},
        "start": "2020-01-01",
        "persons": {"sources": ["members"]},
        "channels": [sms, push],
        "contact": contact,
    }
    files: dict[str, Any] = {
        "project.yaml": project,
        "tags/p.yaml": category("p", tag("is_vip", "boolean", {"master": "members", "of": "is_vip"})),
    }
    for code, channel in (("gateway", "sms"), ("app", "push"), ("store", None)):
        files[f"destinations/{code}.yaml"] = {
            "destination": code,
            "title": {"zh": code, "en": code},
            "kind": "file",
            "path": f"{code}.jsonl",
            "format": "jsonl",
            **({"channel": channel} if channel else {}),
        }
    for code in ("care", "other"):
        files[f"triggers/{code}.yaml"] = {
            "trigger": code,
            "title": {"zh": "关怀", "en": "Care"},
            "when": "is_vip",
            "actions": [{"step": to, "to": to} for to in ("gateway", "app")],
        }
    return make_catalog(folder, files)


class Desk:
    """A gateway with its ledger."""

    def __init__(self, folder: Path, rows: Mapping[str, Mapping[str, object]] | None = None, **contact: Any) -> None:
        self.file, self.stops = folder / "outbox" / "outbox.sqlite", Stops(folder / "outbox" / "stops")
        self.outbox, self.count = Outbox.open(self.file), 0
        self.gateway = Gateway(catalog(folder / "catalog", **contact), Everybody(rows or {}), self.file, self.stops)  # type: ignore[arg-type]

    def plan(self, person: str, at: datetime, to: str = "gateway", **more: Any) -> str:
        self.count += 1
        key = f"k{self.count:03d}"
        row = {
            "key": key,
            "kind": "message",
            "origin": "care",
            "destination": to,
            "person_id": person,
            "operation": "message",
            "values": "{}",
            "created_at": at,
            **more,
        }
        self.outbox.plan(pa.table({name: [value] for name, value in row.items()}))
        return key

    def send(self, now: datetime, *, to: str = "gateway", most: int = 100) -> dict[str, Verdict]:
        """Claim what is due, ask the gate, and settle as the sender does."""
        claimed = self.outbox.claim(to, most, now, now + timedelta(minutes=5))
        verdicts = self.gateway(claimed, now)
        self.outbox.settle(settled(message, verdicts[message.key], now) for message in claimed)
        return verdicts

    def kinds(self, now: datetime, **more: Any) -> dict[str, str]:
        return {key: verdict.kind for key, verdict in self.send(now, **more).items()}


def settled(message: Message, verdict: Verdict, now: datetime) -> Result:
    if verdict.kind == "send":
        return Result(message, "sent", now)
    if verdict.kind == "drop":
        return Result(message, "held_back", now, verdict.reason)
    return Result(message, "pending", now, verdict.reason, until=verdict.until, counted=False)


CAPS = [{"at_most": 2, "within": "7d"}, {"at_most": 1, "within": "1d", "channel": "sms"}]


def test_caps_count_over_triggers_channels_and_time(tmp_path: Path) -> None:
    desk = Desk(tmp_path, caps=CAPS)
    first, second = desk.plan("a", NOON, priority=1), desk.plan("a", NOON, priority=5, origin="other")
    assert desk.kinds(NOON) == {second: "send", first: "hold"}, "the more urgent goes first; one text message a day"
    push = desk.plan("a", NOON, "app")
    assert desk.kinds(NOON, to="app") == {push: "send"}
    third = desk.plan("a", NOON, "app")
    assert desk.send(NOON, to="app")[third].reason == "capped", "two in seven days over all channels"
    week = NOON + timedelta(days=7)
    assert set(desk.kinds(week - timedelta(seconds=1)).values()) | {"hold"} == {"hold"}
    assert desk.kinds(week + timedelta(minutes=5)) == {first: "send"}


def test_a_day_is_over_after_twenty_four_hours_to_the_microsecond(tmp_path: Path) -> None:
    desk = Desk(tmp_path, caps=[{"at_most": 1, "within": "1d"}, {"at_most": 9, "within": "7d"}])
    first = desk.plan("a", NOON)
    assert desk.kinds(NOON) == {first: "send"}
    later = desk.plan("a", NOON, not_before=NOON + timedelta(days=1))
    assert desk.kinds(NOON + timedelta(days=1, microseconds=-1)) == {}
    assert desk.kinds(NOON + timedelta(days=1)) == {later: "send"}


def test_what_may_have_been_sent_counts_and_what_was_refused_does_not(tmp_path: Path) -> None:
    desk = Desk(tmp_path, caps=[{"at_most": 1, "within": "1d"}])
    for person in ("unknown", "refused", "under_way"):
        desk.plan(person, NOON)
    claimed = {m.person_id: m for m in desk.outbox.claim("gateway", 10, NOON, NOON + timedelta(hours=9))}
    desk.outbox.settle([Result(claimed["unknown"], "unknown", NOON, doubt=True)])
    desk.outbox.settle([Result(claimed["refused"], "rejected", NOON)])
    keys = {person: desk.plan(person, NOON) for person in claimed}
    verdicts = desk.send(NOON)
    assert {person: verdicts[key].kind for person, key in keys.items()} == {
        "unknown": "hold",
        "refused": "send",
        "under_way": "hold",
    }


def test_a_message_that_is_tried_again_does_not_hinder_itself(tmp_path: Path) -> None:
    desk = Desk(tmp_path, caps=[{"at_most": 1, "within": "1d"}])
    key = desk.plan("a", NOON)
    (claimed,) = desk.outbox.claim("gateway", 1, NOON, NOON + timedelta(minutes=5))
    desk.outbox.settle([Result(claimed, "pending", NOON, until=NOON, doubt=True)])
    assert desk.kinds(NOON + timedelta(seconds=1)) == {key: "send"}


@settings(max_examples=60 * MORE)
@given(
    messages=st.lists(st.tuples(st.integers(0, 3), st.lists(st.booleans(), min_size=2, max_size=2)), max_size=14),
    most=st.lists(st.integers(0, 4), min_size=2, max_size=2),
    used=st.lists(st.lists(st.integers(0, 3), min_size=2, max_size=2), min_size=4, max_size=4),
)
def test_the_rounds_let_through_what_one_after_another_would(
    messages: list[tuple[int, list[bool]]], most: list[int], used: list[list[int]]
) -> None:
    count, expected = [list(row) for row in used], []
    for person, via in messages:
        passes = not any(counts and count[person][cap] >= most[cap] for cap, counts in enumerate(via))
        expected.append(passes)
        if passes:
            count[person] = [n + counts for n, counts in zip(count[person], via, strict=True)]
    who = np.array([person for person, _ in messages], dtype=np.int64)
    vias = np.array([via for _, via in messages], dtype=bool).reshape(len(messages), 2)
    assert greedy(np.array(used), who, vias, np.array(most)).tolist() == expected


ZONES = ("Asia/Shanghai", "America/New_York", "Europe/London", "Australia/Lord_Howe", "America/Sao_Paulo")
CLOCKS = st.times().map(lambda clock: f"{clock:%H:%M}")


@settings(max_examples=200 * MORE)
@given(
    at=st.datetimes(datetime(2024, 1, 1), datetime(2025, 12, 31)),
    zone=st.sampled_from(ZONES),
    clocks=st.tuples(CLOCKS, CLOCKS).filter(lambda pair: pair[0] != pair[1]),
)
def test_quiet_hours_end_when_the_clock_says_so(at: datetime, zone: str, clocks: tuple[str, str]) -> None:
    quiet, where, now = Quiet.model_validate(dict(zip(("from", "to"), clocks, strict=True))), ZoneInfo(zone), at
    now = at.replace(tzinfo=UTC)
    until = quiet_until(quiet, where, now)
    clock = f"{now.astimezone(where):%H:%M}"
    since, to = clocks
    inside = since <= clock < to if since < to else clock >= since or clock < to
    assert (until is not None) == inside
    if until is not None:
        assert now < until <= now + timedelta(hours=25)
        end = f"{until.astimezone(where):%H:%M}"
        assert end >= to or since < to, "an end that the clock jumps over is later by the jump"
        assert quiet_until(quiet, where, until) is None or end < to


@pytest.mark.parametrize(
    ("now", "until"),
    [
        # Clocks go forward at 2:00 on 2024-03-10, back at 2:00 on 2024-11-03.
        ("2024-03-10T01:59:00-05:00", "2024-03-10T03:30:00-04:00"),
        ("2024-11-03T01:10:00-04:00", "2024-11-03T01:30:00-04:00"),
        ("2024-11-03T01:10:00-05:00", "2024-11-03T01:30:00-05:00"),
        ("2024-03-09T22:00:00-05:00", "2024-03-10T03:30:00-04:00"),
    ],
)
def test_a_night_in_which_the_clock_is_put(now: str, until: str) -> None:
    ends = "02:30" if "-03-" in now else "01:30"
    quiet = Quiet.model_validate({"from": "21:00", "to": ends})
    found = quiet_until(quiet, ZoneInfo("America/New_York"), datetime.fromisoformat(now))
    assert found == datetime.fromisoformat(until)


def test_at_night_a_message_waits_for_the_persons_own_morning(tmp_path: Path) -> None:
    desk = Desk(tmp_path, {"b": {"zone": "America/New_York"}, "c": {"zone": "nowhere"}})
    night = datetime(2024, 3, 11, 14, 0, tzinfo=UTC)  # 22:00 in Shanghai, 10:00 in New York
    keys = {person: desk.plan(person, night) for person in "abc"}
    verdicts = desk.send(night)
    morning = datetime(2024, 3, 12, 1, 0, tzinfo=UTC)
    assert [verdicts[keys[person]].kind for person in "abc"] == ["hold", "send", "hold"]
    assert verdicts[keys["a"]].until == verdicts[keys["c"]].until == morning
    assert desk.kinds(morning - timedelta(microseconds=1)) == {}
    assert desk.kinds(morning) == {keys["a"]: "send", keys["c"]: "send"}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"consent_sms": False}, "no_consent"),
        ({"suppressed_sms": True}, "suppressed"),
        ({"reachable_sms": False}, "no_channel"),
        ({"excluded": True}, "excluded"),
    ],
)
def test_what_was_withdrawn_since_planning_drops_the_message(
    row: dict[str, object], reason: str, tmp_path: Path
) -> None:
    desk = Desk(tmp_path, {"a": row})
    key, other = desk.plan("a", NOON), desk.plan("b", NOON)
    verdicts = desk.send(NOON)
    assert (verdicts[key], verdicts[other].kind) == (Verdict("drop", reason), "send")


def test_a_sync_to_a_channel_asks_for_consent_and_nobody_is_kept_in(tmp_path: Path) -> None:
    desk = Desk(tmp_path, {"a": {"consent_sms": False}}, caps=[{"at_most": 0, "within": "1d"}])
    sync = {"kind": "sync", "origin": "vip"}
    add, remove = desk.plan("a", NOON, operation="add", **sync), desk.plan("a", NOON, operation="remove", **sync)
    other = desk.plan("b", NOON, operation="change", **sync)
    assert desk.kinds(NOON) == {add: "drop", remove: "send", other: "send"}
    plain = desk.plan("a", NOON, "store", operation="add", **sync)
    assert desk.kinds(NOON, to="store") == {plain: "send"}


def test_an_unsubscribe_is_seen_by_the_next_send(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    sent = [desk.plan(person, NOON) for person in "ab"]
    assert set(desk.kinds(NOON).values()) == {"send"}
    later = NOON + timedelta(hours=1)
    with Receipts.open(desk.file) as receipts:
        receipts.keep([Receipt(sent[0], "unsubscribed", later)], later)
        receipts.keep([Receipt("", "unsubscribed", later, "c", "*"), Receipt(sent[1], "bounced", later)], later)
        keys = [desk.plan(person, later) for person in "abcd"]
        push = desk.plan("a", later, "app")
        verdicts = desk.send(later)
        assert [verdicts[key].reason for key in keys] == ["unsubscribed", "bounced", "unsubscribed", ""]
        assert desk.kinds(later, to="app") == {push: "send"}, "another channel is another matter"
        receipts.keep([Receipt("", state, later, "e", "sms") for state in ("unsubscribed", "subscribed")], later)
        both = desk.plan("e", later)
        assert desk.send(later)[both].reason == "unsubscribed", "at one instant, leaving counts"
        receipts.keep([Receipt("", "subscribed", later + timedelta(hours=1), "a", "sms")], later)
    again = desk.plan("a", later)
    assert desk.kinds(later) == {again: "send"}


def test_what_is_stopped_waits_until_it_may_go_on(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    key = desk.plan("a", NOON)
    for name in ("all", "channel.sms", "destination.gateway", "trigger.care"):
        desk.stops.stop(name)
        now = NOON + timedelta(minutes=10 * desk.count)
        desk.count += 1
        verdict = desk.send(now)[key]
        assert (verdict.kind, verdict.reason) == ("hold", f"stopped: {name}")
        assert desk.stops.start(name)
    desk.stops.stop("trigger.other")
    assert desk.kinds(NOON + timedelta(hours=2)) == {key: "send"}
    with pytest.raises(ValueError, match="can't be stopped"):
        desk.stops.stop("../x")


def test_a_message_whose_time_is_over_is_not_sent(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.plan("a", NOON, expires_at=NOON + timedelta(hours=1))
    (message,) = desk.outbox.claim("gateway", 1, NOON, NOON + timedelta(hours=2))
    late = NOON + timedelta(hours=1)
    assert desk.gateway([message], late) == {message.key: Verdict("drop", "expired")}
    endless = replace(message, expires_at=None)
    assert desk.gateway([endless], late)[message.key].kind == "send"


def test_a_message_whose_trigger_or_channel_left_the_catalog_waits(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    gone, unasked = desk.plan("a", NOON, origin="deleted"), desk.plan("a", NOON, "store", step="renamed")
    verdict = desk.send(NOON)[gone]
    assert (verdict.kind, verdict.reason) == ("hold", "its trigger is not in the catalog")
    verdict = desk.send(NOON, to="store")[unasked]
    assert (verdict.kind, verdict.reason) == ("hold", "its step has no channel any more")
