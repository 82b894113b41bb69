-- Mails in a mailbox at an IMAP server that could not be handled, so that the others go on: each is tried again at next_at.
create table mails_set_aside (
    -- A hash of user, host and folder.
    mailbox text not null,
    validity bigint not null,
    uid bigint not null,
    step text not null check (step in ('fetch', 'keep', 'finish')),
    reason text not null,
    tries bigint not null,
    first_at bigint not null,
    next_at bigint not null,
    primary key (mailbox, validity, uid)
);
