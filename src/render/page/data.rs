//! Data of a page for search engines: schema.org as JSON-LD, a block of data that no browser runs.
//!
//! It holds whatever a catalogue document does (slug, tagline, verdicts, prices in words), so that another installation can take a page as
//! a source (`content::json_ld` reads it). Reviews of the panel, and no `aggregateRating`: that is for ratings by many, and a vote is none.

use chrono::SecondsFormat;
use serde_json::Value;
use serde_json::json;

use crate::domain::Timestamp;
use crate::domain::catalogue::RatedComparison;
use crate::domain::catalogue::RatedTool;
use crate::domain::catalogue::Review;
use crate::render::Site;
use crate::render::text::clean;
use crate::render::view::TextLimits;
use crate::render::view::ToolView;

/// One tool, as its page has it.
pub(super) fn of_tool(site: &Site, contender: &RatedTool) -> String {
    let mut data = tool(site, contender);
    data["@context"] = "https://schema.org".into();
    in_html(&data)
}

/// Both tools of a comparison, and the comparison as the list of the two that its page is about.
pub(super) fn of_comparison(site: &Site, matchup: &RatedComparison) -> String {
    let comparison = &matchup.comparison;
    let address = site.link(&format!("/comparisons/{}", comparison.slug));
    let mut position = 0;
    let items = matchup.contenders().map(|side| {
        position += 1;
        let id = site.link(&format!("/tools/{}", side.tool.slug));
        json!({ "@type": "ListItem", "position": position, "item": { "@id": id } })
    });
    let list = json!({
        "@type": "ItemList",
        "@id": format!("{address}#list"),
        "identifier": comparison.slug,
        "name": clean(&matchup.title()),
        "numberOfItems": 2,
        "itemListElement": items,
    });
    let page = json!({
        "@type": "WebPage",
        "@id": address,
        "url": address,
        "datePublished": instant(comparison.published_at),
        "mainEntity": { "@id": format!("{address}#list") },
    });
    let mut graph: Vec<Value> = matchup.contenders().map(|side| tool(site, side)).into();
    graph.extend([list, page]);
    in_html(&json!({ "@context": "https://schema.org", "@graph": graph }))
}

/// A text with its paragraphs, as long as a catalogue document allows, without what is no character of a text.
fn whole(text: &str) -> String {
    let is_kept = |c: &char| !c.is_control() || *c == '\n';
    text.chars().filter(is_kept).collect()
}

fn instant(at: Timestamp) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// <https://schema.org/SoftwareApplication>, known by its page's address wherever it stands.
fn tool(site: &Site, contender: &RatedTool) -> Value {
    let (tool, side) = (&contender.tool, ToolView::new(contender, TextLimits::PAGE));
    let address = site.link(&format!("/tools/{}", tool.slug));
    let mut data = json!({
        "@type": "SoftwareApplication",
        "@id": address,
        "identifier": tool.slug,
        "name": side.name,
        "abstract": clean(&tool.tagline),
        "datePublished": instant(tool.published_at),
        "url": address,
        "applicationCategory": clean(&tool.category),
        "description": whole(if tool.description.is_empty() { &tool.tagline } else { &tool.description }),
        "review": tool.reviews.iter().map(|written| review(site, contender, written)).collect::<Vec<_>>(),
    });
    if let Some(url) = side.url {
        data["sameAs"] = url.into();
    }
    let (pricing, entry_price) = (clean(&tool.pricing), clean(&tool.entry_price));
    let mut offer = json!({ "@type": "Offer" });
    // Any other price is a text for people, and an engine would want a number.
    if entry_price.eq_ignore_ascii_case("free") {
        offer["price"] = 0.into();
        offer["priceCurrency"] = "USD".into();
    }
    for (name, text) in [("name", &entry_price), ("description", &pricing)] {
        if !text.is_empty() {
            offer[name] = text.as_str().into();
        }
    }
    if !(pricing.is_empty() && entry_price.is_empty()) {
        data["offers"] = offer;
    }
    if tool.sample {
        data["additionalProperty"] =
            json!([{ "@type": "PropertyValue", "name": "sample", "value": true }]);
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
        "reviewBody": whole(&review.take),
        "reviewRating": {
            "@type": "Rating",
            "ratingValue": review.score.points(),
            "bestRating": 100,
            "worstRating": 0,
            "ratingExplanation": review.verdict,
        },
        "additionalProperty": [{ "@type": "PropertyValue", "name": "verdict", "value": review.verdict }],
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
