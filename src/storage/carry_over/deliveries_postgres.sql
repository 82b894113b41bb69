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
create index deliveries_transactional on deliveries (subscriber_id) where kind = 'confirmation';
