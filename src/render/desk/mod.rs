//! The desk's pages. What stands around each is here; signing in is in [`gate`], [`passkeys`] and [`providers`], one's own account in [`account`], users in [`users`], webhook endpoints in [`webhooks`], API tokens in [`tokens`](tokens()),
//! subscribers in [`subscribers`] and [`subscriber`], tools and comparisons in [`catalogue`] and [`catalogue_import`], sources and proposals in [`sources`], a week and its mail in [`week`], its text in [`write`], its results in [`results`]; charts are drawn in [`chart`].

mod account;
mod catalogue;
mod catalogue_import;
pub mod chart;
mod deliverability;
mod gate;
mod growth;
mod jobs;
mod notices;
mod operation;
mod passkeys;
mod providers;
mod results;
mod settings;
mod sources;
mod subscriber;
mod subscribers;
mod tokens;
mod users;
mod webhooks;
mod week;
mod write;

use std::sync::LazyLock;

use super::Site;
use super::page::Asset;
use super::text::clean;
use crate::domain::user::AccessLevel;
use crate::domain::user::Area;
use crate::domain::user::User;

pub use account::AccountView;
pub use account::SessionView;
pub use account::account;
pub use account::recovery_codes;
pub use account::second_factor;
pub use catalogue::CatalogueFilterView;
pub use catalogue::CatalogueList;
pub use catalogue::ComparisonFormView;
pub use catalogue::ComparisonLine;
pub use catalogue::EntryField;
pub use catalogue::PublishFields;
pub use catalogue::ReviewFields;
pub use catalogue::ToolCardView;
pub use catalogue::ToolFormView;
pub use catalogue::ToolLine;
pub use catalogue::VerdictQuestion;
pub use catalogue::catalogue_comparisons;
pub use catalogue::catalogue_tools;
pub use catalogue::comparison_form;
pub use catalogue::tool_card;
pub use catalogue::tool_form;
pub use catalogue_import::CatalogueImportView;
pub use catalogue_import::ChangedField;
pub use catalogue_import::CountLine;
pub use catalogue_import::DifferenceLine;
pub use catalogue_import::catalogue_import;
pub use catalogue_import::catalogue_upload;
pub use deliverability::DeliverabilityView;
pub use deliverability::DeskRelay;
pub use deliverability::DnsView;
pub use deliverability::HeldView;
pub use deliverability::RecordView;
pub use deliverability::ReturnedLine;
pub use deliverability::ReturnedPerson;
pub use deliverability::SuppressionRow;
pub use deliverability::SuppressionsView;
pub use deliverability::deliverability;
pub use deliverability::returned;
pub use deliverability::suppressions;
pub use gate::Autocomplete;
pub use gate::Check;
pub use gate::FormField;
pub use gate::GateForm;
pub use gate::OtherWays;
pub use gate::form;
pub use gate::form_or;
pub use growth::CohortRow;
pub use growth::FigureView;
pub use growth::GrowthRow;
pub use growth::GrowthView;
pub use growth::growth;
pub use jobs::ColumnView;
pub use jobs::ImportView;
pub use jobs::JobView;
pub use jobs::import;
pub use jobs::job;
pub use jobs::jobs;
pub use jobs::upload;
pub use notices::NoticeLine;
pub use notices::NoticeMailLine;
pub use notices::NoticesView;
pub use notices::notices;
pub use operation::AuditLine;
pub use operation::AuditPageView;
pub use operation::FindingLine;
pub use operation::audit;
pub use operation::diagnostics;
pub use passkeys::PasskeyForm;
pub use passkeys::PasskeyView;
pub use passkeys::passkey_new;
pub use providers::IdentityView;
pub use providers::ProviderButton;
pub use providers::onward;
pub use results::BesideRow;
pub use results::LeaverRow;
pub use results::ResultsView;
pub use results::left;
pub use settings::SettingForm;
pub use settings::SettingLine;
pub use settings::SettingSection;
pub use settings::setting;
pub use settings::settings;
pub use sources::ProposalLine;
pub use sources::ProposalPageView;
pub use sources::ProposalsView;
pub use sources::QuestionField;
pub use sources::RemarkLine;
pub use sources::SourceFields;
pub use sources::SourceFormView;
pub use sources::SourceLine;
pub use sources::TriedEntry;
pub use sources::TriedView;
pub use sources::proposal;
pub use sources::proposals;
pub use sources::source;
pub use sources::sources;
pub use subscriber::ConsentView;
pub use subscriber::HistoryLine;
pub use subscriber::ReportView;
pub use subscriber::ReturnedView;
pub use subscriber::SubscriberDetails;
pub use subscriber::SubscriberMail;
pub use subscriber::report;
pub use subscriber::subscriber;
pub use subscribers::ChipView;
pub use subscribers::ConditionField;
pub use subscribers::Control;
pub use subscribers::SubscriberRow;
pub use subscribers::SubscribersView;
pub use subscribers::subscribers;
pub use tokens::ScopeChoice;
pub use tokens::TokenLine;
pub use tokens::TokensView;
pub use tokens::TypedToken;
pub use tokens::token;
pub use tokens::tokens;
pub use users::UserView;
pub use users::link;
pub use users::users;
pub use webhooks::EndpointAttemptLine;
pub use webhooks::EndpointDeliveryLine;
pub use webhooks::EndpointEventView;
pub use webhooks::EndpointForm;
pub use webhooks::EndpointLine;
pub use webhooks::EndpointPageView;
pub use webhooks::webhook_endpoint;
pub use webhooks::webhook_endpoints;
pub use webhooks::webhook_event;
pub use webhooks::webhook_secret;
pub use week::ActionView;
pub use week::DigestRowView;
pub use week::EditView;
pub use week::NoteView;
pub use week::PartView;
pub use week::PickView;
pub use week::PrepareView;
pub use week::PreviewView;
pub use week::RelayView;
pub use week::Show;
pub use week::SumView;
pub use week::WeekView;
pub use week::digests;
pub use week::in_scheme;
pub use week::preview;
pub use week::progress;
pub use week::review_link;
pub use week::week;
pub use write::CheckView;
pub use write::ClashView;
pub use write::ConflictView;
pub use write::CorrectView;
pub use write::LineView;
pub use write::TextFieldView;
pub use write::WriteView;
pub use write::correct;
pub use write::line;
pub use write::write;

