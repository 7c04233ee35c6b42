"""Which date a run is for when nobody says: the last complete one in the data."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from valtag_assets.engine.persons import clean_name
from valtag_assets.graph.setting import Setting
from valtag_assets.warehouse.snapshot import TableRef


@dataclass(frozen=True)
class LastEvent:
    """The latest event of a fact, naive local. ``dated``: the fact knows dates only."""

    at: datetime
    dated: bool


def last_complete_date(events: Iterable[LastEvent], complete_after: time, yesterday: date) -> date:
    """The newest date that some fact has seen to its end, never later than ``yesterday``.

    A fact's last date is over when it knows dates only, or when its last event is at or after
    ``complete_after``; otherwise more may come, and the date before counts. Facts that reach beyond yesterday
    (wrong clocks) say nothing; without any other the answer is ``yesterday``.
    """
    over = [
        event.at.date() if event.dated or event.at.time() >= complete_after else event.at.date() - timedelta(days=1)
        for event in events
    ]
    return max((day for day in over if day <= yesterday), default=yesterday)


def choose_as_of(setting: Setting) -> date:
    """The last complete date of the clean facts now served."""
    complete_after = time.fromisoformat(setting.resolved.catalog.project.day_complete_after)
    return last_complete_date(_last_events(setting), complete_after, setting.last_as_of())


def is_guess(setting: Setting) -> bool:
    """Whether ``choose_as_of`` has only the calendar to go by: there are facts, and none was read yet."""
    facts = any(source.spec.kind == "fact" for source in setting.resolved.sources.values())
    return facts and next(_last_events(setting), None) is None


def _last_events(setting: Setting) -> Iterator[LastEvent]:
    for code, source in setting.resolved.sources.items():
        if source.spec.kind == "fact" and source.spec.time is not None:
            clean = setting.warehouse.latest(TableRef.parse(clean_name(code)))
            if clean is not None and clean.data_until is not None:
                yield LastEvent(clean.data_until, source.columns[source.spec.time].kind == "date")
