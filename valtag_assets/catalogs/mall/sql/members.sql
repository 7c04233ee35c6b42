-- Persons, what the CRM says about them (one row per version), and how active they are.

create macro end_of_days() as getvariable('until') + interval 22 hour;

-- Roles: members; 'blank' rows that lost their number; 'test' rows that staff made.
create table persons as
with base as (
    select i, i::integer as person,
        case when i < getvariable('persons') then 'member'
            when i < getvariable('persons') + getvariable('extra') then 'blank' else 'test' end as role,
        choose(getvariable('channels'), person_draw(i, 1)) as home,
        joined_of(i) as joined,
        own_card(i)::integer as human,
        is_passed_on(i) as passed_on,
        if(is_passed_on(i - 1), i - 1, own_card(i)) as number_of
    from range(getvariable('persons') + 2 * getvariable('extra')) r(i)
), dated as (
    select *, getvariable('start') + to_days(joined::integer)
        + to_seconds(28800 + whole(person_draw(i, 3), 50000)) as joined_at
    from base
)
select person, human, role, home, joined, passed_on, joined_at,
    case when home = 0 then printf('%08d', i + 1) else printf('M%07d', i + 1) end as member_no,
    -- when the CRM's row was written last: of two cards lately, of a number that went on while it was its owner's
    case when has_two_cards(i) then end_of_days() - to_seconds(whole(row_draw(i * 4, 16),
            least(7776000, date_diff('second', joined_at, end_of_days()))))
        when passed_on then joined_at + to_seconds(whole(row_draw(i * 4, 16), 1728000))
        else joined_at + to_seconds(whole(row_draw(i * 4, 16), date_diff('second', joined_at, end_of_days())))
        end as updated_at,
    row_draw(i * 4, 4) < 0.05 and not has_two_cards(i) as has_no_phone,
    row_draw(i * 4, 41) < 0.01 and not has_two_cards(i) as has_fake_phone,
    person_draw(human, 4) < 0.8 as is_female,
    getvariable('until') - (365.25 * (17 + 9 * (person_draw(human, 5) + person_draw(human, 6))
        + 30 * person_draw(human, 7) ^ 3))::integer as born,
    choose(getvariable('cities'), person_draw(human, 8)) as city,
    '1' || choose(['38', '39', '50', '59', '77', '86', '88'], person_draw(number_of, 9))
        || printf('%08d', whole(person_draw(number_of, 10), 100000000)) as phone,
    choose(getvariable('surnames'), person_draw(human, 11)) || if(person_draw(human, 4) < 0.8,
        choose(getvariable('given_female'), person_draw(human, 12)),
        choose(getvariable('given_male'), person_draw(human, 12))) as name,
    normal(person_draw(i, 13), person_draw(i, 14)) as zeal,
    normal(person_draw(i, 15), person_draw(i, 16)) as curiosity,
    whole(-ln(1 - person_draw(i, 17)), 600) + 1 as lifetime
from dated
order by person;

-- A number is heard of beside what the CRM says: only while it can be told from its next owner's, and from nobody's.
create macro is_near(updated_at, moment) as abs(date_diff('day', updated_at, moment)) <= 90;

create table activity as
with windowed as (
    select *, greatest(joined, 0) as first_day,
        least(joined + lifetime, getvariable('days') - 1) as last_day
    from persons where role = 'member'
)
select person, human, member_no, city, is_female, joined,
    if(has_no_phone or has_fake_phone, null, phone) as told_phone, updated_at,
    least(whole(exp(1.1 * zeal - 0.605) * getvariable('orders_a_day') * (last_day - first_day + 1)
        + person_draw(person, 18), 1), 400)::integer as orders,
    least(whole(exp(0.5 * zeal + 0.8 * curiosity - 0.445) * getvariable('sessions_a_day')
        * (last_day - first_day + 1) + person_draw(person, 19), 1), 400)::integer as sessions,
    getvariable('season_before')[first_day + 1] as season_from,
    getvariable('season_before')[last_day + 2] as season_to,
    -- some look around for weeks before they sign up
    getvariable('season_before')[greatest(first_day - if(person_draw(person, 27) < 0.3, 45, 0), 0) + 1] as visits_from,
    home,
    choose(getvariable('channels'), person_draw(person, 20)) as second_channel,
    choose(getvariable('digital'), person_draw(person, 21)) as screen,
    case when not is_female and person_draw(person, 22) < 0.5 then getvariable('men')
        else choose(getvariable('categories'), person_draw(person, 23)) end as category,
    choose(getvariable('categories'), person_draw(person, 24)) as second_category,
    choose(getvariable('brands'), person_draw(person, 25)) as brand,
    whole(person_draw(person, 26), 5) as taste
