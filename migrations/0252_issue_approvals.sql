-- SHA-256 of everything that the issue showed when it was approved, and who approved it ("kind:id" of the actor); null: nobody looked at
-- it, as where schedule.approval is "auto".
alter table digests add column approved_sha256 text;
alter table digests add column approved_by text;

-- What people decided and said about an issue before it went out, oldest first. `kind`: domain::digest_note::NoteKind.
create table digest_notes (
    id bigint not null primary key,
    digest_id bigint not null references digests (id) on delete cascade,
    revision bigint not null,
    kind text not null,
    -- "kind:id" of the actor; of a comment by a review link: "review".
    author text not null,
    -- Name that somebody without an account gave.
    name text,
    said text not null,
    at bigint not null
);
create index digest_notes_of on digest_notes (digest_id, at, id);

-- The saved test group: addresses that get test copies together.
create table test_recipients (
    email_key text not null primary key,
    email text not null,
    added_at bigint not null
);
