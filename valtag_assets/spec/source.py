"""sources/*.yaml: where a table of the company lies, which fields enter, and how they are cleaned.

The order of cleaning is fixed, and the same for every source:

1. each whitelisted field: trim → half-width → missing spellings → replace → case → code table → parse to its
   type (formats, time zone) → units → bounds and outliers;
2. ``lookups`` bring columns of other sources, ``compute`` adds fields;
3. a row with a refused field, or caught by ``refuse``, goes to quarantine;
4. a row caught by ``drop`` is filtered, counted by rule;
5. rows with the same ``deduplicate.key`` are merged: the first in its order stays.
"""

from datetime import date
from typing import Any, Literal

from pydantic import field_validator, model_validator

from valtag_assets.spec.block import Access, Block, Check, Code, Layer, Title, Type
from valtag_assets.spec.project import as_texts

Kind = Literal["master", "fact", "lookup", "list"]
Family = Literal["master", "behavior", "transaction", "channel", "other"]
Format = Literal["csv", "tsv", "jsonl", "parquet", "excel", "duckdb", "sqlite", "postgres"]
Scalar = str | int | float | bool

SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".xlsx": "excel",
    ".duckdb": "duckdb",
    ".sqlite": "sqlite",
    ".db": "sqlite",
}


class Read(Block):
    """Where the table lies.

    ``path``: a file or glob, relative to the catalog's folder; ``package://name/inner/file`` is a file of an
    installed Python package; ``${VARIABLE}`` is taken from the environment. Databases also need ``table``;
    PostgreSQL has no path but ``url_env``, the name of the environment variable that holds its URL.
    """

    path: str | None = None
    format: Format | None = None
    encoding: str = "utf-8"
    delimiter: str | None = None
    quote: str = '"'
    header: bool = True
    sheet: str | None = None
    table: str | None = None
    url_env: str | None = None

    @model_validator(mode="after")
    def _complete(self) -> "Read":
        if self.format == "postgres":
            if not (self.url_env and self.table):
                raise ValueError("postgres needs url_env (the environment variable with the URL) and table")
        elif not self.path:
            raise ValueError("path is missing: a file, a glob, or package://name/inner/file")
        if self.actual_format in ("duckdb", "sqlite") and not self.table:
            raise ValueError(f"{self.actual_format} needs table")
        try:
            "".encode(self.encoding)
        except LookupError as error:
            raise ValueError(f"unknown encoding '{self.encoding}'; as in utf-8, gb18030, latin-1") from error
        return self

    @property
    def actual_format(self) -> Format:
        if self.format:
            return self.format
        name = (self.path or "").lower().removesuffix(".gz")
        for suffix, found in SUFFIXES.items():
            if name.endswith(suffix):
                return found
        raise ValueError(f"can't tell the format of '{self.path}' from its name; add format: csv, jsonl, …")


class Bounds(Block):
    """Values outside [min, max] are an anomaly: quarantined, set to null, or clipped to the bound.

    Numbers for a numeric field; dates for a date or timestamp (whose whole day then lies inside).
    """

    min: float | date | None = None
    max: float | date | None = None
    otherwise: Literal["quarantine", "null", "clip"] = "quarantine"


class Outlier(Block):
    """A value more than ``times`` the median of the column's absolute values is an anomaly."""

    times: float
    otherwise: Literal["quarantine", "null"] = "quarantine"


class Replace(Block):
    """Regular-expression replacement on the text, before it is parsed (``\\1`` is the first group)."""

    pattern: str
    by: str = ""


class Unit(Block):
    """Multiply by the factor of the row's unit, so that one unit remains (分→元, ms→s, USD→CNY).

    ``factor`` for a column in one unit; ``by`` + ``factors`` when another field of the row names the unit
    (a fixed table; an unlisted unit is quarantined).
    """

    to: str
    factor: float | str | None = None
    by: Code | None = None
    factors: dict[str, float | str] = {}

    @model_validator(mode="after")
    def _one_way(self) -> "Unit":
        if (self.factor is None) == (self.by is None):
            raise ValueError("unit needs either factor, or by with factors")
        if self.by is not None and not self.factors:
            raise ValueError("unit.by needs factors, as in {元: 1, 分: 0.01}")
        return self


