//! Every page of the site, the feed and the stylesheet. Lists of the catalogue are in `browsing`, past digests in `archive`, captured mails in `captured`, pages
//! that say one thing in `notice`, what readers choose in `choices`, what search engines read in `data`.

mod archive;
mod browsing;
mod captured;
mod choices;
mod data;
mod embedding;
mod history;
mod notice;
mod preferences;
mod reference;
mod review;

use std::fmt::Write as _;
use std::sync::LazyLock;

use askama::Template;
use sha2::Digest as _;
use sha2::Sha256;

use super::RenderError;
use super::Site;
use super::date::Date;
use super::text::clean;
use super::text::shorten;
use super::view::ComparisonView;
use super::view::Opinion;
use super::view::TextLimits;
use super::view::ToolView;
use crate::domain::Timestamp;
use crate::domain::catalogue::RatedComparison;
use crate::domain::catalogue::RatedTool;
use crate::domain::catalogue::Reviewer;
use crate::domain::reader::PanelPoint;
pub use archive::DigestEntry;
pub use archive::digest;
pub use archive::digests;
pub use archive::feed;
pub use browsing::ListPart;
pub use browsing::comparisons;
pub use browsing::search;
pub use browsing::site_map;
pub use browsing::tools;
pub use captured::CapturedRow;
pub use captured::MailView;
pub use captured::mailbox;
pub use captured::mailbox_mail;
use choices::Choices;
pub use choices::VisitorView;
pub use choices::choose;
pub use choices::save;
pub use choices::saved;
pub use choices::saved_tools;
pub use choices::vote;
pub use choices::voted;
pub use embedding::embed;
use history::HistoryView;
pub use notice::arrival;
pub use notice::check_inbox;
pub use notice::confirm;
pub use notice::confirmed;
pub use notice::goodbye;
pub use notice::link_expired;
pub use notice::monthly;
pub use notice::notice_page;
pub use notice::problem;
pub use notice::unsubscribe;
pub use preferences::RefusedField;
pub use preferences::ZoneField;
pub use preferences::account;
pub use preferences::confirm_erasure;
pub use preferences::confirm_move;
pub use preferences::preferences;
pub use reference::OperationField;
pub use reference::OperationGroup;
pub use reference::OperationView;
pub use reference::reference;
pub use review::ReviewView;
pub use review::review;

/// The sign-up form as it is shown: empty at first; refused, it keeps what was typed and says what is wrong.
#[derive(Debug, Clone, Copy, Default)]
pub struct SignUpForm<'a> {
    /// Text as it was typed.
    pub email: &'a str,
    /// Fault in it, as a sentence.
    pub problem: Option<&'a str>,
}

/// The site's icon, an SVG.
pub const ICON: &str = include_str!("../../../templates/web/icon.svg");

/// A file that pages ask for.
#[derive(Debug)]
pub struct Asset {
    /// Path at which it is served. It changes with the text, so it may be cached for ever.
    pub path: String,
    /// Its text.
    pub text: &'static str,
}

impl Asset {
    pub(in crate::render) fn new(name: &str, ending: &str, text: &'static str) -> Self {
        let hash = Sha256::digest(text)
            .iter()
            .take(6)
            .fold(String::new(), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x}");
                hex
            });
        Self {
            path: format!("/assets/{name}-{hash}.{ending}"),
            text,
        }
    }
}

/// The stylesheet of all pages.
pub fn stylesheet() -> &'static Asset {
    static STYLESHEET: LazyLock<Asset> = LazyLock::new(|| {
        Asset::new(
            "style",
            "css",
            include_str!("../../../templates/web/style.css"),
        )
    });
    &STYLESHEET
}

/// The one script, without which everything works too.
pub fn script() -> &'static Asset {
    static SCRIPT: LazyLock<Asset> =
        LazyLock::new(|| Asset::new("site", "js", include_str!("../../../templates/web/site.js")));
    &SCRIPT
}

/// Returns what a person agrees to by signing up: stands beside the button, and in the record of their consent.
pub fn consent_sentence(site: &Site) -> String {
    format!(
        "By signing up you agree to get {} from {} by email, about once a week, until you unsubscribe with the link in every digest.",
        clean(&site.newsletter),
        clean(&site.name)
    )
}

/// Frame of every page.
struct PageFrame<'a> {
    site: &'a Site,
    style: &'static str,
    script: &'static str,
    title: String,
    description: String,
    /// The page's own address; `None` for pages that are not to be found by search, like those behind a token.
    canonical: Option<String>,
    /// Since when it stands, for what is an article.
    published: Option<String>,
    /// Picture that other sites show beside a link to it.
    picture: Option<PagePicture>,
    /// Data for search engines: JSON that can stand in a script element.
    data: Option<String>,
}

/// A picture of a page.
struct PagePicture {
    url: String,
    /// For whoever does not see it.
    words: String,
}

impl<'a> PageFrame<'a> {
    fn public(site: &'a Site, path: &str, title: String, description: &str) -> Self {
        Self {
            canonical: Some(site.link(path)),
            ..Self::private(site, title, description)
        }
    }

    fn private(site: &'a Site, title: String, description: &str) -> Self {
        Self {
            site,
            style: &stylesheet().path,
            script: &script().path,
            title: clean(&title),
            description: shorten(description, 160),
            canonical: None,
            published: None,
            picture: None,
            data: None,
        }
    }

    /// The front's title begins with the site's name; the others end in it.
    fn ends_in_name(&self) -> bool {
        !self.title.starts_with(&clean(&self.site.name))
    }
}

