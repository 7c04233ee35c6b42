"""What sending costs: ``python -m valtag_tests.bench.deliveries rate|audience|ledger --into data/bench``.

rate: messages a second through the sender (ledger, gate, templates and answers included), beside the same requests
by the bare HTTP client, to a receiver on the loopback that has the other core. audience: the difference of an
audience of a million to what is acknowledged. ledger: what planning, claiming and settling cost as it grows.
"""

import argparse
import asyncio
import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
import numpy as np
import pyarrow as pa
from aiohttp import web

from valtag_assets.delivery.http import open_http
from valtag_assets.delivery.message import Message, Parcel, Result
from valtag_assets.delivery.outbox import Outbox
from valtag_assets.delivery.sender import Route, send
from valtag_assets.delivery.sync import Occasion, Sync
from valtag_assets.engine.duckdb import open_duckdb
from valtag_assets.expression.resolve import resolve_catalog
from valtag_assets.graph.setting import Setting
from valtag_assets.spec.destination import Destination
from valtag_assets.warehouse.snapshot import TableRef
from valtag_tests.bench.process import machine, write_json
from valtag_tests.bench.serving import AS_OF, publish, write_catalog

NOW = datetime(2024, 7, 1, tzinfo=UTC)
CONNECTIONS = 32


def planned(first: int, many: int, *, kind: str = "message") -> pa.Table:
    """So many made messages."""
    numbers = np.arange(first, first + many)
    persons = pa.array([f"P{number:08d}" for number in numbers])
    constant = {
        "kind": kind,
        "origin": "bench",
        "destination": "there",
        "operation": "message" if kind == "message" else "add",
        "values": '{"spend":"1360.00","city":"上海"}',
    }
    keys = pa.array([f"{(int(number) * 0x9E3779B97F4A7C15) % 2**64:016x}{number:048x}" for number in numbers])
    columns = {"key": keys, "person_id": persons, "values_hash": keys}
    columns |= {name: pa.repeat(pa.scalar(value), many) for name, value in constant.items()}
    columns["created_at"] = pa.repeat(pa.scalar(NOW, pa.timestamp("us", "UTC")), many)
    return pa.table(columns)


# rate


def receiver(pipe: Connection) -> None:
    """A receiver that says yes; it tells its port through ``pipe``."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

    async def take(request: web.Request) -> web.Response:
        await request.read()
        return web.json_response({"errcode": 0, "msgid": "m"})

    async def whole() -> None:
        app = web.Application()
        app.router.add_post("/", take)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        pipe.send(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(whole())


async def bare(url: str, many: int) -> float:
    """Requests a second by the client alone."""
    waiting = iter(range(many))
    body = b'{"key": "0123456789", "person": "P00000001", "spend": "1360.00"}'
    started = time.perf_counter()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONNECTIONS)) as session:

        async def work() -> None:
            for _ in waiting:
                async with session.post(url, data=body) as answer:
                    await answer.read()

        await asyncio.gather(*(work() for _ in range(CONNECTIONS)))
    return many / (time.perf_counter() - started)


async def sender(url: str, folder: Path, many: int) -> float:
    """Messages a second by the sender."""
    said = {
        "destination": "there",
        "title": {"zh": "那里", "en": "There"},
        "kind": "http",
        "url": url,
        "concurrency": CONNECTIONS,
        "body": {"key": "{message_key}", "person": "{person_id}", "spend": "{spend}"},
        "answer": {"code": "errcode", "reference": "msgid", "ok": [0]},
    }
    spec = Destination.model_validate(said)

    def complete(found: Sequence[Message]) -> list[Parcel]:
        return [Parcel(message, message.values) for message in found]

    def now() -> datetime:
        return NOW + timedelta(seconds=time.monotonic() - begun)

    begun = time.monotonic()
    with Outbox.open(folder / "outbox.sqlite") as outbox:
        outbox.plan(planned(0, many))
        started = time.perf_counter()
        async with open_http(spec, {}, now) as opened:
            done = await send(outbox, Route(spec, opened, complete), now)
        seconds = time.perf_counter() - started
        assert done.states == {"sent": many}
    return many / seconds


def rate(folder: Path, many: int) -> dict[str, Any]:
    """Requests a second, in turns, the best of three rounds."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=receiver, args=(theirs,), daemon=True)
    process.start()
    url = f"http://127.0.0.1:{ours.recv()}/"
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    rounds = []
    for _ in range(3):
        with TemporaryDirectory(dir=folder) as space:
            rounds.append((asyncio.run(bare(url, many)), asyncio.run(sender(url, Path(space), many))))
    process.terminate()
    alone, through = (max(column) for column in zip(*rounds, strict=True))
    return {
        "messages": many,
        "bare client, requests a second": round(alone),
        "sender, messages a second": round(through),
        "share of the bare client": round(through / alone, 2),
    }


# audience


