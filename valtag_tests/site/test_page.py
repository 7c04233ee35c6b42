"""The page about a run: what it shows, what it hides, and that it stands alone."""

import re
from collections.abc import Iterator
from datetime import date, timedelta
from html.parser import HTMLParser
from pathlib import Path

import dagster as dg
import pytest

from valtag_assets.graph.jobs import DERIVE, INTAKE
from valtag_assets.site.page import render, write_page
from valtag_assets.spec.mistake import Mistake
from valtag_assets.spec.score import COMMON_TIERS
from valtag_tests.graph.shop import AS_OF, ATTRIBUTE, FILES, RFM, SEGMENTS, TRANSACTION, Shop, customers

EVIL = "<script>alert('上海')</script>"
SECRETS = """\
  - code: nickname
    title: {zh: 昵称, en: Nickname}
    type: text
    access: sensitive
    value: {master: customers, of: nickname}
"""
REPORTS = """
reports:
  - code: conversion
    title: {zh: 城市转化, en: "Conversion <b>by</b> city"}
    window: 3d
    dimensions: [{tag: city}]
    measures:
      - {code: people, title: {zh: 人数, en: People}, agg: persons}
      - {code: buyers, title: {zh: 下单人数, en: Buyers}, fact: orders, agg: persons}
      - {code: rate, title: {zh: 转化率, en: Rate}, ratio: [buyers, people]}
  - code: by_nickname
    title: {zh: 昵称, en: By nickname}
    dimensions: [{tag: nickname}]
    measures: [{code: people, title: {zh: 人数, en: People}, agg: persons}]
"""
MONEY = """
allocation: money
title: {zh: 城市预算, en: "Budget <b>by</b> tier"}
of: rfm_tier
budget: {amount: 1000, currency: USD}
tiers:
""" + "".join(
    f"  - {{tier: {tier.code}, share: {int(tier.code == 'loyal')}, offer: {{zh: 券, en: Coupon}}}}\n"
    for tier in COMMON_TIERS
)
CUSTOMERS = FILES["sources/customers.yaml"] + "  - {name: nickname, from: 昵称, type: text, access: sensitive}\n"
CHANGED = {
    **FILES,
    "sources/customers.yaml": CUSTOMERS,
    "tags/attribute.yaml": ATTRIBUTE.replace("    domain: {values: [上海, 北京, 成都]}\n", "") + SECRETS,
    "tags/transaction.yaml": TRANSACTION.replace("en: Orders", f'en: "Orders {EVIL}"'),
    "segments/audiences.yaml": SEGMENTS.replace(
        "rule: total_spend > 100", "rule: total_spend > 100\n    limit: 17"
    ).replace("en: Women", f'en: "Women {EVIL}"'),
    "reports/r.yaml": REPORTS,
    "scores/rfm.yaml": f"{RFM}compare_days: 1\n",
    "allocations/money.yaml": MONEY,
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop run for two days, with markup in titles and in a city, and a nickname not for everybody."""
    with dg.DagsterInstance.ephemeral() as instance:
        made = Shop(tmp_path_factory.mktemp("site"), instance, CHANGED)
        rows = customers()
        rows["昵称"] = "secret nickname"
        rows.loc[3, "城市"] = EVIL
        made.write(customer_rows=rows)
        made.run(job=INTAKE)
        for day in (AS_OF - timedelta(days=1), AS_OF):
            assert set(made.run(day, job=DERIVE).values()) <= {"published", "reused"}
        yield made


@pytest.fixture(scope="module")
def page(shop: Shop) -> str:
    return render(shop.setting)[1]


class Elements(HTMLParser):
    """Every element of a page with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_the_page_needs_nothing_but_itself(page: str) -> None:
    elements = Elements(page).found
    reaching = {"src", "srcset", "action", "data", "background", "poster"}
    assert [pair for pair in elements if pair[0] in ("link", "iframe", "img", "object", "embed", "base")] == []
    assert [pair for pair in elements if reaching & pair[1].keys()] == []
    links = [attributes.get("href") or "" for tag, attributes in elements if tag == "a"]
    assert [link for link in links if not link.startswith("#")] == []
    assert "@import" not in page and not re.search(r"url\((?!#)", page)


def test_every_link_has_a_target(page: str) -> None:
    elements = Elements(page).found
    targets = {attributes.get("id") for _, attributes in elements}
    assert [a["href"] for tag, a in elements if tag == "a" and (a["href"] or "")[1:] not in targets] == []


def test_markup_in_titles_and_values_is_text(page: str) -> None:
    assert [tag for tag, _ in Elements(page).found].count("script") == 1
    assert EVIL not in page
    assert "&lt;script&gt;" in page
    assert "Conversion &lt;b&gt;by&lt;/b&gt; city" in page


def test_equal_snapshots_give_equal_bytes(shop: Shop, page: str) -> None:
    assert render(shop.setting)[1] == page


def test_values_above_the_default_role_are_not_on_the_page(page: str) -> None:
    assert "secret nickname" not in page
    assert "Values are above the default role" in page
    assert "A dimension is above the default role" in page


def test_values_of_a_dimension_not_for_everybody_are_in_the_table_alone(shop: Shop) -> None:
    snapshot = shop.served("reports/by_nickname")
    assert snapshot is not None
    assert "secret nickname" not in repr((snapshot.metrics, snapshot.verdicts))
    assert "secret nickname" in set(shop.rows("reports/by_nickname")["nickname"])


def test_an_audience_shows_its_rule_and_what_else_says_who_is_in_it(page: str) -> None:
    assert "<pre>total_spend &gt; 100\nlimit: 17</pre>" in page
    assert "<pre>all:\n  - gender = &#39;female&#39;\n  - order_count_3d = 0</pre>" in page


def test_nobody_is_named(shop: Shop, page: str) -> None:
    assert [person for person in shop.rows("identity/persons", None)["person_id"] if person in page] == []


def test_every_tag_segment_and_report_has_its_place(shop: Shop, page: str) -> None:
    resolved = shop.setting.resolved
    ids = {attributes.get("id") for _, attributes in Elements(page).found}
    assert {f"tag-{code}" for code in resolved.tags} <= ids
    assert {f"segment-{code}" for code in resolved.segments} <= ids
    assert {f"report-{code}" for code in resolved.reports} <= ids
    assert {f"score-{code}" for code in resolved.scores} <= ids
    assert {f"allocation-{code}" for code in resolved.allocations} <= ids


def test_tiers_show_who_moved_how_revenue_is_spread_and_what_they_are_given(shop: Shop, page: str) -> None:
    assert f"{AS_OF - timedelta(days=1)} → {AS_OF}" in page and "Gini" in page
    assert "逐层打分" not in page and "三项各自独立打分" in page
    assert "Budget &lt;b&gt;by&lt;/b&gt; tier" in page and "budget in USD" in page
    alone = render(shop.setting, AS_OF - timedelta(days=1))[1]
    assert "no snapshot of the same meaning at least 1 days older" in alone


def test_a_report_shows_its_lines_and_shares_as_percentages(shop: Shop, page: str) -> None:
    lines = shop.rows("reports/conversion")
    whole = lines[lines["is_total"]].iloc[0]
    assert f'<td class="n">{whole["people"]}</td>' in page
    assert f'<td class="n">{whole["rate"]:.1%}</td>' in page
    assert "合计 · total" in page


def test_an_earlier_as_of_shows_what_held_then(shop: Shop) -> None:
    day, page = render(shop.setting, AS_OF - timedelta(days=1))
    assert day == AS_OF - timedelta(days=1)
    assert f"<b>{day}</b>" in page
    assert f"<td>{AS_OF}</td>" not in page


def test_an_as_of_without_snapshots_is_a_mistake(shop: Shop) -> None:
    with pytest.raises(Mistake, match="nothing is published for 2020-01-01: valtag run --as-of 2020-01-01"):
        render(shop.setting, date(2020, 1, 1))


def test_what_failed_comes_first_with_the_place_of_its_rule(tmp_path: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        shop = Shop(tmp_path, instance)
        rows = customers()
        rows.loc[3, "城市"] = "Atlantis"
        shop.write(customer_rows=rows)
        shop.run()
        page = render(shop.setting)[1]
    checks = page[page.index('id="checks"') :]
    first = checks[: checks.index("</tr>", checks.index('data-search="tags/'))]
    assert "city.values" in first
    assert "错误 error" in first
    assert "tags/attribute.yaml:" in first
    assert "refused, last good served" in page


def test_the_page_is_one_file_in_a_folder_or_of_a_name(shop: Shop, tmp_path: Path, page: str) -> None:
    for into, path in ((tmp_path / "a", tmp_path / "a" / f"shop-{AS_OF}.html"), (tmp_path / "b.html",) * 2):
        assert write_page(shop.setting, None, into) == path
        assert path.read_text(encoding="utf-8") == page
        assert list(path.parent.glob(".*")) == []


def test_plots_write_chinese_as_text(page: str) -> None:
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", page)
    assert "北京" in texts
    assert "<metadata>" not in page and "<?xml" not in page
