"""The words of the example company `mall`: cities, channels, brands, categories, and how its systems spell.

Weights are whole numbers: a weighted choice is a uniform choice from a list in which each entry stands as
often as its weight says (``spread``).
"""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import NamedTuple

MISSING = ("", "NA", "N/A", "NULL", "无", "未知", "-", "-1")
"""How the company's systems write "no value"; all of them mean missing, in every text column."""


class City(NamedTuple):
    name: str
    pinyin: str
    short: str
    weight: int


class Channel(NamedTuple):
    code: str
    zh: str
    en: str
    kind: str
    cost: str
    opened: str
    spellings: tuple[str, str, str]
    weight: int


CITIES = (
    City("上海", "Shanghai", "沪", 90),
    City("北京", "Beijing", "京", 80),
    City("广州", "Guangzhou", "穗", 62),
    City("深圳", "Shenzhen", "深", 64),
    City("成都", "Chengdu", "蓉", 56),
    City("杭州", "Hangzhou", "杭", 50),
    City("重庆", "Chongqing", "渝", 46),
    City("武汉", "Wuhan", "汉", 40),
    City("西安", "Xi'an", "镐", 34),
    City("南京", "Nanjing", "宁", 34),
    City("苏州", "Suzhou", "苏", 34),
    City("天津", "Tianjin", "津", 30),
    City("长沙", "Changsha", "星城", 30),
    City("郑州", "Zhengzhou", "郑", 28),
    City("青岛", "Qingdao", "青", 22),
    City("宁波", "Ningbo", "甬", 22),
    City("东莞", "Dongguan", "莞", 20),
    City("佛山", "Foshan", "佛", 20),
    City("合肥", "Hefei", "合", 20),
    City("无锡", "Wuxi", "锡", 18),
    City("济南", "Jinan", "济", 18),
    City("沈阳", "Shenyang", "沈", 18),
    City("昆明", "Kunming", "昆", 16),
    City("福州", "Fuzhou", "榕", 16),
    City("厦门", "Xiamen", "厦", 16),
    City("大连", "Dalian", "连", 14),
    City("哈尔滨", "Harbin", "哈", 14),
    City("长春", "Changchun", "北国春城", 12),
    City("石家庄", "Shijiazhuang", "石", 12),
    City("南宁", "Nanning", "邕", 12),
    City("南昌", "Nanchang", "洪", 12),
    City("贵阳", "Guiyang", "筑", 12),
    City("温州", "Wenzhou", "温", 12),
    City("泉州", "Quanzhou", "泉", 12),
    City("常州", "Changzhou", "常", 10),
    City("太原", "Taiyuan", "并", 10),
    City("珠海", "Zhuhai", "珠", 8),
    City("兰州", "Lanzhou", "兰", 8),
    City("乌鲁木齐", "Urumqi", "乌", 8),
    City("海口", "Haikou", "椰", 6),
)
UNKNOWN_CITIES = ("C999", "火星", "其他", "000000")

CHANNELS = (
    Channel("POS", "门店", "Store", "线下", "18.00", "2015-03-01", ("POS", "pos", "门店"), 30),
    Channel("MINI", "小程序", "Mini program", "线上", "6.50", "2018-09-01", ("MINI", "mini", "小程序"), 26),
    Channel("APP", "App", "App", "线上", "22.00", "2017-05-20", ("APP", "App", "app"), 18),
    Channel("WEB", "官网", "Web shop", "线上", "15.00", "2016-06-01", ("WEB", "web", "官网"), 10),
    Channel("TMALL", "天猫旗舰店", "Tmall", "线上", "35.00", "2016-11-01", ("TMALL", "tmall", "天猫"), 10),
    Channel("DOUYIN", "抖音小店", "Douyin", "线上", "28.00", "2021-04-01", ("DOUYIN", "douyin", "抖音"), 6),
)
POS, MINI, APP, WEB = range(4)
"""Positions in CHANNELS that the raw formats depend on (units, time formats, currencies, visitor ids)."""

CATEGORIES = (  # name, code used by the app's events, lowest and highest price in yuan, weight
    ("护肤", "skincare", 89, 880, 26),
    ("彩妆", "makeup", 49, 420, 20),
    ("香水", "perfume", 199, 1280, 7),
    ("面膜", "mask", 39, 260, 14),
    ("防晒", "sunscreen", 59, 320, 9),
    ("美发", "haircare", 39, 299, 8),
    ("个护", "bodycare", 19, 159, 8),
    ("男士", "men", 49, 360, 4),
    ("母婴", "mother_baby", 39, 328, 5),
    ("美容仪器", "device", 399, 3280, 2),
    ("口腔护理", "oralcare", 15, 189, 5),
    ("户外防晒", "outdoor", 69, 459, 3),
)
BRANDS = (
    ("花颜集", 16), ("润之堂", 13), ("清荷", 11), ("雪肌坊", 10), ("素心兰", 9), ("瑶光", 8), ("半夏生", 7),
    ("初见妆", 7), ("玉容阁", 6), ("青黛", 6), ("云锦", 5), ("芙蕖", 5), ("木槿年", 4), ("白芷", 4),
    ("沐野", 4), ("墨染先生", 3), ("小满", 3), ("拾光", 3), ("凝露", 2), ("山茶里", 2),
)  # fmt: skip
PRODUCT_WORDS = ("焕亮", "水润", "舒缓", "轻透", "紧致", "净澈", "柔雾", "修护")
EXTRA_SKUS = 60
"""Every (brand, category) pair has one SKU; the first EXTRA_SKUS pairs in a mixed order have a second one."""

