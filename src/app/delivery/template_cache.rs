//! Mails made ready to be filled: rendered once, encoded once, kept as long as they are sent.

use std::sync::Arc;
use std::sync::Mutex;

use crate::app::App;
use crate::app::Failure;
use crate::app::subscribing::preferences;
use crate::domain::Timestamp;
use crate::domain::delivery::DeliveryKey;
use crate::domain::delivery::DeliveryKind;
use crate::domain::digest::DigestContent;
use crate::domain::duration_words;
use crate::domain::rendered_mail::Rendered;
use crate::domain::rendered_mail::TOKEN_PLACEHOLDER;
use crate::domain::rendered_mail::VERP_HOLE;
use crate::domain::slot::Slot;
use crate::domain::subject::SubjectPattern;
use crate::mail::MessageTemplate;
use crate::mail::TemplateHeaders;
use crate::render::RenderError;
use crate::render::Site;
use crate::render::email;
use crate::storage::ledger::Job;

/// Letters in memory at once: a digest with its variants, and the others; some 60 KB each.
const KEPT: usize = 256;

/// Most bytes of a digest's message: Gmail shows 102 KB of a mail and no more.
const MESSAGE_MAX: usize = 100_000;

/// Time for which a welcome names the latest digest, however many confirm meanwhile.
const WELCOME_FRESH: chrono::TimeDelta = chrono::TimeDelta::minutes(1);

/// Key of a cached template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TemplateName {
    Transactional(DeliveryKind),
    /// A digest, which variant of it, and after how many corrections.
    Digest(i64, Option<i64>, i64),
}

/// A letter, and the date that all its copies carry (none: each its own, when it was first due: a digest that goes out over
/// a day must not look a day old where it arrives last).
pub(crate) struct CachedTemplate {
    pub letter: MessageTemplate,
    pub date: Option<Timestamp>,
    /// Time from which it is made anew (none: never).
    pub stale_at: Option<Timestamp>,
}

/// The letters in use, newest last.
#[derive(Default)]
pub(crate) struct TemplateCache {
    known: Mutex<Vec<(TemplateName, Arc<CachedTemplate>)>>,
    /// Held while one is made: at the beginning of a send all connections ask for the same.
    making: tokio::sync::Mutex<()>,
}

impl TemplateCache {
    fn find(&self, name: TemplateName, now: Timestamp) -> Option<Arc<CachedTemplate>> {
        let kept = self
            .known
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        kept.iter()
            .find(|(known, ready)| *known == name && ready.stale_at.is_none_or(|at| now < at))
            .map(|(_, ready)| ready.clone())
    }

    /// Forgets every template: they are made anew, by other settings.
    pub(crate) fn forget(&self) {
        self.known
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clear();
    }

    fn keep(&self, name: TemplateName, ready: Arc<CachedTemplate>) {
        let mut kept = self
            .known
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        kept.retain(|(known, _)| *known != name);
        if kept.len() >= KEPT {
            kept.remove(0);
        }
        kept.push((name, ready));
    }
}

impl App {
    /// The letter that a delivery fills.
    pub(crate) async fn letter_for(&self, job: &Job) -> Result<Arc<CachedTemplate>, Failure> {
        let name = match job.kind {
            DeliveryKind::Digest => TemplateName::Digest(job.key.mailing, job.variant, job.version),
            kind => TemplateName::Transactional(kind),
        };
        if let Some(ready) = self.letters.find(name, self.now()) {
            return Ok(ready);
        }
        // Apart, for its state would make that of every mail under way as large.
        Box::pin(self.make_letter(name)).await
    }

