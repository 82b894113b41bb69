//! Sources and proposals by the command line and at the desk.

use serde_json::json;
use verdicts::domain::user::Role;

use crate::desk_subscribers::without_codes;
use crate::support::Program;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::api::ApiClient;
use crate::support::content_host::Answer;
use crate::support::content_host::ContentHost;
use crate::support::desk::Browser;
use crate::support::desk::goal;
use crate::support::on_both;

use super::RSS;
use super::add;
use super::item;
use super::pull;
use super::rss;
use super::wish;

async fn desk_app(test_db: TestDb) -> TestApp {
    TestApp::open_with(test_db, |settings| {
        without_codes(settings);
        settings.sources.allow_private = vec!["127.0.0.1".into()];
    })
    .await
}

const TOOL: &str = r#"<script type="application/ld+json">{"@type": "Product", "name": "Inkwell", "description": "Writes.", "category": "Writing",
    "review": {"author": {"name": "Builder"}, "reviewRating": {"ratingValue": 80, "bestRating": 100}, "reviewBody": "It works."}}</script>"#;

/// Addresses of proposals on a page.
fn links(page: &str) -> Vec<String> {
    let parts = page.split("href=\"/desk/proposals/").skip(1);
    parts
        .filter_map(|part| part.split('"').next())
        .map(|id| format!("/desk/proposals/{id}"))
        .collect()
}

