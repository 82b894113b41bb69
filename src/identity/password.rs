//! Passwords: which are taken, and how they are kept (argon2id, RFC 9106, with OWASP's minimum of 19 MiB and two passes).

use std::sync::LazyLock;

use argon2::Algorithm;
use argon2::Argon2;
use argon2::Params;
use argon2::PasswordHash;
use argon2::PasswordHasher;
use argon2::PasswordVerifier;
use argon2::Version;
use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization;

use super::common::is_common;

/// Fewest characters of a password.
pub const LENGTH_MIN: usize = 12;
/// Most characters of a password: more is no password, and costs time to read.
pub const LENGTH_MAX: usize = 256;

/// Memory of a hash, in KiB.
const MEMORY: u32 = 19 * 1024;
const PASSES: u32 = 2;
/// A stored string says itself how much memory checking it takes. One of more than this was not made here.
const MEMORY_MAX: u32 = 256 * 1024;
const PASSES_MAX: u32 = 16;
/// Hashes that are made at once: each fills a core for 20 ms, and a flood of sign-ins must leave one for mails.
const AT_ONCE: usize = 2;

/// A password as somebody typed it, in one form whatever their keyboard sends (NFKC).
#[derive(Clone)]
pub struct TypedPassword(String);

impl TypedPassword {
    /// Takes what was typed; `None` where it is too long to be a password.
    pub fn new(text: &str) -> Option<Self> {
        let is_short = text.len() <= LENGTH_MAX * 8;
        let typed = Self(text.nfkc().collect());
        (is_short && typed.0.chars().count() <= LENGTH_MAX).then_some(typed)
    }

    /// A password that somebody chooses. No rule about kinds of characters (NIST SP 800-63B, 3.1.1.2): length, and not among those that
    /// everybody tries. `about`: words that belong to its user and their site, like their address.
    ///
    /// # Errors
    /// A sentence for the person.
    pub fn choose(text: &str, about: &[&str]) -> Result<Self, String> {
        let Some(typed) = Self::new(text) else {
            return Err(format!(
                "Choose a password of at most {LENGTH_MAX} characters."
            ));
        };
        if typed.0.chars().count() < LENGTH_MIN {
            return Err(format!(
                "Choose a password of at least {LENGTH_MIN} characters. Four or five words that do not belong together are easy to remember."
            ));
        }
        if is_common(&typed.0, about) {
            return Err(
                "That password is among the first that anybody tries. Choose one that nobody else would: four or five words that do not belong together."
                    .into(),
            );
        }
        Ok(typed)
    }
}

/// Shows nothing of the password, for debug output ends up in logs.
impl std::fmt::Debug for TypedPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Typed")
    }
}

/// Result of a check of a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checked {
    /// It is another one, or there is none.
    Wrong,
    /// It is right.
    Right,
    /// It is right, and kept with weaker parameters than today's: hash it anew.
    RightAndOld,
}

/// Hashing could not be done: the system gave no memory or no thread.
#[derive(Debug, thiserror::Error)]
#[error("a password could not be hashed: {0}")]
pub struct HashError(String);

/// Makes hashes and checks them, a few at once, on threads that may block.
#[derive(Debug)]
pub struct Passwords {
    seats: Semaphore,
}

impl Default for Passwords {
    fn default() -> Self {
        Self {
            seats: Semaphore::new(AT_ONCE),
        }
    }
}

impl Passwords {
    /// The PHC string that is kept of a password.
    pub async fn hash(&self, password: &TypedPassword) -> Result<String, HashError> {
        let password = password.clone();
        self.blocking(move || {
            let salt: [u8; 16] = rand::random();
            hasher()
                .hash_password_with_salt(password.0.as_bytes(), &salt)
                .map(|hash| hash.to_string())
                .map_err(|error| HashError(error.to_string()))
        })
        .await?
    }

    /// Checks a password against what is kept. Without anything kept it takes as long, so that nobody learns by the clock which
    /// addresses are known here.
    pub async fn check(
        &self,
        typed: Option<&TypedPassword>,
        kept: Option<String>,
    ) -> Result<Checked, HashError> {
        let typed = typed
            .cloned()
            .unwrap_or_else(|| TypedPassword(String::new()));
        self.blocking(move || {
            let is_kept = kept.is_some();
            let hash = kept.as_deref().map(read).unwrap_or(None);
            let is_readable = hash.is_some();
            if is_kept && !is_readable {
                tracing::error!("a stored password hash is not one of ours; its user needs `verdicts users reset-password`");
            }
            let Some(hash) = hash.or_else(|| read(&NOBODY)) else {
                return Checked::Wrong;
            };
            let is_right = hasher().verify_password(typed.0.as_bytes(), &hash).is_ok();
            match is_right && is_readable {
                false => Checked::Wrong,
                true if is_old(&hash) => Checked::RightAndOld,
                true => Checked::Right,
            }
        })
        .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HashError> {
        let _seat = self
            .seats
            .acquire()
            .await
            .map_err(|error| HashError(error.to_string()))?;
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| HashError(error.to_string()))
    }
}

