-- The 31 tags by hand, as somebody who knows DuckDB well would write them: one pass for all plain aggregates of a
-- fact, two levels where the values of a person count, no count(distinct), no mode().
-- Views: members, orders, events. Variable: as_of.
WITH seen_orders AS (
    SELECT * FROM orders WHERE ordered_at < getvariable('as_of') + 1
), paid AS (
    SELECT * FROM seen_orders WHERE status = 'paid'
), spend AS (
    SELECT member_no,
        sum(amount) FILTER (status = 'paid') AS total_spend,
        sum(amount) FILTER (status = 'paid' AND ordered_at >= getvariable('as_of') - 364) AS total_spend_365d,
        sum(amount) FILTER (status = 'paid' AND ordered_at >= getvariable('as_of') - 29) AS total_spend_30d,
        sum(-amount) FILTER (status = 'refunded') AS refund_amount,
        max(ordered_at) FILTER (status = 'paid') AS last_order_at
    FROM seen_orders GROUP BY member_no
), numbers AS (
    SELECT member_no, max(ordered_at) AS newest FROM paid GROUP BY member_no, order_id
), counts AS (
    SELECT member_no, count(*) AS order_count,
        count(*) FILTER (newest >= getvariable('as_of') - 364) AS order_count_365d,
        count(*) FILTER (newest >= getvariable('as_of') - 29) AS order_count_30d
    FROM numbers GROUP BY member_no
), brands AS (
    SELECT member_no, brand, count(*) AS lines, sum(amount) AS spent FROM paid
    WHERE brand IS NOT NULL GROUP BY member_no, brand
), favourite AS (
    SELECT member_no, count(*) AS brand_count,
        arg_min(brand, {'lines': -lines, 'spent': -spent, 'brand': brand}) AS top_brand
    FROM brands GROUP BY member_no
), categories AS (
    SELECT member_no, category, sum(amount) AS spent FROM paid WHERE category IS NOT NULL GROUP BY member_no, category
), preferred AS (
    SELECT member_no, arg_min(category, {'spent': -spent, 'category': category}) AS category_preference
    FROM categories GROUP BY member_no
), channels AS (
    SELECT member_no, channel, count(*) AS lines, sum(amount) AS spent FROM paid
    WHERE channel IS NOT NULL GROUP BY member_no, channel
), usual AS (
    SELECT member_no, arg_min(channel, {'lines': -lines, 'spent': -spent, 'channel': channel}) AS channel_preference
    FROM channels GROUP BY member_no
), seen_events AS (
    SELECT * FROM events WHERE happened_at < getvariable('as_of') + 1
), acts AS (
    SELECT member_no,
        count(*) FILTER (event_type = 'visit') AS visit_count,
        count(*) FILTER (event_type = 'visit' AND happened_at >= getvariable('as_of') - 29) AS visit_count_30d,
        count(*) FILTER (event_type IN ('page_view', 'click') AND happened_at >= getvariable('as_of') - 29)
            AS page_view_count_30d,
        max(happened_at) AS last_active_at,
        min(happened_at) AS first_active_at,
        arg_max(category, {'at': happened_at, 'event': event_id, 'category': category})
            FILTER (event_type = 'page_view' AND category IS NOT NULL) AS last_viewed_category,
        sum((dwell_seconds * 1000)::BIGINT) AS dwell,
        count(dwell_seconds) AS dwelt
    FROM seen_events GROUP BY member_no
), days AS (
    SELECT member_no, happened_at::DATE AS day FROM seen_events
    WHERE happened_at >= getvariable('as_of') - 29 GROUP BY ALL
), active AS (
    SELECT member_no, count(*) AS active_days_30d FROM days GROUP BY member_no
), viewed AS (
    SELECT member_no, category, count(*) AS n FROM seen_events
    WHERE category IS NOT NULL AND happened_at >= getvariable('as_of') - 89 GROUP BY member_no, category
), interests AS (
    SELECT member_no, list_transform(list_sort(list({'n': -n, 'category': category}))[:3], lambda x: x.category)
        AS interest_categories_90d
    FROM viewed GROUP BY member_no
), joined AS (
    SELECT * FROM members
    LEFT JOIN spend USING (member_no) LEFT JOIN counts USING (member_no) LEFT JOIN favourite USING (member_no)
    LEFT JOIN preferred USING (member_no) LEFT JOIN usual USING (member_no) LEFT JOIN acts USING (member_no)
    LEFT JOIN active USING (member_no) LEFT JOIN interests USING (member_no)
), filled AS (
    SELECT * REPLACE (
        coalesce(total_spend, 0)::DECIMAL(18, 2) AS total_spend,
        coalesce(total_spend_365d, 0)::DECIMAL(18, 2) AS total_spend_365d,
        coalesce(total_spend_30d, 0)::DECIMAL(18, 2) AS total_spend_30d,
        coalesce(refund_amount, 0)::DECIMAL(18, 2) AS refund_amount,
        coalesce(order_count, 0) AS order_count,
        coalesce(order_count_365d, 0) AS order_count_365d,
        coalesce(order_count_30d, 0) AS order_count_30d,
        coalesce(brand_count, 0) AS brand_count,
        coalesce(visit_count, 0) AS visit_count,
        coalesce(visit_count_30d, 0) AS visit_count_30d,
        coalesce(page_view_count_30d, 0) AS page_view_count_30d,
        coalesce(active_days_30d, 0) AS active_days_30d
    ), (total_spend * 100)::BIGINT AS cents, getvariable('as_of') - last_order_at::DATE AS since
    FROM joined
)
SELECT member_no AS person_id, gender,
    (year(getvariable('as_of')) - year(birth_date)
        - (month(getvariable('as_of')) * 100 + day(getvariable('as_of')) < month(birth_date) * 100 + day(birth_date))
            ::BIGINT) AS age,
    city, channel AS member_channel, registered_at, level AS member_level,
    total_spend, total_spend_365d, total_spend_30d, refund_amount, order_count, order_count_365d, order_count_30d,
    last_order_at,
    -- A half of the last unit goes away from zero, exactly: whole numbers only.
    (((2 * cents + order_count) // nullif(2 * order_count, 0)) / 100)::DECIMAL(18, 2) AS avg_order_value,
    top_brand,
    CASE WHEN total_spend >= 3000 THEN 'high' WHEN total_spend >= 1000 THEN 'middle'
        WHEN total_spend >= 0.01 THEN 'low' ELSE 'none' END AS spend_tier,
    category_preference, brand_count, channel_preference, interest_categories_90d,
    visit_count, visit_count_30d, page_view_count_30d, active_days_30d, last_active_at, last_viewed_category,
    (((2 * dwell + dwelt) // nullif(2 * dwelt, 0)) / 1000)::DECIMAL(12, 3) AS avg_dwell_seconds,
    since AS days_since_last_order,
    getvariable('as_of') - first_active_at::DATE AS days_since_first_event,
    CASE WHEN order_count = 0 THEN 'prospect' WHEN since > 90 AND total_spend > 3000 THEN 'dormant_high_value'
        WHEN since > 180 THEN 'dormant' WHEN since > 90 THEN 'slipping'
        WHEN order_count = 1 AND since <= 30 THEN 'new' ELSE 'active' END AS lifecycle_stage
FROM filled ORDER BY person_id
