//! What the server is told to do, and to whom.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use super::wire::base64;

/// Longest mail in bytes, also what `SIZE` offers.
pub const LONGEST_MAIL: usize = 10_485_760;

/// An answer that is not the usual one: a reply, silence, or a connection closed without a word. It is given each time its
/// moment comes, or the first `n` times. A string is a reply.
#[derive(Clone, Debug)]
pub struct Behaviour {
    action: Action,
    times: usize,
}

#[derive(Clone, Copy, Debug)]
pub enum Action {
    Reply(&'static str),
    Hang,
    Close,
    Hold,
    Late(Duration),
}

impl Behaviour {
    /// Says this, without the line end: `451 4.3.0 try later`. What starts with 2 accepts (with 3 after DATA), and 421
    /// closes the connection after it. A reply of many lines has its inner line ends written out.
    pub fn reply(reply: &'static str) -> Behaviour {
        let is_coded = reply.len() >= 3 && reply.bytes().take(3).all(|byte| byte.is_ascii_digit());
        assert!(
            is_coded,
            "a reply starts with three digits, and this one is {reply:?}"
        );
        Behaviour {
            action: Action::Reply(reply),
            times: usize::MAX,
        }
    }

    /// Never says anything again on this connection. In a body it also stops reading, so that a long mail's sender blocks.
    pub fn hang() -> Behaviour {
        Behaviour {
            action: Action::Hang,
            times: usize::MAX,
        }
    }

    /// Answers as usual, but not before [`SmtpSink::release`](super::SmtpSink::release): a greeting or a final dot that takes long.
    pub fn hold() -> Behaviour {
        Behaviour {
            action: Action::Hold,
            times: usize::MAX,
        }
    }

    /// Takes a mail as usual, and so long for the answer to its final dot.
    pub fn late(by: Duration) -> Behaviour {
        Behaviour {
            action: Action::Late(by),
            times: usize::MAX,
        }
    }

    /// Closes the connection without a word.
    pub fn close() -> Behaviour {
        Behaviour {
            action: Action::Close,
            times: usize::MAX,
        }
    }

    /// Only the first `n` times, then as usual.
    pub fn times(self, n: usize) -> Behaviour {
        Behaviour { times: n, ..self }
    }
}

impl From<&'static str> for Behaviour {
    fn from(reply: &'static str) -> Behaviour {
        Behaviour::reply(reply)
    }
}

/// The moments at which a script may step in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    Greeting,
    Login,
    MailFrom,
    Recipient,
    Data,
    InBody,
    AfterBody,
}

/// What a server does. Recipients are told by their local part, exactly; `*` stands for all that have no line of their own
/// at that stage.
pub struct Script {
    pub(super) extensions: Vec<String>,
    pub(super) login: Option<Login>,
    pub(super) starttls: bool,
    pub(super) implicit_tls: bool,
    pub(super) delay: Duration,
    pub(super) hello_delay: Duration,
    pub(super) only_counts: bool,
    pub(super) only_recipients: bool,
    pub(super) says_354_to_nobody: bool,
    pub(super) mails_per_connection: usize,
    pub(super) mechanisms: &'static str,
    pub(super) logins_max: usize,
    pub(super) one_hello: bool,
    pub(super) one_by_one: bool,
    pub(super) is_authority: bool,
    /// Size of the largest mail that it takes, in bytes.
    pub(super) size_max: AtomicUsize,
    /// By stage and local part, which is `*` before there is a recipient.
    behaviours: Mutex<HashMap<Stage, HashMap<String, Behaviour>>>,
}

impl Script {
    /// A server that takes every mail at once.
    pub fn accept_all() -> Script {
        let size = format!("SIZE {LONGEST_MAIL}");
        let extensions = [
            "PIPELINING",
            &size,
            "8BITMIME",
            "SMTPUTF8",
            "ENHANCEDSTATUSCODES",
        ];
        Script {
            extensions: extensions.map(str::to_owned).to_vec(),
            login: None,
            starttls: false,
            implicit_tls: false,
            delay: Duration::ZERO,
            hello_delay: Duration::ZERO,
            only_counts: false,
            only_recipients: false,
            says_354_to_nobody: false,
            mails_per_connection: usize::MAX,
            mechanisms: "PLAIN LOGIN",
            logins_max: usize::MAX,
            one_hello: false,
            one_by_one: false,
            is_authority: false,
            size_max: AtomicUsize::new(LONGEST_MAIL),
            behaviours: Mutex::default(),
        }
    }

    /// After so many MAIL commands a connection gets 421 for the next one.
    pub fn mails_per_connection(mut self, most: usize) -> Script {
        self.mails_per_connection = most;
        self
    }

    /// What a new connection gets. A reply other than 2xx closes it.
    pub fn at_greeting(self, behaviour: impl Into<Behaviour>) -> Script {
        self.with(Stage::Greeting, "*", behaviour)
    }

    /// What any AUTH gets, right or wrong.
    pub fn at_login(self, behaviour: impl Into<Behaviour>) -> Script {
        self.with(Stage::Login, "*", behaviour)
    }

    /// What any MAIL gets.
    pub fn at_mail_from(self, behaviour: impl Into<Behaviour>) -> Script {
        self.with(Stage::MailFrom, "*", behaviour)
    }

    /// What RCPT of this local part gets.
    pub fn reply_to(self, local_part: &str, behaviour: impl Into<Behaviour>) -> Script {
        self.with(Stage::Recipient, local_part, behaviour)
    }

    /// What DATA gets with this recipient.
    pub fn at_data(self, local_part: &str, behaviour: impl Into<Behaviour>) -> Script {
        self.with(Stage::Data, local_part, behaviour)
    }

