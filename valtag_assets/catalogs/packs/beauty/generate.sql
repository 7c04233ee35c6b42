-- A beauty brand with counters and an online shop: members, products, order lines, skin tests, empties brought back.
-- A product: what it is, what it does for the skin, and for how many days one bottle lasts.
create table products as
select p, 'B' || lpad(p::varchar, 3, '0') as sku,
    choose(['洁面', '化妆水', '精华', '面霜', '眼霜', '面膜', '防晒', '底妆', '唇妆', '香水'], (p - 0.5) / 60) as category,
    if(p <= 42, choose(['保湿', '美白', '抗老', '舒缓', '控油'], draw(p, 301)), '') as efficacy,
    (case category when '精华' then 680 when '眼霜' then 520 when '香水' then 880 when '面霜' then 460 else 180 end
        * (0.6 + 0.9 * draw(p, 302)))::integer as price,
    case category when '面膜' then 15 when '防晒' then 45 when '洁面' then 60 when '香水' then 240 when '唇妆' then 180
        else 75 end as lasts
from range(1, 61) as numbers (p);
create table raw.products as
select sku as "货号", category as "品类", efficacy as "主打功效", money(price) as "吊牌价", lasts as "可用天数"
from products order by p;

create table members as
select *, draw(i, 20) < 0.88 as female,
    choose(['干性', '油性', '混合性', '敏感性', '中性'], draw(i, 21)) as skin,
    case skin when '干性' then '保湿' when '油性' then '控油' when '敏感性' then '舒缓' when '中性' then '美白' else '抗老' end as wanted,
    25 + whole(draw(i, 22) * (1.3 - pace), 95) as cycle
from people;
create table raw.members as
select noisy_id('V' || lpad(i::varchar, 6, '0'), draw(i, 23)) as "会员卡号", name as "姓名", phone as "手机",
    spelled_gender(female, draw(i, 24)) as "性别",
    if(draw(i, 25) < 0.1, missing_text(draw(i, 26)),
        spelled_date(date '1968-01-01' + whole(draw(i, 27), 14500), draw(i, 28))) as "生日",
    spelled_city(city, draw(i, 29)) as "城市",
    if(draw(i, 30) < 0.3, missing_text(draw(i, 31)), choose([skin, skin, left(skin, 1) || '皮', left(skin, 2) || '肌'], draw(i, 32))) as "自述肤质",
    choose(['专柜', '专柜', 'COUNTER', '小程序', 'MINI', '天猫', 'TMALL', '抖音'], draw(i, 33)) as "首次渠道",
    spelled_time(moment(joined_on, draw(i, 34), 9, 22), draw(i, 35)) as "入会时间"
from members, unnest(copies(draw(i, 36), 0.01))
order by i;

-- An order every so many days: what is used up is bought again; two big sales a year draw orders to them.
create table orders as
select i * 1000 + k as o, *,
    if(draw(o, 100) < 0.15, sale, planned) as bought_on
from (
    select *, joined_on + (k * cycle * (0.8 + 0.4 * draw(i * 1000 + k, 101)))::integer as planned,
        if(month(planned) <= 8, make_date(year(planned), 6, 18), make_date(year(planned), 11, 11)) as sale
    from members, unnest(range(least(40, 1 + tenure // 20))) as times (k)
    where draw(i, 37) < 0.88
)
where planned <= left_on and bought_on between joined_on and left_on;
create table lines as
select o * 10 + n as l, o, i, n, cycle, skin, moment(bought_on, draw(o, 102), 9, 23.9) as bought_at, p, lasts, category,
    1 + whole(pow(draw(l, 200), 4), 3) as quantity,
    money(price * quantity * if(month(bought_on) in (6, 11) and day(bought_on) in (18, 11), 0.7, 0.95)) as paid,
    draw(o, 103) < 0.6 as online
from orders, unnest(range(1, 2 + whole(pow(draw(o, 104), 1.5), 4))) as numbers (n)
join products on p = 1 + whole(if(draw(o * 10 + n, 201) < 0.55, pow(draw(i, 38 + n), 0.9), draw(o * 10 + n, 202)), 60);
create table raw.orders as
select 'D' || lpad(o::varchar, 10, '0') as "订单号", n as "行号",
    noisy_id('V' || lpad(i::varchar, 6, '0'), draw(l, 203)) as "会员卡号",
    if(draw(l, 204) < 0.002, '前天', spelled_time(bought_at, draw(l, 205))) as "下单时间",
    if(online, choose(['小程序', 'MINI', '天猫', 'TMALL', '抖音'], draw(o, 105)), choose(['专柜', 'COUNTER'], draw(o, 105))) as "渠道",
    if(draw(l, 206) < 0.05, lower('B' || lpad(p::varchar, 3, '0')), 'B' || lpad(p::varchar, 3, '0')) as "货号",
    quantity as "件数", spelled_amount(paid, online) as "实付", unit_of(online) as "单位",
    if(draw(o, 106) < 0.08, '是', '否') as "送礼",
    if(draw(l, 207) < 0.04, choose(['已退货', 'RETURNED'], draw(l, 208)), choose(['已完成', '已完成', 'DONE'], draw(l, 208))) as "状态"
from lines, unnest(copies(draw(l, 209), 0.005))
order by is_late(draw(l, 210)), bought_at, l;

-- Bottles used up and brought back to the counter.
create table raw.empties as
select 'E' || lpad(l::varchar, 11, '0') as "回收单号",
    noisy_id('V' || lpad(i::varchar, 6, '0'), draw(l, 220)) as "会员卡号",
    spelled_time(returned_at, draw(l, 221)) as "回收时间", 'B' || lpad(p::varchar, 3, '0') as "货号", 1 as "空瓶数"
from (
    select *, bought_at + to_days((lasts * (0.9 + 0.4 * draw(l, 222)))::integer) as returned_at
    from lines where category not in ('面膜', '香水') and draw(l, 223) < 0.9 * draw(i, 45)
)
where returned_at < getvariable('until') + 1
order by returned_at, l;

-- Skin tests at the counter: water and oil in percent (some machines write parts of one), and the type they tell.
create table raw.skin_tests as
select 'S' || lpad(t::varchar, 9, '0') as "检测号",
    noisy_id('V' || lpad(i::varchar, 6, '0'), draw(t, 110)) as "会员卡号",
    spelled_time(tested_at, draw(t, 111)) as "检测时间",
    if(old_machine, round(water / 100, 3), round(water, 1)) as "水分",
    if(old_machine, '比例', '%') as "水分单位",
    if(draw(t, 112) < 0.85, choose([skin, left(skin, 1) || '皮'], draw(t, 113)), choose(['中性', '混合性'], draw(t, 113))) as "检测肤质"
from (
    select i * 1000 + k as t, i, skin, k, draw(i, 46) < 0.3 as old_machine,
        moment(joined_on + whole(draw(i * 1000 + k, 114), greatest(left_on - joined_on, 1)), draw(i * 1000 + k, 115), 10, 21) as tested_at,
        if(draw(i * 1000 + k, 116) < 0.01, 180, least(80, 25 + 30 * draw(i, 47) + 15 * draw(i * 1000 + k, 117))) as water
    from members, unnest(range(whole(pow(draw(i, 48), 2), 5))) as times (k)
)
order by tested_at, t;
