-- A chain of supermarkets with an online shop: members, stores, products, order lines, coupons.
create table raw.stores as
select 'S' || lpad(s::varchar, 2, '0') as "门店编码",
    choose(['上海', '北京', '杭州', '成都', '广州', '深圳'], (s - 0.5) / 18) as "城市",
    choose(['大卖场', '社区店', '便利店'], draw(s, 301)) as "业态"
from range(1, 19) as numbers (s)
order by s;

create table products as
select p, 'P' || lpad(p::varchar, 4, '0') as sku,
    choose(['生鲜', '生鲜', '粮油', '乳品', '零食', '酒水', '日化', '母婴'], (p - 0.5) / 160) as category,
    (case category when '酒水' then 60 when '母婴' then 45 when '日化' then 25 else 12 end * (0.5 + 2 * draw(p, 311))) as price,
    if(draw(p, 312) < 0.25, '是', '否') as own_brand
from range(1, 161) as numbers (p);
create table raw.products as
select sku as "商品编码", category as "品类", money(price) as "标价", own_brand as "自有品牌" from products order by p;

create table raw.members as
select noisy_id('R' || lpad(i::varchar, 6, '0'), draw(i, 20)) as "会员号", name as "姓名", phone as "手机号",
    spelled_gender(draw(i, 21) < 0.6, draw(i, 22)) as "性别",
    if(draw(i, 23) < 0.06, missing_text(draw(i, 24)),
        spelled_date(date '1955-01-01' + whole(draw(i, 25), 18000), draw(i, 26))) as "生日",
    spelled_city(city, draw(i, 27)) as "城市",
    choose(['门店', '门店', 'STORE', '小程序', '小程序', 'MINI', 'App', '外卖'], draw(i, 28)) as "入会渠道",
    spelled_time(moment(joined_on, draw(i, 29), 8, 22), draw(i, 30)) as "入会时间"
from people, unnest(copies(draw(i, 31), 0.01))
order by i;

-- Shoppers go every few days or weeks; taste makes them people of the store, of the phone, or of both.
create table orders as
select i * 1000 + k as o, i, left_on, taste, city,
    joined_on + (k * (90 - 80 * pace) * (0.6 + 0.8 * draw(o, 100)))::integer as bought_on,
    if(taste < 0.4, draw(o, 101) < 0.97, if(taste < 0.65, draw(o, 101) < 0.05, draw(o, 101) < 0.5)) as in_store,
    (draw(i, 32) < 0.3 and draw(o, 102) < 0.85) or draw(o, 102) < 0.2 as with_coupon
from people, unnest(range(least(60, 1 + tenure // 10))) as times (k)
where draw(i, 33) < 0.9 and bought_on <= left_on;

create table lines as
select o * 10 + n as l, o, i, n, bought_on, in_store, with_coupon, city,
    moment(bought_on, draw(o, 103), 8, 21.9) as bought_at,
    p, 1 + whole(pow(draw(l, 200), 3), 5) as quantity,
    price * quantity as list_price,
    money(price * quantity * if(with_coupon, 0.65 + 0.15 * draw(o, 104), if(draw(l, 201) < 0.15, 0.85, 1))) as paid
from orders, unnest(range(1, 2 + whole(draw(o, 105), 4))) as numbers (n)
join products on p = 1 + whole((draw(i, 34) + draw(o * 10 + n, 202)) / 2, 160);

create table raw.orders as
select 'T' || lpad(o::varchar, 10, '0') as "小票号", n as "行号",
    noisy_id('R' || lpad(i::varchar, 6, '0'), draw(l, 203)) as "会员号",
    case when draw(l, 204) < 0.002 then '昨天' else spelled_time(bought_at, draw(l, 205)) end as "下单时间",
    if(in_store, choose(['门店', 'POS', 'STORE'], draw(o, 106)), choose(['小程序', 'MINI', 'App', '外卖'], draw(i, 35))) as "渠道",
    if(in_store, 'S' || lpad((1 + list_position(['上海', '北京', '杭州', '成都', '广州', '深圳'], city) * 3 - 3
        + whole(pow(draw(o, 107), 2), 3))::varchar, 2, '0'), '') as "门店",
    if(draw(l, 206) < 0.05, lower('P' || lpad(p::varchar, 4, '0')), 'P' || lpad(p::varchar, 4, '0')) as "商品编码",
    sign * quantity as "件数",
    spelled_amount(sign * money(list_price), not in_store) as "应付",
    spelled_amount(sign * paid, not in_store) as "实付",
    unit_of(not in_store) as "单位",
    if(with_coupon, 'C' || (1 + whole(draw(o, 108), 40)), '') as "优惠券",
    if(sign < 0, choose(['已退款', 'REFUND'], draw(l, 207)), choose(['已支付', '已支付', 'PAID'], draw(l, 208))) as "状态"
from (
    select *, 1 as sign from lines
    union all
    select * replace (n + 10 as n, bought_at + to_days(2) as bought_at), -1
    from lines where draw(l, 209) < 0.03 and bought_on + 2 <= getvariable('until')
), unnest(copies(draw(l, 210), 0.005))
order by is_late(draw(l, 211)), bought_at, l, sign;

create table raw.coupons as
select 'K' || lpad(c::varchar, 9, '0') as "领券号",
    noisy_id('R' || lpad(i::varchar, 6, '0'), draw(c, 110)) as "会员号",
    spelled_time(moment(day, draw(c, 111), 7, 23), draw(c, 112)) as "领取时间",
    choose(['满减', '折扣', '新品试用'], draw(c, 113)) as "券类型",
    if(draw(c, 114) < if(draw(i, 32) < 0.3, 0.7, 0.2), choose(['已核销', 'USED'], draw(c, 115)), choose(['未使用', 'EXPIRED'], draw(c, 115))) as "状态"
from (
    select i * 1000 + k as c, i, joined_on + whole(draw(i * 1000 + k, 116), greatest(left_on - joined_on, 1)) as day
    from people, unnest(range(whole(draw(i, 36) * if(draw(i, 32) < 0.3, 2, 1), 8))) as times (k)
)
order by day, c;
