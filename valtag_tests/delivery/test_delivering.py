"""What a delivery sends follows from what was acknowledged; what it must not send stays here."""

import asyncio
import csv
import hashlib
import hmac
import random
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from valtag_assets.delivery.access import access_mistakes
from valtag_assets.delivery.delivering import Delivered, Terms
from valtag_tests.delivery.post import Post, destination, sent
from valtag_tests.delivery.receiver import Gateway, drawn, running
from valtag_tests.serving.desk import attribute_rows, members

BODY = {
    "key": "{message_key}",
    "person": "{person_id}",
    "does": "{operation}",
    "city": "{city}",
    "born": "{birth_date}",
}
VIPS = [str(row["person_id"]) for row in members("vips")]
FILE = {"kind": "file", "path": "out", "format": "csv", "fields": ["city", "points"]}


def failed(done: Delivered) -> set[str]:
    return {verdict.check for verdict in done.verdicts if not verdict.passed}


def rows_of(post: Post) -> dict[str, dict[str, str]]:
    with (post.desk.root / "files/out/vips_there.csv").open(encoding="utf-8", newline="") as file:
        return {row["person_id"]: row for row in csv.DictReader(file)}


@pytest.fixture
def post(tmp_path: Path) -> Post:
    """A file drop that has acknowledged everybody."""
    made = Post.of(tmp_path, destination(**FILE), jump_from=5)
    assert failed(made.deliver()) == set()
    return made


# HTTP


def crm(root: Path, **more: Any) -> Post:
    said = {"kind": "http", "url": "http://127.0.0.1:9/send", "body": BODY, "fields": ["city", "birth_date"]}
    return Post.of(root, destination(**{**said, "timeout": 0.25, "concurrency": 4, **more}))


def at_port(post: Post, gateway: Gateway, work: Callable[[], Delivered]) -> Delivered:
    """Do ``work`` while the gateway runs in this process, at the port the destination names."""

    async def whole() -> Delivered:
        async with running(gateway):
            entry = post.desk.resolved.destinations["there"].entry
            object.__setattr__(entry.spec, "url", gateway.url)
            return await asyncio.to_thread(work)

    return asyncio.run(whole())


def test_what_a_person_is_known_by_goes_over_the_wire_alone(tmp_path: Path) -> None:
    post, gateway = crm(tmp_path), Gateway()
    done = at_port(post, gateway, post.deliver)
    assert sent(done) == {("add", "acknowledged"): len(VIPS)}
    born = {row["person_id"]: row["birth_date"].isoformat() for row in attribute_rows()}
    assert {body["person"]: body["born"] for body in gateway.bodies} == {person: born[person] for person in VIPS}
    with post.outbox as outbox:
        rows = outbox.read().to_pylist()
    assert not any(born[row["person_id"]] in str(row) for row in rows)
    assert len({row["values_hash"] for row in rows}) == len(VIPS)


def test_a_change_of_what_never_lies_in_the_ledger_is_a_change(tmp_path: Path) -> None:
    post, gateway = crm(tmp_path), Gateway()
    at_port(post, gateway, post.deliver)
    post.attributes(P00={"birth_date": attribute_rows()[1]["birth_date"]})
    assert sent(at_port(post, gateway, post.deliver))[("change", "acknowledged")] == 1


def test_a_message_in_doubt_keeps_its_key_however_often_the_audience_is_published(tmp_path: Path) -> None:
    post, gateway = crm(tmp_path, attempts=50), Gateway(fault=lambda: "after")
    assert sent(at_port(post, gateway, post.deliver)).keys() == {("add", "pending")}
    post.members(members("vips"))
    post.attributes()
    post.at += timedelta(hours=1)
    gateway.fault = lambda: "ok"
    assert sent(at_port(post, gateway, post.deliver)) == {("add", "acknowledged"): len(VIPS)}
    assert gateway.effects == Counter(VIPS)


def test_one_who_left_while_a_message_was_in_doubt_is_removed_all_the_same(tmp_path: Path) -> None:
    post, gateway = crm(tmp_path), Gateway(fault=lambda: "after")
    at_port(post, gateway, post.deliver)
    gone = min(gateway.effects)
    post.members([row for row in members("vips") if row["person_id"] != gone])
    post.at += timedelta(hours=1)
    gateway.fault, gateway.bodies = (lambda: "ok"), []
    post.terms = Terms({}, confirmed=True)
    found = sent(at_port(post, gateway, post.deliver))
    assert found[("remove", "acknowledged")] == 1
    assert {body["person"] for body in gateway.bodies if body["does"] == "remove"} == {gone}


