-- The schema of verdicts 0.2.0: the first migration, and the last one that was ever edited (README.md in this folder).
--
-- One text for SQLite and PostgreSQL, so columns are `text` and `bigint` alone. Columns named `..._at` are UTC, in milliseconds
-- since 1970; a yes/no that has a time is a nullable time, any other is 0 or 1. Codes (states, kinds, reasons) are `text` without
-- a check: the Rust enums are the only list, and a test reads every stored code back. Ids are made by the program (src/storage/ids.rs);
-- a digest's id is the number of its week (2026-W47: 202647). A mailing is a digest, by its id, or one transactional mail, by a
-- larger number of its own.

-- Facts about this installation: exactly one row.
create table installation (
    id bigint not null primary key check (id = 1),
    -- When the database was first set up: nothing that was scheduled before counts as missed.
    created_at bigint not null,
    -- When the sample catalogue was imported; null: not yet.
    sample_at bigint
);

-- Secrets that were generated at the first start, where several machines share the database and no file can hold them.
create table instance_secrets (
    name text not null primary key,
    value text not null
);

-- Fingerprints of the secrets that this database was used with. A start with none of them is refused: no link in a mail that was
-- sent would work, and the hashes of erased addresses would match nobody.
create table secret_names (
    name text not null primary key,
    first_used_at bigint not null
);

-- The catalogue: an AI tool.
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
    -- 1: part of the sample catalogue.
    sample bigint not null,
    updated_at bigint not null default 0
);

-- The catalogue: what one reviewer of the panel says of a tool. `position`: the order on the page.
create table reviews (
    tool text not null references tools (slug) on delete cascade,
    position bigint not null,
    reviewer text not null,
    score bigint not null check (score between 0 and 100),
    verdict text not null,
    take text not null,
    primary key (tool, reviewer)
);

-- The catalogue: two tools side by side, which a digest can carry.
create table comparisons (
    slug text not null primary key,
    left_tool text not null references tools (slug),
    right_tool text not null references tools (slug),
    published_at bigint not null,
    sample bigint not null,
    updated_at bigint not null default 0,
    check (left_tool <> right_tool)
);
create index comparisons_by_date on comparisons (published_at);
create index comparisons_by_left on comparisons (left_tool);
create index comparisons_by_right on comparisons (right_tool);

-- How a tool's panel voted from each time on: one row when the tool is imported, one for each change. `points`: the sum of the scores.
create table panel_history (
    tool text not null references tools (slug) on delete cascade,
    at bigint not null,
    ships bigint not null,
    skips bigint not null,
    points bigint not null,
    primary key (tool, at)
);
create index panel_history_by_date on panel_history (at);

-- People: one row per address. An erasure deletes the row, and with it all that refers to it.
create table subscribers (
    id bigint not null primary key,
    email text not null,
    -- The address in the spelling by which two addresses are compared.
    email_key text not null unique,
    name text,
    state text not null,
    state_at bigint not null,
    created_at bigint not null,
    -- A sign-up that waits for its confirmation. Somebody who left and signs up again has one too.
    requested_at bigint,
    -- When the last confirmation mail was queued.
    confirmation_at bigint,
    -- When an active subscriber who signed up again was last told so: once an hour at most.
    reminded_at bigint,
    -- When a mail of theirs that was not understood was last answered with a link: once a day at most.
    link_sent_at bigint,
    -- IANA time zone, where known: for `schedule.local_time`.
    timezone text,
    -- BCP 47 language tag, where known.
    locale text
);
create index subscribers_waiting on subscribers (requested_at) where requested_at is not null;
create index subscribers_active on subscribers (id) where state = 'active';

-- Record of consent: one row per sign-up, with the words that were shown.
create table consents (
    subscriber_id bigint not null references subscribers (id) on delete cascade,
    requested_at bigint not null,
    shown text not null,
    source text not null,
    network text,
    confirmed_at bigint,
    primary key (subscriber_id, requested_at)
);

