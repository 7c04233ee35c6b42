"""What a run of the generator knows before it draws persons: dates, products, campaigns, SQL variables."""

import hashlib
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import accumulate
from typing import NamedTuple

from valtag_assets.catalogs.mall import vocabulary as words
from valtag_assets.catalogs.mall.products import Product, make_products, number_from, sku_of_pair

LEAD_DAYS = 1095
"""Members may have joined this many days before the first day."""
MIN_DAYS = 30
MAX_PERSONS = 5_000_000
REEXPORT_DAYS = 7
_SALTS = ("person", "row", "order", "line", "session", "event", "reply", "login")


class Campaign(NamedTuple):
    code: str
    name: str
    kind: int
    first_day: int
    """Day number, 0 is the first day; ``last_day`` is inclusive."""
    last_day: int
    budget: int


@dataclass(frozen=True)
class Plan:
    """The arguments of a run and what follows from them alone."""

    persons: int
    days: int
    seed: int
    until: date

    def __post_init__(self) -> None:
        if not 1 <= self.persons <= MAX_PERSONS:
            raise ValueError(f"persons must be 1 to {MAX_PERSONS}, not {self.persons}")
        if self.days < MIN_DAYS:
            raise ValueError(f"days must be at least {MIN_DAYS}, not {self.days}")

    @property
    def start(self) -> date:
        return self.until - timedelta(self.days - 1)

    @property
    def legacy_until(self) -> date:
        """Events before this date come from the old system, as JSON lines."""
        return self.start + timedelta(max(1, self.days // 40))

    @property
    def reexport_from(self) -> date:
        return self.until - timedelta(min(40, self.days - 1))

    @property
    def months(self) -> list[tuple[int, int]]:
        """(year, month) of every calendar month that the days touch, oldest first."""
        first, last = self.start.year * 12 + self.start.month - 1, self.until.year * 12 + self.until.month - 1
        return [(number // 12, number % 12 + 1) for number in range(first, last + 1)]

    def products(self) -> list[Product]:
        return make_products(self.seed, self.start)

    def campaigns(self) -> list[Campaign]:
        """Each of the five kinds runs for up to two weeks, again and again every 45 days."""
        found = []
        for kind, title in enumerate(words.CAMPAIGN_TYPES):
            for first in range(kind * 5, self.days - 1, 45):
                day = self.start + timedelta(first)
                length = 10 + number_from(self.seed, "campaign", kind, first) % 5
                last = min(first + length - 1, self.days - 1)
                budget = 10_000 * (2 + number_from(self.seed, "budget", kind, first) % 30)
                name = f"{day.year}年{day.month}月{title}"
                found.append(Campaign(f"C{day:%y%m%d}{kind + 1}", name, kind, first, last, budget))
        return sorted(found, key=lambda campaign: (campaign.first_day, campaign.kind))

    def variables(self) -> dict[str, object]:
        """SQL variables by name: numbers, dates, and the lists that weighted choices are made from."""
        return self._sizes() | self._calendar() | _people() | self._goods() | _systems()

    def _sizes(self) -> dict[str, object]:
        salts: dict[str, object] = {}
        for kind in _SALTS:
            digest = hashlib.sha256(f"{self.seed}:{kind}".encode()).digest()
            # below 2^62, so that salt + entity number × 1000 + column stays a BIGINT
            salts[f"salt_{kind}"] = int.from_bytes(digest[:8], "big") >> 2
        return salts | {
            "persons": self.persons,
            "extra": max(1, self.persons // 400),
            "days": self.days,
            "lead": LEAD_DAYS,
            "history": self.days + LEAD_DAYS,
            "orders_a_day": 0.037,
            "sessions_a_day": 0.0192,
        }

    def _calendar(self) -> dict[str, object]:
        season = [words.season_weight(self.start + timedelta(day)) for day in range(self.days)]
        campaigns = self.campaigns()
        running: list[int | None] = [None] * (self.days * len(words.CAMPAIGN_TYPES))
        for number, campaign in enumerate(campaigns):
            for day in range(campaign.first_day, campaign.last_day + 1):
                running[day * len(words.CAMPAIGN_TYPES) + campaign.kind] = number
        return {
            "start": self.start,
            "until": self.until,
            "legacy_until": self.legacy_until,
            "reexport_from": self.reexport_from,
            "reexport_to": self.reexport_from + timedelta(REEXPORT_DAYS),
            "season": words.spread(season),
            "season_before": [0, *accumulate(season)],
            "hours": words.spread(words.HOUR_WEIGHTS),
            "campaigns": len(campaigns),
            "campaign_of": running,
            "campaign_ids": [campaign.code for campaign in campaigns],
            "campaign_start": [campaign.first_day for campaign in campaigns],
            "campaign_type": [campaign.kind for campaign in campaigns],
        }

    def _goods(self) -> dict[str, object]:
        products = self.products()
        return {
            "prices": [product.price for product in products],
            "sku_of": sku_of_pair(products),
            "sku_brands": [words.BRANDS[product.brand][0] for product in products],
            "sku_categories": [words.CATEGORIES[product.category][0] for product in products],
            "brands": words.spread(weight for _, weight in words.BRANDS),
            "brand_names": [name for name, _ in words.BRANDS],
            "categories": words.spread(item[4] for item in words.CATEGORIES),
            "category_names": [item[0] for item in words.CATEGORIES],
            "category_codes": [item[1] for item in words.CATEGORIES],
            "men": [item[0] for item in words.CATEGORIES].index("男士"),
        }


def _people() -> dict[str, object]:
    return {
        "missing": list(words.MISSING),
        "cities": words.spread(city.weight for city in words.CITIES),
        "city_names": [city.name for city in words.CITIES],
        "city_spellings": [text for city in words.CITIES for text in words.city_column_spellings(city)],
        "unknown_cities": list(words.UNKNOWN_CITIES),
        "surnames": list(words.SURNAMES),
        "given_female": list(words.GIVEN["female"]),
        "given_male": list(words.GIVEN["male"]),
        "female": list(words.GENDERS["female"]),
        "male": list(words.GENDERS["male"]),
        "unknown_gender": words.UNKNOWN_GENDER,
        "levels": list(words.LEVELS),
        "test_level": words.TEST_LEVEL,
        "fake_phone": words.FAKE_PHONE,
        "no_device": words.NO_DEVICE,
        "tablet": words.TABLET,
    }


def _systems() -> dict[str, object]:
    return {
        "channels": words.spread(channel.weight for channel in words.CHANNELS),
        "digital": [words.MINI] * 5 + [words.APP] * 3 + [words.WEB] * 2,
        "channel_codes": [channel.code for channel in words.CHANNELS],
        "channel_spellings": [text for channel in words.CHANNELS for text in channel.spellings],
        "status_spellings": [list(group) for group in words.STATUSES.values()],
        "unknown_status": words.UNKNOWN_STATUS,
        "unknown_unit": words.UNKNOWN_UNIT,
        "test_store": words.TEST_STORE,
        "bad_times": list(words.BAD_TIMES),
        "currencies": list(words.CURRENCIES),
        "event_types": words.spread(weight for _, weight in words.EVENTS.values()),
        "event_names": list(words.EVENTS),
        "event_spellings": [list(group) for group, _ in words.EVENTS.values()],
        "heartbeat": words.HEARTBEAT,
        "touches": list(words.TOUCHES),
        "response_names": list(words.RESPONSES),
        "response_spellings": [list(group) for group in words.RESPONSES.values()],
    }
