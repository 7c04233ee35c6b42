"""The state of what is served, table by table, from the manifests alone."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from valtag_assets.engine.rules import segments_name
from valtag_assets.engine.scores import scores_name
from valtag_assets.engine.tags import tags_name
from valtag_assets.expression.resolved import Resolved
from valtag_assets.serving.published import Origin, Published
from valtag_assets.warehouse.errors import WarehouseError
from valtag_assets.warehouse.snapshot import TableRef
from valtag_assets.warehouse.store import Warehouse


def served_tables(resolved: Resolved) -> list[TableRef]:
    """The tables that answers rest on, in the order of the flow."""
    names = [*map(tags_name, resolved.categories), *map(scores_name, resolved.scores)]
    return [TableRef.parse(name) for name in [*names, *map(segments_name, resolved.segments)]]


def table_states(warehouse: Warehouse, resolved: Resolved, now: Published) -> list[dict[str, Any]]:
    """One row per table: what is served of it, how old its data are, what is held, and what stands against it.

    ``state``: ok; held (some tags, whose last good values are served); stale (older than the as-of, or something
    newer was refused or failed: the last good one is served); missing (never published).
    """
    return list(_states(warehouse, resolved, now))


def _states(warehouse: Warehouse, resolved: Resolved, now: Published) -> Iterator[dict[str, Any]]:
    belongs = {tag.code: tags_name(tag.category) for tag in resolved.tags.values()}
    for code, score in resolved.scores.items():
        belongs |= dict.fromkeys(score.columns, scores_name(code))
    belongs |= {table.key: table.key for table in served_tables(resolved)}
    for table in served_tables(resolved):
        origin = now.origins.get(table.key)
        held = sorted(code for code in now.held if belongs.get(code) == table.key)
        reason = _blocked(warehouse, table)
        late = origin is not None and origin.as_of is not None and origin.as_of < now.as_of.isoformat()
        state = "missing" if origin is None else "stale" if late or reason else "held" if held else "ok"
        yield {
            "table": table.key,
            "state": state,
            "as_of": origin.as_of if origin else None,
            "known_at": origin.known_at if origin else None,
            "data_until": origin.data_until if origin else None,
            "data_age_days": _age_days(origin, now) if origin else None,
            "held": held,
            "reason": reason,
        }


def _blocked(warehouse: Warehouse, table: TableRef) -> str | None:
    """Why the newest try of a table came to nothing, or why its manifest can't be read."""
    try:
        attempt = warehouse.newest_attempt(table)
    except WarehouseError as error:
        return f"damaged: {error}"
    return f"{attempt.outcome}: {attempt.reason}" if attempt is not None and attempt.blocks else None


def _age_days(origin: Origin, now: Published) -> int | None:
    """Days from the latest event seen to the as-of that is served."""
    if origin.data_until is None:
        return None
    return max(0, (now.as_of - datetime.fromisoformat(origin.data_until).date()).days)
