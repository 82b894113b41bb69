-- Keys with which users of the desk sign in (WebAuthn): the public half, which signs nobody in by itself.
create table passkeys (
    -- The credential's id in base64url, as the authenticator gave it.
    credential text not null primary key,
    user_id bigint not null references users (id) on delete cascade,
    -- The user as authenticators know them: one random name for all passkeys of a user.
    handle text not null,
    name text not null,
    -- The public key with its counter, as JSON.
    key text not null,
    created_at bigint not null,
    used_at bigint
);
create index passkeys_of_user on passkeys (user_id);

-- Sign-ins that a browser began and that end with an answer from elsewhere: from an authenticator, or from a provider.
create table ceremonies (
    id_sha256 text not null primary key,
    kind text not null,
    -- The browser or the session that began it: nobody else's answer is taken.
    browser_sha256 text not null,
    -- What the answer is checked against; it never leaves the service.
    state text not null,
    expires_at bigint not null
);
create index ceremonies_to_forget on ceremonies (expires_at);
