"""A run in this process: intake, then everything that follows from it at one as-of or more, then the health table."""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date

import dagster as dg
import filelock

from valtag_assets.definitions import build_definitions
from valtag_assets.engine.persons import clean_name
from valtag_assets.engine.reading.origin import SourceError
from valtag_assets.engine.tags import tags_name
from valtag_assets.graph.as_of import choose_as_of
from valtag_assets.graph.event_log import open_instance
from valtag_assets.graph.home import dagster_home
from valtag_assets.graph.jobs import DERIVE, HEALTH, INTAKE, MESSAGES, part_of
from valtag_assets.graph.report import Ran
from valtag_assets.graph.selection import UnknownTable, select_tables
from valtag_assets.graph.setting import Setting, TableDone
from valtag_assets.graph.sources import origin_of
from valtag_assets.graph.stages import refuse_as_of
from valtag_assets.graph.tags import missing_before
from valtag_assets.graph.unchanged import nothing_to_do
from valtag_assets.warehouse.snapshot import TableRef

STARTED_BY = {"valtag/started_by": "command"}
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
_UNDER_WAY = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


class AsOfRefused(ValueError):
    """An as-of that can't be computed; the message names the range that can."""


class RunUnderWay(Exception):
    """Another command is running this catalog in this data folder."""


# What a run refuses to begin with; the messages are for the user.
REFUSALS = (AsOfRefused, RunUnderWay, UnknownTable)


@dataclass(frozen=True)
class Progress:
    """Who is told what: the tables that will be tried, then each of them as it is through."""

    planned: Callable[[Sequence[str]], None]
    done: Callable[[TableDone], None]


def run(setting: Setting, days: Sequence[date], select: Sequence[str], progress: Progress) -> Iterator[Ran]:
    """Run the catalog in this process for each of ``days``, in their order; the sources are read once.

    No days: the last complete date of the data. Raises AsOfRefused and UnknownTable before anything is run, and
    RunUnderWay.
    """
    for as_of in days:
        _check(setting, as_of)
    with _alone(setting) as instance:
        whole = _Run(setting, instance, progress, select)
        for number, chosen in enumerate(days or [None]):
            yield whole.run(chosen, intake=number == 0)


# Assets that are not in the warehouse.
_NO_TABLES = ("sources/", "serving/", "outbox/")