    async fn make_letter(&self, name: TemplateName) -> Result<Arc<CachedTemplate>, Failure> {
        let _making = self.letters.making.lock().await;
        if let Some(ready) = self.letters.find(name, self.now()) {
            return Ok(ready);
        }
        let ready = match name {
            TemplateName::Transactional(DeliveryKind::Welcome) => CachedTemplate {
                letter: self.welcome_letter().await?,
                date: None,
                stale_at: Some(self.now() + WELCOME_FRESH),
            },
            TemplateName::Transactional(kind) => CachedTemplate {
                letter: self.transactional_letter(kind)?,
                date: None,
                stale_at: None,
            },
            TemplateName::Digest(id, variant, version) => {
                let frozen = self.storage.mail_version(id, variant, version).await?;
                let rendered = frozen.ok_or_else(|| {
                    Failure::internal(format!(
                        "Digest {} has no frozen content.",
                        self.mailing_name(id)
                    ))
                })?;
                let slot = Slot::from_id(id)
                    .ok_or_else(|| Failure::internal("A digest belongs to no week."))?;
                CachedTemplate {
                    letter: self.digest_letter(slot, &rendered),
                    date: None,
                    stale_at: None,
                }
            }
        };
        let ready = Arc::new(ready);
        self.letters.keep(name, ready.clone());
        Ok(ready)
    }

    /// Makes the texts for the two kinds of holes in a delivery's letter. The life of a link counts from now, when the mail is made to be sent: one
    /// that waited for a relay is as good as any other.
    pub(crate) fn tokens_for(&self, job: &Job) -> (String, String) {
        let (subscriber, now) = (job.key.subscriber, self.now());
        let subscriber_token = match job.kind {
            DeliveryKind::Digest | DeliveryKind::Welcome | DeliveryKind::AlreadySubscribed => {
                return (
                    self.unsubscribe_token(subscriber),
                    self.reader_token(subscriber),
                );
            }
            DeliveryKind::Confirmation | DeliveryKind::ConfirmationReminder => {
                self.confirm_token(subscriber, now)
            }
            DeliveryKind::EmailChange => job
                .token_id
                .map_or_else(String::new, |id| self.move_token(id, now)),
            DeliveryKind::AccountLink => self.account_token(subscriber, now),
            DeliveryKind::PreferencesChanged => self.reader_token(subscriber),
            DeliveryKind::LeaveLink | DeliveryKind::LeaveLinkByOther => {
                self.unsubscribe_token(subscriber)
            }
            DeliveryKind::EmailChanged => String::new(),
        };
        (subscriber_token, String::new())
    }

    /// Makes the text that fills the address in a delivery's letter: the one to which a sign-up is confirmed, else the one to leave by.
    pub(crate) fn verp_for(&self, job: &Job) -> String {
        match job.kind {
            DeliveryKind::Confirmation | DeliveryKind::ConfirmationReminder => {
                self.return_path.verp(&self.secrets, job.key)
            }
            _ => self.return_path.leaving_verp(&self.secrets, job.key),
        }
    }

    /// The mail of a digest, with a line in the log where it had to be cut to size.
    /// `subject` stands in for `mail.subject`.
    pub(crate) fn rendered_digest(
        &self,
        content: &DigestContent,
        subject: Option<&SubjectPattern>,
    ) -> Result<Rendered, Failure> {
        // In Japanese it is longer than it looks: what counts is the message that leaves.
        let fits =
            |mail: &Rendered| self.digest_letter(content.slot, mail).longest() <= MESSAGE_MAX;
        let fitted = match subject {
            None => email::digest_within(&self.site, content, fits)?,
            Some(pattern) => email::digest_within(
                &Site {
                    subject: pattern.clone(),
                    ..self.site.clone()
                },
                content,
                fits,
            )?,
        };
        if fitted.is_shortened || fitted.moved > 0 {
            tracing::warn!(
                slot = %content.slot, bytes = fitted.mail.html.len(), takes_shortened = fitted.is_shortened, moved_to_links = fitted.moved,
                "the digest was cut so that no server clips it"
            );
        }
        Ok(fitted.mail)
    }

