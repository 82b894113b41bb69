//! The doors of a reader around their links: what stands behind a token, pages after an erasure, an erasure in two steps, and what
//! somebody with a forwarded digest can do without being noticed.

use chrono::TimeDelta;
use reqwest::StatusCode;
use verdicts::domain::subscriber::SubscriberState;

use crate::journey::link;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::on_both;

const ADA: &str = "reader0@example.org";
/// What mail programs and people put behind a link.
const BEHIND: [&str; 16] = [
    "/",
    "//",
    ".",
    ",",
    ")",
    ">",
    ";",
    "'",
    "%22",
    "%E2%80%9D",
    "]",
    "!",
    "*",
    "_",
    "/.",
    "&gt;",
];

async fn app_with_a_reader(test_db: TestDb) -> TestApp {
    let test_app = TestApp::open_with(test_db, |settings| settings.votes.per_client = 10_000).await;
    test_app.stock_small().await;
    test_app
        .enlist_all("email,name\nreader0@example.org,Ada Lovelace\n")
        .await;
    test_app.send_digest().await;
    test_app
}

/// Part of a path by which a mail that offers it is known: a digest offers votes on one comparison, and its token is good for all.
fn kind_of(path: &str) -> &str {
    if path.starts_with("/save/") {
        "/saved/"
    } else {
        path
    }
}

fn newest(test_app: &TestApp, path: &str) -> String {
    let mails = test_app.mails_to(ADA);
    let with_link = mails
        .iter()
        .rev()
        .find(|mail| String::from_utf8_lossy(mail).contains(kind_of(path)));
    link(with_link.expect("a mail with such a link"), path)
}

async fn account(test_app: &TestApp) -> String {
    test_app.wait(TimeDelta::minutes(11));
    test_app
        .post(&format!("{}/link", newest(test_app, "/preferences/")))
        .await;
    test_app.deliver_confirmations().await;
    newest(test_app, "/account/")
}

async fn history(test_app: &TestApp) -> Vec<String> {
    let person = test_app
        .app
        .storage
        .person(&ADA.parse().expect("an address"))
        .await
        .expect("an answer")
        .expect("a person");
    person
        .history
        .iter()
        .map(|entry| entry.event.to_string())
        .collect()
}

