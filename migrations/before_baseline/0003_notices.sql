-- Mails about a subscription that ask for nothing: to somebody who confirmed, to somebody on the list who signs up again. In the
-- ledger they are of the kind 'confirmation', which overtakes digests, and this says which one it is. (To widen the check of
-- `kind` SQLite would have to copy the table.)
alter table deliveries add column notice text check (notice in ('welcome', 'already'));

-- When somebody on the list was last told that they are: once an hour at most.
alter table subscribers add column reminded_at bigint;
