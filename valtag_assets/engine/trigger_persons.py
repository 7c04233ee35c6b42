"""Whose entries they are by now: the state of a trigger where persons may turn out to be one, or two.

An entry belongs to whoever the id is now under which the person entered; that id stays, for the messages are known
by it. So a merged person has the entries of both, and counts, cooldowns and the cap of entries see all of them.
"""

import ibis

from valtag_assets.engine.persons import PERSON
from valtag_assets.engine.successors import renamed
from valtag_assets.engine.trigger_state import ENTERED_AS, MERGED, TEST, Planning
from valtag_assets.engine.trigger_steps import appended


def as_persons_are_now(table: ibis.Table) -> ibis.Table:
    """Rows of a state, each with the person whose it is now."""
    entered_as = ibis.coalesce(table[ENTERED_AS], table[PERSON])
    columns, table = table.columns, table.mutate(**{ENTERED_AS: entered_as})
    return renamed(table.mutate(**{PERSON: table[ENTERED_AS]})).select(*columns)


def one_goes_on(planning: Planning, history: ibis.Table) -> ibis.Table:
    """``history`` where of the open entries that two ids of one person have, one goes on: one with messages or of the
    control arm before others, then the earliest, then the person's own.

    The others are closed for good with the reason ``merged``: what of them waits to be sent is dropped by the gate,
    and no later step of them comes.
    """
    silent = (~history.decision.isin(("planned", "control", TEST))).cast("int64")
    rehearsed = (history.decision == TEST).cast("int64")
    other = (history[ENTERED_AS] != history[PERSON]).cast("int64")
    order = [history.is_open.cast("int64").desc(), silent, rehearsed, history.entered, other, history[ENTERED_AS]]
    place = ibis.row_number().over(ibis.window(group_by=PERSON, order_by=[*order, history.entry]))
    history = history.mutate(_place=place)
    first = ibis.ifelse(history._place == 0, history[ENTERED_AS], ibis.null("string"))
    history = history.mutate(_first=first.max().over(ibis.window(group_by=PERSON)))
    ends = history.is_open & (history[ENTERED_AS] != history._first)
    told = ("," + history.reason + ",").contains(f",{MERGED},")
    return history.mutate(
        is_open=history.is_open & ~ends,
        exited=ibis.ifelse(ends, ibis.coalesce(history.exited, ibis.literal(planning.as_of)), history.exited),
        reason=ibis.ifelse(ends & ~told, appended(history.reason, ibis.literal(MERGED)), history.reason),
    ).drop("_place", "_first")
