"""The published tables of identity.yaml's stage: their names and columns."""

import ibis

from valtag_assets.engine.session import unbound
from valtag_assets.expression.ibis_types import to_ibis_type
from valtag_assets.expression.resolved_identity import ResolvedIdentity
from valtag_assets.spec.block import Title
from valtag_assets.spec.types import FLOAT, INTEGER, TEXT, TIMESTAMP, DataType

IDENTIFIERS = "identity/identifiers"
KEYS = "identity/keys"
REVIEW = "identity/review"
HISTORY = "identity/history"
SUCCESSORS = "identity/successors"
# Only where identity.yaml asks for it.
SUGGESTIONS = "identity/suggestions"

_KIND = {"kind": (TEXT, Title(zh="标识种类", en="Kind of identifier")), "key": (TEXT, Title(zh="标识", en="Key"))}
_SPAN = {
    "since": (TIMESTAMP, Title(zh="属于此人起", en="From when on it is this person's; null: ever since")),
    "until": (TIMESTAMP, Title(zh="属于此人止（不含）", en="Until when, exclusive; null: to this day")),
}
_SEEN = {
    "first_seen": (TIMESTAMP, Title(zh="首次出现", en="First row")),
    "last_seen": (TIMESTAMP, Title(zh="最后出现", en="Last row")),
    "rows": (INTEGER, Title(zh="行数", en="Rows with it")),
    "sources": (TEXT, Title(zh="来源", en="Sources that have it")),
}
_REFUSED = {
    "reason": (TEXT, Title(zh="停用原因", en="Why it identifies nobody: malformed, blocked, shared, conflict")),
    "degree": (INTEGER, Title(zh="关联的更强标识数", en="Distinct stronger identifiers beside it")),
}
_MOVE = {
    "was": (TEXT, Title(zh="原人员编号", en="The id that was")),
    "now": (TEXT, Title(zh="现人员编号", en="The id that is; null: nobody")),
}
# Of each table its columns, with what they say. ``piece`` names a component by its smallest member.
COLUMNS: dict[str, dict[str, tuple[DataType, Title]]] = {
    IDENTIFIERS: {
        **_KIND,
        **_SPAN,
        **_SEEN,
        "piece": (TEXT, Title(zh="连通分量", en="The identifiers that belong together; null: refused")),
        **_REFUSED,
    },
    KEYS: {**_KIND, **_SPAN, "person_id": (TEXT, Title(zh="人员编号", en="Person"))},
    REVIEW: {**_KIND, **_REFUSED, **_SEEN},
    HISTORY: {
        "ordinal": (INTEGER, Title(zh="次序", en="The how-manieth change of identities")),
        "event": (TEXT, Title(zh="事件", en="new, merged, split, moved, gone or named")),
        **_MOVE,
        "keys": (INTEGER, Title(zh="标识数", en="Identifiers that went along")),
    },
    SUCCESSORS: _MOVE,
    SUGGESTIONS: {
        "person_id": (TEXT, Title(zh="人员编号", en="Person")),
        "other_id": (TEXT, Title(zh="另一人员编号", en="Who may be the same person")),
        "probability": (FLOAT, Title(zh="同一人的概率", en="How likely they are one, 0 to 1")),
        "evidence": (TEXT, Title(zh="依据", en="How each field compares: = equal, ≈ alike, ≠ different, ? missing")),
    },
}
TITLES = {
    IDENTIFIERS: Title(zh="全部标识", en="Every identifier seen"),
    KEYS: Title(zh="标识与人员", en="Identifiers and their persons"),
    REVIEW: Title(zh="待复核标识", en="Identifiers that identify nobody"),
    HISTORY: Title(zh="合并与拆分", en="Merges and splits"),
    SUCCESSORS: Title(zh="编号沿革", en="What became of former ids"),
    SUGGESTIONS: Title(zh="疑似同一人", en="Who may be one person"),
}


def identity_names(identity: ResolvedIdentity) -> list[str]:
    """The tables of this stage that a catalog has."""
    return [name for name in COLUMNS if name != SUGGESTIONS or identity.entry.spec.suggest is not None]


def identity_columns(table: str) -> dict[str, DataType]:
    """The columns of a table of this stage and their types."""
    return {name: kind for name, (kind, _) in COLUMNS[table].items()}


def identity_table(table: str, name: str | None = None) -> ibis.Table:
    """A table of this stage, unbound under ``name`` or its own key."""
    schema = {column: to_ibis_type(kind) for column, kind in identity_columns(table).items()}
    return unbound(name or table, ibis.schema(schema))


def typed(table: ibis.Table, name: str) -> ibis.Table:
    """The columns of the published table called ``name``, in their order and types."""
    columns = identity_columns(name)
    return table.select(**{column: table[column].cast(to_ibis_type(kind)) for column, kind in columns.items()})
