"""A portrait as a table for the terminal, and the words that the page shares with it."""

from rich.console import Console
from rich.text import Text

from valtag_assets.console.portrait import Pictured
from valtag_assets.console.screen import count, share, table
from valtag_assets.engine.portrait import FEWEST, Difference, ValueShare
from valtag_assets.spec.block import Title

UNFILLED = Title(zh="无值", en="no value")
_SIGNIFICANT = 0.05
_ALIKE_SHOWN = 4


def print_portrait(console: Console, found: Pictured, limit: int) -> None:
    """The ``limit`` strongest differences, then what was not compared."""
    portrait = found.portrait
    console.print(Text(heading(found), style="bold"))
    console.print(Text(sizes(found)))
    if found.stale is not None:
        console.print(Text(found.stale, style="yellow"))
    if not portrait.comparable:
        console.print(Text(too_few(found), style="yellow"))
        return
    columns = [
        ">",
        "!tag",
        "名称 title",
        ">人群 audience",
        f">{others(found)}",
        ">效应 effect",
        ">p adj.",
        "最突出 most apart",
    ]
    shown = portrait.differences[:limit]
    rows = [
        [
            place,
            item.code + ("*" if item.code in found.in_rule else ""),
            str(title_of(found, item)),
            *sides(found, item),
            effect(item),
            Text(p_value(item.adjusted), style="" if significant(item) else "dim"),
            most_apart(found, item),
        ]
        for place, item in enumerate(shown, 1)
    ]
    console.print(table("", columns, rows))
    if any(item.code in found.in_rule for item in shown):
        console.print(Text("* 规则所含：差异由定义而来 in the rule itself: it differs by definition", style="dim"))
    console.print(Text(f"{len(shown)} of {len(portrait.differences)} differences; {LEGEND}", style="dim"))
    for code, why in {**found.skipped, **portrait.too_few}.items():
        console.print(Text(f"not compared: {code}: {why}", style="dim"))


LEGEND = (
    "按与人群归属的相关排序；g：均值差（标准差），V：分类，φ：占比。"
    "effect: g standard deviations (Hedges) of means, V (Cramér) of categories, φ of shares; ranked by the"
    " correlation with membership; p by Welch's t or χ², corrected by Benjamini–Hochberg"
)


def heading(found: Pictured) -> str:
    other = "所有其他人 · everybody else" if found.against is None else str(found.against)
    return f"{found.title} ({found.segment}) 对比 against {other}, as-of {found.as_of}"


def sizes(found: Pictured) -> str:
    portrait = found.portrait
    return f"{count(portrait.members)} persons in the audience, {count(portrait.rest)} in the rest"


def too_few(found: Pictured) -> str:
    portrait = found.portrait
    if portrait.rest == 0 and found.against is not None:
        return "all of the other audience are in this one, too: nobody is left to compare with · 对比人群均在其中"
    if portrait.rest == 0:
        return "everybody is in the audience: there is nobody to compare with · 全部人群均在其中，无可对比"
    least = min(portrait.members, portrait.rest)
    return f"too few to compare: {least} persons on one side, and figures of fewer than {FEWEST} mislead · 人数过少"


def others(found: Pictured) -> str:
    """What the second column holds: the rest for means, everybody for shares; another audience for both."""
    return "其余/全体 rest/everybody" if found.against is None else "对比人群 other audience"


def title_of(found: Pictured, item: Difference) -> Title:
    title, more = found.titles[item.code], len(item.alike)
    if item.kind != "unfilled":
        return title
    if more:
        zh, en = f"{title.zh}等{more + 1}项：{UNFILLED.zh}", f"{title.en} and {more} more: {UNFILLED.en}"
        return Title(zh=zh, en=en)
    return Title(zh=f"{title.zh}：{UNFILLED.zh}", en=f"{title.en}: {UNFILLED.en}")


def sides(found: Pictured, item: Difference) -> tuple[str, str]:
    """Means with medians, or the shares of the value most apart."""
    if item.means is not None and item.medians is not None:
        unit = " d ago" if item.kind == "date" else f" {found.units[item.code]}" if item.code in found.units else ""
        pairs = zip(item.means, item.medians, strict=True)
        one, other = (f"{number(mean)} (median {number(middle)}){unit}" for mean, middle in pairs)
        return one, other
    first = item.values[0] if item.values else None
    return ("", "") if first is None else (share(first.share), share(first.reference_share))


def effect(item: Difference) -> str:
    size = item.effect.size
    letter = {"phi": "φ"}.get(item.effect.measure, item.effect.measure)
    if size is None:
        return f"{letter} ∞" if item.effect.strength == 1.0 else ""
    return f"{letter} {size:.2f}" if letter == "V" else f"{letter} {size:+.2f}"


def p_value(p: float | None) -> str:
    if p is None:
        return ""
    return "<0.0001" if p < 0.0001 else f"{p:.4f}"


def significant(item: Difference) -> bool:
    return item.adjusted is not None and item.adjusted < _SIGNIFICANT


def most_apart(found: Pictured, item: Difference) -> str:
    """The value most apart from the reference, with its index; what is odd about the effect."""
    if item.alike:
        shown = ", ".join(item.alike[:_ALIKE_SHOWN])
        return f"also {shown}{', …' if len(item.alike) > _ALIKE_SHOWN else ''}"
    if item.kind == "unfilled" or not item.values:
        return item.effect.note or ""
    return value_words(found, item.code, item.values[0])


def value_words(found: Pictured, code: str, value: ValueShare) -> str:
    name = value_name(found, code, value)
    return f"{name}: nobody else" if value.index is None else f"{name}: index {value.index:.0f}"


def value_name(found: Pictured, code: str, value: ValueShare) -> str:
    title = found.value_titles.get(code, {}).get(value.value)
    return value.value if title is None else f"{title} ({value.value})"


def number(value: float) -> str:
    """Four digits are enough to compare."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
