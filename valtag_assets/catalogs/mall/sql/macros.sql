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

create macro spelled_phone(digits, form) as
    case when form < 70 then digits
        when form < 78 then '+86 ' || digits
        when form < 86 then digits[1:3] || ' ' || digits[4:7] || ' ' || digits[8:]
        when form < 92 then digits[1:3] || '-' || digits[4:7] || '-' || digits[8:]
        when form < 96 then wide(digits) else '86' || digits end;

-- Who is who. Members are numbered by their cards: now and then a card is the second one of the member before it
-- (own_card says whose). A number that nobody uses any more is given to somebody else, the next member.
create macro joined_of(i) as
    whole(sqrt(person_draw(i, 2)) * getvariable('history'), 1) - getvariable('lead');
create macro is_second_card(i) as i % 2 = 1 and i < getvariable('persons') and person_draw(i, 40) < 0.03;
create macro own_card(i) as if(is_second_card(i), i - 1, i);
create macro has_two_cards(i) as is_second_card(i) or (i % 2 = 0 and is_second_card(i + 1));
create macro is_passed_on(i) as i % 10 = 4 and i + 1 < getvariable('persons') and not is_second_card(i + 1)
    and joined_of(i) < getvariable('days') - 520 and joined_of(i + 1) >= getvariable('days') - 200;

-- Ids of the digital channels; column 1 is a person's first one, 2 the second.
create macro open_id(i, n) as 'o' || to_hex(hash(getvariable('salt_login') + i::bigint * 1000 + 900 + n));
create macro device_id(i, n) as 'dev-' || to_hex(hash(getvariable('salt_login') + i::bigint * 1000 + 910 + n));
create macro cookie_id(i, n) as 'ck.' || to_hex(hash(getvariable('salt_login') + i::bigint * 1000 + 920 + n));
