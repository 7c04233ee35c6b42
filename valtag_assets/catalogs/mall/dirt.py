"""What is wrong in the raw tables of `mall`, and what cleaning should do about it.

Actions: *fix* (the value is recovered), *null* (the value becomes missing, the row stays), *merge* (the row
is a copy or an older version), *filter* (the row is right but unwanted), *quarantine* (the row is refused).
A row has at most one kind of quarantine or filter; fixes and nulls combine freely.
"""

DIRT: dict[str, dict[str, tuple[str, str]]] = {
    "crm_members": {
        "missing_gender": ("null", "性别 is a missing spelling"),
        "unknown_gender": ("null", "性别 保密 is in no code table"),
        "missing_birthday": ("null", "生日 is a missing spelling"),
        "impossible_birthday": ("null", "生日 parses by no format (1990-02-30)"),
        "implausible_birthday": ("null", "生日 is before 1900 or after the last day"),
        "birthday_format": ("fix", "生日 as 1990/1/5, 19900105 or 1990年1月5日"),
        "missing_city": ("null", "城市 is a missing spelling"),
        "unknown_city": ("null", "城市 is in no code table (C999)"),
        "city_spelling": ("fix", "城市 as 上海市, Shanghai, 沪, with spaces or full width"),
        "missing_phone": ("null", "手机号 is a missing spelling"),
        "phone_format": ("fix", "手机号 with 86 or +86 before it, spaces, hyphens, full-width digits"),
        "fake_phone": ("fix", "手机号 is 13800000000: it identifies nobody"),
        "recycled_phone": ("fix", "手机号 is somebody else's by now: each row is whose it was at its time"),
        "second_card": ("fix", "a second 会员号 of one person: the 手机号 tells"),
        "special_name": ("fix", "姓名 with emoji, quotes, comma or line break: read as it is"),
        "member_no_spelling": ("fix", "会员号 with spaces, lower case or full width"),
        "unpadded_time": ("fix", "更新时间 as 2026/3/5 9:07 (minutes)"),
        "older_version": ("merge", "the row with the latest 更新时间 stays"),
        "missing_member_no": ("quarantine", "会员号 is a missing spelling"),
        "test_member": ("filter", "会员等级 is 测试账号"),
    },
    "web_members": {
        "not_signed_in": ("fix", "member_no is null or a missing spelling: other ids tell who it is"),
        "member_no_spelling": ("fix", "member_no with spaces, lower case or full width"),
        "no_device": ("fix", "device_id is all zeros: it identifies nobody"),
        "lent_device": ("fix", "device_id of somebody else: two members' device identifies nobody"),
        "shop_tablet": ("fix", "device_id of a shop's tablet: many members' device identifies nobody"),
    },
    "orders": {
        "malformed_time": ("quarantine", "order_time parses by no format"),
        "two_digit_year": ("quarantine", "order_time as 26-03-15 12:30:00: the century would be a guess"),
        "cut_line": ("quarantine", "the last line of the newest file is cut off"),
        "amount_outlier": ("quarantine", "amount in CNY above 1000 × the median of absolute amounts"),
        "unknown_unit": ("quarantine", "amount_unit 厘 is not listed"),
        "unknown_status": ("quarantine", "status ERR99 is in no code table"),
        "missing_amount": ("quarantine", "amount is a missing spelling"),
        "guest_order": ("filter", "member_no is a missing spelling, and phone is empty"),
        "card_left_at_home": ("fix", "member_no is a missing spelling: phone tells who it is"),
        "test_store": ("filter", "store is TEST01"),
        "repeated_line": ("merge", "same (order_id, line_no): an exact copy, in one file or re-exported"),
        "member_no_spelling": ("fix", "member_no with spaces, lower case or full width"),
        "short_time": ("fix", "order_time as 2026/3/5 9:07 (minutes)"),
        "epoch_millis": ("fix", "order_time in epoch milliseconds (UTC)"),
        "epoch_seconds": ("fix", "order_time in epoch seconds (UTC)"),
        "amount_in_fen": ("fix", "amount in 分, by amount_unit"),
        "amount_text": ("fix", "amount as ¥1,299.00, 1,299.00 or in full-width digits"),
        "foreign_currency": ("fix", "amount in HKD or USD, by currency"),
        "sku_spelling": ("fix", "sku as sku0001, SKU-0001 or with spaces"),
        "unknown_sku": ("null", "sku is no product: brand and category are missing"),
        "missing_campaign": ("null", "campaign_id is a missing spelling (or just empty)"),
        "negative_quantity": ("fix", "a refund: its own line, status refunded, qty and amount stay negative"),
    },
    "events": {
        "zero_time": ("quarantine", "event_time is 0, hence before 2000-01-01"),
        "anonymous": ("fix", "member_no is null or a missing spelling: visitor_id may tell who it is"),
        "heartbeat": ("filter", "event_type is heartbeat"),
        "repeated_line": ("merge", "same event_id: an exact copy"),
        "epoch_seconds": ("fix", "event_time in seconds among milliseconds"),
        "missing_brand": ("null", "brand is a missing spelling"),
        "category_code": ("fix", "page_category as skincare (App) for 护肤"),
        "negative_dwell": ("null", "dwell is negative"),
        "huge_dwell": ("null", "dwell is above a day"),
    },
    "campaign_responses": {
        "malformed_time": ("quarantine", "action_time parses by no format"),
        "missing_member": ("filter", "member_no is a missing spelling"),
        "repeated_line": ("merge", "same (campaign_id, member_no, action): an exact copy"),
    },
    "products": {
        "code_spelling": ("fix", "SKU编码 as sku0001, SKU-0001 or with spaces"),
        "price_text": ("fix", "价格 as text with ¥"),
        "repeated_sku": ("merge", "the row with the latest 更新日期 stays"),
    },
}
DIRT["events_legacy"] = DIRT["events"]
