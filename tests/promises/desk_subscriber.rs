//! One subscriber at the desk: all that is kept is shown, and each button does what the command does.

use chrono::TimeDelta;
use reqwest::StatusCode;
use verdicts::domain::inbound_channel::InboundChannel;
use verdicts::domain::subscriber::SubscriberState;
use verdicts::domain::user::Role;

use crate::desk_subscribers::link;
use crate::desk_subscribers::without_codes;
use crate::inbound::app_with_a_reader_and;
use crate::inbound::report;
use crate::inbound::return_path;
use crate::support::Program;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::desk::Browser;
use crate::support::desk::goal;
use crate::support::on_both;
use crate::support::run_raw_sql;

const ADA: &str = "reader0@example.org";

async fn test_app(test_db: TestDb) -> TestApp {
    app_with_a_reader_and(test_db, without_codes).await
}

/// The path of a subscriber's page.
async fn path_of(test_app: &TestApp, email: &str) -> String {
    let email = email.parse().expect("an address");
    let id = test_app
        .app
        .subscriber_id(&email)
        .await
        .expect("a subscriber");
    format!("/desk/subscribers/{}", test_app.app.subscriber_name(id))
}

async fn state(test_app: &TestApp) -> SubscriberState {
    test_app.state_of(ADA).await.expect("a subscriber")
}

/// The actions that the audit log has of a user, oldest first.
async fn audited(test_app: &TestApp) -> Vec<String> {
    let log = test_app
        .app
        .storage
        .audit_log(Default::default(), 200)
        .await
        .expect("the log");
    let of_users = log
        .into_iter()
        .rev()
        .filter(|entry| entry.row.actor_kind == "user");
    let mut actions: Vec<String> = of_users
        .map(|entry| entry.row.what)
        .filter(|what| what.contains("subscri") || what.contains("suppression"))
        .collect();
    // Of the suppression and of the subscriber.
    actions.dedup_by(|one, other| one == other && one == "suppression.removed");
    actions
}