fn rfc3339(moment: Timestamp) -> String {
    moment.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// The form with what stands beside it.
struct FormView<'a> {
    form: SignUpForm<'a>,
    consent: String,
    /// The publisher's pages about privacy and themselves, with their words.
    links: Vec<(&'static str, &'a str)>,
}

impl<'a> FormView<'a> {
    fn new(site: &'a Site, form: &SignUpForm<'a>) -> Self {
        Self {
            form: *form,
            consent: consent_sentence(site),
            links: site.face.links(),
        }
    }
}

#[derive(Template)]
#[template(path = "web/front.html", whitespace = "minimize")]
struct FrontPage<'a> {
    frame: PageFrame<'a>,
    sign_up: FormView<'a>,
    latest: Vec<ComparisonView<'a>>,
    sample: bool,
}

/// The site's front: what it is, the sign-up form, the latest comparisons.
pub fn front(
    site: &Site,
    latest: &[RatedComparison],
    form: &SignUpForm<'_>,
) -> Result<String, RenderError> {
    let description = "New AI tools ship daily. A panel of five reviewers puts them side by side and says which one to ship.";
    let frame = PageFrame::public(
        site,
        "/",
        format!("{}: {}", site.name, site.newsletter),
        description,
    );
    let sample = latest.iter().any(RatedComparison::is_sample);
    Ok(FrontPage {
        frame,
        sign_up: FormView::new(site, form),
        latest: duels(site, latest),
        sample,
    }
    .render()?)
}

fn duels<'a>(site: &Site, matchups: &'a [RatedComparison]) -> Vec<ComparisonView<'a>> {
    matchups
        .iter()
        .map(|matchup| ComparisonView::new(site, matchup, TextLimits::PAGE))
        .collect()
}

#[derive(Template)]
#[template(path = "web/comparison.html", whitespace = "minimize")]
struct ComparisonPage<'a> {
    frame: PageFrame<'a>,
    duel: ComparisonView<'a>,
    choices: [Choices<'a>; 2],
    visit: &'a VisitorView,
    related: Vec<ComparisonView<'a>>,
    sign_up: FormView<'a>,
}

/// One comparison, with everything that is known of both tools.
pub fn comparison(
    site: &Site,
    matchup: &RatedComparison,
    related: &[RatedComparison],
    visit: &VisitorView,
    form: &SignUpForm<'_>,
) -> Result<String, RenderError> {
    let duel = ComparisonView::new(site, matchup, TextLimits::PAGE);
    let [left, right] = &duel.sides;
    let title = format!(
        "{} or {}: which one should you ship?",
        left.name, right.name
    );
    let description = format!(
        "{}: {}. {}: {}. Panel verdicts, scores, pricing and the community's vote side by side.",
        left.name,
        left.panel.0.label(),
        right.name,
        right.panel.0.label()
    );
    let path = format!("/comparisons/{}", duel.slug);
    let words = format!(
        "{title} The panel says of {}: {}; of {}: {}.",
        left.name,
        left.panel.count(),
        right.name,
        right.panel.count()
    );
    let frame = PageFrame {
        published: Some(rfc3339(matchup.comparison.published_at)),
        picture: Some(PagePicture {
            url: site.link(&format!("{path}/picture.png")),
            words: shorten(&words, 400),
        }),
        data: Some(data::of_comparison(site, matchup)),
        ..PageFrame::public(site, &path, title, &description)
    };
    let choices = [
        visit.choices(0, &matchup.left, &path),
        visit.choices(1, &matchup.right, &path),
    ];
    Ok(ComparisonPage {
        frame,
        choices,
        visit,
        related: duels(site, related),
        sign_up: FormView::new(site, form),
        duel,
    }
    .render()?)
}

#[derive(Template)]
#[template(path = "web/tool.html", whitespace = "minimize")]
struct ToolPage<'a> {
    frame: PageFrame<'a>,
    side: ToolView<'a>,
    choices: Choices<'a>,
    history: Option<HistoryView>,
    reviews: Vec<(Reviewer, Option<Opinion>)>,
    comparisons: Vec<ComparisonView<'a>>,
    first_verdict: Date,
    sign_up: FormView<'a>,
}

/// One tool: its reviews, its score over time until `now` and its comparisons.
pub fn tool(
    site: &Site,
    contender: &RatedTool,
    history: &[PanelPoint],
    comparisons: &[RatedComparison],
    visit: &VisitorView,
    form: &SignUpForm<'_>,
    now: Timestamp,
) -> Result<String, RenderError> {
    let side = ToolView::new(contender, TextLimits::PAGE);
    let review = |reviewer: &Reviewer| {
        (
            *reviewer,
            contender
                .tool
                .review_by(*reviewer)
                .map(|review| Opinion::new(review, TextLimits::PAGE)),
        )
    };
    let description = format!("{}: {}", side.panel.count(), side.best_for);
    let path = format!("/tools/{}", side.slug);
    let title = format!("{}: ship or skip?", side.name);
    let page = ToolPage {
        frame: PageFrame {
            data: Some(data::of_tool(site, contender)),
            ..PageFrame::public(site, &path, title, &description)
        },
        choices: visit.choices(0, contender, &path),
        history: HistoryView::new(site, history, now),
        reviews: Reviewer::ALL.iter().map(review).collect(),
        comparisons: duels(site, comparisons),
        first_verdict: Date::new(site, contender.tool.published_at),
        sign_up: FormView::new(site, form),
        side,
    };
    Ok(page.render()?)
}