on_both! {
    async fn at_the_desk_a_source_is_tried_saved_and_its_proposals_are_decided_on(test_db) {
        let (host, test_app) = (ContentHost::start().await, desk_app(test_db).await);
        host.set("/feed", Answer::of(RSS, rss(&(item("Alpha", "1") + &item("Beta", "2")))));
        let desk = Browser::of(&test_app, Role::Writer).await;
        let form = |what: &'static str, url: String| {
            vec![("name", "News".to_owned()), ("kind", "feed".into()), ("url", url), ("mode", "review".into()), ("minutes", "60".into()),
                ("category", "Writing".into()), ("ship_from", String::new()), ("reviewers", String::new()), ("select", String::new()), ("what", what.into())]
        };
        let post = async |path: &str, fields: &[(&str, String)]| {
            let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
            desk.post(path, &fields).await
        };
        let tried = post("/desk/sources/new", &form("try", host.at("/feed"))).await;
        let page = tried.text().await.expect("a page");
        assert!(page.contains("2 entries") && page.contains("Nothing is saved yet") && page.contains("Alpha"), "{page}");
        assert!(test_app.app.storage.sources().await.expect("read").is_empty());
        let refused = post("/desk/sources/new", &form("save", host.at("/none"))).await;
        assert_eq!(refused.status(), 422);
        let page = refused.text().await.expect("a page");
        assert!(page.contains("404") && page.contains("although it cannot be read") && page.contains("value=\"News\""), "{page}");
        let wrong = post("/desk/sources/new", &form("save", host.at("/feed")).into_iter().map(|(name, value)| if name == "select" { (name, "colour = p".to_owned()) } else { (name, value) }).collect::<Vec<_>>()).await;
        assert!(wrong.text().await.expect("a page").contains("select.colour"));
        let saved = post("/desk/sources/new", &form("save", host.at("/feed"))).await;
        let here = goal(&saved);
        assert!(here.starts_with("/desk/sources/"), "{here}");
        assert!(desk.page(&here).await.contains("News"));
        desk.press(&format!("{here}/pull"), &[]).await;
        assert!(desk.page("/desk/sources").await.contains("class=\"number\">2<"));
        let list = desk.page("/desk/proposals").await;
        let found = links(&list);
        assert_eq!(found.len(), 2, "{list}");
        let page = desk.page(&found[0]).await;
        assert!(page.contains("<ins class=\"version\">Beta does it. And more.</ins>") || page.contains("<ins class=\"version\">Alpha does it. And more.</ins>"), "{page}");
        let stale = desk.post(&found[0], &[("what", "accept"), ("version", "7")]).await;
        assert_eq!(stale.status(), 409);
        desk.press(&found[0], &[("what", "reject"), ("version", "1")]).await;
        desk.press("/desk/proposals", &[]).await;
        assert!(links(&desk.page("/desk/proposals").await).is_empty());
        assert_eq!(test_app.app.export_catalogue().await.expect("a catalogue").tools.len(), 1);
        assert_eq!(links(&desk.page("/desk/proposals?state=rejected").await), [found[0].clone()]);
        desk.press(&format!("{here}/pause"), &[]).await;
        assert!(desk.page(&here).await.contains("Paused"));
        let analyst = Browser::of(&test_app, Role::Analyst).await;
        assert_eq!(analyst.get(&here).await.status(), 403);
        let page = analyst.page(&found[0]).await;
        assert!(!page.contains("Accept it") && page.contains("Beta") || page.contains("Alpha"));
        desk.page(&format!("{here}/remove")).await;
        desk.press(&format!("{here}/remove"), &[]).await;
        assert!(test_app.app.storage.sources().await.expect("read").is_empty());
        assert_eq!(desk.get(&found[0]).await.status(), 404);
    }

    async fn at_the_desk_a_missing_verdict_is_chosen(test_db) {
        let (host, test_app) = (ContentHost::start().await, desk_app(test_db).await);
        host.set("/tool", Answer::of("text/html", TOOL));
        let source = add(&test_app, &wish(verdicts::domain::source::SourceKind::Page, &host.at("/tool"))).await;
        pull(&test_app, &source).await;
        let desk = Browser::of(&test_app, Role::Editor).await;
        let path = links(&desk.page("/desk/proposals").await).remove(0);
        let page = desk.page(&path).await;
        assert!(page.contains("Verdict: inkwell Builder") && page.contains("name=\"inkwell Builder\""), "{page}");
        let refused = desk.post(&path, &[("what", "accept"), ("version", "1"), ("inkwell Builder", "")]).await;
        assert_eq!(refused.status(), 422);
        desk.press(&path, &[("what", "accept"), ("version", "1"), ("inkwell Builder", "skip")]).await;
        let tool = test_app.app.export_catalogue().await.expect("a catalogue").tools.remove(0);
        assert_eq!(tool.reviews[0].verdict.as_str(), "skip");
    }

    async fn by_the_command_line_sources_are_added_pulled_and_decided_on(test_db) {
        let (host, test_app) = (ContentHost::start().await, desk_app(test_db).await);
        host.set("/feed", Answer::of(RSS, rss(&(item("Alpha", "1") + &item("Beta", "2")))));
        host.set("/tool", Answer::of("text/html", TOOL));
        let program = Program::set_up(&test_app.test_db).with("VERDICTS_SOURCES__ALLOW_PRIVATE", "[\"127.0.0.1\"]");
        program.write("mapping.toml", "category = \"Writing\"\n[reviewers]\n\"Jo Doe\" = \"Skeptic\"\n");
        let (feed, tool) = (host.at("/feed"), host.at("/tool"));
        let tried = program.run(&["sources", "add", "News", "--kind", "feed", &feed, "--mapping", "mapping.toml", "--dry-run"]).good().out;
        assert!(tried.contains("2 entries") && tried.contains("Alpha"), "{tried}");
        program.run(&["sources", "add", "Gone", "--kind", "feed", &host.at("/none")]).refused(&["404"]);
        program.run(&["sources", "add", "Gone", "--kind", "feed", &host.at("/none"), "--force"]).good();
        program.run(&["sources", "pull", "Gone"]).refused(&["404"]);
        program.run(&["sources", "remove", "Gone"]).good();
        program.run(&["sources", "add", "News", "--kind", "feed", &feed, "--mapping", "mapping.toml"]).good();
        program.run(&["sources", "add", "News", "--kind", "feed", &feed]).refused(&["already"]);
        program.run(&["sources", "add", "Ink", "--kind", "page", &tool]).good();
        let pulled = program.run(&["--json", "sources", "pull", "News"]).good().json();
        assert_eq!((&pulled["proposed"], &pulled["unchanged"]), (&2.into(), &false.into()));
        program.run(&["sources", "pull", "Ink"]).good();
        let listed = program.run(&["--json", "proposals", "list"]).good().json();
        let id = |title: &str| {
            let rows = listed["proposals"].as_array().expect("a list");
            let row = rows.iter().find(|row| row["title"] == title).expect("listed");
            row["id"].as_str().expect("an id").to_owned()
        };
        assert!(program.run(&["proposals", "show", &id("Alpha")]).good().out.contains("added tool alpha"));
        program.run(&["proposals", "accept", &id("Inkwell")]).refused(&["inkwell Builder"]);
        program.run(&["proposals", "accept", &id("Inkwell"), "--verdict", "inkwell Builder=ship"]).good();
        program.run(&["proposals", "reject", &id("Alpha")]).good();
        program.run(&["proposals", "reject", &id("Alpha")]).refused(&["rejected"]);
        let done = program.run(&["--json", "proposals", "accept", "--all", "--source", "News"]).good().json();
        assert_eq!((&done["accepted"], &done["left"]), (&1.into(), &0.into()));
        program.run(&["proposals", "show", "nobody"]).refused(&["proposals list"]);
        program.run(&["sources", "edit", "News", "--rename", "Old news", "--mode", "publish"]).good();
        program.run(&["sources", "pause", "Old news"]).good();
        let list = program.run(&["sources", "list"]).good().out;
        assert!(list.contains("Old news  feed  publish") && list.contains("paused"), "{list}");
        program.run(&["sources", "resume", "Old news"]).good();
        let (unknown, _) = crate::codes::unknown(&test_app.test_db).await;
        assert!(unknown.is_empty(), "{unknown:?}");
        let audit = program.run(&["--json", "audit", "list"]).good().out;
        for what in ["source.added", "source.changed", "source.removed", "source.paused", "source.resumed", "proposal.accepted", "proposal.rejected"] {
            assert!(audit.contains(what), "{what}: {audit}");
        }
    }

    async fn a_feed_whose_entries_have_pages_brings_their_verdicts(test_db) {
        let (host, test_app) = (ContentHost::start().await, desk_app(test_db).await);
        let link = |n: u32| item(&format!("Entry{n}"), &n.to_string()).replace(&format!("https://feed.example/Entry{n}"), &host.at(&format!("/page/{n}")));
        host.set("/feed", Answer::of(RSS, rss(&(0..23).map(link).collect::<String>())));
        for n in 0..23 {
            let page = TOOL.replace("Inkwell", &format!("Tool {n}")).replace("\"reviewBody\"", "\"additionalProperty\": {\"name\": \"verdict\", \"value\": \"ship\"}, \"reviewBody\"");
            host.set(&format!("/page/{n}"), Answer::of("text/html", page));
        }
        host.set("/page/3", Answer::status(500));
        let mut followed = wish(verdicts::domain::source::SourceKind::Feed, &host.at("/feed"));
        followed.mapping.follow = true;
        let source = add(&test_app, &followed).await;
        assert_eq!(pull(&test_app, &source).await.proposed, 20);
        assert_eq!(pull(&test_app, &source).await.proposed, 3, "the rest at the next look");
        host.set("/page/3", Answer::of("text/html", TOOL.replace("Inkwell", "Tool 3")));
        pull(&test_app, &source).await;
        assert_eq!(host.asked("/page/0").len(), 1, "a page is read once");
        assert_eq!(host.asked("/page/3").len(), 3, "until it can be read");
        let done = test_app.app.accept_all_good(&verdicts::domain::actor::Actor::cli(), None).await.expect("accepted");
        assert_eq!((done.accepted, done.left), (22, 1), "the one without a verdict waits for a person");
        let tools = test_app.app.export_catalogue().await.expect("a catalogue").tools;
        assert!(tools.len() == 22 && tools.iter().all(|tool| tool.reviews.len() == 1));
    }
}

