-- What a running service saw and `doctor`, another process, should say; each kind once, the newest.
create table observations (
    what text not null primary key,
    seen_at bigint not null,
    detail text not null
);
