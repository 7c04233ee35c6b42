"""Through every fault: nothing is lost, nothing happens twice, and each message says what became of it."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from valtag_assets.delivery.http import open_http
from valtag_assets.delivery.message import Message, Parcel, Verdict
from valtag_assets.delivery.outbox import Outbox
from valtag_assets.delivery.sender import Route, Sent, send
from valtag_assets.spec.destination import Destination
from valtag_tests.delivery.receiver import Clock, Gateway, drawn, running
from valtag_tests.delivery.test_outbox import messages

PERSONS = [f"C{number:03d}" for number in range(60)]
ROW = {"key": "{message_key}", "person": "{person_id}", "mobile": "{phone}"}
ANSWER = {"code": "errcode", "reference": "msgid", "message": "errmsg", "ok": [0], "retry": [-1]}


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with Outbox.open(tmp_path / "outbox.sqlite") as made:
        yield made


def sms(url: str, **more: Any) -> Destination:
    said = {"destination": "sms", "title": {"zh": "短信", "en": "SMS"}, "kind": "http", "url": url, "body": ROW}
    return Destination.model_validate({**said, "answer": ANSWER, "timeout": 0.25, **more})


def with_phones(found: Sequence[Message]) -> list[Parcel]:
    return [Parcel(message, {"phone": f"138{message.person_id[1:]}"}) for message in found]


async def sent(outbox: Outbox, gateway: Gateway, clock: Clock, *, patience: float = 36_000, **more: Any) -> Sent:
    settings = {name: more.pop(name) for name in ("gate", "stop") if name in more}
    spec = sms(gateway.url, **more)
    async with open_http(spec, {"TOKEN": "secret-token"}, clock.now) as receiver:
        route = Route(spec, receiver, with_phones)
        return await send(outbox, route, clock.now, sleep=clock.sleep, patience=patience, **settings)


def run(outbox: Outbox, gateway: Gateway, clock: Clock | None = None, **more: Any) -> Sent:
    async def whole() -> Sent:
        async with running(gateway):
            return await sent(outbox, gateway, clock or Clock(), **more)

    return asyncio.run(whole())


def states(outbox: Outbox) -> Counter[str]:
    return Counter(outbox.read()["state"].to_pylist())


def test_a_message_arrives_with_its_contact_data_and_none_of_it_stays_in_the_ledger(outbox: Outbox) -> None:
    outbox.plan(messages(PERSONS[:3]))
    gateway = Gateway()
    run(outbox, gateway, auth={"bearer": "TOKEN"})
    assert {(body["person"], body["mobile"]) for body in gateway.bodies} == {(p, f"138{p[1:]}") for p in PERSONS[:3]}
    assert {headers["Authorization"] for headers in gateway.headers} == {"Bearer secret-token"}
    assert {headers["Idempotency-Key"] for headers in gateway.headers} == set(outbox.read()["key"].to_pylist())
    rows = outbox.read().to_pylist()
    assert {row["state"] for row in rows} == {"sent"} and {row["reference"] for row in rows} == {"m"}
    assert "138" not in str([row["values"] for row in rows]) and "secret-token" not in str(rows)


def test_a_receiver_that_says_our_secret_back_does_not_bring_it_into_the_ledger(outbox: Outbox) -> None:
    outbox.plan(messages(PERSONS[:2]))
    run(outbox, Gateway(refused=frozenset(PERSONS[:1])), auth={"bearer": "TOKEN"})
    (reason,) = (row["reason"] for row in outbox.read(state="rejected").to_pylist())
    assert "no such number" in reason and "secret-token" not in reason


@pytest.mark.parametrize("batch", [1, 7])
def test_nothing_is_lost_and_nothing_happens_twice_whatever_fails(outbox: Outbox, batch: int) -> None:
    outbox.plan(messages(PERSONS))
    gateway = Gateway(fault=drawn(7, ("before", "after", "busy", "reset", "silent"), 0.4))
    more = {"batch": batch, "envelope": {"messages": "{rows}"}} if batch > 1 else {}
    clock = Clock()
    run(outbox, gateway, clock, attempts=50, **more)
    assert states(outbox) == {"sent": len(PERSONS)}
    assert gateway.effects == Counter(PERSONS)
    assert gateway.requests > len(PERSONS) / batch
    assert clock.now() > Clock().now() + timedelta(seconds=30)  # Retry-After was waited for


def test_what_may_have_been_done_by_a_receiver_without_keys_waits_for_a_decision(outbox: Outbox) -> None:
    outbox.plan(messages(PERSONS))
    gateway = Gateway(honours=False, fault=drawn(3, ("before", "after", "busy", "silent"), 0.3))
    run(outbox, gateway, idempotent=False)
    found = states(outbox)
    assert set(found) == {"sent", "unknown"} and sum(found.values()) == len(PERSONS)
    assert max(gateway.effects.values()) == 1
    done = {row["person_id"] for row in outbox.read(state="sent").to_pylist()}
    assert done <= set(gateway.effects)
    waiting = outbox.unknown().to_pylist()
    for row in waiting:  # somebody asked the gateway what became of them
        outbox.resolve(row["key"], "close" if row["person_id"] in gateway.effects else "requeue", Clock().now())
    gateway.fault = lambda: "ok"
    run(outbox, gateway, idempotent=False)
    assert gateway.effects == Counter(PERSONS)


def test_a_receiver_that_is_down_for_an_hour_is_left_alone_and_then_gets_everything(outbox: Outbox) -> None:
    outbox.plan(messages(PERSONS))
    gateway, clock = Gateway(), Clock()
    up = clock.now() + timedelta(hours=1)

    async def whole() -> None:
        async with running(gateway):
            pass  # to know a free port
        tries = 0

        def now() -> datetime:
            return clock.now()

        while now() < up:
            done = await sent(outbox, gateway, clock, patience=(up - now()).total_seconds())
            tries += sum(done.states.values())
            clock.at = max(clock.at, up) if not outbox.due(clock.now()) else clock.at + timedelta(minutes=10)
        assert tries < 400
        async with running(gateway):
            await sent(outbox, gateway, clock)

    asyncio.run(whole())
    assert gateway.effects == Counter(PERSONS) and states(outbox) == {"sent": len(PERSONS)}


def test_what_spoils_a_batch_is_found_and_the_others_go_through(outbox: Outbox) -> None:
    outbox.plan(messages(PERSONS))
    poison = {"C003", "C030", "C031"}
    gateway = Gateway(refused=frozenset(poison))
    run(outbox, gateway, batch=20, envelope={"messages": "{rows}"})
    refused = outbox.read(state="rejected").to_pylist()
    assert {row["person_id"] for row in refused} == poison
    assert {row["reason"].partition(":")[0] for row in refused} == {"HTTP 422 errcode 40003"}
    assert not any("13800000000" in row["reason"] for row in refused)
    assert gateway.effects == Counter(set(PERSONS) - poison)


def test_a_receiver_that_answers_for_each_row_is_believed_for_each(outbox: Outbox) -> None:
    outbox.plan(messages(PERSONS))
    gateway = Gateway()
    answer = {"rows": "results", "code": "errcode", "reference": "msgid", "ok": [0]}
    run(outbox, gateway, batch=6, envelope={"messages": "{rows}"}, answer=answer)
    assert Counter(outbox.read()["reference"].to_pylist()) == {f"m{n}": 10 for n in range(6)}


def test_one_that_fails_for_ever_is_given_up_and_holds_nobody_up(outbox: Outbox) -> None:
    outbox.plan(messages(PERSONS[:2]))

    class Sick(Gateway):
        async def take(self, request: Any) -> Any:
            self.fault = lambda: "ok"
            if (await request.json())["person"] == "C000":
                self.fault = lambda: "before"
            return await super().take(request)

    run(outbox, Sick(), attempts=3)
    rows = {row["person_id"]: row for row in outbox.read().to_pylist()}
    assert (rows["C000"]["state"], rows["C000"]["attempts"]) == ("dead", 3)
    assert rows["C001"]["state"] == "sent"


def test_the_gate_has_the_last_word(outbox: Outbox) -> None:
    outbox.plan(messages(PERSONS[:4]))
    until = Clock().now() + timedelta(hours=2)

    def gate(found: Sequence[Message], now: datetime) -> Mapping[str, Verdict]:
        verdicts = {"C000": Verdict("drop", "unsubscribed")}
        if now < until:
            verdicts["C001"] = Verdict("hold", "quiet hours", until)
        return {message.key: verdicts.get(message.person_id, Verdict("send")) for message in found}

    gateway = Gateway()
    run(outbox, gateway, gate=gate, patience=60)
    rows = {row["person_id"]: (row["state"], row["reason"]) for row in outbox.read().to_pylist()}
    assert rows["C000"] == ("held_back", "unsubscribed") and rows["C001"] == ("pending", "quiet hours")
    assert gateway.effects == Counter(["C002", "C003"])
    run(outbox, gateway, gate=gate, patience=7200)
    assert gateway.effects == Counter(["C001", "C002", "C003"])


def test_two_senders_at_once_send_each_message_once(outbox: Outbox, tmp_path: Path) -> None:
    outbox.plan(messages(PERSONS))
    gateway = Gateway(honours=False)

    async def both() -> list[Sent]:
        with Outbox.open(tmp_path / "outbox.sqlite") as other:
            async with running(gateway):
                return await asyncio.gather(*(sent(ledger, gateway, Clock(), batch=1) for ledger in (outbox, other)))

    first, second = asyncio.run(both())
    assert first.states["sent"] + second.states["sent"] == len(PERSONS)
    assert gateway.effects == Counter(PERSONS)


def test_a_message_that_cannot_be_made_holds_nobody_up(outbox: Outbox) -> None:
    outbox.plan(messages(PERSONS[:5]))
    gateway = Gateway()

    def torn(found: Sequence[Message]) -> list[Parcel]:
        return [Parcel(m, {} if m.person_id == "C002" else {"phone": "1"}) for m in found]

    async def whole() -> None:
        async with running(gateway):
            spec = sms(gateway.url, batch=5, envelope={"messages": "{rows}"})
            async with open_http(spec, {}, Clock().now) as receiver:
                await send(outbox, Route(spec, receiver, torn), Clock().now)

    asyncio.run(whole())
    assert states(outbox) == {"sent": 4, "rejected": 1}


def test_the_rate_is_kept(outbox: Outbox) -> None:
    outbox.plan(messages(PERSONS))
    clock = Clock()
    run(outbox, Gateway(), clock, rate=10)
    assert timedelta(seconds=5.8) <= clock.now() - Clock().now() <= timedelta(seconds=8)


def test_a_stopped_sender_leaves_what_it_had_as_it_was(outbox: Outbox) -> None:
    outbox.plan(messages(PERSONS))
    gateway = Gateway()
    run(outbox, gateway, stop=lambda: gateway.requests >= 5)
    found = states(outbox)
    assert found["sent"] == sum(gateway.effects.values()) < len(PERSONS)
    assert found["sent"] + found["pending"] == len(PERSONS)
    assert set(outbox.read(state="pending")["attempts"].to_pylist()) == {0}


def refusing(outbox: Outbox, path: str, **more: Any) -> str:
    outbox.plan(messages(PERSONS[:5]))

    async def whole() -> Sent:
        async with running(Gateway()) as gateway:
            spec = sms(gateway.url.replace("/send", path), **more)
            async with open_http(spec, {}, Clock().now) as receiver:
                return await send(outbox, Route(spec, receiver, with_phones), Clock().now)

    halted = asyncio.run(whole()).halted
    assert states(outbox) == {"pending": 5}
    return halted


def test_a_redirect_is_not_followed(outbox: Outbox) -> None:
    assert "another address" in refusing(outbox, "/away")


def test_a_certificate_that_nobody_vouches_for_is_refused(outbox: Outbox, self_signed: Callable[[], Any]) -> None:
    outbox.plan(messages(PERSONS[:2]))

    async def whole() -> Sent:
        server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0, ssl=self_signed())
        async with server:
            spec = sms(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
            async with open_http(spec, {}, Clock().now) as receiver:
                return await send(outbox, Route(spec, receiver, with_phones), Clock().now)

    assert "certificate" in asyncio.run(whole()).halted
    assert states(outbox) == {"pending": 2}


def test_a_name_that_leads_into_a_private_network_is_refused(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    import aiohttp.resolver

    async def inside(*_: Any, **__: Any) -> list[dict[str, Any]]:
        return [{"hostname": "crm.example.com", "host": "10.0.0.7", "port": 443, "family": 2, "proto": 6, "flags": 0}]

    monkeypatch.setattr(aiohttp.resolver.ThreadedResolver, "resolve", inside)
    outbox.plan(messages(PERSONS[:2]))

    async def whole() -> Sent:
        spec = sms("https://crm.example.com/")
        async with open_http(spec, {}, Clock().now) as receiver:
            return await send(outbox, Route(spec, receiver, with_phones), Clock().now)

    assert "private network" in asyncio.run(whole()).halted
