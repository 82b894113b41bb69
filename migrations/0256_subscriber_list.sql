-- The list of subscribers by state and day of joining, and by the source of a consent. Indexes on a part of the address or on the
-- name in lower case differ between the databases: they are made by `migrate` (src/storage/subscriber_list/indexes.rs).
create index subscribers_by_state on subscribers (state, created_at, id);
create index subscribers_by_date on subscribers (created_at, id);
create index consents_by_source on consents (source, subscriber_id);
