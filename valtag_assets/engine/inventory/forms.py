"""The forms a value may have (phone, e-mail, date, amount …), each as one condition on its text.

The text has been trimmed and brought to half width, as cleaning does first. Numbers and times are read by cleaning's
own grammar, so what is counted here is what a rule of the draft will do.
"""

from collections.abc import Mapping

import ibis
from ibis.expr.types import BooleanValue, StringValue

from valtag_assets.engine.cleaning import numbers, temporal
from valtag_assets.spec.types import FLOAT, INTEGER

SURNAMES = (
    "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏"
    "钟汪田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段雷钱汤尹黎易常武乔贺赖龚文"
)
# Tried in this order: each value counts for the first it fits.
TIME_FORMATS = (
    "iso",
    "YYYYMMDD",
    "YYYY/M/D",
    "YYYY/M/D H:mm",
    "YYYY/M/D H:mm:ss",
    "YYYY-M-D",
    "YYYY-M-D H:mm",
    "YYYY-M-D H:mm:ss",
    "YYYY年M月D日",
    "YYYY年M月D日 H:mm",
    "YYYY年M月D日 H:mm:ss",
    "YYYY.M.D",
    "YYYYMMDDHHmmss",
    "DD-MMM-YYYY",
)
# 3/4/2024 fits both ways: which is meant, only a day above 12 says.
MONTH_FIRST, DAY_FIRST = ("M/D/YYYY", "M/D/YYYY H:mm"), ("D/M/YYYY", "D/M/YYYY H:mm")
EPOCHS = ("epoch_s", "epoch_ms")
ZONED = "iso with a zone"
# What people write for nothing; the first thirteen are every project's own.
MISSING = (
    "", "NA", "N/A", "NULL", "null", "None", "nan", "NaN", "-", "无", "未知", "空", "-1", "--", "\\N", "#N/A", "n/a",
    "na", "Null", "nil", "none", "NONE", "unknown", "Unknown", "UNKNOWN", "missing", "不详", "保密", "暂无", "未填写",
    "0000-00-00", "0000-00-00 00:00:00", "1900-01-01", "1900-01-01 00:00:00", "?", "/", "-999", "-9999",
)  # fmt: skip
# Numbers that may as well be meant: they are missing only where something else says so.
AMBIGUOUS = frozenset({"-1", "-999", "-9999", "1900-01-01", "1900-01-01 00:00:00"})

_PHONE = r"^(?:\+?86|0086)?[ -]?1[3-9]\d[ -]?\d{4}[ -]?\d{4}\z"
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_PATTERNS: Mapping[str, str] = {
    "whole": r"^[-+]?\d+\z",
    "leading_zero": r"^0\d+\z",
    "point_zero": r"^-?\d+\.0+\z",
    "grouped": r"^[-+]?[￥¥$€£]? ?\d{1,3}(?:,\d{3})+(?:\.\d+)?\z",
    "currency": r"[￥¥$€£]",
    "percent": r"^-?\d+(?:\.\d+)?%\z",
    "exponent": r"^-?\d(?:\.\d+)?[eE][+-]?\d+\z",
    "phone": _PHONE,
    "landline": r"^(?:\(?0\d{2,3}\)?[ -]?)\d{7,8}\z",
    "phone_inside": r"(?:^|[^0-9A-Za-z.])1[3-9]\d{9}(?:[^0-9A-Za-z]|\z)",
    "email": r"^[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+\z",
    "email_inside": r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+\.[A-Za-z]{2,}",
    "uuid": r"^[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\z",
    "digest": r"^[0-9a-f]{32}(?:[0-9a-f]{8}|[0-9a-f]{32})?\z",
    "openid": r"^o[A-Za-z0-9_-]{27}\z",
    "ip": r"^(?:\d{1,3}\.){3}\d{1,3}\z",
    "url": r"^https?://",
    "json": r"^[\[{].*[\]}]\z",
    "chinese": r"[\x{4e00}-\x{9fff}]",
    "person_name": rf"^[{SURNAMES}][\x{{4e00}}-\x{{9fff}}]{{1,2}}\z",
    "address": r"(?:省|市|区|县|镇).*(?:路|街|号|村|弄|栋|楼|室|道)",
    "control": r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]",
}


def conditions(text: StringValue) -> dict[str, BooleanValue]:
    """Each form's name and whether a text has it."""
    found: dict[str, BooleanValue] = {name: text.re_search(pattern) for name, pattern in _PATTERNS.items()}
    found["id_card"] = id_card(text)
    found["number"] = numbers.parse_number(text, FLOAT).notnull()
    found["integer"] = numbers.parse_number(text, INTEGER).notnull()
    found["boolean"] = numbers.parse_boolean(text).notnull()
    found["negative"] = text.re_search(r"^[-−]") & found["number"]
    return found


def id_card(text: StringValue) -> BooleanValue:
    """A resident's number of 18 places whose last one is right (GB 11643-1999: weights 2^(17-i) mod 11)."""
    plain = text.upper().re_search(r"^[1-9]\d{5}(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[0-9X]\z")
    total = ibis.literal(0, type="int64")
    for place, weight in enumerate(_WEIGHTS):
        digit = text.substr(place, 1).try_cast("int64").fill_null(0)
        total = total + digit * ibis.literal(weight, type="int64")
    right = ibis.literal("10X98765432").substr(total % 11, 1)
    return plain & (text.upper().substr(17, 1) == right)


def scale(text: StringValue) -> ibis.expr.types.IntegerValue:
    """How many decimals a number is written with."""
    return text.re_extract(r"\.(\d+)\z", 1).length()


def fitting_formats(text: StringValue) -> list[tuple[str, BooleanValue]]:
    """Every format of a time, in the order they are tried, and whether a text fits it.

    Years before 1800 and after 2200 fit none: eight digits of that kind are a number.
    """
    return [(name, _fits(text, name)) for name in (*TIME_FORMATS, ZONED, *EPOCHS, *MONTH_FIRST, *DAY_FIRST)]


def with_hours(text: StringValue) -> BooleanValue:
    """Whether a text that is a time says an hour that is not midnight."""
    return text.re_search(r"\d[T ]\d{1,2}:\d") & ~text.re_search(r"[T ]0?0:00(?::00(?:\.0+)?)?(?:\z|[ Z+])")


def _fits(text: StringValue, name: str) -> BooleanValue:
    if name == ZONED:
        return temporal.parse_instant(text, temporal.compile_formats(("iso",), False)).notnull()
    formats = temporal.compile_formats((name,), False)
    if name in EPOCHS:
        seconds = text.try_cast("float64") / (1 if name == "epoch_s" else 1000)
        digits = r"^\d{9,10}(?:\.\d+)?\z" if name == "epoch_s" else r"^\d{12,13}\z"
        return (text.re_search(digits) & seconds.between(631_152_000.0, 2_524_608_000.0)).fill_null(False)
    year = temporal.parse_naive(text, formats).year()
    return year.between(1800, 2200).fill_null(False)