@contextmanager
def _alone(setting: Setting) -> Iterator[dg.DagsterInstance]:
    """The Dagster instance, while no other command runs this catalog here."""
    home = dagster_home(setting)
    lock = filelock.FileLock(home / "run.lock", timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout as error:
        raise RunUnderWay(f"another valtag run of {setting.name} is at work in {setting.data}") from error
    try:
        with open_instance(home) as instance:
            _close_dead_runs(instance)
            yield instance
    finally:
        lock.release()


class _Run:
    """One run: the graph with a listener in it, and what was heard."""

    def __init__(
        self, setting: Setting, instance: dg.DagsterInstance, progress: Progress, select: Sequence[str]
    ) -> None:
        self.setting = replace(setting, listen=self._heard)
        self.instance = instance
        self.progress = progress
        self.definitions = build_definitions(self.setting)
        self.jobs = {name: self.definitions.resolve_job_def(name) for name in (INTAKE, DERIVE, HEALTH)}
        if setting.resolved.triggers:
            self.jobs[MESSAGES] = self.definitions.resolve_job_def(MESSAGES)
        every = [table for name in (INTAKE, DERIVE) for table in self._tables_of(name)]
        self.selected = bool(select)
        self.tables = select_tables(select, self.definitions, every) if select else frozenset(every)
        self.done: list[TableDone] = []
        self.faults: dict[str, str] = {}

    def run(self, as_of: date | None, *, intake: bool) -> Ran:
        started = time.monotonic()
        self.done, self.faults = [], {}
        ran = self._run(as_of, intake=intake)
        return replace(ran, seconds=time.monotonic() - started)

    def _run(self, as_of: date | None, *, intake: bool) -> Ran:
        # Only the clean facts tell the as-of, so what is served is looked at first.
        expected = as_of or choose_as_of(self.setting)
        taken = [t for t in self._tables_of(INTAKE) if intake and t in self.tables]
        derived = [t for t in self._tables_of(DERIVE) if t in self.tables]
        tables = frozenset([*taken, *derived])
        if refuse_as_of(self.setting, expected) is None and nothing_to_do(
            self.setting, self.instance, expected, tables
        ):
            if MESSAGES in self.jobs and not self.selected:
                self._execute(MESSAGES, (), None)  # what is due is due whether or not a table changed
            return Ran(expected, tables, tuple(self.done), faults=self.faults, new=False)
        self.progress.planned([*taken, *derived])
        unreadable = self._unreadable(taken)
        if taken:
            self._execute(INTAKE, taken, None)
        as_of = as_of or choose_as_of(self.setting)
        _check(self.setting, as_of)
        self._fill(derived, as_of)
        if derived:
            self._execute(DERIVE, derived, as_of)
        if MESSAGES in self.jobs and any(_stops_sending(item) for item in self.done):
            self._execute(MESSAGES, (), None)  # the other triggers go on
        self._execute(HEALTH, (), None)
        unreadable |= {
            item.table: item.reason.removeprefix("SourceError: ")
            for item in self.done
            if item.reason is not None and item.reason.startswith("SourceError: ")
        }
        return Ran(as_of, tables, tuple(self.done), unreadable, self.faults)

    def _fill(self, derived: Sequence[str], as_of: date) -> None:
        """Compute, in order, the earlier as-ofs on which categories that keep their last value rest."""
        chains = {
            tags_name(code): missing_before(self.setting, category, as_of)
            for code, category in self.setting.resolved.categories.items()
            if tags_name(code) in derived
        }
        for day in sorted(set().union(*chains.values())):
            lacking = [table for table, days in chains.items() if day in days]
            above = select_tables([f"+{table}" for table in lacking], self.definitions, self._tables_of(DERIVE))
            self.progress.planned([*sorted(above, key=_flow), *derived])
            self._execute(DERIVE, sorted(above, key=_flow), day, chosen=True)
            if any(self.setting.warehouse.blocked(TableRef.parse(table), day) for table in lacking):
                return  # what rests on it says so

    def _heard(self, done: TableDone) -> None:
        self.done.append(done)
        self.progress.done(done)

    def _tables_of(self, job: str) -> list[str]:
        """The warehouse tables a job makes, in the order of the flow."""
        keys = self.jobs[job].asset_layer.executable_asset_keys
        tables = ("/".join(key.path) for key in keys)
        return sorted((table for table in tables if not table.startswith(_NO_TABLES)), key=_flow)

    def _unreadable(self, tables: Collection[str]) -> dict[str, str]:
        found = {}
        for code, source in self.setting.resolved.sources.items():
            if clean_name(code) in tables:
                try:
                    origin_of(self.setting, source)
                except SourceError as error:
                    found[clean_name(code)] = str(error)
        return found

    def _execute(self, job: str, tables: Sequence[str], as_of: date | None, *, chosen: bool = False) -> None:
        some = chosen or self.selected
        made = part_of(self.jobs[job], tables) if some and tables else self.jobs[job]
        result = made.execute_in_process(
            instance=self.instance,
            partition_key=as_of.isoformat() if as_of else None,
            raise_on_error=False,
            run_config=_QUIET,
            tags=STARTED_BY,
        )
        told = {item.table for item in self.done if item.outcome in ("refused", "failed")}
        for event in result.all_events:
            table = (event.step_key or "").replace("__", "/", 1)
            if event.event_type == dg.DagsterEventType.STEP_FAILURE and table not in told:
                error = event.step_failure_data.error
                text = error.to_string() if error else "no error was recorded"
                if dg.DagsterExecutionInterruptedError.__name__ in text:
                    # Dagster takes Ctrl-C for a failure of the step it hit, and would have us go on.
                    raise KeyboardInterrupt
                self.faults[table] = text


def _stops_sending(done: TableDone) -> bool:
    """Whether the asset of messages was skipped, since this trigger was not evaluated."""
    return done.table.startswith("triggers/") and done.outcome in ("refused", "failed")


# In the order of the flow; what is not named comes last.
_STAGES = (
    *("clean", "identity", "keyed", "lists", "tags", "scores", "allocations"),
    *("segments", "reports", "triggers"),
)


def _flow(table: str) -> tuple[int, str]:
    stage = table.partition("/")[0]
    return (_STAGES.index(stage) if stage in _STAGES else len(_STAGES), table)


def _check(setting: Setting, as_of: date | None) -> None:
    why = refuse_as_of(setting, as_of) if as_of else None
    if why:
        start = setting.resolved.catalog.project.start
        raise AsOfRefused(f"{why}; as-of may be {start} to {setting.last_as_of()}")


def _close_dead_runs(instance: dg.DagsterInstance) -> None:
    """Runs of commands that were killed: we hold the lock, so nobody is at work on them.

    Left as they are, they would count as running for ever, and runs started in the UI would wait for them.
    """
    for run in instance.get_runs(filters=dg.RunsFilter(statuses=_UNDER_WAY, tags=STARTED_BY)):
        instance.report_run_failed(run, message="the command that started this run was ended from outside")
