"""Cleans the raw tables of `mall` once more, with pandas and the rules of its docstring alone.

Independent of the generator's SQL: it reads only the files and ``vocabulary.code_tables()``. Each function
returns the clean table and how many rows were quarantined, filtered and merged.
"""

import json
import unicodedata
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from valtag_assets.catalogs.mall.vocabulary import CURRENCIES, MISSING, UNITS, code_tables

TABLES = code_tables()


class Cleaned(NamedTuple):
    rows: pd.DataFrame
    raw: int
    quarantined: int
    filtered: int
    merged: int


def text(value: object) -> str | None:
    """Trim, half width, missing."""
    if not isinstance(value, str):
        return None
    clean = unicodedata.normalize("NFKC", value.strip()).strip()
    return None if clean in MISSING else clean


def texts(column: pd.Series) -> pd.Series:
    return column.map(text).astype(object)


def coded(column: pd.Series, table: str) -> pd.Series:
    return texts(column).map(lambda value: TABLES[table].get(value))


def times(column: pd.Series, formats: tuple[str, ...], epochs: bool = False) -> pd.Series:
    """Local times; epoch numbers of 13 digits are milliseconds and of 9 or 10 digits seconds, in UTC."""
    column = texts(column)
    found = pd.Series(pd.NaT, index=column.index, dtype="datetime64[us]")
    if epochs:
        number = pd.to_numeric(column.where(column.str.fullmatch(r"\d{9,13}", na=False)), errors="coerce")
        millis = number.where(number > 10**11, number * 1000)
        instants = millis.fillna(0).astype("int64").astype("datetime64[ms]") + pd.Timedelta(hours=8)
        found = found.fillna(instants.where(millis.notna()))
    for form in formats:
        # strict on the width of the year, which strptime is not everywhere
        fits = column.where(column.str.match(r"\d{4}\D", na=False) | (form == "%Y%m%d"))
        found = found.fillna(pd.to_datetime(fits, format=form, errors="coerce"))
    return found


def phones(column: pd.Series) -> pd.Series:
    """Numbers without spaces, hyphens and the country's code."""
    return texts(column).str.replace(r"[ -]", "", regex=True).str.replace(r"^\+?86", "", regex=True)


def members(raw: Path, until: pd.Timestamp) -> Cleaned:
    source = pd.read_csv(raw / "crm_members.csv", encoding="gb18030", dtype=str, keep_default_na=False)
    out = pd.DataFrame({"member_no": texts(source["会员号"]).str.upper()})
    out["name"] = source["姓名"].str.strip()
    out["gender"] = coded(source["性别"], "gender")
    born = times(source["生日"], ("%Y-%m-%d", "%Y/%m/%d", "%Y%m%d", "%Y年%m月%d日"))
    out["birth_date"] = born.where((born >= "1900-01-01") & (born <= until))
    out["city"] = coded(source["城市"], "city")
    out["phone"] = phones(source["手机号"])
    out["channel"] = coded(source["所属渠道"], "channel")
    out["registered_at"] = times(source["注册时间"], ("%Y-%m-%d %H:%M:%S", "%Y/%m/%d %H:%M"))
    out["level"] = texts(source["会员等级"])
    out["points"] = source["积分"].astype("int64")
    out["updated_at"] = times(source["更新时间"], ("%Y-%m-%d %H:%M:%S", "%Y/%m/%d %H:%M"))
    return _balance(out, out["member_no"].isna(), out["level"] == "测试账号", ["member_no"])


def order_lines(raw: Path, products: pd.DataFrame) -> Cleaned:
    files = sorted((raw / "orders").glob("*.csv*"))
    parts = [pd.read_csv(path, encoding="utf-8-sig", dtype=str, keep_default_na=False) for path in files]
    source = pd.concat(parts, ignore_index=True)
    out = pd.DataFrame({"order_id": texts(source["order_id"]), "line_no": source["line_no"].astype(int)})
    out["member_no"] = texts(source["member_no"]).str.upper()
    out["phone"] = phones(source["phone"])
    forms = ("%Y-%m-%d %H:%M:%S", "%Y/%m/%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y年%m月%d日 %H:%M:%S")
    out["order_time"] = times(source["order_time"], forms, epochs=True)
    out["amount"] = [
        _yuan(text(amount), text(unit), text(currency))
        for amount, unit, currency in zip(source["amount"], source["amount_unit"], source["currency"], strict=True)
    ]
    out["qty"] = pd.to_numeric(source["qty"], errors="coerce")
    out["status"] = coded(source["status"], "status")
    out["sku"] = texts(source["sku"]).str.replace("-", "").str.upper()
    known = products.set_index("sku")
    out["brand"] = out["sku"].map(known["brand"])
    out["category"] = out["sku"].map(known["category"])
    out["channel"] = coded(source["channel"], "channel")
    out["store"] = texts(source["store"])
    out["currency"] = texts(source["currency"])
    out["campaign_id"] = texts(source["campaign_id"])
    size = out["amount"].map(lambda value: abs(float(value)), na_action="ignore").astype(float)
    bad = out[["order_time", "amount", "status"]].isna().any(axis=1) | (size > 1000 * size.median())
    guest = out["member_no"].isna() & out["phone"].isna()
    return _balance(out, bad, guest | (out["store"] == "TEST01"), ["order_id", "line_no"])


