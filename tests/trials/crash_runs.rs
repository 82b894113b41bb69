//! The crash runs: seeded troubles strike a send at random moments; afterwards everybody has the mail.
//!
//! `CRASH_RUNS` on each database (a few by default), from seed `CRASH_SEED`, with `CRASH_READERS` readers, in `CRASH_LANES` at a time: a run
//! mostly waits (for an outage to end, a lease to be over, a breaker's pause), so that two lanes take little more than half the time of one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use tokio::task::JoinSet;

use crate::field::Field;
use crate::field::program_in;
use crate::judge::Cost;
use crate::judge::Promise;
use crate::judge::until_final;
use crate::plan::Means;
use crate::plan::Plan;
use crate::plan::Trouble;
use crate::senders::Senders;
use crate::support::Program;
use crate::support::Relays;
use crate::support::Script;
use crate::support::TestDb;
use crate::support::Wire;
use crate::support::postgres::Cluster;
use crate::support::say;
use crate::support::setting;
use crate::trouble::Clock;
use crate::trouble::Scene;

/// A trouble strikes when so many mails are through, or when none came for so long.
const IMPATIENCE: Duration = Duration::from_millis(1_000);
/// Enough for each connection to have many mails and each trouble to strike amid them; more would only take longer.
const READERS: usize = 1_200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_strikes_a_send_on_sqlite_nobody_is_lost() {
    runs(|readers| Some(Field::on_sqlite(readers))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_strikes_a_send_on_postgresql_nobody_is_lost() {
    runs(Field::on_postgres).await;
}

/// Each lane has a place of its own, since some troubles strike all of it.
async fn runs(field: impl Fn(usize) -> Option<Field>) {
    let (count, first, lanes) = (
        setting("CRASH_RUNS", 5),
        setting("CRASH_SEED", 5) as u64,
        setting("CRASH_LANES", 1).max(1),
    );
    let mut running = JoinSet::new();
    for lane in 0..lanes as u64 {
        let Some(field) = tokio::task::block_in_place(|| field(setting("CRASH_READERS", READERS)))
        else {
            return;
        };
        let seeds: Vec<u64> = (first..first + count as u64)
            .filter(|seed| seed % lanes as u64 == lane)
            .collect();
        running.spawn(run_lane(field, seeds));
    }
    let mut summary = Summary::default();
    while let Some(lane) = running.join_next().await {
        summary.add(lane.expect("a lane"));
    }
    say(&summary.table());
    assert!(
        summary.faults.is_empty(),
        "{} of {count} runs failed: {:#?}",
        summary.faults.len(),
        summary.faults
    );
}

async fn run_lane(field: Field, seeds: Vec<u64>) -> Summary {
    let means = Means {
        postgres: field.cluster.is_some(),
        small_disk: field.disk.is_small,
        clock: Clock::library().is_some(),
    };
    if !means.clock {
        say(
            "libfaketime was not found: jumping clocks are left out of the trials. On Debian: apt-get install faketime",
        );
    }
    let field = Arc::new(field);
    let mut summary = Summary {
        database: field.name(),
        readers: field.readers,
        ..Summary::default()
    };
    for seed in seeds {
        let plan = Plan::of(seed, field.readers, means);
        let began = Instant::now();
        let result = run(&field, &plan).await;
        let took = began.elapsed();
        let words = match &result {
            Ok(cost) => format!(
                "{} in doubt, {} extra copies, at most {}",
                cost.doubts,
                cost.extra,
                plan.most_copies()
            ),
            Err(fault) => format!("FAILED: {fault}"),
        };
        say(&format!(
            "{} {plan:?}: {words}; {:.1} s",
            field.name(),
            took.as_secs_f64()
        ));
        summary.note(&plan, result, took);
    }
    summary
}

async fn run(field: &Arc<Field>, plan: &Plan) -> Result<Cost, String> {
    let test_db = field.fresh();
    // The second one is slower than the first, which troubles strike.
    let delays = [0, 12].into_iter().take(plan.relays);
    let relays = Relays::start(delays.map(|delay| {
        Script::accept_all()
            .only_recipients()
            .delay(Duration::from_millis(delay))
    }))
    .await;
    let clock = Clock::right();
    let program = program_in(&test_db)
        .with("VERDICTS_MAIL__RELAYS", &relays.setting())
        .with("VERDICTS_MAIL__CONNECTIONS", &plan.connections.to_string())
        .with(
            "VERDICTS_MAIL__IN_DOUBT",
            if plan.hold { "hold" } else { "resend" },
        );
    let result = send(field, plan, &test_db, &program, &relays, &clock).await;
    match &result {
        Ok(_) => field.clear(&test_db),
        Err(_) => say(&format!(
            "what the senders said is kept in {}",
            test_db.dir.keep().display()
        )),
    }
    result
}

async fn send(
    field: &Arc<Field>,
    plan: &Plan,
    test_db: &TestDb,
    program: &Program,
    relays: &Relays,
    clock: &Clock,
) -> Result<Cost, String> {
    #[allow(
        clippy::disallowed_methods,
        reason = "the program looks at the machine's clock"
    )]
    let clocks = plan
        .has_true_clock()
        .then(|| (Instant::now(), chrono::Utc::now()));
    let sending = if plan.has_true_clock() {
        program.clone()
    } else {
        with_clock(program.clone(), clock)
    };
    let wire = wire_to(field).await;
    let sending = match &wire {
        Some(wire) => sending.with("VERDICTS_DATABASE__URL", &through(wire, field, test_db)),
        None => sending,
    };
    let mut senders = Senders::start(sending, plan.senders);
    let mut scene = Scene {
        field,
        test_db,
        sink: relays.first(),
        clock,
        wire: wire.as_ref(),
        mending: JoinSet::new(),
    };
    for (at, trouble) in &plan.troubles {
        reached(relays, *at).await;
        scene.strike(*trouble, &mut senders).await?;
    }
    scene.mend().await;
    if !plan.has_true_clock() {
        // Retries wait for their time by a clock that was ahead; later by the clock than all of them it is done.
        clock.set(12 * 3_600);
    }
    let mut died = 0;
    until_final(&field.digest, program, relays, || died += senders.revive()).await?;
    senders.end().await?;
    let promise = Promise {
        digest: &field.digest,
        ids: &field.ids,
        most_copies: plan.most_copies() + died * plan.lines(),
        hold: plan.hold,
        clocks,
    };
    promise.judge(program, relays)
}

