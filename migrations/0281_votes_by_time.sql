-- Readers' votes in the order in which they were cast, for programs that read what is new.
create index votes_by_time on votes (voted_at, subscriber_id, tool);
