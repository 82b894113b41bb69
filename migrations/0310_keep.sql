-- The nightly run that deletes what was kept for long enough (`[keep]`): one process does it at a time, under a lease that it renews with
-- each step, and once a night.
create table maintenance_runs (
    name text not null primary key,
    -- Until then it belongs to a process; 0: to none.
    held_until bigint not null,
    -- When a run last came to its end; null: never.
    finished_at bigint
);

-- When the deletion of a digest's deliveries began, and when it ended. The digest, its counts and its results stay, and so do the rows of
-- deliveries that were ever in doubt. Null: all its rows are there.
alter table digests add column forgetting_at bigint;
alter table digests add column forgotten_at bigint;

-- The first link of the audit log's chain that is kept: rows up to from_seq were kept for their time, and the next one names from_hash.
alter table audit_head add column from_seq bigint not null default 0;
alter table audit_head add column from_hash text not null default '0000000000000000000000000000000000000000000000000000000000000000';

-- Records of consent that still have a network, by time.
create index consents_with_network on consents (requested_at) where network is not null;