/// The senders' way to PostgreSQL, which can lose everything.
async fn wire_to(field: &Field) -> Option<Arc<Wire>> {
    Some(Arc::new(Wire::to(field.cluster.as_ref()?.port()).await))
}

fn through(wire: &Wire, field: &Field, test_db: &TestDb) -> String {
    let port = field.cluster.as_ref().map_or(0, Cluster::port);
    test_db
        .database_url
        .replace(&format!(":{port}/"), &format!(":{}/", wire.port))
}

fn with_clock(program: Program, clock: &Clock) -> Program {
    clock
        .variables()
        .iter()
        .fold(program, |program, (name, value)| program.with(name, value))
}

async fn reached(relays: &Relays, mails: usize) {
    let (mut last, mut moved) = (relays.mails(), Instant::now());
    while last < mails && moved.elapsed() < IMPATIENCE {
        tokio::time::sleep(Duration::from_millis(2)).await;
        if relays.mails() != last {
            (last, moved) = (relays.mails(), Instant::now());
        }
    }
}

/// All runs on one database.
#[derive(Default)]
struct Summary {
    database: &'static str,
    readers: usize,
    struck: BTreeMap<&'static str, usize>,
    cost: Cost,
    most_copies: usize,
    orderly: usize,
    orderly_extra: usize,
    held: usize,
    took: Vec<Duration>,
    faults: Vec<String>,
}

impl Summary {
    fn note(&mut self, plan: &Plan, result: Result<Cost, String>, took: Duration) {
        plan.troubles
            .iter()
            .for_each(|(_, trouble)| *self.struck.entry(trouble.name()).or_default() += 1);
        self.took.push(took);
        self.most_copies += plan.most_copies();
        self.held += usize::from(plan.hold);
        match result {
            Ok(cost) => {
                self.cost.doubts += cost.doubts;
                self.cost.extra += cost.extra;
                if plan
                    .troubles
                    .iter()
                    .all(|(_, trouble)| matches!(trouble, Trouble::Terminate))
                {
                    self.orderly += 1;
                    self.orderly_extra += cost.extra + cost.doubts;
                }
            }
            Err(fault) => self.faults.push(format!("seed {}: {fault}", plan.seed)),
        }
    }

    /// Adds another lane's.
    fn add(&mut self, other: Self) {
        (self.database, self.readers) = (other.database, other.readers);
        other
            .struck
            .into_iter()
            .for_each(|(name, times)| *self.struck.entry(name).or_default() += times);
        self.cost.doubts += other.cost.doubts;
        self.cost.extra += other.cost.extra;
        self.most_copies += other.most_copies;
        self.orderly += other.orderly;
        self.orderly_extra += other.orderly_extra;
        self.held += other.held;
        self.took.extend(other.took);
        self.faults.extend(other.faults);
    }

    /// For docs/reliability.md.
    fn table(&self) -> String {
        let runs = self.took.len();
        let mut sorted = self.took.clone();
        sorted.sort_unstable();
        let struck: Vec<String> = self
            .struck
            .iter()
            .map(|(name, times)| format!("{name} {times}"))
            .collect();
        let lines = [
            ("runs, readers in each", format!("{runs}, {}", self.readers)),
            ("troubles", struck.join("; ")),
            (
                "runs in which a promise was broken",
                self.faults.len().to_string(),
            ),
            (
                "mails in doubt, all named by the ledger",
                self.cost.doubts.to_string(),
            ),
            (
                "extra copies, of at most",
                format!("{}, {}", self.cost.extra, self.most_copies),
            ),
            (
                "runs with SIGTERM alone, their doubts and extra copies",
                format!("{}, {}", self.orderly, self.orderly_extra),
            ),
            ("runs with mail.in_doubt = \"hold\"", self.held.to_string()),
            (
                "a run takes, median and longest",
                format!(
                    "{:.1} s, {:.1} s",
                    seconds(&sorted, runs / 2),
                    seconds(&sorted, runs - 1)
                ),
            ),
        ];
        let rows: String = lines
            .iter()
            .map(|(name, value)| format!("| {name} | {value} |\n"))
            .collect();
        format!("| | {} |\n| --- | --- |\n{rows}", self.database)
    }
}

fn seconds(sorted: &[Duration], index: usize) -> f64 {
    sorted.get(index).map_or(0.0, Duration::as_secs_f64)
}