class Field(Block):
    """One whitelisted column: its name in the source (``from``), its code, type and cleaning.

    ``values`` is its code table, raw spelling → code; ``code_table`` names one of the project's.
    """

    name: Code
    source_name: str
    type: Type
    title: Title | None = None
    layer: Layer = "core"
    access: Access = "internal"
    required: bool = False
    trim: bool = True
    half_width: bool = True
    missing: tuple[str, ...] = ()
    replace: tuple[Replace, ...] = ()
    case: Literal["lower", "upper"] | None = None
    values: dict[str, str] | None = None
    code_table: str | None = None
    unknown: Literal["quarantine", "null", "keep"] = "quarantine"
    formats: tuple[str, ...] = ()
    timezone: str | None = None
    two_digit_years: bool = False
    invalid: Literal["quarantine", "null"] = "quarantine"
    unit: tuple[Unit, ...] = ()
    bounds: Bounds | None = None
    outlier: Outlier | None = None
    checks: tuple[Check, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        data = dict(data)
        if "from" in data:
            data["source_name"] = data.pop("from")
        data.setdefault("source_name", data.get("name"))
        for many in ("unit", "replace"):
            if isinstance(data.get(many), dict):
                data[many] = [data[many]]
        if "values" in data:
            data["values"] = as_texts(data["values"])
        if isinstance(data.get("missing"), list):
            data["missing"] = [str(item) for item in data["missing"]]
        return data

    @model_validator(mode="after")
    def _sense(self) -> "Field":
        if self.values is not None and self.code_table is not None:
            raise ValueError("give values or code_table, not both")
        if self.formats and not self.type.temporal:
            raise ValueError(f"formats are for dates and timestamps, not for {self.type}")
        if self.timezone and self.type.kind != "timestamp":
            raise ValueError(f"timezone is for timestamps, not for {self.type}")
        if (self.unit or self.outlier) and not self.type.numeric:
            raise ValueError(f"unit and outlier are for numbers, not for {self.type}")
        if self.bounds:
            self._check_bounds(self.bounds)
        if self.type.kind == "list":
            raise ValueError("a source field is a single value; lists are made by tags")
        return self

    @property
    def vaulted(self) -> bool:
        """Whether its values lie in the vault alone: a personal text. Codes of a closed list name nobody."""
        closed = (self.values is not None or self.code_table is not None) and self.unknown != "keep"
        return self.access == "pii" and self.type.kind == "text" and not closed

    def _check_bounds(self, bounds: Bounds) -> None:
        ends = [end for end in (bounds.min, bounds.max) if end is not None]
        wanted = date if self.type.temporal else float
        if not (self.type.numeric or self.type.temporal):
            raise ValueError(f"bounds are for numbers and dates; for a {self.type} write a refuse rule")
        for end in ends:
            if not isinstance(end, wanted):
                word = "a date such as 1990-01-31" if self.type.temporal else "a number"
                raise ValueError(f"bounds of a {self.type}: {end} is not {word}")
        if len(ends) == 2 and ends[0] > ends[1]:  # type: ignore[operator]
            raise ValueError(f"bounds: min {ends[0]} is above max {ends[1]}")


class Computed(Block):
    """A field worked out from the other fields of the row."""

    name: Code
    type: Type
    value: str
    title: Title | None = None
    access: Access = "internal"

    @property
    def vaulted(self) -> bool:
        """Whether its values lie in the vault alone: a personal text."""
        return self.access == "pii" and self.type.kind == "text"


class Lookup(Block):
    """Bring columns of a lookup source into the row; the lookup has one row per key, so nothing fans out."""

    source: Code
    on: Code
    take: tuple[Code, ...]


class RowRule(Block):
    """A named condition on the cleaned row."""

    name: Code
    where: str
    reason: Title | None = None


class Deduplicate(Block):
    """Rows with an equal key are one row: the first by ``order`` ("field desc" or "field asc")."""

    key: tuple[Code, ...]
    order: tuple[str, ...] = ()


class SourceChecks(Block):
    """What the clean table must satisfy before it is published."""

    min_rows: int = 1
    max_quarantined: float = 0.05
    max_rows_drop: float = 0.5


class Source(Block):
    """One table of the company.

    ``person``: the field that holds the person's key (master, fact and list; a ``list`` is an uploaded list of
    persons, who need not be known); a source whose identifiers identity.yaml names may do without. ``time``: the
    field that dates a row (fact). ``key``: the fields that identify a row (lookup: one field).
    """

    source: Code
    title: Title
    kind: Kind
    family: Family = "other"
    meaning: str | None = None
    owner: str | None = None
    read: Read
    person: Code | None = None
    time: Code | None = None
    key: tuple[Code, ...] = ()
    fields: tuple[Field, ...]
    lookups: tuple[Lookup, ...] = ()
    compute: tuple[Computed, ...] = ()
    refuse: tuple[RowRule, ...] = ()
    drop: tuple[RowRule, ...] = ()
    deduplicate: Deduplicate | None = None
    checks: SourceChecks = SourceChecks()

    @field_validator("key", mode="before")
    @classmethod
    def _one_key(cls, key: Any) -> Any:
        return [key] if isinstance(key, str) else key

    @model_validator(mode="after")
    def _roles(self) -> "Source":
        if self.kind == "fact" and self.time is None:
            raise ValueError("a fact needs time: the field that dates each row")
        if self.kind == "lookup" and len(self.key) != 1:
            raise ValueError("a lookup needs key: the one field that other sources join on")
        names = [field.name for field in self.fields] + [item.name for item in self.compute]
        names += [taken for lookup in self.lookups for taken in lookup.take]
        for name in sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"field '{name}' is defined twice")
        return self

    @property
    def vaulted(self) -> tuple[str, ...]:
        """Its own columns whose values lie in the vault alone; in the tables stands a token for each."""
        own = [item.name for item in self.fields if item.vaulted]
        return (*own, *(item.name for item in self.compute if item.vaulted))

    @property
    def merge(self) -> Deduplicate | None:
        """How equal rows merge; a master or list has one row per person and a lookup one per key by nature."""
        if self.deduplicate is None and self.kind in ("master", "list") and self.person:
            return Deduplicate(key=(self.person,))
        if self.deduplicate is None and self.kind == "lookup":
            return Deduplicate(key=self.key)
        return self.deduplicate