def test_rejects_fail_the_delivery_and_are_tried_again_by_the_next(tmp_path: Path) -> None:
    post, gateway = crm(tmp_path), Gateway(refused=frozenset(VIPS[:3]))
    done = at_port(post, gateway, post.deliver)
    assert failed(done) == {"rejects"}
    assert sent(done) == {("add", "acknowledged"): len(VIPS) - 3, ("add", "rejected"): 3}
    gateway.refused = frozenset()
    found = sent(at_port(post, gateway, post.deliver))
    assert found == {("add", "acknowledged"): 3, ("none", "unchanged"): len(VIPS) - 3}


def test_nobody_is_sent_anything_about_whom_a_decision_is_open(tmp_path: Path) -> None:
    post, gateway = crm(tmp_path, idempotent=False), Gateway(honours=False, fault=lambda: "after")
    assert sent(at_port(post, gateway, post.deliver)).keys() <= {("add", "unknown"), ("add", "pending")}
    gateway.fault = lambda: "ok"
    post.at += timedelta(hours=1)
    found = sent(at_port(post, gateway, post.deliver))
    assert found[("none", "under_way")] > 0
    assert max(gateway.effects.values()) == 1


class Crm(Gateway):
    """A CRM that keeps what it is told."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.holds: dict[str, str] = {}

    def effect(self, row: dict[str, Any]) -> None:
        if row["key"] not in self.known:
            self.known.add(row["key"])
            if row["does"] == "remove":
                self.holds.pop(row["person"], None)
            else:
                self.holds[row["person"]] = row["born"]


@pytest.mark.parametrize("seed", range(2))
def test_after_any_history_of_changes_and_faults_the_receiver_holds_the_members(tmp_path: Path, seed: int) -> None:
    chance, post, gateway = random.Random(seed), crm(tmp_path, attempts=3), Crm()
    post.terms = Terms({}, confirmed=True)
    everybody = {row["person_id"]: row["birth_date"] for row in attribute_rows()[:24]}
    for step in range(5):
        born = {person: {"birth_date": chance.choice(list(everybody.values())[:3])} for person in everybody}
        inside = sorted(chance.sample(list(everybody), chance.randint(1, 24)))
        post.attributes(**born)
        post.members([{"person_id": person} for person in inside])
        gateway.fault = (
            drawn(seed * 10 + step, ("before", "after", "busy", "reset"), 0.5) if step < 4 else lambda: "ok"
        )
        post.at += timedelta(hours=1)
        at_port(post, gateway, post.deliver)
    assert gateway.holds == {person: born[person]["birth_date"].isoformat() for person in inside}


# The difference


def test_it_follows_acknowledgements_whatever_happens_in_between(post: Post) -> None:
    for city in ("成都", "上海", "成都"):
        post.attributes(P00={"city": city})
        assert sent(post.deliver())[("change", "acknowledged")] == int(rows_of(post)["P00"]["city"] == city)
    for gone in (True, False, True):
        post.members(members("vips")[1:] if gone else members("vips"))
        post.deliver()
        assert ("P00" not in rows_of(post)) == gone


def test_other_fields_are_sent_to_everybody_again(tmp_path: Path) -> None:
    Post.of(tmp_path, destination(**FILE)).deliver()
    again = Post.of(tmp_path, destination(**{**FILE, "fields": ["city"]}))
    again.runs = 1
    assert sent(again.deliver()) == {("change", "acknowledged"): len(VIPS)}
    assert set(rows_of(again)["P00"]) == {"origin", "person_id", "city"}


def test_who_is_held_out_is_nowhere(tmp_path: Path) -> None:
    post = Post.of(tmp_path, destination(**FILE))
    post.members([{**row, "is_holdout": row["person_id"] == "P00"} for row in members("vips")])
    post.deliver()
    assert set(rows_of(post)) == set(VIPS) - {"P00"}


def test_a_forecast_says_what_would_be_sent_and_sends_nothing(post: Post) -> None:
    post.members(members("vips")[2:])
    post.attributes(P06={"city": "成都"})
    before = rows_of(post)
    done = post.forecast()
    assert (done.difference.add, done.difference.change, done.difference.remove) == (0, 1, 2)
    assert rows_of(post) == before
    with post.outbox as outbox:
        assert outbox.under_way("there", "vips_there").num_rows == 0
    assert sent(post.deliver())[("remove", "acknowledged")] == 2


def test_who_may_no_longer_be_reached_is_taken_out_of_the_list_for_that_channel(tmp_path: Path) -> None:
    post = Post.of(tmp_path, destination(**FILE, channel="sms"), jump_from=5)
    post.deliver()
    left = min(VIPS)
    post.terms = Terms({}, closed=lambda channel, persons: {left} & set(persons) if channel == "sms" else set())
    assert post.forecast().difference.remove == 1
    assert sent(post.deliver())[("remove", "acknowledged")] == 1
    assert set(rows_of(post)) == set(VIPS) - {left}


def test_a_price_is_told_before_and_after(tmp_path: Path) -> None:
    post = Post.of(tmp_path, destination(**FILE, cost=0.5))
    assert post.forecast().cost == post.deliver().cost == 0.5 * len(VIPS)
    assert post.forecast().cost == 0


def test_a_destination_that_lost_what_it_held_gets_everything_again(post: Post) -> None:
    (post.desk.root / "files/out/vips_there.csv").unlink()
    (post.desk.root / "files/out/.vips_there.parquet").unlink()
    assert sent(post.deliver()) == {("none", "unchanged"): len(VIPS)}
    post.terms = Terms({}, afresh=True)
    post.at += timedelta(hours=1)
    assert sent(post.deliver()) == {("add", "acknowledged"): len(VIPS)}
    assert set(rows_of(post)) == set(VIPS)


def test_what_a_killed_run_had_claimed_is_sent_by_the_next_at_once(tmp_path: Path) -> None:
    post = Post.of(tmp_path, destination(**FILE))
    stopped = Terms({}, gate=_killed)
    post.terms = stopped
    with pytest.raises(KeyboardInterrupt):
        post.deliver()
    with post.outbox as outbox:
        assert outbox.read(state="claimed").num_rows == len(VIPS)
    post.terms = Terms({})
    assert sent(post.deliver()) == {("add", "acknowledged"): len(VIPS)}


def _killed(*_: Any) -> Any:
    raise KeyboardInterrupt


# The breaker


def test_a_jump_sends_nothing_until_somebody_confirms_it(post: Post) -> None:
    everybody = [{"person_id": row["person_id"]} for row in attribute_rows()]
    post.members(everybody[:3])
    assert failed(post.deliver()) == {"size_jump", "mass_exit"}
    assert len(rows_of(post)) == len(VIPS)
    post.terms = Terms({}, confirmed=True)
    assert failed(post.deliver()) == set()
    assert len(rows_of(post)) == 3


def test_a_few_persons_may_change_as_they_like(tmp_path: Path) -> None:
    post = Post.of(tmp_path, destination(**FILE))
    post.deliver()
    post.members(members("vips")[:1])
    assert failed(post.deliver()) == set()


def test_what_travels_must_not_become_empty(post: Post) -> None:
    post.terms = Terms(post.forecast().difference.coverage)
    post.attributes(**{person: {"points": None} for person in VIPS[:7]})
    done = post.deliver()
    assert failed(done) == {"coverage_drop"} and "points" in str(done.verdicts)
    assert rows_of(post)["P03"]["points"] == "9"


def test_an_exclusion_that_came_later_stops_everything(tmp_path: Path) -> None:
    more = {"project.yaml": _excluding("loyal")}
    post = Post.of(tmp_path, destination(**FILE), more)
    done = post.deliver()
    assert failed(done) == {"suppression_leak"}
    assert sum(done.difference.leaks.values()) == len(set(VIPS) & {r["person_id"] for r in members("loyal")})
    post.terms = Terms({}, confirmed=True)
    assert failed(post.deliver()) == {"suppression_leak"}
    assert not (tmp_path / "files").exists()


def _excluding(segment: str) -> dict[str, Any]:
    return {
        "name": "shop",
        "title": {"zh": "商店", "en": "Shop"},
        "start": "2020-01-01",
        "persons": {"sources": ["members"]},
        "exclusions": {"segments": [segment]},
    }


# Access


def test_a_mask_hides_and_an_hmac_can_be_matched(tmp_path: Path) -> None:
    fields = {
        "last": {"of": "birth_date", "mask": "last4"},
        "token": {"of": "birth_date", "mask": {"hmac": "KEY"}},
        "nothing": {"of": "birth_date", "mask": "drop"},
    }
    post = Post.of(tmp_path, destination(**{**FILE, "fields": fields, "access": "shop"}))
    post.environment = {"KEY": "secret"}
    assert list(access_mistakes(post.desk.resolved)) == []
    post.deliver()
    born = attribute_rows()[0]["birth_date"].isoformat()
    token = hmac.new(b"secret", born.encode(), hashlib.sha256).hexdigest()
    row = rows_of(post)["P00"]
    assert (row["last"].removeprefix("'"), row["token"], row["nothing"]) == (born[-4:], token, "")
    with post.outbox as outbox:
        assert "secret" not in str(outbox.read().to_pylist())


def test_a_field_above_the_role_of_its_destination_needs_a_mask(tmp_path: Path) -> None:
    post = Post.of(tmp_path, destination(**{**FILE, "fields": ["city", "birth_date"], "access": "shop"}))
    (problem,) = access_mistakes(post.desk.resolved)
    assert (
        problem.file.name == "there.yaml" and "'birth_date' is pii" in problem.message and "mask" in problem.message
    )
