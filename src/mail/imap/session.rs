//! An open folder: what is unread in it, fetching it, and marking it as done.

use std::time::Duration;

use super::After;
use super::ImapFault;
use super::PATIENCE;
use super::opening::selected;
use super::response::Response;
use super::response::Tagged;
use super::response::string;
use super::wire::Wire;
use super::wire::quoted;
use super::wire::within;

/// Mails that are named in one command.
const CHUNK: usize = 100;
/// Bytes that a search may be answered with: 300,000 mails.
const SEARCH: usize = 2 << 20;
/// Bytes beside a mail's own that its fetching may be answered with.
const BESIDE: usize = 64 << 10;
/// Upper bound on the answer to DONE: a line that was cut answers nothing, and the sooner it is known, the sooner it is opened anew.
const DONE: Duration = Duration::from_secs(10);
/// Upper bound on the time between two looks.
const LOOK_EVERY_MAX: Duration = Duration::from_secs(9 * 60);
/// Mails of others that are marked as deleted, from which on they are left as they are, and ours too.
const OTHERS_MAX: usize = 1_000;

/// An open folder.
pub struct ImapSession {
    wire: Wire,
    can: Vec<String>,
    /// The folder's name at the server.
    folder: String,
    after: After,
    /// UIDVALIDITY: with another one, the numbers name other mails.
    pub validity: u32,
    /// Actions that the server refuses, in words.
    pub limits: Vec<String>,
    /// Marked as deleted by us, and not gone yet.
    deleted: Vec<u32>,
    /// True once the server refused IDLE.
    refuses_idle: bool,
}

/// The server's answer to a fetch of a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// The mail as it came, or the beginning of one that is larger than was asked for.
    Mail(Vec<u8>),
    /// No such mail.
    Gone,
    /// An answer without the mail in it.
    Nothing,
}

impl ImapSession {
    pub(super) fn new(
        wire: Wire,
        can: Vec<String>,
        folder: String,
        after: After,
        validity: u32,
        limits: Vec<String>,
    ) -> Self {
        Self {
            wire,
            can,
            folder,
            after,
            validity,
            limits,
            deleted: Vec::new(),
            refuses_idle: false,
        }
    }

    fn can(&self, name: &str) -> bool {
        self.can.iter().any(|capability| capability == name)
    }

    /// Returns whether the server tells of new mail by itself (RFC 2177).
    pub fn can_idle(&self) -> bool {
        self.can("IDLE") && !self.refuses_idle
    }

    /// The mails that nobody has read, by their UIDs, oldest first. Their sizes are not asked for: a server that cannot open one of them
    /// (Dovecot) hangs up on a question about all.
    pub async fn unread(&mut self) -> Result<Vec<u32>, ImapFault> {
        self.wire.has_news = false;
        self.search("UNSEEN UNDELETED").await
    }

    async fn search(&mut self, what: &str) -> Result<Vec<u32>, ImapFault> {
        let answer = self
            .wire
            .command_within(PATIENCE, "SEARCH", &format!("UID SEARCH {what}"), SEARCH)
            .await?;
        let found = answer
            .responses
            .iter()
            .filter_map(|response| response.after("SEARCH"));
        let mut uids: Vec<u32> = found
            .flat_map(|text| {
                text.split(' ')
                    .filter_map(|uid| uid.parse().ok())
                    .collect::<Vec<_>>()
            })
            .collect();
        uids.sort_unstable();
        uids.dedup();
        Ok(uids)
    }

    /// The mail as it came, and of one that is larger the first `max` bytes. It stays unread.
    pub async fn fetch(&mut self, uid: u32, max: usize) -> Result<Fetched, ImapFault> {
        let command = format!("UID FETCH {uid} (UID BODY.PEEK[]<0.{max}>)");
        let answer = self
            .wire
            .command_within(10 * PATIENCE, "FETCH", &command, max.saturating_add(BESIDE))
            .await?;
        let is_this = |response: &&Response| number(response, "UID") == Some(uid as usize);
        Ok(
            match answer
                .responses
                .iter()
                .filter(|response| response.numbered("FETCH").is_some())
                .find(is_this)
            {
                None => Fetched::Gone,
                Some(response) => body(response)
                    .filter(|raw| !raw.is_empty())
                    .map_or(Fetched::Nothing, Fetched::Mail),
            },
        )
    }

