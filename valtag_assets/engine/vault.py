"""Tokens in the engine: made of a column while rows are cleaned, and opened again for who may see what they are.

``warehouse.tokens`` says what a token is. The vault's tables, one per source and one of identity.yaml, hold
(file, token, value): the file from which a value came, null where it came from no single one.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq

from valtag_assets.engine.session import Engine, unbound
from valtag_assets.engine.trigger_state import SEEN
from valtag_assets.expression.resolved import Resolved
from valtag_assets.spec.masking import MASK
from valtag_assets.warehouse.snapshot import TableRef
from valtag_assets.warehouse.store import Warehouse
from valtag_assets.warehouse.tokens import DIGITS, KEY_COLUMNS, PREFIX
from valtag_assets.warehouse.tokens import VAULT as STAGE

COLUMNS = {"file": "string", "token": "string", "value": "string"}
VAULT, KEY = "vault", "vault_key"
"""Names of tables among an engine's inputs: the vault, and the key that tokens are made with."""
_ASKED, _TEXT, _SHOWN, _KNOWN = "asked_texts", "text", "shown", "known"
Show = Callable[[ir.StringValue], ir.StringValue]


def token(text: ir.StringValue) -> ir.StringValue:
    """The token of a text, of nothing nothing; reads the table ``KEY``."""
    digest = keyed_hash(unbound(KEY, KEY_COLUMNS), text)
    return ibis.literal(PREFIX).concat(digest.left(DIGITS))


def keyed_hash(keys: ibis.Table, text: ir.StringValue) -> ir.StringValue:
    """``warehouse.own_key.keyed_hash`` of a column, with the one key in the column ``key`` of ``keys``."""
    key = keys["key"].max().as_scalar()
    digest: ir.StringValue = key.concat(key.concat(text).hexdigest("sha256")).hexdigest("sha256")
    return digest


def is_token(text: ir.StringValue) -> ir.BooleanValue:
    """Whether the text has the form of a token."""
    return text.re_search(rf"^{PREFIX}[0-9a-f]{{{DIGITS}}}\z")


def values_of(table: ibis.Table, columns: Iterable[str], key: str | None = None) -> ibis.Table:
    """``table`` with the values of its ``columns`` (texts, or lists of them) in the place of their tokens, in any
    order of rows; reads the table ``VAULT``. ``key``: a column that tells the rows apart, where there are lists.

    What is no token (of a table from before there was a vault) stays as it is; a token that the vault does not know
    is nothing, and in a list ``***``.
    """
    for name in columns:
        if table[name].type().is_array():
            assert key is not None
            table = _list_values(table, name, key)
        else:
            table = _text_values(table, name)
    return table


def _text_values(table: ibis.Table, name: str) -> ibis.Table:
    known = unbound(VAULT, COLUMNS).select(_token="token", _value="value").distinct()
    both = table.left_join(known, table[name] == known["_token"])
    kept = is_token(both[name]).ifelse(ibis.null("string"), both[name])
    return both.mutate(**{name: both["_value"].fill_null(kept)}).select(*table.columns)


def _list_values(table: ibis.Table, name: str, key: str) -> ibis.Table:
    items = _text_values(table.select(key, name).unnest(name, offset="_at"), name)
    placed = ibis.struct({"at": items["_at"], "item": items[name].fill_null(MASK)})
    # Spark collects in no order: places are sorted afterwards.
    lists = items.group_by(_key=items[key]).aggregate(_list=placed.collect())
    lists = lists.select("_key", _list=lists["_list"].sort().map(lambda one: one["item"]))
    both = table.left_join(lists, table[key] == lists["_key"])
    return both.mutate(**{name: both["_list"].fill_null(both[name])}).select(*table.columns)


