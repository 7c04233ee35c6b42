"""The naming law of columns and files (命名规则): any name a company gave becomes a code and a bilingual title.

A Chinese name is cut into the words of the glossary, longest first (客户 ID → customer_id); what the glossary does
not know is spelt in pinyin. An English one keeps its words (``userLvCd`` → user_lv_cd). Codes are lower-case ASCII
letters, digits and ``_``, begin with a letter and have at most 60 characters; a word of the expression language
alone is no code, and a date is ``_on`` where a time is ``_at``.
"""

import re
import unicodedata
from collections.abc import Iterable

from valtag_assets.spec.block import Title
from valtag_assets.spec.glossary import CHINESE, ENGLISH, MISSPELT, OF_TWO

_LONGEST = 60
_CHINESE = re.compile(r"[㐀-鿿豈-﫿]")
_RUNS = re.compile(r"[㐀-鿿豈-﫿]+|[A-Za-z0-9]+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z]{2})(?=[A-Z][a-z])")
_LONGEST_WORD = max(map(len, CHINESE))
_MATCHED = {word.upper(): said for word, said in CHINESE.items()}
_SPELT = {"id": "ID", "no": "number", "sku": "SKU", "url": "URL", "ip": "IP", "openid": "OpenID", "crm": "CRM"}
# Words the expression language keeps for itself.
_TAKEN = frozenset(
    (
        "and",
        "or",
        "not",
        "between",
        "in",
        "is",
        "null",
        "like",
        "case",
        "when",
        "then",
        "else",
        "end",
        "true",
        "false",
    )
)


def code_of(name: str, kind: str | None = None) -> str:
    """The code of a column, file or table called ``name``; ``kind`` is its type's, for dates and times."""
    words = [_ascii(word) for word in english_words(name)]
    code = re.sub(r"_+", "_", "_".join(word for word in words if word)).strip("_") or "field"
    if not code[0].isalpha():
        code = f"field_{code}"
    code = code[:_LONGEST].rstrip("_")
    if kind == "date" and code.endswith("_at"):
        code = f"{code[:-3]}_on"
    if kind == "timestamp" and code.endswith("_on"):
        code = f"{code[:-3]}_at"
    return f"{code}_value" if code in _TAKEN else code


def unused(code: str, taken: Iterable[str]) -> str:
    """``code``, or with the first number that makes it a new one: customer, customer_2, …"""
    others, number, made = set(taken), 1, code
    while made in others:
        number += 1
        made = f"{code[: _LONGEST - len(str(number)) - 1]}_{number}"
    return made


def title_of(name: str, *, of_two: bool = False) -> Title:
    """The title in both languages: the name as it was found in the one, the glossary's words in the other.

    Where the glossary lacks a word of an English name, the Chinese title is the name, too. ``of_two``: it is called
    so what has but two values, which tells some words apart.
    """
    shown = " ".join("".join(char if char.isprintable() else " " for char in name).split())[:_LONGEST] or "?"
    words = english_words(shown)
    english = " ".join(_SPELT.get(word, word) for word in words) or shown
    english = english[:1].upper() + english[1:]
    if _CHINESE.search(shown):
        return Title(zh=shown, en=english)
    return Title(zh=(OF_TWO.get(" ".join(words)) if of_two else None) or _chinese(words) or shown, en=english)


def misspelt(name: str) -> str | None:
    """The code of ``name`` as it was probably meant, where a word of it is one that is often misspelt."""
    words = english_words(name)
    meant = [MISSPELT.get(word, word) for word in words]
    return None if meant == words else code_of(" ".join(meant))


def english_words(name: str) -> list[str]:
    """The words of a name in English or pinyin, lower case: 客户 ID → customer, id; userLvCd → user, lv, cd."""
    text = unicodedata.normalize("NFKC", name)
    if (whole := _MATCHED.get(text.strip().upper())) is not None:
        return whole.split()
    found: list[str] = []
    for run in _RUNS.findall(text):
        if _CHINESE.match(run):
            found += _cut(run)
        else:
            found += [word.lower() for word in _CAMEL.split(run)]
    return found


def _cut(run: str) -> list[str]:
    """A run of Chinese by the glossary's longest words; a stretch it does not know is one word of pinyin."""
    found: list[str] = []
    unknown = ""
    at = 0
    while at < len(run):
        ends = range(min(len(run), at + _LONGEST_WORD), at, -1)
        end = next((end for end in ends if run[at:end] in CHINESE), None)
        if end is None:
            unknown += run[at]
            at += 1
            continue
        found += _pinyin(unknown) + CHINESE[run[at:end]].split()
        unknown, at = "", end
    return found + _pinyin(unknown)


def _pinyin(text: str) -> list[str]:
    if not text:
        return []
    # Its dictionaries take a fifth of a second to load: only names that need them pay.
    from pypinyin import lazy_pinyin

    return ["".join(lazy_pinyin(text))]


def _ascii(word: str) -> str:
    plain = unicodedata.normalize("NFKD", word).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]", "", plain.lower())


def _chinese(words: list[str]) -> str | None:
    """An English name in Chinese, where the glossary knows every word of it."""
    phrase = " ".join(words)
    if (whole := next((zh for zh, said in CHINESE.items() if said == phrase), None)) is not None:
        return whole
    known = [word if word.isdecimal() else ENGLISH.get(word) for word in words]
    said = [word for word in known if word is not None]
    return "".join(said) if words and len(said) == len(words) else None