-- What a subscriber wants to get. No row: everything, every week.
create table preferences (
    subscriber_id bigint not null primary key references subscribers (id) on delete cascade,
    -- The categories followed, sorted, as JSON; an empty list: all of them. Readers with the same text get the same mail.
    categories text not null default '[]',
    monthly bigint not null default 0,
    paused_until bigint,
    -- When the pause began; null: not paused.
    paused_at bigint
);

-- A change of address that waits for the confirmation from the new one.
create table email_changes (
    id bigint not null primary key,
    subscriber_id bigint not null unique references subscribers (id) on delete cascade,
    email text not null,
    email_key text not null,
    requested_at bigint not null
);

-- Addresses that subscribers had before: an import of an old list must not bring one of them back.
create table former_addresses (
    email_key text not null primary key,
    subscriber_id bigint not null references subscribers (id) on delete cascade,
    left_at bigint not null
);
create index former_addresses_by_subscriber on former_addresses (subscriber_id);

-- Suppression list: addresses that never get mail again, as keyed hashes, which is all that may be kept of somebody who was erased.
-- `key_name`: the secret that the hash was made with.
create table suppressions (
    address_hash text not null primary key,
    key_name text not null,
    reason text not null,
    created_at bigint not null,
    note text
);

-- Suppressions that an operator removed, with the operator's note.
create table suppression_removals (
    address_hash text not null,
    lifted_at bigint not null,
    reason text not null,
    suppressed_at bigint not null,
    note text not null,
    primary key (address_hash, lifted_at)
);

-- Votes of subscribers on tools.
create table votes (
    tool text not null references tools (slug) on delete cascade,
    subscriber_id bigint not null references subscribers (id) on delete cascade,
    verdict text not null,
    voted_at bigint not null,
    primary key (tool, subscriber_id)
);
create index votes_by_subscriber on votes (subscriber_id);

-- Votes of visitors who are no subscribers. Cookie and network are kept as keyed hashes; votes per tool and network are limited.
create table visitor_votes (
    tool text not null references tools (slug) on delete cascade,
    visitor text not null,
    network text not null,
    verdict text not null,
    voted_at bigint not null,
    primary key (tool, visitor)
);
create index visitor_votes_by_network on visitor_votes (tool, network);

-- Tools that a subscriber saved, with the panel's votes of that time, so that a page can say what changed since.
create table bookmarks (
    subscriber_id bigint not null references subscribers (id) on delete cascade,
    tool text not null references tools (slug) on delete cascade,
    saved_at bigint not null,
    ships bigint not null,
    skips bigint not null,
    primary key (subscriber_id, tool)
);
create index bookmarks_by_tool on bookmarks (tool);

-- Digests: one per week, ever.
create table digests (
    id bigint not null primary key,
    state text not null,
    created_at bigint not null,
    send_at bigint not null,
    approved_at bigint,
    published_at bigint,
    finished_at bigint,
    -- Number of deliveries that were made for it.
    recipients bigint not null default 0,
    -- Order of publication, whatever the clock said.
    publish_order bigint,
    -- Frozen when it is published: its content (JSON), and the mail as rendered, with placeholders for each reader's links.
    content text,
    subject text,
    html text,
    plain text
);
create index digests_publish_order on digests (publish_order);
create index digests_published_at on digests (published_at);

-- The comparisons of a digest, best first. A comparison may be removed from the catalogue later, so `comparison` is no reference.
create table picks (
    digest_id bigint not null references digests (id) on delete cascade,
    position bigint not null,
    comparison text not null,
    score_thousandths bigint not null,
    -- Codes with parameters (JSON).
    reasons text not null,
    primary key (digest_id, position)
);
create index picks_by_comparison on picks (comparison);

-- A digest as readers with the same preferences get it, frozen with it. `changes`: verdicts that changed since their last one (JSON).
create table digest_variants (
    digest_id bigint not null references digests (id) on delete cascade,
    number bigint not null,
    categories text not null,
    monthly bigint not null,
    saved bigint not null,
    changes text not null,
    -- Null where there is nothing new for these readers: they get no mail.
    content text,
    subject text,
    html text,
    plain text,
    primary key (digest_id, number),
    unique (digest_id, categories, monthly, saved, changes)
);

