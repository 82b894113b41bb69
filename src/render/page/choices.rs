//! Readers' choices: votes and saved tools, on the pages and behind the links of a digest.

use askama::Template;

use super::PageFrame;
use super::notice::Button;
use super::notice::NoticePage;
use crate::domain::catalogue::RatedComparison;
use crate::domain::catalogue::RatedTool;
use crate::domain::catalogue::Slug;
use crate::domain::catalogue::Verdict;
use crate::domain::reader::ReaderToolState;
use crate::domain::reader::Saved;
use crate::domain::reader::turns;
use crate::render::RenderError;
use crate::render::Site;
use crate::render::date::Date;
use crate::render::view::ComparisonView;
use crate::render::view::TextLimits;
use crate::render::view::ToolView;

/// Whoever looks at a page, and what they did so far.
#[derive(Debug, Clone, Default)]
pub struct VisitorView {
    /// True if they came with a reader's cookie.
    pub is_reader: bool,
    /// Their votes and saved tools of the page, in the page's order.
    pub standings: Vec<ReaderToolState>,
    /// Tools that they saved last: slug and name.
    pub saved: Vec<(Slug, String)>,
}

impl VisitorView {
    pub(super) fn choices<'a>(
        &self,
        index: usize,
        contender: &'a RatedTool,
        back: &str,
    ) -> Choices<'a> {
        let standing = self.standings.get(index).copied().unwrap_or_default();
        Choices::new(contender, standing, back)
    }
}

/// The buttons by which a tool is voted on and saved.
pub(super) struct Choices<'a> {
    pub slug: &'a Slug,
    pub name: String,
    pub community: String,
    pub vote: Option<Verdict>,
    pub saved: bool,
    /// The page that the answer leads back to.
    pub back: String,
}

impl<'a> Choices<'a> {
    pub fn new(contender: &'a RatedTool, standing: ReaderToolState, back: &str) -> Self {
        let side = ToolView::new(contender, TextLimits::PAGE);
        Self {
            slug: side.slug,
            name: side.name,
            community: side.community,
            vote: standing.vote,
            saved: standing.saved,
            back: back.into(),
        }
    }

    pub fn says(&self, verdict: &str) -> bool {
        self.vote.is_some_and(|vote| vote.as_str() == verdict)
    }
}

/// Behind a vote's link in a mail: what was chosen, and one button that counts it.
pub fn vote(
    site: &Site,
    contender: &RatedTool,
    verdict: Verdict,
    standing: ReaderToolState,
    token: &str,
) -> Result<String, RenderError> {
    let side = ToolView::new(contender, TextLimits::PAGE);
    let heading = format!("{} {}?", title(verdict), side.name);
    let now = match standing.vote {
        None => "You have not voted on it yet.".into(),
        Some(vote) if vote == verdict => format!("That is your vote already: {vote}."),
        Some(vote) => format!("Your vote so far is {vote}; the button changes it."),
    };
    let panel = format!("The panel says {}. {}.", side.panel.count(), side.community);
    let button = Button {
        action: format!("vote/{}/{verdict}", side.slug),
        token,
        label: format!("Count my vote: {verdict}"),
    };
    Ok(NoticePage {
        button: Some(button),
        link: None,
        ..NoticePage::new(site, &heading, &[&panel, &now])
    }
    .render()?)
}

/// Behind the link that saves a tool: one button.
pub fn save(
    site: &Site,
    contender: &RatedTool,
    standing: ReaderToolState,
    token: &str,
) -> Result<String, RenderError> {
    let side = ToolView::new(contender, TextLimits::PAGE);
    let heading = format!("Save {} for later?", side.name);
    let sentence = match standing.saved {
        true => "It is among your saved tools already.",
        false => {
            "It then stands among your saved tools, and you read it first when the panel changes its mind."
        }
    };
    let button = Button {
        action: format!("save/{}", side.slug),
        token,
        label: "Save for later".into(),
    };
    Ok(NoticePage {
        button: Some(button),
        link: None,
        ..NoticePage::new(site, &heading, &[sentence])
    }
    .render()?)
}

fn title(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ship => "Ship",
        Verdict::Skip => "Skip",
    }
}

#[derive(Template)]
#[template(path = "web/chosen.html", whitespace = "minimize")]
struct ChosenPage<'a> {
    frame: PageFrame<'a>,
    heading: String,
    sentence: String,
    choices: Choices<'a>,
    token: &'a str,
}

