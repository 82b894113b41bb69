//! Subscribers at the desk: whoever is looked for is found, by every condition, in pages that neither repeat nor leave out.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use reqwest::StatusCode;
use verdicts::config::SecondFactor;
use verdicts::config::Settings;
use verdicts::domain::subscriber_filter::SubscriberFilter;
use verdicts::domain::user::Role;

use crate::support::Program;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::desk::Browser;
use crate::support::on_both;
use crate::support::run_raw_sql;

pub fn without_codes(settings: &mut Settings) {
    settings.desk.second_factor = SecondFactor::Off;
}

async fn test_app(test_db: TestDb) -> TestApp {
    TestApp::open_with(test_db, without_codes).await
}

/// The addresses in a page's table.
pub fn addresses(page: &str) -> Vec<String> {
    let rows = page.split("<th scope=\"row\">").skip(1);
    rows.map(|row| {
        let text = row.split("<bdi>").nth(1).expect("an address");
        text.split('<').next().expect("text").to_owned()
    })
    .collect()
}

/// The address that the link with these words leads to.
pub fn link(page: &str, words: &str) -> Option<String> {
    let before = page.split(&format!("{words}</a>")).next()?;
    if before.len() == page.len() {
        return None;
    }
    let href = before.rsplit("href=\"").next()?;
    Some(
        href.split('"')
            .next()?
            .replace("&amp;", "&")
            .replace("&#38;", "&"),
    )
}

/// Everybody whom a filter finds, by following the pages to the end.
async fn walk(browser: &Browser<'_>, query: &str) -> Vec<String> {
    let mut path = format!("/desk/subscribers?{query}");
    let mut found = Vec::new();
    for _ in 0..50 {
        let page = browser.page(&path).await;
        found.extend(addresses(&page));
        match link(&page, "Next page").or_else(|| link(&page, "Search on")) {
            Some(next) => path = next,
            None => return found,
        }
    }
    panic!("the pages never end")
}

/// A pause and a category of zoe's; a refusal that counts of adam's, and one that does not of zoe's; a vote of adam's; ada was here first.
const LIVED: &str = "
    insert into preferences (subscriber_id, categories, monthly, paused_until)
      select id, '[\"Data\"]', 0, 4000000000000 from subscribers where email_key = 'zoe@other.example.org';
    insert into refusals (subscriber_id, mailing_id, at, class, reply, pattern, domain, relay, address_hash, key_name)
      select id, -1, 0, case when email_key = 'adam@example.org' then 'recipient' else 'passing' end, 'r', 'p', 'd', 'r', 'h', 'k'
      from subscribers where email_key in ('adam@example.org', 'zoe@other.example.org');
    insert into votes (tool, subscriber_id, verdict, voted_at)
      select t.slug, s.id, 'ship', 0 from (select slug from tools order by slug limit 1) t, subscribers s where s.email_key = 'adam@example.org';
    update subscribers set created_at = created_at - 864000000 where email_key = 'ada@lovelace.example.org';
";

