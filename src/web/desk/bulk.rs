//! Changes of many: pause, unsubscribe, erase, export, by selection or by filter; and saved filters.

use std::collections::HashMap;

use axum::extract::RawQuery;
use axum::extract::State;
use axum::response::Html;
use axum::response::Response;
use chrono::NaiveDate;
use chrono::NaiveTime;

use super::super::Web;
use super::super::answer::Page;
use super::super::answer::Problem;
use super::super::choices::FormFields;
use super::super::guard::PathSegment;
use super::access::Me;
use super::answers;
use super::jobs;
use super::subscribers::HERE;
use super::subscribers::path_of;
use super::subscribers::sentence;
use crate::app::Failure;
use crate::app::export::ExportFormat;
use crate::app::jobs::BulkChange;
use crate::app::jobs::Chosen;
use crate::app::users::signing_in::SignedIn;
use crate::domain::subscriber_filter::SubscriberFilter;
use crate::render::desk;
use crate::render::desk::Autocomplete;
use crate::render::desk::FormField;
use crate::render::desk::GateForm;

/// Subscribers that can be chosen one by one: those of a page.
const CHOSEN_MAX: usize = 100;

/// Subscribers that a form means: those that are ticked, or all whom the filter finds.
struct Meant {
    ids: Vec<i64>,
    names: String,
    filter: SubscriberFilter,
}

impl Meant {
    fn of<'a>(
        web: &Web,
        pairs: impl Iterator<Item = (&'a str, &'a str)> + Clone,
    ) -> Result<Self, Problem> {
        let value = |key: &str| {
            pairs
                .clone()
                .filter(|(known, _)| *known == key)
                .map(|(_, value)| value)
                .collect::<Vec<_>>()
        };
        let is_all = value("scope").contains(&"all");
        let names: Vec<&str> = value("who")
            .into_iter()
            .flat_map(str::split_whitespace)
            .take(CHOSEN_MAX)
            .collect();
        let ids = names
            .iter()
            .filter_map(|name| web.app.subscriber_named(name))
            .collect();
        let filter = SubscriberFilter::of(pairs.clone()).map_err(|_| Problem::not_found())?;
        Ok(match is_all {
            true => Self {
                ids: Vec::new(),
                names: String::new(),
                filter,
            },
            false => Self {
                ids,
                names: names.join(" "),
                filter,
            },
        })
    }

    fn is_all(&self) -> bool {
        self.names.is_empty()
    }

    async fn count(&self, web: &Web) -> Result<String, Problem> {
        Ok(match self.is_all() {
            true => sentence(web.app.count_page(&self.filter).await?),
            false if self.ids.len() == 1 => "1 subscriber".into(),
            false => format!("{} subscribers", self.ids.len()),
        })
    }

    fn hidden(&self) -> Vec<(&'static str, String)> {
        let mut hidden = self.filter.pairs();
        hidden.push(match self.is_all() {
            true => ("scope", "all".into()),
            false => ("who", self.names.clone()),
        });
        hidden
    }

    fn chosen(self) -> Chosen {
        match self.is_all() {
            true => Chosen::Filter(self.filter),
            false => Chosen::These(self.ids),
        }
    }
}

/// Words of a change: heading, what it means, button.
fn words(change: &str, count: &str) -> Result<(String, &'static str, &'static str), Problem> {
    Ok(match change {
        "pause" => (
            format!("Pause mail to {count}?"),
            "They get no digest until that day. Whoever is not active is skipped.",
            "Pause them",
        ),
        "unsubscribe" => (
            format!("Unsubscribe {count}?"),
            "They get no more digests. They can sign up again themselves.",
            "Unsubscribe them",
        ),
        "erase" => (
            format!("Erase {count}?"),
            "Everything that is kept of them is deleted; keyed hashes of the addresses stay on the suppression list. This cannot be taken back.",
            "Erase them",
        ),
        "export" => (
            format!("Export {count}?"),
            "Addresses, names, states and consents go into a file, which is kept for an hour. The audit log keeps how many they were.",
            "Make the file",
        ),
        _ => return Err(Problem::not_found()),
    })
}

async fn question(
    web: &Web,
    who: &SignedIn,
    change: &str,
    meant: &Meant,
    problem: Option<String>,
) -> Result<String, Problem> {
    let (heading, means, button) = words(change, &meant.count(web).await?)?;
    let fields = match change {
        "pause" => vec![FormField {
            name: "until",
            label: "Until",
            fills: Autocomplete::Day,
            value: "",
            hint: Some("The first day on which mail goes out again, at most 26 weeks ahead."),
        }],
        _ => Vec::new(),
    };
    let mut sentences = vec![means.to_owned()];
    if meant.is_all() && change != "export" {
        let conditions: Vec<String> = meant
            .filter
            .describe()
            .into_iter()
            .map(|(_, words)| words)
            .collect();
        sentences.push(match conditions.as_slice() {
            [] => "It is about everybody on the list.".into(),
            conditions => format!(
                "It is about everybody who meets this: {}.",
                conditions.join("; ")
            ),
        });
    }
    let form = GateForm {
        heading,
        sentences,
        action: format!("{HERE}/bulk/{change}"),
        hidden: meant.hidden(),
        fields,
        check: (change == "export").then_some(desk::Check {
            name: "json",
            label: "As JSON instead of CSV, one object a line",
            is_on: false,
        }),
        button: button.into(),
        is_grave: matches!(change, "unsubscribe" | "erase"),
        problem,
        link: Some((path_of(&meant.filter, None), "No, back to the list")),
    };
    let frame = answers::frame(web, who, "A change of many", HERE);
    Ok(desk::form(frame, form)?)
}

