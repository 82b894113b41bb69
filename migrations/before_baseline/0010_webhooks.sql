-- What providers sent, each request once: kept before it is acted on, so that nothing is lost when the process ends in
-- between. The body goes as soon as it is acted on; that it was here is kept for longer than a request can be sent again.
create table webhook_events (
    provider text not null check (provider in ('ses', 'postmark', 'sendgrid', 'mailgun', 'resend', 'signed')),
    id text not null,
    kind text not null check (kind in ('events', 'invitation')),
    digest text not null,
    received_at bigint not null,
    acted_at bigint,
    body text,
    primary key (provider, id)
);
create index webhook_events_waiting on webhook_events (received_at) where acted_at is null;
create index webhook_events_done on webhook_events (acted_at) where acted_at is not null;