def _yuan(amount: str | None, unit: str | None, currency: str | None) -> Decimal | None:
    if amount is None or unit not in UNITS or currency not in CURRENCIES:
        return None
    try:
        number = Decimal(amount.replace("¥", "").replace(",", ""))
    except InvalidOperation:
        return None
    return (number * Decimal(UNITS[unit]) * Decimal(CURRENCIES[currency])).quantize(Decimal("0.01"), ROUND_HALF_UP)


def events(raw: Path, origin: str) -> Cleaned:
    if origin == "parquet":
        paths = sorted((raw / "events").glob("*.parquet"))
        source = pd.concat([pd.read_parquet(path) for path in paths], ignore_index=True)
    else:
        (path,) = (raw / "events_legacy").glob("*.jsonl")
        lines = path.read_text(encoding="utf-8").splitlines()
        source = pd.DataFrame([json.loads(line) for line in lines], dtype=object)
    out = pd.DataFrame({"event_id": source["event_id"]})
    out["member_no"] = texts(source["member_no"]).str.upper()
    out["event_time"] = times(source["event_time"].astype(str), (), epochs=True)
    out["event_type"] = coded(source["event_type"], "event_type")
    out["category"] = coded(source["page_category"], "category")
    out["brand"] = texts(source["brand"])
    out["channel"] = coded(source["channel"], "channel")
    out["session_id"] = source["session_id"]
    dwell = pd.to_numeric(source["dwell"]) * out["channel"].map({"APP": 1, "MINI": 1, "WEB": 1000})
    out["dwell_ms"] = dwell.where((dwell >= 0) & (dwell <= 86_400_000))
    out["campaign_id"] = texts(source["campaign_id"])
    out["visitor_id"] = source["visitor_id"]
    return _balance(out, out["event_time"].isna(), out["event_type"] == "heartbeat", ["event_id"])


def logins(raw: Path) -> Cleaned:
    lines = (raw / "web_members.jsonl").read_text(encoding="utf-8").splitlines()
    source = pd.DataFrame([json.loads(line) for line in lines], dtype=object)
    out = source[["phone", "openid", "device_id", "cookie"]].copy()
    out["member_no"] = texts(source["member_no"]).str.upper()
    out["channel"] = coded(source["platform"], "channel")
    out["seen_at"] = times(source["seen_at"].astype(str), (), epochs=True)
    return Cleaned(out, len(out), int(out["seen_at"].isna().sum()), 0, 0)


def responses(raw: Path) -> Cleaned:
    source = pd.read_csv(raw / "campaign_responses.csv", dtype=str, keep_default_na=False)
    out = pd.DataFrame({"campaign_id": source["campaign_id"]})
    out["member_no"] = texts(source["member_no"]).str.upper()
    out["touch"] = source["touch"]
    out["action"] = coded(source["action"], "response")
    out["action_time"] = times(source["action_time"], ("%Y-%m-%d %H:%M:%S",))
    key = ["campaign_id", "member_no", "action"]
    return _balance(out, out["action_time"].isna(), out["member_no"].isna(), key)


def products(raw: Path) -> Cleaned:
    source = pd.read_excel(raw / "products.xlsx", sheet_name="商品", dtype=object)
    out = pd.DataFrame({"sku": texts(source["SKU编码"]).str.replace("-", "").str.upper()})
    out["name"], out["brand"], out["category"] = source["商品名称"], source["品牌"], source["品类"]
    out["price"] = source["价格"].map(lambda value: Decimal(str(value).replace("¥", "")).quantize(Decimal("0.01")))
    out["launched_on"] = source["上市日期"].map(pd.Timestamp)
    out["updated_at"] = source["更新日期"].map(pd.Timestamp)
    never = pd.Series(False, index=out.index)
    return _balance(out, never, never, ["sku"])


def _balance(rows: pd.DataFrame, refused: pd.Series, unwanted: pd.Series, key: list[str]) -> Cleaned:
    """Refuse, then filter, then merge: the latest update wins where there is one, else the first row."""
    wanted = rows[~refused & ~unwanted]
    if "updated_at" in wanted:
        wanted = wanted.sort_values("updated_at", ascending=False, kind="stable")
    clean = wanted.drop_duplicates(key).sort_values(key).reset_index(drop=True)
    return Cleaned(clean, len(rows), int(refused.sum()), int((~refused & unwanted).sum()), len(wanted) - len(clean))
