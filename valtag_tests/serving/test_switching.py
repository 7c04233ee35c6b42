"""A newer store takes the place of the older under a loop of requests: nothing fails, whoever dies meanwhile."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from valtag_assets.serving.app import create_app
from valtag_assets.serving.building import PLACE, find_store
from valtag_assets.serving.keys import read_keys
from valtag_assets.serving.published import published
from valtag_assets.serving.service import MOST_WAITING
from valtag_assets.warehouse.derived import ASIDE
from valtag_tests.serving.desk import PERSONS, Desk, attribute_rows


def with_points(points: int) -> list[dict[str, Any]]:
    return [{**row, "points": points} for row in attribute_rows()]


async def ask(app: Any, path: str) -> tuple[int, bytes]:
    """Status and body of one GET, straight through the ASGI application."""
    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": [(b"host", b"localhost")]}
    said: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        said.append(message)

    await app({**scope, "raw_path": path.encode(), "root_path": "", "scheme": "http"}, receive, send)
    return said[0]["status"], said[1]["body"]


def test_no_request_fails_while_stores_are_switched(desk: Desk) -> None:
    desk.publish_all()
    desk.publish("tags/attribute", with_points(1000))

    async def loop() -> tuple[Counter[int], list[int]]:
        service = desk.service()
        app = create_app(service, read_keys(desk.resolved, {}, is_open=True), watch=False)
        statuses, points, over = Counter[int](), list[int](), False

        async def asking(first: int) -> None:
            number = first
            while not over:
                status, body = await ask(app, f"/persons/{PERSONS[number % len(PERSONS)]}")
                statuses[status] += 1
                points.append(int(body.partition(b'"points":')[2].partition(b",")[0]))
                number += 1
                await asyncio.sleep(0)

        askers = [asyncio.create_task(asking(number)) for number in range(4)]
        for turn in range(1, 4):
            await asyncio.to_thread(desk.publish, "tags/attribute", with_points(1000 + turn))
            await service.look()
            assert service.behind
            await asyncio.to_thread(desk.store)
            await service.look()
            assert not service.behind
            await asyncio.sleep(0.02)
        over = True
        await asyncio.gather(*askers)
        return statuses, points

    statuses, points = asyncio.run(loop())
    assert set(statuses) == {200}
    # Everybody saw each version, and nobody an older one after a newer one.
    assert points == sorted(points)
    assert set(points) == {1000, 1001, 1002, 1003}


def test_a_batch_under_way_finishes_on_the_store_it_began_with(desk: Desk) -> None:
    desk.publish_all()
    service = desk.service()
    older = service.open
    desk.publish("tags/attribute", with_points(7))
    desk.store()
    with older.held() as opened:
        asyncio.run(service.look())
        assert service.open is not opened
        assert opened.records.find("P02") is not None
    with pytest.raises(sqlite3.ProgrammingError):
        older.records.find("P02")


def test_many_ask_at_once_and_each_gets_his_own(desk: Desk) -> None:
    desk.publish_all()
    with desk.client() as client, ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda person: client.get(f"/persons/{person}").json()["person_id"], PERSONS * 5))
    assert found == PERSONS * 5


def test_a_snapshot_withdrawn_while_serving_leaves_what_is_served(desk: Desk) -> None:
    desk.publish_all()
    service = desk.service()
    with desk.client(service) as client:
        before = client.get("/persons/P01").json()
        for table in desk.warehouse.tables():
            desk.warehouse.drop(table, [snapshot.id for snapshot in desk.warehouse.snapshots(table)])
        asyncio.run(service.look())
        assert client.get("/persons/P01").json() == before
        assert "no tags are published" in client.get("/health").json()["trouble"]


def test_who_asks_for_the_past_when_too_many_do_is_sent_away(desk: Desk) -> None:
    desk.publish_all()
    service = desk.service()
    service._waiting = MOST_WAITING
    with desk.client(service) as client:
        answer = client.get("/persons/P01?as_of=2024-03-09")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert "too many ask for the past at once" in answer.json()["error"]


def test_a_store_that_can_not_be_read_is_told_without_a_trace(desk: Desk) -> None:
    desk.publish_all()
    service = desk.service()
    with desk.client(service) as client:
        service.open.records.close()
        answer = client.get("/persons/P01")
    assert answer.status_code == 503
    assert "can't be read at present" in answer.json()["error"]


def test_a_service_keeps_looking_whatever_goes_wrong(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.publish_all()
    service = desk.service()
    faults = iter([ZeroDivisionError("a fault of ours"), RuntimeError("another")])
    newer = service._newer

    def failing() -> Any:
        for fault in faults:
            raise fault
        return newer()

    monkeypatch.setattr(service, "_newer", failing)
    desk.publish("tags/attribute", with_points(7))
    made = desk.store()

    async def watching() -> None:
        watch = asyncio.create_task(service.watch(every=0.01))
        while service.open.key != made.name:
            await asyncio.sleep(0.01)
        watch.cancel()

    asyncio.run(asyncio.wait_for(watching(), 20))
    assert service.trouble is None


def test_a_person_who_left_the_population_leaves_the_service(desk: Desk) -> None:
    desk.publish_all()
    service = desk.service()
    with desk.client(service) as client:
        asyncio.run(service.look())
        assert client.get("/persons/P39").status_code == 200
        desk.publish("identity/persons", [{"person_id": person} for person in PERSONS[:-1]], None)
        desk.store()
        asyncio.run(service.look())
        assert client.get("/persons/P39").status_code == 404


def test_a_store_whose_file_is_removed_goes_on_being_served(desk: Desk) -> None:
    desk.publish_all()
    service = desk.service()
    service.place.stores.remove(*PLACE, service.open.key)
    with desk.client(service) as client:
        assert client.get("/persons/P39").json()["tags"]["points"] == 117


def test_the_store_before_is_removed_when_the_next_one_is_whole(desk: Desk) -> None:
    desk.publish_all()
    first = desk.store()
    desk.publish("tags/attribute", with_points(1))
    second = desk.store()
    assert desk.place.stores.names(*PLACE) == [second.name] != [first.name]


def test_what_stays_behind_is_built_by_the_command_that_is_given(desk: Desk, tmp_path: Path) -> None:
    desk.publish_all()
    service = desk.service()
    mark = tmp_path / "built"
    service.build = (sys.executable, "-c", f"import pathlib, sys; pathlib.Path({str(mark)!r}).touch(); sys.exit(3)")
    desk.publish("tags/attribute", with_points(1))

    async def wait() -> None:
        await service.look(settle=0.0)
        assert not mark.exists()  # a run may be about to make it
        await service.look(settle=0.0)

    asyncio.run(wait())
    assert mark.exists()
    asyncio.run(service.look(settle=60.0))
    assert service.trouble is not None and "exit code 3" in service.trouble


@pytest.mark.parametrize("after", [0.4, 0.8])
def test_a_builder_killed_midway_leaves_the_store_before(desk: Desk, after: float) -> None:
    desk.publish_all()
    service = desk.service()
    desk.publish("tags/attribute", with_points(1))
    script = (
        "import sys; from pathlib import Path; from valtag_assets.expression.resolve import resolve_catalog;"
        "from valtag_tests.serving.desk import Desk; root = Path(sys.argv[1]);"
        "desk = Desk(root, resolve_catalog(root / 'catalog')); print('begins', flush=True); desk.store()"
    )
    child = subprocess.Popen([sys.executable, "-c", script, str(desk.root)], stdout=subprocess.PIPE)
    assert child.stdout is not None and child.stdout.readline()
    time.sleep(after)
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    asyncio.run(service.look())
    with desk.client(service) as client:
        served = client.get("/persons/P02").json()["tags"]["points"]
    made = find_store(desk.place.stores, published(desk.warehouse, desk.resolved))
    assert served == (6 if made is None else 1)
    # What the kill left is no store, and the next builder leaves one, whole.
    whole = desk.store()
    assert whole.about["persons"] == len(PERSONS)
    assert desk.place.stores.names(*PLACE) == [whole.name]
    left = [path for path in os.listdir(desk.warehouse.root.joinpath(*PLACE)) if path.startswith(ASIDE)]
    assert len(left) <= 1
