//! Work with many at the desk: imports in steps, exports, segments, changes of many, each as a job.

use reqwest::StatusCode;
use verdicts::domain::subscriber::SubscriberState;
use verdicts::domain::user::Role;

use crate::desk_subscribers::addresses;
use crate::desk_subscribers::link;
use crate::desk_subscribers::without_codes;
use crate::support::Program;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::desk::Browser;
use crate::support::desk::goal;
use crate::support::on_both;
use crate::support::until;

async fn test_app(test_db: TestDb) -> TestApp {
    TestApp::open_with(test_db, without_codes).await
}

/// Sends a file as the form does; the answer.
async fn send(browser: &Browser<'_>, bytes: &[u8]) -> reqwest::Response {
    let (name, value) = browser.cookie();
    let mut body = b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"old list.csv\"\r\nContent-Type: text/csv\r\n\r\n".to_vec();
    body.extend_from_slice(bytes);
    body.extend_from_slice(b"\r\n--b--\r\n");
    let request = browser
        .test_app
        .request(reqwest::Method::POST, "/desk/subscribers/import");
    let request = request
        .header("origin", &browser.test_app.url)
        .header("cookie", format!("{name}={value}"))
        .header("content-type", "multipart/form-data; boundary=b")
        .body(body);
    request.send().await.expect("an answer")
}

/// The page of a job once it is over.
async fn over(browser: &Browser<'_>, path: &str) -> String {
    let mut page = String::new();
    until("the job is over", async || {
        page = browser.page(path).await;
        !page.contains("At work since")
    })
    .await;
    page
}

/// A number of a job's result.
fn count(page: &str, words: &str) -> u64 {
    let row = page
        .split(&format!("<dt>{words}</dt><dd>"))
        .nth(1)
        .unwrap_or_else(|| panic!("{words}: {page}"));
    row.split('<')
        .next()
        .expect("a number")
        .replace(',', "")
        .parse()
        .expect("a number")
}

const LIST: &str = "E-Mail;Vorname;left\nada@example.org;Ada;\nbob@example.org;Bob;2026-01-01\nnonsense;Cy;\nknown@example.org;Known;\n";

