-- Number that grows with each change of what the public pages show: a page that was rendered at some number is kept until there is another.
-- The number is the sum over all shards. Triggers raise it with the change, in its own transaction, so that no writer can forget it
-- (src/storage/page_versions.rs makes them, since their text differs between the databases). Several shards, so that writers on PostgreSQL
-- seldom wait for one another.
create table page_versions (
    shard bigint not null primary key,
    version bigint not null
);
insert into page_versions (shard, version)
with recursive shards (shard) as (select 0 union all select shard + 1 from shards where shard < 15)
select shard, 0 from shards;
-- For the next entry that is to be published.
create index tools_by_date on tools (published_at);