    /// What happens once the first bytes of the body were read; the mail is not received. A reply also closes the connection.
    pub fn in_body(self, local_part: &str, behaviour: impl Into<Behaviour>) -> Script {
        self.with(Stage::InBody, local_part, behaviour)
    }

    /// What the final dot gets. Except after a reply other than 2xx the mail counts as received.
    pub fn after_body(self, local_part: &str, behaviour: impl Into<Behaviour>) -> Script {
        self.with(Stage::AfterBody, local_part, behaviour)
    }

    /// Takes mail only after AUTH (PLAIN or LOGIN) with these. It is offered under TLS only where TLS is offered.
    pub fn requires_login(self, user: &str, password: &str) -> Script {
        Script {
            login: Some(Login::new(user, password)),
            ..self
        }
    }

    /// Offers these mechanisms of AUTH and no others. CRAM-MD5 knows the user and the password of RFC 2195 alone.
    pub fn mechanisms(self, mechanisms: &'static str) -> Script {
        Script { mechanisms, ..self }
    }

    /// Answers AUTH with 421 while so many connections are logged in, as Dovecot's limit for each user does.
    pub fn logins_max(self, logins_max: usize) -> Script {
        Script { logins_max, ..self }
    }

    /// Answers a second EHLO in the same TLS state with 503, as OpenSMTPD 6.8 and qpsmtpd 0.94 do.
    pub fn one_hello(self) -> Script {
        Script {
            one_hello: true,
            ..self
        }
    }

    /// Writes each reply by itself with Nagle's algorithm on: one waits until that before it is acknowledged.
    pub fn one_by_one(self) -> Script {
        Script {
            one_by_one: true,
            ..self
        }
    }

    /// Has a certificate with `CA:TRUE`, as `openssl req -x509` makes it.
    pub fn with_authority(self) -> Script {
        Script {
            is_authority: true,
            ..self
        }
    }

    /// Announces that it takes mails of at most so many bytes, and refuses others.
    pub fn size(self, size: usize) -> Script {
        Script {
            size_max: AtomicUsize::new(size),
            ..self
        }
    }

    /// Offers STARTTLS, with a self-signed certificate.
    pub fn offers_starttls(self) -> Script {
        Script {
            starttls: true,
            ..self
        }
    }

    /// Speaks TLS from the first byte, with a self-signed certificate.
    pub fn implicit_tls(self) -> Script {
        Script {
            implicit_tls: true,
            ..self
        }
    }

    /// Offers these in EHLO's reply and no others; STARTTLS and AUTH come by themselves.
    pub fn extensions(self, extensions: &[&str]) -> Script {
        Script {
            extensions: extensions.iter().map(|&name| name.to_owned()).collect(),
            ..self
        }
    }

    /// Waits so long before each reply to a final dot.
    pub fn delay(self, delay: Duration) -> Script {
        Script { delay, ..self }
    }

    /// Waits so long before its greeting and before each answer to EHLO.
    pub fn hello_delay(self, hello_delay: Duration) -> Script {
        Script {
            hello_delay,
            ..self
        }
    }

    /// Answers DATA with 354 even where every recipient was refused, as RFC 2920 lets a server do, and refuses the body.
    pub fn says_354_to_nobody(self) -> Script {
        Script {
            says_354_to_nobody: true,
            ..self
        }
    }

    /// Keeps neither mails nor commands, for a benchmark of millions.
    pub fn only_counts(self) -> Script {
        Script {
            only_counts: true,
            ..self
        }
    }

    /// Keeps who got a mail and when, but neither its text nor the commands.
    pub fn only_recipients(self) -> Script {
        Script {
            only_recipients: true,
            ..self
        }
    }

    pub(super) fn order(&self, stage: Stage, local_part: &str, behaviour: Behaviour) {
        let mut behaviours = self.behaviours.lock().expect("nobody panics while asking");
        behaviours
            .entry(stage)
            .or_default()
            .insert(local_part.to_owned(), behaviour);
    }

    fn with(mut self, stage: Stage, local_part: &str, behaviour: impl Into<Behaviour>) -> Script {
        let behaviours = self
            .behaviours
            .get_mut()
            .expect("nobody has panicked while building it");
        behaviours
            .entry(stage)
            .or_default()
            .insert(local_part.to_owned(), behaviour.into());
        self
    }

    /// What to do at this stage, if not the usual. Asking takes one of its times.
    pub(super) fn turn(&self, stage: Stage, local_part: &str) -> Option<Action> {
        let mut behaviours = self.behaviours.lock().expect("nobody panics while asking");
        let of_stage = behaviours.get_mut(&stage)?;
        let name = if of_stage.contains_key(local_part) {
            local_part
        } else {
            "*"
        };
        let behaviour = of_stage.get_mut(name)?;
        behaviour.times = behaviour.times.checked_sub(1)?;
        Some(behaviour.action)
    }

    pub(super) fn offers(&self, extension: &str) -> bool {
        self.extensions
            .iter()
            .any(|offered| offered.split(' ').next() == Some(extension))
    }
}

/// What a client with the right user and password sends, in base64.
pub struct Login {
    pub user: String,
    pub password: String,
    /// Without and with the identity to act as.
    pub plain: [String; 2],
}

impl Login {
    fn new(user: &str, password: &str) -> Login {
        let plain =
            ["", user].map(|act_as| base64(format!("{act_as}\0{user}\0{password}").as_bytes()));
        Login {
            user: base64(user.as_bytes()),
            password: base64(password.as_bytes()),
            plain,
        }
    }
}
