-- What was injected, counted from the same draws that the raw views use. A repeated line counts as often as it
-- stands in the files.
create macro copies(repeats, t) as 1 + repeats + is_reexported(t)::integer;

create table dirt as
with members as (
    select
        count(*) filter (gender_kind = 'missing') as missing_gender,
        count(*) filter (gender_kind = 'unknown') as unknown_gender,
        count(*) filter (birthday_kind = 'missing') as missing_birthday,
        count(*) filter (birthday_kind = 'impossible') as impossible_birthday,
        count(*) filter (birthday_kind = 'implausible') as implausible_birthday,
        count(*) filter (birthday_kind = 'known' and birthday_form >= 45) as birthday_format,
        count(*) filter (city_kind = 'missing') as missing_city,
        count(*) filter (city_kind = 'unknown') as unknown_city,
        count(*) filter (city_kind = 'known' and city_form >= 3) as city_spelling,
        count(*) filter (no_phone) as missing_phone,
        count(*) filter (not no_phone and phone_form >= 70) as phone_format,
        count(*) filter (phone_then = getvariable('fake_phone') and not no_phone) as fake_phone,
        count(*) filter (version = 0 and passed_on and not no_phone) as recycled_phone,
        count(*) filter (version = 0 and role = 'member' and human <> person) as second_card,
        count(*) filter (special_name) as special_name,
        count(*) filter (noisy_number) as member_no_spelling,
        count(*) filter (short_updated) as unpadded_time,
        count(*) filter (version > 0) as older_version,
        count(*) filter (role = 'blank') as missing_member_no,
        count(*) filter (role = 'test') as test_member,
        count(*) as raw_rows,
        count(*) filter (role = 'member' and version = 0) as clean_rows
    from member_rows
), seen as (
    select
        count(*) filter (not has_number) as not_signed_in,
        count(*) filter (noisy_number) as member_no_spelling,
        count(*) filter (device = getvariable('no_device')) as no_device,
        count(*) filter (borrows) as lent_device,
        count(*) filter (device = getvariable('tablet')) as shop_tablet,
        count(*) as raw_rows, count(*) as clean_rows
    from logins
), lines as (
    select *, copies(repeats, bought_at) as n from order_lines
), orders as (
    select
        sum(n) filter (fate = 1) as malformed_time, sum(n) filter (fate = 2) as two_digit_year,
        sum(n) filter (fate = 3) as amount_outlier, sum(n) filter (fate = 4) as unknown_unit,
        sum(n) filter (fate = 5) as unknown_status, sum(n) filter (fate = 6) as missing_amount,
        sum(n) filter (fate = 11) as guest_order, sum(n) filter (fate = 12) as test_store,
        sum(n) filter (fate <> 11 and phone is null and is_noisy_member(k)) as member_no_spelling,
        sum(n) filter (phone is not null) as card_left_at_home,
        sum(n) filter (fate not in (1, 2) and form = 1) as short_time,
        sum(n) filter (fate not in (1, 2) and form = 2) as epoch_millis,
        sum(n) filter (fate not in (1, 2) and form = 3) as epoch_seconds,
        sum(n) filter (fate <> 4 and is_fen(channel)) as amount_in_fen,
        sum(n) filter (amount_form(k, channel, currency, minor, fate) > 0) as amount_text,
        sum(n) filter (currency > 0) as foreign_currency,
        sum(n) filter (sku_form(k) > 0) as sku_spelling,
        sum(n) filter (sku >= 9000) as unknown_sku,
        sum(n) filter (campaign is null and is_blank_campaign(k)) as missing_campaign,
        sum(n) filter (qty < 0) as negative_quantity,
        sum(n - 1) filter (fate = 0) as repeated_line,
        sum(n) as raw_rows, count(*) filter (fate = 0) as clean_rows
    from lines
), happened as (
    select *, 1 + repeats as n, if(is_legacy, 'events_legacy', 'events') as "table" from events
), behavior as (
    select "table",
        sum(n) filter (fate = 1) as zero_time, sum(n) filter (is_anonymous) as anonymous,
        sum(n) filter (fate = 12) as heartbeat,
        sum(n) filter (fate <> 1 and is_in_seconds(k)) as epoch_seconds,
        sum(n) filter (brand is not null and is_no_brand(k)) as missing_brand,
        sum(n) filter (channel = 2 and category is not null) as category_code,
        sum(n) filter (bad_dwell = 1) as negative_dwell, sum(n) filter (bad_dwell = 2) as huge_dwell,
        sum(n - 1) filter (fate = 0) as repeated_line,
        sum(n) as raw_rows, count(*) filter (fate = 0) as clean_rows
    from happened group by "table"
), replied as (
    select
        sum(1 + repeats) filter (fate = 1) as malformed_time, sum(1 + repeats) filter (fate = 11) as missing_member,
        sum(repeats) filter (fate = 0) as repeated_line,
        sum(1 + repeats) as raw_rows, count(*) filter (fate = 0) as clean_rows
    from replies
)
select * from (
    select 'crm_members' as "table", kind, n::bigint as n from (unpivot members on columns(*) into name kind value n)
    union all
    select 'web_members', kind, n::bigint from (unpivot seen on columns(*) into name kind value n)
    union all
    select 'orders', kind, n::bigint from (unpivot orders on columns(*) into name kind value n)
    union all
    select "table", kind, n::bigint from (unpivot behavior on columns(* exclude "table") into name kind value n)
    union all
    select 'campaign_responses', kind, n::bigint from (unpivot replied on columns(*) into name kind value n)
);
