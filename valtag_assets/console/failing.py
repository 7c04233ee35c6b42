"""The end of a command that failed: what is said, what is logged, and the exit code."""

import tempfile
from pathlib import Path

from rich.text import Text

from valtag_assets.console.exits import Exit
from valtag_assets.console.listings import print_problems
from valtag_assets.console.screen import readable, screen
from valtag_assets.engine.faults import impersonal, impersonal_trace
from valtag_assets.graph.report import Ran
from valtag_assets.spec.mistake import Mistake
from valtag_assets.spec.problem import CatalogError
from valtag_assets.warehouse.errors import WarehouseError


def exit_code_of(error: BaseException) -> Exit:
    """Say what went wrong on standard error (a catalog's mistakes: on standard output)."""
    if isinstance(error, CatalogError):
        print_problems(screen(), error.problems)
        return Exit.WRONG
    if isinstance(error, Mistake):
        _say(str(error))
        return Exit.WRONG
    if isinstance(error, KeyboardInterrupt):
        _say("stopped; what was published stays, and the next run goes on from there")
        return Exit.STOPPED
    if isinstance(error, BrokenPipeError):
        # Whoever read our output has had enough, as `head` has.
        return Exit.DONE
    if isinstance(error, WarehouseError):
        _say(str(error))
        return Exit.FAULT
    if isinstance(error, NotADirectoryError | IsADirectoryError | FileExistsError | PermissionError):
        _say(f"can't use {error.filename}: {error.strerror}\nthe trace is in {_log(error)}")
        return Exit.FAULT
    _say(f"internal fault: {impersonal(error)}\nthe trace is in {_log(error)}")
    return Exit.FAULT


def log_faults(ran: Ran, log: Path) -> None:
    """Append the traces of a run's faults to ``log``, and say so."""
    if ran.faults:
        with log.open("a", encoding="utf-8") as file:
            file.writelines(f"{table}\n{trace}\n\n" for table, trace in ran.faults.items())
        screen(errors=True).print(f"the trace of each fault is in {log}", soft_wrap=True)


def _say(text: str) -> None:
    # What was typed may hold anything.
    screen(errors=True).print(Text(readable(text), style="red"), soft_wrap=True)


def _log(error: BaseException) -> Path:
    """The trace, without values, in a file of its own: the data folder may be the very thing that failed."""
    with tempfile.NamedTemporaryFile(
        "w", prefix="valtag-", suffix=".log", delete=False, encoding="utf-8", errors="backslashreplace"
    ) as file:
        file.write(impersonal_trace(error))
    return Path(file.name)
