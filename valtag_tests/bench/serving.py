"""One person out of many over HTTP: ``python -m valtag_tests.bench.serving --persons 1000000 --into data/bench``.

The service has one core, the load another. Persons are drawn evenly, so nearly every read is of a page nobody has
read before. Two loads: eight connections that ask as fast as they are answered, and 1,000 questions a second whose
time counts from when each was due, answered or not (a slow answer makes the next ones late, as it does in life).
The measure beside it is a service of the same server that says one constant text. Other work on the machine makes
times longer, never shorter, so of some rounds, taken in turns, the best of each counts; and the CPU time of one
request inside the service, which nobody else can touch, is told apart.
"""

import argparse
import asyncio
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb

from valtag_assets.expression.resolve import resolve_catalog
from valtag_assets.graph.setting import Setting
from valtag_assets.serving.app import create_app
from valtag_assets.serving.building import build_store, find_store
from valtag_assets.serving.keys import read_keys
from valtag_assets.serving.published import published
from valtag_assets.serving.service import Place, Service
from valtag_assets.warehouse.derived import Derived
from valtag_assets.warehouse.snapshot import TableRef
from valtag_tests.bench.process import machine, write_json

AS_OF = date(2024, 6, 30)
TAGS, SEGMENTS = 40, 10
KINDS = ("text", "integer", "decimal(18,2)", "date", "boolean", "float", "timestamp")
CODES = {"date": "tag_{}_date", "boolean": "is_tag_{}", "timestamp": "tag_{}_at"}
SECONDS, ROUNDS, CONNECTIONS, RATE = 1.2, 4, 8, 1000
RATE_TOLD = "requests a second"
_SERVE = "import sys; from valtag_assets.cli import main; sys.exit(main(sys.argv[1:]))"
_HELLO = "from valtag_tests.bench.serving import hello; import sys; hello(int(sys.argv[1]))"


def write_catalog(into: Path) -> Path:
    """A catalog of 40 tags of every type, ten segments and a placement of three rules."""
    title = "title: {zh: 标签, en: Tag}"
    fields = [f"  - {{name: f{n}, type: {_quoted(n)}}}" for n in range(TAGS)]
    source = ["source: members", "title: {zh: 会员, en: Members}", "kind: master", "person: member"]
    source += ["read: {path: members.csv}", "fields:", "  - {name: member, type: text}", *fields]
    tags = [
        f"  - {{code: {_code(n)}, {title}, type: {_quoted(n)}, value: {{master: members, of: f{n}}}}}"
        for n in range(TAGS)
    ]
    segments = [f"  - {{code: segment_{n}, {title}, rule: tag_1 > {n * 100}}}" for n in range(SEGMENTS)]
    placement = ["placement: banner", title, "variants:"]
    placement += [f"  - {{code: v{n}, {title}, when: \"segment_{n} and tag_0 = 'city{n}'\"}}" for n in range(3)]
    placement += [f"default: {{code: other, {title}}}"]
    files = {
        "project.yaml": ["name: bench", title, "start: 2024-01-01"],
        "sources/members.yaml": source,
        "tags/attribute.yaml": ["category: attribute", title, "tags:", *tags],
        "segments/audiences.yaml": ["segments:", *segments],
        "placements/banner.yaml": placement,
    }
    for name, lines in files.items():
        (into / name).parent.mkdir(parents=True, exist_ok=True)
        (into / name).write_text("\n".join([*lines, ""]), encoding="utf-8")
    return into


def _code(number: int) -> str:
    return CODES.get(KINDS[number % len(KINDS)], "tag_{}").format(number)


def _quoted(number: int) -> str:
    return f'"{KINDS[number % len(KINDS)]}"'


