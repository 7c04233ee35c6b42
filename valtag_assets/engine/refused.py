"""Refused rows as a reader may see them: raw values, each judged by the field it was meant for."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from valtag_assets.engine.access import field_needs
from valtag_assets.engine.reader import Reader
from valtag_assets.engine.vault import Vault, texts_in
from valtag_assets.expression.resolved import ResolvedSource
from valtag_assets.spec.masking import MASK

_TEXT = "text"  # of a record that nobody could read: all there is of it


def hides_refused(reader: Reader, source: ResolvedSource) -> bool:
    """Whether refused rows of ``source`` may hold values that are not for the reader."""
    return not all(reader.may(need) for need in field_needs(reader.resolved, source).values())


def hide_refused(reader: Reader, source: ResolvedSource, row: dict[str, Any]) -> dict[str, Any]:
    """A refused row without the values that are not for the reader, in ``value`` and inside ``record``."""
    if not hides_refused(reader, source):
        return row
    needs = field_needs(reader.resolved, source)
    fields = source.spec.fields
    readable = {field.source_name for field in fields if reader.may(needs[field.name])}
    hidden = {field.source_name for field in fields if not reader.may(needs[field.name])}
    about = str(row.get("field"))
    shown = about in needs and reader.may(needs[about])
    return {
        **row,
        "value": row.get("value") if shown else MASK,
        "record": _only(row.get("record"), readable - hidden),
    }


def open_refused(source: ResolvedSource, rows: Sequence[Mapping[str, Any]], vault: Vault) -> list[dict[str, Any]]:
    """Refused rows, hidden values hidden, with the raw texts of personal columns in the place of their tokens; of
    records that nobody could read the text."""
    if not source.spec.vaulted:
        return [dict(row) for row in rows]
    personal = {field.source_name for field in source.spec.fields if field.access == "pii"} | {_TEXT}
    fields = {field.name for field in source.spec.fields if field.access == "pii"}
    records = [_record(row.get("record")) for row in rows]
    found = []
    known = vault.shown(texts_in(record[name] for record in records for name in personal & record.keys()))
    for row, record in zip(rows, records, strict=True):
        shown = {name: known.get(text, text) if name in personal else text for name, text in record.items()}
        about = row.get("field") is None or row["field"] in fields
        value = row.get("value")
        found.append(
            {
                **row,
                **({"value": known.get(str(value), value)} if about and "value" in row else {}),
                **({"record": json.dumps(shown, ensure_ascii=False)} if record else {}),
            }
        )
    return found


def _record(text: object) -> dict[str, Any]:
    """The record's JSON object; nothing where all of it is hidden."""
    try:
        found = json.loads(str(text))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _only(record: object, readable: set[str]) -> object:
    """The record's JSON object with only these values; a text that is no object is hidden whole."""
    try:
        values = json.loads(str(record))
    except ValueError:
        return MASK
    if not isinstance(values, dict):
        return MASK
    shown = {key: value if key in readable or value is None else MASK for key, value in values.items()}
    return json.dumps(shown, ensure_ascii=False)
