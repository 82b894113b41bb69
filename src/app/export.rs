//! Exports: the list, or whom a filter means, as CSV that an import can read again, or as JSON lines.

use std::io::Write;

use crate::app::App;
use crate::app::Failure;
use crate::app::subscribing::spreadsheet::defused;
use crate::app::views::ListedView;
use crate::domain::actor::Actor;
use crate::domain::audit::AuditAction;
use crate::domain::subscriber_filter::SubscriberFilter;
use crate::domain::zone::ZoneName;
use crate::storage::people::Listed;

/// Rows read at once.
const PAGE: usize = 1_000;

crate::domain::named! {
    /// Form of an export.
    ExportFormat {
        /// CSV that an import can read again.
        Csv => "csv",
        /// A JSON object on each line.
        Json => "json",
    }
}

impl ExportFormat {
    /// Name to save it by.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Csv => "subscribers.csv",
            Self::Json => "subscribers.jsonl",
        }
    }

    /// Its type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Json => "application/jsonl",
        }
    }
}

fn unwritten(error: impl std::fmt::Display) -> Failure {
    Failure::internal(format!("The file cannot be written: {error}."))
}

/// A file with its form.
enum Sink<W: Write> {
    Csv(Box<csv::Writer<W>>),
    Json(W),
}

impl<W: Write> Sink<W> {
    fn write(&mut self, app: &App, listed: &Listed) -> Result<(), Failure> {
        let writer = match self {
            Self::Csv(writer) => writer,
            Self::Json(file) => {
                let line =
                    serde_json::to_string(&ListedView::new(app, listed)).map_err(unwritten)?;
                return writeln!(file, "{line}").map_err(unwritten);
            }
        };
        let confirmed = listed
            .confirmed_at
            .map(|at| at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true));
        let email = defused(listed.subscriber.email.as_str());
        let name = defused(listed.subscriber.name.as_deref().unwrap_or_default());
        let source = defused(listed.source.as_deref().unwrap_or_default());
        let fields = [
            &*email,
            &*name,
            confirmed.as_deref().unwrap_or_default(),
            &*source,
            listed.subscriber.state.as_str(),
            listed.subscriber.timezone.map_or("", ZoneName::name),
        ];
        writer.write_record(fields).map_err(unwritten)
    }
}

impl App {
    /// Writes the whole list as CSV; returns how many there are.
    pub async fn export_subscribers(
        &self,
        actor: &Actor,
        file: impl Write,
    ) -> Result<u64, Failure> {
        let everybody = SubscriberFilter::default();
        self.export_filtered(actor, &everybody, ExportFormat::Csv, file, |_| true)
            .await
    }

    /// Writes whom a filter means; returns how many they are. `told` is called with the number so far, and breaks it off by `false`.
    pub async fn export_filtered(
        &self,
        actor: &Actor,
        filter: &SubscriberFilter,
        format: ExportFormat,
        file: impl Write,
        told: impl Fn(u64) -> bool,
    ) -> Result<u64, Failure> {
        let mut sink = match format {
            ExportFormat::Csv => {
                let mut writer = csv::Writer::from_writer(file);
                let header = [
                    "email",
                    "name",
                    "confirmed_at",
                    "source",
                    "state",
                    "timezone",
                ];
                writer.write_record(header).map_err(unwritten)?;
                Sink::Csv(Box::new(writer))
            }
            ExportFormat::Json => Sink::Json(file),
        };
        let (query, mut after, mut count) = (self.list_query(filter), None, 0);
        loop {
            let walk = self.next_subscribers(&query, after, PAGE).await?;
            for found in &walk.rows {
                sink.write(self, &found.listed)?;
                count += 1;
            }
            if !told(count) {
                return Err(Failure::conflict("It was cancelled."));
            }
            after = walk.next;
            if after.is_none() {
                break;
            }
        }
        match sink {
            Sink::Csv(mut writer) => writer.flush(),
            Sink::Json(mut file) => file.flush(),
        }
        .map_err(unwritten)?;
        let detail =
            serde_json::json!({ "subscribers": count, "conditions": filter.pairs().len() });
        self.storage
            .note_action(actor, AuditAction::SubscribersExported, &detail, self.now())
            .await?;
        Ok(count)
    }
}
