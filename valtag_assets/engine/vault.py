"""Tokens in the engine: made of a column while rows are cleaned, and opened again for who may see what they are.

``warehouse.tokens`` says what a token is; the vault's tables, one per source and one of identity.yaml, hold
(file, token, value): the file from which a value came, null where it is of no single one.
"""

from collections.abc import Callable, Iterable

import ibis
import ibis.expr.types as ir

from valtag_assets.engine.session import unbound
from valtag_assets.warehouse.tokens import DIGITS, KEY_COLUMNS, PREFIX

COLUMNS = {"file": "string", "token": "string", "value": "string"}
VAULT, KEY, ASKED = "vault", "vault_key", "asked_texts"
"""Names of tables among an engine's inputs: the vault, the key that tokens are made with, the texts to be opened."""
_TEXT, _SHOWN = "text", "shown"


def token(text: ir.StringValue) -> ir.StringValue:
    """The token of a text, of nothing nothing; reads the table ``KEY``."""
    key = unbound(KEY, KEY_COLUMNS)["key"].max().as_scalar()
    digest = key.concat(key.concat(text).hexdigest("sha256")).hexdigest("sha256")
    return ibis.literal(PREFIX).concat(digest.left(DIGITS))


def is_token(text: ir.StringValue) -> ir.BooleanValue:
    """Whether the text looks like a token."""
    return text.re_search(rf"^{PREFIX}[0-9a-f]{{{DIGITS}}}$")


def values_of(table: ibis.Table, columns: Iterable[str], vault: str = VAULT) -> ibis.Table:
    """``table`` with the values of its text ``columns`` in the place of their tokens, in any order of rows.

    What is no token (a table from before there was a vault) stays as it is; a token that the vault does not know
    becomes null.
    """
    known = unbound(vault, COLUMNS).select("token", "value").distinct()
    for name in columns:
        mine = known.select(_token="token", _value="value")
        both = table.left_join(mine, table[name] == mine["_token"])
        kept = is_token(both[name]).ifelse(ibis.null("string"), both[name])
        table = both.mutate(**{name: both["_value"].fill_null(kept)}).drop("_token", "_value")
    return table


def opened(show: Callable[[ir.StringValue], ir.StringValue]) -> ibis.Table:
    """(text, shown): of every text in ``ASKED`` what ``show`` makes of the value it stands for."""
    asked = unbound(ASKED, {_TEXT: "string"})
    found = values_of(asked.mutate(**{_SHOWN: asked[_TEXT]}), [_SHOWN])
    return found.select(_TEXT, **{_SHOWN: show(found[_SHOWN])})
