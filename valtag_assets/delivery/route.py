"""A destination opened: its receiver connected, its secrets read, its contact data at hand."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from valtag_assets.delivery.contact import Contacts
from valtag_assets.delivery.database import open_database, open_postgres
from valtag_assets.delivery.files import open_files
from valtag_assets.delivery.http import open_http
from valtag_assets.delivery.redis import open_redis
from valtag_assets.delivery.sender import Receiver, Route
from valtag_assets.delivery.tabular import Fields
from valtag_assets.delivery.triggered import trigger_fields
from valtag_assets.engine.duckdb import open_duckdb
from valtag_assets.expression.resolved import Resolved
from valtag_assets.expression.resolved_delivery import ResolvedDestination, TravellingField
from valtag_assets.warehouse.store import Warehouse


@dataclass(frozen=True)
class Place:
    """Where a sender works. ``files``: the folder that relative paths of destinations start from."""

    resolved: Resolved
    warehouse: Warehouse
    spill: Path
    files: Path
    environment: Mapping[str, str]


@asynccontextmanager
async def open_route(
    place: Place, destination: ResolvedDestination, now: Callable[[], datetime]
) -> AsyncIterator[Route]:
    """The destination at work. Mistake where a secret, a driver or a client is missing."""
    fields = fields_of(place.resolved, destination)
    with open_duckdb(place.spill) as engine, TemporaryDirectory(dir=place.spill) as space:
        contacts = Contacts(place.resolved, place.warehouse, engine, Path(space), fields, place.environment)
        async with _receiver(place, destination, fields, now) as receiver:
            yield Route(destination.spec, receiver, contacts.complete)


def fields_of(resolved: Resolved, destination: ResolvedDestination) -> Fields:
    """What travels from an origin to ``destination``."""

    def fields(origin: str) -> Sequence[TravellingField]:
        if origin in resolved.triggers:
            return trigger_fields(resolved, resolved.triggers[origin], destination.code)
        delivery = resolved.deliveries.get(origin)
        return destination.fields if delivery is None else delivery.fields

    return fields


def _receiver(
    place: Place, destination: ResolvedDestination, fields: Fields, now: Callable[[], datetime]
) -> AbstractAsyncContextManager[Receiver]:
    spec = destination.spec
    if spec.kind == "http":
        return open_http(spec, place.environment, now)
    if spec.kind == "redis":
        return open_redis(spec, place.environment)
    if spec.kind == "postgres":
        return open_postgres(spec, fields, place.environment)
    return (open_files if spec.kind == "file" else open_database)(spec, fields, place.files)