    /// A digest: bulk mail with the headers by which a mail program unsubscribes (RFC 2369, RFC 8058), finds the archive
    /// and keeps its automatic answers to itself.
    pub(crate) fn digest_letter(&self, slot: Slot, rendered: &Rendered) -> MessageTemplate {
        let mut extra = self.list_headers();
        extra.extend([
            (
                "Feedback-ID",
                format!("{slot}:digest:{}", sender_id(self.message_id_host())),
            ),
            // Of no standard (RFC 3834 section 2 knows it), and heeded by more programs than what is.
            ("Precedence", "bulk".into()),
            // RFC 3834 section 5, and Exchange's own word for it: no answers while somebody is away.
            ("Auto-Submitted", "auto-generated".into()),
            ("X-Auto-Response-Suppress", "OOF, AutoReply".into()),
        ]);
        MessageTemplate::new(
            rendered,
            &TemplateHeaders {
                from: self.from.clone(),
                reply_to: self.reply_to.clone(),
                extra,
            },
        )
    }

    /// Header fields of the list (RFC 2369, RFC 2919), and the reader's way out of it.
    fn list_headers(&self) -> Vec<(&'static str, String)> {
        let base = self.settings.base_url();
        let mut fields = vec![("List-Id", self.list_id())];
        fields.extend(self.ways_to_leave());
        fields.push(("List-Archive", format!("<{base}/digests>")));
        fields.push(("List-Help", format!("<{base}/>")));
        fields
    }