-- A digest whose deliveries are still being made, in ranges of subscribers: done up to after_id, wanted up to until_id, the highest
-- active subscriber when it was frozen. Deleted with the last range.
create table publish_progress (
    mailing_id bigint not null primary key references digests (id) on delete cascade,
    after_id bigint not null,
    until_id bigint not null,
    -- When deliveries are due (JSON), and when the month of monthly readers began.
    due text not null,
    month_at bigint not null
);

-- What happened to a subscriber, for them and for the operator. Sentences are made when it is shown.
create table history (
    subscriber_id bigint not null references subscribers (id) on delete cascade,
    at bigint not null,
    code text not null,
    -- What the sentence of this code needs, as a JSON object.
    parameters text not null default '{}',
    -- The digest that it is about, if it is.
    digest_id bigint references digests (id) on delete set null,
    primary key (subscriber_id, at, code, parameters)
);
create index history_by_digest on history (digest_id) where digest_id is not null;

-- Processes that send mail hold a row each and renew it: a lease. After expires_at others take over what it has.
create table senders (
    id bigint not null primary key,
    process text not null,
    started_at bigint not null,
    expires_at bigint not null,
    -- Why the process holds back mail, if its breaker is open.
    trouble text
);

-- The ledger: one row per mailing and subscriber. A delivery outlives its subscriber's row, so it refers to nothing.
create table deliveries (
    mailing_id bigint not null,
    subscriber_id bigint not null,
    kind text not null,
    state text not null,
    queued_at bigint not null,
    due_at bigint not null,
    attempts bigint not null default 0,
    -- The sender that has it in its hands: only while it is `sending`.
    sender_id bigint,
    -- Start of the last attempt, and of the first.
    started_at bigint,
    first_at bigint,
    -- When it first became uncertain: an extra copy can only be among these.
    uncertain_at bigint,
    -- Null as long as there is something left to do.
    finished_at bigint,
    -- The relay of the last attempt, and what it answered.
    relay text,
    reply text,
    -- Of a skipped one: why it was not sent.
    skip_reason text,
    -- Number in digest_variants; null: the digest as everybody gets it.
    variant bigint,
    -- Sum of the waits between attempts: what mail.retry.max_age bounds.
    waited_ms bigint,
    primary key (mailing_id, subscriber_id)
);
create index deliveries_doubted on deliveries (mailing_id) where uncertain_at is not null;
-- By subscriber only these: an index over digests' rows too would cost each publishing and each commit.
create index deliveries_transactional on deliveries (subscriber_id) where kind <> 'digest';

-- The queue beside the ledger: ranges of a mailing's deliveries, by subscriber id, in which something is left to do. A sender claims a
-- batch, not single deliveries, so a delivery is written twice in its life, when it is begun and when it ends, and no index over
-- deliveries has to follow. Every open delivery lies in exactly one batch.
create table delivery_batches (
    mailing_id bigint not null,
    -- First and last subscriber in it. The last one names it, for what is claimed is split off the front.
    first_id bigint not null,
    last_id bigint not null,
    -- Digest or transactional.
    class text not null,
    -- Nothing in it is due before due_at, nor after last_due_at; retries in it are due at retry_at (null: it has none).
    due_at bigint not null,
    last_due_at bigint not null default 0,
    retry_at bigint,
    -- Who has it; null: nobody.
    sender_id bigint,
    -- 0: as it was made when the digest was published, however long; 1: split to what a sender takes at once.
    is_split bigint not null,
    -- Deliveries in it by state. Kept while nobody has it (`queued` includes what is with a relay); counted from its rows while somebody does.
    queued bigint not null default 0,
    sent bigint not null default 0,
    failed bigint not null default 0,
    skipped bigint not null default 0,
    uncertain bigint not null default 0,
    primary key (mailing_id, last_id)
);
create index delivery_batches_free on delivery_batches (mailing_id, due_at, last_id) where sender_id is null;
create index delivery_batches_held on delivery_batches (sender_id) where sender_id is not null;
create index delivery_batches_transactional on delivery_batches (due_at) where class = 'transactional';
create index delivery_batches_retries on delivery_batches (mailing_id, retry_at, last_id) where sender_id is null and retry_at is not null;