def vaulted_columns(resolved: Resolved, table: TableRef, columns: Collection[str]) -> frozenset[str]:
    """Those of the columns of a published table that hold tokens."""
    known: Iterable[str] = ()
    if table.stage in ("clean", "merged", "keyed") and table.name in resolved.sources:
        known = resolved.sources[table.name].vaulted
    elif table.stage == "tags":
        known = vaulted_tags(resolved)
    elif table.stage == "triggers":
        known = [f"{SEEN}{code}" for code in vaulted_tags(resolved)]
    return frozenset(known) & frozenset(columns)


def vaulted_tags(resolved: Resolved) -> frozenset[str]:
    """The tags whose values are tokens."""
    return frozenset(code for code, tag in resolved.tags.items() if tag.vaulted)


def persons_are_tokens(resolved: Resolved) -> bool:
    """Whether the ids of persons are tokens: without identity.yaml, where a source says by a vaulted column whose its
    rows are."""
    persons = [resolved.sources[code] for code in resolved.catalog.person_sources()]
    return resolved.identity is None and any(source.spec.person in source.vaulted for source in persons)


def vault_files(warehouse: Warehouse) -> list[Path]:
    """The files of the vault as it is now."""
    current = (warehouse.current(table) for table in _tables(warehouse))
    return [file for snapshot in current if snapshot is not None for file in snapshot.files]


@dataclass(frozen=True)
class Vault:
    """The vault, opened for those who may see what is in it. ``space``: a folder for working files, of tokens."""

    warehouse: Warehouse
    engine: Engine
    space: Path

    def shown(self, texts: Iterable[str], show: Show | None = None) -> dict[str, str]:
        """Of every text what ``show`` (None: all) leaves of the value it stands for; ``***`` for a token that is
        known no more. What is not shown does not leave the engine.

        The vault as it is now is asked first, and for the rest what it was: a table of then may be read now.
        """
        wanted = sorted(set(texts))
        found: dict[str, str] = {}
        for files in self._files() if wanted else ():
            rows = self._fetch([text for text in wanted if text not in found], files, show)
            found |= {row[_TEXT]: row[_SHOWN] for row in rows if row[_KNOWN]}
            if len(found) == len(wanted):
                break
        return {text: found.get(text, MASK) for text in wanted}

    def opened(self, value: Any, known: Mapping[str, str]) -> Any:
        """A value, or a list of such, with what ``shown`` gave for it."""
        if isinstance(value, list):
            return [self.opened(item, known) for item in value]
        return known.get(value, value) if isinstance(value, str) else value

    def _files(self) -> Iterator[list[Path]]:
        now = vault_files(self.warehouse)
        yield now
        seen = {file.stat().st_ino for file in now}
        older = [snapshot for table in _tables(self.warehouse) for snapshot in self.warehouse.snapshots(table)]
        rest = {file.stat().st_ino: file for snapshot in older for file in snapshot.files}
        yield [file for inode, file in rest.items() if inode not in seen]

    def _fetch(self, texts: Sequence[str], files: Sequence[Path], show: Show | None) -> list[dict[str, Any]]:
        asked = self.space / "asked-texts.parquet"
        pq.write_table(pa.table({_TEXT: pa.array(texts, pa.string())}), asked)
        table = unbound(_ASKED, {_TEXT: "string"})
        value = table[_TEXT]
        if files:
            table = values_of(table.mutate(**{_SHOWN: value}), [_SHOWN])
        else:
            table = table.mutate(**{_SHOWN: is_token(value).ifelse(ibis.null("string"), value)})
        value = table[_SHOWN]
        shown = value if show is None else show(value)
        rows = table.select(_TEXT, **{_KNOWN: value.notnull(), _SHOWN: shown})
        found: list[dict[str, Any]] = self.engine.fetch(rows, {_ASKED: [asked], VAULT: list(files)}).to_pylist()
        return found


def texts_in(values: Iterable[Any]) -> Iterator[str]:
    """Every text among values and lists of them."""
    for value in values:
        if isinstance(value, list):
            yield from texts_in(value)
        elif isinstance(value, str):
            yield value


def _tables(warehouse: Warehouse) -> list[TableRef]:
    return [table for table in warehouse.tables() if table.stage == STAGE]