on_both! {
    async fn by_the_api_sources_are_written_and_proposals_are_decided_on(test_db) {
        let (host, test_app) = (ContentHost::start().await, desk_app(test_db).await);
        host.set("/tool", Answer::of("text/html", TOOL));
        host.set("/feed", Answer::of(RSS, rss(&(item("Alpha", "1") + &item("Beta", "2")))));
        let api = ApiClient::full(&test_app).await;
        let new = json!({ "name": "Ink", "kind": "page", "url": host.at("/tool") });
        let tried = api.post("/sources?dry_run=true", &new).await;
        assert_eq!((tried.status.as_u16(), &tried.body["entries"][0]["remarks"][0]["kind"]), (200, &json!("question")), "{tried:?}");
        for (change, pointer) in [
            (json!({ "kind": "pagan" }), "#/kind"),
            (json!({ "mapping": { "colour": 1 } }), "#/mapping"),
            (json!({ "every_seconds": 5 }), "#/every_seconds"),
        ] {
            let mut wrong = new.clone();
            wrong.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
            let answer = api.post("/sources", &wrong).await;
            assert_eq!((answer.status.as_u16(), &answer.body["errors"][0]["pointer"]), (422, &json!(pointer)), "{answer:?}");
        }
        let unreadable = api.post("/sources", &json!({ "name": "Gone", "kind": "feed", "url": host.at("/none") })).await;
        assert_eq!(unreadable.status.as_u16(), 422, "{unreadable:?}");
        let made = api.post("/sources", &new).await;
        assert_eq!(made.status.as_u16(), 201, "{made:?}");
        let id = made.body["id"].as_str().expect("an id").to_owned();
        assert_eq!(made.header("location"), format!("/api/v1/sources/{id}"));
        assert_eq!(api.post("/sources", &new).await.status.as_u16(), 409);
        let pulled = api.post(&format!("/sources/{id}/pull"), &json!({})).await;
        assert_eq!(pulled.body["proposed"], 1, "{pulled:?}");
        let listed = api.get(&format!("/proposals?source={id}")).await;
        let proposal = listed.body["data"][0]["id"].as_str().expect("an id").to_owned();
        let shown = api.get(&format!("/proposals/{proposal}")).await;
        assert_eq!(shown.body["questions"], json!(["inkwell Builder"]), "{shown:?}");
        let asked = api.post(&format!("/proposals/{proposal}/accept"), &json!({})).await;
        assert_eq!(asked.status.as_u16(), 422, "{asked:?}");
        let stale = api.post(&format!("/proposals/{proposal}/accept"), &json!({ "version": 9, "verdicts": { "inkwell Builder": "ship" } })).await;
        assert_eq!(stale.status.as_u16(), 409, "{stale:?}");
        let accepted = api.post(&format!("/proposals/{proposal}/accept"), &json!({ "version": 1, "verdicts": { "inkwell Builder": "ship" } })).await;
        assert_eq!((accepted.status.as_u16(), &accepted.body["state"]), (200, &json!("accepted")), "{accepted:?}");
        assert_eq!(api.get("/tools/inkwell").await.body["reviews"][0]["verdict"], "ship");
        let patched = api.patch(&format!("/sources/{id}"), &json!({ "paused": true, "mode": "publish" })).await;
        assert!(patched.body["paused_at"].is_string() && patched.body["mode"] == "publish", "{patched:?}");
        let feed = api.post("/sources", &json!({ "name": "News", "kind": "feed", "url": host.at("/feed"), "mapping": { "category": "Writing" } })).await;
        let feed = feed.body["id"].as_str().expect("an id").to_owned();
        api.post(&format!("/sources/{feed}/pull"), &json!({})).await;
        let first = api.get("/proposals?limit=1").await;
        let next = first.body["next"].as_str().expect("a place").to_owned();
        let second = api.get(&format!("/proposals?limit=1&after={next}")).await;
        assert!(first.body["data"][0]["id"] != second.body["data"][0]["id"] && second.body["next"].is_null(), "{second:?}");
        let other = second.body["data"][0]["id"].as_str().expect("an id").to_owned();
        assert_eq!(api.post(&format!("/proposals/{other}/reject"), &json!({})).await.body["state"], "rejected");
        assert_eq!(api.post(&format!("/proposals/{other}/reject"), &json!({})).await.status.as_u16(), 409);
        assert_eq!(api.delete(&format!("/sources/{feed}")).await.status.as_u16(), 204);
        assert_eq!(api.get(&format!("/sources/{feed}")).await.status.as_u16(), 404);
        assert_eq!(api.get("/sources").await.body["data"].as_array().map(Vec::len), Some(1));
    }
}
