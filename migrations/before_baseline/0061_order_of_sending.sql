-- The order in which digests were published, whatever the clock said: it may have been set back, or have run ahead.
alter table digests add column publish_order bigint;
update digests set publish_order = id where published_at is not null;
-- Both are asked for before each pick and each send.
create index digests_publish_order on digests (publish_order);
create index digests_published_at on digests (published_at);
