"""Redis for online use (``pip install valtag[deliveries]``).

``<prefix>:<origin>:members`` is the set of an audience's person ids; ``<prefix>:<origin>:person:<id>`` a hash of the
fields of each. A batch is one transaction (MULTI … EXEC): who reads sees all of it or nothing. An audience that is
not there yet is loaded beside, as ``…:members:loading``, and renamed when all of it has come: nobody sees half of it.
What was loaded by a sender that died is found by the next one.
"""

import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from valtag_assets.delivery.message import Outcome, Parcel
from valtag_assets.delivery.secret import secret
from valtag_assets.spec.destination import Destination
from valtag_assets.spec.mistake import Mistake

if TYPE_CHECKING:
    from redis.asyncio import Redis

_LOADING = ":loading"


class RedisReceiver:
    """One Redis database."""

    def __init__(self, spec: Destination, client: "Redis") -> None:
        self._spec, self._client = spec, client
        # The key that the members of an origin are written to.
        self._members: dict[str, str] = {}
        self._whole = True

    async def deliver(self, parcels: Sequence[Parcel]) -> Sequence[Outcome]:
        """Put the parcels in: all of them, or none."""
        outcome = await self._deliver(parcels)
        self._whole = self._whole and outcome.kind == "ok"
        return [outcome] * len(parcels)

    async def finish(self) -> None:
        """Show what was loaded beside, if all of it has come; else the next sender goes on loading."""
        if self._whole:
            async for key in self._client.scan_iter(match=f"{_literal(str(self._spec.prefix))}:*{_LOADING}"):
                name = key if isinstance(key, str) else key.decode()
                await self._client.renamenx(name, name.removesuffix(_LOADING))

    async def _deliver(self, parcels: Sequence[Parcel]) -> Outcome:
        from redis import exceptions

        try:
            for origin in {parcel.message.origin for parcel in parcels} - self._members.keys():
                members = f"{self._spec.prefix}:{origin}:members"
                there = await self._client.exists(members)
                self._members[origin] = members if there else f"{members}{_LOADING}"
            async with self._client.pipeline(transaction=True) as transaction:
                for parcel in parcels:
                    self._put(transaction, parcel)
                await transaction.execute()
            return Outcome("ok")
        except exceptions.AuthenticationError:
            return Outcome("halt", "Redis does not let us in")
        except (exceptions.ConnectionError, exceptions.TimeoutError):
            # What is set may be set again.
            return Outcome("unreachable", "Redis can't be reached")
        except exceptions.RedisError as error:
            return Outcome("retry", f"Redis: {type(error).__name__}")

    def _put(self, transaction: Any, parcel: Parcel) -> None:
        person, origin = parcel.message.person_id, parcel.message.origin
        members = self._members[origin]
        record = f"{self._spec.prefix}:{origin}:person:{person}"
        # A hash keeps what is not named, so the old one goes.
        transaction.delete(record)
        if parcel.message.operation == "remove":
            transaction.srem(members, person)
            return
        transaction.sadd(members, person)
        found = {name: _text(value) for name, value in parcel.fields.items() if value is not None}
        if found:
            transaction.hset(record, mapping=found)


def _literal(text: str) -> str:
    """``text`` in a pattern of Redis, where it stands for itself."""
    return re.sub(r"([\\*?\[\]^-])", r"\\\1", text)


def _text(value: Any) -> str:
    """A value as Redis holds it: texts as they are, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@asynccontextmanager
async def open_redis(spec: Destination, environment: Mapping[str, str]) -> AsyncIterator[RedisReceiver]:
    """The database, whose URL is in the environment. Mistake where the variable or the client is missing."""
    url = secret(spec.url_env or "", environment, spec.destination)
    try:
        from redis.asyncio import Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
        from redis.exceptions import RedisError
    except ImportError as error:
        raise Mistake(f'{spec.destination}: needs the Redis client: pip install "valtag[deliveries]"') from error
    # The sender retries; a client that did so by itself would hide it.
    never = Retry(NoBackoff(), 0)
    try:
        client = Redis.from_url(url, socket_timeout=spec.timeout, socket_connect_timeout=5, retry=never)
    except ValueError:
        # The client's own words may hold the password.
        raise Mistake(f"{spec.destination}: {spec.url_env} holds no Redis URL, as redis://host:6379/0") from None
    receiver = RedisReceiver(spec, client)
    try:
        yield receiver
        with suppress(RedisError):  # what is loaded stays, and is shown by the next sender
            await receiver.finish()
    finally:
        await client.aclose()
