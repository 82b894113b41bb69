-- The mail or event itself behind a row of inbound_mails that is about a subscriber, as text and cut to 256 KiB: what somebody reads who
-- asks why a subscription ended. Kept for a shorter time than the row (inbound.keep_raw), and deleted with the subscriber.
create table inbound_reports (
    fingerprint text not null primary key,
    subscriber_id bigint not null references subscribers (id) on delete cascade,
    received_at bigint not null,
    raw text not null,
    -- 1: it was longer.
    is_cut bigint not null
);
create index inbound_reports_by_subscriber on inbound_reports (subscriber_id, received_at);
create index inbound_reports_by_date on inbound_reports (received_at);
