"""A handful of tags of each starter pack, recomputed in pandas from the raw files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from valtag_tests.catalogs.people import true_ids, true_persons
from valtag_tests.catalogs.raw import days_since, half_up, money, read_raw

Recomputed = dict[str, dict[str, pd.Series]]
"""By category and tag: the values of the persons who have one."""


def _share(rows: pd.DataFrame, wanted: pd.Series, weight: pd.Series) -> pd.Series:
    part = weight.where(wanted, 0).groupby(rows["person"]).sum()
    return half_up(part / weight.groupby(rows["person"]).sum(), 4)


def retail(data: Path) -> Recomputed:
    lines = read_raw(data / "orders.csv", "小票号", "下单时间", ["小票号", "行号"])
    truly = lines["小票号"].map(true_persons(data, "订单"))
    lines = lines.assign(person=truly.map(true_ids(data, lines))).dropna(subset="person")
    paid = lines[lines["状态"].isin(["已支付", "PAID"])]
    amount, at_list = money(paid, "实付"), money(paid, "应付")
    who = paid["person"]
    spend, orders = amount.groupby(who).sum(), paid.groupby("person")["小票号"].nunique()
    promoted = _share(paid, amount < at_list, amount)
    levels = np.select([promoted >= 0.7, promoted >= 0.3], ["high", "middle"], "low")
    return {
        "transaction": {
            "total_spend": spend,
            "order_count": orders,
            "pieces_per_order": half_up(paid["件数"].astype(int).groupby(who).sum() / orders, 2),
            "store_share": _share(paid, paid["渠道"].isin(["门店", "POS", "STORE"]), amount),
            "weekend_share": _share(paid, paid["time"].dt.dayofweek >= 5, amount),
        },
        "interest": {
            "discount_rate": half_up(1 - spend / at_list.groupby(who).sum(), 4),
            "promotion_sensitivity": pd.Series(levels, promoted.index),
        },
    }


def beauty(data: Path) -> Recomputed:
    lines = read_raw(data / "orders.csv", "会员卡号", "下单时间", ["订单号", "行号"])
    kept = lines[lines["状态"].isin(["已完成", "DONE"])].assign(sku=lines["货号"].str.upper())
    products = pd.read_csv(data / "products.csv", dtype=str).set_index("货号")
    kept = kept.assign(category=kept["sku"].map(products["品类"]), pieces=kept["件数"].astype(int))
    days = kept.assign(day=kept["time"].dt.normalize()).groupby("person")["day"]
    span = (days.max() - days.min()).dt.days
    cycle = half_up((span / (days.nunique() - 1)).where(days.nunique() > 1).dropna(), 1)
    bottles = kept[~kept["category"].isin(["面膜", "香水"])].groupby("person")["pieces"].sum()
    empties = read_raw(data / "empties.csv", "会员卡号", "回收时间", ["回收单号"])
    returned = empties.groupby("person").size().reindex(bottles.index, fill_value=0)
    return {
        "interest": {
            "category_penetration": kept.groupby("person")["category"].nunique() / 10,
            "empty_bottle_rate": half_up(np.minimum(returned, bottles) / bottles, 4),
        },
        "lifecycle": {"days_since_last_order": days_since(kept), "repurchase_cycle_days": cycle},
    }


def education(data: Path) -> Recomputed:
    lessons = read_raw(data / "lessons.csv", "学号", "上课时间", ["课次号"])
    there = lessons["考勤"].isin(["出勤", "PRESENT", "迟到", "LATE"])
    enrolments = read_raw(data / "enrolments.csv", "学号", "报名时间", ["报名号"])
    trial = enrolments["类型"].isin(["试听", "TRIAL"])
    valid = enrolments[enrolments["状态"].isin(["有效", "OK"]) & ~trial]
    bought = valid["课时数"].astype(int).groupby(valid["person"]).sum()
    used = lessons.groupby("person").size()
    tried, enrolled = days_since(enrolments[trial], "min"), days_since(enrolments[~trial], "min")
    both = pd.DataFrame({"tried": tried, "enrolled": enrolled})
    outcome = np.select(
        [both["tried"].isna(), both["enrolled"].notna(), both["tried"] <= 30],
        ["direct", "converted", "open"],
        "missed",
    )
    return {
        "learning": {"attendance_rate": half_up(there.groupby(lessons["person"]).mean(), 4)},
        "transaction": {
            "tuition_total": money(valid, "实付").groupby(valid["person"]).sum(),
            "course_progress": half_up(used.reindex(bought.index, fill_value=0) / bought, 4),
        },
        "lifecycle": {"trial_outcome": pd.Series(outcome, both.index)},
    }


def clinic(data: Path) -> Recomputed:
    purchases = read_raw(data / "purchases.csv", "客户编号", "开单时间", ["开单号"])
    valid = purchases[purchases["状态"].isin(["正常", "OK"])]
    talks = read_raw(data / "consultations.csv", "客户编号", "咨询时间", ["咨询号"])
    treatments = read_raw(data / "treatments.csv", "客户编号", "治疗时间", ["治疗号"])
    calls = read_raw(data / "follow_ups.csv", "客户编号", "回访时间", ["回访号"])
    spend = money(valid, "实收").groupby(valid["person"]).sum()
    sessions = valid["次数"].astype(int).groupby(valid["person"]).sum()
    done = treatments.groupby("person").size()
    treated = days_since(treatments)
    called = days_since(calls).reindex(treated.index)
    due = treated[treated.between(1, 10) & ~(called < treated)]
    return {
        "transaction": {
            "total_spend": spend,
            "avg_ticket": half_up(spend / valid.groupby("person").size(), 2),
            "closing_rate": half_up(talks["结果"].isin(["成交", "DEAL"]).groupby(talks["person"]).mean(), 4),
        },
        "treatment": {
            "treatment_count": done,
            "course_progress": half_up(
                np.minimum(done.reindex(sessions.index, fill_value=0), sessions) / sessions, 4
            ),
            "days_since_treatment": treated,
            "is_follow_up_due": pd.Series(True, due.index),
        },
    }


RECOMPUTED: dict[str, Callable[[Path], Recomputed]] = {
    "beauty": beauty,
    "clinic": clinic,
    "education": education,
    "retail": retail,
}