def audience(folder: Path, persons: int) -> dict[str, Any]:
    """Seconds to compare and to plan: everybody new, nobody changed, all changed."""
    catalog = write_catalog(folder / "catalog")
    title = "title: {zh: 那里, en: There}"
    for name, lines in {
        "segments/everybody.yaml": [f"segments:\n  - {{code: everybody, {title}, rule: tag_1 >= 0}}"],
        "destinations/there.yaml": [f"destination: there\n{title}\nkind: file\npath: out\nformat: csv"],
        "deliveries/all.yaml": [
            f"deliveries:\n  - {{code: bench, {title}, segment: everybody, to: there, fields: [tag_0, tag_1, tag_2]}}"
        ],
    }.items():
        (catalog / name).parent.mkdir(exist_ok=True)
        (catalog / name).write_text("\n".join(lines), encoding="utf-8")
    setting = Setting(resolve_catalog(catalog), folder / "data")
    if not setting.warehouse.tables():
        publish(setting, persons)
    tags = setting.warehouse.latest(TableRef("tags", "attribute"))
    assert tags is not None
    members = folder / "members.parquet"
    with open_duckdb() as engine:
        query = "SELECT person_id, false AS is_holdout FROM read_parquet($files)"
        files = [str(file) for file in tags.files]
        engine.connection.execute("CREATE TABLE members AS " + query, {"files": files})
        engine.connection.table("members").write_parquet(str(members))
    inputs = {"segments/everybody": [members], "tags/attribute": tags.files}
    ids = {"segments/everybody": "made", "tags/attribute": tags.id}
    delivery = setting.resolved.deliveries["bench"]
    figures: dict[str, Any] = {"persons": persons}
    file = folder / "outbox.sqlite"
    file.unlink(missing_ok=True)
    with Outbox.open(file) as outbox, open_duckdb(setting.spill) as engine, TemporaryDirectory(dir=folder) as space:
        sync = Sync(setting.resolved, delivery, outbox, engine, Path(space))
        for name, salt in (("everybody new", "a"), ("nobody changed", "a"), ("all changed", "b")):
            occasion = Occasion(date.fromisoformat(str(AS_OF)), name, NOW, inputs, ids, salt)
            seconds, difference = timed(lambda occasion=occasion: sync.compare(occasion))  # type: ignore[misc]
            figures[f"{name}: compare s"] = seconds
            figures[f"{name}: plan s"], _ = timed(lambda occasion=occasion: sync.plan(occasion))  # type: ignore[misc]
            assert difference.add + difference.change + difference.unchanged == persons
            if name == "everybody new":
                figures["acknowledge s"], _ = timed(lambda: _acknowledge(outbox, "there"))
    return figures


def _acknowledge(outbox: Outbox, destination: str) -> None:
    while found := outbox.claim(destination, 50_000, NOW, NOW + timedelta(minutes=5)):
        outbox.settle(Result(message, "acknowledged", NOW) for message in found)


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    found = work()
    return round(time.perf_counter() - started, 2), found


# ledger


def ledger(folder: Path, rows: int, step: int) -> list[dict[str, Any]]:
    """Microseconds a message, and bytes, as the ledger grows by ``step``; the last 2,000 of each step are sent."""
    file = folder / "ledger.sqlite"
    file.unlink(missing_ok=True)
    found = []
    with Outbox.open(file) as outbox:
        for first in range(0, rows, step):
            table = planned(first, step)
            plan, _ = timed(lambda table=table: outbox.plan(table))  # type: ignore[misc]
            started = time.perf_counter()
            for _ in range(10):
                claimed = outbox.claim("there", 200, NOW, NOW + timedelta(minutes=5))
                outbox.settle([Result(message, "sent", NOW) for message in claimed])
            each = (time.perf_counter() - started) / 2000
            counted, _ = timed(lambda: outbox.due(NOW))
            found.append(
                {
                    "rows": first + step,
                    "plan µs": round(plan / step * 1e6, 1),
                    "claim and settle µs": round(each * 1e6, 1),
                    "count due s": counted,
                    "bytes a row": round(file.stat().st_size / (first + step)),
                }
            )
    return found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("what", choices=("rate", "audience", "ledger"))
    options.add_argument("--rows", type=int, help="messages, persons or rows (10,000; 1,000,000; 10,000,000)")
    options.add_argument("--into", type=Path, default=Path("data/bench"))
    chosen = options.parse_args()
    folder = chosen.into.resolve() / "deliveries"
    folder.mkdir(parents=True, exist_ok=True)
    work: dict[str, Callable[[], Any]] = {
        "rate": lambda: rate(folder, chosen.rows or 10_000),
        "audience": lambda: audience(folder, chosen.rows or 1_000_000),
        "ledger": lambda: ledger(folder, chosen.rows or 10_000_000, (chosen.rows or 10_000_000) // 10),
    }
    figures = {"machine": machine(), chosen.what: work[chosen.what]()}
    write_json(folder / f"{chosen.what}.json", figures)
    print((folder / f"{chosen.what}.json").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
