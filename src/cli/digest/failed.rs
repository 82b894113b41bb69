//! `digest show --failed`: the subscribers whom a digest did not reach.

use serde_json::json;

use crate::app::App;
use crate::app::Failure;
use crate::cli::output::Output;
use crate::cli::output::write_out;
use crate::domain::slot::Slot;

/// Rows that are read at once.
const PAGE: i64 = 1_000;

/// Prints page by page: a list of any length in little memory.
pub(super) async fn print(app: &App, slot: Slot, output: Output) -> Result<(), Failure> {
    if app.storage.digest(slot).await?.is_none() {
        return Err(Failure::not_found(format!("There is no digest {slot}.")));
    }
    let (mut after, mut first) = (i64::MIN, true);
    if output.json {
        write_out(format!("{{\"id\":\"{slot}\",\"failed\":[").as_bytes())?;
    }
    loop {
        let page = app.storage.failed_deliveries(slot, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.subscriber;
        let mut text = String::new();
        for failed in &page {
            let reply = failed.reply.as_deref().unwrap_or_default();
            let email = failed.email.as_deref();
            if output.json {
                text.push_str(if first { "\n" } else { ",\n" });
                let row = json!({
                    "subscriber": app.subscriber_name(failed.subscriber),
                    "email": email,
                    "attempts": failed.attempts,
                    "finished_at": failed.finished_at,
                    "reply": reply,
                });
                text.push_str(&row.to_string());
            } else {
                text.push_str(&format!("{}  {reply}\n", email.unwrap_or("(erased)")));
            }
            first = false;
        }
        write_out(text.as_bytes())?;
    }
    if output.json {
        write_out(b"]}\n")
    } else {
        Ok(())
    }
}
