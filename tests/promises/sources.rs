//! Sources: read when they are due, judged entry by entry, published only where somebody or a setting says so.

mod doors;
mod kinds;

use chrono::TimeDelta;
use verdicts::app::sources::LookReport;
use verdicts::app::sources::SourceWish;
use verdicts::domain::actor::Actor;
use verdicts::domain::source::ProposalState;
use verdicts::domain::source::SourceKind;
use verdicts::domain::source::SourceMapping;
use verdicts::domain::source::SourceMode;
use verdicts::storage::proposals::Proposal;
use verdicts::storage::proposals::ProposalFilter;
use verdicts::storage::sources::ContentSource;

use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::content_host::Answer;
use crate::support::content_host::ContentHost;
use crate::support::on_both;

const RSS: &str = "application/rss+xml; charset=utf-8";

/// A service that may ask the host of the test.
async fn app_of(test_db: TestDb) -> TestApp {
    TestApp::open_with(test_db, |settings| {
        settings.sources.allow_private = vec!["127.0.0.1".into()];
    })
    .await
}

fn wish(kind: SourceKind, url: &str) -> SourceWish {
    SourceWish {
        name: "Example".into(),
        kind,
        url: url.into(),
        mapping: SourceMapping {
            category: "Developer Tools".into(),
            ..SourceMapping::default()
        },
        mode: SourceMode::Review,
        every: TimeDelta::hours(1),
    }
}

async fn add(test_app: &TestApp, wish: &SourceWish) -> ContentSource {
    test_app
        .app
        .add_source(&Actor::cli(), wish)
        .await
        .expect("added")
}

async fn pull(test_app: &TestApp, source: &ContentSource) -> LookReport {
    let report = test_app.app.pull_source(source.id).await.expect("read");
    report.expect("nobody else reads it")
}

async fn stored(test_app: &TestApp, source: &ContentSource) -> ContentSource {
    let stored = test_app.app.storage.source(source.id).await.expect("read");
    stored.expect("it is there")
}

async fn in_state(test_app: &TestApp, state: ProposalState) -> Vec<Proposal> {
    let filter = ProposalFilter {
        state: Some(state),
        ..ProposalFilter::default()
    };
    test_app
        .app
        .storage
        .proposals(filter, 1_000)
        .await
        .expect("read")
}

async fn titles(test_app: &TestApp, state: ProposalState) -> Vec<String> {
    let mut titles: Vec<String> = in_state(test_app, state)
        .await
        .into_iter()
        .map(|found| found.entry.title)
        .collect();
    titles.sort();
    titles
}

fn rss(items: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><rss version=\"2.0\"><channel><title>Tools</title><link>https://feed.example/</link>{items}</channel></rss>"
    )
}

fn item(name: &str, guid: &str) -> String {
    format!(
        "<item><title>{name}</title><guid isPermaLink=\"false\">{guid}</guid><link>https://feed.example/{name}</link><description>{name} does it. And more.</description></item>"
    )
}

