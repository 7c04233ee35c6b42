"""The account of a cleaning: where every row that came in has gone, file by file and in all."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

UNREADABLE = "unreadable"
ERASED = "erased"
"""The rule that drops rows of persons who were erased."""


@dataclass(frozen=True)
class FileAccount:
    """What came of the rows of one file, before equal rows were merged.

    ``accepted``: rows that no rule caught, by the part of the clean table they belong to. ``by_rule``: the
    others, by the one rule that caught each (its first); ``filtered`` of them by a ``drop`` rule, or as erased.
    ``repaired``: by rule, the values that were set to null or clipped in accepted rows.
    """

    accepted: Mapping[str, int] = field(default_factory=dict)
    by_rule: Mapping[str, int] = field(default_factory=dict)
    filtered: int = 0
    repaired: Mapping[str, int] = field(default_factory=dict)

    @property
    def rows_in(self) -> int:
        return sum(self.accepted.values()) + sum(self.by_rule.values())

    @property
    def quarantined(self) -> int:
        return sum(self.by_rule.values()) - self.filtered

    def to_json(self) -> dict[str, Any]:
        """What is not empty, as JSON; ``FileAccount(**found)`` undoes it."""
        return {name: value for name, value in asdict(self).items() if value}


@dataclass(frozen=True)
class Account:
    """Row counts of a whole source. ``by_rule`` and ``repaired`` as in ``FileAccount``."""

    rows_in: int
    clean: int
    quarantined: int
    merged: int
    filtered: int
    by_rule: Mapping[str, int]
    repaired: Mapping[str, int]
    erased: int = 0

    @property
    def balanced(self) -> bool:
        """Has every row gone to exactly one place, and every refused one by exactly one rule?"""
        refused = self.quarantined + self.filtered + self.erased
        return self.rows_in == self.clean + refused + self.merged and sum(self.by_rule.values()) == refused

    def to_json(self) -> dict[str, Any]:
        return {
            "rows_in": self.rows_in,
            "clean": self.clean,
            "quarantined": self.quarantined,
            "merged": self.merged,
            "filtered": self.filtered,
            "erased": self.erased,
            "by_rule": dict(self.by_rule),
            "repaired": dict(self.repaired),
        }


def account_of(files: Iterable[FileAccount], clean: int, merged: int) -> Account:
    """The accounts of all files added up; ``clean`` and ``merged`` are the rows of these tables."""
    by_rule: Counter[str] = Counter()
    repaired: Counter[str] = Counter()
    rows_in = filtered = 0
    for item in files:
        by_rule.update(item.by_rule)
        repaired.update(item.repaired)
        rows_in += item.rows_in
        filtered += item.filtered
    quarantined = by_rule.total() - filtered
    return Account(
        rows_in,
        clean,
        quarantined,
        merged,
        filtered - by_rule[ERASED],
        dict(sorted(by_rule.items())),
        dict(sorted(repaired.items())),
        by_rule[ERASED],
    )


@dataclass(frozen=True)
class Restated:
    """A table of which some parts were made anew: ``folder`` holds those, ``replaced`` names all parts of before
    that no longer hold. Parts in neither stay as they were."""

    folder: Path
    replaced: frozenset[str]


@dataclass(frozen=True)
class Cleaned:
    """A cleaned source: its tables, the accounts of its files, and of all of them together.

    ``merged`` is None where no rows are ever merged, ``vault`` where no column is vaulted. ``rows``: those of each
    part of the whole clean table. ``data_until``: a fact's latest time, None without one.
    """

    clean: Restated
    merged: Restated | None
    quarantine: Restated
    vault: Restated | None
    rows: Mapping[str, int]
    files: Mapping[str, FileAccount]
    account: Account
    data_until: datetime | None
