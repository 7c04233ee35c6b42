"""The records of the warehouse: tables, verdicts, snapshots, attempts. All immutable."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal

_NAME = re.compile(r"[a-z0-9_]+")

# Schemas and catalogs DuckDB keeps for itself, and the name of the views file's own catalog: a stage of that
# name could be published but never be opened by name.
_RESERVED_STAGES = frozenset({"information_schema", "pg_catalog", "system", "temp", "valtag"})

Outcome = Literal["published", "refused", "reused", "failed"]


@dataclass(frozen=True, order=True)
class TableRef:
    """One table of the warehouse. Both parts: ASCII ``[a-z0-9_]+``. ValueError otherwise."""

    stage: str
    name: str

    def __post_init__(self) -> None:
        for part in (self.stage, self.name):
            if not _NAME.fullmatch(part):
                raise ValueError(f"{part!r} is no name for a stage or table: use a-z, 0-9 and _")
        if self.stage in _RESERVED_STAGES:
            raise ValueError(f"{self.stage!r} is reserved in DuckDB: choose another name for the stage")

    @property
    def key(self) -> str:
        """Key text, as in ``tags/transaction``."""
        return f"{self.stage}/{self.name}"

    @classmethod
    def parse(cls, key: str) -> "TableRef":
        """The inverse of ``key``."""
        stage, slash, name = key.partition("/")
        if not slash:
            raise ValueError(f"{key!r} is no table: write <stage>/<name>")
        return cls(stage, name)

    def __str__(self) -> str:
        return self.key


@dataclass(frozen=True)
class Verdict:
    """The outcome of one check in one snapshot.

    ``column`` is None for checks of the whole table. ``holds`` is what a failure stops: the table (not
    published), the tag (published, but its readers are held), or nothing. ``unexpected`` of ``evaluated``
    rows broke the check. ``detail`` is JSON: description, masked sample, bounds, ...
    """

    check: str
    column: str | None
    severity: Literal["error", "warn"]
    passed: bool
    holds: Literal["table", "tag", "nothing"]
    unexpected: int | None = None
    evaluated: int | None = None
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """One Parquet file of a snapshot.

    ``digest`` is the content hash a table of these rows alone would have: equal for equal rows in any order.
    ``bytes`` is the file's size. ``sums`` are the two sums the digest is made of; those of all parts add up to
    the table's.
    """

    name: str
    rows: int
    digest: str
    bytes: int
    sums: tuple[int, int]


@dataclass(frozen=True)
class Snapshot:
    """One immutable published version of a table for one as-of.

    ``as_of`` is None for tables that don't depend on time. ``known_at`` is aware, UTC. ``columns`` are
    (name, DuckDB type) in order; ``key`` names those that identify a row. ``data_until`` is the latest
    event seen, naive local time. ``inputs`` maps table keys to the ids of the snapshots read. ``files``
    are absolute paths, ``parts`` what is known of each, in the same order.
    """

    table: TableRef
    id: str
    as_of: date | None
    known_at: datetime
    rows: int
    columns: tuple[tuple[str, str], ...]
    content_hash: str
    input_hash: str
    catalog_hash: str
    run_id: str
    data_until: datetime | None
    inputs: Mapping[str, str]
    verdicts: tuple[Verdict, ...]
    metrics: Mapping[str, Any]
    files: tuple[Path, ...]
    key: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()

    @property
    def held(self) -> frozenset[str]:
        """The columns with a failed verdict that holds the tag."""
        return frozenset(
            verdict.column
            for verdict in self.verdicts
            if verdict.column is not None and verdict.holds == "tag" and not verdict.passed
        )


@dataclass(frozen=True)
class Attempt:
    """One try to publish a table. ``at`` is aware, UTC. ``reason`` says why it was refused or failed."""

    as_of: date | None
    at: datetime
    run_id: str
    input_hash: str
    outcome: Outcome
    snapshot_id: str | None = None
    verdicts: tuple[Verdict, ...] = ()
    reason: str | None = None

    @property
    def blocks(self) -> bool:
        """Whether this outcome, standing last, stops everything downstream."""
        return self.outcome in ("refused", "failed")
