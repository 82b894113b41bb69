-- What operators, users, programs, the schedule and returning mail did: ids and codes, never an address.
create table audit (
    id bigint not null primary key,
    at bigint not null,
    actor_kind text not null,
    actor text not null,
    network text,
    what text not null,
    subject_kind text,
    subject text,
    detail text not null,
    -- Null until the row is chained: whoever writes a row waits for nobody else's.
    seq bigint unique,
    previous_hash text,
    hash text
);
create index audit_unchained on audit (at, id) where seq is null;
create index audit_by_time on audit (at, id);
create index audit_by_action on audit (what, at, id);
create index audit_by_subject on audit (subject_kind, subject, at, id);

-- The last row of the chain. Chaining holds this row's lock, so that two processes never give one place twice.
create table audit_head (
    id bigint not null primary key check (id = 1),
    seq bigint not null,
    hash text not null
);
insert into audit_head (id, seq, hash) values (1, 0, '0000000000000000000000000000000000000000000000000000000000000000');
