//! docs/webhooks.md says what is so: its commands run, its example has the form of what is sent, its list of kinds is whole.

use std::collections::BTreeSet;

use super::*;
use crate::support::Program;

const PAGE: &str = include_str!("../../../docs/webhooks.md");

fn blocks(language: &str) -> Vec<&'static str> {
    let parts = PAGE
        .split(Box::leak(format!("```{language}\n").into_boxed_str()) as &str)
        .skip(1);
    parts
        .map(|rest| rest.split("```").next().expect("an end"))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_of_the_page_run_as_they_stand() {
    let test_db = TestDb::sqlite();
    let sink = HookSink::start().await;
    let program =
        Program::set_up(&test_db).with("VERDICTS_WEBHOOKS_OUT__ALLOW_PRIVATE", "127.0.0.1");
    let mut ran = 0;
    for line in blocks("sh").into_iter().flat_map(str::lines) {
        let line = line
            .replace("https://hooks.example.org/verdicts", &sink.url)
            .replace('\'', "");
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words[0], "verdicts", "{line}");
        program.run(&words[1..]).good();
        ran += 1;
    }
    assert!(ran >= 8, "{ran} commands");
    assert_eq!(sink.kinds(), ["webhook.test"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_of_the_page_has_the_form_of_what_is_sent() {
    let test_app = app_at(TestDb::sqlite()).await;
    let sink = HookSink::start().await;
    add(&test_app, &typed(&sink, &["digest.sent"])).await;
    test_app.stock_small().await;
    test_app.seed_subscribers("reader", 2).await;
    test_app.send_digest().await;
    send(&test_app).await;
    let sent = &sink.received()[0];
    let example: serde_json::Value = serde_json::from_str(blocks("json")[0]).expect("JSON");
    let keys = |value: &serde_json::Value| {
        value
            .as_object()
            .expect("an object")
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (keys(&example), keys(&example["data"])),
        (keys(&sent.json()), keys(&sent.json()["data"]))
    );
    assert_eq!(example["id"].as_str().map(str::len), Some(sent.id().len()));
    assert!(PAGE.contains(&format!(
        "webhook-id: {}",
        example["id"].as_str().expect("an id")
    )));
    for name in [
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
        "content-type",
        "user-agent",
    ] {
        assert!(
            sent.headers.contains_key(name) && PAGE.contains(&format!("\n{name}: ")),
            "{name}"
        );
    }
}

#[test]
fn the_page_lists_every_kind_of_event() {
    let list = PAGE.split_once("| area | kinds |").expect("a list").1;
    let mut listed = BTreeSet::new();
    for row in list.lines().skip(2) {
        let cells: Vec<&str> = row.split('|').collect();
        let words = |cell: &str| {
            cell.split('`')
                .skip(1)
                .step_by(2)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        for area in words(cells[1]) {
            for kind in words(cells[2]) {
                listed.insert(format!("{area}.{kind}"));
            }
        }
    }
    // `updated` is of tools alone, as the row says.
    listed.remove("comparison.updated");
    let known: BTreeSet<String> = EventKind::ALL
        .iter()
        .map(|kind| kind.as_str().to_owned())
        .collect();
    assert_eq!(
        listed
            .iter()
            .filter(|kind| kind.contains('.'))
            .cloned()
            .collect::<BTreeSet<_>>(),
        known
    );
}