on_both! {
    async fn what_stands_behind_a_token_changes_nothing_about_its_link(test_db) {
        let test_app = app_with_a_reader(test_db).await;
        let confirm = test_app.ask_to_join("bea@example.org").await;
        let data = account(&test_app).await;
        test_app.post_form(&format!("{data}/address"), &[("email", "ada@new.example")]).await;
        test_app.deliver_confirmations().await;
        let moving = link(&test_app.mails_to("ada@new.example").pop().expect("a mail"), "/move/");
        let links = ["/preferences/", "/saved/", "/vote/t0-l/ship/", "/save/t0-l/", "/unsubscribe/", "/choose/t0-l-vs-t0-r/", "/monthly/"].map(|path| newest(&test_app, path));
        for behind in BEHIND {
            for path in links.iter().chain([&confirm, &data, &moving]) {
                assert_eq!(test_app.get(&format!("{path}{behind}")).await.status(), StatusCode::OK, "GET {path}{behind}");
                let page = test_app.page(&format!("{path}{behind}")).await;
                let token = path.rsplit('/').next().expect("a token");
                assert!(!page.contains(&format!("{token}.")) && !page.contains(&format!("{token}%")), "the page's own links are clean");
            }
        }
        for (n, behind) in BEHIND.iter().enumerate() {
            let done = |path: &str| format!("{path}{behind}");
            assert_eq!(test_app.post_form(&done(&links[0]), &[("rhythm", "weekly")]).await.status(), StatusCode::OK, "{behind}");
            assert_eq!(test_app.post(&done(&links[2])).await.status(), StatusCode::OK, "{behind}");
            assert_eq!(test_app.post(&done(&links[3])).await.status(), StatusCode::OK, "{behind}");
            let email = format!("reader-{n}@example.org");
            let confirm = test_app.ask_to_join(&email).await;
            assert_eq!(test_app.post(&done(&confirm)).await.status(), StatusCode::OK, "{behind}");
            assert_eq!(test_app.state_of(&email).await, Some(SubscriberState::Active), "{behind}");
        }
        // A letter more, or one less, is another token, and no token of ours.
        let (path, token) = links[0].rsplit_once('/').expect("a token");
        for other in [format!("{token}a"), format!("{token}a."), token[1..].to_owned(), format!("{}.", &token[..38]), format!(".{token}")] {
            assert_eq!(test_app.get(&format!("{path}/{other}")).await.status(), StatusCode::NOT_FOUND, "{other}");
        }
        assert_eq!(test_app.post(&format!("{}>", links[4])).await.status(), StatusCode::OK);
        assert_eq!(test_app.state_of(ADA).await, Some(SubscriberState::Unsubscribed));
    }

    async fn erasing_takes_two_steps_and_after_it_no_page_says_that_something_was_saved(test_db) {
        let test_app = app_with_a_reader(test_db).await;
        let preferences = newest(&test_app, "/preferences/");
        let data = account(&test_app).await;
        let erase = format!("{data}/erase");
        let before = test_app.test_db.dump().await;
        for shown in [test_app.post(&erase).await, test_app.get(&erase).await, test_app.post_form(&erase, &[("sure", "no")]).await] {
            assert_eq!(shown.status(), StatusCode::OK);
            let page = shown.text().await.expect("a page");
            assert!(page.contains("Erase everything for good") && page.contains("name=\"sure\" value=\"yes\""), "{page}");
        }
        assert_eq!(test_app.test_db.dump().await, before, "one press erases nothing");
        let gone = test_app.post_form(&erase, &[("sure", "yes")]).await;
        assert!(gone.text().await.expect("a page").contains("You are forgotten"));
        assert_eq!(test_app.state_of(ADA).await, None);

        let before = test_app.test_db.dump().await;
        let name = [("name", "Ada"), ("email", "ada@new.example"), ("rhythm", "weekly")];
        let answers = [
            test_app.post_form(&format!("{data}/name"), &name).await,
            test_app.post_form(&format!("{data}/address"), &name).await,
            test_app.post(&format!("{data}/export")).await,
            test_app.get(&data).await,
            test_app.get(&erase).await,
            test_app.get(&preferences).await,
            test_app.post_form(&preferences, &name).await,
        ];
        for answer in answers {
            let test_db = answer.url().path().to_owned();
            assert_eq!(answer.status(), StatusCode::GONE, "{test_db}");
            let page = answer.text().await.expect("a page");
            assert!(!page.contains("Kept") && !page.contains("Saved") && !page.contains("on its way"), "{test_db}: {page}");
        }
        assert!(test_app.post_form(&erase, &[("sure", "yes")]).await.text().await.expect("a page").contains("You are forgotten"), "twice is once");
        assert_eq!(test_app.test_db.dump().await, before);
    }

    async fn a_pause_by_somebody_else_is_told_noted_and_ends(test_db) {
        let test_app = app_with_a_reader(test_db).await;
        let preferences = newest(&test_app, "/preferences/");
        let began = test_app.app.now();
        test_app.post_form(&preferences, &[("rhythm", "weekly"), ("pause", "26")]).await;
        test_app.deliver_confirmations().await;
        let told = |test_app: &TestApp| test_app.mails_to(ADA).iter().filter(|mail| String::from_utf8_lossy(mail).contains("Your choices were changed")).count();
        assert_eq!(told(&test_app), 1);
        assert!(history(&test_app).await.iter().any(|what| what.starts_with("paused until 2027-05-25")), "{:?}", history(&test_app).await);

        // Made longer as often as one likes, it ends all the same; and a day has one mail about it.
        for week in 0..30 {
            test_app.wait(TimeDelta::days(if week == 0 { 0 } else { 7 }));
            if test_app.app.preferences(reader(&test_app).await).await.expect("preferences").paused_until.is_none_or(|until| until <= test_app.app.now()) {
                break;
            }
            test_app.post_form(&preferences, &[("rhythm", "weekly"), ("pause", "26")]).await;
            let until = test_app.app.preferences(reader(&test_app).await).await.expect("preferences").paused_until.expect("a pause");
            assert!(until <= began + TimeDelta::weeks(26) + TimeDelta::minutes(10), "week {week}: {until}");
        }
        assert!(test_app.app.now() >= began + TimeDelta::weeks(26), "it lasted as long as was asked for");
        test_app.deliver_confirmations().await;
        assert!(told(&test_app) < 5, "what changes nothing is not told: {}", told(&test_app));

        // The mail's own link undoes it.
        test_app.post_form(&preferences, &[("rhythm", "weekly"), ("pause", "4")]).await;
        test_app.deliver_confirmations().await;
        let count = told(&test_app);
        assert_eq!(test_app.post_form(&newest(&test_app, "/preferences/"), &[("rhythm", "weekly"), ("pause", "0")]).await.status(), StatusCode::OK);
        assert!(history(&test_app).await.iter().any(|what| what.starts_with("ended the pause")));
        assert_eq!(test_app.waiting_confirmations().await, 0, "at most one mail a day");
        test_app.post_form(&preferences, &[("rhythm", "monthly"), ("category", "Data")]).await;
        assert_eq!((test_app.waiting_confirmations().await, told(&test_app)), (0, count));
        test_app.wait(TimeDelta::days(2));
        test_app.post_form(&preferences, &[("rhythm", "weekly"), ("category", "Design")]).await;
        test_app.deliver_confirmations().await;
        assert_eq!(told(&test_app), count + 1, "categories and rhythm can keep mail away too");
        assert!(history(&test_app).await.iter().any(|what| what == "chose Design, weekly (link of a digest)"), "{:?}", history(&test_app).await);
    }
}

async fn reader(test_app: &TestApp) -> i64 {
    let listed = test_app
        .app
        .storage
        .subscribers_after(0, 10)
        .await
        .expect("a list");
    listed
        .iter()
        .find(|one| one.subscriber.email == ADA)
        .expect("a reader")
        .subscriber
        .id
}
