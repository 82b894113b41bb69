//! Several machines on one PostgreSQL: one is killed, one frozen, and each mail goes out once.

use std::time::Duration;

use crate::field::program_in;
use crate::field::publish;
use crate::judge::Promise;
use crate::judge::until_final;
use crate::support::Relays;
use crate::support::Running;
use crate::support::Script;
use crate::support::TestDb;
use crate::support::postgres;
use crate::support::say;
use crate::support::setting;

const MACHINES: usize = 4;
const CONNECTIONS: usize = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_four_machines_one_is_killed_and_one_frozen_and_each_mail_goes_out_once() {
    let Some(cluster) = postgres::cluster() else {
        return;
    };
    let database_url = cluster.fresh_database();
    share_a_send(&database_url, None, setting("MACHINES_READERS", 20_000)).await;
}

/// Publishes on one database and sends from four processes, through the pooler at `pooler_url` if there is one; none of them
/// can look up whether another lives.
pub async fn share_a_send(database_url: &str, pooler_url: Option<&str>, readers: usize) {
    let test_db = TestDb {
        dir: tempfile::tempdir().expect("a folder"),
        database_url: database_url.to_owned(),
    };
    let program =
        program_in(&test_db).with("VERDICTS_MAIL__TRANSPORT", "smtp://127.0.0.1:1?tls=none");
    let (ids, digest) = publish(&program, readers);
    // The relay takes so long for a mail that every machine has some out at any time.
    let relays = Relays::start([Script::accept_all()
        .only_recipients()
        .delay(Duration::from_millis(4))])
    .await;
    let sink = relays.first();
    let program = program
        .with("VERDICTS_MAIL__TRANSPORT", &sink.url())
        .with("VERDICTS_MAIL__CONNECTIONS", &CONNECTIONS.to_string());
    let sending = program.clone().with("VERDICTS_DATABASE__CONNECTIONS", "4");
    let sending = match pooler_url {
        Some(url) => sending
            .with("VERDICTS_DATABASE__URL", url)
            .with("VERDICTS_DATABASE__DIRECT_URL", database_url),
        None => sending,
    };
    #[allow(
        clippy::disallowed_methods,
        reason = "the program looks at the machine's clock"
    )]
    let clocks = Some((std::time::Instant::now(), chrono::Utc::now()));
    let start =
        |n: usize| sending.start_apart(&format!("machine-{n}"), &["serve", "--role", "deliver"]);
    let mut machines: Vec<Running> = (1..=MACHINES).map(start).collect();

    sink.wait_for(readers / 5, Duration::from_secs(120)).await;
    machines.remove(0).kill();
    sink.wait_for(readers * 2 / 5, Duration::from_secs(120))
        .await;
    machines[0].signal("STOP");
    // Its lease is 3 seconds.
    tokio::time::sleep(Duration::from_millis(4_500)).await;
    machines[0].signal("CONT");
    let all_final = until_final(&digest, &program, &relays, || ()).await;
    for mut machine in machines {
        assert_eq!(machine.terminate(), Some(0), "it ends in order");
    }
    let promise = Promise {
        digest: &digest,
        ids: &ids,
        most_copies: 2 * CONNECTIONS,
        hold: false,
        clocks,
    };
    let judged = all_final.and_then(|()| promise.judge(&program, &relays));
    let cost =
        judged.unwrap_or_else(|fault| panic!("{fault}; see {}", test_db.dir.keep().display()));
    assert!(
        cost.doubts > 0,
        "the machines had mails out when they were struck"
    );
    say(&format!(
        "{MACHINES} machines, {readers} mails, one killed, one frozen: {cost:?}, at most {}",
        promise.most_copies
    ));
}
