-- Sources: places from which tools and comparisons come without typing, and what was read there.
-- `host` is where it is read from: no host is asked twice at once (the index below). `seen` remembers the version that was read last (an
-- ETag, or of a folder the hash of its files' times), `modified` a Last-Modified. `failing_since` and `failures` count looks in a row
-- that failed. A source is read under a lease, by one process.
create table sources (
    id bigint not null primary key,
    name text not null unique,
    kind text not null,
    url text not null,
    host text not null,
    mapping text not null,
    mode text not null,
    every_seconds bigint not null,
    created_at bigint not null,
    next_at bigint not null,
    lease_until bigint,
    seen text,
    modified text,
    failures bigint not null default 0,
    failing_since bigint,
    last_error text,
    last_note text,
    last_ok_at bigint,
    paused_at bigint
);
create index sources_due on sources (next_at);
create unique index sources_one_at_a_host on sources (host) where lease_until is not null;

-- What a source brought, and what became of it. `content` is the entry as it was read (JSON), `content_sha256` its hash, `version` counts
-- how often it changed. `remarks`: questions, faults and notes (JSON).
create table proposals (
    id bigint not null primary key,
    source_id bigint not null references sources (id) on delete cascade,
    guid text not null,
    url text,
    title text not null,
    content text not null,
    content_sha256 text not null,
    version bigint not null,
    remarks text not null,
    state text not null,
    seen_at bigint not null,
    changed_at bigint not null,
    decided_at bigint,
    decided_by text,
    unique (source_id, guid)
);
create index proposals_by_state on proposals (state, id);
create index proposals_by_url on proposals (source_id, url);
create index proposals_of_source on proposals (source_id, id);
