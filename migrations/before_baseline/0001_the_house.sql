-- One text for SQLite and PostgreSQL: text and bigint only. Moments are milliseconds since 1970, UTC. A yes/no that has a
-- moment is a nullable moment. Ids are made by the program; a digest's id is its slot's number (2026-W47: 202647).

create table installation (
    id bigint not null primary key check (id = 1),
    created_at bigint not null,
    -- When the sample catalogue was brought.
    sample_at bigint
);

-- Secrets made on first start, for a database that several machines share.
create table kept_secrets (
    name text not null primary key,
    value text not null
);

create table tools (
    slug text not null primary key,
    name text not null,
    category text not null,
    tagline text not null,
    description text not null,
    url text,
    pricing text not null,
    entry_price text not null,
    published_at bigint not null,
    sample bigint not null check (sample in (0, 1))
);

create table reviews (
    tool text not null references tools (slug) on delete cascade,
    position bigint not null,
    reviewer text not null,
    score bigint not null check (score between 0 and 100),
    verdict text not null check (verdict in ('ship', 'skip')),
    take text not null,
    primary key (tool, reviewer)
);

create table comparisons (
    slug text not null primary key,
    left_tool text not null references tools (slug),
    right_tool text not null references tools (slug),
    published_at bigint not null,
    sample bigint not null check (sample in (0, 1)),
    check (left_tool <> right_tool)
);
create index comparisons_by_date on comparisons (published_at);
create index comparisons_by_left on comparisons (left_tool);
create index comparisons_by_right on comparisons (right_tool);

create table subscribers (
    id bigint not null primary key,
    email text not null,
    email_key text not null unique,
    name text,
    state text not null check (state in ('pending', 'active', 'unsubscribed', 'bounced', 'complained')),
    state_at bigint not null,
    created_at bigint not null,
    -- An open sign-up that waits for its confirmation; somebody who left and comes back has one too.
    requested_at bigint,
    confirmation_at bigint
);
create index subscribers_waiting on subscribers (requested_at) where requested_at is not null;

create table consents (
    subscriber_id bigint not null references subscribers (id) on delete cascade,
    requested_at bigint not null,
    shown text not null,
    source text not null,
    network text,
    confirmed_at bigint,
    primary key (subscriber_id, requested_at)
);

create table history (
    subscriber_id bigint not null references subscribers (id) on delete cascade,
    at bigint not null,
    what text not null,
    primary key (subscriber_id, at, what)
);

-- Addresses that never get mail again. Only a keyed hash: it is all that may be kept of somebody who was erased.
create table suppressions (
    address_hash text not null primary key,
    key_name text not null,
    reason text not null check (reason in ('erased', 'bounced', 'complained')),
    created_at bigint not null,
    note text
);

create table votes (
    tool text not null references tools (slug) on delete cascade,
    subscriber_id bigint not null references subscribers (id) on delete cascade,
    verdict text not null check (verdict in ('ship', 'skip')),
    voted_at bigint not null,
    primary key (tool, subscriber_id)
);

create table digests (
    id bigint not null primary key,
    state text not null check (state in ('draft', 'approved', 'sending', 'paused', 'sent', 'skipped', 'cancelled')),
    created_at bigint not null,
    send_at bigint not null,
    approved_at bigint,
    published_at bigint,
    finished_at bigint,
    recipients bigint not null default 0,
    -- Frozen when it is published: what it says (JSON) and the mail as rendered, with a hole for each reader's token.
    content text,
    subject text,
    html text,
    plain text
);

create table picks (
    digest_id bigint not null references digests (id) on delete cascade,
    position bigint not null,
    comparison text not null,
    score_thousandths bigint not null,
    reasons text not null,
    primary key (digest_id, position)
);
create index picks_by_comparison on picks (comparison);

-- Whoever sends holds a row here and renews it; past expires_at, or when its process is known to be gone, others take its
-- work over.
create table senders (
    id bigint not null primary key,
    process text not null,
    started_at bigint not null,
    expires_at bigint not null,
    trouble text
);

-- The ledger: one row per mailing (a digest, or one confirmation mail) and subscriber. A subscriber's row may be erased,
-- a delivery never is: so no reference.
create table deliveries (
    mailing_id bigint not null,
    subscriber_id bigint not null,
    kind text not null check (kind in ('confirmation', 'digest')),
    state text not null check (state in ('queued', 'sending', 'sent', 'failed', 'uncertain')),
    queued_at bigint not null,
    due_at bigint not null,
    attempts bigint not null default 0,
    sender_id bigint,
    started_at bigint,
    -- When it was first tried.
    first_at bigint,
    -- When it last became uncertain; stays, so that an extra copy can be named.
    uncertain_at bigint,
    -- Null as long as there is something left to do.
    finished_at bigint,
    reply text,
    primary key (mailing_id, subscriber_id)
);
create index deliveries_open on deliveries (mailing_id, due_at) where finished_at is null;
create index deliveries_confirmations on deliveries (due_at) where kind = 'confirmation' and finished_at is null;
create index deliveries_held on deliveries (sender_id) where sender_id is not null;
create index deliveries_doubted on deliveries (mailing_id) where uncertain_at is not null;
