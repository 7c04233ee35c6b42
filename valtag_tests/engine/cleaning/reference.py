"""Cleaning once more, in plain Python and row by row: the independent opinion of test_account."""

import re
import unicodedata
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

from valtag_assets.spec.project import Project
from valtag_assets.spec.source import Field, Source

TRUE, FALSE = ["true", "t", "yes", "y", "1", "是"], ["false", "f", "no", "n", "0", "否"]


def clean_rows(
    spec: Source, project: Project, rows: list[dict[str, str | None]]
) -> tuple[list[dict], dict[int, str], int, dict[str, int]]:
    """Kept rows, refusing rule by row number, rows merged, repaired values by rule."""
    kept, refused, repaired = [], {}, {}
    for number, raw in enumerate(rows, start=1):
        row: dict = {"_row": number}
        found = []
        for field in spec.fields:
            repairs: list[str] = []
            row[field.name], rule = clean_value(field, project, raw[field.source_name], repairs)
            found += [rule] if rule else []
            row.setdefault("_repairs", []).extend(repairs)
        # What a fact can't be without is asked last, after every other rule.
        found += [f"{role}.required" for role in (spec.person, spec.time) if role and row[role] is None]
        if found:
            refused[number] = found[0]
        else:
            kept.append(row)
            for name in row["_repairs"]:
                repaired[name] = repaired.get(name, 0) + 1
    merged = merge(spec, kept)
    order = [spec.person, spec.time, *spec.key, "_row"]
    merged.sort(key=lambda row: tuple((row[name] is None, row[name]) for name in order if row.get(name) is not None))
    return merged, refused, len(kept) - len(merged), repaired


def merge(spec: Source, rows: list[dict]) -> list[dict]:
    if spec.merge is None:
        return rows
    (item,) = spec.merge.order
    name, descending = item.split()[0], item.endswith("desc")
    known = sorted((row for row in rows if row[name] is not None), key=lambda row: row[name], reverse=descending)
    ranked = known + [row for row in rows if row[name] is None]
    seen, left = set(), []
    for row in ranked:
        key = tuple(row[part] for part in spec.merge.key)
        if None in key or key not in seen:
            left.append(row)
            seen.add(key)
    return left


def clean_value(field: Field, project: Project, text: str | None, repairs: list[str]):
    """(value, rule that refuses the row or None) of one field."""
    rule = None

    def fail(kind: str, otherwise: str):
        nonlocal rule
        if otherwise == "quarantine":
            rule = rule or f"{field.name}.{kind}"
        else:
            repairs.append(f"{field.name}.{kind}")

    value: object = None
    text = tidy(field, project, text)
    if text is not None and field.values is not None:
        code = field.values.get(text)
        if code is None and field.unknown == "keep":
            code = text
        elif code is None:
            fail("unknown_value", field.unknown)
        text = code
    if text is not None:
        value = parse(field, project, text)
        if value is None:
            fail("invalid", field.invalid)
    if value is not None and field.bounds:
        low, high = field.bounds.min, field.bounds.max
        if value < low or value > high:
            fail("bounds", field.bounds.otherwise)
            clipped = type(value)(low if value < low else high)
            value = clipped if field.bounds.otherwise == "clip" else None
    if value is None and field.required:
        fail("required", "quarantine")
    return value, rule


def tidy(field: Field, project: Project, text: str | None) -> str | None:
    if text is None:
        return None
    if field.trim:
        text = text.strip(" \t\n\u3000\u00a0\ufeff\u200b")
    if field.half_width:
        text = "".join(
            unicodedata.normalize("NFKC", c) if "\uff01" <= c <= "\uff5e" or c == "\u3000" else c for c in text
        )
    if text in (*project.missing, *field.missing):
        return None
    for step in field.replace:
        text = re.sub(step.pattern, step.by, text)
    if field.replace and text == "":
        return None
    return {"lower": str.lower, "upper": str.upper, None: str}[field.case](text)


def parse(field: Field, project: Project, text: str):
    kind = field.type.kind
    if kind == "text":
        return text
    if kind == "boolean":
        return True if text.lower() in TRUE else False if text.lower() in FALSE else None
    if kind in ("date", "timestamp"):
        return parse_time(field, project, text)
    number = parse_number(text, exponent=kind == "decimal")
    if number is None:
        return None
    if kind == "integer":
        whole = number == number.to_integral_value() and abs(number) < 2**63
        return int(number) if whole else None
    assert field.type.scale is not None
    assert field.type.precision is not None
    if number.adjusted() > 30:
        return None
    rounded = number.quantize(Decimal(1).scaleb(-field.type.scale), rounding=ROUND_HALF_UP)
    return rounded if abs(rounded) < 10 ** (field.type.precision - field.type.scale) else None


def parse_number(text: str, exponent: bool) -> Decimal | None:
    text = re.sub("^[￥$]", "", text)
    sign, digits = re.fullmatch(r"([+-]?)(.*)", text, re.DOTALL).groups()  # type: ignore[union-attr]
    if re.fullmatch(r"[1-9]\d{0,2}(,\d{3})+(\.\d*)?", digits):
        digits = digits.replace(",", "")
    pattern = r"\d+(\.\d*)?(e[+-]?\d{1,3})?" if exponent else r"\d+(\.0*)?"
    return Decimal(sign + digits) if re.fullmatch(pattern, digits) else None


def parse_time(field: Field, project: Project, text: str):
    naive: datetime | None = None
    for shape, name in (
        (r"\d{4}-\d\d-\d\d", "%Y-%m-%d"),
        (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d", None),
        (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d", None),
        (r"\d{4}/\d\d?/\d\d? \d\d?:\d\d", "%Y/%m/%d %H:%M"),
    ):
        if naive is None and re.fullmatch(shape, text):
            try:
                naive = datetime.strptime(text, name) if name else datetime.fromisoformat(text)
            except ValueError:
                return None
    here = ZoneInfo(project.timezone)
    if re.fullmatch(r"-?\d{1,11}", text):
        naive = datetime.fromtimestamp(int(text), UTC).astimezone(here).replace(tzinfo=None)
    elif naive is not None and field.timezone and field.type.kind == "timestamp":
        zone = ZoneInfo(field.timezone)
        naive = naive.replace(tzinfo=zone).astimezone(UTC).astimezone(here).replace(tzinfo=None)
    if naive is None:
        return None
    return naive.date() if field.type.kind == "date" else naive
