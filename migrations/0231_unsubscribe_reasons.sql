-- Reasons that readers give after they unsubscribed, of their own will: the last one of each reader. A code of
-- `domain::reader::UnsubscribeReason`.
create table unsubscribe_reasons (
    subscriber_id bigint not null primary key references subscribers (id) on delete cascade,
    reason text not null,
    given_at bigint not null
);
