"""Gateways, CRM and adviser systems over HTTP (``pip install valtag[deliveries]``).

TLS certificates are always verified; redirects are never followed; an address inside a private network is refused
unless the destination says ``private: true``.
"""

import base64
import hashlib
import json
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from valtag_assets.delivery.answer import classify
from valtag_assets.delivery.message import Outcome, Parcel
from valtag_assets.delivery.parcel import about
from valtag_assets.delivery.secret import secret
from valtag_assets.delivery.template import fill
from valtag_assets.spec.destination import ROWS, Auth, Destination, is_loopback
from valtag_assets.spec.mistake import Mistake

if TYPE_CHECKING:
    import aiohttp

_LONGEST_ANSWER = 4_000_000  # bytes
_HIDDEN = "…".encode()


class AddressRefused(Exception):
    """A host that lies where we must not send."""


class HttpReceiver:
    """One HTTP destination with an open session."""

    def __init__(
        self,
        spec: Destination,
        session: "aiohttp.ClientSession",
        headers: Mapping[str, str],
        secrets: Sequence[str],
        now: Callable[[], datetime],
    ) -> None:
        self._spec, self._session, self._headers, self._now = spec, session, headers, now
        self._secrets = [word.encode() for word in secrets]

    async def deliver(self, parcels: Sequence[Parcel]) -> Sequence[Outcome]:
        """One request with all parcels, and what its answer says of each."""
        outcome = await self._ask(parcels)
        return outcome if isinstance(outcome, list) else [outcome] * len(parcels)

    async def _ask(self, parcels: Sequence[Parcel]) -> list[Outcome] | Outcome:
        import aiohttp

        spec = self._spec
        assert spec.url is not None
        try:
            data = body_of(spec, parcels)
        except (KeyError, TypeError, ValueError) as error:
            return Outcome("split", f"the body can't be made: {type(error).__name__}")
        headers = {**self._headers, spec.key_header: request_key(parcels)}
        try:
            async with self._session.request(
                spec.method, spec.url, data=data, headers=headers, allow_redirects=False
            ) as answer:
                read = await _read(answer)
                for word in self._secrets:  # a receiver may say back what it was told, and what it says is kept
                    read = read.replace(word, _HIDDEN)
                return classify(answer.status, answer.headers, read, spec.answer, len(parcels), self._now())
        except AddressRefused as error:
            return Outcome("halt", str(error))
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError, ssl.SSLError):
            return Outcome("halt", "its certificate can't be trusted")
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            # No connection, so nothing was sent.
            return Outcome("unreachable", "it can't be reached")
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            # The request may have arrived; the error's text may hold the url, so its name has to do.
            return Outcome("uncertain", f"no answer: {type(error).__name__}")


def body_of(spec: Destination, parcels: Sequence[Parcel]) -> bytes:
    """The request's body: the template filled for each parcel, and all of them put into the envelope."""
    bodies = [fill(spec.body, {**about(parcel), **parcel.fields}) for parcel in parcels]
    body = bodies[0] if spec.envelope is None else fill(spec.envelope, {ROWS: bodies})
    return json.dumps(body, ensure_ascii=False, allow_nan=False).encode()


def request_key(parcels: Sequence[Parcel]) -> str:
    """The idempotency key of a request: its message's own, or one made of all of a batch."""
    if len(parcels) == 1:
        return parcels[0].message.key
    return hashlib.sha256("".join(parcel.message.key for parcel in parcels).encode()).hexdigest()


async def _read(answer: "aiohttp.ClientResponse") -> bytes:
    """The answer's body, up to what an answer may reasonably be."""
    read = bytearray()
    async for piece in answer.content.iter_chunked(65_536):
        read += piece
        if len(read) > _LONGEST_ANSWER:
            break
    return bytes(read)


@asynccontextmanager
async def open_http(
    spec: Destination, environment: Mapping[str, str], now: Callable[[], datetime]
) -> AsyncIterator[HttpReceiver]:
    """The receiver, its secrets taken from ``environment``. Mistake where one is missing, or the client is."""
    try:
        import aiohttp
        from aiohttp.abc import AbstractResolver, ResolveResult
        from aiohttp.resolver import ThreadedResolver
    except ImportError as error:
        raise Mistake(f'{spec.destination}: needs an HTTP client: pip install "valtag[deliveries]"') from error

    class Guard(AbstractResolver):
        """Resolves names, and refuses those that lie where we must not send."""

        def __init__(self) -> None:
            self._names = ThreadedResolver()

        async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[ResolveResult]:
            found = await self._names.resolve(host, port, family)
            for item in found:
                check_address(spec, host, item["host"])
            return found

        async def close(self) -> None:
            await self._names.close()

    headers = {"Content-Type": "application/json; charset=utf-8", **spec.headers}
    told = auth_headers(spec.auth, environment, spec.destination)
    headers |= told
    secrets = [value.split(" ", 1)[-1] for value in told.values()]
    if spec.auth is not None and spec.auth.password is not None:
        secrets.append(secret(spec.auth.password, environment, spec.destination))
    connector = aiohttp.TCPConnector(limit=spec.concurrency, resolver=Guard(), ssl=ssl.create_default_context())
    timeout = aiohttp.ClientTimeout(total=spec.timeout, sock_connect=min(spec.timeout, 5))
    async with aiohttp.ClientSession(
        connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
    ) as session:
        yield HttpReceiver(spec, session, headers, secrets, now)


def check_address(spec: Destination, host: str, address: str) -> None:
    """AddressRefused when ``host``, which lies at ``address``, must not be sent to."""
    found = ip_address(address.partition("%")[0])
    if host not in spec.hosts:
        raise AddressRefused(f"{host} is not among the hosts that {spec.destination} may ask")
    if found.is_global or spec.private or is_loopback(host):
        return
    raise AddressRefused(f"{host} lies in a private network: private: true allows that")


def auth_headers(auth: Auth | None, environment: Mapping[str, str], where: str) -> dict[str, str]:
    """The headers that say who we are; none without ``auth``."""
    if auth is None:
        return {}
    if auth.bearer is not None:
        return {"Authorization": f"Bearer {secret(auth.bearer, environment, where)}"}
    if auth.user is not None and auth.password is not None:
        pair = f"{secret(auth.user, environment, where)}:{secret(auth.password, environment, where)}"
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    assert auth.header is not None and auth.env is not None
    return {auth.header: secret(auth.env, environment, where)}