-- Deliveries of a digest by state, of those that lie in no batch any more.
create table digest_counts (
    mailing_id bigint not null primary key references digests (id) on delete cascade,
    sent bigint not null,
    failed bigint not null,
    skipped bigint not null,
    uncertain bigint not null
);

-- Why deliveries of a digest failed, and how often. `reply`: the first 300 characters.
create table failure_reasons (
    mailing_id bigint not null references digests (id) on delete cascade,
    reply text not null,
    times bigint not null,
    primary key (mailing_id, reply)
);

-- Why deliveries of a digest were skipped, and how often.
create table digest_skips (
    mailing_id bigint not null references digests (id) on delete cascade,
    reason text not null,
    times bigint not null,
    primary key (mailing_id, reason)
);

-- Results of a digest's deliveries per minute (since 1970): the curve of a send.
create table digest_send_stats (
    mailing_id bigint not null references digests (id) on delete cascade,
    minute bigint not null,
    sent bigint not null,
    deferred bigint not null,
    failed bigint not null,
    skipped bigint not null,
    uncertain bigint not null,
    primary key (mailing_id, minute)
);

-- Payload of transactional mails whose kind needs more than their subscriber: they go to another address.
create table transactional_mails (
    mailing_id bigint not null primary key,
    subscriber_id bigint not null references subscribers (id) on delete cascade,
    email text not null,
    -- The email_changes row that the link in the mail confirms, if it does.
    token_id bigint
);
create index transactional_mails_by_subscriber on transactional_mails (subscriber_id);

-- Processes that send: that they are alive, what their mail waits for (JSON), and how far their clock is ahead of the database's.
create table delivery_processes (
    process text not null primary key,
    -- By PostgreSQL's clock, or the machine's on SQLite.
    seen_at bigint not null,
    waits text not null,
    -- Null on SQLite.
    clock_skew_ms bigint
);

-- Delivery attempts by kind of mail and outcome, of all processes together: the source of /metrics.
create table attempt_totals (
    kind text not null,
    outcome text not null,
    total bigint not null,
    -- When an attempt of this kind and outcome last ended.
    last_at bigint,
    primary key (kind, outcome)
);

-- Mails that a relay was given on a day (since 1970, UTC), by all processes together: for daily limits and warm-up.
create table relay_daily_usage (
    relay text not null,
    day bigint not null,
    reserved bigint not null,
    primary key (relay, day)
);

-- Mails that came back, each once: the fingerprint tells that the same mail came again, by whatever channel. The reply is kept only
-- where it is about a subscriber, and is deleted with them.
create table inbound_mails (
    fingerprint text not null primary key,
    received_at bigint not null,
    channel text not null,
    class text not null,
    -- Of a soft bounce: about the recipient, or about the sender or a passing state.
    soft_class text,
    reason text,
    status text,
    reply text,
    subscriber_id bigint references subscribers (id) on delete cascade,
    mailing_id bigint
);
create index inbound_mails_by_subscriber on inbound_mails (subscriber_id, mailing_id) where subscriber_id is not null;
create index inbound_mails_by_date on inbound_mails (received_at);

-- Reports that nothing proves to be about a mail of ours: forged, or read with another secret or return path than the mail was sent
-- with. Kept for 30 days, and tried again once either changes.
create table inbound_unmatched (
    fingerprint text not null primary key,
    received_at bigint not null,
    channel text not null,
    -- What was parsed (JSON), without the mail itself.
    report text not null,
    -- The address that it is about, if any, so that it is deleted with its subscriber.
    email_key text,
    -- The secrets, by name, and the return path that it was last tried with.
    tried_with text not null
);
create index inbound_unmatched_by_date on inbound_unmatched (received_at);
create index inbound_unmatched_by_trial on inbound_unmatched (tried_with, received_at);
create index inbound_unmatched_by_email on inbound_unmatched (email_key) where email_key is not null;

