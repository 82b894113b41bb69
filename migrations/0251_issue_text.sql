-- What people write of an issue, beside the comparisons that it carries. Every change of what an issue shows raises its revision; a save
-- names the revision that it was made from, so that two editors never overwrite each other.
alter table digests add column revision bigint not null default 0;
-- Introduction, sponsor, question, sign-off, preheader (JSON of domain::issue_text::IssueText); null: nothing was written.
alter table digests add column issue_text text;
-- Who changed it last, as "kind:id" of the actor, and when; null: nobody did since it was made.
alter table digests add column edited_by text;
alter table digests add column edited_at bigint;

-- The text of earlier revisions, from which two editors' changes are merged. Only the newest of a digest are kept.
create table digest_revisions (
    digest_id bigint not null references digests (id) on delete cascade,
    revision bigint not null,
    -- Pattern of the subject; null: mail.subject.
    subject text,
    issue_text text,
    edited_by text not null,
    edited_at bigint not null,
    primary key (digest_id, revision)
);
