-- What readers do beyond reading: visitors' votes, tools saved for later, and what a panel said before.

-- A vote of somebody who is no subscriber. The cookie that makes it theirs is kept as a hash, and so is the network, of
-- which only so many votes on one tool count.
create table visitor_votes (
    tool text not null references tools (slug) on delete cascade,
    visitor text not null,
    network text not null,
    verdict text not null check (verdict in ('ship', 'skip')),
    voted_at bigint not null,
    primary key (tool, visitor)
);
create index visitor_votes_by_network on visitor_votes (tool, network);
create index votes_by_subscriber on votes (subscriber_id);

create table bookmarks (
    subscriber_id bigint not null references subscribers (id) on delete cascade,
    tool text not null references tools (slug) on delete cascade,
    saved_at bigint not null,
    -- How the panel stood then, so that a page can say what changed since.
    ships bigint not null,
    skips bigint not null,
    primary key (subscriber_id, tool)
);
create index bookmarks_by_tool on bookmarks (tool);

-- How a tool's panel stood from each moment on: a row at first, and one for each change. points is the sum of the scores.
create table panel_history (
    tool text not null references tools (slug) on delete cascade,
    at bigint not null,
    ships bigint not null,
    skips bigint not null,
    points bigint not null,
    primary key (tool, at)
);
create index panel_history_by_date on panel_history (at);

insert into panel_history (tool, at, ships, skips, points)
select t.slug, t.published_at,
    cast(sum(case when r.verdict = 'ship' then 1 else 0 end) as bigint),
    cast(sum(case when r.verdict = 'skip' then 1 else 0 end) as bigint),
    cast(sum(r.score) as bigint)
from tools t join reviews r on r.tool = t.slug
group by t.slug, t.published_at;
