"""What a column is: its type, formats and cleaning rules, guessed from its name and its counted forms, with evidence.

The thresholds: a type is taken when nine values of ten have its form (six of ten where the name says it is a time);
what does not fit is then refused or set to null by the draft, never silently bent.
"""

import re
from typing import Any

from valtag_assets.engine.inventory import forms
from valtag_assets.engine.inventory.profile import Counted, Guess, Suspicion
from valtag_assets.engine.inventory.words import CALENDAR, CLASS, IDENTIFIER, MEASURE, MONEY, names_time, words
from valtag_assets.spec.block import Title
from valtag_assets.spec.naming_law import code_of, misspelt, title_of, unused
from valtag_assets.spec.project import DEFAULT_MISSING
from valtag_assets.spec.source import Field
from valtag_assets.spec.types import BOOLEAN, DATE, FLOAT, INTEGER, TEXT, TIMESTAMP, DataType, decimal, parse_type

MOST = 0.9
NAMED_TIME = 0.6
_FEW = 500  # a column of so many different values is one of classes
_MALE = ("男", "M", "m", "male", "Male", "MALE", "男士", "先生", "男性")
_FEMALE = ("女", "F", "f", "female", "Female", "FEMALE", "女士", "小姐", "女性")
_PHONE_RULES = ({"pattern": "[ -]"}, {"pattern": r"^(?:\+?86|0086)"})


def guess(counted: Counted, suspicion: Suspicion | None, taken: list[str]) -> Guess:
    """The field a draft would make of the column; its code is none of ``taken``."""
    why: list[Title] = []
    if (meant := misspelt(counted.name)) is not None:
        why.append(Title(zh=f"列名疑似 {meant} 的误拼", en=f"its name may be misspelt for {meant}; it is kept"))
    kind, formats = _type(counted, suspicion, why)
    identifier = kind == TEXT and not formats and _identifies(counted)
    data: dict[str, Any] = {
        "name": unused(code_of(counted.name, kind.kind), taken),
        "from": counted.name,
        "type": kind,
        "title": title_of(counted.name, of_two=counted.values == 2),
        "missing": list(_missing(counted, kind, why)),
        "formats": list(formats),
        "access": _access(suspicion),
    }
    data |= _rules(counted, kind, suspicion, identifier, why)
    return Guess(Field.model_validate(data), tuple(why), identifier)


def _access(suspicion: Suspicion | None) -> str:
    if suspicion is None or suspicion.what.en == "key of a person":
        return "internal"
    return "sensitive" if suspicion.sensitive else "pii"


def _type(counted: Counted, suspicion: Suspicion | None, why: list[Title]) -> tuple[DataType, tuple[str, ...]]:
    typed = _typed(counted.raw)
    if typed is not None and not typed.numeric:
        why.append(Title(zh=f"源类型 {counted.raw}", en=f"is stored as {counted.raw}"))
        return typed, ()
    if not counted.present:
        why.append(Title(zh="没有任何值", en="has no value at all"))
        return typed or TEXT, ()
    if suspicion is not None and not suspicion.sensitive:
        why.append(Title(zh=f"疑似{suspicion.what.zh}，按文本读取", en=f"may be {suspicion.what.en}: kept as text"))
        return TEXT, ()
    formats, share = _formats(counted)
    if formats:
        listed = ", ".join(f"{name} {counted.formats[name] / counted.present:.1%}" for name in formats)
        why.append(
            Title(zh=f"{share:.1%} 的值符合时间格式：{listed}", en=f"{share:.1%} of the values are times: {listed}")
        )
        timed = counted.timed or any(name in forms.EPOCHS for name in formats)
        return (TIMESTAMP if timed else DATE), tuple(dict.fromkeys(_written(name) for name in formats))
    if _says_yes_or_no(counted):
        why.append(Title(zh="取值只有是与否", en="says only yes or no"))
        return BOOLEAN, ()
    return _number(counted, typed, why), ()


def _typed(raw: str) -> DataType | None:
    """The catalog's type of a column that its source has typed; None for text."""
    kind = raw.upper()
    if kind == "BOOLEAN":
        return BOOLEAN
    if kind == "DATE":
        return DATE
    if kind.startswith("TIMESTAMP"):
        return TIMESTAMP
    if kind.startswith("DECIMAL"):
        return parse_type(kind.lower())
    if kind in ("FLOAT", "DOUBLE"):
        return FLOAT
    return INTEGER if "INT" in kind and kind not in ("INTERVAL", "HUGEINT", "UHUGEINT") else None


def _formats(counted: Counted) -> tuple[tuple[str, ...], float]:
    """The formats that the values of a time are written in, the most frequent first, and the share they read."""
    named = names_time(counted.name) and not words(counted.name) <= CALENDAR - {"day"}
    found = dict(counted.formats)
    month, day = (sum(found.pop(name, 0) for name in some) for some in (forms.MONTH_FIRST, forms.DAY_FIRST))
    slashed = forms.MONTH_FIRST if month >= day else forms.DAY_FIRST
    found |= {name: many for name in slashed if (many := counted.formats.get(name, 0))}
    if not named:
        # Ten digits are as likely an id.
        found = {name: many for name, many in found.items() if name not in forms.EPOCHS}
    share = min(1.0, sum(found.values()) / counted.present)
    digits = all(name in ("YYYYMMDD", *forms.EPOCHS) for name in found)
    least = NAMED_TIME if named else 0.98 if digits else MOST
    # Of a handful of numbers, eight digits that happen to be a day say nothing.
    if not found or share < least or (digits and not named and counted.values < 5):
        return (), 0.0
    ranked = sorted(found, key=lambda name: (-found[name], name))
    return tuple(name for name in ranked if found[name] > 1 or len(ranked) < 3)[:8], share


