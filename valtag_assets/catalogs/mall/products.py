"""The products of `mall`: about 300 SKUs, and the workbook in which the company keeps them."""

import hashlib
import io
import zipfile
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from openpyxl import Workbook

from valtag_assets.catalogs.mall.vocabulary import BRANDS, CATEGORIES, EXTRA_SKUS, PRODUCT_WORDS

_STAMP = datetime(2026, 1, 1)
HEADER = ("SKU编码", "商品名称", "品牌", "品类", "价格", "上市日期", "更新日期", "供应商")


class Product(NamedTuple):
    number: int
    brand: int
    category: int
    name: str
    price: int
    """In yuan cents (分)."""
    launched: date

    @property
    def sku(self) -> str:
        return f"SKU{self.number:04d}"


def number_from(*parts: object) -> int:
    """A number of 48 bits that depends on all parts: the random source of the small tables."""
    return int.from_bytes(hashlib.sha256(":".join(map(str, parts)).encode()).digest()[:6], "big")


def make_products(seed: int, first_day: date) -> list[Product]:
    """One SKU for each (brand, category), a second one for ``EXTRA_SKUS`` of them; numbers from 1."""
    pairs = [(brand, category) for brand in range(len(BRANDS)) for category in range(len(CATEGORIES))]
    mixed = sorted(pairs, key=lambda pair: number_from(seed, "pair", *pair))
    products = []
    for number, (brand, category) in enumerate(pairs + mixed[:EXTRA_SKUS], 1):
        title, _, low, high, _ = CATEGORIES[category]
        share = (number_from(seed, "price", number) % 1000) / 1000
        ending = (0, 90, 50)[number_from(seed, "ending", number) % 3]
        word = PRODUCT_WORDS[number_from(seed, "word", number) % len(PRODUCT_WORDS)]
        launched = first_day - timedelta(number_from(seed, "launch", number) % 1500)
        price = (low + round((high - low) * share**2)) * 100 + ending
        name = f"{BRANDS[brand][0]}{word}{title}{number % 7 + 1}号"
        products.append(Product(number, brand, category, name, price, launched))
    return products


def sku_of_pair(products: list[Product]) -> list[int]:
    """Two entries for each (brand, category): positions of its SKUs, the same twice where there is one."""
    found: dict[tuple[int, int], list[int]] = {}
    for position, product in enumerate(products):
        found.setdefault((product.brand, product.category), []).append(position)
    return [
        choice
        for brand in range(len(BRANDS))
        for category in range(len(CATEGORIES))
        for choice in (found[brand, category] * 2)[:2]
    ]


def write_workbook(path: Path, products: list[Product], seed: int) -> dict[str, int]:
    """Write the dirty workbook; returns rows injected by kind, with ``raw_rows`` and ``clean_rows``."""
    dirt = {"code_spelling": 0, "price_text": 0, "repeated_sku": 0}
    rows: list[tuple[object, ...]] = []
    for product in products:
        draw = number_from(seed, "row", product.number) % 100
        spellings = (product.sku.lower(), f" {product.sku} ", product.sku.replace("SKU", "SKU-"))
        code = spellings[product.number % 3] if draw < 10 else product.sku
        price: object = f"¥{product.price / 100:.2f}" if 10 <= draw < 16 else product.price / 100
        launched: object = (
            f"{product.launched.year}/{product.launched.month}/{product.launched.day}"
            if draw % 2
            else product.launched
        )
        updated = product.launched + timedelta(30)
        brand, category = BRANDS[product.brand][0], CATEGORIES[product.category][0]
        rest = (f"供应商{draw % 9 + 1}",)
        rows.append((code, product.name, brand, category, price, launched, updated, *rest))
        dirt["code_spelling"] += draw < 10
        dirt["price_text"] += 10 <= draw < 16
        if draw >= 96:
            old = (round(product.price * 1.2) / 100, launched, product.launched)
            rows.insert(0, (product.sku, product.name, brand, category, *old, *rest))
            dirt["repeated_sku"] += 1
    _save(path, rows)
    return dirt | {"raw_rows": len(rows), "clean_rows": len(products)}


def _save(path: Path, rows: list[tuple[object, ...]]) -> None:
    book = Workbook()
    sheet = book.create_sheet("商品", 0)
    del book["Sheet"]
    sheet.append(HEADER)
    for row in rows:
        sheet.append(row)
    book.properties.created = _STAMP
    buffer = io.BytesIO()
    book.save(buffer)
    # The workbook and its zip carry the time of writing; equal arguments must give equal bytes.
    with zipfile.ZipFile(buffer) as written, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as fixed:
        for name in sorted(written.namelist()):
            content = written.read(name)
            if name == "docProps/core.xml":
                content = content.replace(
                    book.properties.modified.strftime("%Y-%m-%dT%H:%M:%SZ").encode(),
                    _STAMP.strftime("%Y-%m-%dT%H:%M:%SZ").encode(),
                )
            entry = zipfile.ZipInfo(name, date_time=(2026, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            fixed.writestr(entry, content)
