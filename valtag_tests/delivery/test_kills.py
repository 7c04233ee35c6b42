"""A sender that is killed at any instant loses nothing, and nothing happens twice."""

import asyncio
import multiprocessing
import random
import signal
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from valtag_assets.delivery.http import open_http
from valtag_assets.delivery.outbox import Outbox
from valtag_assets.delivery.sender import Route, send
from valtag_tests.delivery.post import Post, destination
from valtag_tests.delivery.receiver import Clock, Gateway, drawn, running
from valtag_tests.delivery.test_outbox import messages
from valtag_tests.delivery.test_sender import sms, with_phones
from valtag_tests.serving.desk import members

# A clean server process with the imports done: children start in milliseconds.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["aiohttp", "valtag_assets.delivery.http", "valtag_tests.delivery.post"])


def sender(file: Path, url: str, hours: int, patience: float, said: dict[str, Any]) -> None:
    """Send all there is; it is ``hours`` later than in the beginning, so that earlier leases have run out."""
    clock = Clock()
    clock.at += timedelta(hours=hours)

    async def whole() -> None:
        spec = sms(url, **said)
        with Outbox.open(file) as outbox:
            async with open_http(spec, {}, clock.now) as receiver:
                route = Route(spec, receiver, with_phones)
                await send(outbox, route, clock.now, sleep=clock.sleep, patience=patience, seed=hours)

    asyncio.run(whole())


async def killed(file: Path, gateway: Gateway, kills: int, said: dict[str, Any]) -> int:
    """Start senders, each after the one before was killed; the last one ends by itself. How many were killed."""
    chance, done = random.Random(5), 0
    async with running(gateway):
        for hours in range(kills + 1):
            patience = 3000.0 if hours < kills else 1e6
            process = PROCESSES.Process(target=sender, args=(file, gateway.url, hours, patience, said))
            process.start()
            after = gateway.requests + chance.randint(1, 12)
            while process.is_alive() and (hours == kills or gateway.requests < after):
                await asyncio.sleep(0.002)
            await asyncio.sleep(chance.random() / 100)
            if process.is_alive():
                assert process.pid is not None
                process.kill()
            process.join()
            done += process.exitcode == -signal.SIGKILL
    return done


@pytest.mark.parametrize(("persons", "kills"), [(100, 4), pytest.param(2500, 100, marks=pytest.mark.long, id="long")])
def test_a_killed_sender_loses_nothing_and_repeats_nothing(tmp_path: Path, persons: int, kills: int) -> None:
    everybody = [f"C{number:04d}" for number in range(persons)]
    with Outbox.open(tmp_path / "outbox.sqlite") as outbox:
        outbox.plan(messages(everybody))
        gateway = Gateway(fault=drawn(11, ("before", "after", "busy", "reset"), 0.2))
        assert asyncio.run(killed(tmp_path / "outbox.sqlite", gateway, kills, {"attempts": 100})) == kills
        assert Counter(outbox.read()["state"].to_pylist()) == {"sent": persons}
    assert gateway.effects == Counter(everybody)


def test_one_without_keys_repeats_nothing_either_and_says_what_it_does_not_know(tmp_path: Path) -> None:
    everybody = [f"C{number:04d}" for number in range(100)]
    with Outbox.open(tmp_path / "outbox.sqlite") as outbox:
        outbox.plan(messages(everybody))
        gateway = Gateway(honours=False, fault=drawn(11, ("after", "busy"), 0.1))
        asyncio.run(killed(tmp_path / "outbox.sqlite", gateway, 4, {"idempotent": False}))
        rows = outbox.read().to_pylist()
    states = {row["person_id"]: row["state"] for row in rows}
    assert set(states.values()) == {"sent", "unknown"}
    assert max(gateway.effects.values()) == 1
    assert {person for person, state in states.items() if state == "sent"} <= set(gateway.effects)


def whole_delivery(root: Path, url: str, number: int) -> None:
    """Compare, plan and send an audience."""
    post = Post.of(root, crm_at(url))
    post.runs = number
    post.deliver()


def crm_at(url: str) -> dict[str, Any]:
    body = {"key": "{message_key}", "person": "{person_id}", "city": "{city}"}
    said = {"url": url, "body": body, "fields": ["city"], "concurrency": 2, "attempts": 100}
    return destination("http", **said)


def test_a_delivery_killed_at_any_instant_is_finished_by_the_next(tmp_path: Path) -> None:
    chance, gateway = random.Random(3), Gateway(fault=drawn(2, ("after", "reset"), 0.2), slow=0.01)

    async def whole() -> int:
        kills = 0
        async with running(gateway):
            for number in range(4):
                process = PROCESSES.Process(target=whole_delivery, args=(tmp_path, gateway.url, number))
                process.start()
                after = gateway.requests + chance.randint(0, 4)
                while process.is_alive() and (number == 3 or gateway.requests <= after):
                    await asyncio.sleep(0.002)
                if process.is_alive():
                    process.kill()
                process.join()
                kills += process.exitcode == -signal.SIGKILL
        return kills

    assert asyncio.run(whole()) >= 2
    post = Post.of(tmp_path, crm_at(gateway.url))
    with post.outbox as outbox:
        found = Counter(outbox.read()["state"].to_pylist())
    assert set(found) <= {"acknowledged", "pending"}  # what was to be retried later waits for the next run
    assert max(gateway.effects.values()) == 1
    assert found["acknowledged"] <= len(gateway.effects) <= found["acknowledged"] + found["pending"]
    assert found.total() == len(members("vips"))
