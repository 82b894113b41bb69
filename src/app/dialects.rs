//! What the columns of a subscriber file mean: our own, and those of the services that people come from.
//!
//! A service is known by columns that only its exports have. Somebody who was unsubscribed, bounced or complained there is so
//! here; somebody of whom the file says nothing is taken at the operator's word.

use csv::ByteRecord;

use super::spreadsheet::Row;
use super::spreadsheet::taken;
use crate::domain::Timestamp;
use crate::domain::address::EmailAddress;
use crate::domain::address::is_noncharacter;
use crate::domain::subscriber::SubscriberState;
use crate::domain::subscriber::timezone;
use crate::domain::to_millis;

/// The longest field that is read, in bytes.
const LONGEST_FIELD: usize = 4_000;

/// Whose export a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    /// Our own, or made by hand.
    Plain,
    /// Three files: subscribed, unsubscribed (`UNSUB_TIME`) and cleaned (`CLEAN_TIME`).
    Mailchimp,
    /// `active_subscription` says who pays; who left has `email_disabled`.
    Substack,
    Ghost,
    Listmonk,
    Beehiiv,
    Kit,
    Buttondown,
}

/// Which column holds what.
#[derive(Debug)]
pub struct Columns {
    dialect: Dialect,
    count: usize,
    email: usize,
    name: Option<usize>,
    first_name: Option<usize>,
    last_name: Option<usize>,
    confirmed_at: Option<usize>,
    source: Option<usize>,
    /// How somebody stood, in a word.
    state: Option<usize>,
    /// `false` for who left.
    subscribed: Option<usize>,
    /// `true` for who left.
    disabled: Option<usize>,
    /// A moment for who left, and why; for whom mail came back.
    left_at: Option<usize>,
    left_why: Option<usize>,
    cleaned_at: Option<usize>,
    timezone: Option<usize>,
}

impl Columns {
    /// Reads a header.
    ///
    /// # Errors
    /// A sentence: what is missing in it.
    pub fn of(header: &ByteRecord) -> Result<Self, String> {
        let plain = |name: &[u8]| String::from_utf8_lossy(name).trim().to_lowercase().replace([' ', '-'], "_").replace('?', "");
        let names: Vec<String> = header.iter().map(plain).collect();
        if names.is_empty() {
            return Err("expected a header with a column \"email\", it is empty".into());
        }
        let find = |wanted: &[&str]| wanted.iter().find_map(|wanted| names.iter().position(|name| name == wanted));
        let has = |name: &str| find(&[name]).is_some();
        let dialect = match () {
            () if has("leid") || has("euid") || has("optin_time") || has("confirm_time") => Dialect::Mailchimp,
            () if has("email_disabled") || has("active_subscription") => Dialect::Substack,
            () if has("subscribed_to_emails") || has("complimentary_plan") => Dialect::Ghost,
            () if has("uuid") && has("attributes") => Dialect::Listmonk,
            () if has("subscriber_type") || has("creation_date") => Dialect::Buttondown,
            () if has("subscription_tier") || has("subscription_id") || (has("status") && has("utm_source")) => Dialect::Beehiiv,
            () if has("status") && (has("first_name") || has("created_at")) => Dialect::Kit,
            () => Dialect::Plain,
        };
        let email = find(&["email", "email_address", "e_mail", "subscriber_email"]).ok_or_else(|| {
            let names: String = names.join(", ").chars().filter(|c| !c.is_control()).take(100).collect();
            format!("expected a header with a column \"email\", it has: {names}")
        })?;
        let foreign = |column: Option<usize>| column.filter(|_| dialect != Dialect::Plain);
        Ok(Self {
            dialect,
            count: names.len(),
            email,
            name: find(&["name"]),
            first_name: find(&["first_name", "firstname", "fname"]),
            last_name: find(&["last_name", "lastname", "lname"]),
            confirmed_at: find(&["confirmed_at", "confirm_time"])
                .or_else(|| foreign(find(&["optin_time", "created_at", "creation_date", "subscribed_at"]))),
            source: find(&["source"]),
            state: match dialect {
                Dialect::Plain => find(&["state", "status"]),
                Dialect::Buttondown => find(&["subscriber_type", "type"]),
                Dialect::Listmonk | Dialect::Beehiiv | Dialect::Kit => find(&["subscription_status", "status"]),
                Dialect::Mailchimp | Dialect::Substack | Dialect::Ghost => None,
            },
            subscribed: find(&["subscribed_to_emails", "subscribed"]).filter(|_| dialect == Dialect::Ghost),
            disabled: find(&["email_disabled"]),
            left_at: foreign(find(&["unsub_time", "unsubscribed_at", "unsubscription_date", "deleted_at"])),
            left_why: find(&["unsub_reason"]),
            cleaned_at: find(&["clean_time"]),
            timezone: find(&["timezone"]),
        })
    }

