"""One person's identifiers: found by any of them, and the rows that bear them."""

import ibis
import ibis.expr.types as ir

from valtag_assets.engine.identity.keying import keyed_rows
from valtag_assets.engine.identity.keys import normalised
from valtag_assets.engine.identity.sealing import key_column, sealed_key, with_keys
from valtag_assets.engine.identity.sightings import moment_of
from valtag_assets.engine.identity.tables import IDENTIFIERS, KEYS, SUCCESSORS, identity_table
from valtag_assets.engine.persons import OWNER, PERSON, rows_table
from valtag_assets.expression.resolved import ResolvedSource
from valtag_assets.expression.resolved_identity import ResolvedIdentity
from valtag_assets.spec.identity import IdentifierKind


def persons_of(
    text: str, identity: ResolvedIdentity, kinds: list[IdentifierKind], *, present: bool = False
) -> ibis.Table:
    """(person_id, kind): whose id ``text`` is (kind null), and who has it as a key of one of ``kinds``; ``present``:
    not who had it once."""
    keys = identity_table(KEYS)
    keys = keys.filter(keys["until"].isnull()) if present else keys
    same = [
        (keys["kind"] == kind.code) & (keys["key"] == sealed_key(identity, kind.code, said)).fill_null(False)
        for kind in kinds
        for said in [normalised(ibis.literal(text), kind.normalise)]
    ]
    by_key = keys.filter(ibis.or_(*same, ibis.literal(False))).select(PERSON, "kind")
    by_id = keys.filter(keys[PERSON] == ibis.literal(text)).select(PERSON, kind=ibis.null("string"))
    return ibis.union(by_key, by_id, distinct=True).order_by([PERSON, "kind"])


def successor_of(person: str) -> ibis.Table:
    """(now): who a former id is now; null for nobody. Not of the text of a key by which a person was called before
    identity.yaml: that is found as a key, by those who may read its kind."""
    ends = identity_table(SUCCESSORS)
    return ends.filter(ends["was"] == ibis.literal(person), is_given(ends["was"])).select("now")


def is_given(person: ir.StringValue) -> ir.BooleanValue:
    """Whether it has the form of an id that valtag gave (identifiers: a 128-bit hash)."""
    return person.re_search(r"^[0-9a-f]{32}\z")


def identifiers_of(person: str) -> ibis.Table:
    """The person's keys with when and where each was seen."""
    keys, seen = identity_table(KEYS), identity_table(IDENTIFIERS)
    mine = keys.filter(keys[PERSON] == ibis.literal(person)).select("kind", "key", "since", "until")
    about = seen.select(
        "first_seen", "last_seen", "rows", "sources", "reason", _kind="kind", _key="key", _since="since"
    )
    about = about.filter(about["reason"].isnull())
    same = [mine["kind"] == about["_kind"], mine["key"] == about["_key"], mine["since"].identical_to(about["_since"])]
    both = mine.join(about, same)
    return both.select("kind", "key", "since", "until", "first_seen", "last_seen", "rows", "sources")


def borne_by(source: ResolvedSource, identity: ResolvedIdentity, person: str) -> ibis.Table:
    """The person's rows of ``source`` by the keys they bear, a column per slot: how many, the first and the last.

    A master's rows are read as they were before they became one.
    """
    table = rows_table(source)
    if source.spec.kind == "master":
        table = keyed_rows(source, identity)
    mine = with_keys(source, identity, table.filter(table[OWNER] == ibis.literal(person)))
    found = {slot.name: mine[key_column(slot.name)] for _, slot in identity.fields[source.code]}
    rows = mine.select(_moment=moment_of(source, mine), **found)
    counted = rows.group_by(list(found)).aggregate(
        rows=rows.count(), first_seen=rows["_moment"].min(), last_seen=rows["_moment"].max()
    )
    return counted.filter(counted["rows"] > 0)  # of a source without identifiers there is a row anyhow
