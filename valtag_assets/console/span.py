"""Which as-ofs a command is for: one, a range, or none named."""

from datetime import date, timedelta

from valtag_assets.spec.mistake import Mistake


def days_of(as_of: date | None, first: date | None, last: date | None) -> list[date]:
    """The as-ofs named by --as-of, or by --from and --to; [] when nobody named one. Mistake for a mix."""
    if first is None and last is None:
        return [as_of] if as_of else []
    if as_of is not None or first is None or last is None:
        raise Mistake("give --as-of, or both --from and --to")
    if last < first:
        raise Mistake(f"--from {first} is later than --to {last}")
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]
