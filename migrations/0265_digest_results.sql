-- Results of a digest that are counted from its deliveries in ranges, once it is over. `finished_at`: of the digest, when the count began; a
-- digest that was sent to some once more is counted anew. `faults`: promises of the ledger that do not hold, as a JSON list.
create table digest_roll_ups (
    mailing_id bigint not null primary key references digests (id) on delete cascade,
    finished_at bigint not null,
    -- Deliveries up to this subscriber are counted.
    after_id bigint not null,
    -- Null: under way.
    done_at bigint,
    faults text
);

-- Deliveries of a digest by recipient domain and by relay. Name '': of a domain, all that are not among the largest, and erased
-- subscribers; of a relay, deliveries that were never begun.
create table digest_outcomes (
    mailing_id bigint not null references digests (id) on delete cascade,
    dimension text not null,
    name text not null,
    sent bigint not null,
    failed bigint not null,
    uncertain bigint not null,
    skipped bigint not null,
    primary key (mailing_id, dimension, name)
);

-- Votes of subscribers on a tool while a digest was the newest that carried it. `changed`: by readers who had voted otherwise before.
create table digest_votes (
    mailing_id bigint not null references digests (id) on delete cascade,
    tool text not null,
    ships bigint not null,
    skips bigint not null,
    changed bigint not null,
    primary key (mailing_id, tool)
);

-- Who left, complained or bounced because of a digest: counted and listed by what happened.
create index history_by_digest_event on history (digest_id, code, at, subscriber_id) where digest_id is not null;
drop index history_by_digest;
