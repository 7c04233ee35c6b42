"""Everything an expression may call, in both languages: the whitelist, and the page users read.

A key is the name in the tree. ``signature`` shows how it is written; n stands for a whole number written out.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Function:
    """How an operator or function is written, and what it means."""

    signature: str
    en: str
    zh: str
    operator: bool = False


def _operator(signature: str, en: str, zh: str) -> Function:
    return Function(signature, en, zh, operator=True)


FUNCTIONS: dict[str, Function] = {
    # logic
    "and": _operator("a and b", "both are true", "两者都成立"),
    "or": _operator("a or b", "at least one is true", "至少一个成立"),
    "not": _operator(
        "not a",
        "a is false or unknown; also not in, not between, not like",
        "a 不成立或未知；也可写 not in 等",
    ),
    # comparison
    "=": _operator("a = b", "equal (== is the same); unknown if one is empty", "等于；任一为空则未知"),
    "!=": _operator(
        "a != b", "different (<> is the same); empty differs from every value", "不等于；空值不等于任何值"
    ),
    "<": _operator("a < b", "less; a timestamp and a date are compared by day", "小于；时间与日期按天比较"),
    "<=": _operator("a <= b", "less or equal", "小于等于"),
    ">": _operator("a > b", "greater", "大于"),
    ">=": _operator("a >= b", "greater or equal", "大于等于"),
    "between": _operator("a between low and high", "low <= a <= high, both ends included", "在区间内，含两端"),
    "in": _operator("a in ('x', 'y')", "one of the written values; also not in", "属于所列值之一"),
    "is null": _operator("a is null", "empty; also is not null", "为空；也可写 is not null"),
    "like": _operator(
        "a like 'x%'",
        r"% any text, _ one character, \% \_ the characters themselves",
        r"% 任意文本，_ 一个字符，\% \_ 表示其本身",
    ),
    # arithmetic
    "+": _operator("a + b", "sum; decimals stay exact", "加；小数精确"),
    "-": _operator("a - b", "difference; decimals stay exact", "减；小数精确"),
    "*": _operator("a * b", "product; decimals add their scales", "乘；小数位数相加"),
    "/": _operator("a / b", "quotient as float; empty when b is 0", "除，结果为浮点数；b 为 0 时为空"),
    "//": _operator(
        "a // b", "quotient of integers rounded down; empty when b is 0", "整除，向下取整；b 为 0 时为空"
    ),
    "%": _operator("a % b", "remainder of integers, sign of a; empty when b is 0", "取余，符号同 a；b 为 0 时为空"),
    "negate": _operator("-a", "a with the other sign", "取负"),
    # choice
    "case": _operator(
        "case when c then a else b end",
        "a of the first c that is true; without else: empty",
        "第一个成立条件的值；无 else 则为空",
    ),
    "if": Function("if(c, a, b)", "a where c is true, else b (also where c is unknown)", "c 成立取 a，否则取 b"),
    "coalesce": Function("coalesce(a, b, …)", "the first that is not empty", "第一个非空值"),
    "nullif": Function("nullif(a, b)", "empty where a = b, else a", "a 等于 b 时为空，否则为 a"),
    "least": Function("least(a, b, …)", "the smallest, ignoring empty ones", "最小值，忽略空值"),
    "greatest": Function("greatest(a, b, …)", "the largest, ignoring empty ones", "最大值，忽略空值"),
    # numbers
    "abs": Function("abs(x)", "size without sign", "绝对值"),
    "round": Function(
        "round(x) or round(x, n)",
        "to n decimals, half away from zero; without n: to an integer",
        "四舍五入到 n 位；不写 n 则取整",
    ),
    "floor": Function("floor(x)", "largest integer not above x", "向下取整"),
    "ceil": Function("ceil(x)", "smallest integer not below x", "向上取整"),
    # text
    "lower": Function("lower(text)", "in lower case", "转小写"),
    "upper": Function("upper(text)", "in upper case", "转大写"),
    "length": Function("length(text)", "number of characters", "字符数"),
    "trim": Function("trim(text)", "without blanks at both ends", "去除首尾空白"),
    "concat": Function("concat(a, b, …)", "joined; empty if one is empty", "拼接；任一为空则为空"),
    "contains": Function("contains(text, part)", "part occurs in text", "包含"),
    "starts_with": Function("starts_with(text, part)", "text begins with part", "以其开头"),
    "ends_with": Function("ends_with(text, part)", "text ends with part", "以其结尾"),
    "substring": Function(
        "substring(text, start, n)",
        "n characters from the start-th (1 = first)",
        "从第 start 个起取 n 个字符",
    ),
    # dates
    "year": Function("year(date)", "year", "年"),
    "month": Function("month(date)", "month, 1 to 12", "月"),
    "day": Function("day(date)", "day of the month, 1 to 31", "日"),
    "weekday": Function("weekday(date)", "ISO day of the week: Monday 1 … Sunday 7", "星期：周一为 1，周日为 7"),
    "hour": Function("hour(timestamp)", "hour, 0 to 23", "小时"),
    "date": Function(
        "date(timestamp) or date('2024-01-31')", "the day; or a date written out", "所在日期；或写明的日期"
    ),
    "timestamp": Function("timestamp('2024-01-31 08:00:00')", "a point in time written out", "写明的时间点"),
    "as_of": Function("as_of()", "the as-of date", "统计截止日"),
    "days_between": Function("days_between(later, earlier)", "calendar days from earlier to later", "相隔天数"),
    "days_since": Function("days_since(date)", "calendar days from date to the as-of date", "距统计截止日的天数"),
    "days_to_anniversary": Function(
        "days_to_anniversary(date)",
        "days from the as-of date to its next return, 0 on the day itself; 29 February returns on 1 March in"
        " common years",
        "距下一个周年日的天数，当天为 0；2 月 29 日在平年按 3 月 1 日计",
    ),
    "years_since": Function(
        "years_since(date)",
        "completed years at the as-of date; 29 February counts on 1 March in common years",
        "至统计截止日的周岁；2 月 29 日在平年按 3 月 1 日计",
    ),
    # lists
    "has": Function("has(list, value)", "value is in the list", "列表包含该值"),
    "size": Function("size(list)", "number of items", "列表项数"),
}

# What people write who know another dialect, and what to write here.
FOREIGN: dict[str, str] = {
    "ifnull": "coalesce(a, b)",
    "nvl": "coalesce(a, b)",
    "iif": "if(c, a, b)",
    "len": "length(text)",
    "char_length": "length(text)",
    "substr": "substring(text, start, n)",
    "ceiling": "ceil(x)",
    "pow": "a * a",
    "mod": "a % b",
    "datediff": "days_between(later, earlier)",
    "date_diff": "days_between(later, earlier)",
    "age": "years_since(date)",
    "birthday": "days_to_anniversary(date)",
    "now": "as_of()",
    "today": "as_of()",
    "current_date": "as_of()",
    "array_contains": "has(list, value)",
    "startswith": "starts_with(text, part)",
    "endswith": "ends_with(text, part)",
    "dayofweek": "weekday(date)",
    "regexp_matches": "like, contains, starts_with or ends_with",
    "cast": "round, floor, ceil or date: there is no cast; types are declared in the catalog",
    "exists": "a segment rule with did / did_not",
    **dict.fromkeys(
        ("sum", "avg", "count", "min", "max", "median", "count_distinct"),
        "agg: and of: in the catalog, or least/greatest for several values of one row",
    ),
}
