"""Whose entries they are by now: the state of a trigger where persons may turn out to be one, or two.

An entry belongs to whoever the id is now under which the person entered; that id stays, for the messages are known
by it. So a merged person has the entries of both, and counts, cooldowns and the cap of entries see all of them.
"""

import ibis
import ibis.expr.types as ir

from valtag_assets.engine.persons import PERSON
from valtag_assets.engine.successors import renamed
from valtag_assets.engine.trigger_state import ENTERED_AS, MERGED, TEST
from valtag_assets.engine.trigger_steps import appended, is_merged


def as_persons_are_now(table: ibis.Table) -> ibis.Table:
    """Rows of a state, each with the person whose it is now."""
    entered_as = ibis.coalesce(table[ENTERED_AS], table[PERSON])
    columns, table = table.columns, table.mutate(**{ENTERED_AS: entered_as})
    return renamed(table.mutate(**{PERSON: table[ENTERED_AS]})).select(*columns)


def one_goes_on(history: ibis.Table) -> ibis.Table:
    """``history`` where of the open entries that two ids of one person have, one goes on: one with messages or of the
    control arm before others, then the earliest, then the person's own.

    The others are closed with the reason ``merged``: what of them waits to be sent is dropped by the gate, and no
    later step of them comes. Who turns out to be apart again is still in, as long as the rule holds.
    """
    everyone = ibis.window(group_by=PERSON)
    alone = history[ENTERED_AS].min().over(everyone) == history[ENTERED_AS].max().over(everyone)
    history = history.mutate(_back=alone & is_merged(history.reason))
    history = history.mutate(
        is_open=history.is_open | history._back,
        reason=ibis.ifelse(history._back, history.reason.re_replace(rf"(^|,){MERGED}\z", ""), history.reason),
    )
    first = ibis.ifelse(_place(history) == 0, history[ENTERED_AS], ibis.null("string"))
    history = history.mutate(_first=first)
    history = history.mutate(_first=history._first.max().over(everyone))
    ends = history.is_open & (history[ENTERED_AS] != history._first)
    tells = ends & ~is_merged(history.reason)
    return history.mutate(
        is_open=history.is_open & ~ends,
        reason=ibis.ifelse(tells, appended(history.reason, ibis.literal(MERGED)), history.reason),
    ).drop("_back", "_first")


def _place(history: ibis.Table) -> ir.IntegerValue:
    """The place of an entry among those of its person, from 0: who is at 0 goes on, if that is open."""
    silent = (~history.decision.isin(("planned", "control", TEST))).cast("int64")
    rehearsed = (history.decision == TEST).cast("int64")
    other = (history[ENTERED_AS] != history[PERSON]).cast("int64")
    order = [history.is_open.cast("int64").desc(), silent, rehearsed, history.entered, other, history[ENTERED_AS]]
    return ibis.row_number().over(ibis.window(group_by=PERSON, order_by=[*order, history.entry]))
