-- What each process that sends says: that it is there, what its mail waits for, how far its clock is off.
create table deliverers (
    process text not null primary key,
    -- By PostgreSQL's clock, or the machine's on SQLite.
    seen_at bigint not null,
    -- JSON: a list of reasons.
    waits text not null,
    -- Its clock less the database's, in milliseconds; null on SQLite.
    ahead_ms bigint
);

-- When an attempt of this kind and outcome last came to an end.
alter table attempt_totals add column last_at bigint;
