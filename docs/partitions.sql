-- PostgreSQL: the ledger in partitions, a year of digests in each (a digest's number is its week: 202648), so that an old year
-- is dropped instead of deleted. With every `serve` stopped; it copies the ledger once. A partition for the next year is made
-- before that begins. Confirmation mails have larger numbers and lie in the last one. The room left on each page is for the two
-- versions that a row will have (`migrate` sees to it on a ledger in one piece).
begin;
alter table deliveries rename to deliveries_before;
create table deliveries (like deliveries_before including all) partition by range (mailing_id);
create table deliveries_until_2025 partition of deliveries for values from (minvalue) to (202601) with (fillfactor = 55);
create table deliveries_2026 partition of deliveries for values from (202601) to (202701) with (fillfactor = 55);
create table deliveries_2027 partition of deliveries for values from (202701) to (202801) with (fillfactor = 55);
create table deliveries_others partition of deliveries default with (fillfactor = 55);
insert into deliveries select * from deliveries_before;
drop table deliveries_before;
commit;