    /// Reads a row.
    ///
    /// # Errors
    /// A sentence: what was expected instead.
    pub fn row(&self, record: &ByteRecord) -> Result<Row, String> {
        if record.len() != self.count {
            return Err(format!("expected {} fields as in the header, it has {}", self.count, record.len()));
        }
        let own = |column| {
            // What our own export made of a text that a spreadsheet would compute.
            let own = |cell: String| if self.dialect == Dialect::Plain { taken(&cell).to_owned() } else { cell };
            Ok::<_, String>(text(record, column)?.map(own))
        };
        let email = own(Some(self.email))?.ok_or("there is no address in it")?;
        let name = match own(self.name)? {
            Some(name) => Some(name),
            None => {
                let parts = [text(record, self.first_name)?, text(record, self.last_name)?];
                let whole = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
                (!whole.is_empty()).then_some(whole)
            }
        };
        let confirmed_at = text(record, self.confirmed_at)?.map(|text| moment(&text)).transpose();
        Ok(Row {
            email: EmailAddress::parse(&email).map_err(|error| error.to_string())?,
            name,
            // What another service wrote is not the operator's to mend.
            confirmed_at: if self.dialect == Dialect::Plain { confirmed_at? } else { confirmed_at.unwrap_or_default() },
            source: own(self.source)?.or_else(|| self.dialect.name().map(String::from)),
            state: self.state(record)?,
            timezone: text(record, self.timezone)?.and_then(|text| timezone(&text)),
        })
    }

    fn state(&self, record: &ByteRecord) -> Result<Option<SubscriberState>, String> {
        let is = |column, words: &[&str]| Ok::<_, String>(text(record, column)?.is_some_and(|text| words.contains(&&*text.to_lowercase())));
        if self.cleaned_at.is_some() {
            return Ok(Some(SubscriberState::Bounced));
        }
        // Mailchimp's file of those who left has the column for all of them; elsewhere only those who left have the moment.
        if self.left_at.is_some() && (self.dialect == Dialect::Mailchimp || text(record, self.left_at)?.is_some()) {
            let why = text(record, self.left_why)?.unwrap_or_default().to_lowercase();
            let complained = why.contains("spam") || why.contains("abuse") || why.contains("complain");
            return Ok(Some(if complained { SubscriberState::Complained } else { SubscriberState::Unsubscribed }));
        }
        let yes = ["true", "t", "1", "yes"];
        let no = ["false", "f", "0", "no"];
        if is(self.disabled, &yes)? || is(self.subscribed, &no)? {
            return Ok(Some(SubscriberState::Unsubscribed));
        }
        text(record, self.state)?.map(|word| self.dialect.state(&word)).transpose()
    }
}

impl Dialect {
    /// The service, as a source.
    fn name(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Mailchimp => Some("mailchimp"),
            Self::Substack => Some("substack"),
            Self::Ghost => Some("ghost"),
            Self::Listmonk => Some("listmonk"),
            Self::Beehiiv => Some("beehiiv"),
            Self::Kit => Some("kit"),
            Self::Buttondown => Some("buttondown"),
        }
    }

    /// What a service's word for how somebody stands is here.
    fn state(self, word: &str) -> Result<SubscriberState, String> {
        let word = word.to_lowercase().replace([' ', '-'], "_");
        match word.as_str() {
            "active" | "enabled" | "subscribed" | "confirmed" | "regular" | "premium" | "gifted" | "trialed" | "churning" | "churned"
            | "past_due" | "unpaid" | "free" | "paid" | "upcoming" => Ok(SubscriberState::Active),
            // At Kit somebody who has not confirmed; elsewhere somebody who left.
            "inactive" if self == Self::Kit => Ok(SubscriberState::Pending),
            "pending" | "unconfirmed" | "unactivated" | "validating" | "needs_attention" => Ok(SubscriberState::Pending),
            "unsubscribed" | "inactive" | "cancelled" | "canceled" | "disabled" | "blocklisted" | "blacklisted" | "blocked" | "removed"
            | "paused" | "deleted" | "archived" => Ok(SubscriberState::Unsubscribed),
            "bounced" | "cleaned" | "undeliverable" | "invalid" => Ok(SubscriberState::Bounced),
            "complained" | "complaint" | "spam" | "spammy" | "malicious" => Ok(SubscriberState::Complained),
            word => word.parse(),
        }
    }
}

