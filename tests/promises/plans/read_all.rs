//! Statements that may read much, and why.

/// Statements that read all of something that grows, each with the reason.
pub const READ_ALL: [(&str, &str); 21] = [
    (
        "select mailing_id, first_id, last_id from delivery_batches order by mailing_id, last_id limit 1",
        "a restoration, once: the first by the key",
    ),
    (
        "select subscriber_id from deliveries where mailing_id = $1 and uncertain_at is null and finished_at is not null",
        "the nightly run: the first 500 of a digest whose rows go, and what stays of it are a few in doubt",
    ),
    (
        "select mailing_id, subscriber_id from deliveries where mailing_id > $1 and mailing_id < $2",
        "the nightly run: the oldest 500, by the key",
    ),
    (
        "select requested_at from consents where network is not null order by",
        "`doctor`: the first row, by an index",
    ),
    (
        "select at from audit order by at, id limit 1",
        "`doctor`: the first row, by an index",
    ),
    (
        "update user_mails set state = 'uncertain'",
        "a restoration, once",
    ),
    (
        "select u.email, m.kind, m.state, coalesce(m.finished_at, m.due_at), m.reply\n                 from user_mails m join users u on u.id = m.user_id order by",
        "the newest mails to users and no more, by an index",
    ),
    (
        "select id, at, actor_kind, actor, network, what, subject_kind, subject, detail, seq, previous_hash, hash from audit where at <= $1",
        "the newest rows and no more, by an index",
    ),
    (
        "select state, count(*) from subscribers",
        "`doctor` and the look before a send; neither holds anybody up",
    ),
    (
        "select 1 from installation where exists",
        "of each table the first row alone",
    ),
    (
        "select count(*) from inbound_unmatched",
        "`doctor`, of at most 10,000 rows",
    ),
    (
        "select received_at from inbound_unmatched order by received_at desc",
        "the newest 10,000 and no more, by an index",
    ),
    (
        "select count(*) from mailbox_retries",
        "a metric, of what could not be handled in one mailbox: at most 1,000 rows",
    ),
    (
        "select left_at from former_addresses limit 1",
        "the first row alone",
    ),
    ("select key_name, count(*) from suppressions", "`doctor`"),
    (
        "select distinct coalesce(p.categories",
        "what readers chose, once for each digest and before it is frozen",
    ),
    ("select (select recipients from digests", "`digest audit`"),
    (
        "select count(*) from deliveries where mailing_id = $1 and finished_at is null",
        "`digest audit`",
    ),
    (
        "select count(*) from deliveries d where d.mailing_id = $1 and d.finished_at is null",
        "`digest audit`",
    ),
    (
        "select count(*) from deliveries where mailing_id = $1\n",
        "`digest audit`",
    ),
    (
        "select count(case when finished_at is null",
        "what is open in no batch: a guard that nothing reaches",
    ),
];
