//! Groups of operations, as the reference page and generated clients show them: by the first part of the path.

/// Groups, in the order of the reference page.
pub const ALL: [(&str, &str); 21] = [
    ("api", "What the API is, and who asks."),
    ("tools", "Tools and their reviews."),
    ("comparisons", "Two tools side by side."),
    ("catalogue", "The whole catalogue in and out."),
    ("digests", "The weekly digests."),
    ("subscribers", "People on the list."),
    ("segments", "Saved filters of the list."),
    ("suppressions", "Addresses that never get mail again."),
    ("stats", "Growth and deliverability."),
    ("votes", "Readers' votes."),
    (
        "webhook-endpoints",
        "Addresses that are told what happened.",
    ),
    ("events", "What happened, as a feed."),
    ("sources", "Where the catalogue comes from."),
    ("proposals", "What sources propose."),
    ("jobs", "Work that takes longer than a request."),
    ("audit", "What was changed, and by whom."),
    ("settings", "Settings that may be set at the desk."),
    ("metrics", "Figures for monitoring."),
    ("health", "Whether the service works."),
    ("openapi.json", "The document of the API."),
    ("problems", "Types of problems."),
];

/// Group of a path.
pub fn of(path: &str) -> &str {
    match path.split('/').nth(1) {
        None | Some("") => "api",
        Some(first) => first,
    }
}

/// Returns whether the group of a path is in the list.
#[cfg(test)]
pub fn is_known(path: &str) -> bool {
    ALL.iter().any(|(name, _)| *name == of(path))
}