-- Mails in an IMAP mailbox that could not be handled and are tried again at next_at, while the others go on.
create table mailbox_retries (
    -- A hash of user, host and folder.
    mailbox text not null,
    -- UIDVALIDITY and UID (RFC 9051, 2.3.1.1).
    validity bigint not null,
    uid bigint not null,
    step text not null,
    reason text not null,
    tries bigint not null,
    first_at bigint not null,
    next_at bigint not null,
    primary key (mailbox, validity, uid)
);

-- Requests of mail providers' webhooks, each once: stored before they are acted on, so that none is lost when the process ends in
-- between. The body is deleted once it was acted on; the row stays for longer than a request can be repeated.
create table webhook_events (
    provider text not null,
    id text not null,
    kind text not null,
    body_sha256 text not null,
    received_at bigint not null,
    acted_at bigint,
    body text,
    primary key (provider, id)
);
create index webhook_events_waiting on webhook_events (received_at) where acted_at is null;
create index webhook_events_done on webhook_events (acted_at) where acted_at is not null;

-- Refusals, one per subscriber and digest, through whatever channel they came: what counts toward bounces.hard and bounces.soft, and what
-- the brake holds. Refusals of transactional mails stand under their day: minus the number of days since 1970.
create table refusals (
    subscriber_id bigint not null references subscribers (id) on delete cascade,
    mailing_id bigint not null,
    at bigint not null,
    class text not null,
    -- What the server said, and the same without addresses, numbers and ids: what it has in common with others like it.
    reply text not null,
    pattern text not null,
    domain text not null,
    relay text not null,
    -- Null: counted and nothing more.
    outcome text,
    -- For the suppression list, should the subscription end.
    address_hash text not null,
    key_name text not null,
    primary key (subscriber_id, mailing_id)
);
create index refusals_waiting on refusals (mailing_id, pattern, domain, relay, subscriber_id) where outcome = 'waiting';

-- The brake: hard refusals of one send with the same pattern, domain and relay, which are judged together.
create table refusal_groups (
    mailing_id bigint not null,
    pattern text not null,
    domain text not null,
    relay text not null,
    -- How many so far, and how many of them came as reports after the relay had accepted the mail.
    hard_count bigint not null,
    report_count bigint not null,
    state text not null,
    held_by text,
    decision text,
    opened_at bigint not null,
    -- When it is judged (again); null: there is nothing to judge.
    due_at bigint,
    held_at bigint,
    -- The newest digest that was searched for readers whom it reached, and the last reader that was looked at in the search under way.
    checked_id bigint not null default 0,
    checked_after bigint not null default 0,
    primary key (mailing_id, pattern, domain, relay)
);
create index refusal_groups_due on refusal_groups (due_at) where due_at is not null;
create index refusal_groups_held on refusal_groups (mailing_id, pattern) where state = 'held';
create index refusal_groups_deciding on refusal_groups (state, mailing_id) where state in ('ending', 'dropping');

-- Mails of a send by recipient domain and relay: what the brake's shares are shares of. Domain '': all of the relay's.
create table send_domains (
    mailing_id bigint not null,
    domain text not null,
    relay text not null,
    mails bigint not null,
    primary key (mailing_id, domain, relay)
);

-- Quotas on mails that a stranger can cause, shared by all processes: by client, by mailbox, by account. `key` is a keyed hash. A quota
-- is used until `used_until`; a row whose time is over says nothing and is deleted.
create table mail_quotas (
    key text not null primary key,
    used_until bigint not null
);
create index mail_quotas_over on mail_quotas (used_until);

-- What a running service observed and `doctor`, another process, reports: the newest of each code.
create table observations (
    code text not null primary key,
    seen_at bigint not null,
    detail text not null
);
