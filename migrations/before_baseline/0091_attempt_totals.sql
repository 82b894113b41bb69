-- Delivery attempts by kind of mail and outcome, of all processes together: what /metrics shows, so that mails that a command sent
-- are counted too. One row for each pair; senders add to it every few seconds.
create table attempt_totals (
    kind text not null,
    outcome text not null,
    total bigint not null,
    primary key (kind, outcome)
);
