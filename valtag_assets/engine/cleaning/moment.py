"""Plan dates and timestamps: what a text says, in which zone, brought to the project's wall clock."""

import ibis
from ibis.expr.types import Table, Value

from valtag_assets.engine.cleaning import temporal, zones
from valtag_assets.engine.cleaning.plan import FieldPlan
from valtag_assets.spec.project import Project


def plan_time(plan: FieldPlan, project: Project) -> None:
    """Text to time: local times and instants apart, since only instants have to be brought to a zone."""
    field, source = plan.field, plan.column
    formats = temporal.compile_formats(field.formats, field.two_digit_years)
    naive: str | None = None
    instant: str | None = None
    if formats.instants and formats.naive:
        first, second = temporal.parse_naive, temporal.parse_instant
        if formats.epochs_first:
            first, second = second, first
        found = plan.add_aside("parse", lambda t: first(t[source], formats))
        other = plan.add_aside(
            "rest", lambda t: t[found].isnull().ifelse(second(t[source], formats), ibis.null("timestamp"))
        )
        naive, instant = (other, found) if formats.epochs_first else (found, other)
    elif formats.instants:
        instant = plan.add_aside("parse", lambda t: temporal.parse_instant(t[source], formats))
    else:
        naive = plan.add_aside("parse", lambda t: temporal.parse_naive(t[source], formats))
    plan_zone(plan, naive, instant, project)


def plan_zone(plan: FieldPlan, naive: str | None, instant: str | None, project: Project) -> None:
    """Bring local times of the field's zone, and instants, to the wall clock of the project's zone.

    A date keeps the date of a local time as it is written; that of an instant is the local one.
    """
    field = plan.field
    here = project.timezone
    source = field.timezone or here
    if naive and field.type.kind == "timestamp" and source != here:
        instant = _plan_utc(plan, naive, instant, source)
        naive = None

    def local(t: Table) -> Value:
        moment = _first_of(t, naive, zones.utc_to_local(t[instant], here) if instant else None)
        return moment.date() if field.type.kind == "date" else moment

    plan.add("local", local)


def _plan_utc(plan: FieldPlan, naive: str, instant: str | None, zone: str) -> str:
    """The column of instants: those found as such, and the local times of ``zone``."""
    return plan.add_aside("zone", lambda t: _first_of(t, instant, zones.local_to_utc(t[naive], zone)))


def _first_of(table: Table, column: str | None, other: Value | None) -> Value:
    if column is None:
        assert other is not None
        return other
    return table[column] if other is None else ibis.coalesce(table[column], other)
