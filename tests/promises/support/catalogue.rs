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

/// Two tools with these names and panels (so many *ship*, so many *skip*), and their comparison.
pub fn judged(tools: [(&str, (usize, usize)); 2], published_at: Timestamp) -> String {
    let at = published_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let slug = |name: &str| {
        let letters = name
            .to_lowercase()
            .replace(|c: char| !c.is_ascii_alphanumeric(), " ");
        letters.split_whitespace().collect::<Vec<_>>().join("-")
    };
    let tool = |(name, (ships, skips)): (&str, (usize, usize))| {
        let reviewers = ["Builder", "Skeptic", "Futurist", "Founder", "Creator"];
        let reviews: String = reviewers.iter().take(ships + skips).enumerate().map(|(i, reviewer)| {
            let (score, verdict) = if i < ships { (70 + i, "ship") } else { (40 - i, "skip") };
            format!("[[tools.reviews]]\nreviewer = \"{reviewer}\"\nscore = {score}\nverdict = \"{verdict}\"\ntake = \"{name} is worth a {verdict}. It says so.\"\n")
        }).collect();
        format!(
            "[[tools]]\nslug = \"{}\"\nname = \"{name}\"\ncategory = \"Data\"\ntagline = \"It is {name}\"\ndescription = \"It does {name}.\"\n\
             pricing = \"Free\"\nentry_price = \"Free\"\npublished_at = {at}\n{reviews}",
            slug(name)
        )
    };
    let (left, right) = (tools[0].0, tools[1].0);
    format!(
        "{}{}[[comparisons]]\nleft = \"{}\"\nright = \"{}\"\npublished_at = {at}\n",
        tool(tools[0]),
        tool(tools[1]),
        slug(left),
        slug(right)
    )
}
