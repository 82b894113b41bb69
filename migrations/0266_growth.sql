-- Joining and leaving that is not counted yet: a row is written with the change and names nobody, so that an erasure changes no figure;
-- the schedule adds it to the day and deletes it. Refused: adding to the day in the change's own transaction, for all would wait for one row.
create table growth_events (
    id bigint not null primary key,
    at bigint not null,
    -- Source of the newest consent.
    source text not null,
    kind text not null,
    times bigint not null,
    -- Of somebody who leaves: since when they were on the list. Of somebody who confirms: when they asked to join.
    since bigint
);

-- Growth by day (since 1970, in the site's time zone) and source of the consent. Leaving is counted of those who were on the list.
create table growth_days (
    day bigint not null,
    source text not null,
    joined bigint not null default 0,
    confirmed bigint not null default 0,
    imported bigint not null default 0,
    left_by_link bigint not null default 0,
    left_by_mail bigint not null default 0,
    left_by_operator bigint not null default 0,
    bounced bigint not null default 0,
    complained bigint not null default 0,
    erased bigint not null default 0,
    primary key (day, source)
);

-- Who left, by the week of joining and the week of leaving (Mondays since 1970): how many of a week's readers are still there.
create table growth_cohorts (
    joined_week bigint not null,
    left_week bigint not null,
    times bigint not null,
    primary key (joined_week, left_week)
);

-- Time from a sign-up to its confirmation, by day, in steps of a logarithmic scale: for the median.
create table growth_delays (
    day bigint not null,
    step bigint not null,
    times bigint not null,
    primary key (day, step)
);

-- The one row says how far the changes of before this table are counted: those of subscribers up to after_id, and what happened before
-- since_at. Written by the program when the database is migrated.
create table growth_state (
    id bigint not null primary key,
    since_at bigint not null,
    after_id bigint not null,
    -- Null: under way.
    done_at bigint
);
