"""How things of a catalog are written for people."""

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from valtag_assets.expression.lineage import meaning
from valtag_assets.expression.resolved import Aggregate, ResolvedTag
from valtag_assets.spec.block import Title
from valtag_assets.spec.catalog import Entry
from valtag_assets.spec.tag import Tag

EMPTY = "空 · empty"
OTHER = "其他 · other"
_MOST_VALUES = 12


def definition(tag: ResolvedTag) -> str:
    """How the tag is computed, as text."""
    spec = tag.spec
    if tag.aggregate is not None:
        return _aggregate(tag.aggregate)
    if spec.band is not None:
        steps = [
            f"{step.code} {step.title}" + (f" ≥ {step.lowest:g}" if step.lowest is not None else "")
            for step in spec.band.steps
        ]
        return f"{spec.band.of}: " + "; ".join(steps)
    text = meaning(tag.node) if tag.node is not None else ""
    return f"{text} of {tag.master}" if tag.master is not None else text


def _aggregate(aggregate: Aggregate) -> str:
    parts = [f"{aggregate.agg}({meaning(aggregate.of) if aggregate.of else ''}) of {aggregate.fact}"]
    if aggregate.where is not None:
        parts.append(f"where {meaning(aggregate.where)}")
    window = aggregate.window.title
    if window is not None:
        parts.append(f"({window.zh} · {window.en})")
    return " ".join(parts)


def domain(tag: ResolvedTag) -> str:
    """The values the tag may take; a band's stand in its definition."""
    limits = tag.spec.domain
    found = [f"≥ {limits.min:g}"] if limits.min is not None else []
    found += [f"≤ {limits.max:g}"] if limits.max is not None else []
    if tag.values and tag.spec.band is None:
        titles = value_titles(tag.spec)
        shown = [f"{value} {titles[value]}" if value in titles else value for value in tag.values[:_MOST_VALUES]]
        more = f" … ({len(tag.values)})" if len(tag.values) > _MOST_VALUES else ""
        found.append("; ".join(shown) + more)
    return "; ".join(found)


def value_titles(tag: Tag) -> dict[str, Title]:
    """The titles of a tag's values: of its domain, or the tiers of its band."""
    if tag.band is not None:
        return {step.code: step.title for step in tag.band.steps}
    return {code: title for code, title in (tag.domain.values or {}).items() if title is not None}


def labelled(value: Any, titles: Mapping[str, Title]) -> str:
    """One value of a dimension or histogram, by its title where it has one."""
    if value is None:
        return EMPTY
    if isinstance(value, bool):
        return "是 · yes" if value else "否 · no"
    text = str(value)
    return titles[text].zh if text in titles else text


def number(value: Any, *, share: bool = False) -> str:
    """A number of a report; ``share``: as a percentage."""
    if value is None:
        return "–"
    if share:
        return f"{value:.1%}"
    if isinstance(value, Decimal | float):
        return f"{value:,.2f}"
    if isinstance(value, datetime | date):
        return value.isoformat()
    return f"{value:,}"


def written(entry: Entry[Any], key: str, *more: str) -> str:
    """What stands in the catalog file under ``key`` of an entry, as indented text; then each of ``more`` that is
    there, by its name."""
    node = entry.raw
    for step in entry.place:
        node = node[step]
    lines = list(_outline(node.get(key), 0)) if key in node else []
    return "\n".join([*lines, *_outline({name: node[name] for name in more if name in node}, 0)])


def _outline(node: Any, depth: int) -> Iterator[str]:
    """The lines of a block of YAML."""
    indent = "  " * depth
    if isinstance(node, Mapping):
        for key, value in node.items():
            if isinstance(value, Mapping | list):
                yield f"{indent}{key}:"
                yield from _outline(value, depth + 1)
            else:
                yield f"{indent}{key}: {value}"
    elif isinstance(node, list):
        for item in node:
            first, *rest = _outline(item, 0)
            yield f"{indent}- {first}"
            yield from (f"{indent}  {line}" for line in rest)
    else:
        yield f"{indent}{node}"