    /// Marks a mail as done, by the setting. Read comes first: whatever is refused after that, it is not fetched again.
    pub async fn finish(&mut self, uid: u32) -> Result<(), ImapFault> {
        self.flag(&[uid], "+FLAGS.SILENT (\\Seen)").await?;
        match self.after.clone() {
            After::Seen => Ok(()),
            After::Delete => self.delete(uid).await,
            After::Move(to) => {
                let to = quoted(&to).unwrap_or_default();
                if self.can("MOVE") {
                    return self
                        .wire
                        .command(PATIENCE, "MOVE", &format!("UID MOVE {uid} {to}"))
                        .await
                        .map(|_| ());
                }
                self.wire
                    .command(PATIENCE, "COPY", &format!("UID COPY {uid} {to}"))
                    .await?;
                self.delete(uid).await
            }
        }
    }

    async fn delete(&mut self, uid: u32) -> Result<(), ImapFault> {
        self.flag(&[uid], "+FLAGS.SILENT (\\Seen \\Deleted)")
            .await?;
        if self.can("UIDPLUS") {
            return self
                .wire
                .command(PATIENCE, "EXPUNGE", &format!("UID EXPUNGE {uid}"))
                .await
                .map(|_| ());
        }
        self.deleted.push(uid);
        Ok(())
    }

    /// Takes out what is marked as deleted by us, where the server cannot take out one mail alone (RFC 4315, UIDPLUS): what others have
    /// marked is unmarked for the moment.
    pub async fn sweep(&mut self) -> Result<(), ImapFault> {
        if self.deleted.is_empty() {
            return Ok(());
        }
        let ours = std::mem::take(&mut self.deleted);
        let marked = self.search("DELETED").await?;
        let others: Vec<u32> = marked
            .iter()
            .copied()
            .filter(|uid| !ours.contains(uid))
            .collect();
        if !marked.iter().any(|uid| ours.contains(uid)) || others.len() > OTHERS_MAX {
            return Ok(());
        }
        for chunk in others.chunks(CHUNK) {
            self.flag(chunk, "-FLAGS.SILENT (\\Deleted)").await?;
        }
        let expunged = self
            .wire
            .command(PATIENCE, "EXPUNGE", "EXPUNGE")
            .await
            .map(|_| ());
        for chunk in others.chunks(CHUNK) {
            self.flag(chunk, "+FLAGS.SILENT (\\Deleted)").await?;
        }
        expunged
    }

    async fn flag(&mut self, uids: &[u32], how: &str) -> Result<(), ImapFault> {
        self.wire
            .command(PATIENCE, "STORE", &format!("UID STORE {} {how}", set(uids)))
            .await
            .map(|_| ())
    }

    /// Waits until there may be new mail, or until `stop`: told of it by IDLE, and at most for `every`, since a server that offers
    /// IDLE may say nothing, and so does a line that a firewall has cut. Where nothing was told, the folder is opened anew: to some servers
    /// (mailutils 3.15) a folder that is open stays as it was when it was opened. Gives the session back.
    pub async fn wait(
        mut self,
        every: Duration,
        stop: impl Future<Output = ()>,
    ) -> Result<Self, ImapFault> {
        tokio::pin!(stop);
        // RFC 2177 wants IDLE asked for anew within 29 minutes, and routers forget a silent line sooner.
        let every = every.min(LOOK_EVERY_MAX);
        if self.wire.has_news {
            return Ok(self);
        }
        if self.can_idle() {
            let begun = async {
                let tag = self.wire.send("IDLE", super::wire::BYTES).await?;
                Ok((self.wire.challenge(&tag).await?, tag))
            };
            match within(PATIENCE, "IDLE", begun).await? {
                (Ok(_), tag) => {
                    let waited = tokio::select! {
                        () = &mut stop => Ok(Ok(())),
                        waited = tokio::time::timeout(every, self.wire.news()) => waited,
                    };
                    if let Ok(Err(error)) = waited {
                        return Err(within(PATIENCE, "IDLE", async { Err::<(), _>(error) })
                            .await
                            .err()
                            .unwrap_or_else(|| ImapFault::broken("IDLE", "")));
                    }
                    let end = async {
                        self.wire.say("DONE").await?;
                        self.wire.answer(&tag).await
                    };
                    within(DONE, "the end of IDLE", end)
                        .await?
                        .into_result("IDLE")
                        .map(|_| ())?;
                    if waited.is_err() && !self.wire.has_news {
                        self.validity = selected(&mut self.wire, &self.folder).await?.validity;
                    }
                    return Ok(self);
                }
                // Offered, and refused: the clock does.
                (Err(Tagged::Refused(_)), _) => self.refuses_idle = true,
                (Err(Tagged::Done(_)), _) => return Ok(self),
            }
        }
        tokio::select! {
            () = &mut stop => {}
            () = tokio::time::sleep(every) => self.validity = selected(&mut self.wire, &self.folder).await?.validity,
        }
        Ok(self)
    }