/// A field as text, trimmed; `None` when it is empty or the column is missing.
fn text(record: &ByteRecord, column: Option<usize>) -> Result<Option<String>, String> {
    let Some(field) = column.and_then(|column| record.get(column)) else { return Ok(None) };
    if field.len() > LONGEST_FIELD {
        return Err(format!("expected fields of at most {LONGEST_FIELD} bytes, one has {}", field.len()));
    }
    let text = std::str::from_utf8(field).map_err(|_| "expected UTF-8")?.trim();
    if text.chars().any(|c| c.is_control() || is_noncharacter(c)) {
        return Err("expected no control characters".into());
    }
    Ok((!text.is_empty()).then(|| text.into()))
}

/// RFC 3339, or as other programs write a moment: `2026-01-02 03:04:05.6 +0000 UTC`, `2026-01-02 03:04:05`, `2026-01-02`; UTC
/// where nothing else is said.
fn moment(text: &str) -> Result<Timestamp, String> {
    let bare = text.trim_end_matches(|c: char| c.is_ascii_alphabetic()).trim_end();
    let with_zone = || chrono::DateTime::parse_from_str(bare, "%Y-%m-%d %H:%M:%S%.f %z").ok().map(|moment| moment.to_utc());
    let without = |form| chrono::NaiveDateTime::parse_from_str(bare, form).ok().map(|moment| moment.and_utc());
    let day =
        || chrono::NaiveDate::parse_from_str(bare, "%Y-%m-%d").ok().and_then(|day| day.and_hms_opt(0, 0, 0)).map(|moment| moment.and_utc());
    let read = text
        .parse()
        .ok()
        .or_else(with_zone)
        .or_else(|| without("%Y-%m-%d %H:%M:%S%.f"))
        .or_else(|| without("%Y-%m-%dT%H:%M:%S%.f"))
        .or_else(day);
    read.map(to_millis).ok_or_else(|| format!("{text:?} is not a moment: expected one like 2026-11-16T09:00:00Z"))
}

#[cfg(test)]
mod tests {
    use crate::app::spreadsheet::Spreadsheet;

