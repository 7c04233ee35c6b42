"""Personal values stay where they are declared: in clean rows, and in tags that are declared personal themselves. Of
texts these hold tokens; the texts lie in the vault.

Everything else that is published (other tags, scores, audiences, reports) may count and compare personal fields, and
holds no value of one.
"""

from collections.abc import Iterator, Mapping

from valtag_assets.expression.lineage import carried
from valtag_assets.expression.resolved import CARRYING, ResolvedSource, ResolvedTag
from valtag_assets.spec.problem import Problem


def vault_faults(tags: Mapping[str, ResolvedTag], sources: Mapping[str, ResolvedSource]) -> Iterator[Problem]:
    """Tags that would publish a personal value and are not declared so, or ask more of tokens than these tell."""
    for tag in tags.values():
        yield from _token_faults(tag, sources)
        closed = tag.values is not None and not tag.vaulted
        if tag.spec.access == "pii" or closed or tag.type.kind not in ("text", "list", "integer"):
            continue
        found = sorted(_carried_by(tag, tags, sources))
        if found:
            yield tag.entry.problem(
                f"'{tag.code}' publishes values of '{found[0]}', which is personal (access: pii), and is"
                f" {tag.spec.access} itself: declare it access: pii, or let it tell no value (is it there, how many)",
                "value",
            )


def _token_faults(tag: ResolvedTag, sources: Mapping[str, ResolvedSource]) -> Iterator[Problem]:
    """A tag of tokens with a closed list of values, and aggregations that rank tokens or compare them with a text."""
    if tag.vaulted and tag.values is not None:
        message = f"'{tag.code}' holds tokens of personal texts, so it has no list of values"
        yield tag.entry.problem(f"{message}; compute a field in the source (compute:) for that", "domain")
    found = tag.aggregate
    if found is None or not carried(found.of) & sources[found.fact].vaulted:
        return
    if found.agg in ("min", "max") or found.equals is not None:
        what = "compares" if found.equals is not None else "ranks"
        message = (
            f"agg {found.agg} {what} personal texts, of which tokens are known only: they have no order, and are"
        )
        yield tag.entry.problem(f"{message} no written text; compute a field in the source (compute:)", "value")


def personal_columns(source: ResolvedSource, sources: Mapping[str, ResolvedSource]) -> frozenset[str]:
    """The columns of a source that are declared personal, those that lookups bring included."""
    spec = source.spec
    found = {item.name for item in spec.fields if item.access == "pii"}
    found |= {item.name for item in spec.compute if item.access == "pii"}
    for lookup in spec.lookups:
        if lookup.source in sources:
            found |= personal_columns(sources[lookup.source], sources) & set(lookup.take)
    return frozenset(found)


def _carried_by(
    tag: ResolvedTag, tags: Mapping[str, ResolvedTag], sources: Mapping[str, ResolvedSource]
) -> frozenset[str]:
    """The personal fields or tags whose values the tag's values show."""
    if tag.aggregate is not None:
        shows = carried(tag.aggregate.of) if tag.aggregate.agg in CARRYING else frozenset[str]()
        return shows and shows & personal_columns(sources[tag.aggregate.fact], sources)
    if tag.master is not None:
        return carried(tag.node) & personal_columns(sources[tag.master], sources)
    return frozenset(code for code in carried(tag.node) if code in tags and tags[code].spec.access == "pii")
