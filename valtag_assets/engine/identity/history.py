"""What became of persons from one publication of the keys to the next: born, merged, split, moved, gone."""

from collections.abc import Sequence

import ibis

from valtag_assets.engine.identity.identifiers import BEFORE, overlaps
from valtag_assets.engine.identity.keys import normalised
from valtag_assets.engine.identity.sealing import sealed_key
from valtag_assets.engine.identity.tables import HISTORY, KEYS, SUCCESSORS, identity_table, typed
from valtag_assets.engine.identity.work import Work, united
from valtag_assets.engine.persons import PERSON, persons_table
from valtag_assets.engine.vault import values_of
from valtag_assets.expression.resolved_identity import ResolvedIdentity
from valtag_assets.spec.identity import IdentifierKind

NEW, MERGED, SPLIT, MOVED, GONE = "new", "merged", "split", "moved", "gone"
# A person was known by the text of a key, before identity.yaml said which keys make one.
NAMED = "named"


def first_events(kinds: Sequence[IdentifierKind] = (), identity: ResolvedIdentity | None = None) -> ibis.Table:
    """The events of the first publication: everybody is new. ``kinds`` and ``identity``: see ``events``."""
    now = identity_table(KEYS)
    born = now.group_by(PERSON).aggregate(keys=now.count()).rename(now=PERSON)
    born = born.mutate(ordinal=ibis.literal(1), event=ibis.literal(NEW), was=ibis.null("string"))
    return _sorted(born, _naming_events(1, kinds, identity))


def _naming_events(
    ordinal: int, kinds: Sequence[IdentifierKind], identity: ResolvedIdentity | None
) -> list[ibis.Table]:
    if not kinds:
        return []
    called = _called(persons_table().select(was=PERSON), kinds, identity)
    told = called.mutate(ordinal=ibis.literal(ordinal), event=ibis.literal(NAMED), keys=ibis.literal(1))
    return [told]


def _called(texts: ibis.Table, kinds: Sequence[IdentifierKind], identity: ResolvedIdentity | None) -> ibis.Table:
    """(was, now): those of ``texts`` (was) that are a key of one of ``kinds``, the first first, and who has it now,
    or had it last."""
    keys, found = identity_table(KEYS), []
    texts = texts.mutate(_text=texts["was"])
    texts = values_of(texts, ["_text"]) if identity is not None and identity.sealed else texts
    for place, kind in enumerate(kinds):
        mine = keys.filter(keys["kind"] == kind.code).select("since", "until", now=PERSON, _key="key")
        key = normalised(texts["_text"], kind.normalise)
        key = key if identity is None else sealed_key(identity, kind.code, key)
        said = texts.select("was", _said=key)
        found.append(said.join(mine, said["_said"] == mine["_key"]).mutate(_kind=ibis.literal(place)))
    both = united(found)
    last = [ibis.desc("until", nulls_first=True), ibis.desc("since", nulls_first=False)]
    both = both.mutate(_place=ibis.row_number().over(group_by="was", order_by=["_kind", *last, "now"]))
    return both.filter(both["_place"] == 0).select("was", "now")


def events(
    ordinal: int, kinds: Sequence[IdentifierKind] = (), identity: ResolvedIdentity | None = None
) -> ibis.Table:
    """The events between the keys BEFORE and those now.

    merged: an id is no more; ``now`` holds its biggest piece. split: a part of ``was`` is a person by itself.
    moved: a part of ``was`` went to a person that had been there. new: nobody had these keys. gone: nor has now.
    named: a person of PERSONS was called by a key of one of ``kinds`` (if there are any); ``now`` has it.
    ``identity`` says of which kinds the keys are tokens; without it, of none.
    """
    after, before = identity_table(KEYS), identity_table(KEYS, BEFORE)
    ids, old = after.select(now=PERSON).distinct(), before.select(was=PERSON).distinct()
    # Not called like the columns they are compared with: both sides of a join come from the same tables.
    live, former = ids.rename(_live="now"), old.rename(_former="was")
    moves = overlaps(after.select("kind", "key", "since", "until", now=PERSON), "now", before)
    moves = moves.left_join(live, moves["was"] == live["_live"])
    moves = moves.left_join(former, moves["now"] == former["_former"])
    place = ibis.row_number().over(group_by="was", order_by=[ibis.desc("keys"), "now"])
    moves = moves.mutate(place=place)
    moves = moves.filter(moves["was"] != moves["now"])
    event = ibis.cases(
        (moves["_live"].isnull() & (moves["place"] == 0), MERGED),
        (moves["_former"].isnull(), SPLIT),
        else_=MOVED,
    )
    told = moves.select("was", "now", "keys", event=event)
    came, went = moves.select("now").distinct(), moves.select("was").distinct()
    born = ids.anti_join(old, ids["now"] == old["was"]).anti_join(came, ["now"])
    lost = old.anti_join(ids, old["was"] == ids["now"]).anti_join(went, ["was"])
    none = ibis.null("string")
    born = born.select("now", was=none, keys=ibis.literal(0, "int64"), event=ibis.literal(NEW))
    lost = lost.select("was", now=none, keys=ibis.literal(0, "int64"), event=ibis.literal(GONE))
    columns = ("was", "now", "keys", "event")
    both = united([told.select(*columns), born.select(*columns), lost.select(*columns)])
    return _sorted(both.mutate(ordinal=ibis.literal(ordinal)), _naming_events(ordinal, kinds, identity))


def successors(
    work: Work, kinds: Sequence[IdentifierKind] = (), identity: ResolvedIdentity | None = None
) -> ibis.Table:
    """The rows of SUCCESSORS, from the whole HISTORY and KEYS: of every id that is no more, who it is now. A chain
    leads to its end; of an id that came back and went again, the last end counts. Who was called by a key of one of
    ``kinds`` is whoever has that key now."""
    told, live = identity_table(HISTORY), identity_table(KEYS).select(_live=PERSON).distinct()
    ends = told.filter(told["event"].isin([MERGED, GONE, NAMED]))
    last = ibis.row_number().over(group_by="was", order_by=ibis.desc("ordinal"))
    ends = ends.mutate(place=last).filter(lambda table: table["place"] == 0).select("was", "now", "event")
    if kinds:
        named = ends.filter(ends["event"] == NAMED).select("was")
        has = _called(named, kinds, identity).rename(_called="was", _has="now")
        ends = ends.left_join(has, ends["was"] == has["_called"])
        ends = ends.mutate(now=ibis.coalesce(ends["_has"], ends["now"]))
    ends = ends.select("was", "now")
    found = work.keep("ends", ends.anti_join(live, ends["was"] == live["_live"]))
    while True:
        step = found.rename(_was="was", _then="now")
        both = found.left_join(step, found["now"] == step["_was"])
        if not work.number(both.filter(both["_was"].notnull())):
            return typed(found, SUCCESSORS).order_by("was")
        # Ends come later and later, so the chains are finite; each step halves them.
        found = work.keep("ends", both.select("was", now=both["_was"].isnull().ifelse(both["now"], both["_then"])))


def _sorted(table: ibis.Table, more: Sequence[ibis.Table]) -> ibis.Table:
    return united([typed(part, HISTORY) for part in (table, *more)]).order_by(["event", "was", "now"])
