//! Test copies of an issue: by the code that sends, to addresses that somebody names, and no part of the ledger.

use chrono::TimeDelta;

use crate::app::App;
use crate::app::Failure;
use crate::domain::address::EmailAddress;
use crate::domain::delivery::DeliveryKey;
use crate::domain::delivery::Outcome;
use crate::domain::quota::Quota;
use crate::domain::rendered_mail::Rendered;
use crate::domain::slot::Slot;
use crate::mail::Envelope;
use crate::mail::Recipient;
use crate::mail::WriteDeadline;

/// Test copies in a minute, of all processes together.
const COPIES_PER_MINUTE: u32 = 20;
/// Addresses of the saved test group.
pub const TEST_GROUP_MAX: usize = 10;

impl App {
    /// Sends one copy of what the slot's digest is or would be to one address; changes nothing. Its unsubscribe link
    /// belongs to nobody. `is_marked`: `[Test]` stands before its subject.
    ///
    /// # Errors
    /// A sentence, when there were too many of late or it was not taken.
    pub async fn send_test_copy(
        &self,
        slot: Option<Slot>,
        to: &EmailAddress,
        is_marked: bool,
    ) -> Result<String, Failure> {
        let now = self.now();
        let preview = self
            .preview(slot.unwrap_or_else(|| self.slot_at(now)), now)
            .await?;
        let quota = Quota {
            key: self.secrets.count_hash("test copies", "all"),
            max: COPIES_PER_MINUTE,
            window: TimeDelta::minutes(1),
        };
        if let Err(wait) = self.storage.take_quotas(&[quota], now).await? {
            let wait = wait.to_std().unwrap_or_default();
            return Err(Failure::too_many(
                format!(
                    "At most {COPIES_PER_MINUTE} test copies a minute are sent: try again in a moment."
                ),
                wait,
            ));
        }
        let message_id = format!(
            "test.{}.{:016x}@{}",
            preview.slot,
            rand::random::<u64>(),
            self.message_id_host()
        );
        let subject = match is_marked {
            true => format!("[Test] {}", preview.rendered.subject),
            false => preview.rendered.subject,
        };
        let rendered = Rendered {
            subject,
            ..preview.rendered
        };
        let mut message = Vec::new();
        let (token, reader) = (self.unsubscribe_token(0), self.reader_token(0));
        let key = DeliveryKey {
            mailing: preview.slot.id(),
            subscriber: 0,
        };
        let (bounces, verp) = (
            self.return_path.verp(&self.secrets, key),
            self.return_path.leaving_verp(&self.secrets, key),
        );
        let recipient = Recipient {
            to,
            token: &token,
            reader: &reader,
            since: "",
            verp: &verp,
            message_id: &message_id,
            date: self.now(),
        };
        self.digest_letter(preview.slot, &rendered)
            .fill(&recipient, &mut message);
        let message = self.signing.seal(message, self.now()).await;
        let connected = self.transport().connect(WriteDeadline::open()).await;
        let mut connection = connected.map_err(|fault| Failure::unavailable(fault.to_string()))?;
        let outcome = connection
            .send(
                &Envelope {
                    from: &self.return_path.with(&bounces),
                    to,
                    file: &message_id,
                },
                &message,
            )
            .await;
        connection.close().await;
        match outcome {
            Outcome::Accepted { reply } => Ok(reply),
            other => Err(Failure::unavailable(format!(
                "The test copy was not taken: {}.",
                other.reply()
            ))),
        }
    }

    /// The saved test group.
    pub async fn test_group(&self) -> Result<Vec<EmailAddress>, Failure> {
        Ok(self.storage.test_recipients().await?)
    }

    /// Saves a test group in place of the one before. `text`: addresses, with commas, spaces or lines between them.
    ///
    /// # Errors
    /// A sentence that names the first address that is none; then nothing is changed.
    pub async fn set_test_group(&self, text: &str) -> Result<Vec<EmailAddress>, Failure> {
        let mut group: Vec<EmailAddress> = Vec::new();
        for word in text.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';')) {
            if word.is_empty() {
                continue;
            }
            let email = EmailAddress::parse_new(word)
                .map_err(|error| Failure::invalid_field("group", format!("{word}: {error}")))?;
            if group.iter().all(|other| other.key() != email.key()) {
                group.push(email);
            }
        }
        if group.len() > TEST_GROUP_MAX {
            return Err(Failure::invalid_field(
                "group",
                format!("A test group has at most {TEST_GROUP_MAX} addresses."),
            ));
        }
        self.storage.set_test_recipients(&group, self.now()).await?;
        Ok(group)
    }
}