on_both! {
    async fn a_page_shows_everything_that_is_kept_and_the_report_as_text(test_db) {
        let test_app = test_app(test_db).await;
        let mail = report(&return_path(&test_app, ADA), ADA, "552 5.2.2 mailbox full <script>alert(1)</script>");
        test_app.app.take_inbound(mail.as_bytes(), InboundChannel::Lmtp).await.expect("taken");
        let editor = Browser::of(&test_app, Role::Editor).await;
        let list = editor.page("/desk/subscribers?search=reader0").await;
        let path = path_of(&test_app, ADA).await;
        assert_eq!(link(&list, "<bdi>reader0@example.org</bdi>").as_deref(), Some(path.as_str()));
        assert!(!path.contains("reader0"));
        let page = editor.page(&path).await;
        let slot = test_app.slot().to_string();
        for shown in [ADA, "Active since", &slot, "mailbox full", "all categories"] {
            assert!(page.contains(shown), "{shown}: {page}");
        }
        assert!(!page.contains("<script>alert"), "what a stranger wrote is text");
        let raw = link(&page, "as it came<span class=\"unseen\"> on ").or_else(|| {
            let at = page.find("/reports/")?;
            let start = page[..at].rfind('"')? + 1;
            Some(page[start..].split('"').next()?.to_owned())
        }).expect("a report");
        let shown = editor.page(&raw).await;
        assert!(shown.contains("message/delivery-status") && shown.contains("&lt;script&gt;") | shown.contains("&#60;script&#62;") && !shown.contains("<script>alert"), "{shown}");
        // Of nobody else, and not for a role that sees no addresses.
        let other = path_of(&test_app, "reader1@example.org").await;
        let fingerprint = raw.rsplit('/').next().expect("a name");
        assert_eq!(editor.get(&format!("{other}/reports/{fingerprint}")).await.status(), StatusCode::NOT_FOUND);
        let analyst = Browser::of(&test_app, Role::Analyst).await;
        for path in [&path, &raw] {
            assert_eq!(analyst.get(path).await.status(), StatusCode::FORBIDDEN, "{path}");
        }
    }

    async fn a_report_is_kept_as_long_as_the_settings_say_and_cut(test_db) {
        let test_app = test_app(test_db).await;
        let mut mail = report(&return_path(&test_app, ADA), ADA, "552 5.2.2 mailbox full");
        mail.push_str(&"filler \u{fc}\0\r\n".repeat(40_000));
        test_app.app.take_inbound(mail.as_bytes(), InboundChannel::Lmtp).await.expect("taken");
        let id = test_app.app.subscriber_id(&ADA.parse().expect("an address")).await.expect("there");
        let kept = test_app.app.storage.raw_reports(id).await.expect("reports");
        assert!(kept.len() == 1 && kept[0].is_cut && kept[0].text.len() <= 300 << 10 && !kept[0].text.contains('\0'), "{}", kept.len());
        test_app.wait(TimeDelta::days(89));
        test_app.app.tick().await.expect("a tick");
        assert_eq!(test_app.app.storage.raw_reports(id).await.expect("reports").len(), 1);
        test_app.wait(TimeDelta::days(2));
        test_app.app.tick().await.expect("a tick");
        assert!(test_app.app.storage.raw_reports(id).await.expect("reports").is_empty());
        let record = test_app.app.subscriber_record(id).await.expect("a record").expect("there");
        assert!(!record.data.came_back.is_empty() && record.data.came_back[0].report.is_none(), "that it came stays known");
    }

    async fn each_button_asks_first_and_does_one_thing(test_db) {
        let test_app = test_app(test_db).await;
        let editor = Browser::of(&test_app, Role::Editor).await;
        let path = path_of(&test_app, ADA).await;
        for change in ["unsubscribe", "pause", "resume", "confirmation", "address", "erase"] {
            let question = editor.page(&format!("{path}/{change}")).await;
            assert!(question.contains(ADA) && question.contains("method=\"post\""), "{change}");
        }
        assert_eq!(state(&test_app).await, SubscriberState::Active, "asking does nothing");
        assert!(audited(&test_app).await.is_empty());
        let day = |days| (test_app.app.now() + TimeDelta::days(days)).format("%Y-%m-%d").to_string();
        for bad in ["", "soon", &day(-1), &day(200)] {
            let answer = editor.post(&format!("{path}/pause"), &[("until", bad)]).await;
            assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY, "{bad}");
        }
        let page = editor.press(&format!("{path}/pause"), &[("until", &day(10))]).await;
        assert!(page.contains("they have a pause") && page.contains("paused until") && page.contains("End the pause"), "{page}");
        assert!(editor.page("/desk/subscribers?paused=yes").await.contains(ADA));
        assert!(editor.press(&format!("{path}/resume"), &[]).await.contains("Their pause is over"));

        let refused = editor.post(&format!("{path}/address"), &[("email", "reader1@example.org")]).await;
        assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY, "somebody has it");
        let page = editor.press(&format!("{path}/address"), &[("email", "ada@new.example.org")]).await;
        assert!(page.contains("A change of address to ada@new.example.org waits"), "{page}");
        test_app.deliver_confirmations().await;
        assert_eq!(test_app.mails_to("ada@new.example.org").len(), 1);
        assert_eq!(state(&test_app).await, SubscriberState::Active, "not before it is confirmed there");

        let page = editor.press(&format!("{path}/confirmation"), &[]).await;
        assert!(page.contains("no sign-up of theirs waits"));
        let page = editor.press(&format!("{path}/unsubscribe"), &[]).await;
        assert!(page.contains("They are unsubscribed") && page.contains("unsubscribed (operator)"), "{page}");
        assert_eq!(state(&test_app).await, SubscriberState::Unsubscribed);
        assert!(editor.press(&format!("{path}/unsubscribe"), &[]).await.contains("Nothing was changed"));
        assert_eq!(audited(&test_app).await, ["subscriber.paused", "subscriber.paused", "subscriber.address_asked", "subscriber.unsubscribed"]);
        assert_eq!(editor.get(&format!("{path}/nothing")).await.status(), StatusCode::NOT_FOUND);
    }

    async fn erasing_taking_out_and_lifting_need_a_recent_sign_in(test_db) {
        let test_app = test_app(test_db).await;
        let owner = Browser::of(&test_app, Role::Owner).await;
        let path = path_of(&test_app, ADA).await;
        run_raw_sql(&test_app.test_db, "update subscribers set state = 'bounced' where email_key = 'reader0@example.org'").await;
        let hash = test_app.app.address_hashes(&ADA.parse().expect("an address")).remove(0);
        let sql = format!("insert into suppressions (address_hash, key_name, reason, created_at) values ('{hash}', 'x', 'bounced', 0)");
        run_raw_sql(&test_app.test_db, Box::leak(sql.into_boxed_str())).await;
        test_app.wait(TimeDelta::minutes(11));
        for what in ["data", "lift", "erase"] {
            let answer = owner.ask(reqwest::Method::POST, &format!("{path}/{what}"), &[("note", "works again")], &path).await;
            assert!(goal(&answer).starts_with("/desk/confirm?next="), "{what}");
        }
        assert_eq!(state(&test_app).await, SubscriberState::Bounced);
        owner.post("/desk/confirm", &[("password", crate::support::desk::PASSWORD), ("next", &path)]).await;
        let data = owner.post(&format!("{path}/data"), &[]).await;
        assert!(data.headers()["content-disposition"].to_str().expect("text").starts_with("attachment"));
        assert_eq!(data.json::<serde_json::Value>().await.expect("JSON")["email"], ADA);
        let page = owner.page(&path).await;
        assert!(page.contains("on the suppression list since") && page.contains("/lift"), "{page}");
        let bare = owner.post(&format!("{path}/lift"), &[("note", " ")]).await;
        assert_eq!(bare.status(), StatusCode::UNPROCESSABLE_ENTITY, "a reason is demanded");
        let page = owner.press(&format!("{path}/lift"), &[("note", "the mailbox was full")]).await;
        assert!(page.contains("Taken off the suppression list") && page.contains("the mailbox was full"), "{page}");
        assert_eq!(state(&test_app).await, SubscriberState::Unsubscribed);
        let list = owner.press(&format!("{path}/erase"), &[]).await;
        assert!(list.contains("One person is erased") && !list.contains(ADA));
        assert_eq!(owner.get(&path).await.status(), StatusCode::NOT_FOUND);
        assert_eq!(audited(&test_app).await, ["subscriber.exported", "suppression.removed", "subscriber.erased"]);

        let editor = Browser::of(&test_app, Role::Editor).await;
        let other = path_of(&test_app, "reader1@example.org").await;
        assert_eq!(editor.get(&format!("{other}/lift")).await.status(), StatusCode::FORBIDDEN, "owners only");
        assert!(!editor.page(&other).await.contains("/lift"));
    }

    async fn somebody_is_added_with_their_consent_and_asked_to_confirm(test_db) {
        let test_app = test_app(test_db).await;
        let editor = Browser::of(&test_app, Role::Editor).await;
        assert!(editor.page("/desk/subscribers/new").await.contains("checked"), "the mail goes out by default");
        for (email, consent) in [("nobody", "at the fair"), ("new@example.org", "  "), ("", "")] {
            let answer = editor.post("/desk/subscribers/new", &[("email", email), ("consent", consent)]).await;
            assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY, "{email}");
        }
        let page = editor.press("/desk/subscribers/new", &[("email", "new@example.org"), ("consent", "at the fair"), ("confirmation", "yes")]).await;
        assert!(page.contains("confirmation mail is on its way") && page.contains("at the fair") && page.contains("pending"), "{page}");
        test_app.deliver_confirmations().await;
        assert_eq!(test_app.mails_to("new@example.org").len(), 1);
        let page = editor.press("/desk/subscribers/new", &[("email", "quiet@example.org"), ("consent", "by phone")]).await;
        assert!(page.contains("No mail goes there before"), "{page}");
        test_app.deliver_confirmations().await;
        assert_eq!(test_app.mails_to("quiet@example.org").len(), 0);
        let path = path_of(&test_app, "quiet@example.org").await;
        assert!(editor.press(&format!("{path}/confirmation"), &[]).await.contains("is on its way"));
        test_app.deliver_confirmations().await;
        assert_eq!(test_app.mails_to("quiet@example.org").len(), 1);
        assert!(editor.press(&format!("{path}/confirmation"), &[]).await.contains("Nothing was sent"), "within the hour");
        assert_eq!(test_app.mails_to("quiet@example.org").len(), 1);
    }

    async fn the_command_line_does_the_same(test_db) {
        let program = Program::set_up(&test_db);
        program.write("list.csv", "email\nada@example.org\nbob@example.org\n");
        program.run(&["subscribers", "import", "list.csv", "--consent", "fair", "--confirmed"]).good();
        let edit = |options: &[&str]| program.run(&[&["--json", "subscribers", "edit", "ada@example.org"], options].concat());
        assert_eq!(edit(&["--address", "ada@new.example.org"]).good().json()["status"], "address_asked");
        assert!(edit(&["--address", "bob@example.org"]).err.contains("is on the list"));
        #[allow(clippy::disallowed_methods, reason = "the program looks at the machine's clock")]
        let now = chrono::Utc::now();
        let day = (now + TimeDelta::days(9)).format("%Y-%m-%d").to_string();
        assert!(edit(&["--pause-until", &day]).good().json()["until"].is_string());
        assert!(edit(&["--pause-until", "2020-01-01"]).err.contains("until: expected"));
        assert!(edit(&["--end-pause"]).good().json()["until"].is_null());
        assert_eq!([edit(&[]).code, edit(&["--end-pause", "--pause-until", &day]).code], [2, 2]);
        let data = program.run(&["subscribers", "data", "ada@example.org"]).good().json();
        assert_eq!(data["address_change"]["email"], "ada@new.example.org");
        let gone = |what: &str| program.run(&["--json", "subscribers", what, "ada@example.org"]);
        assert_eq!(gone("unsubscribe").good().json()["status"], "unsubscribed");
        assert_eq!(gone("unsubscribe").good().json()["status"], "already_over");
        assert!(gone("resend").err.contains("nothing was sent"));
        let quiet = ["subscribers", "add", "cy@example.org", "--consent", "by phone", "--no-confirmation"];
        assert!(program.run(&quiet).good().out.contains("no mail before"));
        assert_eq!(program.run(&["--json", "subscribers", "resend", "cy@example.org"]).good().json()["status"], "check_inbox");
        assert!(program.run(&["subscribers", "reports", "bob@example.org"]).good().out.is_empty());
        assert!(program.run(&["subscribers", "unsubscribe", "nobody@example.org"]).err.contains("There is no subscriber"));
    }
}
