//! The form of a source: as it was sent, and as it is filled in.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde::Deserialize;

use crate::app::sources::EVERY_DEFAULT;
use crate::app::sources::SourceWish;
use crate::domain::catalogue::Reviewer;
use crate::domain::source::SourceKind;
use crate::domain::source::SourceMapping;
use crate::domain::source::SourceMode;
use crate::render::desk::SourceFields;
use crate::storage::sources::ContentSource;

/// The form as it was sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SourceForm {
    name: String,
    kind: String,
    url: String,
    mode: String,
    minutes: String,
    category: String,
    ship_from: String,
    reviewers: String,
    select: String,
    follow: Option<String>,
    pub(super) force: Option<String>,
    pub(super) what: String,
}

impl SourceForm {
    /// What was typed, to be shown again.
    pub(super) fn fields(&self) -> SourceFields {
        SourceFields {
            name: self.name.clone(),
            kind: self.kind.clone(),
            url: self.url.clone(),
            mode: self.mode.clone(),
            minutes: self.minutes.clone(),
            category: self.category.clone(),
            ship_from: self.ship_from.clone(),
            reviewers: self.reviewers.clone(),
            select: self.select.clone(),
            follow: self.follow.is_some(),
        }
    }

    /// What is meant by it.
    ///
    /// # Errors
    /// A sentence that names what is wrong.
    pub(super) fn wish(&self) -> Result<SourceWish, String> {
        let kind: SourceKind = self.kind.parse().map_err(|_| "Choose a kind.")?;
        let mode: SourceMode = self
            .mode
            .parse()
            .map_err(|_| "Choose what becomes of what it brings.")?;
        let minutes = match self.minutes.trim() {
            "" => EVERY_DEFAULT.num_minutes(),
            text => text
                .parse()
                .map_err(|_| "Expected a whole number of minutes.")?,
        };
        let ship_from = match self.ship_from.trim() {
            "" => None,
            text => Some(
                text.parse()
                    .map_err(|_| "Expected a score from 0 to 100, or nothing.")?,
            ),
        };
        let reviewer = |name: String| {
            name.parse::<Reviewer>().map_err(|_| {
                format!("{name} is none of the panel: expected a line like \"Jo Doe = Builder\".")
            })
        };
        let mut reviewers = BTreeMap::new();
        for (name, meant) in pairs(&self.reviewers)? {
            reviewers.insert(name, reviewer(meant)?);
        }
        Ok(SourceWish {
            name: self.name.clone(),
            kind,
            url: self.url.clone(),
            mapping: SourceMapping {
                category: self.category.trim().to_owned(),
                ship_from,
                reviewers,
                select: pairs(&self.select)?.into_iter().collect(),
                follow: self.follow.is_some(),
            },
            mode,
            every: TimeDelta::minutes(i64::from(u32::try_from(minutes).unwrap_or_default())),
        })
    }
}

/// Lines like `name = value`. A selector may have an equals sign itself.
fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let (name, value) = line
                .split_once('=')
                .ok_or_else(|| format!("\"{line}\": expected a line like \"name = value\"."))?;
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        })
        .collect()
}

/// The fields of a known source.
pub(super) fn fields_of(source: &ContentSource) -> SourceFields {
    let (draft, mapping) = (&source.draft, &source.draft.mapping);
    let lines = |pairs: Vec<String>| pairs.join("\n");
    SourceFields {
        name: draft.name.clone(),
        kind: draft.kind.to_string(),
        url: draft.url.clone(),
        mode: draft.mode.to_string(),
        minutes: match draft.kind {
            SourceKind::Folder => EVERY_DEFAULT.num_minutes().to_string(),
            _ => (draft.every_seconds / 60).to_string(),
        },
        category: mapping.category.clone(),
        ship_from: mapping
            .ship_from
            .map(|score| score.to_string())
            .unwrap_or_default(),
        reviewers: lines(
            mapping
                .reviewers
                .iter()
                .map(|(name, meant)| format!("{name} = {meant}"))
                .collect(),
        ),
        select: lines(
            mapping
                .select
                .iter()
                .map(|(name, selector)| format!("{name} = {selector}"))
                .collect(),
        ),
        follow: mapping.follow,
    }
}
