"""What a door shows, with what the reader may see of personal texts in the place of their tokens."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from valtag_assets.console.explanation import Clean, Explanation
from valtag_assets.engine.access import Need
from valtag_assets.engine.duckdb import open_duckdb
from valtag_assets.engine.reader import Reader
from valtag_assets.engine.vault import Vault, texts_in
from valtag_assets.expression.lineage import carried
from valtag_assets.graph.setting import Setting
from valtag_assets.spec.masking import MASK


@contextmanager
def open_vault(setting: Setting) -> Iterator[Vault]:
    """The vault of the warehouse, with an engine and a folder of its own."""
    with open_duckdb(setting.spill) as engine, tempfile.TemporaryDirectory(dir=setting.spill) as space:
        yield Vault(setting.warehouse, engine, Path(space))


def opened_rows(
    setting: Setting, reader: Reader, rows: Sequence[Mapping[str, Any]], needs: Mapping[str, Need]
) -> list[dict[str, Any]]:
    """``rows``, of which the columns in ``needs`` hold tokens and take that: with values for who may read them, and
    for others what a mask leaves of these. Where it leaves nothing, the vault is not asked."""
    found = [dict(row) for row in rows]
    with open_vault(setting) as vault:
        for name, need in needs.items():
            mine = [row for row in found if name in row]
            texts = set(texts_in(row[name] for row in mine))
            if reader.may(need):
                known = vault.shown(texts)
                for row in mine:
                    row[name] = vault.opened(row[name], known)
            else:
                left = reader.mask(name, need) in ("last4", "hmac")
                known = vault.shown(texts, partial(reader.masked_column, name, need)) if left else {}
                for row in mine:
                    row[name] = MASK if isinstance(row[name], list) else known.get(row[name], MASK)
    return found


def opened_value(setting: Setting, reader: Reader, name: str, need: Need, value: Any) -> Any:
    """``opened_rows`` of one value."""
    return opened_rows(setting, reader, [{name: value}], {name: need})[0][name]


def opened_explanation(setting: Setting, found: Explanation) -> Explanation:
    """An explanation, in which what its reader may not see is masked already, with the values of all tokens."""
    with open_vault(setting) as vault:
        return _explanation(setting, vault, found)


def _explanation(setting: Setting, vault: Vault, found: Explanation) -> Explanation:
    found = replace(found, tags=[_explanation(setting, vault, below) for below in found.tags])
    tag = setting.resolved.tags.get(found.code)
    if tag is None or found.masked:
        return found
    if tag.vaulted:
        known = vault.shown(texts_in([found.value, found.proof.again]))
        again = vault.opened(found.proof.again, known)
        found = replace(found, value=vault.opened(found.value, known), proof=replace(found.proof, again=again))
    if found.clean is None:
        return found
    tokens = setting.resolved.sources[found.clean.source].vaulted
    valued = tag.aggregate is not None and bool(carried(tag.aggregate.of) & tokens)
    return replace(found, clean=_clean(vault, found.clean, tokens, valued=valued))


def _clean(vault: Vault, clean: Clean, tokens: frozenset[str], *, valued: bool) -> Clean:
    """``valued``: what the tag is made of are tokens, too."""
    texts = [row.fields[name] for row in clean.rows for name in tokens & row.fields.keys()]
    texts += [row.value for row in clean.rows if valued] + [line[0] for line in clean.ranking if valued]
    known = vault.shown(texts_in(texts))
    rows = [
        replace(
            row,
            fields={name: vault.opened(cell, known) if name in tokens else cell for name, cell in row.fields.items()},
            value=vault.opened(row.value, known) if valued else row.value,
        )
        for row in clean.rows
    ]
    ranking = [[vault.opened(line[0], known) if valued else line[0], *line[1:]] for line in clean.ranking]
    return replace(clean, rows=rows, ranking=ranking)