on_both! {
    async fn a_file_is_looked_at_tried_and_imported_by_the_commands_own_code(test_db) {
        let test_app = test_app(test_db).await;
        test_app.enlist_all("email\nknown@example.org\n").await;
        let editor = Browser::of(&test_app, Role::Editor).await;
        let empty = send(&editor, b"").await;
        assert_eq!(empty.status(), StatusCode::UNPROCESSABLE_ENTITY);
        let answer = send(&editor, LIST.as_bytes()).await;
        let path = goal(&answer);
        let page = editor.page(&path).await;
        assert!(page.contains("old list.csv") && page.contains("ada@example.org") && page.contains("refused</span> line 4"), "{page}");
        let mapped = editor.page(&format!("{path}?c2=source")).await;
        assert!(mapped.contains("<option value=\"source\" selected>"), "{mapped}");
        let before = test_app.test_db.dump().await.iter().filter(|row| row.starts_with("subscribers:")).count();

        let refused = editor.post(&path, &[("what", "import"), ("consent", " ")]).await;
        assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY, "consent is demanded");
        let trial = editor.post(&path, &[("what", "try"), ("confirmed", "yes")]).await;
        let page = over(&editor, &goal(&trial)).await;
        assert_eq!(["rows read", "new on the list", "known before, and left as they are", "could not be read"].map(|words| count(&page, words)), [4, 2, 1, 1]);
        let after = test_app.test_db.dump().await.iter().filter(|row| row.starts_with("subscribers:")).count();
        assert_eq!(before, after, "a trial changes nothing");

        let import = editor.post(&path, &[("what", "import"), ("confirmed", "yes"), ("consent", "our old site")]).await;
        let job = goal(&import);
        let page = over(&editor, &job).await;
        assert_eq!(["rows read", "new on the list", "known before, and left as they are", "on the suppression list, and left out", "could not be read"].map(|words| count(&page, words)), [4, 2, 1, 0, 1]);
        assert_eq!(test_app.state_of("ada@example.org").await, Some(SubscriberState::Active));
        assert_eq!(test_app.state_of("bob@example.org").await, Some(SubscriberState::Unsubscribed));
        let refused = editor.get(&format!("{job}/file")).await;
        assert!(refused.headers()["content-disposition"].to_str().expect("text").contains("refused.csv"));
        let text = refused.text().await.expect("text");
        assert!(text.contains("nonsense") && text.contains("refused_reason"), "{text}");
        let kept = test_app.test_db.dump().await;
        assert!(!kept.iter().any(|row| row.starts_with("jobs:") && row.contains('@')), "a job keeps no address");
        test_app.wait(chrono::TimeDelta::minutes(61));
        assert_eq!(editor.get(&format!("{job}/file")).await.status(), StatusCode::NOT_FOUND, "for an hour");
        assert_eq!(editor.get(&path).await.status(), StatusCode::GONE);
    }

    async fn a_file_that_is_too_large_is_refused(test_db) {
        let test_app = TestApp::open_with(test_db, |settings| {
            without_codes(settings);
            settings.desk.largest_upload = verdicts::config::ByteSize(64 << 10);
        }).await;
        let editor = Browser::of(&test_app, Role::Editor).await;
        let answer = send(&editor, &b"email\nada@example.org\n".repeat(8_000)).await;
        assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert!(answer.text().await.expect("a page").contains("64KiB"));
    }

    async fn an_export_by_filter_is_a_job_and_holds_whom_the_list_shows(test_db) {
        let test_app = test_app(test_db).await;
        test_app.enlist_all("email,source\nada@example.org,fair\nbob@example.org,web\ncy@other.example.org,web\n").await;
        let editor = Browser::of(&test_app, Role::Editor).await;
        let question = editor.page("/desk/subscribers/bulk?source=web&scope=all&change=export").await;
        assert!(question.contains("Export 2 subscribers?"), "{question}");
        let fields = [("source", "web"), ("scope", "all")];
        let job = goal(&editor.post("/desk/subscribers/bulk/export", &fields).await);
        let page = over(&editor, &job).await;
        assert_eq!(count(&page, "subscribers in the file"), 2);
        let text = editor.get(&format!("{job}/file")).await.text().await.expect("text");
        assert!(text.contains("bob@example.org") && text.contains("cy@other.example.org") && !text.contains("ada@"), "{text}");
        let json = goal(&editor.post("/desk/subscribers/bulk/export", &[("source", "web"), ("scope", "all"), ("json", "yes")]).await);
        over(&editor, &json).await;
        let text = editor.get(&format!("{json}/file")).await.text().await.expect("text");
        let first: serde_json::Value = serde_json::from_str(text.lines().next().expect("a line")).expect("JSON");
        assert!(first["email"].is_string());
        let log = test_app.app.storage.audit_log(Default::default(), 50).await.expect("the log");
        let exported: Vec<_> = log.iter().filter(|entry| entry.row.what == "subscribers.exported").collect();
        assert!(exported.len() == 2 && exported.iter().all(|entry| entry.row.detail.contains("\"subscribers\":2")), "{exported:?}");
        test_app.wait(chrono::TimeDelta::minutes(11));
        let late = editor.ask(reqwest::Method::POST, "/desk/subscribers/bulk/export", &fields, "/desk/subscribers").await;
        assert!(goal(&late).starts_with("/desk/confirm?next="), "a recent sign-in");
    }

    async fn a_change_of_many_says_whom_it_skipped_and_why(test_db) {
        let test_app = test_app(test_db).await;
        test_app.seed_subscribers("reader", 5).await;
        test_app.enlist_all("email,unsubscribed_at\ngone@example.org,2026-01-01\n").await;
        let editor = Browser::of(&test_app, Role::Editor).await;
        let page = editor.page("/desk/subscribers").await;
        let key = |email: &str| {
            let row = page.split("<tr>").find(|row| row.contains(email)).expect("a row");
            row.split("value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a key").to_owned()
        };
        let (one, gone) = (key("reader0@"), key("gone@"));
        let nobody = editor.get("/desk/subscribers/bulk?scope=ticked&change=unsubscribe").await;
        assert_eq!(nobody.status(), StatusCode::UNPROCESSABLE_ENTITY, "nobody was ticked");
        let question = editor.page(&format!("/desk/subscribers/bulk?scope=ticked&change=unsubscribe&who={one}&who={gone}")).await;
        assert!(question.contains("Unsubscribe 2 subscribers?"), "{question}");
        let who = format!("{one} {gone}");
        let page = over(&editor, &goal(&editor.post("/desk/subscribers/bulk/unsubscribe", &[("who", &who)]).await)).await;
        assert_eq!((count(&page, "changed"), count(&page, "skipped")), (1, 1));
        assert!(page.contains("<strong>1</strong> the subscription was over") && page.contains("/file"), "{page}");
        assert_eq!(test_app.state_of("reader0@example.org").await, Some(SubscriberState::Unsubscribed));
        assert_eq!(test_app.state_of("reader1@example.org").await, Some(SubscriberState::Active));

        let bad = editor.post("/desk/subscribers/bulk/pause", &[("scope", "all"), ("until", "2020-01-01")]).await;
        assert_eq!(bad.status(), StatusCode::UNPROCESSABLE_ENTITY);
        let day = (test_app.app.now() + chrono::TimeDelta::days(9)).format("%Y-%m-%d").to_string();
        let pause = editor.post("/desk/subscribers/bulk/pause", &[("scope", "all"), ("search", "reader"), ("until", &day)]).await;
        let page = over(&editor, &goal(&pause)).await;
        assert_eq!((count(&page, "changed"), count(&page, "skipped")), (4, 1));
        let erase = editor.post("/desk/subscribers/bulk/erase", &[("scope", "all"), ("paused", "yes")]).await;
        let page = over(&editor, &goal(&erase)).await;
        assert_eq!(count(&page, "changed"), 4);
        assert_eq!(test_app.known_people().await, 2);
        let jobs = editor.page("/desk/jobs").await;
        assert_eq!(jobs.matches("<span class=\"state good\">done</span>").count(), 3, "{jobs}");
        let writer = Browser::of(&test_app, Role::Writer).await;
        assert_eq!(writer.get("/desk/jobs").await.status(), StatusCode::FORBIDDEN);
    }

    async fn a_job_whose_process_ended_is_said_to_be_broken_off(test_db) {
        let test_app = test_app(test_db).await;
        let editor = Browser::of(&test_app, Role::Editor).await;
        crate::support::run_raw_sql(&test_app.test_db, "insert into jobs (id, kind, state, made_by, input, created_at, held_until) values (77, 'import', 'running', 'u', '{}', 0, 0)").await;
        let path = format!("/desk/jobs/{}", test_app.app.job_name(77));
        let page = editor.page(&path).await;
        assert!(page.contains("The process that did it ended") && page.contains("failed"), "{page}");
        assert_eq!(editor.press(&format!("{path}/cancel"), &[]).await.matches("It was over already").count(), 1);
    }

    async fn a_segment_is_a_saved_filter_for_the_list_and_the_commands(test_db) {
        let test_app = test_app(test_db).await;
        test_app.enlist_all("email,source\nada@example.org,fair\nbob@example.org,web\n").await;
        let editor = Browser::of(&test_app, Role::Editor).await;
        let none = editor.press("/desk/subscribers/segments", &[("name", "Everybody")]).await;
        assert!(none.contains("Give at least one condition"), "{none}");
        let saved = editor.press("/desk/subscribers/segments", &[("name", "From the Web"), ("source", "web")]).await;
        assert!(saved.contains("Saved as From the Web"), "{saved}");
        let path = link(&editor.page("/desk/subscribers").await, "From the Web").expect("a link");
        assert_eq!(addresses(&editor.page(&path).await), ["bob@example.org"]);
        let program = Program::set_up(&test_app.test_db);
        let listed = program.run(&["--json", "subscribers", "segments"]).good().json();
        assert_eq!((&listed["segments"][0]["slug"], &listed["segments"][0]["conditions"]["source"]), (&"from-the-web".into(), &"web".into()));
        assert_eq!(program.run(&["subscribers", "count", "--segment", "from-the-web"]).good().out.trim(), "1");
        assert!(program.run(&["subscribers", "count", "--segment", "none"]).err.contains("There is no segment none"));
        let out = program.run(&["subscribers", "export", "-", "--segment", "from-the-web", "--format", "json"]).good().out;
        assert!(out.contains("bob@example.org") && !out.contains("ada@"), "{out}");
        let gone = editor.press("/desk/subscribers/segments", &[("remove", "from-the-web")]).await;
        assert!(gone.contains("is removed") && test_app.known_people().await == 2, "{gone}");
    }
}
