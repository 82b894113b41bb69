-- What a relay was given on a day (counted from 1970, UTC), by all processes together: for daily limits and warm-up.
create table relay_days (
    relay text not null,
    day bigint not null,
    begun bigint not null,
    primary key (relay, day)
);

-- The reader's own zone (IANA), when known: for `schedule.local_time`.
alter table subscribers add column timezone text;

-- What became of a digest's mails minute by minute (counted from 1970), so that a send can be drawn.
create table digest_minutes (
    mailing_id bigint not null,
    minute bigint not null,
    sent bigint not null,
    later bigint not null,
    failed bigint not null,
    uncertain bigint not null,
    primary key (mailing_id, minute)
);
