//! Metrics that are read from the database: they count what every process did, commands included, and survive a restart.

use crate::app::App;
use crate::app::Failure;
use crate::domain::delivery::AttemptOutcome;
use crate::domain::delivery::MailClass;

impl App {
    /// Sets the metrics about deliveries to what the database has. Every series is there from the start, at zero.
    ///
    /// # Errors
    /// When the database does not answer; the metrics stay as they were.
    pub async fn measure_deliveries(&self) -> Result<(), Failure> {
        let measured = self.read_deliveries().await;
        if measured.as_ref().is_err_and(Failure::is_unavailable) {
            self.show_no_database();
        }
        measured
    }

    async fn read_deliveries(&self) -> Result<(), Failure> {
        let totals = self.storage.attempt_totals().await?;
        let open = self.storage.open_deliveries().await?;
        let held = self.storage.held_readers().await?;
        let set_aside = self.storage.count_set_aside().await?;
        self.show_stall(self.stall().await?.as_ref());
        self.count_missed().await?;
        for class in MailClass::ALL {
            for outcome in AttemptOutcome::ALL {
                let total = totals
                    .iter()
                    .find(|(of, by, _)| of == class && by == outcome)
                    .map_or(0, |(_, _, total)| *total);
                metrics::counter!("verdicts_deliveries_total", "kind" => class.as_str(), "outcome" => outcome.as_str()).absolute(total);
            }
        }
        for (state, count) in open.by_state() {
            metrics::gauge!("verdicts_open_deliveries", "state" => state.as_str())
                .set(count as f64);
        }
        let backup = self.last_backup().await?;
        metrics::gauge!("verdicts_last_backup_timestamp_seconds")
            .set(backup.map_or(0.0, |at| at.timestamp() as f64));
        metrics::gauge!("verdicts_bounces_held").set(held as f64);
        metrics::gauge!("verdicts_mails_set_aside").set(set_aside as f64);
        Ok(())
    }
}
