//! The list of subscribers: conditions in the address, a page at a time.

use axum::extract::RawQuery;
use axum::extract::State;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Redirect;
use axum::response::Response;

use super::super::Web;
use super::super::answer::Problem;
use super::access::Me;
use super::answers;
use crate::domain::address::mask;
use crate::domain::slot::Slot;
use crate::domain::subscriber::SubscriberState;
use crate::domain::subscriber_filter::FilterFault;
use crate::domain::subscriber_filter::IssueResult;
use crate::domain::subscriber_filter::KEYS;
use crate::domain::subscriber_filter::SubscriberFilter;
use crate::domain::user::AccessLevel;
use crate::domain::user::Area;
use crate::domain::user::User;
use crate::render::desk;
use crate::render::desk::ChipView;
use crate::render::desk::ConditionField;
use crate::render::desk::Control;
use crate::render::desk::SubscriberRow;
use crate::render::desk::SubscribersView;
use crate::storage::subscriber_list::Counted;

pub(super) const HERE: &str = "/desk/subscribers";

/// Subscribers on a page.
const ROWS: usize = 50;
/// Digests that the filter offers.
const ISSUES: i64 = 26;
/// Conditions that stand open; the others are folded away.
const FIRST: usize = 2;

pub(super) async fn list(
    State(web): State<Web>,
    Me(who): Me,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let given = Given::read(query.as_deref().unwrap_or_default());
    if given.has_empty {
        // As the form sends it: what is empty says nothing, and the address is to be kept and passed on.
        return Ok(Redirect::to(&given.path()).into_response());
    }
    let is_masked = !who.user.role.may(Area::Subscribers, AccessLevel::Read);
    let (filter, faults) = match given.filter(is_masked) {
        Ok(filter) => (filter, Vec::new()),
        Err(faults) => (SubscriberFilter::default(), faults),
    };
    let frame = answers::frame(&web, &who, "Subscribers", HERE);
    let mut view = empty_view(&web, &given, &faults).await?;
    view.may_change = who.user.role.may(Area::Subscribers, AccessLevel::Write);
    if !faults.is_empty() {
        view.is_refused = true;
        return Ok(answers::refused(desk::subscribers(frame, view)?));
    }
    view.chips = chips(&filter);
    view.pairs = filter.pairs();
    view.may_erase = who.user.role.may(Area::Erase, AccessLevel::Write);
    let segments = web.app.segments().await?;
    view.segments = segments
        .into_iter()
        // Where addresses are masked, a filter that names somebody would say who is subscribed.
        .filter(|segment| !is_masked || !names_somebody(&segment.filter))
        .map(|segment| (segment.slug, segment.name, path_of(&segment.filter, None)))
        .collect();
    let page = web
        .app
        .subscriber_page(&filter, given.after.as_deref(), ROWS)
        .await?;
    view.count = sentence(web.app.count_page(&filter).await?);
    let ids: Vec<i64> = page
        .rows
        .iter()
        .map(|row| row.listed.subscriber.id)
        .collect();
    let last = web.app.storage.last_digests(&ids).await?;
    for found in &page.rows {
        let subscriber = &found.listed.subscriber;
        let may_look = who.user.role.may(Area::Subscribers, AccessLevel::Read);
        view.rows.push(SubscriberRow {
            key: view
                .may_change
                .then(|| web.app.subscriber_name(subscriber.id)),
            href: may_look.then(|| format!("{HERE}/{}", web.app.subscriber_name(subscriber.id))),
            email: shown(&who.user, &subscriber.email),
            name: subscriber.name.clone().filter(|_| !is_masked),
            state: subscriber.state.as_str(),
            mood: mood(subscriber.state),
            since: web.app.site.day(found.listed.created_at),
            source: found.listed.source.clone().unwrap_or_default(),
            last: last.get(&subscriber.id).map(Slot::to_string),
            refusals: desk::grouped(found.refusals.unsigned_abs()),
        });
    }
    view.first_page = given.after.as_ref().map(|_| path_of(&filter, None));
    view.next_page = page.next.map(|after| {
        let words = if view.rows.len() < ROWS {
            "Search on"
        } else {
            "Next page"
        };
        (path_of(&filter, Some(&after)), words)
    });
    Ok(Html(desk::subscribers(frame, view)?).into_response())
}

/// An address as a user may see it.
pub(super) fn shown(user: &User, email: &str) -> String {
    match user.role.may(Area::Subscribers, AccessLevel::Read) {
        true => email.to_owned(),
        false => mask(email),
    }
}

/// A state's colour, which never stands alone: its word is in it.
pub(super) fn mood(state: SubscriberState) -> &'static str {
    match state {
        SubscriberState::Pending => "wait",
        SubscriberState::Active => "good",
        SubscriberState::Unsubscribed => "none",
        SubscriberState::Bounced | SubscriberState::Complained => "bad",
    }
}

/// The address of the list with these conditions.
pub(super) fn path_of(filter: &SubscriberFilter, after: Option<&str>) -> String {
    let pairs = filter.pairs();
    path(
        pairs.iter().map(|(key, value)| (*key, value.as_str())),
        after,
    )
}

fn path<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>, after: Option<&'a str>) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(pairs.chain(after.map(|after| ("after", after))));
    match query.finish() {
        query if query.is_empty() => HERE.to_owned(),
        query => format!("{HERE}?{query}"),
    }
}

