-- Number of corrections since the digest was published, and what a delivery was begun with: that number then. Null: it was not begun yet,
-- or before the first correction.
alter table digests add column corrections bigint not null default 0;
alter table deliveries add column version bigint;

-- The mails of a digest before each correction: a delivery that was begun once keeps what it was begun with.
create table digest_versions (
    digest_id bigint not null references digests (id) on delete cascade,
    version bigint not null,
    -- Number in digest_variants; -1: the digest as everybody gets it.
    variant bigint not null,
    subject text not null,
    html text not null,
    plain text not null,
    primary key (digest_id, version, variant)
);
