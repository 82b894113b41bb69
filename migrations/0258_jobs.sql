-- Work that takes longer than a request: imports, exports, changes of many subscribers. A running job is leased: the process that does it
-- renews held_until, and one whose time is over is said to be broken off. Files stay with that process. `made_by`: a user, by the opaque id;
-- input and result hold numbers, codes and conditions, never an address.
create table jobs (
    id bigint not null primary key,
    kind text not null,
    state text not null,
    made_by text not null,
    input text not null,
    done bigint not null default 0,
    -- Null: not known.
    total bigint,
    result text,
    created_at bigint not null,
    held_until bigint not null,
    finished_at bigint
);
create index jobs_by_date on jobs (created_at);
create index jobs_held on jobs (held_until) where finished_at is null;

-- Saved filters of the list of subscribers. `filter`: the conditions as a JSON object, as they stand in the list's address.
create table segments (
    slug text not null primary key,
    name text not null,
    filter text not null,
    created_at bigint not null
);
