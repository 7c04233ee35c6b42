"""The seeded generator of the example company `mall`: a Chinese omnichannel beauty retailer.

It writes ``raw/`` (tables as the company's systems export them, dirty) and ``truth/`` (what perfect cleaning
recovers). Local times are Asia/Shanghai; the last day is ``UNTIL`` unless given.

Raw tables (× marks a column that a whitelist should leave out)

crm_members.csv — 用户主表; GB18030, line breaks inside quotes; the latest 更新时间 of a 会员号 wins
    会员号          text with leading zeros: 00000123 or M0000124; noisy spellings
    姓名            text; may hold emoji, quotes, commas, line breaks
    性别            男 M male 1 先生 … 女 F female 2 …; 保密 is in no code table
    生日            %Y-%m-%d, %Y/%m/%d unpadded, %Y%m%d, %Y年%m月%d日 unpadded
    城市            上海 上海市 Shanghai SHANGHAI 沪, spaces, full width; C999 and the like are unknown
    手机号          11 digits; +86 or 86 before it, spaces, hyphens, full width; 13800000000 is made up
    所属渠道        channel code in any case, or 门店 小程序 官网 天猫 抖音
    注册时间        %Y-%m-%d %H:%M:%S, or %Y/%m/%d %H:%M unpadded
    会员等级        普通会员 银卡会员 金卡会员 钻石会员; 测试账号 marks test rows
    积分            whole number
    更新时间        as 注册时间
    ×               身份证后四位, 备注, 导出批次
web_members.jsonl — ids seen together in one log-in
    platform        as 所属渠道
    openid, device_id, cookie   or null; the all-zero device is junk; some are lent, one is a shop's tablet
    member_no       as 会员号, or null or a missing spelling where not known
    phone           11 digits or null
    seen_at         epoch milliseconds
    ×               client
orders/orders_YYYY-MM.csv or .csv.gz (all but the newest months), and orders/orders_reexport_DATE.csv (seven
days once more) — 交易表, order lines; UTF-8 with BOM; key (order_id, line_no)
    order_id        text of 20 digits (more than an integer holds)
    line_no         1 to 4; 11 to 14 are refunds of those lines
    member_no       as 会员号; a missing spelling for guests, and for members who say their phone instead
    phone           as 手机号; empty but for those
    order_time      local: %Y-%m-%d %H:%M:%S, %Y/%m/%d %H:%M unpadded, %Y-%m-%dT%H:%M:%S,
                    %Y年%m月%d日 %H:%M:%S;
                    UTC: epoch seconds, epoch milliseconds
    channel         as 所属渠道
    store           S001 to S080 for POS, TEST01 for tests, else empty
    sku             SKU0001, sku0001, SKU-0001, spaces; SKU9000 and above are no products
    qty             whole number, negative for refunds
    amount          number in amount_unit and currency; ¥1,299.00, 1,299.00, full-width digits
    amount_unit     元, 分; 厘 is not listed
    currency        CNY, HKD, USD
    status          paid PAID 已支付 已付款 cancelled canceled 已取消 refunded 已退款 …; or ERR99
    campaign_id     a campaign, or a missing spelling
    ×               receipt_no (looks like a key, and is not)
events/events_YYYY-MM.parquet — 行为表; key event_id; and events_legacy/events_until_DATE.jsonl, the same
fields for the days before DATE from the old system
    event_id        text
    member_no       as 会员号; null or a missing spelling for anonymous visitors, as all are until they sign up
    visitor_id      openid (MINI), device_id (APP) or cookie (WEB)
    event_time      integer, epoch milliseconds; some in seconds; 0 where lost
    event_type      visit page_view PageView 浏览 …; heartbeat is noise
    page_category   品类 (护肤), or its code in the App (skincare); null for visits
    brand           品牌; null for visits
    channel         as 所属渠道
    session_id      text
    dwell           integer: milliseconds for MINI and APP, seconds for WEB
    campaign_id     a campaign, or null
    ×               client
products.xlsx — 商品表; sheet 商品; the latest 更新日期 of a SKU编码 wins
    SKU编码         as sku
    商品名称, 品牌, 品类        text
    价格            number, or text ¥129.00
    上市日期        date, or text 2024/3/5
    更新日期        date
    ×               供应商
channels.csv — 渠道表: channel, name_zh, name_en, type (线上 or 线下), acquisition_cost (元),
    opened_on
campaigns.csv: campaign_id, name, type, start_date, end_date, budget (元)
campaign_responses.csv — key (campaign_id, member_no, action)
    campaign_id, member_no      as above
    touch           sms, push, wechat
    action          sent SENT 已发送, opened Opened 打开, clicked CLICK 点击, redeemed Redeemed 核销
    action_time     %Y-%m-%d %H:%M:%S

Rules of the truth

* Text is trimmed (U+3000 too) and made half width (NFKC); ``vocabulary.MISSING`` means missing in every
  text column. Member numbers and SKUs are upper case; hyphens leave SKUs; spaces, hyphens and a leading 86
  or +86 leave phones. Code tables are ``vocabulary.code_tables()``.
* An unlisted city or gender is missing; an unlisted status or unit refuses the row.
* amount is decimal(18,2) CNY: number × unit (分 0.01) × currency (HKD 0.92, USD 7.1), rounded once, at the
  end, half up (for refunds, halves go away from zero). An amount above 1000 × the median of absolute amounts
  refuses the row.
* A refund is a line of its own: qty and amount negative, status refunded, some days later; the line it
  refunds stays paid.
* A birth date before 1900-01-01 or after the last day is missing; so is a dwell below 0 or above 86,400 s.
* An event before 2000-01-01 is refused. An order time with a two-digit year is refused, not guessed.
* Rows are refused (quarantine) first, then filtered, then merged; ``truth/dirt.csv`` (table, kind, rows,
  action, rule) counts what was injected and ``truth/rows.csv`` (table, raw, clean, quarantined, filtered,
  merged) balances: raw is the sum of the others. ``dirt.DIRT`` explains each kind.

* Who is who: about 1.5 % of the members have a second 会员号, of the same 手机号; about 1 % have a number that was
  another member's, who was last heard of by it half a year before; the ids of a log-in or an event are its
  person's, but for lent devices, tablets and all zeros.

Truth tables (Parquet): members, order_lines, events (``origin``: parquet or legacy), products, logins,
campaign_responses; ``person`` says by a number who each row truly is of. No source reads it.

Every random number is a hash of (seed, kind of entity, entity number, column): equal arguments give equal
bytes with any number of threads, and columns are independent.
"""

