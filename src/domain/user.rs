//! People who run the newsletter: their roles, and what each role may do.

use super::Timestamp;
use super::address::EmailAddress;
use super::named;

named! {
    /// A user's role. [`Role::level`] is the one table of what it allows.
    Role {
        /// Runs the installation: everything.
        Owner => "owner",
        /// Runs the newsletter: everything but settings, users and the suppression list.
        Editor => "editor",
        /// Writes: drafts and catalogue, and never an address.
        Writer => "writer",
        /// Reads results.
        Analyst => "analyst",
    }
}

named! {
    /// A part of the desk whose rights are given together.
    Area {
        /// Tools, comparisons and where they come from.
        Catalogue => "catalogue",
        /// A digest before it is approved.
        Draft => "draft",
        /// Approve, send, pause, cancel.
        Send => "send",
        /// People on the list, with their addresses.
        Subscribers => "subscribers",
        /// Erasing people and taking their data out.
        Erase => "erase",
        /// Taking addresses off the suppression list.
        Suppressions => "suppressions",
        /// Results of digests, and growth of the list.
        Results => "results",
        /// Settings, users, tokens, webhooks.
        Settings => "settings",
        /// The audit log.
        Audit => "audit",
        /// One's own password, second factor and sessions.
        Own => "own",
    }
}

/// Level of a role's rights in an area.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AccessLevel {
    /// Nothing.
    None,
    /// Read, with addresses masked.
    Masked,
    /// Read.
    Read,
    /// Read and change.
    Write,
}

impl Role {
    /// Returns the level of this role in an area.
    pub const fn level(self, area: Area) -> AccessLevel {
        use AccessLevel::Masked;
        use AccessLevel::None;
        use AccessLevel::Read;
        use AccessLevel::Write;
        //                               owner  editor  writer  analyst
        let row: [AccessLevel; 4] = match area {
            Area::Catalogue => [Write, Write, Write, Read],
            Area::Draft => [Write, Write, Write, Read],
            Area::Send => [Write, Write, None, None],
            Area::Subscribers => [Write, Write, None, Masked],
            Area::Erase => [Write, Write, None, None],
            Area::Suppressions => [Write, None, None, None],
            Area::Results => [Read, Read, Read, Read],
            Area::Settings => [Write, None, None, None],
            Area::Audit => [Read, Read, None, None],
            Area::Own => [Write, Write, Write, Write],
        };
        row[self as usize]
    }

    /// Returns whether this role reaches `level` in an area.
    pub fn may(self, area: Area, level: AccessLevel) -> bool {
        self.level(area) >= level
    }
}

/// A user of the desk, without any secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Number of its row; it never leaves the process.
    pub id: i64,
    /// Address for invitations; also the name to sign in with.
    pub email: EmailAddress,
    /// The name that others see.
    pub name: String,
    /// Role, which says what they may do.
    pub role: Role,
    /// True if a password is set.
    pub has_password: bool,
    /// True if sign-in asks for a code too.
    pub has_second_factor: bool,
    /// Number of passkeys.
    pub passkeys: i64,
    /// Number of accounts at providers with which they sign in.
    pub identities: i64,
    /// Time when they were added.
    pub created_at: Timestamp,
    /// Time when they were last seen.
    pub seen_at: Option<Timestamp>,
    /// Time since which they may not sign in.
    pub disabled_at: Option<Timestamp>,
}

impl User {
    /// Ways in which they sign in, as a sentence lists them; `None` before the first.
    pub fn ways_in(&self) -> Option<String> {
        let password = match (self.has_password, self.has_second_factor) {
            (true, true) => Some("password and code".to_owned()),
            (true, false) => Some("password".to_owned()),
            (false, _) => None,
        };
        let passkeys = match self.passkeys {
            0 => None,
            1 => Some("passkey".to_owned()),
            several => Some(format!("{several} passkeys")),
        };
        let provider = (self.identities > 0).then(|| "provider".to_owned());
        let ways: Vec<String> = [password, passkeys, provider]
            .into_iter()
            .flatten()
            .collect();
        (!ways.is_empty()).then(|| ways.join(", "))
    }
}

named! {
    /// Stage of a sign-in.
    Stage {
        /// The password was right; a code or a passkey is awaited.
        Code => "code",
        /// The password was right; a second factor must be set up first.
        Enrol => "enrol",
        /// Signed in.
        Full => "full",
    }
}

named! {
    /// Purpose of a link that works once.
    ChallengeKind {
        /// Make the first owner.
        Setup => "setup",
        /// Choose a first password.
        Invite => "invite",
        /// Choose another password.
        Reset => "reset",
    }
}

named! {
    /// Purpose of a ceremony: an exchange with an authenticator or a provider that a browser began.
    CeremonyKind {
        /// Add a passkey to an account.
        PasskeyNew => "passkey_new",
        /// Prove by a passkey who one is: to sign in, or once more.
        PasskeyProof => "passkey_proof",
        /// Sign in at a provider, link an account there, or prove by it once more.
        Oidc => "oidc",
    }
}

/// Longest name of a user, in characters.
pub const NAME_MAX: usize = 100;

/// Reads a user's name: one line of 1 to [`NAME_MAX`] characters.
///
/// # Errors
/// A sentence for the person.
pub fn parse_name(text: &str) -> Result<String, String> {
    let text = text.trim();
    let length = text.chars().count();
    if length == 0 || length > NAME_MAX || text.chars().any(char::is_control) {
        return Err(format!("Give a name of 1 to {NAME_MAX} characters."));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_do_what_the_table_says() {
        let table = [
            ("catalogue", "wwwr"),
            ("draft", "wwwr"),
            ("send", "ww--"),
            ("subscribers", "ww-m"),
            ("erase", "ww--"),
            ("suppressions", "w---"),
            ("results", "rrrr"),
            ("settings", "w---"),
            ("audit", "rr--"),
            ("own", "wwww"),
        ];
        for (area, levels) in table {
            let area: Area = area.parse().expect("an area");
            let found: String = Role::ALL
                .iter()
                .map(|role| match role.level(area) {
                    AccessLevel::None => '-',
                    AccessLevel::Masked => 'm',
                    AccessLevel::Read => 'r',
                    AccessLevel::Write => 'w',
                })
                .collect();
            assert_eq!(found, levels, "{area}");
        }
        assert_eq!(table.len(), Area::ALL.len());
    }

    #[test]
    fn a_name_is_one_line() {
        assert_eq!(parse_name("  Ada Lovelace "), Ok("Ada Lovelace".into()));
        for bad in ["", "  ", "a\nb", &"x".repeat(101)] {
            assert!(parse_name(bad).is_err(), "{bad:?}");
        }
    }
}
