"""Personal values stay where they are declared: in clean rows, and in tags that are declared personal themselves.

Everything else that is published (other tags, scores, audiences, reports) may count and compare personal fields, and
holds no value of one.
"""

from collections.abc import Iterator, Mapping

from valtag_assets.expression.resolved import ResolvedSource, ResolvedTag
from valtag_assets.expression.tree import Literal, Name, Node
from valtag_assets.spec.problem import Problem

_TELLS_NO_VALUE = frozenset(
    {"=", "!=", "<", "<=", ">", ">=", "and", "or", "not", "between", "in", "is null", "like", "length"}
)
_CARRIES = frozenset({"first", "last", "top", "top_k", "list", "min", "max"})
"""Aggregations whose answer is a value of the field; the others count, add or compare."""


def vault_faults(tags: Mapping[str, ResolvedTag], sources: Mapping[str, ResolvedSource]) -> Iterator[Problem]:
    """Tags that would publish a personal value and are not declared personal."""
    for tag in tags.values():
        if tag.spec.access == "pii" or tag.values is not None or tag.type.kind not in ("text", "list", "integer"):
            continue
        found = sorted(_carried_by(tag, tags, sources))
        if found:
            yield tag.entry.problem(
                f"'{tag.code}' publishes values of '{found[0]}', which is personal (access: pii), and is"
                f" {tag.spec.access} itself: declare it access: pii, or let it tell no value (is it there, how many)",
                "value",
            )


def personal_columns(source: ResolvedSource, sources: Mapping[str, ResolvedSource]) -> frozenset[str]:
    """The columns of a source that are declared personal, those that lookups bring included."""
    spec = source.spec
    found = {item.name for item in spec.fields if item.access == "pii"}
    found |= {item.name for item in spec.compute if item.access == "pii"}
    for lookup in spec.lookups:
        if lookup.source in sources:
            found |= personal_columns(sources[lookup.source], sources) & set(lookup.take)
    return frozenset(found)


def carried(node: Node | None) -> frozenset[str]:
    """The names whose values, or parts of them, the tree's value may show."""
    if node is None or isinstance(node, Literal):
        return frozenset()
    if isinstance(node, Name):
        return frozenset({node.code})
    if node.function in _TELLS_NO_VALUE:
        return frozenset()
    shown = node.arguments
    if node.function == "case":
        *branches, otherwise = node.arguments
        shown = (*branches[1::2], otherwise)
    return frozenset().union(*(carried(part) for part in shown))


def _carried_by(
    tag: ResolvedTag, tags: Mapping[str, ResolvedTag], sources: Mapping[str, ResolvedSource]
) -> frozenset[str]:
    """The personal fields or tags whose values the tag's values show."""
    if tag.aggregate is not None:
        shows = carried(tag.aggregate.of) if tag.aggregate.agg in _CARRIES else frozenset[str]()
        return shows and shows & personal_columns(sources[tag.aggregate.fact], sources)
    if tag.master is not None:
        return carried(tag.node) & personal_columns(sources[tag.master], sources)
    return frozenset(code for code in carried(tag.node) if code in tags and tags[code].spec.access == "pii")
