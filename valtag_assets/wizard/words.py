"""What fields are called, in both languages, and what tags made of them are called: the vocabulary of proposals."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from valtag_assets.expression.resolved import ResolvedSource
from valtag_assets.spec.block import Title
from valtag_assets.spec.naming_law import title_of


def _named(*words: str) -> re.Pattern[str]:
    """Matches a field whose code or title has one of the words: a Latin one as a whole, a Chinese one anywhere."""
    latin = "|".join(word for word in words if word.isascii())
    chinese = "|".join(word for word in words if not word.isascii())
    return re.compile(rf"(?<![a-z])(?:{latin})(?![a-z])" + (f"|{chinese}" if chinese else ""), re.IGNORECASE)


MONEY = _named(
    "amount", "amt", "sales", "revenue", "spend", "paid", "payment", "pay", "gmv", "turnover", "sales_value",
    "金额", "销售额", "实付", "付款", "实收", "消费额", "成交额", "营业额",
)  # fmt: skip
PRICE = _named("price", "unit_price", "list_price", "价格", "单价", "标价", "售价")
RATE = _named(
    "rate", "ratio", "share", "score", "rating", "level", "seconds", "duration", "dwell", "temperature", "percent",
    "days", "率", "占比", "比例", "评分", "得分", "时长", "停留", "天数", "折扣率",
)  # fmt: skip
DISCOUNT = _named("discount", "disc", "折扣")
ENTITY = _named(
    "order_id", "order_no", "order_number", "basket_id", "bill_no", "invoice", "invoice_no", "receipt_no", 
    "ticket_no", "trade_id", "trade_no", "订单号", "订单编号", "订单 ?id", "小票号", "单号", "发票号",
)  # fmt: skip
SESSION = _named("session", "session_id", "user_session", "visit_id", "会话")
ID = re.compile(
    r"(?:^|_)(?:id|no|number|uuid|guid|sku|code|openid|unionid)$|编号|编码|代码|会话|[^门店]号$|^id$", re.IGNORECASE
)
BIRTH = _named("birth", "birthday", "birth_date", "born", "date_of_birth", "dob", "生日", "出生")
CHANGED = _named("updated", "updated_at", "updated_on", "modified", "exported", "更新时间", "修改时间", "更新日期")
TYPE = re.compile(
    r"(?:event|action|behaviou?r|response|activity)(?:[_ ]type)?|type"
    r"|(?:事件|行为|操作)(?:类型)?|动作|响应|类型"
)
STATUS = _named("status", "state", "order_status", "状态")
BOUGHT = _named("purchase", "purchased", "buy", "bought", "order", "ordered", "购买", "下单")
PAID = _named(
    "paid", "completed", "complete", "success", "finished", "delivered", "valid",
    "已支付", "已付款", "已完成", "成功",
)  # fmt: skip
UNDONE = _named("refunded", "refund", "returned", "return", "退款", "已退款", "退货")
CHANNEL = _named("channel", "store", "platform", "渠道", "门店", "平台", "来源")
# What a table is called beside its rows. Not 明细 or 行: a line of an order is no order.
_END_ZH = re.compile(r"(?:流水|记录|历史|信息|数据|主表|日志|表|事件)+$")
_END = re.compile(r"_(?:history|log|record|table|data|info|flow)$")
_ID_END = re.compile(r"_(?:id|no|number|code)$")
_ID_END_ZH = re.compile(r"(?:编号|编码|号|ID|id)$")


@dataclass(frozen=True)
class Noun:
    """What a row stands for: ``order``, 订单, and in English as people say it, one and many."""

    code: str
    zh: str
    en: str

    @property
    def many(self) -> str:
        return plural(self.en)


def singular(word: str) -> str:
    """orders → order, categories → category."""
    if word.endswith("ies") and len(word) > 4:
        return f"{word[:-3]}y"
    if re.search(r"(?:ss|us|is)$", word) or not word.endswith("s"):
        return word
    return word[:-2] if re.search(r"(?:sses|xes|ches|shes)$", word) else word[:-1]


def plural(word: str) -> str:
    """order → orders, category → categories."""
    if re.search(r"[^aeiou]y$", word):
        return f"{word[:-1]}ies"
    return f"{word}es" if re.search(r"(?:s|x|ch|sh)$", word) else f"{word}s"


def noun_of(source: ResolvedSource) -> Noun:
    """What a row of the source is called."""
    code = _END.sub("", singular(source.code))
    return Noun(code, _END_ZH.sub("", source.spec.title.zh) or source.spec.title.zh, code.replace("_", " "))


def noun_of_field(source: ResolvedSource, field: str) -> Noun:
    """What an id stands for: order_id, 订单号 → order, 订单."""
    title = source.titles[field]
    code = singular(_ID_END.sub("", field))
    return Noun(code, _ID_END_ZH.sub("", title.zh.strip()).strip() or title.zh, code.replace("_", " "))


def said(source: ResolvedSource, field: str) -> str:
    """Everything a field is called, for the patterns above: words of codes apart, and whole."""
    title = source.titles[field]
    return f"{field} {field.replace('_', ' ')} {title.zh} {title.en.casefold()}"


def is_type(source: ResolvedSource, field: str) -> bool:
    """Whether the field says which kind of row this is; its whole name does, not a word of it (customer_type)."""
    title = source.titles[field]
    return any(TYPE.fullmatch(name) for name in (field, title.zh.strip(), title.en.strip().casefold()))


def value_title(source: ResolvedSource, field: str, value: str) -> Title:
    """What a value of a code table is called: its first Chinese spelling (itself, if it is Chinese), or what the
    glossary says; and the code as words."""
    spellings: Mapping[str, str] = next((item.values or {} for item in source.spec.fields if item.name == field), {})
    named = (value, *(text for text, code in spellings.items() if code == value))
    chinese = (text for text in named if re.search(r"[\u4e00-\u9fff]", text))
    return Title(zh=next(chinese, None) or title_of(value).zh, en=value.replace("_", " "))


def capital(text: str) -> str:
    """The first letter large, the rest as it is."""
    return text[:1].upper() + text[1:]


CATEGORIES: Mapping[str, Title] = {
    "attribute": Title(zh="属性类", en="Attribute"),
    "transaction": Title(zh="交易类", en="Transaction"),
    "behavior": Title(zh="行为类", en="Behaviour"),
    "lifecycle": Title(zh="生命周期类", en="Lifecycle"),
    "interest": Title(zh="兴趣类", en="Interest"),
}
"""The categories that proposals fall into, in the order of the tag tree."""

GROUPS: Mapping[str, str] = {
    "about": "基本信息",
    "times": "次数",
    "money": "金额",
    "quantity": "数量",
    "when": "时间",
    "liking": "偏好",
    "tier": "分层",
}
"""The branches of the tag tree that proposals hang on."""
