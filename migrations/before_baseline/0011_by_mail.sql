-- How many were asked by mail whether they want to join, in each hour: in all (no domain), and at each domain, by its keyed hash.
-- Anybody can write a mail in somebody else's name, so this is what bounds the mails that a flood of them can cause.
create table mail_sign_ups (
    hour bigint not null,
    domain_hash text not null,
    asked bigint not null,
    primary key (hour, domain_hash)
);
