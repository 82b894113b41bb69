//! JSON-LD of schema.org in a page: `SoftwareApplication` or `Product` with its `Review`s, and an `ItemList` of two as a comparison. Our own
//! pages carry the same, so that one installation can read another's.

use scraper::Html;
use serde_json::Value;
use url::Url;

use super::graph::Graph;
use super::graph::Node;
use super::graph::each;
use super::graph::is;
use super::graph::line;
use super::graph::text;
use super::graph::text_of;
use super::reviewer;
use super::score;
use super::time;
use super::verdict;
use crate::domain::Timestamp;
use crate::domain::catalogue::Slug;
use crate::domain::source::FoundComparison;
use crate::domain::source::FoundEntry;
use crate::domain::source::FoundReview;
use crate::domain::source::FoundTool;
use crate::domain::source::RemarkKind;
use crate::domain::source::SourceMapping;
use crate::domain::source::canonical_url;

const TOOLS: [&str; 5] = [
    "SoftwareApplication",
    "WebApplication",
    "MobileApplication",
    "Product",
    "SoftwareSourceCode",
];

/// Reads a page's scripts; none of ours in them is an empty list.
///
/// # Errors
/// A sentence, where there are scripts and none can be read.
pub fn read(
    document: &Html,
    url: &Url,
    mapping: &SourceMapping,
) -> Result<Vec<FoundEntry>, String> {
    let graph = Graph::new(document)?;
    let mut entries: Vec<FoundEntry> = Vec::new();
    let mut seen: Vec<String> = Vec::new();
    let mut tools: Vec<(String, FoundEntry)> = Vec::new();
    for node in graph.nodes.iter().filter(|node| is(node, &TOOLS)) {
        let entry = tool_entry(&graph, node, url, mapping);
        let Some(tool) = entry.tools.first() else {
            continue;
        };
        let known = name_of(tool);
        // One tool may be described at several places of a page: the first says most, being the outermost.
        if !tool.name.is_empty() && !seen.contains(&known) {
            seen.push(known.clone());
            tools.push((known, entry));
        }
    }
    for list in graph.nodes.iter().filter(|node| is(node, &["ItemList"])) {
        if let Some(entry) = comparison_entry(&graph, list, &tools, url) {
            entries.push(entry);
            break;
        }
    }
    let compared: Vec<String> = entries
        .iter()
        .flat_map(|entry| entry.tools.iter().map(name_of))
        .collect();
    let is_alone = compared.is_empty() && tools.len() == 1;
    for (name, mut entry) in tools {
        if compared.contains(&name) {
            continue;
        }
        if is_alone {
            entry.guid = canonical_url(url);
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// Identity of a tool within a page.
fn name_of(tool: &FoundTool) -> String {
    match tool.slug.as_str() {
        "" => tool.name.to_lowercase(),
        slug => slug.to_owned(),
    }
}

fn tool_entry(graph: &Graph, node: &Node, url: &Url, mapping: &SourceMapping) -> FoundEntry {
    let mut entry = FoundEntry {
        url: Some(url.to_string()),
        ..FoundEntry::default()
    };
    let mut reviews: Vec<&Node> = graph.objects(node, "review");
    reviews.extend(graph.objects(node, "reviews"));
    reviews.extend(reviews_elsewhere(graph, node));
    let mut dates: Vec<Timestamp> = Vec::new();
    let mut tool = FoundTool {
        slug: slug(&line(node, "identifier")),
        name: line(node, "name"),
        category: line(node, "applicationCategory"),
        tagline: ["abstract", "alternativeHeadline", "slogan"]
            .iter()
            .map(|name| line(node, name))
            .find(|line| !line.is_empty())
            .unwrap_or_default(),
        description: text(node, "description"),
        url: ["url", "sameAs"]
            .iter()
            .map(|name| makers_page(&line(node, name), url))
            .find(|found| !found.is_empty())
            .unwrap_or_default(),
        sample: property(graph, node, "sample").as_deref() == Some("true"),
        ..FoundTool::default()
    };
    if tool.category.is_empty() {
        tool.category = line(node, "category");
    }
    offers(graph, node, &mut tool);
    for review in reviews {
        dates.extend(time(&line(review, "datePublished")));
        match found_review(graph, review, mapping) {
            Ok(found)
                if tool
                    .reviews
                    .iter()
                    .any(|known| known.reviewer == found.reviewer) => {}
            Ok(found) => tool.reviews.push(found),
            Err(note) => entry.remark(RemarkKind::Note, &tool.name.clone(), note),
        }
    }
    tool.published_at = time(&line(node, "datePublished")).or_else(|| dates.into_iter().min());
    entry.title.clone_from(&tool.name);
    entry.guid = format!("{}#{}", canonical_url(url), name_of(&tool));
    entry.tools.push(tool);
    entry
}

/// A slug, where the text is one.
fn slug(text: &str) -> String {
    match text.parse::<Slug>() {
        Ok(slug) => slug.to_string(),
        Err(_) => String::new(),
    }
}

/// The address of the maker's page: pages often give their own there, which says nothing of the maker.
fn makers_page(text: &str, page: &Url) -> String {
    match page.join(text) {
        Ok(url) if text.is_empty() || canonical_url(&url) == canonical_url(page) => String::new(),
        Ok(url) if url.host() == page.host() && !text.is_empty() => String::new(),
        Ok(url) => url.to_string(),
        Err(_) => String::new(),
    }
}

/// Reviews that stand by themselves and name the tool.
fn reviews_elsewhere<'g>(graph: &'g Graph, tool: &Node) -> Vec<&'g Node> {
    let id = tool.get("@id").and_then(Value::as_str);
    let name = line(tool, "name");
    let is_about = |review: &&Node| {
        let Some(Value::Object(about)) = review.get("itemReviewed") else {
            return false;
        };
        let about_id = about.get("@id").and_then(Value::as_str);
        (id.is_some() && about_id == id) || (!name.is_empty() && line(about, "name") == name)
    };
    let nodes = graph.nodes.iter();
    nodes
        .filter(|node| is(node, &["Review", "CriticReview"]))
        .filter(is_about)
        .collect()
}

/// The value of an `additionalProperty` of that name.
fn property(graph: &Graph, node: &Node, wanted: &str) -> Option<String> {
    let properties = graph.objects(node, "additionalProperty");
    let found = properties
        .into_iter()
        .find(|property| line(property, "name").eq_ignore_ascii_case(wanted))?;
    match found.get("value") {
        Some(Value::Bool(is_so)) => Some(is_so.to_string()),
        _ => Some(line(found, "value")),
    }
}

fn found_review(
    graph: &Graph,
    review: &Node,
    mapping: &SourceMapping,
) -> Result<FoundReview, String> {
    let author = graph.objects(review, "author");
    let name = match author.first() {
        Some(author) => line(author, "name"),
        None => line(review, "author"),
    };
    let reviewer = reviewer(&name, mapping).ok_or_else(|| {
        format!("The review by \"{name}\" is left out: they are none of the panel, and the mapping does not name them.")
    })?;
    let rating = graph.objects(review, "reviewRating");
    let rating = rating.first();
    let value = rating
        .map(|rating| line(rating, "ratingValue"))
        .unwrap_or_default();
    // Five where nobody says (schema.org, bestRating).
    let best = rating
        .map(|rating| line(rating, "bestRating"))
        .filter(|best| !best.is_empty());
    let best = best.unwrap_or_else(|| "5".into());
    let mut take = text(review, "reviewBody");
    if take.is_empty() {
        take = notes(graph, review);
    }
    Ok(FoundReview {
        reviewer,
        score: match value.contains('/') {
            true => score(&value),
            false => score(&format!("{value}/{best}")),
        },
        verdict: property(graph, review, "verdict")
            .or_else(|| rating.map(|rating| line(rating, "ratingExplanation")))
            .as_deref()
            .and_then(verdict),
        take,
        quote: None,
    })
}

/// What speaks for and against it, as a sentence each.
fn notes(graph: &Graph, review: &Node) -> String {
    let list = |name: &str| -> String {
        let mut items: Vec<String> = Vec::new();
        for value in review.get(name).map(each).unwrap_or_default() {
            match graph.resolve(value) {
                Some(node) => {
                    let elements = graph.objects(node, "itemListElement");
                    items.extend(elements.iter().map(|element| line(element, "name")));
                }
                None => items.push(text_of(value)),
            }
        }
        items.retain(|item| !item.is_empty());
        items.join("; ")
    };
    [
        ("For it", list("positiveNotes")),
        ("Against it", list("negativeNotes")),
    ]
    .into_iter()
    .filter(|(_, list)| !list.is_empty())
    .map(|(what, list)| format!("{what}: {}.", list.trim_end_matches('.')))
    .collect::<Vec<_>>()
    .join(" ")
}

fn offers(graph: &Graph, node: &Node, tool: &mut FoundTool) {
    let offers = graph.objects(node, "offers");
    let Some(offer) = offers.first() else {
        return;
    };
    let price = ["price", "lowPrice"]
        .iter()
        .map(|name| line(offer, name))
        .find(|price| !price.is_empty());
    let currency = line(offer, "priceCurrency");
    let said = price.map(|price| match price.parse::<f64>() {
        Ok(0.0) => "Free".to_owned(),
        _ => format!("{price} {currency}").trim().to_owned(),
    });
    tool.entry_price = match line(offer, "name") {
        name if name.is_empty() => said.clone().unwrap_or_default(),
        name => name,
    };
    tool.pricing = match line(offer, "description") {
        words if words.is_empty() => said.unwrap_or_default(),
        words => words,
    };
}

/// A list of two tools of the page.
fn comparison_entry(
    graph: &Graph,
    list: &Node,
    tools: &[(String, FoundEntry)],
    url: &Url,
) -> Option<FoundEntry> {
    let elements = graph.objects(list, "itemListElement");
    let items: Vec<&Node> = elements
        .into_iter()
        .filter_map(|element| match element.get("item") {
            Some(item) => graph.resolve(item),
            None => Some(element),
        })
        .collect();
    let [left, right] = items.as_slice() else {
        return None;
    };
    let known = |item: &Node| {
        let (slug, name) = (slug(&line(item, "identifier")), line(item, "name"));
        tools.iter().find(|(_, entry)| {
            let mut found = entry.tools.iter();
            found.any(|tool| (!slug.is_empty() && tool.slug == slug) || tool.name == name)
        })
    };
    let ((left, left_entry), (right, right_entry)) = (known(left)?, known(right)?);
    if left == right {
        return None;
    }
    let mut entry = FoundEntry {
        guid: canonical_url(url),
        url: Some(url.to_string()),
        title: format!("{} vs {}", left_entry.title, right_entry.title),
        ..FoundEntry::default()
    };
    for found in [left_entry, right_entry] {
        entry.tools.extend(found.tools.iter().cloned());
        entry.remarks.extend(found.remarks.iter().cloned());
    }
    let named = |entry: &FoundEntry| {
        let tool = entry.tools.first();
        tool.map(|tool| match tool.slug.as_str() {
            "" => tool.name.clone(),
            slug => slug.to_owned(),
        })
        .unwrap_or_default()
    };
    entry.comparisons.push(FoundComparison {
        slug: slug(&line(list, "identifier")),
        left: named(left_entry),
        right: named(right_entry),
        published_at: date_of(graph, list),
        sample: entry.tools.iter().any(|tool| tool.sample),
    });
    Some(entry)
}

/// When the page that has the list as its subject was published.
fn date_of(graph: &Graph, list: &Node) -> Option<Timestamp> {
    let is_its_page = |node: &&Node| {
        let entities = graph.objects(node, "mainEntity");
        entities.into_iter().any(|entity| entity == list)
    };
    let page = graph.nodes.iter().find(is_its_page);
    time(&line(page.unwrap_or(list), "datePublished"))
}
