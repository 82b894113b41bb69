-- One row per reader and digest that was refused, through whatever channel the refusal came: what counts toward bounces.hard and
-- bounces.soft, and what the brake holds. Refusals of other mails (a confirmation, a welcome) stand under their day: minus the number
-- of days since 1970.
create table refusals (
    subscriber_id bigint not null references subscribers (id) on delete cascade,
    mailing_id bigint not null,
    at bigint not null,
    class text not null check (class in ('hard', 'recipient', 'passing')),
    -- The reply, and what it has in common with others like it: without addresses, numbers and ids.
    line text not null,
    words text not null,
    domain text not null,
    relay text not null,
    -- Null: counted and nothing more.
    verdict text check (verdict in ('waiting', 'ended', 'dismissed', 'released')),
    -- For the suppression list, should the subscription end.
    address_hash text not null,
    key_name text not null,
    primary key (subscriber_id, mailing_id)
);
create index refusals_waiting on refusals (mailing_id, words, domain, relay, subscriber_id) where verdict = 'waiting';

-- Hard refusals of one send that are alike: same words, domain and relay. They are judged together.
create table refusal_lots (
    mailing_id bigint not null,
    words text not null,
    domain text not null,
    relay text not null,
    -- How many so far, and how many of them came as reports after the relay had accepted the mail.
    hard bigint not null,
    reports bigint not null,
    state text not null check (state in ('open', 'held', 'ending', 'dropping', 'done')),
    held_by text check (held_by in ('domain', 'relay')),
    decision text check (decision in ('accepted', 'dismissed')),
    opened_at bigint not null,
    -- When it is judged (again); null: there is nothing to judge.
    due_at bigint,
    held_at bigint,
    -- The newest digest that was searched for readers whom it reached, and the last reader looked at in the search under way.
    checked_id bigint not null default 0,
    checked_after bigint not null default 0,
    primary key (mailing_id, words, domain, relay)
);
create index refusal_lots_due on refusal_lots (due_at) where due_at is not null;
create index refusal_lots_held on refusal_lots (mailing_id, words) where state = 'held';
create index refusal_lots_deciding on refusal_lots (state, mailing_id) where state in ('ending', 'dropping');

-- How many mails of a send were concluded, by recipient domain and relay: what a share is a share of. Domain '': all of the relay's.
create table send_domains (
    mailing_id bigint not null,
    domain text not null,
    relay text not null,
    mails bigint not null,
    primary key (mailing_id, domain, relay)
);

-- Of a soft report: about the recipient, or about the sender or a passing state.
alter table inbound add column soft_class text check (soft_class in ('recipient', 'passing'));

-- What was counted before: reports of digests. The class of an old soft one follows from its reason.
insert into refusals (subscriber_id, mailing_id, at, class, line, words, domain, relay, verdict, address_hash, key_name)
    select i.subscriber_id, i.mailing_id, max(i.received_at),
        case when max(case when i.meaning = 'hard' then 1 else 0 end) = 1 then 'hard'
             when max(case when i.reason = 'full' then 1 else 0 end) = 1 then 'recipient' else 'passing' end,
        coalesce(max(i.line), ''), '', '', '', null, '', ''
    from inbound i join deliveries d on d.mailing_id = i.mailing_id and d.subscriber_id = i.subscriber_id and d.kind = 'digest'
    join subscribers s on s.id = i.subscriber_id
    where i.meaning in ('hard', 'soft')
    group by i.subscriber_id, i.mailing_id;
update inbound set soft_class = case when reason = 'full' then 'recipient' else 'passing' end where meaning = 'soft';
