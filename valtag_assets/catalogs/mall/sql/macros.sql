-- Random numbers. DuckDB's hash of several arguments combines them by XOR, which makes columns equal to each
-- other; so one BIGINT (salt of seed and kind of entity, entity number, column number) is hashed.
create macro draw(salt, entity, col) as
    (hash(salt + entity::bigint * 1000 + col) >> 11)::double / 9007199254740992.0;
create macro person_draw(entity, col) as draw(getvariable('salt_person'), entity, col);
create macro row_draw(entity, col) as draw(getvariable('salt_row'), entity, col);
create macro order_draw(entity, col) as draw(getvariable('salt_order'), entity, col);
create macro line_draw(entity, col) as draw(getvariable('salt_line'), entity, col);
create macro session_draw(entity, col) as draw(getvariable('salt_session'), entity, col);
create macro event_draw(entity, col) as draw(getvariable('salt_event'), entity, col);
create macro reply_draw(entity, col) as draw(getvariable('salt_reply'), entity, col);
create macro login_draw(entity, col) as draw(getvariable('salt_login'), entity, col);

create macro whole(u, n) as floor(u * n)::bigint;
create macro choose(items, u) as items[floor(u * len(items))::bigint + 1];
create macro normal(u1, u2) as sqrt(-2 * ln(1 - u1)) * cos(2 * pi() * u2);

create macro missing_text(u) as choose(getvariable('missing'), u);
create macro wide(digits) as translate(digits, '0123456789Mm.', '０１２３４５６７８９Ｍｍ．');
create macro noisy_id(id, u) as
    case whole(u, 4) when 0 then ' ' || id || ' ' when 1 then lower(id) || ' '
        when 2 then wide(id) else '　' || id end;

-- Times as the systems write them, from a local timestamp.
create macro plain_time(ts) as strftime(ts, '%Y-%m-%d %H:%M:%S');
create macro short_time(ts) as strftime(ts, '%Y/%-m/%-d %-H:%M');
create macro epoch_millis(ts) as epoch_ms(ts - interval 8 hour);
create macro month_no(ts) as (year(ts) * 12 + month(ts) - 1)::integer;

-- Ids of the digital channels; column 1 is a person's first one, 2 the second.
create macro open_id(i, n) as 'o' || to_hex(hash(getvariable('salt_login') + i::bigint * 1000 + 900 + n));
create macro device_id(i, n) as 'dev-' || to_hex(hash(getvariable('salt_login') + i::bigint * 1000 + 910 + n));
create macro cookie_id(i, n) as 'ck.' || to_hex(hash(getvariable('salt_login') + i::bigint * 1000 + 920 + n));
