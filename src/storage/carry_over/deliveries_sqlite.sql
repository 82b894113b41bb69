-- SQLite cannot drop a check from a table: the rows are copied.
insert into deliveries (mailing_id, subscriber_id, kind, state, queued_at, due_at, attempts, sender_id, started_at, first_at, uncertain_at,
        finished_at, relay, reply, notice, variant, waited_ms)
    select mailing_id, subscriber_id, kind, state, queued_at, due_at, attempts, sender_id, started_at, first_at, uncertain_at,
        finished_at, relay, reply, notice, variant, waited_ms
    from old_deliveries;
drop table old_deliveries;
