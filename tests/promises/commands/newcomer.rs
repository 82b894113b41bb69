//! `serve` as a newcomer starts it.

use std::time::Duration;
use std::time::Instant;

use super::plain;
use crate::support::Program;
use crate::support::TestDb;
use crate::support::catalogue::small;
use crate::support::program::Running;
use crate::support::test_app::START;

/// `serve` as a newcomer starts it: in an empty folder, on the default database; only the port is a free one.
struct Newcomer {
    _place: TestDb,
    program: Program,
    url: String,
    running: Running,
}

impl Newcomer {
    async fn start() -> Self {
        let (test_db, program) = plain();
        let address = std::net::TcpListener::bind("127.0.0.1:0")
            .expect("a port")
            .local_addr()
            .expect("an address");
        let url = format!("http://{address}");
        let program = program
            .without("VERDICTS_DATABASE__URL")
            .with("VERDICTS_SITE__LISTEN", &address.to_string())
            .with("VERDICTS_SITE__BASE_URL", &url);
        let running = program.start("serve", &["serve"]);
        let mut newcomer = Self {
            _place: test_db,
            program,
            url,
            running,
        };
        for _ in 0..1_200 {
            if reqwest::get(&newcomer.url).await.is_ok() || newcomer.running.has_ended() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        newcomer
    }

    fn said(&self) -> String {
        ["err", "out"]
            .map(|ending| {
                std::fs::read_to_string(self.program.dir.join(format!("serve.{ending}")))
                    .expect("a file")
            })
            .concat()
    }

    async fn page(&self, path: &str) -> String {
        let answer = reqwest::get(format!("{}{path}", self.url))
            .await
            .unwrap_or_else(|error| panic!("{error}: {}", self.said()));
        assert_eq!(answer.status(), 200, "{path}");
        answer.text().await.expect("a page")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newcomer_types_serve_in_an_empty_folder_and_has_a_service() {
    let mut newcomer = Newcomer::start().await;
    let front = newcomer.page("/").await;
    let said = newcomer.said();
    assert!(
        said.contains("a sample of") && said.contains("dates moved to now"),
        "{said}"
    );
    assert!(
        said.contains(&newcomer.url) && said.contains(&format!("{}/mailbox", newcomer.url)),
        "{said}"
    );
    assert!(
        front.contains("/comparisons/")
            && front.to_lowercase().contains("sample")
            && front.contains("action=\"/subscribe\""),
        "{front}"
    );
    newcomer.page("/mailbox").await;

    let program = &newcomer.program;
    program.write("c.toml", small(2, verdicts::app::Clock::system().now()));
    program.write("l.csv", "email\nada@example.org\n");
    program.run(&["catalog", "import", "c.toml"]).good();
    program
        .run(&[
            "subscribers",
            "import",
            "l.csv",
            "--consent",
            "x",
            "--confirmed",
        ])
        .good();
    program
        .run(&["subscribers", "add", "bob@example.org", "--consent", "x"])
        .good();
    let sent = program.run(&["--json", "digest", "send"]).good().json();
    assert_eq!(
        (&sent["state"], &sent["recipients"]),
        (&"sent".into(), &1.into()),
        "to ada, and bob has not confirmed"
    );
    assert!(newcomer.page("/tools/t0-l").await.contains("Tool t0 l"));
    let mut mailbox = String::new();
    for _ in 0..1_200 {
        mailbox = newcomer.page("/mailbox").await;
        if mailbox.contains("bob@example.org") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(
        mailbox.contains("ada@example.org") && mailbox.contains("bob@example.org"),
        "{mailbox}"
    );
    assert_eq!(
        program.run(&["--json", "digest", "audit"]).good().json()["holds"],
        true
    );

    let asked = Instant::now();
    assert_eq!(newcomer.running.terminate(), Some(0), "{}", newcomer.said());
    assert!(
        asked.elapsed() < Duration::from_secs(20),
        "{:?}",
        asked.elapsed()
    );
    assert!(
        !newcomer.said().contains("panicked") && !newcomer.said().contains("ERROR"),
        "{}",
        newcomer.said()
    );
}

#[test]
fn serve_on_a_port_in_use_is_a_sentence_and_brings_no_sample_in_silence() {
    let (_place, program) = plain();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let program = program
        .without("VERDICTS_DATABASE__URL")
        .with("VERDICTS_SITE__LISTEN", &address);
    let said = program
        .run(&["serve"])
        .refused(&[&address, "VERDICTS_SITE__LISTEN"]);
    let tools = program.run(&["catalog", "export", "-"]).good().json()["tools"]
        .as_array()
        .map_or(0, Vec::len);
    assert!(
        tools == 0 || said.contains("sample"),
        "{tools} invented tools were brought, and all that was said is {said:?}"
    );
}

#[test]
fn serve_brings_no_sample_beside_a_catalogue_of_ones_own() {
    let (_place, program) = plain();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let program = program
        .without("VERDICTS_DATABASE__URL")
        .with("VERDICTS_SITE__LISTEN", &address);
    program.write("c.toml", small(1, START.parse().expect("a moment")));
    program.run(&["catalog", "import", "c.toml"]).good();
    program.run(&["serve"]).refused(&[&address]);
    assert_eq!(
        program.run(&["catalog", "export", "-"]).good().json()["tools"]
            .as_array()
            .map(Vec::len),
        Some(2)
    );
}
