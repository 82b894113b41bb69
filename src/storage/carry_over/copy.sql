-- From the tables of before the baseline, which are named `old_...` now, into those of the baseline. One text for SQLite and PostgreSQL;
-- parents before what refers to them. Deliveries, most of the data, have a text for each database.
insert into installation (id, created_at, sample_at) select id, created_at, sample_at from old_installation;
insert into instance_secrets (name, value) select name, value from old_kept_secrets;
insert into secret_names (name, first_used_at) select name, first_used_at from old_secret_names;

insert into tools (slug, name, category, tagline, description, url, pricing, entry_price, published_at, sample)
    select slug, name, category, tagline, description, url, pricing, entry_price, published_at, sample from old_tools;
insert into reviews (tool, position, reviewer, score, verdict, take)
    select tool, position, reviewer, score, verdict, take from old_reviews;
insert into comparisons (slug, left_tool, right_tool, published_at, sample)
    select slug, left_tool, right_tool, published_at, sample from old_comparisons;
insert into panel_history (tool, at, ships, skips, points) select tool, at, ships, skips, points from old_panel_history;

insert into subscribers (id, email, email_key, name, state, state_at, created_at, requested_at, confirmation_at, reminded_at, link_sent_at, timezone)
    select id, email, email_key, name, state, state_at, created_at, requested_at, confirmation_at, reminded_at, link_sent_at, timezone
    from old_subscribers;
insert into consents (subscriber_id, requested_at, shown, source, network, confirmed_at)
    select subscriber_id, requested_at, shown, source, network, confirmed_at from old_consents;
insert into preferences (subscriber_id, categories, monthly, paused_until, paused_at)
    select subscriber_id, categories, monthly, paused_until, paused_at from old_preferences;
insert into email_changes (id, subscriber_id, email, email_key, requested_at)
    select id, subscriber_id, email, email_key, requested_at from old_moves;
insert into former_addresses (email_key, subscriber_id, left_at) select email_key, subscriber_id, left_at from old_former_addresses;
insert into suppressions (address_hash, key_name, reason, created_at, note)
    select address_hash, key_name, reason, created_at, note from old_suppressions;
insert into suppression_removals (address_hash, lifted_at, reason, suppressed_at, note)
    select address_hash, lifted_at, reason, suppressed_at, note from old_lifted;
insert into votes (tool, subscriber_id, verdict, voted_at) select tool, subscriber_id, verdict, voted_at from old_votes;
insert into visitor_votes (tool, visitor, network, verdict, voted_at) select tool, visitor, network, verdict, voted_at from old_visitor_votes;
insert into bookmarks (subscriber_id, tool, saved_at, ships, skips) select subscriber_id, tool, saved_at, ships, skips from old_bookmarks;

insert into digests (id, state, created_at, send_at, approved_at, published_at, finished_at, recipients, publish_order, content, subject, html, plain)
    select id, state, created_at, send_at, approved_at, published_at, finished_at, recipients, publish_order, content, subject, html, plain
    from old_digests;
insert into digest_variants (digest_id, number, categories, monthly, saved, changes, content, subject, html, plain)
    select digest_id, number, categories, monthly, saved, changes, content, subject, html, plain from old_variants;
insert into publish_progress (mailing_id, after_id, until_id, due, month_at)
    select mailing_id, after_id, until_id, due, month_at from old_publish_progress;

insert into senders (id, process, started_at, expires_at, trouble) select id, process, started_at, expires_at, trouble from old_senders;
insert into delivery_batches (mailing_id, first_id, last_id, class, due_at, last_due_at, retry_at, sender_id, is_split, queued, sent, failed, skipped, uncertain)
    select mailing_id, first_id, last_id, case when kind = 'digest' then 'digest' else 'transactional' end, due_at, last_due_at, retry_at, sender_id,
        is_cut, queued, sent, failed - withheld, withheld, uncertain
    from old_chunks;
insert into digest_counts (mailing_id, sent, failed, skipped, uncertain)
    select mailing_id, sent, failed - withheld, withheld, uncertain from old_digest_counts;
insert into digest_send_stats (mailing_id, minute, sent, deferred, failed, skipped, uncertain)
    select mailing_id, minute, sent, later, failed, 0, uncertain from old_digest_minutes where mailing_id in (select id from old_digests);
insert into transactional_mails (mailing_id, subscriber_id, email, token_id)
    select mailing_id, subscriber_id, email, case when what = 'move' then token_id end from old_notices where email is not null;
insert into delivery_processes (process, seen_at, waits, clock_skew_ms) select process, seen_at, waits, ahead_ms from old_deliverers;
insert into attempt_totals (kind, outcome, total, last_at) select kind, outcome, total, last_at from old_attempt_totals;
insert into relay_daily_usage (relay, day, reserved) select relay, day, begun from old_relay_days;

insert into inbound_mails (fingerprint, received_at, channel, class, soft_class, reason, status, reply, subscriber_id, mailing_id)
    select fingerprint, received_at, door, meaning, soft_class, reason, status, line, subscriber_id, mailing_id from old_inbound;
insert into inbound_unmatched (fingerprint, received_at, channel, report, email_key, tried_with)
    select fingerprint, received_at, door, reading, email_key, tried_with from old_inbound_unmatched;
insert into mailbox_retries (mailbox, validity, uid, step, reason, tries, first_at, next_at)
    select mailbox, validity, uid, step, reason, tries, first_at, next_at from old_mails_set_aside;
insert into webhook_events (provider, id, kind, body_sha256, received_at, acted_at, body)
    select provider, id, case when kind = 'invitation' then 'subscription_confirmation' else kind end, digest, received_at, acted_at, body from old_webhook_events;
insert into refusals (subscriber_id, mailing_id, at, class, reply, pattern, domain, relay, outcome, address_hash, key_name)
    select subscriber_id, mailing_id, at, class, line, words, domain, relay, verdict, address_hash, key_name from old_refusals;
insert into refusal_groups (mailing_id, pattern, domain, relay, hard_count, report_count, state, held_by, decision, opened_at, due_at, held_at,
        checked_id, checked_after)
    select mailing_id, words, domain, relay, hard, reports, state, held_by, decision, opened_at, due_at, held_at, checked_id, checked_after
    from old_refusal_lots;
insert into send_domains (mailing_id, domain, relay, mails) select mailing_id, domain, relay, mails from old_send_domains;
insert into mail_quotas (key, used_until) select key, used_until from old_mail_quotas;
insert into observations (code, seen_at, detail) select what, seen_at, detail from old_observations;

-- What a mail was stood in two places, and why one was not sent in a sentence: both are codes now.
create table old_kinds (what text not null primary key, kind text not null);
insert into old_kinds (what, kind) values
    ('account', 'account_link'), ('move', 'email_change'), ('moved', 'email_changed'), ('choices', 'preferences_changed'), ('leave', 'leave_link'),
    ('leave_by_other', 'leave_link_by_other');
create table old_skips (words text not null primary key, reason text not null);
insert into old_skips (words, reason) values
    ('not sent: the reader paused it', 'paused'),
    ('not sent: monthly, and this month''s is out', 'monthly'),
    ('not sent: nothing new in what the reader follows', 'nothing_new'),
    ('not sent: unsubscribed before it was sent', 'left'),
    ('not sent: on the suppression list', 'suppressed'),
    ('not sent: the subscriber was erased or forgotten', 'erased'),
    ('not sent: no longer asked for', 'not_requested'),
    ('not sent: the digest was cancelled', 'cancelled'),
    ('not sent: asked again', 'superseded'),
    ('not sent: it was asked for too long ago to be of use; whoever still wants it asks again', 'expired');