/// The hash of a password that nobody has.
static NOBODY: LazyLock<String> = LazyLock::new(|| {
    let password: [u8; 32] = rand::random();
    let hash = hasher().hash_password_with_salt(&password, &[7; 16]);
    hash.map(|hash| hash.to_string()).unwrap_or_default()
});

fn hasher() -> Argon2<'static> {
    let params = Params::new(MEMORY, PASSES, 1, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Reads a PHC string. It must name its version, for without one it is taken for an older algorithm and a right password counts as wrong;
/// and it must not ask for more memory or time than a sign-in may take.
fn read(text: &str) -> Option<PasswordHash> {
    let hash = PasswordHash::new(text).ok()?;
    let params = Params::try_from(&hash).ok()?;
    let is_ours = hash.algorithm.as_str() == "argon2id"
        && hash.version == Some(u32::from(Version::V0x13))
        && params.m_cost() <= MEMORY_MAX
        && params.t_cost() <= PASSES_MAX
        && params.p_cost() <= 4;
    is_ours.then_some(hash)
}

fn is_old(hash: &PasswordHash) -> bool {
    Params::try_from(hash).is_ok_and(|params| params.m_cost() < MEMORY || params.t_cost() < PASSES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> TypedPassword {
        TypedPassword::new(text).expect("short enough")
    }

    #[tokio::test]
    async fn a_password_is_known_again_in_every_form_of_unicode() {
        let passwords = Passwords::default();
        let kept = passwords
            .hash(&typed("Caf\u{e9} \u{fb01}fteen tables"))
            .await
            .expect("hashed");
        assert!(
            kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{kept}"
        );
        for (text, expected) in [
            ("Caf\u{e9} \u{fb01}fteen tables", Checked::Right),
            ("Cafe\u{301} fifteen tables", Checked::Right),
            ("cafe\u{301} fifteen tables", Checked::Wrong),
            ("", Checked::Wrong),
        ] {
            let checked = passwords
                .check(Some(&typed(text)), Some(kept.clone()))
                .await;
            assert_eq!(checked.expect("checked"), expected, "{text}");
        }
    }

    #[tokio::test]
    async fn a_hash_that_is_not_ours_or_asks_for_much_lets_nobody_in() {
        let passwords = Passwords::default();
        let kept = passwords.hash(&typed("x")).await.expect("hashed");
        for bad in [
            String::new(),
            "plain".into(),
            kept.replace("v=19$", ""),
            kept.replace("m=19456", "m=1048576"),
            kept.replace("t=2", "t=9999"),
            kept.replace("argon2id", "argon2i"),
        ] {
            let checked = passwords.check(Some(&typed("x")), Some(bad.clone())).await;
            assert_eq!(checked.expect("checked"), Checked::Wrong, "{bad}");
        }
        let nobody = passwords.check(Some(&typed("x")), None).await;
        assert_eq!(nobody.expect("checked"), Checked::Wrong);
    }

    #[tokio::test]
    async fn a_hash_of_weaker_parameters_is_right_and_old() {
        let weak = Argon2::new(
            Algorithm::Argon2id,
            Version::V0x13,
            Params::new(8 * 1024, 1, 1, None).expect("good"),
        );
        let kept = weak
            .hash_password_with_salt(b"an older password", &[1; 16])
            .expect("hashed")
            .to_string();
        let checked = Passwords::default()
            .check(Some(&typed("an older password")), Some(kept))
            .await;
        assert_eq!(checked.expect("checked"), Checked::RightAndOld);
    }

    #[test]
    fn short_long_and_common_passwords_are_refused_with_a_sentence() {
        let about = ["ada@lovelace.example", "Ship or Skip"];
        for bad in [
            "short",
            "elevenchars",
            &"x".repeat(257),
            "password1234",
            "Password12345!",
            "P@ssw0rd2026!",
            "123456789012",
            "qwertyuiop12",
            "aaaaaaaaaaaa",
            "abcabcabcabc",
            "letmeinletmein",
            "iloveyou123456",
            "ada@lovelace.example",
            "shiporskip2026",
            "1q2w3e4r5t6y",
            "abcdefghijkl",
        ] {
            let refused = TypedPassword::choose(bad, &about);
            assert!(refused.is_err_and(|words| words.ends_with('.')), "{bad}");
        }
        for good in [
            "correct horse battery staple",
            "violet tram eats ledger",
            "zK9#mTq4!vXw",
            "пароль из четырёх слов",
            "Passwords are a nuisance to Ada",
        ] {
            assert!(TypedPassword::choose(good, &about).is_ok(), "{good}");
        }
    }
}
