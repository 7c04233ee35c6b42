-- Who was sent which campaign and what they did. `fate`: 1 malformed time (refused), 11 no member (filtered).
create table replies as
with touched as (
    select person, human, member_no, joined, taste, unnest(range(4)) as n from activity
), keyed as (
    select *, person * 4::bigint + n as k from touched
), aimed as (
    -- four strata of campaigns, so that nobody is sent the same one twice
    select *, (n + 4 * whole(reply_draw(k, 1), (getvariable('campaigns') - n + 3) // 4))::integer as campaign
    from keyed
    where reply_draw(k, 2) < 0.6 and n < getvariable('campaigns')
), sent as (
    select *, getvariable('campaign_start')[campaign + 1] as day_no,
        if(getvariable('campaign_type')[campaign + 1] = taste, 0.55, 0.2) as liking
    from aimed
    where getvariable('campaign_start')[campaign + 1] > joined
), stepped as (
    select *, unnest(range(case when reply_draw(k, 3) >= liking then 1 when reply_draw(k, 4) >= 0.5 then 2
        when reply_draw(k, 5) >= liking then 3 else 4 end)) as step
    from sent
)
select k * 4 + step as k, human, member_no, campaign, step,
    (getvariable('start') + to_days(day_no::integer) + to_seconds(36000 + whole(reply_draw(k, 6), 7200)
        + step * 600 + if(step = 0, 0, whole(reply_draw(k * 4 + step, 7), 500))
        + if(step = 3, whole(reply_draw(k, 8), 5) * 86400, 0)))::timestamp as replied_at,
    whole(reply_draw(k, 9), 3) as touch,
    case when reply_draw(k * 4 + step, 10) < 0.002 then 1 when reply_draw(k * 4 + step, 10) < 0.005 then 11
        else 0 end as fate,
    (reply_draw(k * 4 + step, 11) < 0.005)::integer as repeats
from stepped
where getvariable('start') + to_days(day_no::integer + if(step = 3, 5, 0)) <= getvariable('until')
order by k;

create view replies_raw as
select replied_at, k, repeats, getvariable('campaign_ids')[campaign + 1] as campaign_id,
    case when fate = 11 then missing_text(reply_draw(k, 20))
        when reply_draw(k, 21) < 0.01 then noisy_id(member_no, reply_draw(k, 22)) else member_no end as member_no,
    getvariable('touches')[touch + 1] as touch,
    choose(getvariable('response_spellings')[step + 1], reply_draw(k, 23)) as action,
    if(fate = 1, choose(getvariable('bad_times'), reply_draw(k, 24)), plain_time(replied_at)) as action_time
from replies;

create view replies_clean as
select getvariable('campaign_ids')[campaign + 1] as campaign_id, member_no,
    getvariable('touches')[touch + 1] as touch, getvariable('response_names')[step + 1] as action,
    replied_at as action_time,
    human as person
from replies
where fate = 0
order by campaign_id, member_no, action;
