"""What a run says while it works: one line per table, and on a terminal a bar below them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from valtag_assets.console.screen import count, state
from valtag_assets.engine.identity.tables import TITLES as IDENTITY_TITLES
from valtag_assets.engine.persons import PERSONS, STRANGERS
from valtag_assets.expression.resolved import Resolved
from valtag_assets.graph.setting import TableDone
from valtag_assets.spec.block import Title


class TableLines:
    """Prints one line per table; ``planned`` and ``done`` are what a run tells."""

    def __init__(self, console: Console, resolved: Resolved, bar: Progress | None) -> None:
        self.console = console
        self.titles = table_titles(resolved)
        self.bar = bar
        self.task = bar.add_task("", total=None) if bar else None
        self.total = 0
        self.number = 0

    def planned(self, tables: Sequence[str]) -> None:
        self.total, self.number = len(tables), 0
        if self.bar is not None and self.task is not None:
            self.bar.update(self.task, total=self.total)

    def done(self, item: TableDone) -> None:
        self.number += 1
        self.console.print(self._line(item), soft_wrap=True)
        if self.bar is not None and self.task is not None:
            self.bar.update(self.task, completed=self.number, description=item.table)

    def _line(self, item: TableDone) -> Text:
        title = self.titles.get(item.table)
        line = Text(f"{self.number:>3}/{self.total:<3} ", style="dim")
        line.append(f"{item.table:<34}", style="default")
        line.append(f"{count(item.rows):>12} {'rows' if item.rows is not None else '    '} {item.seconds:>6.1f} s  ")
        line.append_text(state("unchanged" if item.outcome == "reused" else item.outcome))
        if item.reason:
            line.append(f"  {item.reason.splitlines()[0]}", style="default")
        elif title:
            day = f"{item.as_of}  " if item.as_of else ""
            line.append(f"  {day}{title.zh} · {title.en}", style="dim")
        return line


@contextmanager
def table_lines(console: Console, resolved: Resolved) -> Iterator[TableLines]:
    """Lines on ``console`` for the time of a run."""
    if not console.is_terminal:
        yield TableLines(console, resolved, None)
        return
    columns = (
        SpinnerColumn(),
        MofNCompleteColumn(),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        yield TableLines(bar.console, resolved, bar)


def table_titles(resolved: Resolved) -> dict[str, Title]:
    """The title of every warehouse table."""
    found = {f"clean/{code}": source.spec.title for code, source in resolved.sources.items()}
    found |= {f"keyed/{code}": source.spec.title for code, source in resolved.sources.items() if source.keyed}
    found |= IDENTITY_TITLES if resolved.identity is not None else {}
    found[PERSONS] = resolved.catalog.project.persons.title
    found[STRANGERS] = Title(zh="总体之外的行", en="Rows of strangers")
    found |= {f"lists/{code}": source.spec.title for code, source in resolved.sources.items()}
    found |= {f"tags/{code}": entry.spec.title for code, entry in resolved.catalog.categories.items()}
    found |= {f"scores/{code}": score.spec.title for code, score in resolved.scores.items()}
    found |= {f"allocations/{code}": item.spec.title for code, item in resolved.allocations.items()}
    found |= {f"segments/{code}": segment.spec.title for code, segment in resolved.segments.items()}
    found |= {f"reports/{code}": report.spec.title for code, report in resolved.reports.items()}
    found["insight/tags"] = Title(zh="标签价值评分", en="Usefulness of tags")
    found |= {f"effects/{code}": trigger.spec.title for code, trigger in resolved.triggers.items()}
    return found