from windowed
where last_day >= first_day
order by person;

-- One row per version of a CRM row: 0 is the latest. `x_kind` says what the raw text hides.
create table member_rows as
with versioned as (
    select *, unnest(range(1 + (role = 'member' and person_draw(person, 30) < 0.04)::integer
        + (role = 'member' and person_draw(person, 30) < 0.006)::integer))::integer as version
    from persons
), keyed as (
    select *, person * 4::bigint + version as k from versioned
), kinds as (
    select *,
        case when row_draw(k, 1) < 0.05 then 'missing' when row_draw(k, 1) < 0.065 then 'unknown'
            else 'known' end as gender_kind,
        case when row_draw(k, 2) < 0.05 then 'missing' when row_draw(k, 2) < 0.057 then 'impossible'
            when row_draw(k, 2) < 0.064 then 'implausible' else 'known' end as birthday_kind,
        case when row_draw(k, 3) < 0.05 then 'missing' when row_draw(k, 3) < 0.06 then 'unknown'
            else 'known' end as city_kind,
        if(version = 0, has_no_phone, row_draw(k, 4) < 0.05) as no_phone,
        whole(row_draw(k, 5), 100) as phone_form,
        row_draw(k, 6) < 0.02 as special_name,
        row_draw(k, 7) < 0.02 and role = 'member' as noisy_number,
        row_draw(k, 8) < 0.25 as short_joined,
        row_draw(k, 9) < 0.25 as short_updated,
        whole(row_draw(k, 10), 100) as birthday_form,
        whole(row_draw(k, 11), 11) as city_form,
        case when version > 0 and row_draw(k, 12) < 0.3
            then choose(getvariable('cities'), row_draw(k, 13)) else city end as city_then,
        case when version > 0 and row_draw(k, 14) < 0.4
            then '139' || printf('%08d', whole(row_draw(k, 15), 100000000))
            when has_fake_phone then getvariable('fake_phone') else phone end as phone_then
    from (select * replace (updated_at - to_days((version * (1 + whole(row_draw(k, 17), 100)))::integer) as updated_at) from keyed)
)
select k, person, human, version, role, member_no, passed_on, is_female, born, joined_at, updated_at,
    gender_kind, birthday_kind, city_kind, no_phone, phone_form, special_name, noisy_number,
    short_joined, short_updated, birthday_form, city_form, city_then, phone_then, home,
    case when special_name then name || choose(
        ['🌸', '"小美"', ', VIP', chr(10) || '(线下)', chr(13) || chr(10) || '转介绍'], row_draw(k, 18))
        else name end as name,
    greatest(0, least(3, whole(zeal + 0.5, 1) - version))::integer as level,
    greatest(0, whole(exp(zeal), 300) - 40 * version) as points
from kinds
order by k;

create view members_raw as
select
    case when role = 'blank' then missing_text(row_draw(k, 20))
        when noisy_number then noisy_id(member_no, row_draw(k, 21)) else member_no end as "会员号",
    name as "姓名",
    case gender_kind when 'missing' then missing_text(row_draw(k, 22)) when 'unknown' then getvariable('unknown_gender')
        else choose(if(is_female, getvariable('female'), getvariable('male')), row_draw(k, 23)) end as "性别",
    case when birthday_kind = 'missing' then missing_text(row_draw(k, 24))
        when birthday_kind = 'impossible' then choose(['1990-02-30', '1985/13/1', '19910431', '2001年2月29日'], row_draw(k, 25))
        when birthday_kind = 'implausible' then if(row_draw(k, 25) < 0.5, 1880 + whole(row_draw(k, 26), 20),
            2031 + whole(row_draw(k, 26), 60)) || '-0' || (1 + whole(row_draw(k, 27), 9)) || '-15'
        when birthday_form < 45 then strftime(born, '%Y-%m-%d')
        when birthday_form < 70 then strftime(born, '%Y/%-m/%-d')
        when birthday_form < 88 then strftime(born, '%Y%m%d')
        else strftime(born, '%Y年%-m月%-d日') end as "生日",
    case city_kind when 'missing' then missing_text(row_draw(k, 28))
        when 'unknown' then choose(getvariable('unknown_cities'), row_draw(k, 29))
        else getvariable('city_spellings')[city_then * 11 + city_form + 1] end as "城市",
    if(no_phone, missing_text(row_draw(k, 30)), spelled_phone(phone_then, phone_form)) as "手机号",
    getvariable('channel_spellings')[home * 3 + whole(row_draw(k, 31), 3) + 1] as "所属渠道",
    if(short_joined, short_time(joined_at), plain_time(joined_at)) as "注册时间",
    if(role = 'test', getvariable('test_level'), getvariable('levels')[level + 1]) as "会员等级",
    points as "积分",
    if(short_updated, short_time(updated_at), plain_time(updated_at)) as "更新时间",
    printf('%04d', whole(row_draw(k, 32), 10000)) as "身份证后四位",
    case when row_draw(k, 33) < 0.1 then '喜欢试用装, 不要电话' when row_draw(k, 33) < 0.2 then '老客"介绍"' end as "备注",
    'B' || strftime(getvariable('until'), '%Y%m') as "导出批次"
