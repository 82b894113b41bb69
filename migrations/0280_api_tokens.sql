-- Tokens with which programs use the API (RFC 6750). Only hashes are kept: a token is shown once, when it is made. It may do what its
-- scopes say and its maker's role allows, and nothing once its maker is disabled. After a rotation the token before works until
-- previous_until.
create table tokens (
    id bigint not null primary key,
    -- Stands in the token and names it in lists and in the audit log.
    public_id text not null unique,
    name text not null,
    token_sha256 text not null,
    previous_sha256 text,
    previous_until bigint,
    user_id bigint not null references users (id),
    -- Words with a space between them.
    scopes text not null,
    -- Networks (CIDR) that it may be used from, with a space between them; empty: any.
    networks text not null,
    created_at bigint not null,
    -- Null: never.
    expires_at bigint,
    -- Last use, to a minute, and the network that it came from.
    used_at bigint,
    used_from text,
    revoked_at bigint
);
create index tokens_of_user on tokens (user_id);

-- Answers to requests with an Idempotency-Key, so that a request that is repeated is done once. Kept for 24 hours.
create table idempotency_keys (
    token_id bigint not null references tokens (id) on delete cascade,
    key text not null,
    -- SHA-256 of method, path and body: another request under the same key is refused.
    request_sha256 text not null,
    -- Null while the request is at work.
    status bigint,
    headers text,
    -- Encrypted: an answer may hold a secret that is shown once.
    body text,
    -- Whom the answer is about: an erasure takes it along.
    subscriber_id bigint references subscribers (id) on delete cascade,
    created_at bigint not null,
    primary key (token_id, key)
);
create index idempotency_keys_to_forget on idempotency_keys (created_at);
create index idempotency_keys_of_subscriber on idempotency_keys (subscriber_id);
