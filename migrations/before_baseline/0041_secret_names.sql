-- The secrets that this database was used with, each by a name that gives nothing of it away: a start with none of them is refused,
-- for with a new one no link that was sent would work, and who was erased could be let in again.
create table secret_names (
    name text not null primary key,
    first_used_at bigint not null
);