/// Conditions as the address has them.
pub(super) struct Given {
    pairs: Vec<(String, String)>,
    after: Option<String>,
    has_empty: bool,
}

impl Given {
    pub(super) fn read(query: &str) -> Self {
        let (mut pairs, mut after, mut has_empty) = (Vec::new(), None, false);
        for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match (key.as_ref(), value.trim()) {
                (_, "") => has_empty = true,
                ("after", value) => after = Some(value.to_owned()),
                (key, value) if KEYS.contains(&key) => pairs.push((key.into(), value.into())),
                _ => {}
            }
        }
        Self {
            pairs,
            after,
            has_empty,
        }
    }

    fn path(&self) -> String {
        path(self.pairs(), self.after.as_deref())
    }

    fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }

    fn value(&self, key: &str) -> String {
        let found = self.pairs().find(|(known, _)| *known == key);
        found.map(|(_, value)| value.to_owned()).unwrap_or_default()
    }

    /// The filter. Where addresses are masked, none can be asked for: a guess that finds one row would say who is subscribed.
    pub(super) fn filter(&self, is_masked: bool) -> Result<SubscriberFilter, Vec<FilterFault>> {
        let filter = SubscriberFilter::of(self.pairs())?;
        if is_masked && names_somebody(&filter) {
            let sentence =
                "Your role sees no addresses, so it can look for a domain only, like @example.org.";
            return Err(vec![FilterFault {
                key: "search",
                sentence: sentence.into(),
            }]);
        }
        Ok(filter)
    }
}

fn names_somebody(filter: &SubscriberFilter) -> bool {
    filter
        .search
        .as_ref()
        .is_some_and(|search| !search.is_anonymous())
}

fn chips(filter: &SubscriberFilter) -> Vec<ChipView> {
    let pairs = filter.pairs();
    let without = |left_out: &str| {
        let is_left = |key: &str| key == left_out || (left_out == "issue" && key == "result");
        let rest = pairs.iter().filter(|(key, _)| !is_left(key));
        path(rest.map(|(key, value)| (*key, value.as_str())), None)
    };
    let chips = filter.describe().into_iter();
    chips
        .map(|(key, words)| ChipView {
            words,
            without: without(key),
        })
        .collect()
}

/// "1 subscriber", "10,000+ subscribers".
pub(super) fn sentence(counted: Counted) -> String {
    let count = desk::grouped(counted.count);
    match counted {
        Counted {
            count: 1,
            is_cut: false,
        } => "1 subscriber".into(),
        Counted { is_cut: false, .. } => format!("{count} subscribers"),
        Counted { count: 10_000, .. } => format!("{count}+ subscribers"),
        _ => format!("At least {count} subscribers: not all were looked at"),
    }
}

async fn empty_view(
    web: &Web,
    given: &Given,
    faults: &[FilterFault],
) -> Result<SubscribersView, Problem> {
    let same = |texts: Vec<String>| texts.into_iter().map(|text| (text.clone(), text)).collect();
    let states = SubscriberState::ALL
        .iter()
        .map(ToString::to_string)
        .collect();
    let issues = web.app.storage.digests_before(None, ISSUES).await?;
    let issues = issues.iter().filter(|digest| digest.published_at.is_some());
    let issues = issues.map(|digest| digest.slot.to_string()).collect();
    let results = IssueResult::all().map(|result| (result.to_string(), result.describe()));
    let categories = web.app.storage.categories(web.app.now()).await?;
    let fields = [
        (
            "search",
            "Address, name, or @domain",
            Control::Text("ada or @example.org"),
        ),
        ("state", "State", Control::Choice(same(states))),
        ("joined_from", "Joined from", Control::Day),
        ("joined_until", "Joined until", Control::Day),
        ("source", "Source", Control::Text("web form")),
        ("category", "Follows", Control::Choice(same(categories))),
        ("zone", "Time zone", Control::Text("Europe/Berlin")),
        ("bounced", "Bounces, at least", Control::Count),
        ("votes", "Votes, at least", Control::Count),
        ("consent_before", "Consent before", Control::Day),
        ("issue", "Issue", Control::Choice(same(issues))),
        (
            "result",
            "What became of it",
            Control::Choice(results.collect()),
        ),
        ("paused", "Has a pause", Control::Check),
    ];
    let field = |(key, label, mut control): (&'static str, &'static str, Control)| {
        let value = given.value(key);
        if let Control::Choice(choices) = &mut control {
            // An issue of long ago, a category that is gone: what holds must be seen.
            if !value.is_empty() && !choices.iter().any(|(known, _)| *known == value) {
                choices.push((value.clone(), value.clone()));
            }
        }
        let problem = faults.iter().find(|fault| fault.key == key);
        let problem = problem.map(|fault| fault.sentence.clone());
        ConditionField {
            key,
            label,
            control,
            value,
            problem,
        }
    };
    let mut first: Vec<ConditionField> = fields.into_iter().map(field).collect();
    let more = first.split_off(FIRST);
    Ok(SubscribersView {
        may_change: false,
        may_erase: false,
        pairs: Vec::new(),
        segments: Vec::new(),
        is_open: more.iter().any(|field| !field.value.is_empty()),
        first,
        more,
        chips: Vec::new(),
        is_refused: false,
        count: String::new(),
        rows: Vec::new(),
        first_page: None,
        next_page: None,
    })
}
