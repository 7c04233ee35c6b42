"""Who is who in the retail pack: the persons who were made up, under the ids that valtag gives them."""

import hashlib
from pathlib import Path

import pandas as pd

from valtag_tests.catalogs.raw import normal


def true_persons(data: Path, about: str) -> pd.Series:
    """The number of who a card (会员), receipt (订单) or coupon (领券) truly is of, missing for nobody."""
    told = pd.read_csv(data / "true_persons.csv", dtype={"编号": str, "真人": "Int64"})
    return told[told["表"] == about].set_index("编号")["真人"]


def true_ids(data: Path, orders: pd.DataFrame) -> pd.Series:
    """By number: the id, a hash of the smallest of the strongest identifiers a person has.

    ``orders``: the usable rows. Guests have no rows but those, and no two of them one phone.
    """
    cards = true_persons(data, "会员")
    guests = orders.assign(person=orders["小票号"].map(true_persons(data, "订单"))).dropna(subset="person")
    found = [
        pd.DataFrame({"person": cards, "key": "member_no||" + cards.index}),
        pd.DataFrame({"person": guests["person"], "key": "openid||" + guests["OpenID"]})[guests["OpenID"] != ""],
        pd.DataFrame({"person": guests["person"], "key": "phone||" + guests["手机号"].map(_mobile)}),
    ]
    smallest = [part.groupby("person")["key"].min() for part in found]
    key = smallest[0].combine_first(smallest[1]).combine_first(smallest[2])
    return key.map(lambda text: hashlib.md5(f"|{text}".encode()).hexdigest())


def _mobile(text: str) -> str:
    return "".join(letter for letter in normal(text) if letter.isdigit())[-11:]
