-- Mail that came back and that nothing proves to be about a mail of ours. It may be forged; or the process that read it had another
-- secret or return path than the one that sent the mail. So what was read is kept for 30 days, and looked at again once either changes.
create table inbound_unmatched (
    fingerprint text not null primary key,
    received_at bigint not null,
    door text not null,
    -- JSON: what was read, without the mail itself.
    reading text not null,
    -- The address that it is about, if it is about one, so that it goes with its reader.
    email_key text,
    -- Names of the secrets, and the return path, that it was last looked at with.
    tried_with text not null
);
create index inbound_unmatched_by_date on inbound_unmatched (received_at);
create index inbound_unmatched_by_trial on inbound_unmatched (tried_with, received_at);
create index inbound_unmatched_by_email on inbound_unmatched (email_key) where email_key is not null;
