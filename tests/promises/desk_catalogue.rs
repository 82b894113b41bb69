//! The catalogue at the desk: lists, forms that lose nothing, comparisons without twins, imports that are looked at first.

use std::io::Write as _;

use reqwest::Response;
use reqwest::StatusCode;
use serde_json::Value;
use verdicts::app::audit_log::AuditRequest;
use verdicts::domain::user::Role;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::desk_subscribers::link;
use crate::desk_subscribers::without_codes;
use crate::support::Program;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::catalogue::comparison;
use crate::support::catalogue::small;
use crate::support::desk::Browser;
use crate::support::desk::goal;
use crate::support::on_both;
use crate::support::run_raw_sql;

async fn test_app(test_db: TestDb) -> TestApp {
    TestApp::open_with(test_db, without_codes).await
}

/// The value of a form's field, with its entities read.
fn value(page: &str, name: &str) -> String {
    let field = page
        .split(&format!("name=\"{name}\""))
        .nth(1)
        .unwrap_or_else(|| panic!("no field {name}: {page}"));
    let tag = field.split('>').next().unwrap_or_default();
    let text = match tag.split("value=\"").nth(1) {
        Some(rest) => rest.split('"').next().unwrap_or_default(),
        // A textarea: its first line break is none of the text.
        None => field
            .split_once('>')
            .and_then(|(_, rest)| rest.split("</").next())
            .unwrap_or_default()
            .trim_start_matches('\n'),
    };
    text.replace("&#39;", "'").replace("&#38;", "&")
}

/// The chosen option of a list.
fn chosen(page: &str, name: &str) -> String {
    let list = page.split(&format!("name=\"{name}\"")).nth(1);
    let list = list.and_then(|rest| rest.split("</select>").next());
    let option = list.and_then(|list| list.split(" selected").next());
    let text = option.and_then(|rest| rest.rsplit("value=\"").next());
    let is_chosen = list.is_some_and(|list| list.contains(" selected"));
    match text {
        Some(text) if is_chosen => text.trim_end_matches('"').to_owned(),
        _ => String::new(),
    }
}

/// The fields of a tool's form as a browser would send them back.
fn fields(page: &str) -> Vec<(String, String)> {
    let mut fields: Vec<(String, String)> = [
        "version",
        "name",
        "category",
        "tagline",
        "description",
        "url",
        "pricing",
        "entry_price",
        "at",
    ]
    .iter()
    .map(|name| ((*name).to_owned(), value(page, name)))
    .collect();
    for row in 0..5 {
        let name = |part: &str| format!("r{row}_{part}");
        fields.push((name("verdict"), chosen(page, &name("verdict"))));
        fields.push((name("score"), value(page, &name("score"))));
        fields.push((name("take"), value(page, &name("take"))));
    }
    let publish = page.split(" checked").next().unwrap_or_default();
    let publish = publish.rsplit("value=\"").next().unwrap_or_default();
    fields.push(("publish".into(), publish.trim_end_matches('"').into()));
    fields
}

/// The fields with some of them changed or added.
fn with(fields: &[(String, String)], changes: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut fields = fields.to_vec();
    for (name, value) in changes {
        match fields.iter_mut().find(|(known, _)| known == name) {
            Some(field) => field.1 = (*value).to_owned(),
            None => fields.push(((*name).to_owned(), (*value).to_owned())),
        }
    }
    fields
}

async fn post(browser: &Browser<'_>, path: &str, fields: &[(String, String)]) -> Response {
    let fields: Vec<(&str, &str)> = fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    browser.post(path, &fields).await
}

async fn text(answer: Response) -> (StatusCode, String) {
    (answer.status(), answer.text().await.expect("a page"))
}

/// Slugs in a page's table.
fn slugs(page: &str) -> Vec<String> {
    let rows = page.split("<th scope=\"row\">").skip(1);
    rows.filter_map(|row| {
        let slug = row.split("class=\"soft\">").nth(1)?;
        Some(slug.split('<').next()?.to_owned())
    })
    .collect()
}

/// Sends a file as the form does; the answer.
async fn send(browser: &Browser<'_>, name: &str, bytes: &[u8]) -> Response {
    let (cookie, value) = browser.cookie();
    let head = format!(
        "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n"
    );
    let body = [head.as_bytes(), bytes, b"\r\n--b--\r\n"].concat();
    let request = browser
        .test_app
        .request(reqwest::Method::POST, "/desk/catalogue/import")
        .header("origin", &browser.test_app.url)
        .header("cookie", format!("{cookie}={value}"))
        .header("content-type", "multipart/form-data; boundary=b")
        .body(body);
    request.send().await.expect("an answer")
}

