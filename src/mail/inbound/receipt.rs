//! Receipts (RFC 8098): a machine says that a mail was shown or deleted, or refuses it for its reader (RFC 5429).

use super::addresses;
use super::headers::HeaderFields;
use super::mime::MimeParts;
use super::phrases;
use super::short;
use crate::domain::inbound::Classification;
use crate::domain::inbound::Reason;
use crate::domain::inbound::RecipientReport;
use crate::domain::inbound::SoftClass;
use crate::mail::inbound::free_text::FreeText;
use crate::mail::inbound::sender_kind::SenderClassification;

/// Words with which a filter that works for a reader says that it refused a mail.
const REFUSALS: &[&str] = &[
    "reject",
    "refus",
    "sieve",
    "abgelehnt",
    "zurückgewiesen",
    "rechaz",
    "rejeit",
    "rifiut",
    "geweigerd",
    "отклон",
    "拒否",
    "拒绝",
];

/// The finding of the receipt in a mail, `None` if it has none: a refusal is soft and the reader's own, whatever words they chose for it.
pub fn finding(
    mail: &MimeParts,
    manner: &SenderClassification,
    prose: &FreeText,
) -> Option<RecipientReport> {
    let receipt = mail
        .parts
        .iter()
        .find(|part| !part.enclosed && part.kind == "message/disposition-notification")?;
    let fields = HeaderFields::read(receipt.text.trim_start().as_bytes()).0;
    let named = ["original-recipient", "final-recipient"]
        .iter()
        .flat_map(|name| fields.all(name))
        .find_map(addresses::of_field);
    if !is_refusal(&fields, mail, manner, prose) {
        let address = if manner.daemon {
            named
        } else {
            manner.author.clone()
        };
        return Some(RecipientReport {
            address,
            meaning: Classification::Auto,
            class: None,
            reason: None,
            status: None,
            line: short(&manner.subject),
        });
    }
    let address = named.or_else(|| prose.original_recipients(&[]).into_iter().next());
    let (class, reason) = (Some(SoftClass::Recipient), Some(Reason::Unwanted));
    Some(RecipientReport {
        address,
        meaning: Classification::Soft,
        class,
        reason,
        status: None,
        line: short(&prose.text),
    })
}

/// A mail program says `deleted` too, of a mail that was never opened; but only where a receipt was asked for, and we ask for none.
fn is_refusal(
    fields: &HeaderFields,
    mail: &MimeParts,
    manner: &SenderClassification,
    prose: &FreeText,
) -> bool {
    let disposition = fields.lower("disposition");
    let (mode, kind) = disposition
        .split_once(';')
        .unwrap_or((disposition.as_str(), ""));
    let kept_from_reader = ["deleted", "denied", "failed", "refused"]
        .iter()
        .any(|word| kind.trim_start().starts_with(word));
    let by_machine = !mode.contains("manual-action") && !mode.contains("mdn-sent-manually");
    let says_so = || {
        let said = phrases::plain(&prose.text);
        let marks = [
            mail.headers.lower("auto-submitted"),
            manner.subject.clone(),
            said,
        ];
        marks
            .iter()
            .any(|text| REFUSALS.iter().any(|word| text.contains(word)))
            || phrases::is_failure_subject(&manner.subject)
    };
    let was_asked_for = || {
        prose
            .originals
            .iter()
            .any(|head| head.has("disposition-notification-to"))
    };
    kept_from_reader && by_machine && (says_so() || !prose.originals.is_empty() && !was_asked_for())
        || manner.daemon && phrases::is_failure_subject(&manner.subject)
}
