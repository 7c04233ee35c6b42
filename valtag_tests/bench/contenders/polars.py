"""polars, lazy, with its streaming engine where it has one."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path

import polars as pl

KEY = "member_no"


def build(inputs: Mapping[str, Sequence[Path]], as_of: date, into: Path, spill: Path) -> None:
    members, orders, events = (pl.scan_parquet(list(inputs[name])) for name in ("members", "orders", "events"))
    orders = orders.filter(pl.col("ordered_at").dt.date() <= as_of).with_columns(
        cents=(pl.col("amount").cast(pl.Float64) * 100).round().cast(pl.Int64)
    )
    events = events.filter(pl.col("happened_at").dt.date() <= as_of)
    joined = members
    for part in (*_of_orders(orders, as_of), *_of_events(events, as_of)):
        joined = joined.join(part, on=KEY, how="left")
    _tags(joined, as_of).sort("person_id").collect(engine="streaming").write_parquet(into)


def _since(column: str, as_of: date, days: int) -> pl.Expr:
    return pl.col(column).dt.date() > as_of - timedelta(days=days)


def _of_orders(orders: pl.LazyFrame, as_of: date) -> list[pl.LazyFrame]:
    year, month = _since("ordered_at", as_of, 365), _since("ordered_at", as_of, 30)
    cents, is_paid = pl.col("cents"), pl.col("status") == "paid"
    spend = orders.group_by(KEY).agg(
        cents.filter(is_paid).sum().alias("total_spend"),
        cents.filter(is_paid & year).sum().alias("total_spend_365d"),
        cents.filter(is_paid & month).sum().alias("total_spend_30d"),
        (-cents.filter(pl.col("status") == "refunded").sum()).alias("refund_amount"),
        pl.col("ordered_at").filter(is_paid).max().alias("last_order_at"),
    )
    paid = orders.filter(is_paid)
    counts = paid.group_by(KEY, "order_id").agg(pl.col("ordered_at").max()).group_by(KEY).agg(
        pl.len().cast(pl.Int64).alias("order_count"),
        year.sum().cast(pl.Int64).alias("order_count_365d"),
        month.sum().cast(pl.Int64).alias("order_count_30d"),
    )  # fmt: skip
    lines = [pl.len().alias("lines"), cents.sum().alias("spent")]
    brands = paid.filter(pl.col("brand").is_not_null()).group_by(KEY, "brand").agg(lines)
    favourite = (
        brands.sort("lines", "spent", "brand", descending=[True, True, False])
        .group_by(KEY)
        .agg(pl.col("brand").first().alias("top_brand"), pl.len().cast(pl.Int64).alias("brand_count"))
    )
    categories = paid.filter(pl.col("category").is_not_null()).group_by(KEY, "category").agg(lines)
    preferred = (
        categories.sort("spent", "category", descending=[True, False])
        .group_by(KEY)
        .agg(pl.col("category").first().alias("category_preference"))
    )
    channels = paid.filter(pl.col("channel").is_not_null()).group_by(KEY, "channel").agg(lines)
    usual = (
        channels.sort("lines", "spent", "channel", descending=[True, True, False])
        .group_by(KEY)
        .agg(pl.col("channel").first().alias("channel_preference"))
    )
    return [spend, counts, favourite, preferred, usual]


def _of_events(events: pl.LazyFrame, as_of: date) -> list[pl.LazyFrame]:
    month, kind = _since("happened_at", as_of, 30), pl.col("event_type")
    milli = (pl.col("dwell_seconds").cast(pl.Float64) * 1000).round().cast(pl.Int64)
    acts = events.group_by(KEY).agg(
        (kind == "visit").sum().cast(pl.Int64).alias("visit_count"),
        ((kind == "visit") & month).sum().cast(pl.Int64).alias("visit_count_30d"),
        (kind.is_in(["page_view", "click"]) & month).sum().cast(pl.Int64).alias("page_view_count_30d"),
        pl.col("happened_at").max().alias("last_active_at"),
        pl.col("happened_at").min().alias("first_active_at"),
        milli.sum().alias("dwell"),
        milli.count().cast(pl.Int64).alias("dwelt"),
    )
    viewed = events.filter((kind == "page_view") & pl.col("category").is_not_null())
    last = (
        viewed.sort("happened_at", "event_id", "category")
        .group_by(KEY)
        .agg(pl.col("category").last().alias("last_viewed_category"))
    )
    days = events.filter(month).select(KEY, day=pl.col("happened_at").dt.date()).unique()
    active = days.group_by(KEY).agg(pl.len().cast(pl.Int64).alias("active_days_30d"))
    recent = events.filter(_since("happened_at", as_of, 90) & pl.col("category").is_not_null())
    interests = (
        recent.group_by(KEY, "category")
        .agg(pl.len().alias("n"))
        .sort("n", "category", descending=[True, False])
        .group_by(KEY)
        .agg(pl.col("category").head(3).alias("interest_categories_90d"))
    )
    return [acts, last, active, interests]


def _tags(joined: pl.LazyFrame, as_of: date) -> pl.LazyFrame:
    counted = [
        *("total_spend", "total_spend_365d", "total_spend_30d", "refund_amount"),
        *("order_count", "order_count_365d", "order_count_30d", "brand_count"),
        *("visit_count", "visit_count_30d", "page_view_count_30d", "active_days_30d"),
    ]
    joined = joined.with_columns(pl.col(counted).fill_null(0))
    born, spend, orders = pl.col("birth_date"), pl.col("total_spend"), pl.col("order_count")
    later = as_of.month * 100 + as_of.day < born.dt.month().cast(pl.Int32) * 100 + born.dt.day()
    since = (pl.lit(as_of) - pl.col("last_order_at").dt.date()).dt.total_days()

    def units(value: pl.Expr, over: pl.Expr) -> pl.Expr:
        # A half goes away from zero, exactly: whole numbers only.
        return pl.when(over > 0).then((2 * value + over) // (2 * over))

    tier = pl.when(spend >= 300000).then(pl.lit("high")).when(spend >= 100000).then(pl.lit("middle"))
    stage = pl.when(orders == 0).then(pl.lit("prospect")).when((since > 90) & (spend > 300000))
    stage = stage.then(pl.lit("dormant_high_value")).when(since > 180).then(pl.lit("dormant"))
    stage = stage.when(since > 90).then(pl.lit("slipping")).when((orders == 1) & (since <= 30)).then(pl.lit("new"))
    return joined.select(
        pl.col(KEY).alias("person_id"),
        "gender",
        (as_of.year - born.dt.year() - later.cast(pl.Int32)).cast(pl.Int64).alias("age"),
        "city",
        pl.col("channel").alias("member_channel"),
        "registered_at",
        pl.col("level").alias("member_level"),
        *[(pl.col(name) / 100).alias(name) for name in counted[:4]],
        *counted[4:],
        "last_order_at",
        (units(spend, orders) / 100).alias("avg_order_value"),
        "top_brand",
        tier.when(spend >= 1).then(pl.lit("low")).otherwise(pl.lit("none")).alias("spend_tier"),
        "category_preference",
        "channel_preference",
        "interest_categories_90d",
        "last_active_at",
        "last_viewed_category",
        (units(pl.col("dwell"), pl.col("dwelt")) / 1000).alias("avg_dwell_seconds"),
        since.alias("days_since_last_order"),
        (pl.lit(as_of) - pl.col("first_active_at").dt.date()).dt.total_days().alias("days_since_first_event"),
        stage.otherwise(pl.lit("active")).alias("lifecycle_stage"),
    )
