-- Accounts of users at providers of OpenID Connect. The pair of issuer and subject says who somebody is there; an address never does.
create table identities (
    issuer text not null,
    subject text not null,
    user_id bigint not null references users (id) on delete cascade,
    linked_at bigint not null,
    used_at bigint,
    primary key (issuer, subject)
);
create index identities_of_user on identities (user_id);
