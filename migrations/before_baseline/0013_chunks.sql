-- The queue beside the ledger: stretches of a mailing's deliveries, in the order of their readers' numbers, that have something
-- left to do. A sender claims a chunk, not single deliveries, so that a delivery is written twice in its life, when it is begun
-- and when it ends, and no index over deliveries has to follow. Every open delivery lies in exactly one chunk.
create table chunks (
    mailing_id bigint not null,
    -- Of the first and last reader in it; the last names it, for what is claimed is cut off the front.
    first_id bigint not null,
    last_id bigint not null,
    kind text not null check (kind in ('confirmation', 'digest')),
    -- Nothing in it is due before that.
    due_at bigint not null,
    -- Who has it.
    sender_id bigint,
    -- 0: as it was made when the digest was published, however long; 1: cut to what a sender can bear.
    is_cut bigint not null,
    primary key (mailing_id, last_id)
);
create index chunks_free on chunks (mailing_id, due_at) where sender_id is null;
create index chunks_held on chunks (sender_id) where sender_id is not null;
create index chunks_confirmations on chunks (due_at) where kind = 'confirmation';

-- What was open before: one chunk a mailing. What was claimed and not begun is free again; what is being sent keeps its sender,
-- who is dead by now (an update comes with every process stopped), and is found to be in doubt.
update deliveries set sender_id = null where sender_id is not null and state <> 'sending';
insert into chunks (mailing_id, first_id, last_id, kind, due_at, sender_id, is_cut)
    select mailing_id, min(subscriber_id), max(subscriber_id), min(kind), min(due_at), max(sender_id), 0
    from deliveries where finished_at is null group by mailing_id;

drop index deliveries_open;
drop index deliveries_confirmations;
drop index deliveries_held;
