//! Segments: filters of the list that are kept under a name.

use crate::app::App;
use crate::app::Failure;
use crate::domain::actor::Actor;
use crate::domain::catalogue::Slug;
use crate::domain::subscriber_filter::SubscriberFilter;
use crate::domain::user::parse_name;
use crate::storage::segments::SEGMENTS_MAX;
use crate::storage::segments::Segment;

/// A name as it stands in addresses and options: its letters and digits in lower case, with hyphens between.
fn slug_of(name: &str) -> String {
    let words: Vec<String> = name
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    words.join("-")
}

impl App {
    /// All segments.
    pub async fn segments(&self) -> Result<Vec<Segment>, Failure> {
        Ok(self.storage.segments().await?)
    }

    /// The segment with that slug.
    ///
    /// # Errors
    /// When there is none.
    pub async fn segment(&self, slug: &str) -> Result<Segment, Failure> {
        let segments = self.storage.segments().await?;
        segments
            .into_iter()
            .find(|segment| segment.slug == slug)
            .ok_or_else(|| Failure::not_found(format!("There is no segment {slug}.")))
    }

    /// Keeps a filter under a name; one of the same name is replaced.
    ///
    /// # Errors
    /// When the name or the filter says nothing, or there are too many.
    pub async fn save_segment(
        &self,
        actor: &Actor,
        name: &str,
        filter: &SubscriberFilter,
    ) -> Result<Segment, Failure> {
        let invalid = |sentence: String| Failure::invalid_field("name", sentence);
        let name = parse_name(name).map_err(invalid)?;
        let slug = slug_of(&name);
        if slug.is_empty() {
            return Err(invalid("Give a name with a letter or a digit.".into()));
        }
        self.keep_segment(actor, slug, name, filter).await
    }

    /// Keeps a filter under a slug; one that has it is replaced.
    ///
    /// # Errors
    /// As [`App::save_segment`].
    pub async fn put_segment(
        &self,
        actor: &Actor,
        slug: &Slug,
        name: &str,
        filter: &SubscriberFilter,
    ) -> Result<Segment, Failure> {
        let name = parse_name(name).map_err(|words| Failure::invalid_field("name", words))?;
        self.keep_segment(actor, slug.to_string(), name, filter)
            .await
    }

    async fn keep_segment(
        &self,
        actor: &Actor,
        slug: String,
        name: String,
        filter: &SubscriberFilter,
    ) -> Result<Segment, Failure> {
        if filter.is_everybody() {
            return Err(Failure::invalid(
                "Give at least one condition: a segment of everybody is the list itself.",
            ));
        }
        let segment = Segment {
            slug,
            name,
            filter: filter.clone(),
        };
        match self
            .storage
            .save_segment(actor, &segment, self.now())
            .await?
        {
            true => Ok(segment),
            false => Err(Failure::conflict(format!(
                "There are {SEGMENTS_MAX} segments, which is the most. Remove one first."
            ))),
        }
    }

    /// Removes a segment; `false`: there was none. Nobody on the list is changed.
    pub async fn remove_segment(&self, actor: &Actor, slug: &str) -> Result<bool, Failure> {
        Ok(self.storage.remove_segment(actor, slug, self.now()).await?)
    }
}
