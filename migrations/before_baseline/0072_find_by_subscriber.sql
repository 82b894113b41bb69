-- What is asked by subscriber. Digests' deliveries are found by their key, one look-up a digest: an index over all of them would
-- cost each publishing and each commit. Transactional mails are few, and their kind never changes.
create index deliveries_transactional on deliveries (subscriber_id) where kind = 'confirmation';
create index notices_by_subscriber on notices (subscriber_id);
-- Mail that came back is kept for inbound.keep.
create index inbound_by_date on inbound (received_at);
