"""Quiet hours: until when a message to somebody in a time zone must wait."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from valtag_assets.spec.project import Quiet


def quiet_until(quiet: Quiet, zone: ZoneInfo, now: datetime) -> datetime | None:
    """The instant (UTC) at which the quiet hours end that ``now`` lies in; None outside them.

    ``from`` belongs to them, ``to`` does not. Clocks that are put forward or back are those of the zone: an end that
    does not exist that day is as much later as the clock jumps.
    """
    local = now.astimezone(zone)
    first, last = time.fromisoformat(quiet.since), time.fromisoformat(quiet.to)
    clock = local.time().replace(tzinfo=None, fold=0)
    inside = first <= clock < last if first < last else clock >= first or clock < last
    if not inside:
        return None
    day = local.date() if clock < last else local.date() + timedelta(days=1)
    end = datetime.combine(day, last, zone).astimezone(UTC)
    if end <= now:
        # The hour that the clock shows twice: its second end.
        end = datetime.combine(day, last, zone).replace(fold=1).astimezone(UTC)
    return end
