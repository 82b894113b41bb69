-- SQLite cannot drop a check from a table: the rows are copied.
insert into deliveries (mailing_id, subscriber_id, kind, state, queued_at, due_at, attempts, sender_id, started_at, first_at, uncertain_at,
        finished_at, relay, reply, skip_reason, variant, waited_ms)
    select d.mailing_id, d.subscriber_id,
        case when d.kind = 'digest' then 'digest' when d.notice = 'welcome' then 'welcome' when d.notice = 'already' then 'already_subscribed'
            else coalesce(k.kind, 'confirmation') end,
        case when d.state = 'failed' and d.attempts = 0 then 'skipped' else d.state end,
        d.queued_at, d.due_at, d.attempts, d.sender_id, d.started_at, d.first_at, d.uncertain_at, d.finished_at, d.relay,
        case when d.state = 'failed' and d.attempts = 0 and s.reason is not null then null else d.reply end,
        case when d.state = 'failed' and d.attempts = 0 then coalesce(s.reason, 'note') end,
        d.variant, d.waited_ms
    from old_deliveries d left join old_notices n on n.mailing_id = d.mailing_id left join old_kinds k on k.what = n.what
        left join old_skips s on s.words = d.reply;
drop table old_deliveries;
