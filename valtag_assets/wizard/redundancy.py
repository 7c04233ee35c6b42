"""Which proposed columns say again what a column before them says: by likeness over persons who can differ in them.

A person with one row of a fact has the same first and last row, one order and one day of orders: that two columns
over a fact go together there says nothing. Where most persons have no more than that, columns are compared over those
with two rows or more, and where hardly anybody has them, neither is called redundant.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from valtag_assets.engine.likeness import likenesses
from valtag_assets.expression.resolved import Resolved
from valtag_assets.spec.types import DataType
from valtag_assets.wizard.sample import Sample


@dataclass(frozen=True)
class Verdict:
    """``redundant``, or not for want of persons who can differ; ``why`` is the evidence."""

    redundant: bool
    near: str
    why: str


@dataclass(frozen=True)
class Likeness:
    """The ``values`` of columns of ``resolved`` beside every published tag, one per person of the sample."""

    sample: Sample
    resolved: Resolved
    values: Mapping[str, pa.ChunkedArray]

    @cached_property
    def _table(self) -> tuple[pa.Table, Mapping[str, DataType]]:
        served, types = self.sample.served()
        types = {**types, **{code: self.resolved.tags[code].type for code in self.values}}
        return pa.table({**served, **self.values}), types

    @cached_property
    def _others(self) -> Mapping[str, Mapping[str, float]]:
        return likenesses(*self._table)

    def nearest(self, column: str) -> tuple[str, float] | None:
        """The column most like this one of all, and how closely."""
        others = {code: value for code, value in self._others.get(column, {}).items() if value > 0}
        nearest = max(others, key=others.__getitem__, default=None)
        return None if nearest is None else (nearest, others[nearest])

    def verdict(self, column: str, against: Callable[[str, float], bool]) -> Verdict | None:
        """Whether the column says again what one of those says that it is to be held ``against`` (code, likeness);
        None where it does not."""
        near = {code: value for code, value in self._others.get(column, {}).items() if against(code, value)}
        doubtful = None
        for code in sorted(near, key=near.__getitem__, reverse=True):
            found = self._over_who_can_differ(column, code, near[code], against)
            if found is not None and found.redundant:
                return found
            doubtful = doubtful or found
        return doubtful

    def _over_who_can_differ(
        self, column: str, other: str, like: float, against: Callable[[str, float], bool]
    ) -> Verdict | None:
        fact = self._shared_fact(column, other)
        if fact is None or not self._mostly_once(fact):
            return Verdict(True, other, f"redundant with {other} ({like:.2f})")
        table, types = self._table
        often = table.select([column, other]).filter(self.sample.often[fact])
        if often.num_rows < self.resolved.catalog.project.insight.least:
            few = f"only {often.num_rows:,} persons have two rows of {fact}, who could differ"
            return Verdict(False, other, f"so far like {other} ({like:.2f}): {few}")
        like = likenesses(often, {code: types[code] for code in (column, other)})[column][other]
        if not against(other, like):
            return None
        return Verdict(True, other, f"redundant with {other} ({like:.2f} over {often.num_rows:,} who could differ)")

    def _mostly_once(self, fact: str) -> bool:
        """Whether most of the persons who have a row of the fact have one alone."""
        with_rows = self.sample.reach[fact] * self.sample.persons
        return int(pc.sum(self.sample.often[fact]).as_py() or 0) < with_rows / 2

    def _shared_fact(self, column: str, other: str) -> str | None:
        """The fact that both are made of; None where they are made of different things."""
        facts = [self.resolved.tags[code].aggregate for code in (column, other) if code in self.resolved.tags]
        named = {aggregate.fact if aggregate is not None else None for aggregate in facts}
        return named.pop() if len(named) == 1 and len(facts) == 2 else None
