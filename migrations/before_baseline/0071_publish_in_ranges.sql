-- Publishing in ranges, and counts that are kept instead of counted.

-- A digest that is frozen and whose deliveries are still being made: they exist for readers up to after_id, and are wanted for
-- those up to until_id, the highest active reader at the freeze. The row goes with the last range.
create table publish_progress (
    mailing_id bigint not null primary key references digests (id) on delete cascade,
    after_id bigint not null,
    until_id bigint not null,
    -- When deliveries are due (JSON), and when the month of monthly readers began.
    due text not null,
    month_at bigint not null
);

-- How the deliveries of a digest stand that lie in no chunk any more. withheld: failed and never tried.
create table digest_counts (
    mailing_id bigint not null primary key references digests (id) on delete cascade,
    sent bigint not null,
    failed bigint not null,
    withheld bigint not null,
    uncertain bigint not null
);

-- Why deliveries of a digest failed. reply: its first 300 characters.
create table failure_reasons (
    mailing_id bigint not null,
    reply text not null,
    times bigint not null,
    primary key (mailing_id, reply)
);

-- How the deliveries of a free chunk stand; queued counts what is in a sender's hands too. While a sender holds the chunk, its
-- rows are counted.
alter table chunks add column queued bigint not null default 0;
alter table chunks add column sent bigint not null default 0;
alter table chunks add column failed bigint not null default 0;
alter table chunks add column withheld bigint not null default 0;
alter table chunks add column uncertain bigint not null default 0;
-- Nothing in it is due after that.
alter table chunks add column last_due_at bigint not null default 0;

update chunks set
    queued = (select count(*) from deliveries d where d.mailing_id = chunks.mailing_id
        and d.subscriber_id between chunks.first_id and chunks.last_id and d.state in ('queued', 'sending')),
    sent = (select count(*) from deliveries d where d.mailing_id = chunks.mailing_id
        and d.subscriber_id between chunks.first_id and chunks.last_id and d.state = 'sent'),
    failed = (select count(*) from deliveries d where d.mailing_id = chunks.mailing_id
        and d.subscriber_id between chunks.first_id and chunks.last_id and d.state = 'failed'),
    withheld = (select count(*) from deliveries d where d.mailing_id = chunks.mailing_id
        and d.subscriber_id between chunks.first_id and chunks.last_id and d.state = 'failed' and d.attempts = 0),
    uncertain = (select count(*) from deliveries d where d.mailing_id = chunks.mailing_id
        and d.subscriber_id between chunks.first_id and chunks.last_id and d.state = 'uncertain'),
    last_due_at = coalesce((select max(d.due_at) from deliveries d where d.mailing_id = chunks.mailing_id
        and d.subscriber_id between chunks.first_id and chunks.last_id and d.finished_at is null), due_at)
where kind = 'digest';

insert into digest_counts (mailing_id, sent, failed, withheld, uncertain)
    select g.id,
        count(case when d.state = 'sent' then 1 end),
        count(case when d.state = 'failed' then 1 end),
        count(case when d.state = 'failed' and d.attempts = 0 then 1 end),
        count(case when d.state = 'uncertain' then 1 end)
    from digests g left join deliveries d on d.mailing_id = g.id where g.published_at is not null group by g.id;
update digest_counts set
    sent = sent - (select coalesce(sum(c.sent), 0) from chunks c where c.mailing_id = digest_counts.mailing_id),
    failed = failed - (select coalesce(sum(c.failed), 0) from chunks c where c.mailing_id = digest_counts.mailing_id),
    withheld = withheld - (select coalesce(sum(c.withheld), 0) from chunks c where c.mailing_id = digest_counts.mailing_id),
    uncertain = uncertain - (select coalesce(sum(c.uncertain), 0) from chunks c where c.mailing_id = digest_counts.mailing_id)
where mailing_id in (select mailing_id from chunks);

insert into failure_reasons (mailing_id, reply, times)
    select d.mailing_id, substr(d.reply, 1, 300), count(*) from digests g join deliveries d on d.mailing_id = g.id
    where d.state = 'failed' and d.reply is not null group by d.mailing_id, substr(d.reply, 1, 300);

-- The front of a digest's queue without a sort.
drop index chunks_free;
create index chunks_free on chunks (mailing_id, due_at, last_id) where sender_id is null;
-- The readers that a digest goes to, in the order in which it is published.
create index subscribers_active on subscribers (id) where state = 'active';
