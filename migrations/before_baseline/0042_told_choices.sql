-- When a pause began: it is bounded from there. Null: not paused, or paused before this was kept.
alter table preferences add column paused_at bigint;

-- One more kind of mail. The kinds stand in the program alone from now on: to widen a check SQLite has to copy the table.
create table notices_copy (
    mailing_id bigint not null primary key,
    subscriber_id bigint not null references subscribers (id) on delete cascade,
    what text not null,
    email text,
    token_id bigint not null
);
insert into notices_copy (mailing_id, subscriber_id, what, email, token_id)
    select mailing_id, subscriber_id, what, email, token_id from notices;
drop table notices;
alter table notices_copy rename to notices;
