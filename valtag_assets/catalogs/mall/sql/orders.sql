-- Order lines. `fate` is the one thing (if any) that keeps a line from the clean table:
-- 1 malformed time, 2 two-digit year, 3 outlier, 4 unknown unit, 5 unknown status, 6 no amount,
-- 11 guest, 12 test store. 1 to 6 are refused, 11 and 12 filtered.
create table order_lines as
with heads as (
    select a.*, person * 4096::bigint + unnest(range(orders)) as o
    from activity a
), timed as (
    select *,
        getvariable('season')[season_from + whole(order_draw(o, 1), season_to - season_from) + 1] as day_no,
        case when order_draw(o, 2) < 0.65 then home when order_draw(o, 2) < 0.8 then second_channel
            else choose(getvariable('channels'), order_draw(o, 3)) end as channel,
        city * 2 + whole(order_draw(o, 4), 2) as store,
        order_draw(o, 5) as form_u,
        case when order_draw(o, 6) < 0.62 then 1 when order_draw(o, 6) < 0.86 then 2
            when order_draw(o, 6) < 0.95 then 3 else 4 end as lines,
        if(order_draw(o, 7) < 0.6, taste, whole(order_draw(o, 8), 5)) as lure,
        order_draw(o, 9) < 0.06 as cancelled,
        order_draw(o, 10) as special_u,
        order_draw(o, 11) as money_u,
        -- the card left at home: the phone tells who it is
        told_phone is not null and order_draw(o, 10) >= 0.034 and order_draw(o, 16) < 0.1 as forgets_card
    from heads
), dated as (
    select *, getvariable('start') + to_days(day_no::integer)
            + to_milliseconds(choose(getvariable('hours'), order_draw(o, 12)) * 3600000::bigint
            + whole(order_draw(o, 13), 3600000)) as exact_at,
        case when order_draw(o, 14) < 0.45 then getvariable('campaign_of')[day_no * 5 + lure + 1] end as campaign,
        -- 0 plain text, 1 short text (minutes), 2 epoch ms, 3 epoch s, 4 text with T, 5 Chinese text
        case channel when 0 then if(store % 4 = 0, 1, 0) when 1 then 3 when 2 then if(form_u < 0.3, 3, 2)
            when 3 then 4 when 4 then 0 else 5 end as form,
        case when channel = 3 and money_u < 0.06 then 1 when channel = 3 and money_u < 0.075 then 2
            else 0 end as currency,
        forgets_card and is_near(updated_at, getvariable('start') + to_days(day_no::integer)) as by_phone
    from timed
), lined as (
    select *, unnest(range(1, lines + 1)) as line,
        case form when 1 then date_trunc('minute', exact_at) when 2 then exact_at
            else date_trunc('second', exact_at) end as bought_at
    from dated
), keyed as (
    select *, o * 8 + line as k from lined
), chosen as (
    select *,
        case when line_draw(k, 1) < 0.5 then category when line_draw(k, 1) < 0.7 then second_category
            else choose(getvariable('categories'), line_draw(k, 2)) end as line_category,
        if(line_draw(k, 3) < 0.5, brand, choose(getvariable('brands'), line_draw(k, 4))) as line_brand,
        case when line_draw(k, 5) < 0.8 then 1 when line_draw(k, 5) < 0.95 then 2
            else 3 + whole(line_draw(k, 6), 3) end as qty
    from keyed
), priced as (
    select *, getvariable('sku_of')[(line_brand * 12 + line_category) * 2 + whole(line_draw(k, 7), 2) + 1] as sku
    from chosen
), valued as (
    select *,
        -- minor units of the order's own currency; a campaign takes 10 to 30 % off
        greatest(1, (getvariable('prices')[sku + 1] * qty * if(campaign is null, 1.0, 0.9 - 0.2 * order_draw(o, 15))
            / [1.0, 0.92, 7.1][currency + 1])::bigint) as minor
    from priced
), fated as (
    select *, case when special_u < 0.03 then 11 when special_u < 0.034 then 12
            when line_draw(k, 8) < 0.001 then 1 when line_draw(k, 8) < 0.002 then 2
            when line_draw(k, 8) < 0.003 and minor >= 10000 and currency = 0 then 3
            when line_draw(k, 8) >= 0.003 and line_draw(k, 8) < 0.0038 then 4
            when line_draw(k, 8) >= 0.0038 and line_draw(k, 8) < 0.0046 then 5
            when line_draw(k, 8) >= 0.0046 and line_draw(k, 8) < 0.0054 then 6 else 0 end as fate
    from valued
), with_refunds as (
    select *, unnest(if(not cancelled and fate = 0 and line_draw(k, 9) < 0.03, [0, 1], [0])) as refund
    from fated
)
select k + 4 * refund as k, o, (line + 10 * refund)::tinyint as line_no, person, human, member_no,
    if(by_phone, told_phone, null) as phone,
    (bought_at + to_days((refund * (1 + whole(line_draw(k, 10), 10)))::integer))::timestamp as bought_at,
    strftime(bought_at, '%Y%m%d')::integer as order_day,
    channel::tinyint as channel, store::tinyint as store, form::tinyint as form, currency::tinyint as currency,
    if(line_draw(k, 11) < 0.003, 9000 + whole(line_draw(k, 12), 1000), sku + 1)::smallint as sku,
    (if(refund = 1, -1, 1) * qty)::smallint as qty,
    if(refund = 1, -1, 1) * if(fate = 3, 10000, 1) * minor as minor,
    case when refund = 1 then 2 when cancelled then 1 else 0 end::tinyint as status,
    campaign::smallint as campaign, fate::tinyint as fate,
    (line_draw(k + 4 * refund, 13) < 0.003)::tinyint as repeats,
    month_no(bought_at + to_days((refund * (1 + whole(line_draw(k, 10), 10)))::integer)) as month_no
