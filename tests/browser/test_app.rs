//! The compiled program with the sample catalogue, its pages served on a free port and its mails in the mailbox.

use std::net::TcpListener;
use std::time::Duration;

use crate::support::Program;
use crate::support::Running;
use crate::support::TestDb;

/// A running service. Dropped, it is killed.
pub struct TestApp {
    pub url: String,
    pub program: Program,
    _serving: Running,
    _place: TestDb,
}

impl TestApp {
    pub async fn open(test_db: TestDb) -> Self {
        Self::open_with(test_db, &[]).await
    }

    /// The same, with variables of its own.
    pub async fn open_with(test_db: TestDb, variables: &[(&str, &str)]) -> Self {
        let address = TcpListener::bind("127.0.0.1:0")
            .expect("a port")
            .local_addr()
            .expect("an address");
        let url = format!("http://{address}");
        let program = Program::set_up(&test_db)
            .with("VERDICTS_SITE__LISTEN", &address.to_string())
            .with("VERDICTS_SITE__BASE_URL", &url);
        let program = variables
            .iter()
            .fold(program, |program, (name, value)| program.with(name, value));
        let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/content");
        program
            .run(&["catalog", "import", sample, "--dates-to-now"])
            .good();
        let serving = program.start("serve", &["serve", "--role", "web,deliver"]);
        for _ in 0..600 {
            if reqwest::get(format!("{url}/healthz")).await.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Self {
            url,
            program,
            _serving: serving,
            _place: test_db,
        }
    }

    /// The week's digest, to everybody on the list.
    pub fn send_digest(&self) {
        let sent = self
            .program
            .run(&["--json", "digest", "send"])
            .good()
            .json();
        assert_eq!(sent["state"], "sent", "{sent}");
    }

    /// Where somebody stands: `pending`, `active`, `unsubscribed`; `None` if nobody knows them.
    pub fn state_of(&self, email: &str) -> Option<String> {
        let said = self.program.run(&["--json", "subscribers", "show", email]);
        (said.code == 0).then(|| said.json()["state"].as_str().expect("a state").to_owned())
    }
}
