//! Data of a page for search engines: schema.org as JSON-LD, a block of data that no browser runs.
//!
//! Reviews of the panel, and no `aggregateRating`: that is for ratings by many, and a vote is none.

use serde_json::Value;
use serde_json::json;

use crate::domain::catalogue::RatedComparison;
use crate::domain::catalogue::RatedTool;
use crate::domain::catalogue::Review;
use crate::render::Site;
use crate::render::text::clean;
use crate::render::text::shorten;
use crate::render::view::TextLimits;
use crate::render::view::ToolView;

/// Of one text, in characters: more than any engine shows.
const LONGEST: usize = 5_000;

/// One tool, as its page has it.
pub(super) fn of_tool(site: &Site, contender: &RatedTool) -> String {
    let mut data = tool(site, contender);
    data["@context"] = "https://schema.org".into();
    in_html(&data)
}

/// Both tools of a comparison.
pub(super) fn of_comparison(site: &Site, matchup: &RatedComparison) -> String {
    in_html(
        &json!({ "@context": "https://schema.org", "@graph": matchup.contenders().map(|side| tool(site, side)) }),
    )
}

/// <https://schema.org/SoftwareApplication>, known by its page's address wherever it stands.
fn tool(site: &Site, contender: &RatedTool) -> Value {
    let (tool, side) = (&contender.tool, ToolView::new(contender, TextLimits::PAGE));
    let address = site.link(&format!("/tools/{}", tool.slug));
    let mut data = json!({
        "@type": "SoftwareApplication",
        "@id": address,
        "name": side.name,
        "url": address,
        "applicationCategory": clean(&tool.category),
        "description": shorten(if tool.description.is_empty() { &tool.tagline } else { &tool.description }, LONGEST),
        "review": tool.reviews.iter().map(|written| review(site, contender, written)).collect::<Vec<_>>(),
    });
    if let Some(url) = side.url {
        data["sameAs"] = url.into();
    }
    // Any other price is a text for people, and an engine would want a number.
    if clean(&tool.entry_price).eq_ignore_ascii_case("free") {
        data["offers"] = json!({ "@type": "Offer", "price": 0, "priceCurrency": "USD" });
    }
    if tool.sample {
        data["disambiguatingDescription"] =
            "A sample: this tool and its reviews are invented.".into();
    }
    data
}

/// <https://schema.org/Review>. The panel's score is the rating; its verdict explains it.
fn review(site: &Site, contender: &RatedTool, review: &Review) -> Value {
    json!({
        "@type": "Review",
        "author": { "@type": "Person", "name": review.reviewer },
        "publisher": { "@type": "Organization", "name": clean(&site.name), "url": site.link("/") },
        "datePublished": contender.tool.published_at.format("%Y-%m-%d").to_string(),
        "reviewBody": shorten(&review.take, LONGEST),
        "reviewRating": {
            "@type": "Rating",
            "ratingValue": review.score.points(),
            "bestRating": 100,
            "worstRating": 0,
            "ratingExplanation": review.verdict,
        },
    })
}

/// JSON that can stand in a script element: without `<` no text in it ends the element, nor opens a comment or another script
/// (HTML standard, "Restrictions for contents of script elements").
fn in_html(data: &Value) -> String {
    data.to_string()
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
}
