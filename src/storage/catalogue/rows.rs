//! The rows of a comparison, its tools and their reviews, and what is made of them.

use crate::storage::StorageError;
use std::collections::HashMap;

use crate::domain::catalogue::Comparison;
use crate::domain::catalogue::Review;
use crate::domain::catalogue::Score;
use crate::domain::catalogue::Tool;
use crate::domain::catalogue::Votes;
use crate::domain::from_millis;

#[derive(sqlx::FromRow)]
pub(super) struct ToolRow {
    pub(super) slug: String,
    name: String,
    category: String,
    tagline: String,
    description: String,
    url: Option<String>,
    pricing: String,
    entry_price: String,
    published_at: i64,
    sample: i64,
}

#[derive(sqlx::FromRow)]
pub(super) struct ReviewRow {
    pub(super) tool: String,
    reviewer: String,
    score: i64,
    verdict: String,
    take: String,
    quote: Option<String>,
}

#[derive(sqlx::FromRow)]
pub struct ComparisonRow {
    slug: String,
    pub(super) left_tool: String,
    pub(super) right_tool: String,
    published_at: i64,
    sample: i64,
}

#[derive(sqlx::FromRow)]
pub(super) struct CandidateRow {
    pub(super) slug: String,
    pub(super) published_at: i64,
    pub(super) left_tool: String,
    pub(super) left_name: String,
    pub(super) left_category: String,
    pub(super) right_tool: String,
    pub(super) right_name: String,
    pub(super) right_category: String,
}

pub(super) fn votes_from(rows: Vec<(String, i64, i64)>) -> HashMap<String, Votes> {
    rows.into_iter()
        .map(|(tool, ships, all)| {
            (
                tool,
                Votes {
                    ships: ships as u64,
                    skips: (all - ships) as u64,
                },
            )
        })
        .collect()
}

pub(super) fn tool_from(row: ToolRow, reviews: Vec<Review>) -> Result<Tool, StorageError> {
    Ok(Tool {
        slug: row.slug.parse()?,
        name: row.name,
        category: row.category,
        tagline: row.tagline,
        description: row.description,
        url: row.url,
        pricing: row.pricing,
        entry_price: row.entry_price,
        published_at: from_millis(row.published_at),
        sample: row.sample != 0,
        reviews,
    })
}

pub(super) fn review_from(row: ReviewRow) -> Result<Review, StorageError> {
    Ok(Review {
        reviewer: row.reviewer.parse()?,
        score: Score::try_from(row.score)?,
        verdict: row.verdict.parse()?,
        take: row.take,
        quote: row.quote,
    })
}

pub fn comparison_from(row: ComparisonRow) -> Result<Comparison, StorageError> {
    Ok(Comparison {
        slug: row.slug.parse()?,
        left: row.left_tool.parse()?,
        right: row.right_tool.parse()?,
        published_at: from_millis(row.published_at),
        sample: row.sample != 0,
    })
}
