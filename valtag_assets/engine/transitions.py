"""Who moved from one tier to another between two as-of: any text column of a table keyed by person."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import ibis

from valtag_assets.engine.persons import PERSON
from valtag_assets.engine.session import Engine, Inputs, unbound
from valtag_assets.engine.successors import renamed_once

BEFORE = "before"


@dataclass(frozen=True)
class Move:
    """So many ``persons`` were ``before`` in one tier and are ``now`` in another; ``share`` of those who were in that
    one, 0 to 1. ``before`` None: they came in since; ``now`` None: they have left."""

    before: str | None
    now: str | None
    persons: int
    share: float


def transitions_expression(table: ibis.Table, column: str, *, linked: bool = False) -> ibis.Table:
    """(before, now, persons): how many went from which value of ``column`` to which, since the table ``BEFORE``.

    ``table`` and ``BEFORE`` have one row per person, which may lack a person: a null. ``linked``: ids may come and
    go, and of persons who turned out to be one the tier of before is as ``successors.renamed_once`` says.
    """
    old = unbound(BEFORE, {PERSON: "string", column: "string"})
    old = (renamed_once(old) if linked else old).select(old_person=PERSON, before=column)
    both = table.select(PERSON, now=column).outer_join(old, [(PERSON, "old_person")])
    moves = both.group_by(["before", "now"]).aggregate(persons=lambda t: t.count())
    return moves.order_by(["before", "now"])


def count_moves(
    engine: Engine,
    table: ibis.Table,
    column: str,
    now: Sequence[Path],
    before: Sequence[Path],
    successors: Inputs | None = None,
) -> list[tuple[str | None, str | None, int]]:
    """(before, now, persons) of the files ``now`` of ``table`` since its files ``before``; ``successors``:
    identity/successors, where ids may come and go."""
    moves = transitions_expression(table, column, linked=bool(successors))
    found = engine.fetch(moves, {table.get_name(): now, BEFORE: before, **(successors or {})}).to_pylist()
    return [(move["before"], move["now"], move["persons"]) for move in found]


def read_moves(moves: Sequence[tuple[str | None, str | None, int]], tiers: Sequence[str]) -> list[Move]:
    """With shares, in the order of ``tiers``: those who came in last, those who left last of each tier."""
    order = {tier: place for place, tier in enumerate(tiers)}
    size: Counter[str | None] = Counter()
    for before, _, persons in moves:
        size[before] += persons
    found = [Move(before, now, persons, persons / size[before]) for before, now, persons in moves]
    return sorted(found, key=lambda move: [order.get(tier or "", len(order)) for tier in (move.before, move.now)])
