"""Laws between proposed tags: what the tags mean makes them, what the data say may unmake them."""

import pyarrow as pa
import pytest

from valtag_assets.expression.resolve import resolve_catalog
from valtag_assets.expression.resolved import Resolved
from valtag_assets.spec.tag_text import NoPlace, with_laws
from valtag_assets.wizard.drafting import draft
from valtag_assets.wizard.laws import laws
from valtag_assets.wizard.one import Wish, propose_one
from valtag_tests.kit import ORDERS, make_catalog

COUNT, SPEND = Wish("orders", "count", ("all", "30d", "90d")), Wish("orders.amount", "sum", ("all", "30d"))
LAST, FIRST = Wish("orders", "days_since_last"), Wish("orders", "days_since_first")
VALUES = {
    "order_count": [3, 0, 1],
    "order_count_30d": [1, 0, 0],
    "order_count_90d": [2, 0, 1],
    "spend": [30, 0, -5],
    "spend_30d": [40, 0, 0],
    "days_since_last_order": [4, None, 50],
    "days_since_first_order": [100, None, 50],
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Resolved:
    return make_catalog(tmp_path_factory.mktemp("shop"), {"sources/orders.yaml": ORDERS + "family: transaction\n"})


def proposed(shop: Resolved, **changed: list[int | None]) -> set[str]:
    proposals = [propose_one(shop, wish) for wish in (COUNT, SPEND, LAST, FIRST)]
    values = {code: pa.chunked_array([pa.array(column)]) for code, column in {**VALUES, **changed}.items()}
    return {law.law for law in laws(draft(shop, proposals).resolved, proposals, values)}


def test_windows_lie_in_each_other_and_nothing_comes_of_nothing(shop: Resolved) -> None:
    assert proposed(shop) == {
        "order_count_30d <= order_count_90d",
        "order_count_90d <= order_count",
        "days_since_last_order <= days_since_first_order",
        "order_count > 0 or spend = 0",
    }, "an amount may be negative, so more may be spent in 30 days than ever"


def test_what_the_data_break_is_no_law(shop: Resolved) -> None:
    assert "order_count > 0 or spend = 0" not in proposed(shop, spend=[30, 7, -5])
    assert "days_since_last_order <= days_since_first_order" not in proposed(shop, days_since_first_order=[1, 1, 1])


def test_laws_stand_behind_those_there_are_and_the_catalog_checks(shop: Resolved) -> None:
    proposals = [propose_one(shop, COUNT)]
    values = {code: pa.chunked_array([pa.array(column)]) for code, column in VALUES.items()}
    found = laws(draft(shop, proposals).resolved, proposals, values)
    draft(shop, proposals, found).write()
    made = resolve_catalog(shop.catalog.root)
    (category,) = made.categories.values()
    assert [(law.text, law.severity) for law in category.laws] == [(law.law, "warn") for law in found]
    assert not laws(made, proposals, values), "what is there is not proposed again"


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("tags: []", "tags: []\nlaws:\n  - {name: a, law: b}\n"),
        (
            "laws:\n- {name: x, law: y} # why\n# end\ntags: []\n",
            "laws:\n- {name: x, law: y} # why\n- {name: a, law: b}\n# end\ntags: []\n",
        ),
        ("tags: []\r\nlaws:\r\n  - name: x\r\n    law: y", "tags: []\r\nlaws:\r\n  - name: x\r\n    law: y\r\n  - "),
    ],
)
def test_no_other_line_of_the_file_changes(text: str, after: str) -> None:
    assert with_laws(text, [{"name": "a", "law": "b"}]).startswith(after)


def test_laws_on_one_line_are_left_alone() -> None:
    with pytest.raises(NoPlace, match="one below the other"):
        with_laws("laws: [{name: x, law: y}]\n", [{"name": "a", "law": "b"}])
