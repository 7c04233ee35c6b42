"""pandas, as a careful analyst would write it: only the columns needed, whole numbers for money."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

KEY = "member_no"


def build(inputs: Mapping[str, Sequence[Path]], as_of: date, into: Path, spill: Path) -> None:
    pa.set_cpu_count(2)
    end = pd.Timestamp(as_of) + pd.Timedelta(days=1)
    tags = _read(inputs["members"], ["gender", "birth_date", "city", "channel", "registered_at", "level"])
    orders = _read(
        inputs["orders"],
        ["order_id", "ordered_at", "channel", "brand", "category", "amount", "status"],
        "amount",
        100,
    )
    parts = [*_of_orders(orders[orders["ordered_at"] < end], end)]
    del orders
    columns = ["event_id", "happened_at", "event_type", "category", "dwell_seconds"]
    events = _read(inputs["events"], columns, "dwell_seconds", 1000)
    parts += _of_events(events[events["happened_at"] < end], end)
    del events
    for part in parts:
        tags = tags.merge(part, how="left", left_on=KEY, right_index=True)
    _tags(tags, as_of).sort_values("person_id").to_parquet(into, index=False)


def _read(files: Sequence[Path], columns: list[str], decimal: str = "", units: int = 1) -> pd.DataFrame:
    """The columns, and the decimal one as whole minor units."""
    table = ds.dataset([str(file) for file in files]).to_table([KEY, *columns])
    if decimal:
        number = pc.round(pc.multiply(pc.cast(table[decimal], pa.float64()), float(units)))
        table = table.set_column(table.column_names.index(decimal), decimal, pc.cast(number, pa.int64()))
    return table.to_pandas(strings_to_categorical=False)


def _top(values: pd.DataFrame, by: list[str], value: str) -> pd.DataFrame:
    """The first value of each person: larger measures first, then the smaller value."""
    order = values.sort_values([*by, value], ascending=[*[False] * len(by), True], kind="stable")
    return order.drop_duplicates(KEY).set_index(KEY)[[value]]


def _of_orders(orders: pd.DataFrame, end: pd.Timestamp) -> list[pd.DataFrame]:
    paid = orders[orders["status"] == "paid"]
    year, month = (paid["ordered_at"] >= end - pd.Timedelta(days=days) for days in (365, 30))
    spend = pd.DataFrame(
        {
            "total_spend": paid.groupby(KEY)["amount"].sum(),
            "total_spend_365d": paid[year].groupby(KEY)["amount"].sum(),
            "total_spend_30d": paid[month].groupby(KEY)["amount"].sum(),
            "refund_amount": -orders[orders["status"] == "refunded"].groupby(KEY)["amount"].sum(),
            "last_order_at": paid.groupby(KEY)["ordered_at"].max(),
        }
    )
    numbers = paid.groupby([KEY, "order_id"], sort=False)["ordered_at"].max().reset_index()
    counts = pd.DataFrame(
        {
            "order_count": numbers.groupby(KEY).size(),
            "order_count_365d": numbers[numbers["ordered_at"] >= end - pd.Timedelta(days=365)].groupby(KEY).size(),
            "order_count_30d": numbers[numbers["ordered_at"] >= end - pd.Timedelta(days=30)].groupby(KEY).size(),
        }
    )
    found = [spend, counts]
    ranks = (
        ("brand", ["lines", "spent"], "top_brand"),
        ("category", ["spent"], "category_preference"),
        ("channel", ["lines", "spent"], "channel_preference"),
    )
    for value, by, name in ranks:
        grouped = paid.groupby([KEY, value], sort=False)["amount"]
        values = grouped.agg(lines="count", spent="sum").reset_index()
        found.append(_top(values, by, value).rename(columns={value: name}))
        if value == "brand":
            found.append(values.groupby(KEY).size().rename("brand_count").to_frame())
    return found


def _of_events(events: pd.DataFrame, end: pd.Timestamp) -> list[pd.DataFrame]:
    month = events["happened_at"] >= end - pd.Timedelta(days=30)
    visit = events["event_type"] == "visit"
    acts = pd.DataFrame(
        {
            "visit_count": events[visit].groupby(KEY).size(),
            "visit_count_30d": events[visit & month].groupby(KEY).size(),
            "page_view_count_30d": events[events["event_type"].isin(["page_view", "click"]) & month]
            .groupby(KEY)
            .size(),
            "last_active_at": events.groupby(KEY)["happened_at"].max(),
            "first_active_at": events.groupby(KEY)["happened_at"].min(),
            "dwell": events.groupby(KEY)["dwell_seconds"].sum(),
            "dwelt": events.groupby(KEY)["dwell_seconds"].count(),
        }
    )
    viewed = events[(events["event_type"] == "page_view") & events["category"].notna()]
    last = viewed.sort_values(["happened_at", "event_id", "category"]).drop_duplicates(KEY, keep="last")
    last = last.set_index(KEY)[["category"]].rename(columns={"category": "last_viewed_category"})
    days = events[month].assign(day=lambda rows: rows["happened_at"].dt.floor("D"))[[KEY, "day"]].drop_duplicates()
    active = days.groupby(KEY).size().rename("active_days_30d").to_frame()
    recent = events[(events["happened_at"] >= end - pd.Timedelta(days=90)) & events["category"].notna()]
    seen = recent.groupby([KEY, "category"], sort=False).size().rename("n").reset_index()
    seen = seen.sort_values(["n", "category"], ascending=[False, True])
    first = seen.groupby(KEY, sort=False).head(3).groupby(KEY)["category"].agg(list)
    return [acts, last, active, first.rename("interest_categories_90d").to_frame()]


def _tags(tags: pd.DataFrame, as_of: date) -> pd.DataFrame:
    counted = [
        *("total_spend", "total_spend_365d", "total_spend_30d", "refund_amount"),
        *("order_count", "order_count_365d", "order_count_30d", "brand_count"),
        *("visit_count", "visit_count_30d", "page_view_count_30d", "active_days_30d"),
    ]
    tags[counted] = tags[counted].fillna(0).astype("int64")
    born = pd.to_datetime(tags["birth_date"])
    later = as_of.month * 100 + as_of.day < born.dt.month * 100 + born.dt.day
    tags["age"] = (as_of.year - born.dt.year - later).where(born.notna()).astype("Int64")
    spend, orders = tags["total_spend"], tags["order_count"]
    tags["avg_order_value"] = ((2 * spend + orders) // (2 * orders.where(orders > 0))) / 100
    tags["avg_dwell_seconds"] = ((2 * tags["dwell"] + tags["dwelt"]) // (2 * tags["dwelt"])) / 1000
    tags["spend_tier"] = np.select([spend >= 300000, spend >= 100000, spend >= 1], ["high", "middle", "low"], "none")
    today = pd.Timestamp(as_of)
    since = (today - tags["last_order_at"].dt.floor("D")).dt.days
    tags["days_since_last_order"] = since.astype("Int64")
    tags["days_since_first_event"] = (today - tags["first_active_at"].dt.floor("D")).dt.days.astype("Int64")
    conditions = [
        orders == 0,
        (since > 90) & (spend > 300000),
        since > 180,
        since > 90,
        (orders == 1) & (since <= 30),
    ]
    names = ["prospect", "dormant_high_value", "dormant", "slipping", "new"]
    tags["lifecycle_stage"] = np.select(conditions, names, "active")
    tags[counted[:4]] = tags[counted[:4]] / 100
    tags = tags.rename(columns={KEY: "person_id", "channel": "member_channel", "level": "member_level"})
    return tags.drop(columns=["birth_date", "dwell", "dwelt", "first_active_at"])
