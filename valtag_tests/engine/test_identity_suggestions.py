"""Who may be one person: most of the second accounts with typing errors are found, and few who are two."""

import random
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from valtag_assets.engine.duckdb import DuckDBEngine
from valtag_assets.engine.identity.suggesting import require_splink, write_suggestions
from valtag_assets.engine.identity.work import Work
from valtag_assets.spec.mistake import Mistake
from valtag_tests.kit import make_catalog, write_rows

SURNAMES = "王李张刘陈杨黄赵周吴徐孙马朱胡郭何高林罗"
GIVEN = "芳娜敏静丽艳婷雪欣怡梓涵诗琪雨桐思颖佳若曦浩然宇轩俊杰伟磊强子墨"
CITIES = ("上海", "北京", "广州", "深圳", "成都", "杭州", "重庆", "武汉")
PEOPLE, SECONDS = 900, 60
MEMBERS = """\
source: members
title: {zh: 会员, en: Members}
kind: master
person: member
read: {path: members.csv}
fields:
  - {name: member, type: text}
  - {name: name, type: text}
  - {name: born, type: date, access: sensitive}
  - {name: city, type: text}
"""
IDENTITY = {
    "kinds": [{"code": "member_no", "title": {"zh": "会员号", "en": "Member number"}}],
    "sources": {"members": {"member": "member_no"}},
    "suggest": {
        "source": "members",
        "fields": {"name": "name", "born": "date", "city": "equal"},
        "among": [["born"], ["name"]],
        "expected": 0.05,
    },
}
FILES = {"sources/members.yaml": MEMBERS, "sources/orders.yaml": None, "identity.yaml": IDENTITY}


def people() -> tuple[list[dict[str, Any]], set[tuple[str, str]]]:
    """People, some with a second account that is spelled a little otherwise; and which two are one."""
    chance = random.Random(4)

    def name() -> str:
        return chance.choice(SURNAMES) + "".join(chance.choices(GIVEN, k=chance.choice([1, 2, 2])))

    rows, one = [], set()
    for n in range(PEOPLE):
        born = date(1960, 1, 1) + timedelta(chance.randrange(16000))
        rows.append({"_person": f"p{n:04d}", "name": name(), "born": born, "city": chance.choice(CITIES)})
    for n, first in enumerate(chance.sample(rows, SECONDS)):
        second = {**first, "_person": f"q{n:04d}"}
        slip = chance.choice(["name", "born", "city", "lost"])
        if slip == "name":
            place = chance.randrange(len(first["name"]))
            second["name"] = first["name"][:place] + chance.choice(GIVEN) + first["name"][place + 1 :]
        if slip == "born":
            second["born"] = first["born"] + timedelta(chance.choice([-1, 1, 10]))
        if slip in ("city", "lost"):
            second["city"] = chance.choice(CITIES) if slip == "city" else None
        rows.append(second)
        one.add((first["_person"], second["_person"]))
    chance.shuffle(rows)
    return rows, one


def suggested(folder: Path, rows: list[dict[str, Any]]) -> Path:
    resolved = make_catalog(folder, FILES)
    source, identity = resolved.sources["members"], resolved.identity
    assert identity is not None and identity.entry.spec.suggest is not None
    columns = {**source.columns, "_file": source.columns["member"], "_person": source.columns["member"]}
    file = write_rows(folder / "rows.parquet", columns, [{"_row": None, **row} for row in rows])
    with duckdb.connect() as connection:
        work = Work(DuckDBEngine(connection), folder, {"keyed/members": [file]})
        write_suggestions(work, source, identity.entry.spec.suggest, folder / "found.parquet")
    return folder / "found.parquet"


def test_second_accounts_with_typing_errors_are_suggested_and_few_others(tmp_path: Path) -> None:
    rows, one = people()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    file = suggested(tmp_path / "a", rows)
    found = pq.read_table(file).to_pylist()
    pairs = {(row["person_id"], row["other_id"]) for row in found}
    right = len(pairs & one)
    assert right / len(one) > 0.95 and right / len(pairs) > 0.9, (right, len(pairs), len(one))
    assert all(0.3 <= row["probability"] <= 1 for row in found)
    evidence = {row["evidence"] for row in found}
    slips = ("born =, city =, name ≈", "born =, city ≠, name =", "born ≈, city =, name =", "born =, city ?, name =")
    assert set(slips) <= evidence
    assert suggested(tmp_path / "b", rows[::-1]).read_bytes() == file.read_bytes(), "whatever the order of rows"


@pytest.mark.parametrize("count", [0, 1])
def test_nobody_or_one_alone_is_no_pair(tmp_path: Path, count: int) -> None:
    assert pq.read_table(suggested(tmp_path, people()[0][:count])).num_rows == 0


def test_without_the_extra_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "splink", None)
    with pytest.raises(Mistake, match=r'pip install "valtag\[suggestions\]"'):
        require_splink()
