-- Persons, what the CRM says about them (one row per version), and how active they are.

-- Roles: members; 'blank' rows that lost their number; 'test' rows that staff made.
create table persons as
with base as (
    select i, i::integer as person,
        case when i < getvariable('persons') then 'member'
            when i < getvariable('persons') + getvariable('extra') then 'blank' else 'test' end as role,
        choose(getvariable('channels'), person_draw(i, 1)) as home,
        whole(sqrt(person_draw(i, 2)) * getvariable('history'), 1) - getvariable('lead') as joined
    from range(getvariable('persons') + 2 * getvariable('extra')) r(i)
)
select person, role, home, joined,
    case when home = 0 then printf('%08d', i + 1) else printf('M%07d', i + 1) end as member_no,
    getvariable('start') + to_days(joined::integer)
        + to_seconds(28800 + whole(person_draw(i, 3), 50000)) as joined_at,
    person_draw(i, 4) < 0.8 as is_female,
    getvariable('until') - (365.25 * (17 + 9 * (person_draw(i, 5) + person_draw(i, 6))
        + 30 * person_draw(i, 7) ^ 3))::integer as born,
    choose(getvariable('cities'), person_draw(i, 8)) as city,
    '1' || choose(['38', '39', '50', '59', '77', '86', '88'], person_draw(i, 9))
        || printf('%08d', whole(person_draw(i, 10), 100000000)) as phone,
    choose(getvariable('surnames'), person_draw(i, 11)) || if(person_draw(i, 4) < 0.8,
        choose(getvariable('given_female'), person_draw(i, 12)),
        choose(getvariable('given_male'), person_draw(i, 12))) as name,
    normal(person_draw(i, 13), person_draw(i, 14)) as zeal,
    normal(person_draw(i, 15), person_draw(i, 16)) as curiosity,
    whole(-ln(1 - person_draw(i, 17)), 600) + 1 as lifetime
from base
order by person;

create table activity as
with windowed as (
    select *, greatest(joined, 0) as first_day,
        least(joined + lifetime, getvariable('days') - 1) as last_day
    from persons where role = 'member'
)
select person, member_no, city, is_female, joined,
    least(whole(exp(1.1 * zeal - 0.605) * getvariable('orders_a_day') * (last_day - first_day + 1)
        + person_draw(person, 18), 1), 400)::integer as orders,
    least(whole(exp(0.5 * zeal + 0.8 * curiosity - 0.445) * getvariable('sessions_a_day')
        * (last_day - first_day + 1) + person_draw(person, 19), 1), 400)::integer as sessions,
    getvariable('season_before')[first_day + 1] as season_from,
    getvariable('season_before')[last_day + 2] as season_to,
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
        row_draw(k, 4) < 0.05 as no_phone,
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
            then '139' || printf('%08d', whole(row_draw(k, 15), 100000000)) else phone end as phone_then,
        joined_at + to_seconds(whole(row_draw(person * 4::bigint, 16),
            date_diff('second', joined_at, getvariable('until') + interval 22 hour)))
            - to_days((version * (1 + whole(row_draw(k, 17), 100)))::integer) as updated_at
    from keyed
)
select k, person, version, role, member_no, is_female, born, joined_at, updated_at,
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
    case when no_phone then missing_text(row_draw(k, 30)) when phone_form < 70 then phone_then
        when phone_form < 78 then '+86 ' || phone_then
        when phone_form < 86 then phone_then[1:3] || ' ' || phone_then[4:7] || ' ' || phone_then[8:]
        when phone_form < 92 then phone_then[1:3] || '-' || phone_then[4:7] || '-' || phone_then[8:]
        when phone_form < 96 then wide(phone_then) else '86' || phone_then end as "手机号",
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
    if(short_updated, date_trunc('minute', updated_at), updated_at)::timestamp as updated_at
from member_rows
where role = 'member' and version = 0
order by member_no;

-- One row per log-in seen on a digital channel: several ids side by side, the member number where known.
create table logins as
with seen as (
    select p.person, p.member_no, p.phone, p.joined_at,
        unnest(range(1 + whole(person_draw(person, 32), 3))) as n
    from persons p
    where role = 'member' and person_draw(person, 31) < 0.75
), keyed as (
    select *, person * 4::bigint + n as k, login_draw(person * 4::bigint + n, 1) as platform_u,
        if(login_draw(person * 4::bigint + n, 2) < 0.15, 2, 1) as which
    from seen
)
select k, person, member_no, phone,
    case when platform_u < 0.5 then 1 when platform_u < 0.8 then 2 else 3 end as platform,
    case when platform_u < 0.5 or login_draw(k, 3) < 0.25 then open_id(person, which) end as openid,
    case when (platform_u >= 0.5 and platform_u < 0.8) or (platform_u < 0.5 and login_draw(k, 4) < 0.4) then
        case when login_draw(k, 5) < 0.008 then '00000000-0000-0000-0000-000000000000'
            when login_draw(k, 5) < 0.018 and person > 0 then device_id(person - 1, 1)
            else device_id(person, which) end end as device,
    case when platform_u >= 0.8 then cookie_id(person, which) end as cookie,
    login_draw(k, 6) < 0.65 as has_number,
    login_draw(k, 7) < 0.25 as has_phone,
    login_draw(k, 8) < 0.03 as noisy_number,
    joined_at + to_seconds(whole(login_draw(k, 9),
        date_diff('second', joined_at, getvariable('until') + interval 23 hour))) as seen_at
from keyed
order by k;

create view logins_raw as
select getvariable('channel_spellings')[platform * 3 + whole(login_draw(k, 10), 3) + 1] as platform,
    openid, device as device_id, cookie,
    case when not has_number then if(login_draw(k, 11) < 0.7, null, missing_text(login_draw(k, 12)))
        when noisy_number then noisy_id(member_no, login_draw(k, 13)) else member_no end as member_no,
    if(has_phone, phone, null) as phone,
    epoch_millis(seen_at) as seen_at,
    'sdk/' || (1 + whole(login_draw(k, 14), 9)) || '.0' as client
from logins
order by seen_at, k;

create view identities_clean as
select distinct id_type, id_value, member_no from (
    select 'openid' as id_type, openid as id_value, member_no from logins
    union all select 'device_id', device, member_no from logins
    union all select 'cookie', cookie, member_no from logins
)
where id_value is not null and id_value <> '00000000-0000-0000-0000-000000000000'
order by id_type, id_value, member_no;
