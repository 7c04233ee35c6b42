"""What is odd about a column, whether a draft should take it, and the rules its measured values ask for."""

from dataclasses import replace

from valtag_assets.engine.inventory import forms
from valtag_assets.engine.inventory.measuring import TIMES, first_day
from valtag_assets.engine.inventory.profile import Column
from valtag_assets.engine.inventory.words import BIRTH, MONEY, NEVER_NEGATIVE, UPDATED, words
from valtag_assets.spec.block import Title
from valtag_assets.spec.source import Bounds, Outlier

NEARLY_EMPTY = 0.05
_LONG = 1000


def anomalies(column: Column) -> tuple[Title, ...]:
    """Everything odd about the column's values, most telling first."""
    counted, measured = column.counted, column.measured
    found = list(_times(column)) if column.type.temporal else []
    if column.type.numeric:
        found += _numbers(column)
    if measured.unread:
        found.append(_many(measured.unread, "个值无法解析", "values can't be read"))
    for many, zh, en in (
        (counted.widened, "个值含全角字符", "values have full-width signs"),
        (counted.trimmed, "个值首尾有空格", "values have spaces around"),
        (counted.forms.get("control", 0), "个值含控制字符", "values hold control characters"),
        (counted.forms.get("percent", 0), "个值带百分号", "values are written with %"),
    ):
        if many:
            found.append(_many(many, zh, en))
    if counted.forms.get("exponent") and column.guess.identifier:
        found.append(
            _many(
                counted.forms["exponent"],
                "个编号被表格软件改成科学计数",
                "ids were turned into 1.2E+11 by a spreadsheet",
            )
        )
    if counted.longest > _LONG:
        found.append(
            Title(
                zh=f"最长的值有 {counted.longest:,} 个字符",
                en=f"the longest value has {counted.longest:,} characters",
            )
        )
    return tuple(found)


def _many(many: int, zh: str, en: str) -> Title:
    return Title(zh=f"{many:,} {zh}", en=f"{many:,} {en}")


def _times(column: Column) -> list[Title]:
    counted, measured = column.counted, column.measured
    found = []
    written = [
        name for name, many in counted.formats.items() if many and name in (*column.guess.field.formats, forms.ZONED)
    ]
    if len(written) > 1:
        listed = ", ".join(sorted(written))
        found.append(
            Title(zh=f"混用 {len(written)} 种格式：{listed}", en=f"{len(written)} formats side by side: {listed}")
        )
    if measured.early:
        found.append(
            _many(
                measured.early,
                f"个时间早于 {first_day(column.guess.field)}",
                f"times lie before {first_day(column.guess.field)}",
            )
        )
    if measured.late:
        found.append(_many(measured.late, "个时间晚于盘点当天", "times lie after the day of this inventory"))
    month, day = (sum(counted.formats.get(name, 0) for name in some) for some in (forms.MONTH_FIRST, forms.DAY_FIRST))
    if month and month == day:
        found.append(Title(zh="月与日的先后无法判断", en="nothing says whether the month or the day comes first"))
    return found


def _numbers(column: Column) -> list[Title]:
    measured, found = column.measured, []
    name = words(column.name)
    if measured.negative and name & NEVER_NEGATIVE:
        found.append(_many(measured.negative, "个值为负", "values are negative"))
    elif measured.negative and name & MONEY:
        found.append(_many(measured.negative, "个负金额（可能是退款）", "negative amounts (refunds, it may be)"))
    if measured.beyond:
        found.append(
            _many(measured.beyond, f"个值超过中位数 {TIMES} 倍", f"values are more than {TIMES} times the median")
        )
    return found


def concluded(column: Column, rows: int) -> Column:
    """The column with its anomalies, the layer it belongs to with the reason, and the bounds a draft should set."""
    found = anomalies(column)
    layer, reason, left_out = _layer(column, rows)
    update: dict[str, object] = {"layer": layer}
    measured, name = column.measured, words(column.name)
    if column.type.temporal and measured.early:
        update["bounds"] = Bounds(
            min=first_day(column.guess.field), otherwise="null" if name & BIRTH else "quarantine"
        )
    if column.type.numeric and measured.beyond and name & MONEY and measured.beyond * 1000 < rows:
        update["outlier"] = Outlier(times=TIMES)
    present = rows - measured.missing
    if measured.unread and (name & BIRTH or measured.unread > 0.01 * max(1, present)):
        update["invalid"] = "null"
    field = column.guess.field.model_copy(update=update)
    return replace(
        column, guess=replace(column.guess, field=field), anomalies=found, reason=reason, left_out=left_out
    )


def _layer(column: Column, rows: int) -> tuple[str, Title | None, bool]:
    counted, measured = column.counted, column.measured
    filled = 1 - measured.missing / rows if rows else 0.0
    if not counted.present or filled == 0:
        return "redundant", Title(zh="全部为空", en="is empty"), True
    if counted.distinct <= 1 and filled == 1 and rows > 1:
        return "redundant", Title(zh="所有行取值相同", en="is the same in every row"), True
    if filled < NEARLY_EMPTY:
        return (
            "auxiliary",
            Title(zh=f"仅 {filled:.1%} 的行有值", en=f"only {filled:.1%} of the rows have a value"),
            False,
        )
    if words(column.name) & UPDATED:
        return "auxiliary", Title(zh="记录的更新时间", en="says when the record was changed"), False
    for form, zh, en in (("url", "链接", "links"), ("json", "嵌套数据", "nested data")):
        if counted.share(form) > 0.9:
            return "auxiliary", Title(zh=f"是{zh}", en=f"holds {en}"), False
    return "core", None, False