/// The desk's own stylesheet.
pub fn stylesheet() -> &'static Asset {
    static STYLESHEET: LazyLock<Asset> = LazyLock::new(|| {
        Asset::new(
            "desk",
            "css",
            include_str!("../../../templates/desk/desk.css"),
        )
    });
    &STYLESHEET
}

/// The desk's one script, without which everything works too.
pub fn script() -> &'static Asset {
    static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
        Asset::new(
            "desk",
            "js",
            include_str!("../../../templates/desk/desk.js"),
        )
    });
    &SCRIPT
}

/// A number as people read it: 12,431.
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A page that the navigation leads to.
struct DeskPart {
    path: &'static str,
    words: &'static str,
    area: Area,
    level: AccessLevel,
}

const fn part(path: &'static str, words: &'static str, area: Area, level: AccessLevel) -> DeskPart {
    DeskPart {
        path,
        words,
        area,
        level,
    }
}

/// A place of the navigation: one page, or several with tabs between them.
struct DeskPlace {
    words: &'static str,
    parts: &'static [DeskPart],
}

/// The places of the desk, in the order in which a week uses them.
const PLACES: [DeskPlace; 7] = [
    DeskPlace {
        words: "This week",
        parts: &[part("/desk", "This week", Area::Results, AccessLevel::Read)],
    },
    DeskPlace {
        words: "Digests",
        parts: &[part(
            "/desk/digests",
            "Digests",
            Area::Results,
            AccessLevel::Read,
        )],
    },
    DeskPlace {
        words: "Catalogue",
        parts: &[
            part("/desk/tools", "Tools", Area::Catalogue, AccessLevel::Read),
            part(
                "/desk/comparisons",
                "Comparisons",
                Area::Catalogue,
                AccessLevel::Read,
            ),
            part(
                "/desk/catalogue/import",
                "Import",
                Area::Catalogue,
                AccessLevel::Write,
            ),
            part(
                "/desk/proposals",
                "Proposals",
                Area::Catalogue,
                AccessLevel::Read,
            ),
            part(
                "/desk/sources",
                "Sources",
                Area::Catalogue,
                AccessLevel::Read,
            ),
        ],
    },
    DeskPlace {
        words: "Subscribers",
        parts: &[part(
            "/desk/subscribers",
            "Subscribers",
            Area::Subscribers,
            AccessLevel::Masked,
        )],
    },
    DeskPlace {
        words: "Growth",
        parts: &[part(
            "/desk/growth",
            "Growth",
            Area::Results,
            AccessLevel::Read,
        )],
    },
    DeskPlace {
        words: "Deliverability",
        parts: &[part(
            "/desk/deliverability",
            "Deliverability",
            Area::Results,
            AccessLevel::Read,
        )],
    },
    DeskPlace {
        words: "Settings",
        parts: &[
            part("/desk/settings", "Site", Area::Settings, AccessLevel::Read),
            part("/desk/users", "Users", Area::Settings, AccessLevel::Read),
            part(
                "/desk/tokens",
                "API tokens",
                Area::Settings,
                AccessLevel::Read,
            ),
            part(
                "/desk/webhooks",
                "Webhooks",
                Area::Settings,
                AccessLevel::Read,
            ),
            part("/desk/audit", "Audit log", Area::Audit, AccessLevel::Read),
            part(
                "/desk/diagnostics",
                "Diagnostics",
                Area::Settings,
                AccessLevel::Read,
            ),
        ],
    },
];

