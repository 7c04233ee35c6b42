"""What a trigger is judged by (触达效果): the conversion looked for after a person entered."""

from pydantic import model_validator

from valtag_assets.spec.block import Block, Code, Title
from valtag_assets.spec.span import Days
from valtag_assets.spec.types import FLOAT, INTEGER, TEXT, DataType, decimal


class Effect(Block):
    """A person converts by a row of ``fact`` (one with ``where``) in the ``within`` days after entering.

    ``value``: an expression over the row; its sum is the person's revenue. ``adjust``: a tag known on entering that
    foretells the revenue (what was spent before): it makes intervals narrower, and can't move the truth (CUPED).
    ``keep``: tags beside those the trigger reads whose contribution is to be measured: their values on entering
    are kept.
    """

    fact: Code
    where: str | None = None
    value: str | None = None
    within: Days = 14
    adjust: Code | None = None
    keep: tuple[Code, ...] = ()

    @model_validator(mode="after")
    def _adjusted(self) -> "Effect":
        if self.adjust is not None and self.value is None:
            raise ValueError("adjust makes the interval of a revenue narrower; value says what the revenue is")
        return self


MONEY = decimal(38, 4)
ROW = "line"
COLUMNS: dict[str, tuple[DataType, Title]] = {
    ROW: (INTEGER, Title(zh="行号", en="Line")),
    "period": (TEXT, Title(zh="进入月份，all 为全部", en="Month of entering; all is all together")),
    "step": (TEXT, Title(zh="步骤，all 为全部", en="Step; all is all together")),
    "channel": (TEXT, Title(zh="渠道", en="Channel")),
    "planned": (INTEGER, Title(zh="计划消息数", en="Messages planned")),
    "sent": (INTEGER, Title(zh="已发送", en="Sent")),
    "delivered": (INTEGER, Title(zh="已送达", en="Delivered")),
    "opened": (INTEGER, Title(zh="已打开", en="Opened")),
    "clicked": (INTEGER, Title(zh="已点击", en="Clicked")),
    "converted": (INTEGER, Title(zh="回执转化数", en="Converted, as receipts say")),
    "unsubscribed": (INTEGER, Title(zh="退订", en="Unsubscribed")),
    "bounced": (INTEGER, Title(zh="退回", en="Bounced")),
    "cost": (MONEY, Title(zh="成本", en="Cost of what was sent")),
    "entered": (INTEGER, Title(zh="进入次数（已分组）", en="Entries that were drawn an arm")),
    "not_over": (
        INTEGER,
        Title(zh="观察期未满的进入次数，不计入下列各列", en="Entries whose window is not over: not below"),
    ),
    "treated": (INTEGER, Title(zh="实验组人数", en="Persons of the treated arm")),
    "control": (INTEGER, Title(zh="对照组人数", en="Persons held out")),
    "treated_conversions": (INTEGER, Title(zh="实验组转化人数", en="Treated persons who converted")),
    "control_conversions": (INTEGER, Title(zh="对照组转化人数", en="Held out persons who converted")),
    "treated_revenue": (MONEY, Title(zh="实验组收入", en="Revenue of the treated arm")),
    "control_revenue": (MONEY, Title(zh="对照组收入", en="Revenue of those held out")),
    "evidence": (TEXT, Title(zh="证据：randomised 随机对照、association 仅关联、insufficient 不足", en="Evidence")),
    "lift": (FLOAT, Title(zh="转化率提升（实验组 − 对照组）", en="Conversion rate, treated less held out")),
    "lift_low": (FLOAT, Title(zh="转化率提升 95% 下限", en="Its 95% interval, from")),
    "lift_high": (FLOAT, Title(zh="转化率提升 95% 上限", en="Its 95% interval, to")),
    "revenue_lift": (FLOAT, Title(zh="人均收入提升", en="Revenue a person, treated less held out")),
    "revenue_lift_low": (FLOAT, Title(zh="人均收入提升 95% 下限", en="Its 95% interval, from")),
    "revenue_lift_high": (FLOAT, Title(zh="人均收入提升 95% 上限", en="Its 95% interval, to")),
    "adjusted": (TEXT, Title(zh="人均收入提升按此标签校正（CUPED）", en="Tag the revenue is adjusted by (CUPED)")),
    "more_conversions": (FLOAT, Title(zh="增量转化人数", en="Conversions there would not have been")),
    "more_conversions_low": (FLOAT, Title(zh="增量转化 95% 下限", en="Their 95% interval, from")),
    "more_conversions_high": (FLOAT, Title(zh="增量转化 95% 上限", en="Their 95% interval, to")),
    "more_revenue": (FLOAT, Title(zh="增量收入", en="Revenue there would not have been")),
    "more_revenue_low": (FLOAT, Title(zh="增量收入 95% 下限", en="Its 95% interval, from")),
    "more_revenue_high": (FLOAT, Title(zh="增量收入 95% 上限", en="Its 95% interval, to")),
    "roi": (FLOAT, Title(zh="投资回报率：（增量收入 − 成本）÷ 成本", en="Return: (more revenue − cost) / cost")),
    "roi_low": (FLOAT, Title(zh="投资回报率 95% 下限", en="Its 95% interval, from")),
    "roi_high": (FLOAT, Title(zh="投资回报率 95% 上限", en="Its 95% interval, to")),
    "detectable": (FLOAT, Title(zh="可检出的最小转化率提升（80% 功效）", en="Smallest lift found with power 80%")),
}
"""The columns of the table of effects: a line per (period, step), and per period all steps together."""
