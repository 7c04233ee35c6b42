"""What came of a run, as those that show it read it. It knows nothing of Dagster."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from valtag_assets.graph.setting import TableDone


@dataclass(frozen=True)
class Ran:
    """``tables`` were asked for; ``done`` is what became of those that were tried.

    ``unreadable``: sources that could not be found or read, by table. ``faults``: steps that ended in an
    error of ours, with its trace. ``new``: False when nothing had changed and nothing was run.
    """

    as_of: date
    tables: frozenset[str]
    done: tuple[TableDone, ...]
    unreadable: Mapping[str, str] = field(default_factory=dict)
    faults: Mapping[str, str] = field(default_factory=dict)
    new: bool = True
    seconds: float = 0.0