from with_refunds
where refund = 0 or bought_at + to_days((1 + whole(line_draw(k, 10), 10))::integer)
    < getvariable('until') + interval 1 day
order by bought_at, k;

create macro is_reexported(t) as t >= getvariable('reexport_from') and t < getvariable('reexport_to');
create macro is_noisy_member(k) as line_draw(k, 20) < 0.02;
create macro is_blank_campaign(k) as line_draw(k, 31) < 0.2;
create macro is_fen(channel) as channel = 1 or channel = 2;
-- 0 as it should be, 1 with sign and thousands, 2 thousands alone (from 1,000 yuan), 3 full width
create macro amount_form(k, channel, currency, minor, fate) as
    if(is_fen(channel) or currency <> 0 or minor <= 0 or fate <> 0 or line_draw(k, 21) >= 0.03, 0,
        choose(if(minor < 100000, [1, 1, 3], [1, 2, 3]), line_draw(k, 22)));
create macro sku_form(k) as if(line_draw(k, 23) < 0.04, 1 + whole(line_draw(k, 24), 3), 0);
create macro yuan(minor) as (minor / 100.0)::decimal(18, 2)::varchar;

create view order_lines_raw as
select month_no, bought_at, repeats,
    order_day || printf('%012d', o) as "order_id",
    line_no,
    case when fate = 11 or phone is not null then missing_text(line_draw(k, 25))
        when is_noisy_member(k) then noisy_id(member_no, line_draw(k, 26)) else member_no end as member_no,
    spelled_phone(phone, whole(line_draw(k, 34), 100)) as phone,
    case when fate = 1 then choose(getvariable('bad_times'), line_draw(k, 27))
        when fate = 2 then strftime(bought_at, '%y-%m-%d %H:%M:%S')
        when form = 0 then plain_time(bought_at) when form = 1 then short_time(bought_at)
        when form = 2 then epoch_millis(bought_at)::varchar
        when form = 3 then (epoch_millis(bought_at) // 1000)::varchar
        when form = 4 then strftime(bought_at, '%Y-%m-%dT%H:%M:%S')
        else strftime(bought_at, '%Y年%m月%d日 %H:%M:%S') end as order_time,
    getvariable('channel_spellings')[channel * 3 + whole(line_draw(k, 28), 3) + 1] as channel,
    case when fate = 12 then getvariable('test_store') when channel = 0 then printf('S%03d', store + 1) end as store,
    case sku_form(k) when 0 then printf('SKU%04d', sku) when 1 then printf('sku%04d', sku)
        when 2 then printf(' SKU%04d ', sku) else printf('SKU-%04d', sku) end as sku,
    qty,
    case when fate = 6 then missing_text(line_draw(k, 29))
        when is_fen(channel) then minor::varchar
        else case amount_form(k, channel, currency, minor, fate) when 0 then yuan(minor)
            when 3 then wide(yuan(minor))
            else if(amount_form(k, channel, currency, minor, fate) = 1, '¥', '')
                || format('{:,}', minor // 100) || '.' || printf('%02d', minor % 100) end end as amount,
    case when fate = 4 then getvariable('unknown_unit') when is_fen(channel) then '分' else '元' end as amount_unit,
    getvariable('currencies')[currency + 1] as currency,
    if(fate = 5, getvariable('unknown_status'),
        choose(getvariable('status_spellings')[status + 1], line_draw(k, 30))) as status,
    coalesce(getvariable('campaign_ids')[campaign + 1],
        if(is_blank_campaign(k), missing_text(line_draw(k, 32)), null)) as campaign_id,
    printf('%04d', whole(line_draw(k, 33), 10000)) as receipt_no
from order_lines;

create view order_lines_clean as
select order_day || printf('%012d', o) as order_id, line_no::integer as line_no,
    if(phone is null, member_no, null) as member_no, phone,
    bought_at as order_time,
    (case currency when 0 then minor
        when 1 then sign(minor) * ((abs(minor) * 92 + 50) // 100)
        else sign(minor) * ((abs(minor) * 71 + 5) // 10) end / 100.0)::decimal(18, 2) as amount,
    qty::integer as qty,
    ['paid', 'cancelled', 'refunded'][status + 1] as status,
    printf('SKU%04d', sku) as sku,
    getvariable('sku_brands')[sku] as brand,
    getvariable('sku_categories')[sku] as category,
    getvariable('channel_codes')[channel + 1] as channel,
    case when channel = 0 then printf('S%03d', store + 1) end as store,
    getvariable('currencies')[currency + 1] as currency,
    getvariable('campaign_ids')[campaign + 1] as campaign_id,
    human as person
from order_lines
where fate = 0;
