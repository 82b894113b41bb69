//! Small catalogues for tests.

use verdicts::domain::Timestamp;

/// A catalogue of `count` comparisons of two tools each, in TOML: the first published an hour before `now`, each next one
/// an hour earlier. Panels and categories vary.
pub fn small(count: usize, now: Timestamp) -> String {
    (0..count)
        .map(|n| {
            comparison(
                &format!("t{n}"),
                ["Design", "Writing", "Data"][n % 3],
                now - chrono::TimeDelta::hours(n as i64 + 1),
            )
        })
        .collect()
}

/// Two tools, `{name}-l` and `{name}-r`, and their comparison.
pub fn comparison(name: &str, category: &str, published_at: Timestamp) -> String {
    let at = published_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let tool = |side: &str, skeptic: &str| {
        format!(
            "[[tools]]\nslug = \"{name}-{side}\"\nname = \"Tool {name} {side}\"\ncategory = \"{category}\"\ntagline = \"Does {name}\"\n\
             description = \"It does {name} on the {side} side.\"\npricing = \"Free\"\nentry_price = \"Free\"\npublished_at = {at}\n\
             [[tools.reviews]]\nreviewer = \"Builder\"\nscore = 80\nverdict = \"ship\"\ntake = \"The {name} interface is small. It works.\"\n\
             [[tools.reviews]]\nreviewer = \"Skeptic\"\nscore = 40\nverdict = \"{skeptic}\"\ntake = \"Nobody measured {name}. I would wait.\"\n"
        )
    };
    format!(
        "{}{}[[comparisons]]\nleft = \"{name}-l\"\nright = \"{name}-r\"\npublished_at = {at}\n",
        tool("l", "skip"),
        tool("r", "ship")
    )
}
