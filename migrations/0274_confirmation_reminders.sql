-- When the confirmation mail was queued that a reminder counts from; null where none is to come: never asked, reminded once, or confirmed.
alter table subscribers add column remind_from bigint;
create index subscribers_to_remind on subscribers (remind_from) where remind_from is not null;