from member_rows
order by row_draw(k, 40), k;

create view members_clean as
select member_no, name,
    case when gender_kind = 'known' then if(is_female, 'female', 'male') end as gender,
    case when birthday_kind = 'known' then born end as birth_date,
    case when city_kind = 'known' then getvariable('city_names')[city_then + 1] end as city,
    case when not no_phone then phone_then end as phone,
    getvariable('channel_codes')[home + 1] as channel,
    if(short_joined, date_trunc('minute', joined_at), joined_at)::timestamp as registered_at,
    getvariable('levels')[level + 1] as level,
    points,
    if(short_updated, date_trunc('minute', updated_at), updated_at)::timestamp as updated_at,
    human as person
from member_rows
where role = 'member' and version = 0
order by member_no;

-- One row per log-in seen on a digital channel: several ids side by side, the member number where known. A device may
-- be somebody else's too: lent by the member before, or the tablet of a shop. Who has to do with a lent one, always
-- says the number.
create table logins as
with seen as (
    select *, unnest(range(1 + whole(person_draw(person, 32), 3))) as n
    from persons
    where role = 'member' and person_draw(person, 31) < 0.75
), keyed as (
    select *, person * 4::bigint + n as k, login_draw(person * 4::bigint + n, 1) as platform_u,
        if(login_draw(person * 4::bigint + n, 2) < 0.15, 2, 1) as which
    from seen
), on_devices as (
    select *, (platform_u >= 0.5 and platform_u < 0.8) or (platform_u < 0.5 and login_draw(k, 4) < 0.4) as on_device,
        login_draw(k, 5) as device_u,
        own_card(person - 1)::integer as lender
    from keyed
), lending as (
    select *, on_device and device_u >= 0.008 and device_u < 0.018 and person > 0 and lender <> human and exists (
            from on_devices own where own.human = one.lender and own.on_device and own.which = 1 and own.device_u >= 0.05
        ) as borrows
    from on_devices one
), minding as (
    select *, human in (select human from lending where borrows union all select lender from lending where borrows)
            as minds
    from lending
), told as (
    select *, login_draw(k, 6) < 0.65 or minds as has_number,
        joined_at + to_seconds(whole(login_draw(k, 9),
            date_diff('second', joined_at, getvariable('until') + interval 23 hour))) as seen_at
    from minding
)
select k, person, human, member_no,
    case when platform_u < 0.5 then 1 when platform_u < 0.8 then 2 else 3 end as platform,
    case when platform_u < 0.5 or login_draw(k, 3) < 0.25 then open_id(human, which) end as openid,
    case when not on_device then null when device_u < 0.008 then getvariable('no_device')
        when borrows then device_id(lender, 1)
        when device_u >= 0.018 and device_u < 0.04 and has_number then getvariable('tablet')
        else device_id(human, which) end as device,
    borrows,
    case when platform_u >= 0.8 then cookie_id(human, which) end as cookie,
    has_number,
    case when login_draw(k, 7) < 0.25 and (has_number and not passed_on
        or not has_no_phone and not has_fake_phone and is_near(updated_at, seen_at)) then phone end as phone,
    has_number and login_draw(k, 8) < 0.03 as noisy_number,
    seen_at
from told
order by k;

create view logins_raw as
select getvariable('channel_spellings')[platform * 3 + whole(login_draw(k, 10), 3) + 1] as platform,
    openid, device as device_id, cookie,
    case when not has_number then if(login_draw(k, 11) < 0.7, null, missing_text(login_draw(k, 12)))
        when noisy_number then noisy_id(member_no, login_draw(k, 13)) else member_no end as member_no,
    phone,
    epoch_millis(seen_at) as seen_at,
    'sdk/' || (1 + whole(login_draw(k, 14), 9)) || '.0' as client
from logins
order by seen_at, k;

create view logins_clean as
select if(has_number, member_no, null) as member_no, phone, openid, device as device_id, cookie,
    getvariable('channel_codes')[platform + 1] as channel,
    date_trunc('millisecond', seen_at)::timestamp as seen_at,
    human as person
from logins
order by seen_at, k;