import csv
import gzip
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date, timedelta
from importlib import resources
from pathlib import Path

import duckdb

from valtag_assets.catalogs.mall import vocabulary as words
from valtag_assets.catalogs.mall.dirt import DIRT
from valtag_assets.catalogs.mall.plan import Plan
from valtag_assets.catalogs.mall.products import write_workbook
from valtag_assets.warehouse.quoting import quote

UNTIL = date(2026, 6, 30)
PLAIN_MONTHS = 6
"""Order files of so many newest months are not compressed."""
_SCRIPTS = ("macros", "members", "orders", "events", "campaigns", "dirt")
_CSV = "(FORMAT csv, HEADER)"
_PARQUET = "(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880)"
_ORDER_COLUMNS = """order_id AS "\ufefforder_id", line_no, member_no, phone, order_time, channel, store, sku, qty,
    amount, amount_unit, currency, status, campaign_id, receipt_no"""
_EVENT_COLUMNS = """event_id, member_no, visitor_id, event_time, event_type, page_category, brand, channel,
    session_id, dwell, campaign_id, client"""


def generate(
    into: Path,
    persons: int,
    days: int,
    seed: int,
    progress: Callable[[str], None] = lambda line: None,
    *,
    until: date = UNTIL,
    threads: int | None = None,
) -> dict[str, int]:
    """Write ``into/raw`` and ``into/truth``; returns the rows of each file, by its path relative to ``into``.

    ``persons``: 1 to 5,000,000 members. ``days``: at least 30, the last is ``until``. ``progress`` is called
    with one line per file. ``threads`` (at least 2; default: the processors) changes no byte. The files
    appear together, when all are written. Raises ValueError for sizes out of range and FileExistsError if
    ``into`` already has ``raw`` or ``truth``.
    """
    plan = Plan(persons, days, seed, until)
    for name in ("raw", "truth"):
        if (into / name).exists():
            raise FileExistsError(f"{into / name} exists: remove it, or generate into another folder")
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=into, prefix=".generating-") as text:
        staging = Path(text)
        settings: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": "4GB",
            "temp_directory": str(staging / "spill"),
            # one thread cuts Parquet row groups elsewhere than two or more do, and bytes must not differ
            "threads": max(2, threads or os.cpu_count() or 2),
        }
        with duckdb.connect(config=settings) as connection, ThreadPoolExecutor(1) as pool:
            run = _Run(plan, connection, pool, staging, progress)
            rows = run.write()
        for name in ("raw", "truth"):
            os.replace(staging / name, into / name)
    return rows


