-- Mails that came back, each once: by its fingerprint the same mail is known when it comes again, by whatever way. The line
-- that it was read from is kept only where it is about a subscriber, and goes with them.
create table inbound (
    fingerprint text not null primary key,
    received_at bigint not null,
    door text not null,
    meaning text not null check (meaning in ('hard', 'soft', 'complaint', 'auto', 'unsubscribe', 'subscribe', 'none')),
    reason text,
    status text,
    line text,
    subscriber_id bigint references subscribers (id) on delete cascade,
    mailing_id bigint
);
create index inbound_by_subscriber on inbound (subscriber_id, mailing_id) where subscriber_id is not null;

-- Suppressions that an operator took back, with the reason given.
create table lifted (
    address_hash text not null,
    lifted_at bigint not null,
    reason text not null,
    suppressed_at bigint not null,
    note text not null,
    primary key (address_hash, lifted_at)
);