def _written(name: str) -> str:
    return "iso" if name == forms.ZONED else name


def _says_yes_or_no(counted: Counted) -> bool:
    if counted.share("boolean") < 0.98 or counted.folded > 6:
        return False
    said = bool(words(counted.name) & {"is", "has", "flag", "returned", "cancelled"})
    return said or (counted.share("whole") < 0.5 and counted.folded <= 4 and counted.values > 1)


def _number(counted: Counted, typed: DataType | None, why: list[Title]) -> DataType:
    share = counted.share("number")
    if typed is None and share == 0:
        return TEXT
    if typed is None and share < MOST:
        longest = f"最长 {counted.longest} 字符", f"the longest has {counted.longest} characters"
        why.append(Title(zh=f"{share:.1%} 的值是数字；{longest[0]}", en=f"{share:.1%} are numbers; {longest[1]}"))
        return TEXT
    if reason := _named_by(counted):
        why.append(reason)
        return TEXT
    if typed is not None and typed.kind == "decimal":
        return typed
    whole = counted.share("integer") >= share
    why.append(
        Title(
            zh=f"{share:.1%} 的值是{'整数' if whole else '数字'}",
            en=f"{share:.1%} are {'whole ' if whole else ''}numbers",
        )
    )
    if whole and not (words(counted.name) & MONEY):
        return INTEGER
    if counted.scale <= 4 or words(counted.name) & MONEY:
        return decimal(18, max(2, min(counted.scale, 4)))
    return FLOAT


def _named_by(counted: Counted) -> Title | None:
    """Why a column of numbers is one of names: no sum of them means anything."""
    found = words(counted.name)
    if found <= CALENDAR:
        return None
    if counted.forms.get("leading_zero"):
        return Title(zh="数字有前导零，按编码读取", en="numbers with leading zeros: codes")
    if found & MEASURE:
        return None
    if found & IDENTIFIER:
        return Title(zh="列名说明是编号", en="its name says it is an id")
    if found & CLASS and counted.share("integer") >= counted.share("number"):
        return Title(zh="列名说明是分类", en="its name says it is a class")
    if counted.longest > 15 and counted.share("whole") > MOST:
        return Title(zh="数字超过 15 位，按编码读取", en="whole numbers of more than 15 digits: codes")
    return None


def _identifies(counted: Counted) -> bool:
    found = words(counted.name)
    shaped = any(counted.share(form) > MOST for form in ("uuid", "digest", "openid"))
    return shaped or (bool(found & IDENTIFIER) and not found & MEASURE)


def _missing(counted: Counted, kind: DataType, why: list[Title]) -> list[str]:
    """The spellings of nothing that the column needs beside those of every project."""
    found: list[str] = []
    shown: list[str] = []
    for spelling, many in sorted(counted.spellings.items(), key=lambda item: -item[1]):
        if not spelling:
            continue
        if spelling in DEFAULT_MISSING or spelling not in forms.AMBIGUOUS:
            taken = True
        elif spelling.startswith("1900"):
            taken = kind.temporal
        else:
            # The only negative value there is; a refund's quantity is -1, too.
            often = many >= max(3, counted.present / 1000)
            taken = often and (not kind.numeric or counted.forms.get("negative", 0) == 0)
        if taken:
            shown.append(f"'{spelling}' {many:,}")
            if spelling not in DEFAULT_MISSING:
                found.append(spelling)
    if shown:
        why.append(Title(zh=f"缺失写作 {', '.join(shown)}", en="ways in which missing is written"))
    return found


def _rules(
    counted: Counted, kind: DataType, suspicion: Suspicion | None, identifier: bool, why: list[Title]
) -> dict[str, Any]:
    """Replacements, case and code table of a text."""
    if kind != TEXT:
        return {}
    rules: dict[str, Any] = {}
    if suspicion is not None and suspicion.what.en == "phone":
        rules["replace"] = [dict(rule) for rule in _PHONE_RULES]
    elif counted.forms.get("point_zero") and counted.share("number") > MOST:
        many = counted.forms["point_zero"]
        why.append(Title(zh=f"{many:,} 个编号以 .0 结尾", en=f"{many:,} ids end in .0"))
        rules["replace"] = [{"pattern": r"\.0+$"}]
    if counted.folded < counted.values and (identifier or counted.values <= _FEW) and suspicion_allows(suspicion):
        # One convention for all ids, so that those of two tables still meet.
        rules["case"] = "upper" if identifier else "lower"
        many = counted.values - counted.folded
        why.append(Title(zh=f"{many:,} 种写法仅大小写不同", en=f"{many:,} spellings differ by case only"))
    if words(counted.name) & {"gender", "sex"} and (table := _genders(counted)):
        rules |= {"values": table, "unknown": "null"}
        rules.pop("case", None)
    return rules


def suspicion_allows(suspicion: Suspicion | None) -> bool:
    """Whether spellings may be changed: a key may, a name or an address may not."""
    return suspicion is None or suspicion.what.en == "key of a person"


def _genders(counted: Counted) -> dict[str, list[str]]:
    seen = {value for value, _ in counted.top}
    table = {
        "female": [spelling for spelling in _FEMALE if spelling in seen and spelling != "female"],
        "male": [spelling for spelling in _MALE if spelling in seen and spelling != "male"],
    }
    known = {spelling for many in table.values() for spelling in many} | {"female", "male"}
    share = sum(many for value, many in counted.top if value in known) / max(1, counted.present)
    return table if share > 0.5 and all(not re.fullmatch(r"\d", spelling) for spelling in known) else {}