pub(super) async fn ask(State(web): State<Web>, Me(who): Me, RawQuery(query): RawQuery) -> Page {
    let pairs: Vec<(String, String)> =
        url::form_urlencoded::parse(query.unwrap_or_default().as_bytes())
            .into_owned()
            .collect();
    let texts = pairs
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()));
    let change = texts
        .clone()
        .find(|(key, _)| *key == "change")
        .map_or("", |(_, value)| value);
    let meant = Meant::of(&web, texts.clone())?;
    if meant.is_all()
        && !texts
            .clone()
            .any(|(key, value)| key == "scope" && value == "all")
    {
        let sentence =
            "Nobody was ticked. Go back and tick somebody, or choose all that were found.";
        return Err(Problem::new(
            axum::http::StatusCode::UNPROCESSABLE_ENTITY,
            "Nobody is meant",
            sentence,
        ));
    }
    Ok(Html(question(&web, &who, change, &meant, None).await?))
}

type BulkForm = HashMap<String, String>;

async fn start(
    web: &Web,
    who: &SignedIn,
    change: &str,
    fields: &BulkForm,
) -> Result<Response, Problem> {
    let texts = fields
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()));
    let meant = Meant::of(web, texts)?;
    let actor = web.app.actor_of(who);
    let until = fields.get("until").map_or("", |until| until.trim());
    let wanted = match change {
        "unsubscribe" => Ok(BulkChange::Unsubscribe),
        "erase" => Ok(BulkChange::Erase),
        "pause" => until
            .parse::<NaiveDate>()
            .map_err(|_| Failure::invalid_field("until", "Give the day as 2026-11-30."))
            .and_then(|day| {
                let until = web
                    .app
                    .site
                    .timezone
                    .moment_of(day.and_time(NaiveTime::MIN));
                web.app
                    .check_pause(until)
                    .map(|()| BulkChange::Pause(until))
            }),
        "export" => {
            let format = if fields.contains_key("json") {
                ExportFormat::Json
            } else {
                ExportFormat::Csv
            };
            let id = web.app.start_export(&actor, &meant.filter, format).await?;
            return Ok(jobs::to_job(web, id));
        }
        _ => return Err(Problem::not_found()),
    };
    let problem = match wanted {
        Ok(wanted) => {
            let chosen = Meant::of(
                web,
                fields
                    .iter()
                    .map(|(key, value)| (key.as_str(), value.as_str())),
            )?
            .chosen();
            match web.app.start_bulk(&actor, wanted, chosen).await {
                Ok(id) => return Ok(jobs::to_job(web, id)),
                Err(failure) => answers::refusal(failure)?,
            }
        }
        Err(failure) => answers::refusal(failure)?,
    };
    Ok(answers::refused(
        question(web, who, change, &meant, Some(problem)).await?,
    ))
}

pub(super) async fn change(
    State(web): State<Web>,
    Me(who): Me,
    PathSegment(change): PathSegment,
    FormFields(fields): FormFields<BulkForm>,
) -> Result<Response, Problem> {
    start(&web, &who, &change, &fields).await
}

pub(super) async fn erase(
    State(web): State<Web>,
    Me(who): Me,
    FormFields(fields): FormFields<BulkForm>,
) -> Result<Response, Problem> {
    start(&web, &who, "erase", &fields).await
}

pub(super) async fn export(
    State(web): State<Web>,
    Me(who): Me,
    FormFields(fields): FormFields<BulkForm>,
) -> Result<Response, Problem> {
    start(&web, &who, "export", &fields).await
}

/// Saves the filter of the list under a name, or removes a saved one.
pub(super) async fn segments(
    State(web): State<Web>,
    Me(who): Me,
    FormFields(fields): FormFields<BulkForm>,
) -> Result<Response, Problem> {
    let actor = web.app.actor_of(&who);
    if let Some(slug) = fields.get("remove") {
        let said = match web.app.remove_segment(&actor, slug).await? {
            true => "The segment is removed. Nobody on the list was changed.",
            false => "It was removed already.",
        };
        return answers::done(&web, &who, said, HERE).await;
    }
    let texts = fields
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()));
    let filter = SubscriberFilter::of(texts).map_err(|_| Problem::not_found())?;
    let name = fields.get("name").map_or("", |name| name.trim());
    let said = match web.app.save_segment(&actor, name, &filter).await {
        Ok(segment) => format!("Saved as {}.", segment.name),
        Err(failure) => answers::refusal(failure)?,
    };
    answers::done(&web, &who, &said, &path_of(&filter, None)).await
}
