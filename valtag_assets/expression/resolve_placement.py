"""Placements resolved: each rule typed over tags, scores and segments."""

from collections.abc import Collection

from valtag_assets.expression.errors import ExpressionError
from valtag_assets.expression.lineage import names_read
from valtag_assets.expression.parse import parse
from valtag_assets.expression.resolved import ResolvedPlacement
from valtag_assets.expression.scope import Scope, Symbol
from valtag_assets.expression.tree import Node
from valtag_assets.spec.catalog import Catalog, Entry
from valtag_assets.spec.placement import Placement, Variant
from valtag_assets.spec.problem import Problem
from valtag_assets.spec.types import BOOLEAN


def resolve_placements(
    catalog: Catalog, tags: Collection[str], columns: Scope, problems: list[Problem]
) -> dict[str, ResolvedPlacement]:
    """Every placement, its rules typed over ``columns``, the tags and score columns; mistakes go to ``problems``.

    A segment's code is a boolean: in it or not.
    """
    segments = [
        Symbol(code, BOOLEAN, titles=(entry.spec.title.zh, entry.spec.title.en))
        for code, entry in catalog.segments.items()
    ]
    # The last of a name counts: a tag or score is what its name says, and a segment of that name is refused below.
    scope = Scope([*segments, *columns], "tag, score or segment")
    known = {symbol.code for symbol in columns}
    taken = known & catalog.segments.keys()
    found = {}
    for code, entry in catalog.placements.items():
        rules = _rules(entry, scope, taken, problems)
        read = frozenset[str]().union(*(names_read(node) for _, node in rules))
        of_tags, of_scores = read & set(tags), (read & known) - set(tags)
        found[code] = ResolvedPlacement(code, entry, rules, of_tags, of_scores, read - known)
    return found


def _rules(
    entry: Entry[Placement], scope: Scope, taken: set[str], problems: list[Problem]
) -> tuple[tuple[Variant, Node], ...]:
    found = []
    for number, variant in enumerate(entry.spec.variants):
        place = ("variants", number, "when")
        try:
            node = parse(variant.when, scope, expect=BOOLEAN)
        except ExpressionError as error:
            problems.append(entry.problem(str(error), *place))
            continue
        for name in sorted(names_read(node) & taken):
            message = f"'{name}' is a segment and also a tag or score: rename the segment"
            problems.append(entry.problem(message, *place))
        found.append((variant, node))
    return tuple(found)
