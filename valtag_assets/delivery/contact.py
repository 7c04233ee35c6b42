"""Contact data: joined to messages right before they are sent, from what is published and the vault, masked as said.

It never lies in the ledger, so a message that waits a day gets the number of the day it is sent.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from valtag_assets.delivery.access import is_contact
from valtag_assets.delivery.columns import published_columns
from valtag_assets.delivery.message import Message, Parcel
from valtag_assets.delivery.secret import secret
from valtag_assets.delivery.tabular import Fields
from valtag_assets.delivery.template import as_text
from valtag_assets.engine.lookup import ASKED
from valtag_assets.engine.persons import PERSON
from valtag_assets.engine.session import Engine, unbound
from valtag_assets.engine.vault import Vault, texts_in, vaulted_tags
from valtag_assets.expression.resolved import Resolved
from valtag_assets.expression.resolved_delivery import TravellingField
from valtag_assets.spec.destination import Hmac
from valtag_assets.warehouse.store import Warehouse


class Contacts:
    """Completes messages. ``space``: a folder for working files; ``environment``: where the keys of masks are."""

    def __init__(
        self,
        resolved: Resolved,
        warehouse: Warehouse,
        engine: Engine,
        space: Path,
        fields: Fields,
        environment: Mapping[str, str],
    ) -> None:
        self._resolved, self._warehouse, self._engine = resolved, warehouse, engine
        self._space, self._fields, self._environment = space, fields, environment

    def complete(self, messages: Sequence[Message]) -> list[Parcel]:
        """A parcel for each message, in their order, with every field of its origin; null where there is no value."""
        origins = {message.origin for message in messages}
        fields = {origin: self._fields(origin) for origin in origins}
        wanted = {
            (field.kind, field.source): field
            for own in fields.values()
            for field in own
            if is_contact(self._resolved, field)
        }
        asked = [m.person_id for m in messages if m.operation != "remove"]
        found = self._find(list(wanted.values()), asked) if wanted and asked else {}
        return [
            self._parcel(message, fields[message.origin], found.get(message.person_id, {})) for message in messages
        ]

    def _parcel(
        self, message: Message, fields: Sequence[TravellingField], person: Mapping[tuple[str, str], Any]
    ) -> Parcel:
        if message.operation == "remove":
            return Parcel(message, dict.fromkeys(field.name for field in fields))
        values = dict.fromkeys(field.name for field in fields) | dict(message.values)
        for field in fields:
            if is_contact(self._resolved, field):
                values[field.name] = self._masked(field, person.get((field.kind, field.source)), message.destination)
        return Parcel(message, values)

    def _masked(self, field: TravellingField, value: Any, where: str) -> Any:
        if field.mask is None or value is None:
            return value
        if isinstance(field.mask, Hmac):
            key = secret(field.mask.hmac, self._environment, where).encode()
            return hmac.new(key, as_text(value).encode(), hashlib.sha256).hexdigest()
        return as_text(value)[-4:] if field.mask == "last4" else None

    def _find(
        self, fields: Sequence[TravellingField], persons: Sequence[str]
    ) -> dict[str, dict[tuple[str, str], Any]]:
        """The fields' values of these persons, as JSON has them."""
        asked = self._space / "asked.parquet"
        pq.write_table(pa.table({PERSON: pa.array(sorted(set(persons)), pa.string())}), asked)
        table, inputs = published_columns(self._resolved, self._warehouse, unbound(ASKED, {PERSON: "string"}), fields)
        rows = self._engine.fetch(table, {ASKED: [asked], **inputs})
        tokens = vaulted_tags(self._resolved)
        vault = Vault(self._warehouse, self._engine, self._space)
        found: dict[str, dict[tuple[str, str], Any]] = {person: {} for person in rows[PERSON].to_pylist()}
        for number, field in enumerate(fields, 1):
            values = [json.loads(text) for text in rows[number].to_pylist()]
            if field.source in tokens:
                known = vault.shown(texts_in(values))
                values = [vault.opened(value, known) for value in values]
            for person, value in zip(found, values, strict=True):
                found[person][field.kind, field.source] = value
        return found