GENDERS = {
    "female": ("女", "F", "female", "2", "FEMALE", "女士"),
    "male": ("男", "M", "male", "1", "Male", "先生"),
}
UNKNOWN_GENDER = "保密"
LEVELS = ("普通会员", "银卡会员", "金卡会员", "钻石会员")
TEST_LEVEL = "测试账号"
FAKE_PHONE = "13800000000"
NO_DEVICE = "00000000-0000-0000-0000-000000000000"
TABLET = "dev-tablet-s001"
SURNAMES = tuple("王李张刘陈杨黄赵周吴徐孙马朱胡郭何高林罗")
GIVEN = {
    "female": (
        "芳",
        "娜",
        "敏",
        "静",
        "丽",
        "艳",
        "婷",
        "雪",
        "欣怡",
        "梓涵",
        "诗琪",
        "雨桐",
        "思颖",
        "佳怡",
        "若曦",
    ),
    "male": (
        "浩然",
        "宇轩",
        "俊杰",
        "伟",
        "磊",
        "强",
        "子墨",
        "嘉宁",
        "志远",
        "建国",
        "博文",
        "天佑",
        "一鸣",
        "鹏",
    ),
}

STATUSES = {
    "paid": ("paid", "PAID", "Paid", "已支付", "已付款"),
    "cancelled": ("cancelled", "CANCELLED", "canceled", "已取消"),
    "refunded": ("refunded", "Refunded", "REFUNDED", "已退款"),
}
UNKNOWN_STATUS = "ERR99"
CURRENCIES = {"CNY": "1", "HKD": "0.92", "USD": "7.1"}
UNITS = {"元": "1", "分": "0.01"}
UNKNOWN_UNIT = "厘"
TEST_STORE = "TEST01"
BAD_TIMES = ("2026-13-45 25:61:00", "0000-00-00 00:00:00", "待补", "2026-02-30 10:00:00")

EVENTS = {  # event type: its spellings, and its weight after the first event of a session
    "visit": (("visit", "VISIT", "访问"), 0),
    "page_view": (("page_view", "PageView", "浏览"), 52),
    "click": (("click", "Click", "点击"), 20),
    "add_cart": (("add_cart", "AddCart", "加购"), 9),
    "favorite": (("favorite", "FAVORITE", "收藏"), 8),
    "search": (("search", "Search", "搜索"), 11),
}
HEARTBEAT = "heartbeat"

CAMPAIGN_TYPES = ("满减", "折扣", "赠品", "新品", "会员日")
RESPONSES = {
    "sent": ("sent", "SENT", "已发送"),
    "opened": ("opened", "Opened", "打开"),
    "clicked": ("clicked", "CLICK", "点击"),
    "redeemed": ("redeemed", "Redeemed", "核销"),
}
TOUCHES = ("sms", "push", "wechat")

HOUR_WEIGHTS = (2, 1, 1, 1, 1, 1, 2, 4, 8, 12, 16, 16, 18, 16, 14, 14, 14, 14, 16, 20, 26, 28, 18, 8)

NEW_YEARS = (
    "2016-02-08", "2017-01-28", "2018-02-16", "2019-02-05", "2020-01-25",
    "2021-02-12", "2022-02-01", "2023-01-22", "2024-02-10", "2025-01-29",
    "2026-02-17", "2027-02-06", "2028-01-26", "2029-02-13", "2030-02-03",
)  # fmt: skip


def spread(weights: Iterable[int]) -> list[int]:
    """Positions, each as often as its weight: the list a uniform choice becomes weighted by."""
    return [position for position, weight in enumerate(weights) for _ in range(weight)]


def full_width(text: str) -> str:
    """ASCII letters, digits and signs as their full-width forms."""
    return "".join(chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter for letter in text)


def season_weight(day: date) -> int:
    """How busy a day is; an ordinary weekday is 20."""
    weight = 26.0 if day.weekday() >= 5 else 20.0
    if day.month == 11 and day.day <= 11:
        weight *= 5.0 if day.day == 11 else 1.9
    elif day.month == 6 and day.day <= 18:
        weight *= 3.5 if day.day == 18 else 1.6
    elif day.month == 12 and 10 <= day.day <= 12:
        weight *= 2.0
    elif day.month == 3 and day.day <= 8:
        weight *= 1.5
    for text in NEW_YEARS:
        if timedelta(-3) <= day - date.fromisoformat(text) <= timedelta(6):
            weight *= 0.35
    return round(weight)


def city_column_spellings(city: City) -> tuple[str, ...]:
    """How the city column writes one city: three times as it should, then eight other ways."""
    return (
        city.name,
        city.name,
        city.name,
        city.name + "市",
        city.name + "市",
        city.pinyin,
        city.pinyin.upper(),
        f" {city.name} ",
        full_width(city.pinyin),
        "　" + city.name,
        city.short,
    )


def code_tables() -> dict[str, dict[str, str]]:
    """The code tables that clean this company's columns: table → spelling → clean value.

    Spellings are as they are after trimming and half-width conversion; ``MISSING`` comes before them.
    """
    cities = {
        spelling: city.name
        for city in CITIES
        for spelling in (city.name, city.name + "市", city.pinyin, city.pinyin.upper(), city.short)
    }
    return {
        "city": cities,
        "gender": {spelling: clean for clean, group in GENDERS.items() for spelling in group},
        "channel": {spelling: item.code for item in CHANNELS for spelling in item.spellings},
        "status": {spelling: clean for clean, group in STATUSES.items() for spelling in group},
        "event_type": {spelling: clean for clean, (group, _) in EVENTS.items() for spelling in group}
        | {HEARTBEAT: HEARTBEAT},
        "response": {spelling: clean for clean, group in RESPONSES.items() for spelling in group},
        "category": {spelling: item[0] for item in CATEGORIES for spelling in (item[0], item[1])},
    }
