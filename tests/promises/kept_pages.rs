//! Public pages that are kept as they were rendered: a change shows at once in every process, and who has a page is not sent it again.

use chrono::TimeDelta;
use reqwest::StatusCode;
use reqwest::header;

use crate::support::TestApp;
use crate::support::catalogue;
use crate::support::on_both;

/// Asks for a page with one header; answers status, encoding, ETag and length.
async fn ask(
    test_app: &TestApp,
    path: &str,
    (name, value): (header::HeaderName, &str),
) -> (StatusCode, Option<String>, String, usize) {
    let client = reqwest::Client::new();
    let request = client.get(format!("{}{path}", test_app.url));
    let answer = request.header(name, value).send().await.expect("an answer");
    let text = |name: &header::HeaderName| {
        let value = answer.headers().get(name)?.to_str().ok()?;
        Some(value.to_owned())
    };
    let (status, encoding) = (answer.status(), text(&header::CONTENT_ENCODING));
    let etag = text(&header::ETAG).expect("an ETag");
    (
        status,
        encoding,
        etag,
        answer.bytes().await.expect("a body").len(),
    )
}

on_both! {
    async fn a_change_shows_at_once_in_every_process(test_db) {
        let first = TestApp::open(test_db).await;
        first.stock_small().await;
        let path = "/tools/t0-l";
        let (.., etag, _) = ask(&first, path, (header::ACCEPT_ENCODING, "identity")).await;
        assert_eq!(ask(&first, path, (header::ACCEPT_ENCODING, "identity")).await.2, etag, "nothing changed");
        // Each is written by a door of its own; the page is asked between them.
        let origin = first.url.clone();
        let vote = reqwest::Client::new().post(format!("{}/tools/t0-l/vote", first.url)).header("origin", origin).form(&[("verdict", "skip")]);
        assert!(vote.send().await.expect("an answer").status().as_u16() < 400);
        // The next visitor, without that one's cookie.
        let voted = ask(&first, path, (header::ACCEPT_ENCODING, "identity")).await;
        assert!(voted.2 != etag, "a vote shows");
        first.seed_catalogue(&catalogue::small(5, first.app.now() - TimeDelta::days(1)).replace("Tool t0 l", "Renamed tool")).await;
        assert!(first.page(path).await.contains("Renamed tool"), "an import shows");
        assert!(first.page("/").await.contains("Renamed tool"));
    }

    async fn what_a_client_has_is_not_sent_again(test_db) {
        let test_app = TestApp::open(test_db).await;
        test_app.stock_small().await;
        for path in ["/", "/comparisons/t0-l-vs-t0-r", "/tools/t0-l", "/digests", "/feed.xml", "/sitemap.xml"] {
            let (status, encoding, etag, plain) = ask(&test_app, path, (header::ACCEPT_ENCODING, "identity")).await;
            assert_eq!((status, encoding), (StatusCode::OK, None), "{path}");
            let (status, encoding, same, packed) = ask(&test_app, path, (header::ACCEPT_ENCODING, "br, gzip;q=0.8")).await;
            assert_eq!((status, same.as_str()), (StatusCode::OK, etag.as_str()), "{path}");
            assert!(encoding.as_deref() == Some("gzip") && packed < plain, "{path}: {packed} of {plain}");
            let (_, encoding, ..) = ask(&test_app, path, (header::ACCEPT_ENCODING, "gzip;q=0")).await;
            assert_eq!(encoding, None, "{path}: a client that refuses gzip");
            for known in [etag.clone(), etag.trim_start_matches("W/").to_owned(), format!("\"other\", {etag}"), "*".into()] {
                let (status, _, _, length) = ask(&test_app, path, (header::IF_NONE_MATCH, &known)).await;
                assert_eq!((status, length), (StatusCode::NOT_MODIFIED, 0), "{path}: {known}");
            }
            let (status, ..) = ask(&test_app, path, (header::IF_NONE_MATCH, "\"other\"")).await;
            assert_eq!(status, StatusCode::OK, "{path}");
        }
    }

    async fn what_is_published_later_shows_at_its_time_though_nothing_is_written(test_db) {
        let test_app = TestApp::open(test_db).await;
        let at = test_app.app.now() + TimeDelta::seconds(20);
        test_app.seed_catalogue(&catalogue::comparison("later", "Design", at)).await;
        assert!(!test_app.page("/").await.contains("later-l-vs-later-r"));
        test_app.wait(TimeDelta::seconds(21));
        assert!(test_app.page("/").await.contains("later-l-vs-later-r"));
    }
}
