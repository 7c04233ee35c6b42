"""A receiver on the loopback that fails as told, and remembers every effect it had."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

FAULTS = ("ok", "before", "after", "busy", "reset", "silent", "poison")


@dataclass
class Clock:
    """Simulated time: sleeping takes none of ours."""

    at: datetime = datetime(2024, 3, 10, 8, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        await asyncio.sleep(0)


@dataclass
class Gateway:
    """``fault``: what happens to the next request. before: 500, nothing done. after: done, then 500. busy: 429.
    reset: the connection is cut, done or not. silent: done, and no answer in time. poison: see ``refused``.

    ``honours``: a key that is known has no second effect. ``refused``: persons of whom it wants nothing; in a batch
    one of them spoils the whole of it.
    """

    honours: bool = True
    fault: Callable[[], str] = lambda: "ok"
    refused: frozenset[str] = frozenset()
    effects: Counter[str] = field(default_factory=Counter)
    known: set[str] = field(default_factory=set)
    bodies: list[Any] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    requests: int = 0
    port: int = 0
    slow: float = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/send"

    async def take(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        body = await request.json()
        self.bodies.append(body)
        self.headers.append(dict(request.headers))
        rows = body["messages"] if isinstance(body, dict) and "messages" in body else [body]
        fault = self.fault()
        if fault == "before":
            return web.json_response({"errcode": -1}, status=500)
        if fault == "busy":
            return web.json_response({"errcode": 45009}, status=429, headers={"Retry-After": "30"})
        if any(row["person"] in self.refused for row in rows):
            said = f"no such number 13800000000 {request.headers.get('Authorization', '')} {rows}"
            return web.json_response({"errcode": 40003, "errmsg": said}, status=422)
        await asyncio.sleep(self.slow)
        for row in rows:
            self.effect(row)
        if fault == "after":
            return web.json_response({"errcode": -1}, status=500)
        if fault == "reset":
            assert request.transport is not None
            request.transport.abort()
        if fault == "silent":
            await asyncio.sleep(0.4)
        results = [{"errcode": 0, "msgid": f"m{number}"} for number, _ in enumerate(rows)]
        return web.json_response({"errcode": 0, "msgid": "m", "results": results})

    def effect(self, row: dict[str, Any]) -> None:
        if self.honours and row["key"] in self.known:
            return
        self.known.add(row["key"])
        self.effects[row["person"]] += 1


def drawn(seed: int, faults: Sequence[str], share: float) -> Callable[[], str]:
    """A fault for that share of the requests, drawn by ``seed``."""
    chance = random.Random(seed)
    return lambda: chance.choice(faults) if chance.random() < share else "ok"


@asynccontextmanager
async def running(gateway: Gateway) -> AsyncIterator[Gateway]:
    """The gateway at a port of its own, for as long as this is open."""
    app = web.Application()
    app.router.add_post("/send", gateway.take)
    app.router.add_post("/away", _away)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", gateway.port)
    await site.start()
    gateway.port = runner.addresses[0][1]
    try:
        yield gateway
    finally:
        await runner.cleanup()


async def _away(_: web.Request) -> web.Response:
    return web.Response(status=302, headers={"Location": "https://example.com/"})
