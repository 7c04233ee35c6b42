-- A chain of tutoring schools: students and their parents, courses, enrolments, lessons attended, test scores.
create table courses as
select c, 'K' || lpad(c::varchar, 3, '0') as course_no,
    choose(['数学', '英语', '语文', '编程', '美术'], (c - 0.5) / 30) as subject,
    choose(['小学', '初中', '高中'], draw(c, 301)) as stage
from range(1, 31) as numbers (c);
create table raw.courses as
select course_no as "课程编号", subject as "学科", stage as "学段",
    choose(['面授', '线上'], draw(c, 302)) as "授课方式" from courses order by c;

create table students as
select *, date '2010-01-01' + whole(draw(i, 20), 3800) as born, 'E' || lpad(i::varchar, 6, '0') as student_no,
    draw(i, 21) < 0.55 as converted, 0.6 + 0.4 * sqrt(draw(i, 22)) as diligence, if(draw(i, 23) < 0.8, 1, 2) as weekly
from people;
create table raw.students as
select noisy_id(student_no, draw(i, 24)) as "学号", name as "学员姓名",
    spelled_gender(draw(i, 25) < 0.48, draw(i, 26)) as "性别", spelled_date(born, draw(i, 27)) as "出生日期",
    left(name, 1) || choose(['女士', '先生'], draw(i, 28)) as "家长姓名",
    choose(['母亲', '母亲', '妈妈', '父亲', '爸爸', '祖父母', ''], draw(i, 29)) as "家长关系", phone as "家长手机",
    choose(['徐汇', '徐汇校区', '浦东', '浦东校区', '静安', '静安校区', '线上'], draw(i, 30)) as "校区",
    choose(['转介绍', '老带新', '地推', '线上广告', 'ADS', '自然到访'], draw(i, 31)) as "来源",
    spelled_time(moment(joined_on, draw(i, 32), 9, 21), draw(i, 33)) as "建档时间"
from students, unnest(copies(draw(i, 34), 0.01))
order by i;

-- A trial, for most; then packages of lessons, and a new one when the last runs out (续费), as long as they stay.
create table packages as
select i * 100 + k as e, i, k, student_no, left_on, weekly, diligence,
    1 + whole(if(draw(i * 100 + k, 100) < 0.75, draw(i, 35), draw(i * 100 + k, 101)), 30) as c,
    choose([12, 24, 24, 48], draw(i, 36)) as lessons,
    joined_on + (1 + whole(draw(i, 40), 21) + k * (lessons * 7 // weekly))::integer as bought_on
from students, unnest(range(0, 8)) as times (k)
where converted and bought_on <= left_on and (k = 0 or draw(i * 100 + k, 102) < 0.9);
create table raw.enrolments as
select 'B' || lpad(e::varchar, 9, '0') as "报名号", noisy_id(student_no, draw(e, 103)) as "学号",
    spelled_time(moment(day, draw(e, 104), 9, 21), draw(e, 105)) as "报名时间",
    'K' || lpad(c::varchar, 3, '0') as "课程编号", kind as "类型", lessons as "课时数",
    spelled_amount(money(paid), cents) as "实付", unit_of(cents) as "单位",
    if(kind <> '试听' and draw(e, 106) < 0.03, choose(['已退费', 'REFUND'], draw(e, 107)), choose(['有效', 'OK'], draw(e, 107))) as "状态"
from (
    select e, c, student_no, bought_on as day, if(k = 0, choose(['新报', 'NEW'], draw(e, 108)), choose(['续费', 'RENEW'], draw(e, 108))) as kind,
        lessons, lessons * (120 + 60 * draw(c, 303)) * if(lessons = 48, 0.85, 1) as paid, draw(e, 109) < 0.2 as cents
    from packages
    union all
    select i * 100 + 99, 1 + whole(draw(i, 35), 30), student_no, joined_on, choose(['试听', 'TRIAL'], draw(i, 37)), 1, 9.9, false
    from students where draw(i, 38) < 0.9
), unnest(copies(draw(e, 110), 0.005))
order by is_late(draw(e, 111)), day, e;

-- Lessons come weekly while there are any left; the careless miss more of them as time goes by.
create table lessons as
select e * 100 + n as l, e, i, c, n, student_no, diligence,
    bought_on + (1 + n * 7 // weekly)::integer as day,
    draw(l, 200) < diligence - if(draw(i, 39) < 0.25, 0.02 * n, 0) as there
from packages, unnest(range(lessons)) as times (n)
where day <= least(left_on, getvariable('until'));
create table raw.lessons as
select 'L' || lpad(l::varchar, 11, '0') as "课次号", noisy_id(student_no, draw(l, 201)) as "学号",
    if(draw(l, 202) < 0.001, '待定', spelled_time(moment(day, draw(e, 112), 9, 20), draw(l, 203))) as "上课时间",
    'K' || lpad(c::varchar, 3, '0') as "课程编号",
    if(there, if(draw(l, 204) < 0.08, choose(['迟到', 'LATE'], draw(l, 205)), choose(['出勤', '出勤', 'PRESENT'], draw(l, 205))),
        if(draw(l, 204) < 0.6, choose(['请假', 'LEAVE'], draw(l, 205)), choose(['旷课', 'ABSENT'], draw(l, 205)))) as "考勤",
    if(there and draw(l, 206) < diligence, '是', '否') as "作业提交",
    if(draw(l, 207) < 0.7, 60 + 15 * whole(draw(l, 208), 5), 1 + 0.25 * whole(draw(l, 208), 5))::decimal(9, 2) as "时长",
    if(draw(l, 207) < 0.7, '分钟', '小时') as "时长单位"
from lessons, unnest(copies(draw(l, 209), 0.005))
order by is_late(draw(l, 210)), day, l;

-- A test about every six lessons; short papers are marked out of 50.
create table raw.scores as
select 'X' || lpad(l::varchar, 11, '0') as "测评号", noisy_id(student_no, draw(l, 220)) as "学号",
    spelled_time(moment(day, draw(l, 221), 17, 20), draw(l, 222)) as "测评时间", 'K' || lpad(c::varchar, 3, '0') as "课程编号",
    (greatest(20, least(100, 45 + 30 * diligence + n * 0.4 + 25 * (draw(l, 223) - 0.5))) * if(short, 0.5, 1))::integer as "得分",
    if(short, '50', '100') as "满分"
from (select *, draw(l, 224) < 0.3 as short from lessons where n % 6 = 5 and there)
order by day, l;
