//! Every table about people, with the place of each of its columns in the copy.

/// Place of a column in the copy, or the reason why it has none.
pub enum In {
    /// At this place of the document; `*` stands for each of a list.
    Copy(&'static str),
    /// Left out, for this reason.
    Not(&'static str),
}
use In::Copy;
use In::Not;

const NUMBER: In = Not("a number of ours, which leaves the process nowhere");
const HASH: In = Not("what the row is found by; the address itself stands in the copy");
const ANSWER: In = Not(
    "what a program of the publisher's was answered, encrypted and for a day; of it the copy has all that is kept",
);
const QUEUE: In = Not("how our senders share the work; says nothing of the person");

/// Every table about people, and each of its columns.
pub const COLUMNS: &[(&str, &[(&str, In)])] = &[
    (
        "subscribers",
        &[
            ("id", NUMBER),
            ("email", Copy("/email")),
            (
                "email_key",
                Not("the same address, as two spellings of it are compared"),
            ),
            ("name", Copy("/name")),
            ("state", Copy("/state")),
            ("state_at", Copy("/state_since")),
            ("created_at", Copy("/signed_up_at")),
            ("requested_at", Copy("/waiting_since")),
            ("confirmation_at", Copy("/confirmation_at")),
            (
                "remind_from",
                Not("the same time as confirmation_at, until the reminder went out"),
            ),
            ("reminded_at", Copy("/reminded_at")),
            ("link_sent_at", Copy("/link_sent_at")),
            ("timezone", Copy("/timezone")),
            ("locale", Copy("/locale")),
        ],
    ),
    (
        "consents",
        &[
            ("subscriber_id", NUMBER),
            ("requested_at", Copy("/consents/*/requested_at")),
            ("shown", Copy("/consents/*/shown")),
            ("source", Copy("/consents/*/source")),
            ("network", Copy("/consents/*/network")),
            ("confirmed_at", Copy("/consents/*/confirmed_at")),
        ],
    ),
    (
        "history",
        &[
            ("subscriber_id", NUMBER),
            ("at", Copy("/history/*/at")),
            ("code", Copy("/history/*/code")),
            (
                "parameters",
                Not("the sentence that they make stands as `what`"),
            ),
            ("digest_id", Not("the week stands as `slot`")),
        ],
    ),
    (
        "preferences",
        &[
            ("subscriber_id", NUMBER),
            ("categories", Copy("/preferences/categories")),
            ("monthly", Copy("/preferences/monthly")),
            ("paused_until", Copy("/preferences/paused_until")),
            ("paused_at", Copy("/paused_at")),
        ],
    ),
    (
        "votes",
        &[
            ("subscriber_id", NUMBER),
            ("tool", Copy("/votes/*/tool")),
            ("verdict", Copy("/votes/*/verdict")),
            ("voted_at", Copy("/votes/*/at")),
        ],
    ),
    (
        "bookmarks",
        &[
            ("subscriber_id", NUMBER),
            ("tool", Copy("/saved/*/tool")),
            ("saved_at", Copy("/saved/*/at")),
            ("ships", Copy("/saved/*/panel_ships")),
            ("skips", Copy("/saved/*/panel_skips")),
        ],
    ),
    (
        "email_changes",
        &[
            ("id", NUMBER),
            ("subscriber_id", NUMBER),
            ("email", Copy("/address_change/email")),
            (
                "email_key",
                Not("the same address, as two spellings of it are compared"),
            ),
            ("requested_at", Copy("/address_change/requested_at")),
        ],
    ),
    (
        "former_addresses",
        &[
            ("email_key", Copy("/earlier_addresses/*/email")),
            ("subscriber_id", NUMBER),
            ("left_at", Copy("/earlier_addresses/*/left_at")),
        ],
    ),
    (
        "unsubscribe_reasons",
        &[
            ("subscriber_id", NUMBER),
            ("reason", Copy("/unsubscribe_reason/reason")),
            ("given_at", Copy("/unsubscribe_reason/at")),
        ],
    ),
    (
        "transactional_mails",
        &[
            ("mailing_id", NUMBER),
            ("subscriber_id", NUMBER),
            ("email", Copy("/mails/*/email")),
            ("token_id", NUMBER),
        ],
    ),
    (
        "deliveries",
        &[
            ("mailing_id", Not("the week of a digest stands as `slot`")),
            ("subscriber_id", NUMBER),
            ("kind", Copy("/mails/*/kind")),
            ("skip_reason", Copy("/mails/*/skip_reason")),
            ("variant", Copy("/mails/*/variant")),
            ("version", Copy("/mails/*/version")),
            ("state", Copy("/mails/*/state")),
            ("queued_at", Copy("/mails/*/at")),
            ("due_at", Copy("/mails/*/due_at")),
            ("attempts", Copy("/mails/*/attempts")),
            ("sender_id", QUEUE),
            ("started_at", Copy("/mails/*/started_at")),
            ("first_at", Copy("/mails/*/first_at")),
            ("waited_ms", QUEUE),
            ("uncertain_at", Copy("/mails/*/uncertain_at")),
            ("finished_at", Copy("/mails/*/finished_at")),
            ("reply", Copy("/mails/*/reply")),
            ("relay", Copy("/mails/*/relay")),
        ],
    ),
    (
        "inbound_mails",
        &[
            ("fingerprint", HASH),
            ("received_at", Copy("/came_back/*/at")),
            ("channel", Copy("/came_back/*/door")),
            ("class", Copy("/came_back/*/meaning")),
            ("soft_class", Copy("/came_back/*/class")),
            ("reason", Copy("/came_back/*/reason")),
            ("status", Copy("/came_back/*/status")),
            ("reply", Copy("/came_back/*/line")),
            ("subscriber_id", NUMBER),
            ("mailing_id", Not("the week of a digest stands as `slot`")),
        ],
    ),
    (
        "inbound_reports",
        &[
            ("fingerprint", HASH),
            ("subscriber_id", NUMBER),
            ("received_at", Copy("/raw_reports/*/at")),
            ("raw", Copy("/raw_reports/*/text")),
            ("is_cut", Copy("/raw_reports/*/is_cut")),
        ],
    ),
    (
        "inbound_unmatched",
        &[
            ("fingerprint", HASH),
            ("received_at", Copy("/unproven/*/at")),
            ("channel", Copy("/unproven/*/door")),
            (
                "report",
                Not("what a stranger wrote, who may be anybody, of others too"),
            ),
            ("email_key", Not("the address")),
            ("tried_with", Not("names of secrets")),
        ],
    ),
    (
        "refusals",
        &[
            ("subscriber_id", NUMBER),
            ("mailing_id", Not("the week of a digest stands as `slot`")),
            ("at", Copy("/refusals/*/at")),
            ("class", Copy("/refusals/*/class")),
            ("reply", Copy("/refusals/*/reply")),
            ("pattern", Copy("/refusals/*/words")),
            ("domain", Copy("/refusals/*/domain")),
            ("relay", Copy("/refusals/*/relay")),
            ("outcome", Copy("/refusals/*/verdict")),
            ("address_hash", HASH),
            ("key_name", HASH),
        ],
    ),
    (
        "suppressions",
        &[
            ("address_hash", HASH),
            ("key_name", HASH),
            ("reason", Copy("/suppressions/*/reason")),
            ("created_at", Copy("/suppressions/*/at")),
            ("note", Copy("/suppressions/*/note")),
        ],
    ),
    (
        "suppression_removals",
        &[
            ("address_hash", HASH),
            ("lifted_at", Copy("/suppressions_removed/*/at")),
            ("reason", Copy("/suppressions_removed/*/reason")),
            (
                "suppressed_at",
                Copy("/suppressions_removed/*/suppressed_at"),
            ),
            ("note", Copy("/suppressions_removed/*/note")),
        ],
    ),
    (
        "idempotency_keys",
        &[
            ("token_id", NUMBER),
            ("key", Not("a program's name for its request")),
            ("request_sha256", Not("a program's request, as a hash")),
            ("status", ANSWER),
            ("headers", ANSWER),
            ("body", ANSWER),
            ("subscriber_id", NUMBER),
            ("created_at", Not("when the program asked")),
        ],
    ),
    (
        "events",
        &[
            ("id", Not("what programs know the event by; names nobody")),
            ("seq", NUMBER),
            ("kind", Copy("/events/*/type")),
            ("at", Copy("/events/*/at")),
            (
                "data",
                Not("ids and codes of the change, which stands in their history and votes"),
            ),
            ("subscriber_id", NUMBER),
            ("email", Copy("/events/*/email")),
            ("endpoint_id", Not("of a test, which is about nobody")),
        ],
    ),
];
