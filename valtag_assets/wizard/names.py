"""What a tag is called, and what type, unit and domain follow from what it reads: the naming law of proposals."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from valtag_assets.expression.naming import with_end
from valtag_assets.expression.resolved import Resolved, ResolvedSource
from valtag_assets.spec.block import Title
from valtag_assets.spec.mistake import Mistake
from valtag_assets.spec.types import INTEGER, DataType, decimal, list_of
from valtag_assets.wizard.fields import Column
from valtag_assets.wizard.words import Noun, capital, noun_of, plural, singular, value_title

MONEY, SHARE, PRECISE = decimal(18, 2), decimal(7, 4), decimal(18, 4)
_MOST_TITLES = 12
_END_ZH = re.compile(r"(?:时间|日期|日)$")
_END_EN = re.compile(r" (?:at|on|date|time)$")
_WORDS: Mapping[str, tuple[str, str, str]] = {
    "avg": ("avg_", "平均", "Average "),
    "max": ("max_", "最大", "Largest "),
    "min": ("min_", "最小", "Smallest "),
    "median": ("median_", "中位", "Median "),
    "first": ("first_", "首次", "First "),
    "last": ("last_", "最近", "Latest "),
}


@dataclass(frozen=True)
class Reading:
    """What a value tag reads of a fact.

    ``noun``: what one counted thing is. ``which``: the kind of row that ``where`` leaves, as part of the name.
    ``money``: the field that decides between equal counts.
    """

    source: ResolvedSource
    agg: str
    column: Column | None = None
    where: str | None = None
    windows: Sequence[str] = ("all",)
    noun: Noun | None = None
    which: Noun | None = None
    money: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def called(self) -> Noun:
        return self.noun or noun_of(self.source)


@dataclass(frozen=True)
class Named:
    """What a tag is called and holds."""

    code: str
    zh: str
    en: str
    type: DataType
    group: str
    unit: str | None = None
    domain: Mapping[str, Any] | None = None
    empty: int | None = None
    of: str | None = None


def named(resolved: Resolved, reading: Reading) -> Named:
    agg, column, noun = reading.agg, reading.column, reading.called
    if agg == "count":
        return _count(reading)
    if agg in ("days_since_first", "days_since_last"):
        word, zh, en = ("first", "首次", "first") if agg == "days_since_first" else ("last", "最近", "last")
        which = reading.which or noun
        code = f"days_since_{word}_{which.code}"
        return Named(code, f"{zh}{which.zh}距今天数", f"Days since {en} {which.en}", INTEGER, "when", "days")
    if column is None:
        raise Mistake(f"agg {agg} needs a field, as in {reading.source.code}.field")
    if agg == "count_distinct":
        return _distinct(reading, column)
    if agg == "sum":
        return _sum(resolved, reading, column)
    title, kind = column.source.titles[column.name], column.type
    prefix = f"{reading.which.code}_" if reading.which else ""
    if agg in ("top", "top_k", "list", "share"):
        return _of_values(reading, column, title, prefix)
    before, zh, en = _WORDS.get(agg, (f"{agg}_", "", f"{capital(agg)} "))
    if agg == "quantile":
        q = round(float(reading.options.get("q", 0.5)) * 100)
        before, zh, en = f"p{q}_", f"{q}分位", f"{q}th percentile of "
    own = noun.code if column.part == "time" else column.name
    code = lawful(f"{before}{prefix}{own}", kind)
    if kind.temporal and agg in ("min", "max"):
        word, zh, en = ("first", "首次", "First ") if agg == "min" else ("last", "最近", "Last ")
        code = lawful(f"{word}_{prefix}{own}", kind)
        title = Title(zh=f"{noun.zh}时间", en=noun.en) if column.part == "time" else title
    rows, kind_en = (reading.which.zh, f"{reading.which.en} ") if reading.which else ("", "")
    averaged = agg in ("avg", "median", "quantile")
    result = (MONEY if column.part in ("money", "price") else PRECISE) if averaged else kind
    group = "when" if kind.temporal else "liking" if kind.kind == "text" else _number_group(column)
    return Named(
        code,
        f"{zh}{rows}{title.zh}",
        f"{en}{kind_en}{_lower(title.en)}",
        result,
        group,
        _unit(resolved, column),
        of=column.name,
    )


def _count(reading: Reading) -> Named:
    noun, which = reading.called, reading.which
    if which is not None:
        code, zh, en = f"{which.code}_count", f"{which.zh}次数", capital(which.many)
        return Named(code, zh, en, INTEGER, "times", which.many, None, 0)
    return Named(f"{noun.code}_count", f"{noun.zh}数", capital(noun.many), INTEGER, "times", noun.many, None, 0)


def _distinct(reading: Reading, column: Column) -> Named:
    noun, title = reading.called, column.source.titles[column.name]
    if column.part == "time":
        active = reading.source.spec.family == "behavior" and reading.which is None
        which = reading.which or noun
        code, zh, en = (
            ("active_days", "活跃天数", "Active days")
            if active
            else (f"{which.code}_days", f"{which.zh}天数", f"Days with {which.many}")
        )
        of = column.name if column.type.kind == "date" else f"date({column.name})"
        return Named(code, zh, en, INTEGER, "times", "days", None, 0, of)
    if column.part in ("entity", "session"):
        code, zh, en = f"{noun.code}_count", f"{noun.zh}数", capital(noun.many)
        return Named(code, zh, en, INTEGER, "times", noun.many, None, 0, column.name)
    stem = singular(column.name.removesuffix("_id").removesuffix("_no"))
    many = plural(stem.replace("_", " "))
    code, zh, en = f"{stem}_count", f"{title.zh}数", f"Different {many}"
    return Named(code, zh, en, INTEGER, "liking", many, None, 0, column.name)


def _sum(resolved: Resolved, reading: Reading, column: Column) -> Named:
    title, which = column.source.titles[column.name], reading.which
    kind = MONEY if column.type.kind == "float" or column.part in ("money", "price") else column.type
    domain = {"min": 0} if _never_negative(column) else None
    unit = _unit(resolved, column)
    if column.part in ("money", "price"):
        code, zh, en = ("spend", "消费金额", "Spend")
        if which is not None:
            code, zh, en = f"{which.code}_{code}", f"{which.zh}{zh}", f"{en}, {which.en}"
        return Named(code, zh, en, kind, "money", unit, domain, 0, column.name)
    code, zh = f"total_{column.name}", f"{title.zh}合计"
    if which is not None:
        code, zh = f"total_{which.code}_{column.name}", f"{which.zh}{zh}"
    return Named(code, zh, f"Total {_lower(title.en)}", kind, _number_group(column), unit, domain, 0, column.name)


def _of_values(reading: Reading, column: Column, title: Title, prefix: str) -> Named:
    agg, name, kind = reading.agg, column.name, column.type
    which = reading.which.zh if reading.which else ""
    zh, en = f"{which}{title.zh}", _lower(title.en)
    if agg == "top":
        domain = _values(column)
        return Named(f"top_{prefix}{name}", f"{zh}偏好", f"Favourite {en}", kind, "liking", None, domain, of=name)
    if agg == "share":
        one = reading.options.get("equals")
        code, said = (f"top_{prefix}{name}_share", "首选") if one is None else (f"{prefix}{name}_share", str(one))
        words = f"Share of the favourite {en}" if one is None else f"Share of {one} in {en}"
        return Named(code, f"{said}{zh}占比", words, SHARE, "liking", None, {"min": 0, "max": 1}, of=name)
    code = f"top_{prefix}{plural(name)}" if agg == "top_k" else f"{prefix}{plural(name)}"
    zh = f"{zh}偏好前几" if agg == "top_k" else f"{zh}列表"
    return Named(
        code,
        zh,
        f"{'Favourite' if agg == 'top_k' else 'All'} {plural(en)}",
        list_of("integer" if kind.kind == "integer" else "text"),
        "liking",
        of=name,
    )


def _values(column: Column) -> dict[str, Any] | None:
    """The domain of a code table whose codes are called otherwise than they are written."""
    values = column.source.values.get(column.name, ())
    titles = {value: value_title(column.source, column.name, value) for value in values}
    if not 0 < len(values) <= _MOST_TITLES or all(title.zh == value for value, title in titles.items()):
        return None
    return {"values": {value: {"zh": title.zh, "en": capital(title.en)} for value, title in titles.items()}}


def _never_negative(column: Column) -> bool:
    bounds = next((item.bounds for item in column.source.spec.fields if item.name == column.name), None)
    bounded = bounds is not None and isinstance(bounds.min, int | float) and bounds.min >= 0
    return bounded or (column.figures is not None and column.figures.low is not None and column.figures.low >= 0)


def _unit(resolved: Resolved, column: Column) -> str | None:
    if column.part in ("money", "price"):
        return resolved.catalog.project.currency
    steps = next((item.unit for item in column.source.spec.fields if item.name == column.name), ())
    return steps[-1].to if steps else None


def _number_group(column: Column) -> str:
    return "money" if column.part in ("money", "price") else "quantity"


def named_of_master(column: Column, how: str | None) -> Named:
    """The field itself, or ``how`` (years_since, days_since, days_to_anniversary) of it."""
    name, title = column.name, column.source.titles[column.name]
    if how is None:
        code = lawful(name, column.type)
        return Named(code, title.zh, title.en, column.type, "about", None, _values(column), of=name)
    elif how == "years_since":
        birth = column.part == "birth"
        code, zh, en = (
            ("age", "年龄", "Age")
            if birth
            else (f"years_since_{_stem(column)}", f"{title.zh}距今年数", f"Years since {title.en}")
        )
        # The oldest age on record: Jeanne Calment's 122 years.
        domain = {"min": 0, "max": 122} if birth else {"min": 0}
        return Named(code, zh, en, INTEGER, "about", "years", domain, of=f"years_since({name})")
    else:
        stem, zh, en = _stem(column), _END_ZH.sub("", title.zh) or title.zh, _END_EN.sub("", _lower(title.en))
        if column.part == "birth":
            stem, zh, en = "birthday", "生日", "birthday"
        if how == "days_since":
            code, zh, en, domain = f"days_since_{stem}", f"{zh}距今天数", f"Days since {en}", None
        else:
            code, zh, en = f"days_to_{stem}", f"距下一个{zh}天数", f"Days to the next {en}"
            domain = {"min": 0, "max": 366}
        return Named(code, zh, en, INTEGER, "when", "days", domain, of=f"{how}({name})")


def lawful(code: str, kind: DataType) -> str:
    """The code with what the naming law wants for the type: ``_at``, ``_date``, ``is_``."""
    if kind.kind == "timestamp":
        return code if code.endswith("_at") else with_end(code, "_at")
    if kind.kind == "date":
        return code if code.endswith("_date") else with_end(code, "_date").replace("_on_date", "_date")
    if kind.kind == "boolean":
        return code if code.startswith(("is_", "has_")) else f"is_{code}"
    return with_end(code, "_value") if code.endswith(("_at", "_date")) else code


def _stem(column: Column) -> str:
    """registered_at → registered; a time that is called nothing else (at, date) goes by its table."""
    name = column.source.code if column.name in ("at", "on", "date", "time") else column.name
    return re.sub(r"_(?:at|on|date|time)$", "", name)


def _lower(text: str) -> str:
    """The first letter small, unless the word is all capitals (GMV)."""
    return text if text[:2].isupper() else text[:1].lower() + text[1:]