#[derive(Template)]
#[template(path = "web/choose.html", whitespace = "minimize")]
struct ChoosePage<'a> {
    frame: PageFrame<'a>,
    duel: ComparisonView<'a>,
    choices: Vec<Choices<'a>>,
    token: &'a str,
}

/// Behind a comparison's link in a mail: both tools, each with the buttons by which it is voted on and saved. `standings`: left first.
pub fn choose(
    site: &Site,
    matchup: &RatedComparison,
    standings: &[ReaderToolState],
    token: &str,
) -> Result<String, RenderError> {
    let duel = ComparisonView::new(site, matchup, TextLimits::PAGE);
    let back = format!("/comparisons/{}", duel.slug);
    let choices = matchup
        .contenders()
        .into_iter()
        .enumerate()
        .map(|(i, side)| {
            let standing = standings.get(i).copied().unwrap_or_default();
            Choices::new(side, standing, &back)
        });
    Ok(ChoosePage {
        frame: PageFrame::private(site, "Your verdict".into(), &duel.title()),
        choices: choices.collect(),
        duel,
        token,
    }
    .render()?)
}

/// After a vote by a mail's link: what counts now, and what else one can do with the tool.
pub fn voted(
    site: &Site,
    contender: &RatedTool,
    standing: ReaderToolState,
    token: &str,
) -> Result<String, RenderError> {
    let sentence = "You can change it whenever you like: here, on the site, or from any digest.";
    chosen(
        site,
        contender,
        standing,
        token,
        "Your vote counts",
        sentence,
    )
}

/// After saving by a mail's link.
pub fn saved(
    site: &Site,
    contender: &RatedTool,
    standing: ReaderToolState,
    token: &str,
) -> Result<String, RenderError> {
    chosen(
        site,
        contender,
        standing,
        token,
        "Saved for later",
        "When the panel changes its mind about it, you read it first in your next digest.",
    )
}

fn chosen<'a>(
    site: &'a Site,
    contender: &'a RatedTool,
    standing: ReaderToolState,
    token: &'a str,
    heading: &str,
    sentence: &str,
) -> Result<String, RenderError> {
    let choices = Choices::new(
        contender,
        standing,
        &format!("/tools/{}", contender.tool.slug),
    );
    let frame = PageFrame::private(site, heading.to_owned(), sentence);
    Ok(ChosenPage {
        frame,
        heading: heading.into(),
        sentence: sentence.into(),
        choices,
        token,
    }
    .render()?)
}

#[derive(Template)]
#[template(path = "web/saved.html", whitespace = "minimize")]
struct SavedPage<'a> {
    frame: PageFrame<'a>,
    rows: Vec<SavedView<'a>>,
    token: &'a str,
}

struct SavedView<'a> {
    side: ToolView<'a>,
    at: Date,
    /// Changes since, newest first.
    news: Vec<String>,
}

/// Returns what a reader saved: each tool's verdict now, and what changed since it was saved.
pub fn saved_tools(site: &Site, saved: &[Saved], token: &str) -> Result<String, RenderError> {
    let rows = saved.iter().map(|saved| SavedView {
        side: ToolView::new(&saved.contender, TextLimits::PAGE),
        at: Date::new(site, saved.at),
        news: news(site, saved),
    });
    let frame = PageFrame::private(
        site,
        "Saved for later".into(),
        "The tools that you saved, and what became of them.",
    );
    Ok(SavedPage {
        frame,
        rows: rows.collect(),
        token,
    }
    .render()?)
}

fn news(site: &Site, saved: &Saved) -> Vec<String> {
    let then = crate::domain::reader::PanelPoint {
        at: saved.at,
        panel: saved.then,
        points: 0,
    };
    let points: Vec<_> = std::iter::once(then)
        .chain(saved.since.iter().copied())
        .collect();
    let turned = turns(&points).map(|(at, before, after)| {
        format!(
            "{} became {} on {}",
            before.label(),
            after.label(),
            Date::new(site, at).words
        )
    });
    let mut news: Vec<String> = turned.collect();
    let (now, before) = (saved.contender.tool.panel(), saved.then);
    if news.is_empty() && now != before {
        news.push(format!(
            "The panel stood at {} ship / {} skip when you saved it",
            before.ships, before.skips
        ));
    }
    news.reverse();
    news
}
