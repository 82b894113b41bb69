-- Quotas on mails that a stranger can cause, shared by all processes: by client, by mailbox, by account. `key` is a keyed hash; a
-- quota is used until `used_until`, and a row whose time is over says nothing and is deleted.
create table mail_quotas (
    key text not null primary key,
    used_until bigint not null
);
create index mail_quotas_over on mail_quotas (used_until);

-- Sign-ups by mail count there too. What was counted in the present hour is dropped.
drop table mail_sign_ups;
