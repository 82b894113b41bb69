//! What a run goes through, made from its seed.

use rand::RngExt as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;

/// Something that goes wrong. Times are milliseconds.
#[derive(Clone, Copy, Debug)]
pub enum Trouble {
    /// `kill -9`, and another process is started at once.
    Kill,
    /// SIGTERM, and another process is started when it has ended.
    Terminate,
    /// PostgreSQL ends all of the program's connections.
    CutDatabase,
    /// PostgreSQL is stopped for a while: in order, or as if it were killed.
    StopDatabase { outage: u64, immediate: bool },
    /// PostgreSQL's host vanishes for a while: nothing arrives, and no connection is reset. Those of before stay silent for ever.
    VanishDatabase { outage: u64 },
    /// Another process holds SQLite's write lock.
    LockDatabase { outage: u64 },
    /// The disk under the database is full for a while.
    FillDisk { outage: u64 },
    /// The relay neither reads nor answers for a while.
    StallRelay { outage: u64 },
    /// The relay greets, and for a while answers no mail's envelope; what it has been asked meanwhile it never answers.
    SilentRelay { outage: u64 },
    /// One final dot is answered late; after more than `mail.timeouts.finish` it is in doubt.
    LateDot { by: u64 },
    /// For a while the relay takes long for its greeting and for each answer to EHLO.
    SlowGreeting { by: u64, outage: u64 },
    /// The relay closes a connection in the middle of a mail's text.
    CutInBody,
    /// The relay takes a mail and closes the connection instead of answering.
    CutAfterDot,
    /// It does so for so many mails: it takes them and hangs up.
    HangUps { mails: usize },
    /// The process is stopped (SIGSTOP) for longer than its lease while another one is at work, and goes on (SIGCONT).
    Freeze,
    /// The clock of the program's machine is off by so many minutes from now on.
    JumpClock { minutes: i64 },
}

/// One run.
#[derive(Debug)]
pub struct Plan {
    pub seed: u64,
    /// `mail.connections` of each process.
    pub connections: usize,
    /// Relays: one, or two of different speed.
    pub relays: usize,
    /// Processes that send.
    pub senders: usize,
    /// `mail.in_doubt = "hold"` instead of `"resend"`.
    pub hold: bool,
    /// Each with the number of mails at the relay at which it strikes, rising.
    pub troubles: Vec<(usize, Trouble)>,
}

/// What can be done here.
#[derive(Clone, Copy, Debug)]
pub struct Means {
    pub postgres: bool,
    pub small_disk: bool,
    pub clock: bool,
}

impl Plan {
    /// The plan of a seed: one to four troubles at random moments. Every eighth is of SIGTERM alone, which may cost no copy.
    pub fn of(seed: u64, readers: usize, means: Means) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let connections = random.random_range(2..=20);
        let senders = if random.random_bool(0.25) { 2 } else { 1 };
        let relays = if random.random_bool(0.25) { 2 } else { 1 };
        let hold = random.random_bool(0.125);
        let orderly = seed.is_multiple_of(8);
        let mut moments: Vec<usize> = (0..random.random_range(1..=4))
            .map(|_| random.random_range(readers / 50..readers * 95 / 100))
            .collect();
        moments.sort_unstable();
        let mut trouble = || {
            if orderly {
                Trouble::Terminate
            } else {
                Trouble::any(&mut random, means)
            }
        };
        let troubles = moments.into_iter().map(|at| (at, trouble())).collect();
        Self {
            seed,
            connections,
            relays,
            senders,
            hold,
            troubles,
        }
    }

    /// The most copies that may have gone out twice: one for each connection that a trouble can leave in doubt.
    pub fn most_copies(&self) -> usize {
        self.troubles
            .iter()
            .map(|(_, trouble)| trouble.most_copies(self))
            .sum()
    }

    /// Connections of one process, all relays together.
    pub fn lines(&self) -> usize {
        self.connections * self.relays
    }

    /// Whether the program's clock can be compared with this process's.
    pub fn has_true_clock(&self) -> bool {
        !self
            .troubles
            .iter()
            .any(|(_, trouble)| matches!(trouble, Trouble::JumpClock { .. }))
    }
}

impl Trouble {
    fn any(random: &mut StdRng, means: Means) -> Self {
        let outage = random.random_range(200..2_500);
        let mut choice = vec![
            Self::Kill,
            Self::Kill,
            Self::Terminate,
            Self::StallRelay { outage },
            Self::CutInBody,
            Self::CutAfterDot,
            Self::Freeze,
        ];
        choice.extend([
            Self::SilentRelay { outage },
            Self::HangUps {
                mails: random.random_range(5..=12),
            },
            Self::LateDot { by: outage },
            Self::SlowGreeting {
                by: random.random_range(100..800),
                outage,
            },
        ]);
        if means.postgres {
            choice.extend([
                Self::CutDatabase,
                Self::StopDatabase {
                    outage,
                    immediate: random.random_bool(0.5),
                },
            ]);
            // Longer than a call may last, and up to longer than the lease.
            choice.push(Self::VanishDatabase { outage: outage * 2 });
        } else {
            choice.extend([Self::LockDatabase { outage }, Self::LockDatabase { outage }]);
        }
        if means.small_disk {
            choice.push(Self::FillDisk { outage });
        }
        if means.clock {
            choice.push(Self::JumpClock {
                minutes: random.random_range(-300..=300),
            });
        }
        choice.choose(random).copied().unwrap_or(Self::Kill)
    }

    /// Its name in the summary.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill -9",
            Self::Terminate => "SIGTERM",
            Self::CutDatabase => "database connections cut",
            Self::StopDatabase {
                immediate: true, ..
            } => "database killed and started",
            Self::StopDatabase { .. } => "database stopped and started",
            Self::VanishDatabase { .. } => "database host vanished",
            Self::LockDatabase { .. } => "database locked by another process",
            Self::FillDisk { .. } => "full disk",
            Self::StallRelay { .. } => "relay stalls",
            Self::SilentRelay { .. } => "relay silent after its greeting",
            Self::LateDot { .. } => "late answer to a dot",
            Self::SlowGreeting { .. } => "slow greeting",
            Self::CutInBody => "connection cut in the text",
            Self::CutAfterDot => "connection cut after the dot",
            Self::HangUps { .. } => "relay takes mails and hangs up",
            Self::Freeze => "frozen past its lease",
            Self::JumpClock { .. } => "clock jumps",
        }
    }

    fn most_copies(self, plan: &Plan) -> usize {
        match self {
            Self::Terminate | Self::SilentRelay { .. } | Self::SlowGreeting { .. } => 0,
            // In the text too: to the client all of a short mail was on its way.
            Self::CutInBody | Self::CutAfterDot | Self::LateDot { .. } => 1,
            Self::HangUps { mails } => mails,
            Self::Kill => plan.lines(),
            // Also of the process that helps out while another is frozen.
            _ => {
                plan.lines()
                    * (plan.senders
                        + usize::from(plan.troubles.iter().any(|(_, t)| matches!(t, Self::Freeze))))
            }
        }
    }
}
