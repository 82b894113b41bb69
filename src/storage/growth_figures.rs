//! Figures of growth, from what is kept by day.

use super::Storage;
use super::StorageError;
use super::growth::GrowthCounts;

/// The nine sums of a day or a source.
#[derive(sqlx::FromRow)]
struct CountsRow {
    joined: i64,
    confirmed: i64,
    imported: i64,
    left_by_link: i64,
    left_by_mail: i64,
    left_by_operator: i64,
    bounced: i64,
    complained: i64,
    erased: i64,
}

#[derive(sqlx::FromRow)]
struct DayRow {
    day: i64,
    #[sqlx(flatten)]
    counts: CountsRow,
}

#[derive(sqlx::FromRow)]
struct SourceRow {
    source: String,
    #[sqlx(flatten)]
    counts: CountsRow,
}

impl From<CountsRow> for GrowthCounts {
    fn from(row: CountsRow) -> Self {
        [
            row.joined,
            row.confirmed,
            row.imported,
            row.left_by_link,
            row.left_by_mail,
            row.left_by_operator,
            row.bounced,
            row.complained,
            row.erased,
        ]
    }
}

macro_rules! sums {
    () => {
        "cast(sum(joined) as bigint) as joined, cast(sum(confirmed) as bigint) as confirmed, cast(sum(imported) as bigint) as imported,
         cast(sum(left_by_link) as bigint) as left_by_link, cast(sum(left_by_mail) as bigint) as left_by_mail,
         cast(sum(left_by_operator) as bigint) as left_by_operator, cast(sum(bounced) as bigint) as bounced,
         cast(sum(complained) as bigint) as complained, cast(sum(erased) as bigint) as erased"
    };
}

impl Storage {
    /// Growth on each day from `first` to `last` on which anything changed.
    pub async fn growth_by_day(
        &self,
        first: i64,
        last: i64,
    ) -> Result<Vec<(i64, GrowthCounts)>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<DayRow> = all!(
            reader,
            concat!(
                "select day, ",
                sums!(),
                " from growth_days where day >= $1 and day <= $2 group by day order by day"
            ),
            first,
            last
        )?;
        Ok(rows
            .into_iter()
            .map(|row| (row.day, row.counts.into()))
            .collect())
    }

    /// Growth of each source from `first` to `last`, the one with the most new readers first.
    pub async fn growth_by_source(
        &self,
        first: i64,
        last: i64,
        most: i64,
    ) -> Result<Vec<(String, GrowthCounts)>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<SourceRow> = all!(
            reader,
            concat!(
                "select source, ",
                sums!(),
                " from growth_days where day >= $1 and day <= $2 group by source
                  order by sum(confirmed) + sum(imported) desc, sum(joined) desc, source limit $3"
            ),
            first,
            last,
            most
        )?;
        Ok(rows
            .into_iter()
            .map(|row| (row.source, row.counts.into()))
            .collect())
    }

    /// Number of readers on the list at the beginning of a day.
    pub async fn active_before(&self, day: i64) -> Result<i64, StorageError> {
        let mut reader = self.read().await?;
        let (active,): (Option<i64>,) = one!(
            reader,
            "select cast(sum(confirmed + imported - left_by_link - left_by_mail - left_by_operator - bounced - complained - erased) as bigint)
             from growth_days where day < $1",
            day
        )?;
        Ok(active.unwrap_or(0))
    }

    /// Steps of the time from sign-up to confirmation with how often each was, from `first` to `last`, in rising order.
    pub async fn confirmation_delays(
        &self,
        first: i64,
        last: i64,
    ) -> Result<Vec<(i64, u64)>, StorageError> {
        let mut reader = self.read().await?;
        let rows: Vec<(i64, i64)> = all!(
            reader,
            "select step, cast(sum(times) as bigint) from growth_delays where day >= $1 and day <= $2 group by step order by step",
            first,
            last
        )?;
        Ok(rows
            .into_iter()
            .map(|(step, times)| (step, times as u64))
            .collect())
    }

    /// Those who left, by the week of joining and the week of leaving, of those who joined from `first` on.
    pub async fn cohort_losses(&self, first: i64) -> Result<Vec<(i64, i64, i64)>, StorageError> {
        let mut reader = self.read().await?;
        Ok(all!(
            reader,
            "select joined_week, left_week, times from growth_cohorts where joined_week >= $1 order by joined_week, left_week",
            first
        )?)
    }
}