on_both! {
    async fn an_unchanged_feed_is_asked_for_by_its_version_and_says_nothing(test_db) {
        let (host, test_app) = (ContentHost::start().await, app_of(test_db).await);
        host.set("/feed", Answer::of(RSS, rss(&item("Alpha", "1"))).with("etag", "\"v1\"").with("last-modified", "Tue, 24 Nov 2026 08:00:00 GMT"));
        let source = add(&test_app, &wish(SourceKind::Feed, &host.at("/feed"))).await;
        assert_eq!(pull(&test_app, &source).await.proposed, 1);
        let again = pull(&test_app, &source).await;
        assert!(again.unchanged && again.proposed == 0);
        let asked = host.asked("/feed");
        assert!(!asked[0].contains("if-none-match") && asked[1].contains("if-none-match: \"v1\""), "{asked:?}");
        assert!(asked[1].contains("if-modified-since: tue, 24 nov 2026 08:00:00 gmt"), "{asked:?}");
        host.set("/feed", Answer::of(RSS, rss(&(item("Beta", "2") + &item("Alpha", "1")))).with("etag", "\"v2\""));
        assert_eq!(pull(&test_app, &source).await.proposed, 1);
        assert_eq!(titles(&test_app, ProposalState::New).await, ["Alpha", "Beta"]);
    }

    async fn a_source_is_read_when_it_is_due_and_one_host_by_one_request_at_a_time(test_db) {
        let (host, test_app) = (ContentHost::start().await, app_of(test_db).await);
        for n in 0..4 {
            let path = format!("/{n}");
            host.set(&path, Answer::of(RSS, rss(&item(&format!("Tool{n}"), "1"))));
            let named = SourceWish { name: format!("Feed {n}"), ..wish(SourceKind::Feed, &host.at(&path)) };
            add(&test_app, &named).await;
        }
        assert_eq!(test_app.app.pull_due_sources().await.expect("read"), 4);
        assert_eq!(test_app.app.pull_due_sources().await.expect("read"), 0, "not before an hour is over");
        assert_eq!(host.at_once(), 1);
        test_app.wait(TimeDelta::minutes(67));
        let again = test_app.app.clone();
        let (first, second) = tokio::join!(test_app.app.pull_due_sources(), again.pull_due_sources());
        assert!(first.expect("read") + second.expect("read") <= 4, "each once, though two processes look");
        assert_eq!(host.at_once(), 1);
        assert_eq!(test_app.app.storage.proposals(ProposalFilter::default(), 100).await.expect("read").len(), 4);
    }

    async fn a_failing_source_is_put_off_told_of_after_three_and_takes_nothing_away(test_db) {
        let (host, test_app) = (ContentHost::start().await, app_of(test_db).await);
        crate::support::desk::add(&test_app, "owner@example.org", verdicts::domain::user::Role::Owner).await;
        host.set("/feed", Answer::of(RSS, rss(&item("Alpha", "1"))));
        let source = add(&test_app, &SourceWish { mode: SourceMode::Publish, ..wish(SourceKind::Feed, &host.at("/feed")) }).await;
        assert_eq!(pull(&test_app, &source).await.published, 1);
        let catalogue = test_app.app.export_catalogue().await.expect("a catalogue");
        assert_eq!(catalogue.tools.len(), 1);
        host.set("/feed", Answer { body: b"<h1>Out of order</h1>".to_vec(), ..Answer::status(500) });
        let notices = async || {
            test_app.app.tick().await.expect("a tick");
            let notices = test_app.app.storage.user_notices(None, 100).await.expect("notices");
            notices.into_iter().filter(|notice| notice.kind == verdicts::domain::user_notice::UserNoticeKind::SourceFailing).collect::<Vec<_>>()
        };
        let mut waits = Vec::new();
        for n in 1..=4 {
            let report = pull(&test_app, &source).await;
            assert!(report.error.as_deref().is_some_and(|error| error.contains("500") && error.contains("Out of order")), "{report:?}");
            waits.push((stored(&test_app, &source).await.next_at - test_app.app.now()).num_minutes());
            assert_eq!(notices().await.len(), usize::from(n >= 3), "after {n}");
        }
        assert!(waits.is_sorted() && waits[3] > 3 * waits[0], "{waits:?}");
        assert!(notices().await[0].said.contains("Example"));
        assert_eq!(test_app.app.export_catalogue().await.expect("a catalogue"), catalogue);
        host.set("/feed", Answer::status(503).with("retry-after", "36000"));
        pull(&test_app, &source).await;
        assert!((stored(&test_app, &source).await.next_at - test_app.app.now()).num_minutes() >= 600);
        host.set("/feed", Answer::of(RSS, rss("")));
        let report = pull(&test_app, &source).await;
        assert_eq!((report.error, report.proposed), (None, 0), "an empty feed is no failure");
        assert_eq!(test_app.app.export_catalogue().await.expect("a catalogue"), catalogue, "and takes nothing away");
        let source = stored(&test_app, &source).await;
        assert_eq!((source.failures, source.failing_since), (0, None));
    }

    async fn a_source_that_moved_for_good_is_read_there_from_then_on(test_db) {
        let (host, test_app) = (ContentHost::start().await, app_of(test_db).await);
        host.set("/old", Answer::status(301).with("location", "/new"));
        host.set("/new", Answer::of(RSS, rss(&item("Alpha", "1"))));
        host.set("/for-now", Answer::status(302).with("location", "/new"));
        host.set("/round", Answer::status(302).with("location", "/round"));
        host.set("/inside", Answer::status(302).with("location", "http://10.0.0.1/feed"));
        let source = add(&test_app, &wish(SourceKind::Feed, &host.at("/old"))).await;
        pull(&test_app, &source).await;
        let moved = stored(&test_app, &source).await;
        assert_eq!(moved.draft.url, host.at("/new"));
        assert!(moved.last_note.is_some_and(|note| note.contains("moved for good")));
        let passing = add(&test_app, &SourceWish { name: "Passing".into(), ..wish(SourceKind::Feed, &host.at("/for-now")) }).await;
        pull(&test_app, &passing).await;
        assert_eq!(stored(&test_app, &passing).await.draft.url, host.at("/for-now"));
        for (path, why) in [("/round", "redirects"), ("/inside", "private address")] {
            let refused = test_app.app.try_source(&wish(SourceKind::Feed, &host.at(path))).await.expect_err("refused");
            assert!(refused.to_string().contains(why), "{path}: {refused}");
        }
    }

    async fn nothing_private_large_or_strange_is_read(test_db) {
        let (host, test_app) = (ContentHost::start().await, app_of(test_db).await);
        let mut large = rss(&item("Alpha", "1")).into_bytes();
        large.resize((8 << 20) + 1, b' ');
        host.set("/large", Answer::of(RSS, large.clone()));
        large.truncate(8 << 20);
        host.set("/just", Answer::of(RSS, large));
        host.set("/picture", Answer::of("image/png", "x"));
        host.set("/packed", Answer::of(RSS, "x").with("content-encoding", "gzip"));
        host.set("/page", Answer::of("text/html", "<p>Not a feed.</p>"));
        host.set("/bomb", Answer::of(RSS, "<?xml version=\"1.0\"?><!DOCTYPE r [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;\">]><rss version=\"2.0\"><channel><title>&b;</title></channel></rss>"));
        let refuse = async |url: &str| test_app.app.try_source(&wish(SourceKind::Feed, url)).await.expect_err(url).to_string();
        for (path, why) in [("/large", "larger than 8 MiB"), ("/picture", "image/png"), ("/packed", "compressed"), ("/page", "cannot be read as a feed"), ("/bomb", "declares entities"), ("/none", "404")] {
            let said = refuse(&host.at(path)).await;
            assert!(said.contains(why), "{path}: {said}");
        }
        assert!(test_app.app.try_source(&wish(SourceKind::Feed, &host.at("/just"))).await.is_ok());
        for url in ["https://169.254.169.254/latest/meta-data", "https://[::1]/feed", "https://localhost/feed"] {
            let said = refuse(url).await;
            assert!(said.contains("sources.allow_private") || said.contains("cannot be reached"), "{url}: {said}");
        }
        for url in ["ftp://feed.example/x", "file:///etc/passwd", "feed.example", "https://user:word@feed.example/"] {
            refuse(url).await;
        }
        let elsewhere = TestApp::open(test_app.test_db.again()).await;
        let said = elsewhere.app.try_source(&wish(SourceKind::Feed, &host.at("/just"))).await.expect_err("private").to_string();
        assert!(said.contains("https alone"), "{said}");
    }

    async fn one_entry_that_is_wrong_never_stops_the_others(test_db) {
        let (host, test_app) = (ContentHost::start().await, app_of(test_db).await);
        let long = format!("<item><title>{}</title><guid>long</guid></item>", "x".repeat(400));
        let broken = "<item><title>Broken</title><description>a < b && c</description></item>";
        let untitled = "<item><guid>none</guid><description>No title.</description></item>";
        host.set("/feed", Answer::of(RSS, rss(&[&item("Alpha", "1"), broken, untitled, &long, &item("Omega", "2")].concat())));
        let source = add(&test_app, &SourceWish { mode: SourceMode::Publish, ..wish(SourceKind::Feed, &host.at("/feed")) }).await;
        let report = pull(&test_app, &source).await;
        assert_eq!((report.proposed, report.published), (5, 2));
        assert_eq!(titles(&test_app, ProposalState::Accepted).await, ["Alpha", "Omega"]);
        for waiting in in_state(&test_app, ProposalState::New).await {
            let judged = test_app.app.judge_proposal(&waiting, &Default::default()).await.expect("judged");
            assert!(judged.has_fault() && judged.remarks.iter().all(|remark| !remark.detail.is_empty()), "{judged:?}");
            let refused = test_app.app.accept_proposal(&Actor::cli(), &waiting, None, &Default::default()).await;
            assert!(refused.is_err_and(|failure| failure.to_string().contains("cannot be accepted")));
        }
        assert_eq!(pull(&test_app, &source).await.proposed, 0, "a fault is told once");
    }

    async fn a_guid_that_changes_never_floods(test_db) {
        let (host, test_app) = (ContentHost::start().await, app_of(test_db).await);
        let source = add(&test_app, &wish(SourceKind::Feed, &host.at("/feed"))).await;
        for round in 0..5 {
            let items: String = (0..20).map(|n| item(&format!("Tool{n}"), &format!("{round}-{n}"))).collect();
            host.set("/feed", Answer::of(RSS, rss(&items)));
            assert_eq!(pull(&test_app, &source).await.proposed, if round == 0 { 20 } else { 0 }, "{round}");
        }
        assert_eq!(in_state(&test_app, ProposalState::New).await.len(), 20);
        let done = test_app.app.accept_all_good(&Actor::cli(), None).await.expect("accepted");
        assert_eq!((done.accepted, done.left), (20, 0));
        // Neither does what is decided come back, without guids at all.
        let items: String = (0..20).map(|n| item(&format!("Tool{n}"), "").replace("<guid isPermaLink=\"false\"></guid>", "")).collect();
        host.set("/feed", Answer::of(RSS, rss(&items)));
        assert_eq!(pull(&test_app, &source).await.proposed, 0);
        assert_eq!(in_state(&test_app, ProposalState::Accepted).await.len(), 20);
        host.set("/feed", Answer::of(RSS, rss(&item("Tool3", "x").replace("does it", "does it better"))));
        assert_eq!(pull(&test_app, &source).await.proposed, 1, "what says something else is news");
        assert_eq!(titles(&test_app, ProposalState::Changed).await, ["Tool3"]);
    }

    async fn what_has_no_date_has_the_day_on_which_it_was_first_seen(test_db) {
        let (host, test_app) = (ContentHost::start().await, app_of(test_db).await);
        let dated = item("Dated", "2").replace("</guid>", "</guid><pubDate>Mon, 02 Nov 2026 10:00:00 GMT</pubDate>");
        host.set("/feed", Answer::of(RSS, rss(&(item("Undated", "1") + &dated))));
        let source = add(&test_app, &wish(SourceKind::Feed, &host.at("/feed"))).await;
        let seen = test_app.app.now();
        pull(&test_app, &source).await;
        test_app.wait(TimeDelta::days(3));
        assert_eq!(pull(&test_app, &source).await.proposed, 0, "a day more is no change");
        test_app.app.accept_all_good(&Actor::cli(), None).await.expect("accepted");
        let catalogue = test_app.app.export_catalogue().await.expect("a catalogue");
        let dates: Vec<String> = catalogue.tools.iter().map(|tool| format!("{} {}", tool.slug, tool.published_at.format("%Y-%m-%d"))).collect();
        assert!(dates.contains(&format!("undated {}", seen.format("%Y-%m-%d"))) && dates.contains(&"dated 2026-11-02".to_owned()), "{dates:?}");
    }

    async fn a_paused_source_is_read_and_what_it_brings_is_held(test_db) {
        let (host, test_app) = (ContentHost::start().await, app_of(test_db).await);
        host.set("/feed", Answer::of(RSS, rss(&item("Alpha", "1"))).with("etag", "\"1\""));
        let source = add(&test_app, &SourceWish { mode: SourceMode::Publish, ..wish(SourceKind::Feed, &host.at("/feed")) }).await;
        assert!(test_app.app.pause_source(&Actor::cli(), source.id, true).await.expect("paused"));
        assert!(!test_app.app.pause_source(&Actor::cli(), source.id, true).await.expect("paused"));
        let report = pull(&test_app, &source).await;
        assert_eq!((report.proposed, report.published), (1, 0));
        assert!(test_app.app.pause_source(&Actor::cli(), source.id, false).await.expect("resumed"));
        assert_eq!(test_app.app.pull_due_sources().await.expect("read"), 1, "it is due at once");
        assert_eq!(titles(&test_app, ProposalState::Accepted).await, ["Alpha"]);
    }
}
