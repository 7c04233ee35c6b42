"""The ``valtag`` command. Thin: it reads options, calls what does the work, and turns outcomes into exit codes.

Dagster is imported only by the commands that run or serve the graph, after DAGSTER_HOME is set.
"""

import os
import sys
import warnings
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from valtag_assets.commands import (
    audit,
    broken,
    deliver,
    erase,
    explain,
    identity,
    init,
    insight,
    inventory,
    new,
    report,
    segment,
    serve,
    trigger,
)
from valtag_assets.commands.options import AsOf, Catalog, Data, Json, Purpose, Role, User, asking, local_date
from valtag_assets.console.exits import Exit
from valtag_assets.console.failing import exit_code_of
from valtag_assets.console.opening import open_setting
from valtag_assets.console.screen import print_json, screen
from valtag_assets.spec.mistake import Mistake

app = typer.Typer(
    name="valtag",
    help="Value tags 值标签: checked facts about persons, from any company's tables.",
    epilog="Exit codes: 0 done, 1 the catalog or input is wrong, 2 a gate held something, 3 internal fault.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(audit.audit_app, name="audit")
app.add_typer(segment.segment_app, name="segment")
app.add_typer(trigger.trigger_app, name="trigger")
app.add_typer(new.new_app, name="new")
app.add_typer(identity.identity_app, name="identity")
app.command()(init.init)
app.command()(explain.explain)
app.command()(report.report)
app.command()(insight.insight)
app.command()(insight.effect)
app.command()(inventory.inventory)
app.command()(serve.serve)
app.command()(deliver.deliver)
app.command()(deliver.outbox)
app.command()(erase.erase)
app.command()(broken.broken)
# What a wrong command line raises, in whichever click this typer brings along. Its own exit code is 2, which
# is taken: a gate held something.
_USAGE_ERROR: Any = typer.BadParameter.__bases__[0]


@app.command()
def run(
    catalog: Catalog = None,
    as_of: AsOf = None,
    first: Annotated[
        date | None,
        typer.Option(
            "--from", parser=local_date, metavar="DATE", help="With --to: every as-of from this one, in order."
        ),
    ] = None,
    last: Annotated[
        date | None, typer.Option("--to", parser=local_date, metavar="DATE", help="With --from: the last of them.")
    ] = None,
    select: Annotated[
        list[str] | None,
        typer.Option("--select", "-s", help="Only these tables: tags/transaction, segments/*, +scores/rfm, tags/x+."),
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Compute everything from the sources and clean rows again, changed or not.")
    ] = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Read, clean, tag, score and segment for one as-of or more (default: the last complete date in the data)."""
    from valtag_assets.console.failing import log_faults
    from valtag_assets.console.plan_view import print_changes
    from valtag_assets.console.progress import table_lines
    from valtag_assets.console.span import days_of
    from valtag_assets.console.summary import summarize
    from valtag_assets.console.summary_view import print_day, print_summary
    from valtag_assets.graph.home import dagster_home

    setting = replace(open_setting(catalog, data), full=full)
    days = days_of(as_of, first, last)
    if not as_json:
        print_changes(screen(errors=True), _quiet("graph.planning"), setting, days)
    home = dagster_home(setting)
    running = _quiet("console.running")
    summaries = []
    with table_lines(screen(errors=True), setting.resolved) as lines:
        progress = running.Progress(lines.planned, lines.done)
        try:
            for ran in running.run(setting, days, select or [], progress):
                summaries.append(summarize(setting, ran))
                log_faults(ran, home / "valtag.log")
                if len(days) > 1 and not as_json:
                    print_day(screen(), summaries[-1])
        except running.REFUSALS as error:
            raise Mistake(str(error)) from error
    if as_json:
        found = [summary.to_json() for summary in summaries]
        print_json(found if first else found[0])
    else:
        print_summary(screen(), summaries[-1], catalog)
    raise typer.Exit(max(summary.exit for summary in summaries))


@app.command()
def plan(catalog: Catalog = None, as_of: AsOf = None, data: Data = None, as_json: Json = False) -> None:
    """Say what a run would compute and why, and which audiences a catalog change touches; computes nothing."""
    from valtag_assets.console.plan_view import print_plan
    from valtag_assets.graph.as_of import choose_as_of, is_guess

    setting = open_setting(catalog, data)
    planned = _quiet("graph.planning").plan_run(setting, as_of or choose_as_of(setting))
    if as_json:
        print_json(planned.to_json())
    else:
        print_plan(screen(), planned, guessed=as_of is None and is_guess(setting))


@app.command()
def check(catalog: Catalog = None, as_json: Json = False) -> None:
    """Find every mistake of a catalog; needs no data."""
    from valtag_assets.console.listings import print_checked

    raise typer.Exit(Exit.DONE if print_checked(catalog, as_json=as_json) else Exit.WRONG)


@app.command()
def sql(
    tag: Annotated[str, typer.Argument(help="A tag's code.")],
    catalog: Catalog = None,
    as_of: AsOf = None,
    engine: Annotated[str, typer.Option("--engine", help="Whose SQL: duckdb, spark.")] = "duckdb",
    data: Data = None,
) -> None:
    """Print the SQL that computes one tag."""
    from valtag_assets.console.tagsql import tag_sql

    sys.stdout.write(tag_sql(open_setting(catalog, data), tag, as_of, engine) + "\n")


@app.command()
def tags(
    text: Annotated[str | None, typer.Argument(help="Part of a code, title or meaning, in either language.")] = None,
    catalog: Catalog = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Show the tag tree 标签树."""
    from valtag_assets.console.tagtree import print_tags, tag_rows

    setting = open_setting(catalog, data)
    rows = tag_rows(setting, text)
    if as_json:
        print_json([row.to_json() for row in rows])
    else:
        print_tags(screen(), setting, rows)


@app.command()
def show(
    table: Annotated[str, typer.Argument(help="tags/transaction, clean/orders, quarantine/orders, scores/rfm, …")],
    catalog: Catalog = None,
    as_of: AsOf = None,
    known_at: Annotated[
        str | None,
        typer.Option(
            "--known-at",
            metavar="INSTANT",
            help="What was served then: 2024-01-31T08:00:00 (in the catalog's time zone), …Z, or a snapshot's id.",
        ),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="At most so many rows.")] = 20,
    where: Annotated[str | None, typer.Option("--where", help="A condition, as in a segment rule.")] = None,
    person: Annotated[str | None, typer.Option("--person", help="Only the rows of this person.")] = None,
    role: Role = None,
    user: User = None,
    purpose: Purpose = None,
    data: Data = None,
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV on standard output.")] = False,
) -> None:
    """Show rows of a published table, as a role may see them."""
    from valtag_assets.console.rows import Asked, find_rows, print_rows, write_csv

    asked = Asked(table, as_of, limit, where, person, asking(role, user, purpose), known_at)
    found = find_rows(open_setting(catalog, data), asked, "export" if as_json or as_csv else "show")
    if as_json:
        print_json(found.to_json())
    elif as_csv:
        write_csv(found)
    else:
        print_rows(screen(), found)


@app.command()
def snapshots(
    table: Annotated[str, typer.Argument(help="tags/transaction, clean/orders, scores/rfm, …")],
    catalog: Catalog = None,
    as_of: AsOf = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Show every published version of a table: what was known when, and what replaced what."""
    from valtag_assets.console.history import print_versions, versions

    setting = open_setting(catalog, data)
    found = versions(setting, table, as_of)
    if as_json:
        print_json([version.to_json() for version in found])
    else:
        print_versions(screen(), setting, table, found)


@app.command()
def status(catalog: Catalog = None, data: Data = None, as_json: Json = False) -> None:
    """Show the health of every table; exit code 2 when something is refused or held."""
    from dataclasses import asdict

    from valtag_assets.console.doors import oversee
    from valtag_assets.console.listings import holds_something, print_health

    setting = open_setting(catalog, data)
    oversee(setting, "status")
    rows = [asdict(row) for row in _quiet("graph.health").table_health(setting)]
    if as_json:
        print_json(rows)
    else:
        print_health(screen(), rows)
    raise typer.Exit(Exit.HELD if holds_something(rows) else Exit.DONE)


@app.command()
def parity(catalog: Catalog = None, as_of: AsOf = None, data: Data = None, as_json: Json = False) -> None:
    """Compute everything on DuckDB and on Spark, compare every cell; exit code 2 when any differs."""
    both = _quiet("console.parity")
    tables = both.watched_parity(open_setting(catalog, data), as_of, screen(errors=True))
    if as_json:
        print_json([item.to_json() for item in tables])
    else:
        both.print_parity(screen(), tables)
    raise typer.Exit(Exit.DONE if all(item.equal for item in tables) else Exit.HELD)


@app.command()
def vacuum(
    catalog: Catalog = None,
    data: Data = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be removed, and remove nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Remove snapshots that project.yaml: retention does not keep, and what crashes left behind."""
    from valtag_assets.console.upkeep import print_vacuumed, vacuumed_json

    done = _quiet("graph.upkeep").run_vacuum(open_setting(catalog, data), dry_run=dry_run)
    if as_json:
        print_json(vacuumed_json(done))
    else:
        print_vacuumed(screen(), done, dry_run=dry_run)


@app.command()
def repair(
    table: Annotated[
        str | None, typer.Argument(help="tags/transaction, clean/orders, …; every table if left out.")
    ] = None,
    catalog: Catalog = None,
    data: Data = None,
) -> None:
    """Heal lost or damaged manifests and take damaged snapshots out of history; valtag status names them."""
    from valtag_assets.console.upkeep import repaired

    lines = repaired(open_setting(catalog, data), table)
    for line in lines or ["nothing is damaged"]:
        screen().print(line, markup=False, soft_wrap=True)


@app.command()
def generate(
    catalog: Annotated[str, typer.Argument(help="A shipped catalog with a generator, as mall.")],
    persons: Annotated[int, typer.Option("--persons", help="How many persons.")],
    days: Annotated[int, typer.Option("--days", help="How many days of history.")],
    into: Annotated[Path, typer.Option("--into", help="The folder for raw/ and truth/.")],
    seed: Annotated[int, typer.Option("--seed", help="Equal seeds give equal files.")] = 7,
) -> None:
    """Write a shipped catalog's raw tables at any size."""
    from valtag_assets.console.generators import generator

    lines = screen(errors=True)
    make = generator(catalog)
    try:
        rows = make(into, persons, days, seed, lambda line: lines.print(line, markup=False))
    except (ValueError, FileExistsError) as error:
        raise Mistake(str(error)) from error
    screen().print(f"{sum(rows.values()):,} rows in {len(rows)} files under {into}", markup=False, soft_wrap=True)


@app.command()
def ui(
    catalog: Catalog = None,
    port: Annotated[int, typer.Option("--port", min=1, max=65535)] = 3000,
    read_only: Annotated[bool, typer.Option("--read-only", help="For looking: nothing can be started.")] = False,
    data: Data = None,
) -> None:
    """Serve the Dagster UI on this machine; Ctrl-C ends it."""
    from valtag_assets.console.doors import oversee
    from valtag_assets.console.webserver import HOST, serve
    from valtag_assets.graph.home import dagster_home

    setting = open_setting(catalog, data)
    oversee(setting, "the Dagster UI")
    home = dagster_home(setting)
    environment = os.environ | {
        "VALTAG_CATALOG": str(setting.resolved.catalog.root),
        "VALTAG_DATA": str(setting.data),
    }
    screen().print(f"http://{HOST}:{port}  runs are kept in {home}", markup=False, soft_wrap=True)
    raise typer.Exit(Exit.FAULT if serve(port, environment, read_only=read_only) else Exit.DONE)


@app.command()
def schema(
    into: Annotated[Path | None, typer.Option("--into", help="Write one file per kind here.")] = None,
) -> None:
    """Print or write the JSON Schema of catalog files, for editors."""
    from valtag_assets.console.schema import FILES, catalog_schemas, write_schemas

    if into is None:
        print_json(catalog_schemas())
        return
    for path, (_, files) in zip(write_schemas(into), FILES.values(), strict=True):
        screen().print(f"{path}  for {files}", markup=False, soft_wrap=True)


@app.command()
def functions(as_json: Json = False) -> None:
    """Show what expressions may use."""
    from valtag_assets.console.listings import function_table, functions_json

    if as_json:
        print_json(functions_json())
    else:
        screen().print(function_table())


def _quiet(name: str) -> Any:
    """A module that needs Dagster, without the warnings Dagster gives about its own future."""
    from importlib import import_module

    warnings.simplefilter("ignore")
    return import_module(f"valtag_assets.{name}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code. No fault ends in a traceback on the screen."""
    try:
        code = int(app(args=list(arguments) if arguments is not None else None, standalone_mode=False) or Exit.DONE)
        # Typer makes this code of Ctrl-C, or an Abort, as its version goes.
        return exit_code_of(KeyboardInterrupt()) if code == Exit.STOPPED else code
    except typer.Abort:
        return exit_code_of(KeyboardInterrupt())
    except _USAGE_ERROR as error:
        error.show()
        return Exit.WRONG
    except SystemExit:
        # rich ends so when nobody reads our output any more (`valtag tags | head`).
        return Exit.DONE
    except BaseException as error:
        # The one place where every error ends: a message for people, the trace in a log.
        return exit_code_of(error)