fn zipped(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(*name, SimpleFileOptions::default())
            .expect("begun");
        zip.write_all(bytes).expect("written");
    }
    zip.finish().expect("a file").into_inner()
}

/// The newest row of the audit log with that action.
async fn logged(test_app: &TestApp, what: &str) -> Value {
    let asked = AuditRequest {
        what: Some(what.parse().expect("an action")),
        ..AuditRequest::default()
    };
    let rows = test_app.app.audit_log(&asked, None, 1).await.expect("rows");
    let row = &rows.first().expect("a row").row;
    serde_json::json!({
        "actor_kind": row.actor_kind,
        "subject": row.subject,
        "detail": serde_json::from_str::<Value>(&row.detail).expect("JSON"),
    })
}

on_both! {
    async fn the_lists_find_what_each_condition_means_in_pages_that_neither_repeat_nor_leave_out(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = TestApp::stocked(test_db, &sink, without_codes).await;
        test_app.seed_subscribers("r", 1).await;
        test_app.send_digest().await;
        let now = test_app.app.now();
        let old = now - chrono::TimeDelta::days(200);
        let many: String = (0..60).map(|n| comparison(&format!("m{n:02}"), "Many", old)).collect();
        test_app.seed_catalogue(&many).await;
        run_raw_sql(&test_app.test_db, "update tools set updated_at = 0; update comparisons set updated_at = 0").await;
        let analyst = Browser::of(&test_app, Role::Analyst).await;
        for (list, count) in [("/desk/tools", 120), ("/desk/comparisons", 60)] {
            let mut path = format!("{list}?category=Many");
            let mut found = Vec::new();
            loop {
                let page = analyst.page(&path).await;
                found.extend(slugs(&page));
                match link(&page, "Next page") {
                    Some(next) => path = next,
                    None => break,
                }
            }
            let all = found.len();
            found.sort();
            found.dedup();
            assert_eq!((all, found.len()), (count, count), "{list}");
            let sent = slugs(&analyst.page(&format!("{list}?never_sent=yes")).await);
            assert!(sent.iter().all(|slug| slug.starts_with('m')), "{sent:?}");
            let stale = slugs(&analyst.page(&format!("{list}?stale=yes")).await);
            assert!(stale.len() == 50 && stale.iter().all(|slug| slug.starts_with('m')), "{stale:?}");
            let named = slugs(&analyst.page(&format!("{list}?search=TOOL+M07&missing_reviewer=yes")).await);
            assert!(!named.is_empty() && named.iter().all(|slug| slug.starts_with("m07-")), "{named:?}");
            assert_eq!(analyst.get(&format!("{list}?search=%00%25_&after=gone")).await.status(), StatusCode::OK);
            let tidied = analyst.get(&format!("{list}?search=&category=Many")).await;
            assert_eq!(goal(&tidied), format!("{list}?category=Many"));
            let page = analyst.page(list).await;
            assert!(page.contains(&test_app.slot().to_string()) && !page.contains("/edit\""), "{page}");
        }
        assert!(analyst.page("/desk/tools").await.contains("Futurist, Founder, Creator are missing"));
        assert_eq!(analyst.get("/desk/tools/new").await.status(), StatusCode::FORBIDDEN);
    }

    async fn a_tool_is_added_as_a_draft_published_and_changed_and_the_log_has_before_and_after(test_db) {
        let test_app = test_app(test_db).await;
        let writer = Browser::of(&test_app, Role::Writer).await;
        let empty = writer.page("/desk/tools/new").await;
        let order: Vec<usize> = ["Builder", "Skeptic", "Futurist", "Founder", "Creator"].iter().map(|name| empty.find(&format!("<legend>{name}")).expect("a row")).collect();
        assert!(order.is_sorted(), "{order:?}");
        let wrong = [("name", "Émile's Café"), ("category", "Design"), ("r1_score", "101"), ("r1_verdict", "ship"), ("r1_take", "Kept text"), ("publish", "at"), ("at", "soon")];
        let (status, page) = text(writer.post("/desk/tools/new", &wrong).await).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        for kept in ["Kept text", "101 is not a score", "is no time: give one like", "Expected some text, it is empty.", "value=\"Émile"] {
            assert!(page.contains(kept), "{kept}: {page}");
        }
        let right = [
            ("name", "Émile's Café"), ("category", "Design"), ("tagline", "Serves"), ("description", "One.\r\nTwo."), ("publish", "draft"),
            ("r3_score", "70"), ("r3_verdict", "ship"), ("r3_take", "Pays."),
        ];
        let edit = goal(&writer.post("/desk/tools/new", &right).await);
        assert_eq!(edit, "/desk/tools/emiles-cafe/edit");
        assert_eq!(test_app.get("/tools/emiles-cafe").await.status(), StatusCode::NOT_FOUND, "a draft is not on the site");
        let (status, page) = text(writer.post("/desk/tools/new", &right).await).await;
        assert!(status == StatusCode::UNPROCESSABLE_ENTITY && page.contains("There is a tool emiles-cafe already"), "{page}");
        let page = writer.page(&edit).await;
        assert!(page.contains("draft</span>") && page.contains("No panel take"), "{page}");
        let as_it_is = fields(&page);
        let said = post(&writer, &edit, &as_it_is).await;
        assert!(writer.page(&goal(&said)).await.contains("Nothing was changed."));
        let preview = text(post(&writer, "/desk/tools/emiles-cafe/preview", &with(&as_it_is, &[("tagline", "Serves <b>all</b>")])).await).await;
        assert!(preview.0 == StatusCode::OK && preview.1.contains("Serves &#60;b&#62;all") && !preview.1.contains("9999"), "{preview:?}");
        let card = text(post(&writer, "/desk/tools/emiles-cafe/preview/card", &with(&as_it_is, &[("r0_verdict", "skip"), ("r0_score", "x")])).await).await;
        assert!(card.1.contains("Split · 1 ship / 1 skip") && card.1.contains("Builder score"), "{card:?}");
        let before = writer.page(&edit).await;
        assert_eq!(fields(&before), as_it_is, "a preview saves nothing");
        post(&writer, &edit, &with(&as_it_is, &[("publish", "now"), ("entry_price", "5 EUR")])).await;
        assert!(test_app.page("/tools/emiles-cafe").await.contains("5 EUR"));
        let row = logged(&test_app, "catalogue.changed").await;
        assert_eq!((&row["actor_kind"], &row["subject"]), (&"user".into(), &"emiles-cafe".into()));
        assert_eq!(row["detail"]["fields"]["entry_price"], serde_json::json!(["", "5 EUR"]));
        assert_eq!(row["detail"]["fields"]["published_at"][0], "draft");
        assert_eq!(logged(&test_app, "catalogue.added").await["detail"]["fields"]["Founder score"], serde_json::json!(["", "70"]));
    }

    async fn two_who_save_one_tool_at_once_lose_nothing(test_db) {
        let test_app = test_app(test_db).await;
        test_app.seed_catalogue(&small(1, test_app.app.now())).await;
        let (ada, wil) = (Browser::of(&test_app, Role::Editor).await, Browser::of(&test_app, Role::Writer).await);
        let edit = "/desk/tools/t0-l/edit";
        let opened = fields(&ada.page(edit).await);
        post(&wil, edit, &with(&opened, &[("pricing", "From 9 EUR"), ("tagline", "Draws well")])).await;
        let mine = with(&opened, &[("pricing", "From 8 EUR"), ("description", "Mine.")]);
        let (status, page) = text(post(&ada, edit, &mine).await).await;
        assert_eq!(status, StatusCode::CONFLICT);
        for text in ["From 9 EUR", "From 8 EUR", "Draws well", "Mine.", "Somebody else saved it"] {
            assert!(page.contains(text), "{text}: {page}");
        }
        assert!(ada.page(edit).await.contains("From 9 EUR"), "theirs is what is saved");
        let again = fields(&page);
        assert_eq!(value(&page, "pricing"), "From 8 EUR");
        assert_eq!(post(&ada, edit, &with(&again, &[("tagline", "Draws well")])).await.status(), StatusCode::SEE_OTHER);
        let saved = ada.page(edit).await;
        assert_eq!([value(&saved, "pricing"), value(&saved, "tagline"), value(&saved, "description")], ["From 8 EUR", "Draws well", "Mine."]);
        // Removed meanwhile: the text stays in the form, which adds it anew.
        let opened = fields(&ada.page(edit).await);
        assert!(wil.page("/desk/tools/t0-l/remove").await.contains("1 comparison"));
        wil.post("/desk/tools/t0-l/remove", &[]).await;
        let (status, page) = text(post(&ada, edit, &opened).await).await;
        assert!(status == StatusCode::CONFLICT && page.contains("action=\"/desk/tools/new\"") && page.contains("Mine."), "{page}");
        let row = logged(&test_app, "catalogue.removed").await;
        assert_eq!(row["detail"]["before"]["pricing"], serde_json::json!(["From 8 EUR", ""]));
    }

    async fn readers_who_saved_a_tool_are_told_of_its_verdict_only_if_somebody_says_so(test_db) {
        let test_app = test_app(test_db).await;
        test_app.seed_catalogue(&small(1, test_app.app.now())).await;
        test_app.seed_subscribers("r", 1).await;
        let saved = "insert into bookmarks (subscriber_id, tool, saved_at, ships, skips) select id, 't0-r', 0, 2, 0 from subscribers";
        run_raw_sql(&test_app.test_db, saved).await;
        let writer = Browser::of(&test_app, Role::Writer).await;
        let edit = "/desk/tools/t0-r/edit";
        let turned = with(&fields(&writer.page(edit).await), &[("r0_verdict", "skip"), ("r1_verdict", "skip")]);
        let (status, page) = text(post(&writer, edit, &turned).await).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(page.contains("changes from Ship to Skip") && page.contains("1 reader saved this tool"), "{page}");
        let history = async || test_app.test_db.dump().await.into_iter().filter(|row| row.starts_with("panel_history:") && row.contains("t0-r")).count();
        assert_eq!(history().await, 1, "nothing is saved yet");
        post(&writer, edit, &with(&turned, &[("tell", "no")])).await;
        assert_eq!(history().await, 1, "a correction is no change of mind");
        let bookmark = test_app.test_db.dump().await.into_iter().find(|row| row.starts_with("bookmarks:")).expect("a row");
        assert!(bookmark.contains('2') && test_app.page("/tools/t0-r").await.contains("Skip"), "{bookmark}");
        let back = with(&fields(&writer.page(edit).await), &[("r0_verdict", "ship"), ("r1_verdict", "ship"), ("tell", "yes")]);
        test_app.wait(chrono::TimeDelta::days(1));
        post(&writer, edit, &back).await;
        assert_eq!(history().await, 2, "the panel changed its mind");
        assert_eq!(logged(&test_app, "catalogue.changed").await["detail"]["readers_are_told"], true);
    }

    async fn a_pair_is_compared_once_and_what_was_sent_stays_readable(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = TestApp::stocked(test_db, &sink, without_codes).await;
        test_app.seed_subscribers("r", 1).await;
        let writer = Browser::of(&test_app, Role::Writer).await;
        let (status, page) = text(writer.post("/desk/comparisons/new", &[("left", "t0-r"), ("right", "t0-l"), ("publish", "now")]).await).await;
        assert!(status == StatusCode::UNPROCESSABLE_ENTITY && page.contains("compared already, in t0-l-vs-t0-r"), "{page}");
        assert_eq!(chosen(&page, "left"), "t0-r");
        for refused in [[("left", "t0-l"), ("right", "t0-l")], [("left", "t0-l"), ("right", "")], [("left", "t0-l"), ("right", "nobody")]] {
            assert_eq!(writer.post("/desk/comparisons/new", &refused).await.status(), StatusCode::UNPROCESSABLE_ENTITY);
        }
        let edit = goal(&writer.post("/desk/comparisons/new", &[("left", "t0-r"), ("right", "t1-l"), ("publish", "at"), ("at", "2026-12-24T09:00")]).await);
        assert_eq!(edit, "/desk/comparisons/t0-r-vs-t1-l/edit");
        let page = writer.page(&edit).await;
        assert!(page.contains("scheduled</span>") && value(&page, "at") == "2026-12-24T09:00", "{page}");
        assert_eq!(test_app.get("/comparisons/t0-r-vs-t1-l").await.status(), StatusCode::NOT_FOUND);
        let version = value(&page, "version");
        let now = [("version", version.as_str()), ("left", "t0-r"), ("right", "t1-l"), ("publish", "now")];
        assert_eq!(writer.post(&edit, &now).await.status(), StatusCode::SEE_OTHER);
        assert_eq!(test_app.get("/comparisons/t0-r-vs-t1-l").await.status(), StatusCode::OK);
        assert_eq!(writer.post(&edit, &with_publish(&now, "draft")).await.status(), StatusCode::CONFLICT, "an old version");

        test_app.send_digest().await;
        let sent = "/desk/comparisons/t2-l-vs-t2-r/edit";
        let page = writer.page(sent).await;
        assert!(page.contains("its two tools stay") && page.contains("Last sent in"), "{page}");
        let version = value(&page, "version");
        let other = [("version", version.as_str()), ("left", "t2-l"), ("right", "t3-l"), ("publish", "keep")];
        let (status, page) = text(writer.post(sent, &other).await).await;
        assert!(status == StatusCode::UNPROCESSABLE_ENTITY && page.contains("It was sent in"), "{page}");
        assert!(writer.page("/desk/comparisons/t2-l-vs-t2-r/remove").await.contains("go on showing it"));
        writer.post("/desk/comparisons/t2-l-vs-t2-r/remove", &[]).await;
        writer.post("/desk/tools/t2-l/remove", &[]).await;
        assert!(test_app.page("/comparisons/t2-l-vs-t2-r").await.contains("Tool t2 l"), "the link in the mail still leads somewhere");
        assert!(!test_app.page("/comparisons").await.contains("t2-l-vs-t2-r"));
        writer.post("/desk/comparisons/new", &[("left", "t3-r"), ("right", "t4-l"), ("publish", "now")]).await;
        assert_eq!(test_app.get("/comparisons/t3-r-vs-t4-l").await.status(), StatusCode::OK);
        writer.post("/desk/comparisons/t3-r-vs-t4-l/remove", &[]).await;
        assert_eq!(test_app.get("/comparisons/t3-r-vs-t4-l").await.status(), StatusCode::NOT_FOUND, "never sent");
    }

    async fn an_import_is_looked_at_first_and_applied_as_it_was_seen(test_db) {
        let test_app = test_app(test_db).await;
        let text_of = small(2, test_app.app.now());
        test_app.seed_catalogue(&text_of).await;
        let writer = Browser::of(&test_app, Role::Writer).await;
        let changed = text_of.replace("\"Does t0\"", "\"Does <i>more</i>\"");
        let zip = zipped(&[("all/one.toml", changed.as_bytes()), ("all/two.toml", comparison("new", "Design", test_app.app.now()).as_bytes()), ("all/notes.txt", b"x"), ("__MACOSX/all/._one.toml", b"\x00")]);
        let before = test_app.test_db.dump().await;
        let path = goal(&send(&writer, "all.zip", &zip).await);
        let page = writer.page(&path).await;
        for text in ["Nothing is written yet", "Does &#60;i&#62;more", "Does t0</del>", "new-l-vs-new-r"] {
            assert!(page.contains(text), "{text}: {page}");
        }
        assert_eq!(without_sessions(test_app.test_db.dump().await), without_sessions(before), "looking writes nothing");
        let seen = value(&page, "seen");
        // Somebody else's import comes between.
        let other = goal(&send(&writer, "two.json", b"{\"tools\":[],\"comparisons\":[]}").await);
        let (status, page) = text(writer.get(&other).await).await;
        assert!(status == StatusCode::UNPROCESSABLE_ENTITY && page.contains("there are none"), "{page}");
        test_app.seed_catalogue(&comparison("new", "Design", test_app.app.now())).await;
        let (status, page) = text(writer.post(&path, &[("seen", &seen)]).await).await;
        assert!(status == StatusCode::CONFLICT && page.contains("changed since you looked"), "{page}");
        let said = writer.press(&path, &[("seen", &value(&page, "seen"))]).await;
        assert!(said.contains("0 tools and 0 comparisons added, 2 tools and 0 comparisons changed"), "{said}");
        let row = logged(&test_app, "catalogue.imported").await;
        assert_eq!(row["detail"]["differences"][0]["fields"]["tagline"], serde_json::json!(["Does t0", "Does <i>more</i>"]));
        let whole = writer.get("/desk/catalogue/export").await.text().await.expect("a file");
        let path = goal(&send(&writer, "whole.toml", whole.as_bytes()).await);
        assert!(writer.page(&path).await.contains("There is none: everything"), "an export can be imported");
    }

    async fn a_file_that_means_harm_or_is_broken_is_refused_with_words(test_db) {
        let test_app = test_app(test_db).await;
        let writer = Browser::of(&test_app, Role::Writer).await;
        let good = small(1, test_app.app.now());
        let bomb = vec![b' '; 65 << 20];
        let many: Vec<String> = (0..2_001).map(|n| format!("{n}.txt")).collect();
        let many: Vec<(&str, &[u8])> = many.iter().map(|name| (name.as_str(), b"".as_slice())).collect();
        let cases: Vec<(&str, Vec<u8>, &str)> = vec![
            ("up.zip", zipped(&[("../up.toml", good.as_bytes())]), "would lead out of its folder"),
            ("root.zip", zipped(&[("/etc/up.toml", good.as_bytes())]), "would lead out of its folder"),
            ("bomb.zip", zipped(&[("bomb.toml", &bomb)]), "more than 64 MiB unpacked"),
            ("many.zip", zipped(&many), "at most 2000 are read"),
            ("cut.zip", zipped(&[("a.toml", good.as_bytes())])[..40].to_vec(), "no whole zip file"),
            ("bytes.zip", zipped(&[("a.toml", b"\xff\xfe")]), "no UTF-8 text"),
            ("twice.zip", zipped(&[("a.toml", good.as_bytes()), ("b.toml", good.as_bytes())]), "comes twice"),
            ("a.csv", good.as_bytes().to_vec(), "expected a name that ends in"),
            ("a.toml", b"[[tools]]\nslug = 1\n".to_vec(), "a.toml: line"),
            ("a.json", b"{".to_vec(), "a.json: line 1"),
        ];
        for (name, bytes, words) in cases {
            let path = goal(&send(&writer, name, &bytes).await);
            let (status, page) = text(writer.get(&path).await).await;
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{name}");
            assert!(page.contains(words), "{name}: {page}");
        }
        assert!(test_app.app.storage.is_catalogue_empty().await.expect("known"));
    }

    async fn the_commands_list_and_correct_and_take_a_zip_file(test_db) {
        let (program, now) = (Program::set_up(&test_db), verdicts::app::Clock::system().now());
        let text = small(2, now);
        program.write("c.zip", zipped(&[("a/c.toml", text.replacen("published_at = ", "published_at = \"draft\" # ", 1).as_bytes())]));
        program.run(&["catalog", "import", "c.zip"]).good();
        let drafts = program.run(&["--json", "catalog", "list"]).good().json();
        let tools = drafts["tools"].as_array().expect("a list");
        assert_eq!((tools.len(), &tools[0]["state"], &tools[0]["published_at"]), (4, &"draft".into(), &Value::Null));
        let waits = program.run(&["catalog", "list", "--comparisons", "--never-sent"]).good().out;
        assert!(waits.contains("draft      t0-l-vs-t0-r  never sent"), "{waits}");
        assert!(program.run(&["catalog", "export", "-"]).good().out.contains("\"published_at\": \"draft\""));
        let none = program.run(&["--json", "catalog", "list", "--category", "Nothing"]).good().json();
        assert_eq!(none, serde_json::json!({ "tools": [] }));
        program.write("turned.toml", text.replace("\"ship\"", "\"skip\""));
        program.run(&["catalog", "import", "turned.toml", "--corrections"]).good();
        let points = test_db.dump().await.into_iter().filter(|row| row.starts_with("panel_history:") && row.contains("t1-r")).count();
        assert_eq!(points, 1, "a correction");
        program.write("bad.zip", zipped(&[("../c.toml", text.as_bytes())]));
        program.run(&["catalog", "check", "bad.zip"]).refused(&["bad.zip cannot be read", "lead out of its folder"]);
    }
}

fn with_publish<'a>(fields: &[(&'a str, &'a str)], publish: &'a str) -> Vec<(&'a str, &'a str)> {
    let changed = fields.iter().map(|(name, value)| match *name {
        "publish" => ("publish", publish),
        name => (name, *value),
    });
    changed.collect()
}

/// Rows that a look at a page leaves as they are.
fn without_sessions(rows: Vec<String>) -> Vec<String> {
    let is_kept = |row: &String| !row.starts_with("sessions:") && !row.starts_with("users:");
    rows.into_iter().filter(is_kept).collect()
}
