-- Behavior events. `fate`: 1 no time (refused), 12 heartbeat (filtered). Before they sign up all are anonymous.
create table events as
with sessions as (
    select a.*, person * 4096::bigint + unnest(range(sessions)) as s
    from activity a
), timed as (
    select *,
        getvariable('season')[visits_from + whole(session_draw(s, 1), season_to - visits_from) + 1] as day_no,
        if(session_draw(s, 2) < 0.75, screen, choose(getvariable('digital'), session_draw(s, 3))) as channel,
        least(choose(getvariable('hours'), session_draw(s, 4)) * 3600000::bigint
            + whole(session_draw(s, 5), 3600000), 85400000) as moment,
        1 + least(11, whole(-ln(1 - session_draw(s, 6)) * 2.7, 1)) as steps,
        if(session_draw(s, 7) < 0.6, taste, whole(session_draw(s, 8), 5)) as lure,
        session_draw(s, 9) < 0.08 or day_no < joined as is_anonymous
    from sessions
), stepped as (
    select *, unnest(range(steps)) as step,
        case when session_draw(s, 10) < 0.25 then getvariable('campaign_of')[day_no * 5 + lure + 1] end as campaign
    from timed
), keyed as (
    select *, s * 16 + step as k from stepped
)
select k, s, human, member_no, is_anonymous,
    (getvariable('start') + to_days(day_no::integer)
        + to_milliseconds(moment + step * 60000 + whole(event_draw(k, 1), 50000)))::timestamp as happened_at,
    channel::tinyint as channel,
    if(step = 0, 0, choose(getvariable('event_types'), event_draw(k, 2)))::tinyint as event_type,
    case when step > 0 then if(event_draw(k, 3) < 0.55, category,
        choose(getvariable('categories'), event_draw(k, 4))) end::tinyint as category,
    case when step > 0 then if(event_draw(k, 5) < 0.5, brand,
        choose(getvariable('brands'), event_draw(k, 6))) end::tinyint as brand,
    campaign::smallint as campaign,
    (1000 + whole(-ln(1 - event_draw(k, 7)) * 40000, 1))::integer as dwell_ms,
    case when event_draw(k, 8) < 0.002 then 1 when event_draw(k, 8) < 0.003 then 2 else 0 end::tinyint as bad_dwell,
    case when event_draw(k, 9) < 0.005 then 12
        when event_draw(k, 9) < 0.006 then 1 else 0 end::tinyint as fate,
    (event_draw(k, 10) < 0.002)::tinyint as repeats,
    (getvariable('start') + to_days(day_no::integer) < getvariable('legacy_until'))::boolean as is_legacy,
    month_no(getvariable('start') + to_days(day_no::integer)) as month_no
from keyed
order by happened_at, k;

create macro is_in_seconds(k) as event_draw(k, 20) < 0.01;
create macro is_no_brand(k) as event_draw(k, 21) < 0.02;

create macro visitor_of(human, channel) as
    case channel when 1 then open_id(human, 1) when 2 then device_id(human, 1) else cookie_id(human, 1) end;

create view events_raw as
select month_no, is_legacy, happened_at, k, repeats,
    printf('E%014d', k) as event_id,
    case when is_anonymous then if(event_draw(k, 22) < 0.7, null, missing_text(event_draw(k, 23)))
        when event_draw(k, 24) < 0.01 then noisy_id(member_no, event_draw(k, 25)) else member_no end as member_no,
    visitor_of(human, channel) as visitor_id,
    case when fate = 1 then 0 when is_in_seconds(k) then epoch_millis(happened_at) // 1000
        else epoch_millis(happened_at) end as event_time,
    if(fate = 12, getvariable('heartbeat'),
        choose(getvariable('event_spellings')[event_type + 1], event_draw(k, 26))) as event_type,
    case when channel = 2 then getvariable('category_codes')[category + 1]
        else getvariable('category_names')[category + 1] end as page_category,
    case when is_no_brand(k) and brand is not null then missing_text(event_draw(k, 27))
        else getvariable('brand_names')[brand + 1] end as brand,
    getvariable('channel_spellings')[channel * 3 + whole(event_draw(k, 28), 3) + 1] as channel,
    'S' || to_hex(s) as session_id,
    case when bad_dwell = 1 then -1 - dwell_ms
        when bad_dwell = 2 then (100000 + dwell_ms)::bigint * if(channel = 3, 1, 1000)
        when channel = 3 then dwell_ms // 1000 else dwell_ms end as dwell,
    getvariable('campaign_ids')[campaign + 1] as campaign_id,
    'sdk/' || (1 + whole(event_draw(k, 29), 9)) as client
from events;

create view events_clean as
select printf('E%014d', k) as event_id,
    if(is_anonymous, null, member_no) as member_no, visitor_of(human, channel) as visitor_id,
    if(is_in_seconds(k), date_trunc('second', happened_at), happened_at) as event_time,
    getvariable('event_names')[event_type + 1] as event_type,
    getvariable('category_names')[category + 1] as category,
    case when not is_no_brand(k) then getvariable('brand_names')[brand + 1] end as brand,
    getvariable('channel_codes')[channel + 1] as channel,
    'S' || to_hex(s) as session_id,
    case when bad_dwell = 0 then if(channel = 3, dwell_ms // 1000, dwell_ms / 1000.0)::decimal(12, 3) end
        as dwell_seconds,
    getvariable('campaign_ids')[campaign + 1] as campaign_id,
    if(is_legacy, 'legacy', 'parquet') as origin,
    human as person
from events
where fate = 0;
