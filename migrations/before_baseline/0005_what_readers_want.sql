-- What a reader wants to get, who a mail beside the digest is for, and digests that differ from reader to reader.

create table preferences (
    subscriber_id bigint not null primary key references subscribers (id) on delete cascade,
    -- The categories followed, sorted, as JSON; empty: all of them. Readers with the same text get the same mail.
    categories text not null default '[]',
    monthly bigint not null default 0 check (monthly in (0, 1)),
    paused_until bigint
);

-- A change of address that waits for its confirmation at the new one.
create table moves (
    id bigint not null primary key,
    subscriber_id bigint not null unique references subscribers (id) on delete cascade,
    email text not null,
    email_key text not null,
    requested_at bigint not null
);

-- What a mail is that stands in the ledger beside confirmations and is none, and whom it is for, if not for the
-- subscriber's address. token_id: what its link is for, a subscriber or a move.
create table notices (
    mailing_id bigint not null primary key,
    subscriber_id bigint not null references subscribers (id) on delete cascade,
    what text not null check (what in ('account', 'move', 'moved')),
    email text,
    token_id bigint not null
);

-- A digest as readers of one choice get it, frozen with it. changes: what turned since their last one, as JSON.
create table variants (
    digest_id bigint not null references digests (id) on delete cascade,
    number bigint not null,
    categories text not null,
    monthly bigint not null,
    saved bigint not null,
    changes text not null,
    -- Null where the choice leaves nothing new: then its readers get no mail.
    content text,
    subject text,
    html text,
    plain text,
    primary key (digest_id, number),
    unique (digest_id, categories, monthly, saved, changes)
);

-- Null: the digest as everybody gets it.
alter table deliveries add column variant bigint;
