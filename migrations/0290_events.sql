-- The feed of events: what happened, for other programs. A row is written in the transaction of its change; `seq` is null there and given
-- afterwards, in the order of (at, id), by the one who holds the row of event_head: a number taken in the change's own transaction would
-- collide or commit out of order. `data`: a JSON object of ids, codes and counts. `subscriber_id`: the reader whom it is about; an erasure
-- takes the row along. `email`: their address, only where an endpoint takes personal events. `endpoint_id`: a test, for that endpoint alone.
create table events (
    id text not null primary key,
    seq bigint unique,
    kind text not null,
    at bigint not null,
    data text not null,
    subscriber_id bigint references subscribers (id) on delete cascade,
    email text,
    endpoint_id bigint
);
create index events_new on events (at, id) where seq is null;
create index events_of_kind on events (kind, seq);
create index events_of_subscriber on events (subscriber_id) where subscriber_id is not null;
create index events_to_forget on events (at);

-- The last number given, in one row. `keep_all`: 1 where events.keep_all is set, so that every change writes its event.
create table event_head (
    id bigint not null primary key,
    seq bigint not null,
    keep_all bigint not null
);
insert into event_head (id, seq, keep_all) values (1, 0, 0);

-- Addresses that events are sent to, as Standard Webhooks has it. The secrets are drawn from the seeds and site.secret, so that the
-- database alone signs nothing; `previous_seed` signs too until `previous_until`, a day after a rotation. `key_seed`: of the ed25519 key, if
-- the endpoint wants its signatures. `held_by`, `held_until`: the process that sends to it just now, so that two never do at once.
-- `not_before`: the endpoint asked to be left alone until then.
create table webhook_endpoints (
    id bigint not null primary key,
    name text not null,
    url text not null,
    secret_seed text not null,
    previous_seed text,
    previous_until bigint,
    key_seed text,
    previous_key_seed text,
    kinds text not null,
    ordered bigint not null,
    personal bigint not null,
    created_at bigint not null,
    disabled_at bigint,
    disabled_why text,
    failing_since bigint,
    not_before bigint,
    held_by text,
    held_until bigint
);

-- Kinds of events that an endpoint takes: a kind, an area like digest.*, or *.
create table webhook_patterns (
    pattern text not null,
    endpoint_id bigint not null references webhook_endpoints (id) on delete cascade,
    primary key (pattern, endpoint_id)
);
create index webhook_patterns_of_endpoint on webhook_patterns (endpoint_id);

-- Events on their way to endpoints.
create table webhook_deliveries (
    event_id text not null references events (id) on delete cascade,
    endpoint_id bigint not null references webhook_endpoints (id) on delete cascade,
    seq bigint not null,
    state text not null,
    attempts bigint not null default 0,
    due_at bigint not null,
    finished_at bigint,
    primary key (event_id, endpoint_id)
);
create index webhook_deliveries_by_seq on webhook_deliveries (endpoint_id, seq);
create index webhook_deliveries_by_state on webhook_deliveries (endpoint_id, state, seq);
create index webhook_deliveries_due on webhook_deliveries (endpoint_id, due_at) where finished_at is null;
create index webhook_deliveries_in_order on webhook_deliveries (endpoint_id, seq) where finished_at is null;

-- Requests that were made, each with the answer or the reason why there was none. `answer`: its first KiB.
create table webhook_attempts (
    id bigint not null primary key,
    event_id text not null,
    endpoint_id bigint not null,
    at bigint not null,
    millis bigint not null,
    status bigint,
    error text,
    answer text,
    replayed_by text,
    foreign key (event_id, endpoint_id) references webhook_deliveries (event_id, endpoint_id) on delete cascade
);
create index webhook_attempts_of on webhook_attempts (event_id, endpoint_id, id);

-- Events that somebody asked to be sent to an endpoint once more: one attempt each, with no effect on what the endpoint counts as.
create table webhook_replays (
    endpoint_id bigint not null,
    event_id text not null,
    seq bigint not null,
    replayed_by text not null,
    asked_at bigint not null,
    primary key (endpoint_id, seq),
    foreign key (event_id, endpoint_id) references webhook_deliveries (event_id, endpoint_id) on delete cascade
);
create index webhook_replays_of on webhook_replays (event_id, endpoint_id);

-- Tenths of a digest's deliveries that are final and were told as digest.progress.
alter table digests add column tenths_told bigint not null default 0;