def _value(number: int) -> str:
    """SQL of made values of tag ``number``; a hash of one number each, so that no two tags are alike."""
    drawn = f"hash(i * 1000 + {number})"
    return {
        "text": f"'city' || ({drawn} % 300)",
        "integer": f"({drawn} % 1000)::bigint",
        "decimal(18,2)": f"(({drawn} % 10000000) / 100)::decimal(18,2)",
        "date": f"date '2024-01-01' - ({drawn} % 900)::integer",
        "boolean": f"{drawn} % 2 = 0",
        "float": f"({drawn} % 10007) / 10007.0::double",
        "timestamp": f"timestamp '2024-01-01' - to_seconds(({drawn} % 9000000)::bigint)",
    }[KINDS[number % len(KINDS)]]


def publish(setting: Setting, persons: int) -> None:
    """Made snapshots of the catalog's tables, as runs would have published them."""
    columns = ", ".join(f"{_value(n)} as {_code(n)}" for n in range(TAGS))
    everybody = f"select 'P' || lpad(i::varchar, 8, '0') as person_id, i from range({persons}) r(i)"
    tables = {
        "identity/persons": f"select person_id from ({everybody}) order by 1",
        "tags/attribute": f"select person_id, {columns} from ({everybody}) order by 1",
    }
    for n in range(SEGMENTS):
        tables[f"segments/segment_{n}"] = (
            f"select person_id from ({everybody}) where hash(i * 7 + {n}) % 10 < 2 order by 1"
        )
    with duckdb.connect() as connection:
        for key, query in tables.items():
            table = TableRef.parse(key)
            with setting.warehouse.staging(table) as staged:
                connection.sql(query).write_parquet(str(staged.path / "part-0.parquet"), compression="zstd")
                setting.warehouse.publish(
                    staged,
                    as_of=None if table.stage == "identity" else AS_OF,
                    known_at=datetime(2024, 7, 1, tzinfo=UTC),
                    input_hash="made",
                    catalog_hash="made",
                    run_id="bench",
                    data_until=None,
                    inputs={},
                    verdicts=(),
                    metrics={},
                    key=("person_id",),
                )


def measure(folder: Path, persons: int) -> dict[str, Any]:
    """Figures of the store, of the service, and of the service that says one text."""
    catalog = write_catalog(folder / "catalog")
    setting = Setting(resolve_catalog(catalog), folder / "data")
    if not setting.warehouse.tables():
        publish(setting, persons)
    now = published(setting.warehouse, setting.resolved)
    found = find_store(setting.derived, now)
    if found is not None:
        setting.derived.remove("serving", "lookup", now.key)
    started = time.monotonic()
    made = build_store(setting.derived, setting.resolved, now, setting.spill)
    figures: dict[str, Any] = {
        "persons": persons,
        "tags": TAGS,
        "segments": SEGMENTS,
        "build seconds": round(time.monotonic() - started, 1),
        "store MB": round(sum(made.about["files"].values()) / 1e6, 1),
    }
    asked = [f"/persons/P{random.Random(n).randrange(persons):08d}" for n in range(20_000)]
    figures["CPU ms of a request"] = inside(setting, made, asked)
    port, other = _free_port(), _free_port()
    options = ["--port", str(port), "--catalog", str(catalog), "--data", str(setting.data)]
    with _serving([_SERVE, "serve", "--open", *options], port), _serving([_HELLO, str(other)], other):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        loads = {
            "person": (port, asked),
            "variant": (port, [f"{path}/variant/banner" for path in asked]),
            "hello world": (other, ["/health"]),
        }
        rounds = [{name: loaded(*load) for name, load in loads.items()} for _ in range(ROUNDS)]
    for name in loads:
        figures[name] = {
            what: (max if what == RATE_TOLD else min)(found[name][what] for found in rounds)
            for what in rounds[0][name]
        }
    figures["share of hello world"] = round(figures["person"][RATE_TOLD] / figures["hello world"][RATE_TOLD], 2)
    return figures


