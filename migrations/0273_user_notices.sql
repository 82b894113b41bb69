-- What the service tells the people who run it: a digest's draft is ready, it went out, sending is paused. `subject` is what it is about,
-- `episode` tells apart what happens to one subject again and again; `seen_at`: when it last still held.
create table user_notices (
    id bigint not null primary key,
    kind text not null,
    subject text not null,
    episode bigint not null,
    said text not null,
    path text not null,
    at bigint not null,
    seen_at bigint not null,
    unique (kind, subject, episode)
);
create index user_notices_of_kind on user_notices (kind, id);
create index user_notices_to_forget on user_notices (at);

-- Kinds that a user wants no mail about.
create table user_notice_mutes (
    user_id bigint not null references users (id) on delete cascade,
    kind text not null,
    muted_at bigint not null,
    primary key (user_id, kind)
);

-- Mails to users. One tells all notices of its kind from `first_notice_id` to the newest when it is begun (`last_notice_id`). It is written
-- down as begun, under a lease, before a relay gets it: if the process ends then, it is uncertain, and not sent again.
create table user_mails (
    id bigint not null primary key,
    user_id bigint not null references users (id) on delete cascade,
    kind text not null,
    state text not null,
    first_notice_id bigint not null,
    last_notice_id bigint,
    queued_at bigint not null,
    due_at bigint not null,
    attempts bigint not null,
    lease_until bigint,
    reply text,
    finished_at bigint
);
create index user_mails_open on user_mails (due_at) where finished_at is null;
create index user_mails_leased on user_mails (lease_until) where lease_until is not null;
create index user_mails_of_user on user_mails (user_id, kind, id);
create index user_mails_to_forget on user_mails (finished_at) where finished_at is not null;
