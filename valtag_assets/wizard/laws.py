"""Laws between proposed tags: conditions that follow from what the tags mean, and that every person at hand obeys.

Only what can't be otherwise is proposed: what is counted, or added up of amounts that are never negative, is no
more in a shorter window than in a longer one; the last row is no longer ago than the first; where nothing was counted
there is nothing to add up.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from valtag_assets.expression.parse import parse
from valtag_assets.expression.resolved import Aggregate, Resolved, ResolvedTag, Window
from valtag_assets.wizard.making import Proposal

_COUNTS = ("count", "count_distinct")
_LONGEST_NAME = 60


@dataclass(frozen=True)
class Law:
    """A law between two columns of a category. ``broken``: which persons break it, by the values of both."""

    category: str
    name: str
    law: str
    columns: tuple[str, str]
    broken: Callable[[pa.ChunkedArray, pa.ChunkedArray], Any]

    @property
    def block(self) -> dict[str, str]:
        """Keys as in YAML; it warns, as everything that is proposed does."""
        return {"name": self.name[:_LONGEST_NAME].rstrip("_"), "law": self.law, "severity": "warn"}


def laws(resolved: Resolved, proposals: Sequence[Proposal], values: Mapping[str, pa.ChunkedArray]) -> list[Law]:
    """The laws of ``proposals``, which are part of ``resolved``, that it has not. ``values``: of each column."""
    own = [resolved.tags[column] for proposal in proposals for column in proposal.columns.values()]
    known = {law.node for category in resolved.categories.values() for law in category.laws}
    found = [*_shorter_windows(own), *_last_and_first(own), *_nothing_counted(own)]
    new = [law for law in found if parse(law.law, resolved.rules.columns) not in known]
    return [law for law in new if not pc.any(law.broken(*(values[column] for column in law.columns))).as_py()]


def _shorter_windows(tags: Sequence[ResolvedTag]) -> Iterator[Law]:
    """spend_30d <= spend_90d, spend_90d <= spend."""
    for own in _by(tags, lambda read: replace(read, window=Window("all"))):
        first = own[0]
        adds = first.spec.domain.min is not None and first.spec.domain.min >= 0
        if _read(first).agg in _COUNTS or (_read(first).agg == "sum" and adds):
            nested = [tag for tag in own if _read(tag).window.kind in ("last", "all")]
            for short, long in pairwise(sorted(nested, key=lambda tag: _read(tag).window.days or float("inf"))):
                yield _no_more(short, long)


def _last_and_first(tags: Sequence[ResolvedTag]) -> Iterator[Law]:
    """days_since_last_order <= days_since_first_order."""
    for own in _by(tags, lambda read: (read.fact, read.where, read.window)):
        by = {_read(tag).agg: tag for tag in own}
        if "days_since_last" in by and "days_since_first" in by:
            yield _no_more(by["days_since_last"], by["days_since_first"])


def _nothing_counted(tags: Sequence[ResolvedTag]) -> Iterator[Law]:
    """order_count > 0 or spend = 0."""
    for own in _by(tags, lambda read: (read.fact, read.where, read.window)):
        count = next((tag for tag in own if _read(tag).agg in _COUNTS), None)
        for tag in own if count is not None else ():
            whole = _read(tag).window.kind == "all"
            if count is not None and whole and _read(tag).agg == "sum" and tag.spec.empty_value == 0:
                law, columns = f"{count.code} > 0 or {tag.code} = 0", (count.code, tag.code)
                yield Law(tag.category, f"no_{tag.code}_without_{count.code}", law, columns, _out_of_nothing)


def _no_more(one: ResolvedTag, other: ResolvedTag) -> Law:
    law, name = f"{one.code} <= {other.code}", f"{one.code}_within_{other.code}"
    return Law(one.category, name, law, (one.code, other.code), pc.greater)


def _out_of_nothing(count: pa.ChunkedArray, added: pa.ChunkedArray) -> Any:
    return pc.and_(pc.equal(count, 0), pc.not_equal(added, 0))


def _by(tags: Sequence[ResolvedTag], key: Callable[[Aggregate], Hashable]) -> list[list[ResolvedTag]]:
    """The tags over facts, those of one category and key together."""
    found: dict[Hashable, list[ResolvedTag]] = defaultdict(list)
    for tag in tags:
        if tag.aggregate is not None:
            found[tag.category, key(tag.aggregate)].append(tag)
    return list(found.values())


def _read(tag: ResolvedTag) -> Aggregate:
    assert tag.aggregate is not None
    return tag.aggregate
