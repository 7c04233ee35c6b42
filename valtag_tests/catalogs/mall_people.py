"""Who is who in the mall: which rows can be told to be one person's, by the truth and by nothing of valtag's.

An identifier is here its true owner's: a number that went on to somebody else is two. One that is two persons' at a
time, or nobody's, tells nothing. Two rows that share one are one person's; rows that share none with the rest of
their person's can't be told to be hers.
"""

import hashlib
from collections.abc import Hashable, Iterable
from pathlib import Path

import pandas as pd

from valtag_assets.catalogs.mall.vocabulary import FAKE_PHONE, NO_DEVICE

KINDS = ["member_no", "phone", "openid", "device_id", "cookie"]
"""The strongest first."""
_VISITORS = {"MINI": "openid", "APP": "device_id", "WEB": "cookie"}
_EVENTS = ["event_id", "person", "member_no"]


def rows_of(truth: Path) -> dict[str, pd.DataFrame]:
    """The rows of every source with its key, who each is of (``person``), and the identifiers it bears."""
    read = {path.stem: pd.read_parquet(path) for path in truth.glob("*.parquet")}
    events = read["events"]
    for channel, kind in _VISITORS.items():
        events[kind] = events["visitor_id"].where(events["channel"] == channel)
    events = events[[*_EVENTS, *_VISITORS.values(), "origin"]]
    return {
        "members": read["members"][["member_no", "person", "phone"]],
        "orders": read["order_lines"][["order_id", "line_no", "person", "member_no", "phone"]],
        "logins": read["logins"][[*KINDS, "seen_at", "person"]],
        "events": events[events["origin"] == "parquet"],
        "events_legacy": events[events["origin"] == "legacy"],
        "campaign_responses": read["campaign_responses"][["campaign_id", "member_no", "action", "person"]],
    }


def knowable(rows: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """``rows`` and the ``piece`` each belongs to: the smallest of the strongest identifiers it holds, as text that
    valtag's ids are hashes of; None where nothing tells whose the row is."""
    borne = pd.concat([_nodes(table) for table in rows.values()])
    devices = borne.dropna(subset=["device_id", "person"]).groupby("device_id")["person"].nunique()
    nothing = {FAKE_PHONE, NO_DEVICE, *devices[devices > 1].index}
    pieces = _joined(_told(row, nothing) for row in borne.itertuples(index=False))
    return {
        code: table.assign(
            piece=[_piece(_told(row, nothing), pieces) for row in _nodes(table).itertuples(index=False)]
        )
        for code, table in rows.items()
    }


def person_id(piece: str | None) -> str | None:
    """The id that valtag gives to the person of a piece."""
    return None if piece is None else hashlib.md5(f"|{piece}".encode()).hexdigest()


def _nodes(table: pd.DataFrame) -> pd.DataFrame:
    return table.reindex(columns=["person", *KINDS]).astype(object)


def _told(row: tuple[Hashable, ...], nothing: set[str]) -> list[Hashable]:
    """The identifiers of a row that tell somebody, each with its owner."""
    person, *keys = row
    return [(rank, key, person) for rank, key in enumerate(keys) if not pd.isna(key) and key not in nothing]


def _joined(bundles: Iterable[list[Hashable]]) -> dict[Hashable, Hashable]:
    """Union-find: of every node the smallest that it hangs together with."""
    above: dict[Hashable, Hashable] = {}

    def top(node: Hashable) -> Hashable:
        while above.setdefault(node, node) != node:
            above[node] = above[above[node]]
            node = above[node]
        return node

    for nodes in bundles:
        for node in nodes[1:]:
            low, high = sorted([top(nodes[0]), top(node)])
            above[high] = low
        if nodes:
            top(nodes[0])
    return {node: top(node) for node in above}


def _piece(nodes: list[Hashable], pieces: dict[Hashable, Hashable]) -> str | None:
    if not nodes:
        return None
    rank, key, _ = pieces[nodes[0]]
    kind = "device" if KINDS[rank] == "device_id" else KINDS[rank]
    return f"{kind}||{key}"
