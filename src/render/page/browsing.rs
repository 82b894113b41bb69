//! Lists of the catalogue, the search, and the site map.

use askama::Template;

use super::PageFrame;
use super::duels;
use super::rfc3339;
use crate::domain::Timestamp;
use crate::domain::catalogue::RatedComparison;
use crate::domain::catalogue::RatedTool;
use crate::domain::catalogue::Slug;
use crate::domain::catalogue::category_key;
use crate::render::RenderError;
use crate::render::Site;
use crate::render::view::ComparisonView;
use crate::render::view::TextLimits;
use crate::render::view::ToolView;

/// Part of a list that is shown.
#[derive(Debug, Clone, Copy)]
pub struct ListPart<'a> {
    /// Every category of the catalogue.
    pub categories: &'a [String],
    /// The one that the list is limited to.
    pub category: Option<&'a str>,
    /// True for a page after the first, which search engines need not keep.
    pub is_later: bool,
    /// Last entry of this page if another page follows.
    pub next: Option<&'a Slug>,
}

impl ListPart<'_> {
    /// `?category=..&after=..`, or nothing for the first page of everything.
    fn query(category: Option<&str>, after: Option<&Slug>) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        if let Some(category) = category {
            query.append_pair("category", category);
        }
        if let Some(after) = after {
            query.append_pair("after", after.as_str());
        }
        let query = query.finish();
        if query.is_empty() {
            query
        } else {
            format!("?{query}")
        }
    }

    fn next_page(&self, path: &str) -> Option<String> {
        let next = self.next?;
        Some(format!("{path}{}", Self::query(self.category, Some(next))))
    }

    fn links(&self) -> Vec<CategoryLink<'_>> {
        let chosen = self.category.map(category_key);
        let all = CategoryLink {
            name: "All",
            query: String::new(),
            chosen: chosen.is_none(),
        };
        let each = self.categories.iter().map(|name| CategoryLink {
            name,
            query: Self::query(Some(name), None),
            chosen: chosen.as_ref() == Some(&category_key(name)),
        });
        std::iter::once(all).chain(each).collect()
    }

    fn frame<'s>(
        &self,
        site: &'s Site,
        path: &str,
        title: &str,
        description: &str,
    ) -> PageFrame<'s> {
        let title = match self.category {
            Some(category) => format!("{title}: {category}"),
            None => title.to_owned(),
        };
        if self.is_later {
            PageFrame::private(site, title, description)
        } else {
            let address = format!("{path}{}", Self::query(self.category, None));
            PageFrame::public(site, &address, title, description)
        }
    }
}

/// A category above a list.
struct CategoryLink<'a> {
    name: &'a str,
    query: String,
    chosen: bool,
}

#[derive(Template)]
#[template(path = "web/comparisons.html", whitespace = "minimize")]
struct ComparisonsPage<'a> {
    frame: PageFrame<'a>,
    category: Option<&'a str>,
    categories: Vec<CategoryLink<'a>>,
    duels: Vec<ComparisonView<'a>>,
    next: Option<String>,
}

/// A page of all comparisons, or of one category's.
pub fn comparisons(
    site: &Site,
    matchups: &[RatedComparison],
    shown: ListPart<'_>,
) -> Result<String, RenderError> {
    let path = "/comparisons";
    let description = "Every comparison of two AI tools, with the panel's verdicts.";
    Ok(ComparisonsPage {
        frame: shown.frame(site, path, "Comparisons", description),
        category: shown.category,
        categories: shown.links(),
        duels: duels(site, matchups),
        next: shown.next_page(path),
    }
    .render()?)
}

#[derive(Template)]
#[template(path = "web/tools.html", whitespace = "minimize")]
struct ToolsPage<'a> {
    frame: PageFrame<'a>,
    category: Option<&'a str>,
    categories: Vec<CategoryLink<'a>>,
    tools: Vec<ToolView<'a>>,
    next: Option<String>,
}

/// A page of all tools, or of one category's.
pub fn tools(site: &Site, tools: &[RatedTool], shown: ListPart<'_>) -> Result<String, RenderError> {
    let path = "/tools";
    let description = "Every AI tool that the panel gave a verdict on.";
    Ok(ToolsPage {
        frame: shown.frame(site, path, "Tools", description),
        category: shown.category,
        categories: shown.links(),
        tools: sides(tools),
        next: shown.next_page(path),
    }
    .render()?)
}

fn sides(tools: &[RatedTool]) -> Vec<ToolView<'_>> {
    tools
        .iter()
        .map(|tool| ToolView::new(tool, TextLimits::PAGE))
        .collect()
}

#[derive(Template)]
#[template(path = "web/search.html", whitespace = "minimize")]
struct SearchPage<'a> {
    frame: PageFrame<'a>,
    asked: &'a str,
    tools: Vec<ToolView<'a>>,
    more: bool,
    duels: Vec<ComparisonView<'a>>,
}

/// Results of a search for `asked`; `more`: there are more tools than are shown.
pub fn search(
    site: &Site,
    asked: &str,
    tools: &[RatedTool],
    more: bool,
    matchups: &[RatedComparison],
) -> Result<String, RenderError> {
    Ok(SearchPage {
        frame: PageFrame::private(site, "Search".into(), "Search for a tool."),
        asked,
        tools: sides(tools),
        more,
        duels: duels(site, matchups),
    }
    .render()?)
}

#[derive(Template)]
#[template(path = "web/sitemap.xml")]
struct SiteMapXml {
    urls: Vec<(String, Option<String>)>,
}

/// The site map (sitemaps.org, protocol 0.9) of these paths, each with the time of its last change where that is known.
pub fn site_map(site: &Site, paths: &[(String, Option<Timestamp>)]) -> Result<String, RenderError> {
    let urls = paths
        .iter()
        .map(|(path, changed)| (site.link(path), changed.map(rfc3339)))
        .collect();
    Ok(SiteMapXml { urls }.render()?)
}
