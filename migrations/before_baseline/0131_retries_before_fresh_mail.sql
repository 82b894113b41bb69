-- Retries go before mail that was never tried, and a delivery's age counts only the waits between its tries.

-- Sum of the waits that refusals led to: what mail.retry.max_age bounds. Null: none yet. Deliveries that wait for a retry while this
-- migration runs begin at none, and so get up to one more mail.retry.max_age.
alter table deliveries add column waited_ms bigint;

-- When retries in a free chunk of a digest are due; null: it has none. due_at is the moment at which anything in it is due.
alter table chunks add column retry_at bigint;
update chunks set retry_at = (select min(d.due_at) from deliveries d where d.mailing_id = chunks.mailing_id
    and d.subscriber_id between chunks.first_id and chunks.last_id and d.finished_at is null and d.state <> 'sending' and d.attempts > 0)
where kind = 'digest' and sender_id is null;
create index chunks_retries on chunks (mailing_id, retry_at, last_id) where sender_id is null and retry_at is not null;
