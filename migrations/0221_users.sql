-- People who run the newsletter in the desk, and how they sign in. Times are milliseconds since 1970 in UTC.
create table users (
    id bigint not null primary key,
    email text not null,
    email_key text not null unique,
    name text not null,
    role text not null,
    -- A PHC string (argon2id); null until one is set.
    password text,
    -- The key of TOTP codes is drawn from site.secret and this, so that the database alone makes no code; null without a second factor.
    totp_seed text,
    -- The last step whose code was taken (RFC 6238, 5.2): no code works twice.
    totp_step bigint,
    created_at bigint not null,
    seen_at bigint,
    disabled_at bigint
);

create table recovery_codes (
    user_id bigint not null references users (id) on delete cascade,
    code_sha256 text not null,
    used_at bigint,
    primary key (user_id, code_sha256)
);

create table sessions (
    token_sha256 text not null primary key,
    user_id bigint not null references users (id) on delete cascade,
    stage text not null,
    created_at bigint not null,
    seen_at bigint not null,
    expires_at bigint not null,
    -- When password and second factor were last given.
    strong_at bigint not null,
    agent text not null,
    network text not null,
    -- Told once, on the next page.
    notice text
);
create index sessions_of_user on sessions (user_id);
create index sessions_to_forget on sessions (expires_at);
create index sessions_unused on sessions (seen_at);

-- Links that work once.
create table challenges (
    token_sha256 text not null primary key,
    kind text not null,
    user_id bigint references users (id) on delete cascade,
    expires_at bigint not null
);
create index challenges_of_user on challenges (user_id);
create index challenges_to_forget on challenges (expires_at);

-- Attempts to sign in, so that several processes count together: when all of a network's or an account's attempts are free again
-- (GCRA). key: a keyed hash.
create table sign_in_attempts (
    key text not null primary key,
    full_at bigint not null
);
create index sign_in_attempts_to_forget on sign_in_attempts (full_at);
