-- What the made-up companies of all packs share: random numbers, spellings, and the people.
-- A random number is a hash of (seed, entity number, column). Entities of different kinds use different columns:
-- persons 0-99, what they do 100-199, the lines or later events of that 200-299.
create macro draw(entity, col) as
    (hash(getvariable('salt') + entity::bigint * 1000 + col) >> 11)::double / 9007199254740992.0;
create macro whole(u, n) as floor(u * n)::integer;
create macro choose(items, u) as items[floor(u * len(items))::bigint + 1];
-- A row now and then: 1 + 1 of its copies.
create macro copies(u, share) as range(1 + (u < share)::integer);
-- Rows that a till or an app sent too late stand at the end of the export.
create macro is_late(u) as u < 0.01;

create macro missing_text(u) as choose(['', '无', 'NULL', '-', '未知'], u);
create macro wide(digits) as translate(digits, '0123456789.', '０１２３４５６７８９．');
create macro noisy_id(id, u) as
    case when u < 0.01 then ' ' || id || ' ' when u < 0.02 then lower(id) when u < 0.03 then wide(id) else id end;
create macro spelled_date(day, u) as
    case when u < 0.7 then strftime(day, '%Y-%m-%d') when u < 0.85 then strftime(day, '%Y/%-m/%-d')
        else strftime(day, '%Y年%-m月%-d日') end;
create macro spelled_time(ts, u) as
    case when u < 0.8 then strftime(ts, '%Y-%m-%d %H:%M:%S') when u < 0.95 then strftime(ts, '%Y/%-m/%-d %-H:%M')
        else strftime(ts, '%Y-%m-%dT%H:%M:%S') end;
create macro spelled_gender(female, u) as
    case when u < 0.03 then missing_text(u * 33) when female then choose(['女', '女', '女', 'F', '2'], u)
        else choose(['男', '男', '男', 'M', '1'], u) end;
create macro spelled_city(city, u) as
    case when u < 0.02 then missing_text(u * 50) when u < 0.8 then city when u < 0.95 then city || '市'
        else ' ' || city end;
create macro money(amount) as round(amount, 2)::decimal(18, 2);
-- The amount and its unit: 元, and 分 from one of the systems.
create macro spelled_amount(amount, cents) as
    if(cents, (amount * 100)::bigint::varchar, amount::decimal(18, 2)::varchar);
create macro unit_of(cents) as if(cents, '分', '元');
-- A moment of a day between the hours given.
create macro moment(day, u, first, last) as
    date_trunc('second', day::timestamp + to_seconds((first + u * (last - first)) * 3600));

-- People who joined within three years, the later the more. Some left for good: they did nothing after left_on.
-- pace: how much they do, from 0 to 1, and only few much; taste: what they prefer among things.
create table people as
select *, if(draw(i, 11) < 0.35, joined_on + whole(draw(i, 12), tenure + 1), getvariable('until')) as left_on
from (
    select
        i,
        getvariable('until') - whole(pow(draw(i, 1), 1.3), 1095) as joined_on,
        getvariable('until') - joined_on as tenure,
        choose(string_split('王李张刘陈杨黄赵吴周徐孙马朱胡林郭何高罗', ''), draw(i, 2))
            || choose(string_split('静敏丽强磊洋勇艳杰娟涛超霞平刚桂英华玉兰', ''), draw(i, 3))
            || if(draw(i, 4) < 0.5, choose(string_split('子雨欣梓浩宇文思佳嘉', ''), draw(i, 5)), '') as name,
        '1' || choose(['38', '39', '50', '58', '86', '88'], draw(i, 6)) || lpad(whole(draw(i, 7), 100000000)::varchar, 8, '0') as phone,
        choose(['上海', '上海', '上海', '北京', '北京', '杭州', '杭州', '成都', '广州', '深圳'], draw(i, 8)) as city,
        pow(draw(i, 9), 2) as pace,
        draw(i, 10) as taste
    from range(1, getvariable('persons') + 1) as numbers (i)
);
create schema raw;