/// A link of the navigation.
struct NavLink {
    path: &'static str,
    words: &'static str,
    is_here: bool,
}

/// The navigation of a user who looks at a page of `here`: the places, and the tabs of the place that it belongs to.
fn navigation(user: &User, here: &str) -> (Vec<NavLink>, Vec<NavLink>) {
    let (mut nav, mut tabs) = (Vec::new(), Vec::new());
    for place in &PLACES {
        let parts = place.parts.iter();
        let parts: Vec<&DeskPart> = parts
            .filter(|part| user.role.may(part.area, part.level))
            .collect();
        let Some(first) = parts.first() else { continue };
        let is_here = parts.iter().any(|part| part.path == here);
        nav.push(NavLink {
            path: first.path,
            // Whoever may see one page of several is led to it by its own name.
            words: if parts.len() == 1 {
                first.words
            } else {
                place.words
            },
            is_here,
        });
        if is_here && parts.len() > 1 {
            let tab = |part: &&DeskPart| NavLink {
                path: part.path,
                words: part.words,
                is_here: part.path == here,
            };
            tabs = parts.iter().map(tab).collect();
        }
    }
    (nav, tabs)
}

/// Frame of every page.
pub struct DeskFrame<'a> {
    site: &'a Site,
    style: &'static str,
    script: &'static str,
    title: String,
    user: Option<&'a User>,
    notice: Option<&'a str>,
    nav: Vec<NavLink>,
    tabs: Vec<NavLink>,
}

impl<'a> DeskFrame<'a> {
    /// A page before anybody is signed in.
    pub fn gate(site: &'a Site, title: &str) -> Self {
        Self {
            site,
            style: &stylesheet().path,
            script: &script().path,
            title: clean(title),
            user: None,
            notice: None,
            nav: Vec::new(),
            tabs: Vec::new(),
        }
    }

    /// A page for a user. `here`: the path of the part that it belongs to; `notice`: told once.
    pub fn of(
        site: &'a Site,
        title: &str,
        user: &'a User,
        here: &str,
        notice: Option<&'a str>,
    ) -> Self {
        let (nav, tabs) = navigation(user, here);
        Self {
            user: Some(user),
            notice,
            nav,
            tabs,
            ..Self::gate(site, title)
        }
    }
}