on_both! {
    async fn pages_follow_one_another_and_hold_everybody_once(test_db) {
        let test_app = test_app(test_db).await;
        test_app.seed_subscribers("reader", 120).await;
        let editor = Browser::of(&test_app, Role::Editor).await;
        let found = walk(&editor, "state=active").await;
        let unique: BTreeSet<&String> = found.iter().collect();
        assert_eq!((found.len(), unique.len()), (120, 120));
        let page = editor.page("/desk/subscribers?state=active").await;
        assert!(page.contains("120 subscribers") && addresses(&page).len() == 50);
        let next = link(&page, "Next page").expect("more");
        assert!(!next.contains('@') && next.contains("state=active"), "{next}");
        let second = editor.page(&next).await;
        assert_eq!(link(&second, "First page").as_deref(), Some("/desk/subscribers?state=active"));
        // Somebody who is erased meanwhile takes no place away: the list begins anew.
        let gone = format!("/desk/subscribers?after={}", test_app.app.subscriber_name(7));
        assert_eq!(addresses(&editor.page(&gone).await).len(), 50);
        assert_eq!(addresses(&editor.page("/desk/subscribers?after=nonsense").await).len(), 50);
    }

    async fn each_condition_finds_whom_it_means_and_all_must_hold(test_db) {
        let sink = SmtpSink::start(Script::accept_all().reply_to("bad", "550 5.1.1 no such user")).await;
        let test_app = TestApp::stocked(test_db, &sink, without_codes).await;
        test_app.enlist_all(
            "email,name,source,timezone\nada@lovelace.example.org,Ada Lovelace,fair,Europe/Berlin\nadam@example.org,Bea Ada,fair,\n\
             bad@example.org,Adele,web,Europe/Paris\nzoe@other.example.org,ada zoe,web,\n",
        ).await;
        test_app.sign_up("wait@example.org").await;
        test_app.send_digest().await;
        let slot = test_app.slot();
        run_raw_sql(&test_app.test_db, LIVED).await;
        let editor = Browser::of(&test_app, Role::Editor).await;
        let today = test_app.app.now().format("%Y-%m-%d").to_string();
        let before = (test_app.app.now() - TimeDelta::days(5)).format("%Y-%m-%d").to_string();
        let (ada, adam, bad, zoe, wait) = ("ada@lovelace.example.org", "adam@example.org", "bad@example.org", "zoe@other.example.org", "wait@example.org");
        let cases: Vec<(String, Vec<&str>)> = vec![
            (String::new(), vec![ada, adam, bad, zoe, wait]),
            ("search=ADA%40".into(), vec![ada]),
            // By address first, then by name, each once.
            ("search=ada".into(), vec![ada, adam, zoe]),
            ("search=Ade".into(), vec![bad]),
            ("search=ada+z".into(), vec![zoe]),
            ("search=%40example.org".into(), vec![adam, bad, wait]),
            ("search=%25".into(), vec![]),
            ("state=pending".into(), vec![wait]),
            ("state=active&search=%40example.org".into(), vec![adam]),
            (format!("joined_until={before}"), vec![ada]),
            (format!("joined_from={before}"), vec![adam, bad, zoe, wait]),
            (format!("joined_from={today}&joined_until={today}&source=fair"), vec![adam]),
            ("source=fair".into(), vec![ada, adam]),
            ("source=fair&zone=europe%2Fberlin".into(), vec![ada]),
            ("zone=Europe%2FParis".into(), vec![bad]),
            ("category=Data".into(), vec![zoe]),
            ("category=Dat".into(), vec![]),
            ("paused=yes".into(), vec![zoe]),
            ("paused=yes&state=pending".into(), vec![]),
            ("bounced=1".into(), vec![adam, bad]),
            ("bounced=2".into(), vec![]),
            ("votes=1".into(), vec![adam]),
            (format!("consent_before={today}"), vec![]),
            (format!("issue={slot}"), vec![ada, adam, bad, zoe]),
            (format!("issue={slot}&result=sent"), vec![ada, adam, zoe]),
            (format!("issue={slot}&result=failed"), vec![bad]),
            (format!("issue={slot}&result=failed&search=%40other.example.org"), vec![]),
            (format!("issue={slot}&result=not-got"), vec![bad, wait]),
            (format!("issue={slot}&result=skipped%3Apaused"), vec![]),
            (format!("issue={slot}&result=sent&source=fair&votes=1"), vec![adam]),
        ];
        for (query, expected) in cases {
            let mut found = walk(&editor, &query).await;
            found.sort();
            let mut expected: Vec<String> = expected.into_iter().map(String::from).collect();
            expected.sort();
            assert_eq!(found, expected, "{query}");
            let pairs: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
            let filter = SubscriberFilter::of(pairs.iter().map(|(k, v)| (k.as_str(), v.as_str()))).expect("a filter");
            let counted = test_app.app.count_all(&filter).await.expect("counted");
            assert_eq!(counted, expected.len() as u64, "{query}");
        }
    }

    async fn each_number_of_a_digests_sum_leads_to_its_people(test_db) {
        let sink = SmtpSink::start(Script::accept_all().reply_to("bad", "550 5.1.1 no such user")).await;
        let test_app = TestApp::stocked(test_db, &sink, without_codes).await;
        test_app.seed_subscribers("reader", 3).await;
        test_app.enlist_all("email\nbad@example.org\n").await;
        test_app.send_digest().await;
        let slot = test_app.slot();
        let editor = Browser::of(&test_app, Role::Editor).await;
        let page = editor.page(&format!("/desk/digests/{slot}")).await;
        for (name, count, people) in [("recipients", 4, 4), ("sent", 3, 3), ("failed", 1, 1)] {
            let path = link(&page, &format!("{count}<span class=\"unseen\"> {name}</span>")).unwrap_or_else(|| panic!("{name}: {page}"));
            let list = editor.page(&path).await;
            assert_eq!(addresses(&list).len(), people, "{name}");
            assert!(name == "sent" || addresses(&list).contains(&"bad@example.org".to_owned()), "{name}");
        }
        let failed = test_app.app.storage.failed_deliveries(slot, i64::MIN, 10).await.expect("deliveries");
        assert!(failed.len() == 1 && failed[0].email.as_deref() == Some("bad@example.org") && failed[0].reply.as_deref().is_some_and(|reply| reply.contains("5.1.1")), "{failed:?}");
        let writer = Browser::of(&test_app, Role::Writer).await;
        assert!(!writer.page(&format!("/desk/digests/{slot}")).await.contains("/desk/subscribers"));
        let program = Program::set_up(&test_app.test_db);
        let shown = program.run(&["--json", "digest", "show", &slot.to_string(), "--failed"]).good().json();
        assert_eq!(shown["failed"][0]["email"], "bad@example.org");
        assert!(program.run(&["digest", "show", &slot.to_string(), "--failed"]).good().out.contains("bad@example.org  550"));
    }

    async fn what_is_rare_is_looked_for_in_bounded_steps(test_db) {
        let test_app = test_app(test_db).await;
        test_app.seed_subscribers("reader", 3).await;
        run_raw_sql(&test_app.test_db, "insert into subscribers (id, email, email_key, state, state_at, created_at)
            with recursive n (i) as (select 1 union all select i + 1 from n where i < 45000)
            select i, i || '@many.example.org', i || '@many.example.org', 'active', 0, 0 from n").await;
        run_raw_sql(&test_app.test_db, "update subscribers set timezone = 'Europe/Oslo' where id = 17").await;
        let editor = Browser::of(&test_app, Role::Editor).await;
        let first = editor.page("/desk/subscribers?zone=Europe%2FOslo").await;
        assert!(first.contains("None among those that were looked at so far") && first.contains("At least 0 subscribers"), "{first}");
        assert_eq!(walk(&editor, "zone=Europe%2FOslo").await, ["17@many.example.org"]);
        let all = editor.page("/desk/subscribers").await;
        assert!(all.contains("10,000+ subscribers"));
    }

    async fn a_role_without_the_right_sees_no_address(test_db) {
        let test_app = test_app(test_db).await;
        test_app.enlist_all("email,name\nada@lovelace.example.org,Ada Lovelace\n").await;
        let analyst = Browser::of(&test_app, Role::Analyst).await;
        for query in ["", "?state=active", "?search=%40lovelace.example.org"] {
            let page = analyst.page(&format!("/desk/subscribers{query}")).await;
            assert_eq!(addresses(&page), ["a***@l***.org"], "{query}");
            assert!(!page.contains("ada@") && !page.contains("Lovelace") && !page.contains("/desk/subscribers/"), "{page}");
        }
        for guess in ["ada%40lovelace.example.org", "ada", "Ada+Lovelace"] {
            let answer = analyst.get(&format!("/desk/subscribers?search={guess}")).await;
            assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY, "{guess}");
            assert!(answer.text().await.expect("a page").contains("sees no addresses"));
        }
        let writer = Browser::of(&test_app, Role::Writer).await;
        assert_eq!(writer.get("/desk/subscribers").await.status(), StatusCode::FORBIDDEN);
        assert!(!writer.page("/desk").await.contains("/desk/subscribers"));
    }

    async fn a_condition_that_cannot_be_read_is_named_beside_its_field(test_db) {
        let test_app = test_app(test_db).await;
        let editor = Browser::of(&test_app, Role::Editor).await;
        let answer = editor.get("/desk/subscribers?joined_from=yesterday&bounced=x&state=active").await;
        assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
        let page = answer.text().await.expect("a page");
        assert!(page.contains("joined_from-problem") && page.contains("bounced-problem") && page.contains("value=\"yesterday\""), "{page}");
        assert!(page.contains("<option value=\"active\" selected>"));
        let form = editor.get("/desk/subscribers?search=&state=active&zone=&paused=").await;
        assert_eq!(crate::support::desk::goal(&form), "/desk/subscribers?state=active");
        let page = editor.page("/desk/subscribers?state=active&issue=2026-W10&result=failed").await;
        assert!(page.contains("issue 2026-W10: failed") && page.contains("href=\"/desk/subscribers?state=active\""), "{page}");
    }

    async fn the_command_line_takes_the_same_conditions(test_db) {
        let program = Program::set_up(&test_db);
        program.write("list.csv", "email,name,source\nada@example.org,Ada,fair\nbob@example.org,Bob,web\ncy@other.example.org,Cy,web\n");
        program.run(&["subscribers", "import", "list.csv", "--consent", "fair", "--confirmed"]).good();
        program.run(&["subscribers", "add", "dee@example.org", "--consent", "by phone"]).good();
        let count = |options: &[&str]| {
            let arguments = [&["--json", "subscribers", "count"], options].concat();
            program.run(&arguments).good().json()["subscribers"].as_u64().expect("a count")
        };
        assert_eq!([count(&[]), count(&["--state", "active"]), count(&["--search", "@example.org"])], [4, 3, 3]);
        assert_eq!([count(&["--source", "web", "--search", "@example.org"]), count(&["--joined-from", "2020-01-01"])], [1, 4]);
        let listed = program.run(&["--json", "subscribers", "list", "--search", "c", "--state", "active"]).good().json();
        assert_eq!(listed["subscribers"][0]["email"], "cy@other.example.org");
        assert_eq!(listed["subscribers"].as_array().map(Vec::len), Some(1));
        assert_eq!(program.run(&["subscribers", "count"]).good().out.trim(), "4");
        for bad in [["--state", "gone"], ["--joined-from", "1 May"], ["--issue", "48"], ["--result", "failed"]] {
            let refused = program.run(&["subscribers", "list", bad[0], bad[1]]);
            assert_eq!(refused.code, 2, "{refused:?}");
        }
    }
}
