-- A medical aesthetics clinic: clients, projects, consultations, courses bought, treatments, follow-up calls.
create table projects as
select p, 'J' || lpad(p::varchar, 2, '0') as project_no,
    choose(['光电', '光电', '注射', '注射', '皮肤管理', '手术'], (p - 0.5) / 24) as family,
    case family when '光电' then choose([3, 5], draw(p, 301)) when '皮肤管理' then choose([6, 10], draw(p, 301)) when '注射' then choose([1, 3], draw(p, 301)) else 1 end as sessions,
    case family when '光电' then 30 when '皮肤管理' then 14 when '注射' then 120 else 365 end as every_days,
    (case family when '光电' then 1800 when '皮肤管理' then 480 when '注射' then 2600 else 16000 end * (0.6 + 0.9 * draw(p, 302)))::integer as price
from range(1, 25) as numbers (p);
create table raw.projects as
select project_no as "项目编号", family || '·' || choose(['紧致', '焕肤', '塑形', '补水', '祛斑'], draw(p, 303)) as "项目名称",
    family as "项目大类", sessions as "疗程次数", every_days as "间隔天数", money(price) as "单次价"
from projects order by p;

create table clients as
select *, 'M' || lpad(i::varchar, 6, '0') as client_no, 'A' || lpad((1 + whole(draw(i, 20), 12))::varchar, 2, '0') as consultant,
    whole(draw(i, 21) * 24, 24) as liking, draw(i, 22) < 0.7 as buyer
from people;
create table raw.clients as
select noisy_id(client_no, draw(i, 23)) as "客户编号", name as "姓名", phone as "手机号",
    spelled_gender(draw(i, 24) < 0.9, draw(i, 25)) as "性别",
    if(draw(i, 26) < 0.05, missing_text(draw(i, 27)), spelled_date(date '1965-01-01' + whole(draw(i, 28), 14000), draw(i, 29))) as "出生日期",
    choose(['转介绍', '老带新', '新氧', 'SOYOUNG', '美团', '小红书', '自然到院'], draw(i, 30)) as "来源",
    consultant as "咨询师",
    if(draw(i, 31) < 0.85, choose(['无过敏', '无过敏', '无过敏', '无过敏', '利多卡因', '麻药过敏', '酒精', '青霉素'], draw(i, 32)), '未知') as "过敏史",
    spelled_time(moment(joined_on, draw(i, 33), 9, 20), draw(i, 34)) as "建档时间"
from clients, unnest(copies(draw(i, 35), 0.01))
order by i;

-- Visits: every one begins with a consultation; some end with a course that is bought.
create table consultations as
select i * 100 + k as v, *,
    joined_on + (k * (40 + 120 * (1 - pace)) * (0.5 + draw(i * 100 + k, 100)))::integer as day,
    1 + (liking + whole(pow(draw(i * 100 + k, 101), 2), 8)) % 24 as p,
    buyer and draw(i * 100 + k, 102) < 0.3 + 0.5 * pace as closed
from clients, unnest(range(0, 14)) as times (k)
where day <= left_on;
create table bought as
select v, i, client_no, consultant, day, p, project_no, family, sessions, every_days, left_on,
    money(price * sessions * if(sessions > 1, 0.75, 1) * (0.85 + 0.15 * draw(v, 103))) as paid
from consultations join projects using (p) where closed;
create table raw.consultations as
select 'Z' || lpad(v::varchar, 9, '0') as "咨询号", noisy_id(client_no, draw(v, 104)) as "客户编号",
    spelled_time(moment(day, draw(v, 105), 9, 20), draw(v, 106)) as "咨询时间",
    if(draw(v, 107) < 0.9, consultant, 'A' || lpad((1 + whole(draw(v, 108), 12))::varchar, 2, '0')) as "咨询师", project_no as "意向项目",
    spelled_amount(money(price * sessions), draw(v, 109) < 0.2) as "报价", unit_of(draw(v, 109) < 0.2) as "单位",
    if(closed, choose(['成交', 'DEAL'], draw(v, 110)), choose(['未成交', '未成交', 'LOST'], draw(v, 110))) as "结果"
from consultations join projects using (p), unnest(copies(draw(v, 111), 0.005))
order by is_late(draw(v, 112)), day, v;
create table raw.purchases as
select 'G' || lpad(v::varchar, 9, '0') as "开单号", noisy_id(client_no, draw(v, 113)) as "客户编号",
    if(draw(v, 114) < 0.002, '下周', spelled_time(moment(day, draw(v, 115), 10, 21), draw(v, 116))) as "开单时间",
    project_no as "项目编号", sessions as "次数", spelled_amount(paid, draw(v, 117) < 0.2) as "实收", unit_of(draw(v, 117) < 0.2) as "单位",
    if(draw(v, 118) < 0.03, choose(['已退款', 'REFUND'], draw(v, 119)), choose(['正常', 'OK'], draw(v, 119))) as "状态"
from bought, unnest(copies(draw(v, 120), 0.005))
order by is_late(draw(v, 121)), day, v;

create table treatments as
select v * 20 + n as t, *, day + (1 + n * every_days * (0.9 + 0.4 * draw(v * 20 + n, 200)))::integer as done_on
from bought, unnest(range(sessions)) as times (n)
where done_on <= least(left_on, getvariable('until')) and draw(v * 20 + n, 201) < 0.92;
create table raw.treatments as
select 'T' || lpad(t::varchar, 10, '0') as "治疗号", noisy_id(client_no, draw(t, 202)) as "客户编号",
    spelled_time(moment(done_on, draw(t, 203), 9, 19), draw(t, 204)) as "治疗时间", project_no as "项目编号",
    'D' || (1 + whole(draw(i, 36) * 0.7 + draw(t, 205) * 0.3, 6)) as "医生",
    if(draw(t, 206) < 0.5, (20 + 70 * draw(t, 207))::integer, (20 + 70 * draw(t, 207))::integer * 60) as "时长", if(draw(t, 206) < 0.5, '分', '秒') as "时长单位"
from treatments, unnest(copies(draw(t, 208), 0.005))
order by is_late(draw(t, 209)), done_on, t;

-- A call within a week of the treatment, where somebody made it.
create table raw.follow_ups as
select 'H' || lpad(t::varchar, 10, '0') as "回访号", noisy_id(client_no, draw(t, 220)) as "客户编号",
    spelled_time(moment(called_on, draw(t, 221), 9, 20), draw(t, 222)) as "回访时间", project_no as "项目编号",
    if(draw(t, 223) < 0.05, missing_text(draw(t, 224)), (1 + whole(sqrt(draw(t, 225)), 5))::varchar) as "满意度",
    if(draw(t, 226) < 0.06, choose(['红肿', '淤青', '疼痛'], draw(t, 227)), choose(['无', '无异常', '正常'], draw(t, 227))) as "不良反应"
from (select *, done_on + 1 + whole(draw(t, 228), 7) as called_on from treatments where draw(t, 229) < 0.75)
where called_on <= getvariable('until')
order by called_on, t;
