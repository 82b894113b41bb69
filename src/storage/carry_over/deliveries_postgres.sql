-- PostgreSQL changes the ledger in place: a ledger in partitions (docs/partitions.sql) stays one, and the rows of a sent digest are not
-- rewritten.
drop table deliveries;
alter table old_deliveries rename to deliveries;
do $$
declare
    found record;
begin
    for found in select conname from pg_constraint where conrelid = 'deliveries'::regclass and contype = 'c' loop
        execute format('alter table deliveries drop constraint %I', found.conname);
    end loop;
    for found in
        select c.relname, i.indisprimary from pg_index i join pg_class c on c.oid = i.indexrelid where i.indrelid = 'deliveries'::regclass
    loop
        if found.indisprimary then
            execute format('alter index %I rename to deliveries_pkey', found.relname);
        else
            execute format('drop index %I', found.relname);
        end if;
    end loop;
end
$$;
create index deliveries_doubted on deliveries (mailing_id) where uncertain_at is not null;
alter table deliveries add column skip_reason text;
update deliveries d set kind = case when d.notice = 'welcome' then 'welcome' when d.notice = 'already' then 'already_subscribed'
        else coalesce((select k.kind from old_notices n join old_kinds k on k.what = n.what where n.mailing_id = d.mailing_id), 'confirmation') end
    where d.kind = 'confirmation';
update deliveries d set state = 'skipped', skip_reason = coalesce((select reason from old_skips s where s.words = d.reply), 'note'),
        reply = case when exists (select 1 from old_skips s where s.words = d.reply) then null else d.reply end
    where d.state = 'failed' and d.attempts = 0;
alter table deliveries drop column notice;
create index deliveries_transactional on deliveries (subscriber_id) where kind <> 'digest';
