"""allocations/*.yaml: what each tier is given: a share of a budget, and an offer (分级 → 资源倾斜 → 激励策略)."""

import re
from decimal import Decimal
from typing import Annotated

from pydantic import Field, field_validator

from valtag_assets.spec.block import Block, Code, Title

# Exact in the published table: six places after the point, money in hundredths.
Share = Annotated[Decimal, Field(ge=0, le=1, decimal_places=6)]
Money = Annotated[Decimal, Field(gt=0, max_digits=18, decimal_places=2)]


class Budget(Block):
    """What there is to spend; ``currency``: three letters, that of the project where it is left out."""

    amount: Money
    currency: str | None = None

    @field_validator("currency")
    @classmethod
    def _three_letters(cls, currency: str | None) -> str | None:
        if currency is not None and not re.fullmatch(r"[A-Z]{3}", currency):
            raise ValueError(f"'{currency}' is no currency; write its three letters, as in CNY")
        return currency


class TierShare(Block):
    """One tier, which is a value of the column ``of``: its ``share`` of the budget (0 to 1), what it is offered, by
    which of the project's channels, and what is to be done."""

    tier: str
    share: Share
    offer: Title
    channel: Code | None = None
    action: Title | None = None

    @field_validator("tier", mode="before")
    @classmethod
    def _text(cls, tier: object) -> object:
        # YAML takes 011 for the number nine.
        if isinstance(tier, int | float):
            raise ValueError('is a number; a tier is a text: write it in quotes, as in "011"')
        return tier


class Allocation(Block):
    """A table of one row per tier: every value of ``of`` once, with shares that sum to 1.

    ``of`` is a text column with known values: that of a score (``rfm_tier``), a band, a tag with a closed domain.
    """

    allocation: Code
    title: Title
    meaning: str | None = None
    owner: str | None = None
    of: Code
    budget: Budget | None = None
    tiers: tuple[TierShare, ...]


# What the columns of an allocation are called.
COLUMN_TITLES: dict[str, Title] = {
    "tier": Title(zh="分层", en="Tier"),
    "title_zh": Title(zh="分层名称（中文）", en="Title of the tier, Chinese"),
    "title_en": Title(zh="分层名称（英文）", en="Title of the tier, English"),
    "persons": Title(zh="人数", en="Persons"),
    "persons_share": Title(zh="人数占比", en="Share of persons"),
    "revenue": Title(zh="金额", en="Monetary value"),
    "revenue_share": Title(zh="金额占比", en="Share of the monetary value"),
    "budget_share": Title(zh="预算占比", en="Share of the budget"),
    "budget_amount": Title(zh="预算金额", en="Budget"),
    "budget_per_person": Title(zh="人均预算", en="Budget per person"),
    "currency": Title(zh="预算币种", en="Currency of the budget"),
    "offer_zh": Title(zh="权益（中文）", en="Offer, Chinese"),
    "offer_en": Title(zh="权益（英文）", en="Offer, English"),
    "channel": Title(zh="触达渠道", en="Channel"),
    "action_zh": Title(zh="动作（中文）", en="Action, Chinese"),
    "action_en": Title(zh="动作（英文）", en="Action, English"),
}
