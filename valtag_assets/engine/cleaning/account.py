"""The account of a cleaning: where every row that came in has gone."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Account:
    """Row counts. ``by_rule``: quarantined and filtered rows by the one rule that caught each (its first).

    ``repaired``: by rule, the values that were set to null or clipped, in rows that were neither quarantined
    nor filtered (before equal rows were merged).
    """

    rows_in: int
    clean: int
    quarantined: int
    merged: int
    filtered: int
    by_rule: Mapping[str, int]
    repaired: Mapping[str, int]

    @property
    def balanced(self) -> bool:
        """Has every row gone to exactly one place, and every refused one by exactly one rule?"""
        refused = self.quarantined + self.filtered
        return self.rows_in == self.clean + refused + self.merged and sum(self.by_rule.values()) == refused

    def to_json(self) -> dict[str, Any]:
        return {
            "rows_in": self.rows_in,
            "clean": self.clean,
            "quarantined": self.quarantined,
            "merged": self.merged,
            "filtered": self.filtered,
            "by_rule": dict(self.by_rule),
            "repaired": dict(self.repaired),
        }


@dataclass(frozen=True)
class Cleaned:
    """The files of a cleaned source; ``data_until``: a fact's latest time, None for others or no rows."""

    clean: Path
    quarantine: Path
    account: Account
    data_until: datetime | None
