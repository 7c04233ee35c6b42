"""The HTTP service around its routes: who may come in, what is refused, how it is documented."""

import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from valtag_assets.engine.lookup import Layout
from valtag_assets.serving.documents import complete
from valtag_assets.serving.keys import Keys
from valtag_assets.serving.refusal import Refusal
from valtag_assets.serving.routes import CALLER, record_refusal, router
from valtag_assets.serving.service import Service
from valtag_assets.warehouse.audit import AuditError

# A thousand ids of 200 characters, written as \uXXXX, and then some.
MOST_BYTES = 2_000_000
_DIGITS = 12  # a length of more is not worth reading
_TOO_LARGE = f"the body is larger than {MOST_BYTES:,} bytes: ask for fewer persons at once"
FREE = ("/health", "/openapi.json")
_ROUTED = {
    404: "there is nothing at this address; /openapi.json lists what can be asked",
    405: "this address takes another method",
}
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def create_app(service: Service, keys: Keys, *, watch: bool = True) -> ASGIApp:
    """The ASGI application; ``watch``: it looks for newer stores by itself."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(service.keep_record())]
        tasks += [asyncio.create_task(service.watch())] if watch else []
        yield
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await asyncio.to_thread(service.tally.flush)

    project = service.place.resolved.catalog.project
    app = FastAPI(
        title=f"{project.title.zh} · {project.title.en}",
        description="值标签在线查询 · Value tags of persons, from the published snapshots.",
        version="1",
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,  # their pages load scripts from elsewhere; any viewer opens /openapi.json
        redoc_url=None,
    )
    app.state.service = service
    app.include_router(router)
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(HTTPException, _routed)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(sqlite3.Error, _unreadable)
    app.add_exception_handler(AuditError, _unrecorded)
    app.add_exception_handler(Exception, _fault)
    complete(app.openapi(), Layout.of(service.place.resolved), FREE)
    return Door(app, keys)


class Door:
    """Lets in who may come in; bodies only up to a size."""

    def __init__(self, app: ASGIApp, keys: Keys) -> None:
        self.app, self.keys = app, keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        refusal = self._enter(scope, headers)
        if refusal is None:
            await self.app(scope, _bounded(receive) if scope["method"] == "POST" else receive, send)
        else:
            await _error(refusal.status, refusal.message)(scope, receive, send)

    def _enter(self, scope: Scope, headers: Mapping[bytes, bytes]) -> Refusal | None:
        """Note who asks, or say why nobody answers."""
        if self.keys.everybody is not None and not _is_local(headers.get(b"host", b"")):
            # A web page somebody looks at may send requests here under a name of its own.
            return Refusal(403, "an open service answers to 127.0.0.1 and localhost only")
        given = headers.get(b"authorization")
        caller = self.keys.caller(given.decode("latin-1") if given is not None else None)
        scope[CALLER] = caller
        if caller is None and (given is not None or scope["path"] not in FREE):
            return Refusal(401, "send a key that access.yaml knows, as Authorization: Bearer …")
        length = headers.get(b"content-length", b"")
        if length.isdigit() and (len(length) > _DIGITS or int(length) > MOST_BYTES):
            return Refusal(413, _TOO_LARGE)
        return None


def _is_local(host: bytes) -> bool:
    name = host.decode("latin-1").lower()
    return name in _LOOPBACK or any(name.startswith(f"{known}:") for known in _LOOPBACK)


def _bounded(receive: Receive) -> Receive:
    """A body that says no length is counted as it comes."""
    came = 0

    async def counted() -> Message:
        nonlocal came
        message = await receive()
        came += len(message.get("body", b""))
        if came > MOST_BYTES:
            raise HTTPException(413, _TOO_LARGE)
        return message

    return counted


def _error(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    more = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": "2"}}.get(status, {})
    body = orjson.dumps({"error": message})
    return Response(body, status, headers={**(headers or {}), **more}, media_type="application/json")


async def _refused(request: Request, error: Any) -> Response:
    if error.status == 403:
        await record_refusal(request, error.message)
    return _error(error.status, error.message)


async def _routed(_: Request, error: Any) -> Response:
    if error.status_code == 400:
        return _error(422, "the body is no JSON in UTF-8")
    return _error(error.status_code, _ROUTED.get(error.status_code, str(error.detail)), error.headers)


async def _invalid(_: Request, error: Any) -> Response:
    """The first faults, where each stands; never what was sent, which may hold anything."""
    faults = []
    for fault in error.errors()[:5]:
        kind, *steps = map(str, fault["loc"])
        faults.append(f"{'.'.join(steps) or kind}: {fault['msg']}")
    return _error(422, "; ".join(faults))


async def _unreadable(_: Request, error: Any) -> Response:
    print(f"the store can't be read: {error}", file=sys.stderr)
    return _error(503, "the store can't be read at present; it is made anew by the next run, or valtag serve --build")


async def _unrecorded(_: Request, error: Any) -> Response:
    print(f"nothing is told, since it can't be recorded: {error}", file=sys.stderr)
    return _error(503, "who asks can't be recorded at present, so nothing is told")


async def _fault(_: Request, error: Any) -> Response:
    return _error(500, "a fault of the service; its log says more")