    /// Address, name, state, source and moment of each row.
    fn read(text: &str) -> Vec<String> {
        let mut sheet = Spreadsheet::open(std::io::Cursor::new(text.to_owned())).expect("a header");
        let rows = std::iter::from_fn(|| sheet.next_row()).map(|row| row.expect("readable").expect("good"));
        let text = |text: Option<String>| text.unwrap_or_else(|| "-".into());
        rows.map(|row| {
            let at = row.confirmed_at.map(|at| at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true));
            let state = row.state.map(|state| state.to_string());
            format!("{} {} {} {} {}", row.email, text(row.name), text(state), text(row.source), text(at))
        })
        .collect()
    }

    #[test]
    fn the_exports_of_each_service_are_known_by_their_headers() {
        let mailchimp = "\"Email Address\",\"First Name\",\"Last Name\",MEMBER_RATING,OPTIN_TIME,CONFIRM_TIME,LEID,EUID,TAGS";
        assert_eq!(
            read(&format!(
                "{mailchimp}\r\na@x.org,Ada,Lovelace,2,\"2026-01-01 00:00:00\",\"2026-01-02 03:04:05\",1,e,\"\"\"fair\"\"\"\r\n"
            )),
            ["a@x.org Ada Lovelace - mailchimp 2026-01-02T03:04:05Z"]
        );
        assert_eq!(
            read(&format!(
                "{mailchimp},UNSUB_TIME,UNSUB_REASON\na@x.org,,,2,,,1,e,,2026-02-02 00:00:00,NORMAL\nb@x.org,,,2,,,1,e,,,Spammy content\n"
            )),
            ["a@x.org - unsubscribed mailchimp -", "b@x.org - complained mailchimp -"]
        );
        assert_eq!(read(&format!("{mailchimp},CLEAN_TIME\na@x.org,,,2,,,1,e,,2026-02-02\n")), ["a@x.org - bounced mailchimp -"]);
        assert_eq!(
            read(
                "email,active_subscription,expiry,email_disabled,created_at\na@x.org,false,,false,2026-01-02T03:04:05.678Z\nb@x.org,true,,true,\n"
            ),
            ["a@x.org - - substack 2026-01-02T03:04:05.678Z", "b@x.org - unsubscribed substack -"]
        );
        assert_eq!(
            read(
                "id,email,name,note,subscribed_to_emails,complimentary_plan,created_at,deleted_at\n1,a@x.org,A,,true,,2026-01-02T03:04:05.000Z,\n2,b@x.org,,,false,,,\n3,c@x.org,,,true,,,2026-02-02T00:00:00Z\n"
            ),
            ["a@x.org A - ghost 2026-01-02T03:04:05Z", "b@x.org - unsubscribed ghost -", "c@x.org - unsubscribed ghost -"]
        );
        assert_eq!(
            read(
                "uuid,email,name,attributes,status,created_at,updated_at\nu,a@x.org,A,\"{\"\"city\"\": \"\"Bonn, \\\"\"x\\\"\"\"\"}\",enabled,2026-01-02 03:04:05.6 +0000 UTC,x\nu,b@x.org,,{},blocklisted,2026-01-02 03:04:05.123456 +0100 CET,x\n"
            ),
            ["a@x.org A active listmonk 2026-01-02T03:04:05.600Z", "b@x.org - unsubscribed listmonk 2026-01-02T02:04:05.123Z"]
        );
        assert_eq!(
            read(
                "email;status;subscription_tier;created_at;utm_source\na@x.org;active;free;2026-01-02 03:04:05;\nb@x.org;inactive;free;;\nc@x.org;pending;free;;\nd@x.org;invalid;free;;\n"
            ),
            [
                "a@x.org - active beehiiv 2026-01-02T03:04:05Z",
                "b@x.org - unsubscribed beehiiv -",
                "c@x.org - pending beehiiv -",
                "d@x.org - bounced beehiiv -"
            ]
        );
        assert_eq!(
            read(
                "First Name,Email,Status,Created At\nAda,a@x.org,active,2026-01-02\n,b@x.org,cancelled,\n,c@x.org,bounced,\n,d@x.org,complained,\n,e@x.org,inactive,\n"
            ),
            [
                "a@x.org Ada active kit 2026-01-02T00:00:00Z",
                "b@x.org - unsubscribed kit -",
                "c@x.org - bounced kit -",
                "d@x.org - complained kit -",
                "e@x.org - pending kit -"
            ]
        );
        assert_eq!(
            read(
                "id,email_address,notes,metadata,tags,type,source,creation_date,unsubscription_date\n1,a@x.org,,{},,regular,api,2026-01-02T03:04:05Z,\n2,b@x.org,,{},,unactivated,,,\n3,c@x.org,,{},,undeliverable,,,\n4,d@x.org,,{},,regular,,,2026-02-02\n5,e@x.org,,{},,complained,,,\n"
            ),
            [
                "a@x.org - active api 2026-01-02T03:04:05Z",
                "b@x.org - pending buttondown -",
                "c@x.org - bounced buttondown -",
                "d@x.org - unsubscribed buttondown -",
                "e@x.org - complained buttondown -"
            ]
        );
    }

    #[test]
    fn a_word_that_nobody_knows_is_refused_and_not_taken_for_yes() {
        let mut sheet = Spreadsheet::open("email,status,first_name\na@x.org,perhaps,A\n".as_bytes()).expect("a header");
        assert!(sheet.next_row().expect("a row").expect("readable").expect_err("refused").reason.contains("perhaps"));
    }
}
