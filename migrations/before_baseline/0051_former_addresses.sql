-- The addresses that readers left by a change of address: an import of an old list must not bring one of them back. They go with
-- their reader; an erasure puts their keyed hashes on the suppression list first.
create table former_addresses (
    email_key text not null primary key,
    subscriber_id bigint not null references subscribers (id) on delete cascade,
    left_at bigint not null
);
create index former_addresses_by_subscriber on former_addresses (subscriber_id);

-- Changes from before: the mail that told the old address names it.
insert into former_addresses (email_key, subscriber_id, left_at)
select lower(n.email), max(n.subscriber_id), coalesce(max(d.queued_at), 0)
from notices n left join deliveries d on d.mailing_id = n.mailing_id and d.subscriber_id = n.subscriber_id
where n.what = 'moved' and n.email is not null and not exists (select 1 from subscribers s where s.email_key = lower(n.email))
group by lower(n.email);
