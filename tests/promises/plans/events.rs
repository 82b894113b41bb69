//! Rows of events and webhooks, as many as make a scan dear.

pub const FILL: &str = "
    insert into webhook_endpoints (id, name, url, secret_seed, kinds, ordered, personal, created_at)
      with recursive n (i) as (select 1 union all select i + 1 from n where i < 5)
      select i, 'n' || i, 'u', 's', '[]', 0, 0, 0 from n;
    insert into webhook_patterns (pattern, endpoint_id) select '*', id from webhook_endpoints;
    insert into events (id, seq, kind, at, data, subscriber_id)
      select 'evt_' || id, case when id % 500 > 0 then id end, 'kind' || (id % 40), id, '{}', id from subscribers where id between 1000000 and 1020000;
    insert into webhook_deliveries (event_id, endpoint_id, seq, state, due_at, finished_at)
      select 'evt_' || id, 1 + id % 5, id, case when id % 500 > 0 then 'sent' else 'queued' end, id, case when id % 500 > 0 then id end
      from subscribers where id between 1000000 and 1020000;
    insert into webhook_attempts (id, event_id, endpoint_id, at, millis)
      select id, event_id, endpoint_id, 0, 0 from (select seq as id, event_id, endpoint_id from webhook_deliveries) d;
    insert into webhook_replays (endpoint_id, event_id, seq, replayed_by, asked_at)
      select endpoint_id, event_id, seq, 'x', 0 from webhook_deliveries where seq % 5 = 1;
";