    /// Says goodbye.
    pub async fn close(mut self) {
        let _ = self
            .wire
            .command(Duration::from_secs(2), "LOGOUT", "LOGOUT")
            .await;
    }
}

fn set(uids: &[u32]) -> String {
    uids.iter()
        .map(u32::to_string)
        .collect::<Vec<_>>()
        .join(",")
}

/// The number behind a word of a FETCH response. Only words between blanks and brackets count, so none within a literal's `{n}`.
fn number(response: &Response, name: &str) -> Option<usize> {
    let text = response.numbered("FETCH")?;
    let mut words = text.split([' ', '(', ')']).filter(|word| !word.is_empty());
    words
        .by_ref()
        .find(|word| word.eq_ignore_ascii_case(name))?;
    words.next()?.parse().ok()
}

/// The mail in a FETCH response: a literal, or for a short one a quoted string.
fn body(response: &Response) -> Option<Vec<u8>> {
    let text = response.numbered("FETCH")?;
    let at = text.to_ascii_uppercase().find("BODY[]")?;
    // Where it ends: behind the mark of where a part begins (`<0>`).
    let rest = text.get(at + "BODY[]".len()..)?;
    let rest = rest
        .strip_prefix('<')
        .and_then(|rest| rest.split_once('>'))
        .map_or(rest, |(_, rest)| rest)
        .trim_start();
    if rest.starts_with('{') {
        // Its number among the literals is that of the braces before it.
        return response.literals.get(literals_before(&text[..at])).cloned();
    }
    if rest.starts_with('"') {
        string(rest).map(|(text, _)| text.into_bytes())
    } else {
        None
    }
}

fn literals_before(text: &str) -> usize {
    text.matches('{').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(text: &str, literals: &[&str]) -> Response {
        Response {
            text: text.into(),
            literals: literals
                .iter()
                .map(|literal| literal.as_bytes().to_vec())
                .collect(),
        }
    }

    #[test]
    fn a_mail_is_found_in_what_a_server_answers() {
        for (text, literals, expected) in [
            (
                "* 3 FETCH (UID 7 BODY[] {5})",
                &["hello"][..],
                Some("hello"),
            ),
            ("* 3 FETCH (BODY[]<0> {5} UID 7)", &["hello"], Some("hello")),
            (
                "* 3 FETCH (X {1} UID 7 BODY[] {5} FLAGS (\\Seen))",
                &["x", "hello"],
                Some("hello"),
            ),
            (
                "* 3 FETCH (UID 7 BODY[] \"hel\\\"lo\")",
                &[],
                Some("hel\"lo"),
            ),
            ("* 3 fetch (uid 7 body[] {0})", &[""], Some("")),
            ("* 3 FETCH (UID 7 BODY[] NIL)", &[], None),
            ("* 3 FETCH (UID 7)", &[], None),
        ] {
            let found = response(text, literals);
            assert_eq!(number(&found, "UID"), Some(7), "{text}");
            assert_eq!(
                body(&found),
                expected.map(|text| text.as_bytes().to_vec()),
                "{text}"
            );
        }
        assert_eq!(number(&response("* 12 EXISTS", &[]), "UID"), None);
    }
}
