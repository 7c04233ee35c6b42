"""A company's folder with everything a folder has, and the inventory of it."""

import gzip
from datetime import date, datetime, timedelta
from pathlib import Path

import pandas as pd

from valtag_assets.engine.duckdb import open_duckdb
from valtag_assets.engine.inventory.profile import Column, Inventory, Table
from valtag_assets.engine.inventory.taking import take_inventory
from valtag_assets.spec.block import Title
from valtag_assets.spec.project import Project

TODAY = date(2024, 12, 31)
PEOPLE, LINES = 120, 900
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def inventory_of(*sources: object, base: Path = Path(".")) -> Inventory:
    """The inventory of sources, on the day TODAY."""
    plain = Project(name="inventory", title=Title(zh="盘点", en="Inventory"), start=TODAY)
    with open_duckdb() as engine:
        return take_inventory(engine, [str(source) for source in sources], base, plain, TODAY)


def table(found: Inventory, code: str) -> Table:
    return next(item for item in found.tables if item.code == code)


def column(found: Inventory, code: str, name: str) -> Column:
    """The column called ``name`` in its source."""
    return next(item for item in table(found, code).columns if item.name == name)


def id_card(number: int) -> str:
    """A resident's number with the right last place, worked out as GB 11643-1999 writes it."""
    body = f"31010119{60 + number % 40:02}0{1 + number % 9}1{number % 10}{100 + number % 800}"
    return body + "10X98765432"[sum(int(d) * w for d, w in zip(body, _WEIGHTS, strict=True)) % 11]


def phone(number: int) -> str:
    return f"139{number * 7919 % 100_000_000:08}"


def members() -> pd.DataFrame:
    """A master as a CRM exports it: text only, missing written in many ways, birthdays in three formats."""
    rows = []
    for n in range(PEOPLE):
        born = date(1960, 1, 1) + timedelta(days=97 * n)
        written = (born.isoformat(), f"{born.year}/{born.month}/{born.day}", f"{born:%Y%m%d}")[n % 3]
        rows.append(
            {
                "会员号": f"M{n:05}",
                "姓名": "王李张刘陈"[n % 5] + "伟芳娜敏静"[n % 4],
                "性别": ("男", "女", "M", "F", "未知")[n % 5],
                "生日": "1900-01-01" if n == 7 else "-1" if n % 20 == 3 else written,
                "手机号": ("", "+86 ", "86")[n % 3] + phone(n),
                "证件": id_card(n),
                "城市": ("上海", "北京", "成都", "NULL")[n % 4],
                "注册时间": (datetime(2023, 1, 1, 8) + timedelta(hours=31 * n)).isoformat(sep=" "),
                "积分": str(n * 10),
                "导出批次": "2024W50",
            }
        )
    return pd.DataFrame(rows)


def lines() -> pd.DataFrame:
    """A fact: order lines, two per order, one week exported twice, with a sum and a product in it."""
    rows = []
    for n in range(LINES):
        at = datetime(2024, 1, 1, 9) + timedelta(hours=8 * (n // 2))
        price, quantity = 10 + n % 37, 1 + n % 4
        rows.append(
            {
                "order_id": f"T{n // 2:06}",
                "line_no": 1 + n % 2,
                "member_no": "" if n % 30 == 5 else f"M{n * 13 % PEOPLE:05}",
                "order_time": str(int(at.timestamp())) if n % 3 == 0 else at.isoformat(sep=" "),
                "sku": f"SKU{n % 40:03}",
                "price": f"{price}.00",
                "qty": quantity,
                "amount": "oops" if n == 11 else f"￥{price * quantity:,}.00",
                "status": ("paid", "PAID", "refunded")[n % 3],
            }
        )
    every = pd.DataFrame(rows)
    return pd.concat([every, every.iloc[100:120]], ignore_index=True)


def products() -> pd.DataFrame:
    rows = [
        {
            "sku": f"SKU{n:03}",
            "brand": "ABCD"[n % 4],
            "brand_name": ("甲", "乙", "丙", "丁")[n % 4],
            "copy": f"SKU{n:03}",
        }
        for n in range(40)
    ]
    return pd.DataFrame(rows)


def write_stock(folder: Path) -> Path:
    """The folder: a GB 18030 master, a fact in two files (one of them zipped), a lookup, and what is no table."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "会员表.csv").write_bytes(members().to_csv(index=False).encode("gb18030"))
    every = lines()
    (folder / "orders_2024-01.csv").write_text(every.iloc[:500].to_csv(index=False), encoding="utf-8")
    with gzip.open(folder / "orders_2024-02.csv.gz", "wt", encoding="utf-8") as file:
        every.iloc[500:].to_csv(file, index=False)
    products().to_parquet(folder / "products.parquet")
    (folder / "README.md").write_text("no table")
    (folder / "empty.csv").touch()
    return folder
