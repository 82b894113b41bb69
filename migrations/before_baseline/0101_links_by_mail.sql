-- When a reader's mail that was not understood was last answered with a link: once a day at most.
alter table subscribers add column link_sent_at bigint;
