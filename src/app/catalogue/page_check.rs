//! A comparison as its visitor reads it: the page of the site, and the same page opened before its link goes out.

use crate::app::App;
use crate::app::Failure;
use crate::domain::Timestamp;
use crate::domain::catalogue::RatedComparison;
use crate::domain::catalogue::Slug;
use crate::domain::publication::is_draft;
use crate::domain::zone::Zone;
use crate::render::RenderError;
use crate::render::page;
use crate::render::page::SignUpForm;
use crate::render::page::VisitorView;

/// Comparisons beside another one.
const RELATED: i64 = 4;

impl App {
    /// Reads a comparison that is published, and what to read after it.
    pub async fn read_comparison(
        &self,
        slug: &Slug,
        now: Timestamp,
    ) -> Result<Option<(RatedComparison, Vec<RatedComparison>)>, Failure> {
        Ok(self
            .storage
            .matchup_with_related(slug, RELATED, now)
            .await?)
    }

    /// Renders the page of a comparison.
    ///
    /// # Errors
    /// When the template fails.
    pub fn comparison_page(
        &self,
        matchup: &RatedComparison,
        related: &[RatedComparison],
        visit: &VisitorView,
    ) -> Result<String, RenderError> {
        page::comparison(
            &self.site,
            matchup,
            related,
            visit,
            &SignUpForm {
                email: "",
                problem: None,
            },
        )
    }

    /// Opens the page of a comparison as somebody does who follows the link of a mail at `moment`. `Err` says in words why it does
    /// not open.
    pub(in crate::app) async fn open_comparison(
        &self,
        slug: &Slug,
        moment: Timestamp,
    ) -> Result<Result<(), String>, Failure> {
        let Some((matchup, related)) = self.read_comparison(slug, moment).await? else {
            return Ok(Err(self.why_closed(slug, moment).await?));
        };
        let page = self.comparison_page(&matchup, &related, &VisitorView::default());
        Ok(page
            .map(|_| ())
            .map_err(|error| format!("its page fails: {error}")))
    }

    /// Returns why a comparison has no page at that moment.
    async fn why_closed(&self, slug: &Slug, moment: Timestamp) -> Result<String, Failure> {
        let Some(matchup) = self.storage.matchup(slug, Timestamp::MAX_UTC).await? else {
            return Ok("it was taken out of the catalogue".into());
        };
        let sides = [
            ("it", matchup.comparison.published_at),
            (&matchup.left.tool.name, matchup.left.tool.published_at),
            (&matchup.right.tool.name, matchup.right.tool.published_at),
        ];
        if let Some((what, _)) = sides.iter().find(|(_, at)| is_draft(*at)) {
            return Ok(format!("{what} is a draft"));
        }
        let later = sides
            .into_iter()
            .find(|(_, published_at)| *published_at > moment);
        Ok(later.map_or_else(
            || "it is not published".into(),
            |(what, at)| format!("{what} is published only on {}", self.local_time(at)),
        ))
    }

    /// Shows times in UTC from now on: `--utc`.
    pub fn show_times_in_utc(&self) {
        // Asked for twice, it is the same.
        let _ = self.shown_zone.set(Zone::utc());
    }

    /// A moment on the clocks of `site.timezone`, like `2026-11-24 09:00:00 +01:00`; of UTC, where a command was asked for that.
    pub fn local_time(&self, moment: Timestamp) -> String {
        let zone = self.shown_zone.get().unwrap_or(&self.site.timezone);
        moment
            .with_timezone(zone)
            .format("%Y-%m-%d %H:%M:%S %Z")
            .to_string()
    }
}