class _Run:
    """One run: a plan, an in-memory database, a folder to write into, and the rows written so far."""

    def __init__(
        self,
        plan: Plan,
        connection: duckdb.DuckDBPyConnection,
        pool: ThreadPoolExecutor,
        root: Path,
        progress: Callable[[str], None],
    ) -> None:
        self.plan = plan
        self.connection = connection
        self.pool = pool
        self.root = root
        self.progress = progress
        self.rows: dict[str, int] = {}
        self.packing: list[Future[None]] = []

    def write(self) -> dict[str, int]:
        for folder in ("raw/orders", "raw/events", "raw/events_legacy", "truth"):
            (self.root / folder).mkdir(parents=True)
        for name, value in self.plan.variables().items():
            self.connection.execute(f"SET VARIABLE {quote(name)} = ?", [value])
        self._script("macros")
        self._small_tables()
        self._script("members")
        self._members()
        self._script("orders")
        self._orders()
        self._script("events")
        self._events()
        self._script("campaigns")
        self._responses()
        self._script("dirt")
        self._accounts()
        for job in self.packing:
            job.result()
        return self.rows

    def _script(self, name: str) -> None:
        folder = resources.files("valtag_assets.catalogs.mall") / "sql"
        self.connection.execute((folder / f"{name}.sql").read_text(encoding="utf-8"))

    def _written(self, name: str, rows: int) -> None:
        self.rows[name] = rows
        self.progress(f"{name}: {rows:,} rows")

    def _copy(self, name: str, query: str, form: str) -> Path:
        """Write the rows of a query, in its order, to ``root/name``."""
        path = self.root / name
        found = self.connection.execute(f"COPY ({query}) TO $path {form}", {"path": str(path)}).fetchone()
        assert found is not None
        self._written(name, found[0])
        return path

    def _write_csv(self, name: str, header: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
        """Write a small table with Python; None becomes an empty field."""
        count = 0
        with (self.root / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header)
            for row in rows:
                writer.writerow(row)
                count += 1
        self._written(name, count)

    def _small_tables(self) -> None:
        plan = self.plan
        self._write_csv(
            "raw/channels.csv",
            ("channel", "name_zh", "name_en", "type", "acquisition_cost", "opened_on"),
            ((item.code, item.zh, item.en, item.kind, item.cost, item.opened) for item in words.CHANNELS),
        )
        self._write_csv(
            "raw/campaigns.csv",
            ("campaign_id", "name", "type", "start_date", "end_date", "budget"),
            (
                (item.code, item.name, words.CAMPAIGN_TYPES[item.kind],
                 plan.start + timedelta(item.first_day), plan.start + timedelta(item.last_day), item.budget)
                for item in plan.campaigns()
            ),
        )  # fmt: skip
        products = plan.products()
        self.product_dirt = write_workbook(self.root / "raw/products.xlsx", products, plan.seed)
        self._written("raw/products.xlsx", self.product_dirt["raw_rows"])
        self.connection.execute(
            "CREATE TABLE products (sku VARCHAR, name VARCHAR, brand VARCHAR, category VARCHAR,"
            " price DECIMAL(18, 2), launched_on DATE)"
        )
        self.connection.executemany(
            "INSERT INTO products VALUES (?, ?, ?, ?, ?::DECIMAL(18, 2), ?)",
            [
                (p.sku, p.name, words.BRANDS[p.brand][0], words.CATEGORIES[p.category][0],
                 f"{p.price / 100:.2f}", p.launched)
                for p in products
            ],
        )  # fmt: skip
        self._copy("truth/products.parquet", "SELECT * FROM products ORDER BY sku", _PARQUET)

    def _members(self) -> None:
        name = "raw/crm_members.csv"
        utf8 = self._copy(name, "SELECT * FROM members_raw", _CSV)
        recoded = utf8.with_suffix(".gb18030")
        # newline="" keeps the line breaks inside quotes as they are
        with (
            utf8.open(encoding="utf-8", newline="") as source,
            recoded.open("w", encoding="gb18030", newline="") as target,
        ):
            shutil.copyfileobj(source, target, 1 << 20)
        os.replace(recoded, utf8)
        self._copy("raw/web_members.jsonl", "SELECT * FROM logins_raw", "(FORMAT json)")
        self._copy("truth/members.parquet", "SELECT * FROM members_clean", _PARQUET)
        self._copy("truth/logins.parquet", "SELECT * FROM logins_clean", _PARQUET)

    def _orders(self) -> None:
        # order_lines is stored in the order of its files (time, then line), so no export sorts again
        months = self.plan.months
        for year, month in months:
            self.connection.execute("SET VARIABLE month_no = ?", [year * 12 + month - 1])
            path = self._copy(
                f"raw/orders/orders_{year}-{month:02}.csv",
                f"SELECT {_ORDER_COLUMNS} FROM (SELECT *, unnest(range(1 + repeats)) FROM order_lines_raw"
                " WHERE month_no = getvariable('month_no'))",
                _CSV,
            )
            if (year, month) not in months[-PLAIN_MONTHS:]:
                self.rows[f"raw/orders/{path.name}.gz"] = self.rows.pop(f"raw/orders/{path.name}")
                self.packing.append(self.pool.submit(_gzip, path))
        self._cut_line(f"raw/orders/{path.name}")
        self._copy(
            f"raw/orders/orders_reexport_{self.plan.reexport_from}.csv",
            f"SELECT {_ORDER_COLUMNS} FROM order_lines_raw WHERE is_reexported(bought_at)",
            _CSV,
        )
        self._copy("truth/order_lines.parquet", "SELECT * FROM order_lines_clean", _PARQUET)

    def _cut_line(self, name: str) -> None:
        """Add the beginning of a line whose rest was never written."""
        with (self.root / name).open("a", encoding="utf-8") as file:
            file.write(f"{self.plan.until:%Y%m%d}999999999999,1,M0000001,,{self.plan.until:%Y-%m-}")
        self.rows[name] += 1

    def _events(self) -> None:
        repeated = f"SELECT {_EVENT_COLUMNS} FROM (SELECT *, unnest(range(1 + repeats)) FROM events_raw WHERE"
        first = self.plan.legacy_until
        for year, month in self.plan.months:
            if (year, month) < (first.year, first.month):
                continue
            self.connection.execute("SET VARIABLE month_no = ?", [year * 12 + month - 1])
            self._copy(
                f"raw/events/events_{year}-{month:02}.parquet",
                f"{repeated} month_no = getvariable('month_no') AND NOT is_legacy)",
                _PARQUET,
            )
        self._copy(
            f"raw/events_legacy/events_until_{self.plan.legacy_until}.jsonl",
            f"{repeated} is_legacy)",
            "(FORMAT json)",
        )
        self._copy("truth/events.parquet", "SELECT * FROM events_clean", _PARQUET)

    def _responses(self) -> None:
        self._copy(
            "raw/campaign_responses.csv",
            "SELECT campaign_id, member_no, touch, action, action_time"
            " FROM (SELECT *, unnest(range(1 + repeats)) FROM replies_raw) ORDER BY replied_at, k",
            _CSV,
        )
        self._copy("truth/campaign_responses.parquet", "SELECT * FROM replies_clean", _PARQUET)

    def _accounts(self) -> None:
        """Write ``truth/dirt.csv`` and ``truth/rows.csv``."""
        found: dict[str, dict[str, int]] = {}
        for table, kind, rows in self.connection.execute('SELECT "table", kind, n FROM dirt').fetchall():
            found.setdefault(table, {})[kind] = rows
        found["orders"]["cut_line"] = 1
        found["orders"]["raw_rows"] += 1
        found["products"] = self.product_dirt
        tables = sorted(found)
        self._write_csv(
            "truth/dirt.csv",
            ("table", "kind", "rows", "action", "rule"),
            (
                (table, kind, found[table].get(kind, 0), *DIRT[table][kind])
                for table in tables
                for kind in DIRT[table]
            ),
        )
        self._write_csv(
            "truth/rows.csv",
            ("table", "raw", "clean", "quarantined", "filtered", "merged"),
            ((table, *_balance(table, found[table])) for table in tables),
        )


def _balance(table: str, found: dict[str, int]) -> list[int]:
    """raw, clean, quarantined, filtered and merged rows of a table."""
    sums = [
        sum(found.get(kind, 0) for kind, (does, _) in DIRT[table].items() if does == action)
        for action in ("quarantine", "filter", "merge")
    ]
    return [found["raw_rows"], found["clean_rows"], *sums]


def _gzip(path: Path) -> None:
    """Replace a file by its gzip form; no name and time inside, so equal content gives equal bytes."""
    with (
        path.open("rb") as source,
        path.with_name(path.name + ".gz").open("wb") as packed,
        gzip.GzipFile(filename="", mode="wb", fileobj=packed, compresslevel=1, mtime=0) as target,
    ):
        shutil.copyfileobj(source, target, 1 << 20)
    path.unlink()