    fn ways_to_leave(&self) -> [(&'static str, String); 2] {
        [
            ("List-Unsubscribe", self.list_unsubscribe()),
            ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".into()),
        ]
    }

    fn confirmation_letter(
        &self,
        mail: impl Fn(&Site, &str, bool) -> Result<Rendered, RenderError>,
    ) -> Result<MessageTemplate, Failure> {
        let within = duration_words(self.settings.signup.confirm_within);
        let answers = self.return_path.is_per_delivery();
        let mail = mail(&self.site, &within, answers)?;
        if !answers {
            return Ok(self.by_hand(&mail, Vec::new()));
        }
        // Where the return path is read, an answer confirms: it comes to the address of this one delivery, in nobody else's hands.
        let extra = vec![
            ("Auto-Submitted", "auto-generated".into()),
            (
                "Reply-To",
                format!("<{}>", self.return_path.with(&VERP_HOLE.to_string())),
            ),
        ];
        Ok(MessageTemplate::new(
            &mail,
            &TemplateHeaders {
                from: self.from.clone(),
                reply_to: None,
                extra,
            },
        ))
    }

    fn transactional_letter(&self, kind: DeliveryKind) -> Result<MessageTemplate, Failure> {
        let good_for = |life: chrono::TimeDelta| duration_words(life.to_std().unwrap_or_default());
        let rendered = match kind {
            DeliveryKind::Confirmation => return self.confirmation_letter(email::confirmation),
            DeliveryKind::ConfirmationReminder => {
                return self.confirmation_letter(email::confirmation_reminder);
            }
            DeliveryKind::AlreadySubscribed => email::already(&self.site)?,
            DeliveryKind::AccountLink => email::account(&self.site, &good_for(preferences::LINK))?,
            DeliveryKind::EmailChange => {
                email::new_address(&self.site, &good_for(preferences::MOVE))?
            }
            DeliveryKind::EmailChanged => email::old_address(&self.site)?,
            DeliveryKind::PreferencesChanged => email::choices_changed(&self.site)?,
            DeliveryKind::LeaveLink => email::leave_link(&self.site)?,
            DeliveryKind::LeaveLinkByOther => email::leave_link_by_other(&self.site)?,
            DeliveryKind::Digest | DeliveryKind::Welcome => {
                return Err(Failure::internal("Such a mail has a letter of its own."));
            }
        };
        let leaves = kind == DeliveryKind::AlreadySubscribed;
        let list = leaves.then(|| self.ways_to_leave());
        Ok(self.by_hand(&rendered, list.into_iter().flatten().collect()))
    }

    /// The first mail of a subscription: with the latest digest's answers and the day of the next, and the header fields of the list.
    async fn welcome_letter(&self) -> Result<MessageTemplate, Failure> {
        let latest = self.storage.archive(1).await?.pop();
        let next = self.send_times.next(self.now());
        let latest = latest.as_ref().map(|(content, _)| content);
        let rendered = email::welcome(&self.site, latest, next)?;
        Ok(self.by_hand(&rendered, self.list_headers()))
    }

    /// A mail to one person who asked for it.
    pub(in crate::app) fn by_hand(
        &self,
        rendered: &Rendered,
        mut extra: Vec<(&'static str, String)>,
    ) -> MessageTemplate {
        extra.push(("Auto-Submitted", "auto-generated".into()));
        MessageTemplate::new(
            rendered,
            &TemplateHeaders {
                from: self.from.clone(),
                reply_to: self.reply_to.clone(),
                extra,
            },
        )
    }

    /// Exactly one web address, which RFC 8058 asks for; and where the return path is read, an address to write to, for the
    /// programs that know no other way (RFC 2369). Who writes there is known by the address alone, and leaves whatever they write.
    fn list_unsubscribe(&self) -> String {
        let link = format!(
            "<{}/unsubscribe/{TOKEN_PLACEHOLDER}>",
            self.settings.base_url()
        );
        if !self.return_path.is_per_delivery() {
            return link;
        }
        format!(
            "{link}, <mailto:{}?subject=unsubscribe>",
            self.return_path.with(&VERP_HOLE.to_string())
        )
    }

    /// RFC 2919: a name of ours, and below it a domain of ours.
    fn list_id(&self) -> String {
        let host = match self.settings.site.base_url.host() {
            Some(url::Host::Domain(domain)) => domain,
            _ => "localhost",
        };
        let id = self
            .settings
            .mail
            .list_id
            .clone()
            .unwrap_or_else(|| format!("verdicts.{host}"));
        format!("{} <{id}>", self.settings.site.newsletter)
    }

    /// The right side of our message ids: the sender's own domain.
    pub(crate) fn message_id_host(&self) -> &str {
        self.from.domain()
    }

    /// The same for every attempt at a delivery, so that a copy in doubt is known as one. It carries a tag, for who answers or reports
    /// with it is taken to have got the mail, and shows no number.
    pub(crate) fn message_id(&self, key: DeliveryKey) -> String {
        format!(
            "{}@{}",
            self.secrets.name_delivery(key),
            self.message_id_host()
        )
    }

    /// The name of a mailing in logs: a digest's slot, of another mail a text that shows no number.
    pub(crate) fn mailing_name(&self, mailing: i64) -> String {
        Slot::from_id(mailing).map_or_else(
            || self.secrets.mailing_name(mailing),
            |slot| slot.to_string(),
        )
    }

    /// The name of a subscriber in logs and JSON, which shows no number.
    pub fn subscriber_name(&self, subscriber: i64) -> String {
        self.secrets.subscriber_name(subscriber)
    }

    /// The subscriber whom [`App::subscriber_name`] names so; `None` for a text that names nobody. They may be gone.
    pub fn subscriber_named(&self, name: &str) -> Option<i64> {
        self.secrets.subscriber_named(name)
    }
}

/// Returns who we are in `Feedback-ID`, by which Gmail's Postmaster Tools tell senders apart: 5 to 15 characters, the same for all
/// our mail (support.google.com/mail/answer/6254652).
fn sender_id(host: &str) -> String {
    let letters = host.chars().map(|c| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '-'
        }
    });
    let id: String = letters.take(15).collect();
    if id.len() < 5 {
        format!("{id}-list")
    } else {
        id
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_sender_is_named_in_5_to_15_characters() {
        assert_eq!(
            ["news.example.org", "x.io", "", "Longer.Host.Example"].map(super::sender_id),
            ["news-example-or", "x-io-list", "-list", "longer-host-exa"]
        );
    }

    #[test]
    fn a_duration_is_said_in_its_largest_whole_unit() {
        let words =
            |seconds| crate::domain::duration_words(std::time::Duration::from_secs(seconds));
        assert_eq!(
            (words(72 * 3600), words(5400), words(3600), words(1)),
            (
                "3 days".into(),
                "90 minutes".into(),
                "1 hour".into(),
                "1 second".into()
            )
        );
    }
}
