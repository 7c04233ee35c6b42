"""What is known of a company's tables: counted, then guessed, then measured by the guess; always with evidence."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from valtag_assets.engine.inventory.finding import Place
from valtag_assets.spec.block import Title
from valtag_assets.spec.source import Field, Kind
from valtag_assets.spec.types import DataType


@dataclass(frozen=True)
class Counted:
    """One column of one table, counted.

    ``raw``: its DuckDB type as read. ``distinct``: of all rows, ``exact`` unless the table is large. The rest is of
    the sample (all rows of a table that is not large), over the text after trimming and half width: ``present``
    values, ``values`` different ones, ``folded`` different ones when case does not count; ``forms``: how many
    have each form; ``formats``: times by the format they fit, ``timed`` of them with an hour; ``spellings``: what
    may stand for nothing, and how often; ``top``: the most frequent; ``scale``: most decimals; ``longest``: most
    characters; ``trimmed``, ``widened``: values that had spaces around, or full-width signs.
    """

    name: str
    raw: str
    distinct: int = 0
    exact: bool = True
    present: int = 0
    values: int = 0
    folded: int = 0
    forms: Mapping[str, int] = field(default_factory=dict)
    formats: Mapping[str, int] = field(default_factory=dict)
    timed: int = 0
    spellings: Mapping[str, int] = field(default_factory=dict)
    top: tuple[tuple[str, int], ...] = ()
    scale: int = 0
    longest: int = 0
    trimmed: int = 0
    widened: int = 0

    def share(self, form: str) -> float:
        """The share of the present values that have the form."""
        return self.forms.get(form, 0) / self.present if self.present else 0.0


@dataclass(frozen=True)
class Suspicion:
    """Why a column may hold personal data: ``what`` it is, told by its name, by ``share`` of its values, or both."""

    what: Title
    by_name: bool
    share: float
    sensitive: bool = False


@dataclass(frozen=True)
class Guess:
    """What a column is taken to be: the ``field`` as a draft would clean it, and why. ``identifier``: it names
    things, and is no measure."""

    field: Field
    evidence: tuple[Title, ...] = ()
    identifier: bool = False


@dataclass(frozen=True)
class Measured:
    """One column over all rows, as the guessed field reads it.

    ``missing``: rows without a value; ``unread``: values that can't be read. Of numbers: ``low``, ``high``, and
    ``quantiles`` at 1, 5, 50, 95 and 99 %, ``beyond``: those more than 1,000 times the median; of times: ``early``
    ones (see ``first_day``), ``late`` ones (after the day of the inventory), ``low`` and ``high`` of the others.
    """

    missing: int = 0
    unread: int = 0
    low: Any = None
    high: Any = None
    quantiles: tuple[float, ...] = ()
    negative: int = 0
    early: int = 0
    late: int = 0
    beyond: int = 0


@dataclass(frozen=True)
class Column:
    """One column with all that is said of it. ``left_out``: a draft does without it, for the ``reason``."""

    counted: Counted
    guess: Guess
    measured: Measured = Measured()
    suspicion: Suspicion | None = None
    anomalies: tuple[Title, ...] = ()
    reason: Title | None = None
    left_out: bool = False

    @property
    def name(self) -> str:
        """As the source calls it."""
        return self.counted.name

    @property
    def code(self) -> str:
        return self.guess.field.name

    @property
    def type(self) -> DataType:
        return self.guess.field.type

    @property
    def masked(self) -> bool:
        """Whether its values are nobody's to see."""
        return self.suspicion is not None


@dataclass(frozen=True)
class Key:
    """Columns (codes) that tell rows apart, but for ``copies`` (rows equal to another in every column) and a few rows
    ``unlike`` another in something else."""

    columns: tuple[str, ...]
    copies: int = 0
    unlike: int = 0


@dataclass(frozen=True)
class Join:
    """``column`` of ``table`` finds ``share`` of its ``values`` different values in ``key`` of ``master`` (codes)."""

    table: str
    column: str
    master: str
    key: str
    share: float
    values: int


@dataclass(frozen=True)
class Role:
    """What a table is taken to be, and by which columns (codes). ``kind`` None: no source can be made of it.

    ``key``: what tells its rows apart; of rows equal in ``merged`` the one with the latest ``newest`` counts.
    """

    kind: Kind | None
    reason: Title
    person: str | None = None
    time: str | None = None
    key: tuple[str, ...] = ()
    merged: tuple[str, ...] = ()
    newest: str | None = None


@dataclass(frozen=True)
class Table:
    """One table with all that is said of it. ``sampled``: rows looked at for forms, where not all were."""

    place: Place
    code: str
    title: Title
    rows: int
    broken: int
    sampled: int | None
    columns: tuple[Column, ...]
    keys: tuple[Key, ...]
    role: Role
    notes: tuple[Title, ...] = ()

    def column(self, code: str) -> Column:
        return next(column for column in self.columns if column.code == code)


@dataclass(frozen=True)
class Inventory:
    """All tables, the joins between them, what could not be read (name, reason), and files that are no tables."""

    tables: tuple[Table, ...]
    joins: tuple[Join, ...] = ()
    unread: tuple[tuple[str, str], ...] = ()
    ignored: tuple[str, ...] = ()
