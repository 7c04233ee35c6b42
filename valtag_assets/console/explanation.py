"""What ``valtag explain`` found: one record per tag, with what it rests on below it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import Any, Literal


@dataclass(frozen=True)
class Place:
    """A row of a source file, and the duplicates that were merged into it."""

    file: str
    row: int
    merged: Sequence[tuple[str, int]] = ()


@dataclass(frozen=True)
class Row:
    """One clean row: where it comes from, the fields that were read, and the value it gives the tag."""

    place: Place
    fields: Mapping[str, Any]
    value: Any = None
    decides: bool = False


@dataclass(frozen=True)
class Refused:
    """The person's rows in quarantine, as far as they carry the key: how many by rule, and where."""

    by_rule: Mapping[str, int]
    places: Sequence[Place]

    @property
    def rows(self) -> int:
        return sum(self.by_rule.values())


@dataclass(frozen=True)
class Clean:
    """The person's rows of one clean table.

    ``counted``: how many count, ``rows`` the newest of them; ``left_out``: how many do not, by reason. ``first`` and
    ``last``: the local dates that count. ``origins``: where each field comes from and how it was cleaned.
    ``ranking``: the values of the person as the tag ranks them, with their measures.
    """

    source: str
    snapshot: str
    where: str | None
    first: date | None
    last: date | None
    counted: int
    rows: Sequence[Row]
    left_out: Mapping[str, int]
    origins: Mapping[str, str]
    refused: Refused | None
    measures: Sequence[str] = ()
    ranking: Sequence[Sequence[Any]] = ()
    values: int = 0


@dataclass(frozen=True)
class Check:
    """One verdict on the tag, or on its whole table (``whole``); ``why`` it failed, and what a failure stops."""

    check: str
    whole: bool
    severity: str
    passed: bool
    holds: str
    why: str | None


@dataclass(frozen=True)
class Proof:
    """The value computed once more from exactly what is shown. ``equal`` None: not tried, ``why`` says why not."""

    equal: bool | None
    again: Any = None
    why: str | None = None


@dataclass(frozen=True)
class Explanation:
    """One value, from its definition down to rows.

    ``how`` says in words how the value comes about; ``tags`` are those it reads. ``masked``: the role may not see it.
    """

    code: str
    title: Mapping[str, str]
    kind: Literal["value", "band", "computed", "score"]
    type: str
    unit: str | None
    definition: str
    defined_at: str
    value: Any
    value_title: str | None
    table: str
    as_of: date
    snapshot: str
    known_at: datetime
    run: str
    held: bool
    proof: Proof
    masked: bool = False
    checks: Sequence[Check] = ()
    how: Sequence[str] = ()
    notes: Sequence[str] = ()
    clean: Clean | None = None
    tags: Sequence["Explanation"] = field(default=())

    @property
    def proven(self) -> bool:
        """Whether no recomputed value, of the tag or below it, differs from the served one."""
        return self.proof.equal is not False and all(tag.proven for tag in self.tags)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
