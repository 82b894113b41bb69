-- What DNS says of the sender, as the schedule last saw it: since when it is so, and when it was last asked.
create table dns_checks (
    position bigint not null primary key,
    what text not null,
    level text not null,
    words text not null,
    since_at bigint not null,
    checked_at bigint not null
);

-- Somebody asks that a relay whose breaker is open be tried now: each process that sends looks for it every few seconds.
create table relay_trials (
    relay text not null primary key,
    asked_at bigint not null
);

-- State of each relay in a process that sends (JSON): for the desk, which may run in another process.
alter table delivery_processes add column relays text not null default '[]';

-- Refusals of one send by recipient domain, and their people.
create index refusals_by_send on refusals (mailing_id, domain, subscriber_id, pattern);

-- The suppression list, the newest first.
create index suppressions_by_date on suppressions (created_at, address_hash);
