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

-- Who people are to the shop. Most have a card; a few have two, with one phone. Some left a number that identifies
-- nobody. Passers-by have no card and are gone after three months. Neighbours in the list share the device of the
-- house if both use the app.
create macro spelled_phone(phone, u) as
    case when u < 0.8 then phone when u < 0.9 then '+86 ' || phone when u < 0.95 then wide(phone)
        else phone[:3] || '-' || phone[4:7] || '-' || phone[8:] end;
create macro landline(u) as choose(['021-6', '010-8', '0571-8'], u * 7 % 1) || lpad(whole(u, 10000000)::varchar, 7, '0');
create macro no_phone(u) as if(u < 0.5, '13800000000', landline(u));
create macro card(i) as format('R{:06d}', i);
create table shoppers as
select * replace (if(has_card or online <> 'App', online, '外卖') as online),
    'o' || left(md5('openid' || getvariable('salt') || i), 20) as openid,
    left(md5('device' || getvariable('salt') || i // 4), 16) as device,
    count(*) filter (has_card and online = 'App') over (partition by i // 4) > 1 as shares_device,
    online in ('小程序', 'MINI') as is_mini,
    if(not has_card or draw(i, 41) >= 0.05, phone, null) as own_phone,
    if(has_card and own_phone is not null and draw(i, 42) < 0.06 and joined_on + 120 <= left_on,
        joined_on + 20 + whole(draw(i, 43), 100), null) as second_on
from (
    select *, draw(i, 40) < 0.85 as has_card, choose(['小程序', 'MINI', 'App', '外卖'], draw(i, 35)) as online
    from people
);

-- The number of somebody who left long ago is given to somebody who comes now.
update shoppers set own_phone = recycled.phone
from (
    select later.i, former.own_phone as phone
    from (select own_phone, row_number() over (order by left_on, i) as n from shoppers
        where has_card and own_phone is not null and left_on < getvariable('until') - 500) as former
    join (select i, row_number() over (order by joined_on desc, i) as n from shoppers
        where has_card and own_phone is not null and joined_on >= getvariable('until') - 290) as later
    using (n)
    where n <= 1 + getvariable('persons') // 50
) as recycled
where shoppers.i = recycled.i;

create table raw.members as
select noisy_id(card, draw(i, 20)) as "会员号", name as "姓名",
    coalesce(spelled_phone(own_phone, draw(i, 44)), no_phone(draw(i, 45))) as "手机号",
    if(is_mini and n = 1, openid, '') as "OpenID",
    spelled_gender(draw(i, 21) < 0.6, draw(i, 22)) as "性别",
    if(draw(i, 23) < 0.06, missing_text(draw(i, 24)),
        spelled_date(date '1955-01-01' + whole(draw(i, 25), 18000), draw(i, 26))) as "生日",
    spelled_city(city, draw(i, 27)) as "城市",
    choose(['门店', '门店', 'STORE', '小程序', '小程序', 'MINI', 'App', '外卖'], draw(i, 28)) as "入会渠道",
    spelled_time(moment(day, draw(i, 29), 8, 22), draw(i, 30)) as "入会时间"
from (
    select *, 1 as n, card(i) as card, joined_on as day from shoppers where has_card
    union all
    select *, 2, card(i + 1000000), second_on from shoppers where second_on is not null
), unnest(copies(draw(i, 31), 0.01))
order by i, n;

-- Shoppers go every few days or weeks; taste makes them people of the store, of the phone, or of both.
create table orders as
select i * 1000 + k as o, shoppers.*,
    joined_on + (k * (90 - 80 * pace) * (0.6 + 0.8 * draw(o, 100)))::integer as bought_on,
    if(taste < 0.4, draw(o, 101) < 0.97, if(taste < 0.65, draw(o, 101) < 0.05, draw(o, 101) < 0.5)) as in_store,
    if(in_store, 'S' || lpad((1 + list_position(['上海', '北京', '杭州', '成都', '广州', '深圳'], city) * 3 - 3
        + whole(pow(draw(o, 107), 2), 3))::varchar, 2, '0'), '') as store,
    (draw(i, 32) < 0.3 and draw(o, 102) < 0.85) or draw(o, 102) < 0.2 as with_coupon
from shoppers, unnest(range(least(60, 1 + tenure // 10))) as times (k)
where draw(i, 33) < 0.9 and bought_on <= if(has_card, left_on, least(left_on, joined_on + 90));

-- What identifies the customer of an order. Who left the card at home says the phone alone, and the till knows it
-- for four months after it was last seen beside the card; sometimes the cashier types any number. The mini program
-- knows the OpenID, the app its device and, of who signed in, the card; one store has a tablet for everybody.
create table identified as
select o,
    in_store and store = 'S01' and draw(o, 120) < 0.2 as on_tablet,
    on_tablet and draw(o, 121) < 0.3 as unasked,
    by_phone and in_store and draw(o, 122) < 0.06 as mistyped,
    case when not has_card or unasked or by_phone then null
        when in_store or online = '外卖' or (online = 'App' and signed_in)
        then card(i + if(second_on <= bought_on and draw(o, 123) < 0.5, 1000000, 0)) end as card,
    case when unasked then null when mistyped then no_phone(draw(o, 124))
        when by_phone or (not in_store and (online = '外卖' or not has_card)) then own_phone end as phone,
    if(not in_store and is_mini, openid, null) as openid,
    case when on_tablet then 'TABLET-S01' when not in_store and online = 'App' then device end as device,
    if(unasked or mistyped, null, i) as person
from (
    select *, wants_phone and own_phone is not null and (not has_card or bought_on - greatest(joined_on, seen_on) <= 120) as by_phone
    from (
        select *,
            if(in_store, not has_card or draw(o, 125) < 0.2, online = '外卖' and draw(o, 125) < 0.5) as wants_phone,
            max(if(in_store or online <> '外卖' or wants_phone, null, bought_on))
                over (partition by i order by bought_on) as seen_on,
            shares_device or draw(o, 126) < 0.6
                or row_number() over (partition by i, in_store order by bought_on, o) = 1 as signed_in
        from orders
    )
);

create table lines as
select o * 10 + n as l, o, i, n, bought_on, in_store, online, store, with_coupon,
    moment(bought_on, draw(o, 103), 8, 21.9) as bought_at,
    p, 1 + whole(pow(draw(l, 200), 3), 5) as quantity,
    price * quantity as list_price,
    money(price * quantity * if(with_coupon, 0.65 + 0.15 * draw(o, 104), if(draw(l, 201) < 0.15, 0.85, 1))) as paid
from orders, unnest(range(1, 2 + whole(draw(o, 105), 4))) as numbers (n)
join products on p = 1 + whole((draw(i, 34) + draw(o * 10 + n, 202)) / 2, 160);

create table raw.orders as
select 'T' || lpad(o::varchar, 10, '0') as "小票号", n as "行号",
    coalesce(noisy_id(card, draw(l, 203)), '') as "会员号",
    coalesce(spelled_phone(phone, draw(o, 109)), '') as "手机号",
    coalesce(openid, '') as "OpenID",
    coalesce(device, '') as "设备号",
    case when draw(l, 204) < 0.002 then '昨天' else spelled_time(bought_at, draw(l, 205)) end as "下单时间",
    if(in_store, choose(['门店', 'POS', 'STORE'], draw(o, 106)), online) as "渠道",
    store as "门店",
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
) join identified using (o), unnest(copies(draw(l, 210), 0.005))
order by is_late(draw(l, 211)), bought_at, l, sign;

-- Coupons are for members; those of the mini program are taken without a card number.
create table coupons as
select i * 1000 + k as c, shoppers.*,
    'K' || lpad(c::varchar, 9, '0') as coupon,
    is_mini and draw(c, 117) < 0.6 as by_openid,
    joined_on + whole(draw(c, 116), greatest(left_on - joined_on, 1)) as day
from shoppers, unnest(range(whole(draw(i, 36) * if(draw(i, 32) < 0.3, 2, 1), 8))) as times (k)
where has_card;
create table raw.coupons as
select coupon as "领券号",
    if(by_openid, '', noisy_id(card(i), draw(c, 110))) as "会员号",
    if(by_openid, openid, '') as "OpenID",
    spelled_time(moment(day, draw(c, 111), 7, 23), draw(c, 112)) as "领取时间",
    choose(['满减', '折扣', '新品试用'], draw(c, 113)) as "券类型",
    if(draw(c, 114) < if(draw(i, 32) < 0.3, 0.7, 0.2), choose(['已核销', 'USED'], draw(c, 115)), choose(['未使用', 'EXPIRED'], draw(c, 115))) as "状态"
from coupons
order by day, c;

-- What no company knows: who each of them truly is; nobody can say it of the rows without a person. No source reads it.
create table raw.true_persons as
select * from (
    select '会员' as "表", card(i) as "编号", i as "真人" from shoppers where has_card
    union all select '会员', card(i + 1000000), i from shoppers where second_on is not null
    union all select '订单', 'T' || lpad(o::varchar, 10, '0'), person from identified
    union all select '领券', coupon, i from coupons
)
order by all;
