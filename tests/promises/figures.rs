//! `/metrics`: what it says of deliveries is the database's, whoever sent them.

use crate::support::Program;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::catalogue::small;
use crate::support::on_both;
use crate::support::test_app::START;
use crate::support::until;

/// A series' value in Prometheus' text format.
fn value(metrics: &str, series: &str) -> Option<u64> {
    metrics
        .lines()
        .find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
}

on_both! {
    async fn mails_that_a_command_sent_are_in_the_metrics_of_the_service(test_db) {
        let sink = SmtpSink::start(Script::accept_all().reply_to("bob", "550 5.3.0 no")).await;
        let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
        let program = Program::set_up(&test_db).with("VERDICTS_MAIL__TRANSPORT", &sink.url());
        let listen = format!("127.0.0.1:{port}");
        let mut serve = program.clone().with("VERDICTS_SITE__LISTEN", &listen).start("serve", &["serve", "--role", "web"]);
        let url = format!("http://{listen}/metrics");
        let metrics = async || Some(reqwest::get(&url).await.ok()?.text().await.expect("text"));
        until("the service answers", async || metrics().await.is_some()).await;
        let sent = "verdicts_deliveries_total{kind=\"digest\",outcome=\"sent\"}";
        let failed = "verdicts_deliveries_total{kind=\"digest\",outcome=\"failed\"}";
        let first = metrics().await.expect("metrics");
        for kind in ["digest", "transactional"] {
            for outcome in ["sent", "later", "failed", "bounced", "uncertain"] {
                let series = format!("verdicts_deliveries_total{{kind=\"{kind}\",outcome=\"{outcome}\"}}");
                assert_eq!(value(&first, &series), Some(0), "{series} is there from the start");
            }
        }
        program.write("c.toml", small(5, START.parse().expect("a moment")));
        program.write("l.csv", "email\nada@reader.example\nbob@reader.example\ncyd@reader.example\n");
        program.run(&["catalog", "import", "c.toml", "--dates-to-now"]).good();
        program.run(&["subscribers", "import", "l.csv", "--consent", "x", "--confirmed"]).good();
        program.run(&["digest", "send", "--force"]).good();
        let after = metrics().await.expect("metrics");
        assert_eq!((value(&after, sent), value(&after, failed)), (Some(2), Some(1)), "{after}");
        assert_eq!(value(&after, "verdicts_open_deliveries{state=\"queued\"}"), Some(0), "{after}");
        assert_eq!(serve.terminate(), Some(0));
    }
}