def inside(setting: Setting, made: Derived, paths: list[str]) -> dict[str, float]:
    """CPU milliseconds from the request to the answer, without the network."""
    place = Place(setting.resolved, setting.warehouse, setting.spill, setting.spill, setting.audit)
    app = create_app(Service(place, made), read_keys(setting.resolved, {}, is_open=True), watch=False)
    times: list[float] = []

    async def nothing() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def taken(message: Any) -> None:
        assert message.get("status", 200) == 200

    async def ask() -> None:
        for path in paths:
            scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "root_path": ""}
            scope |= {"scheme": "http", "query_string": b"", "headers": [(b"host", b"localhost")]}
            began = time.thread_time()
            await app(scope, nothing, taken)
            times.append(time.thread_time() - began)

    asyncio.run(ask())
    return {"p50": _quantile(times, 0.5), "p99": _quantile(times, 0.99), "most": round(max(times) * 1000, 2)}


def hello(port: int) -> None:
    """The same framework and server, saying one text."""
    from fastapi import FastAPI, Response

    from valtag_assets.serving.server import run_server

    app = FastAPI()

    @app.get("/health")
    async def say() -> Response:
        return Response(b'{"hello":"world"}', media_type="application/json")

    run_server(app, "127.0.0.1", port)


def loaded(port: int, paths: list[str]) -> dict[str, Any]:
    """Requests a second as fast as they come, and times (ms) at a steady rate."""
    fast = asyncio.run(_fast(port, paths, SECONDS))
    steady = asyncio.run(_steady(port, paths, SECONDS))
    return {
        RATE_TOLD: round(len(fast) / SECONDS),
        f"p50 ms, {CONNECTIONS} at once": _quantile(fast, 0.5),
        f"p99 ms, {CONNECTIONS} at once": _quantile(fast, 0.99),
        f"p50 ms at {RATE}/s": _quantile(steady, 0.5),
        f"p99 ms at {RATE}/s": _quantile(steady, 0.99),
    }


def _quantile(seconds: list[float], share: float) -> float:
    return round(statistics.quantiles(seconds, n=1000, method="inclusive")[round(share * 1000) - 1] * 1000, 2)


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> None:
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    await reader.readexactly(length)


async def _fast(port: int, paths: list[str], seconds: float) -> list[float]:
    """Some connections, each asking again as soon as it is answered."""
    times: list[float] = []
    until = time.monotonic() + seconds

    async def one(first: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        number = first
        while (began := time.monotonic()) < until:
            await _ask(reader, writer, paths[number % len(paths)])
            times.append(time.monotonic() - began)
            number += CONNECTIONS
        writer.close()

    await asyncio.gather(*[one(number) for number in range(CONNECTIONS)])
    return times


async def _steady(port: int, paths: list[str], seconds: float) -> list[float]:
    """So many questions a second, each by the connection that is free; its time counts from when it was due."""
    times: list[float] = []
    free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(4 * CONNECTIONS):
        free.put_nowait(await asyncio.open_connection("127.0.0.1", port))

    async def one(number: int, due: float) -> None:
        reader, writer = await free.get()
        await _ask(reader, writer, paths[number % len(paths)])
        times.append(time.monotonic() - due)
        free.put_nowait((reader, writer))

    began, asking = time.monotonic(), []
    for number in range(int(seconds * RATE)):
        due = began + number / RATE
        if due > time.monotonic():
            await asyncio.sleep(due - time.monotonic())
        asking.append(asyncio.create_task(one(number, due)))
    await asyncio.gather(*asking)
    return times


@contextmanager
def _serving(command: list[str], port: int) -> Iterator[None]:
    """The service in a process of its own on the first core, until it is left."""
    core = str(min(os.sched_getaffinity(0)) if len(os.sched_getaffinity(0)) > 1 else 0)
    child = subprocess.Popen(["taskset", "-c", core, sys.executable, "-c", *command])
    try:
        for _ in range(200):
            assert child.poll() is None, "the service ended"
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1).read()
                break
            except OSError:
                time.sleep(0.1)
        yield
    finally:
        child.terminate()
        child.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--persons", type=int, default=1_000_000)
    options.add_argument("--into", type=Path, default=Path("data/bench/serving"))
    chosen = options.parse_args()
    folder = chosen.into.resolve() / str(chosen.persons)
    found = {"machine": machine(), **measure(folder, chosen.persons)}
    write_json(folder / "report.json", found)
    print(json.dumps(found, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
