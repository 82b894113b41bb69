//! This week at the desk: what is shown is what goes out, and each button does what the command does.

use chrono::TimeDelta;
use reqwest::StatusCode;
use verdicts::config::Approval;
use verdicts::config::SecondFactor;
use verdicts::config::Settings;
use verdicts::domain::actor::Actor;
use verdicts::domain::digest::DigestState;
use verdicts::domain::user::Role;

use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::catalogue;
use crate::support::desk::Browser;
use crate::support::desk::goal;
use crate::support::on_both;
use crate::support::until;

fn desk(settings: &mut Settings) {
    settings.desk.second_factor = SecondFactor::Off;
    settings.schedule.approval = Approval::Required;
}

/// A service with nine comparisons, three readers and mail that stays in a folder.
async fn test_app(test_db: TestDb) -> TestApp {
    let test_app = TestApp::open_with(test_db, desk).await;
    test_app
        .seed_catalogue(&catalogue::small(9, test_app.app.now()))
        .await;
    test_app.seed_subscribers("reader", 3).await;
    test_app
}

async fn state(test_app: &TestApp) -> DigestState {
    let digest = test_app
        .app
        .storage
        .digest(test_app.slot())
        .await
        .expect("an answer");
    digest.expect("a digest").state
}

on_both! {
    async fn the_week_shows_what_is_picked_and_what_comes_next(test_db) {
        let test_app = test_app(test_db).await;
        let editor = Browser::of(&test_app, Role::Editor).await;
        let before = test_app.test_db.dump().await.len();
        let page = editor.page("/desk").await;
        assert_eq!(test_app.test_db.dump().await.len(), before, "looking makes nothing");
        let (picks, next) = page.split_once("Next in line").expect("both");
        let edition = test_app.app.edition(test_app.slot(), test_app.app.now()).await.expect("an edition");
        assert!(!edition.content.items.is_empty());
        for item in &edition.content.items {
            assert!(picks.contains(&item.matchup.title()), "{}", item.matchup.title());
            for reason in &item.reasons {
                assert!(picks.contains(&reason.to_string()), "{reason}");
            }
        }
        assert!(picks.contains("of 100") && picks.contains("to 3 readers"), "{picks}");
        assert_eq!(next.matches("points less than the last one picked").count(), 9 - edition.content.items.len().max(4), "{next}");
        assert!(picks.contains("Make the draft now"));
        let page = editor.press("/desk/draft", &[]).await;
        assert!(page.contains("The draft of") && page.contains("Waits for an approval"), "{page}");
        assert!(!editor.page("/desk").await.contains("The draft of"), "said once");
        let again = editor.press("/desk/draft", &[]).await;
        assert!(again.contains("has a digest already"), "a reload does no harm: {again}");
    }

    async fn a_digest_is_approved_stopped_sent_and_its_sum_adds_up(test_db) {
        let test_app = test_app(test_db).await;
        let editor = Browser::of(&test_app, Role::Editor).await;
        editor.press("/desk/draft", &[]).await;
        let at = |action: &str| format!("/desk/digests/{}/{action}", test_app.slot());
        let question = editor.page(&at("approve")).await;
        assert!(question.contains("3 readers") && state(&test_app).await == DigestState::Draft, "asking does nothing");
        assert!(editor.press(&at("approve"), &[]).await.contains("Approved:"));
        assert_eq!(state(&test_app).await, DigestState::Approved);
        assert!(editor.press(&at("withdraw"), &[]).await.contains("is a draft again"));
        let refused = editor.press(&at("send"), &[]).await;
        assert!(refused.contains("is not approved") && state(&test_app).await == DigestState::Draft, "approval is required");
        editor.press(&at("approve"), &[]).await;
        assert!(editor.page(&at("send")).await.contains("Send it to 3 readers"));
        assert!(editor.press(&at("send"), &[]).await.contains("Until then you can stop it"));
        test_app.app.tick().await.expect("a tick");
        assert!(test_app.mails_to("reader0@example.org").is_empty(), "the time to undo is not over");
        editor.press(&at("withdraw"), &[]).await;
        test_app.wait(TimeDelta::minutes(10));
        test_app.app.tick().await.expect("a tick");
        assert_eq!(state(&test_app).await, DigestState::Draft, "stopped in time");
        editor.press(&at("approve"), &[]).await;
        editor.press(&at("send"), &[]).await;
        test_app.wait(TimeDelta::minutes(5) + TimeDelta::seconds(1));
        test_app.app.tick().await.expect("a tick");
        assert!(editor.press(&at("withdraw"), &[]).await.contains("only an approved one"), "it is out");
        test_app.deliver_while("the digest is sent", async || state(&test_app).await == DigestState::Sent).await;
        for n in 0..3 {
            assert_eq!(test_app.mails_to(&format!("reader{n}@example.org")).len(), 1);
        }
        let page = editor.page("/desk").await;
        let numbers = |page: &str| -> Vec<u64> {
            let sum = page.split("<dl class=\"parts\">").nth(1).and_then(|rest| rest.split("</dl>").next()).expect("a sum").to_owned();
            let text = |rest: &str| rest.strip_prefix("<a ").map_or(rest.to_owned(), |link| link.split_once('>').expect("a link").1.to_owned());
            sum.split("<dd>").skip(1).map(|rest| text(rest).split('<').next().expect("a number").replace(',', "").parse().expect("a number")).collect()
        };
        let found = numbers(&page);
        assert_eq!((found[0], found[1..].iter().sum::<u64>(), found[3]), (3, 3, 3), "{found:?}");
        let list = editor.page("/desk/digests").await;
        assert!(list.contains(&test_app.slot().to_string()) && list.contains("sent"), "{list}");
    }

    async fn sending_is_paused_resumed_and_cancelled(test_db) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let test_app = TestApp::stocked(test_db, &sink, desk).await;
        test_app.seed_subscribers("reader", 40).await;
        let editor = Browser::of(&test_app, Role::Editor).await;
        editor.press("/desk/draft", &[]).await;
        let at = |action: &str| format!("/desk/digests/{}/{action}", test_app.slot());
        for action in ["approve", "send"] {
            editor.press(&at(action), &[]).await;
        }
        test_app.wait(TimeDelta::minutes(6));
        test_app.app.tick().await.expect("a tick");
        assert_eq!(state(&test_app).await, DigestState::Sending);
        assert!(editor.page(&at("pause")).await.contains("40 readers get it only once it goes on"));
        assert!(editor.press(&at("pause"), &[]).await.contains("is paused"));
        assert_eq!(state(&test_app).await, DigestState::Paused);
        assert!(goal(&editor.get(&at("approve")).await).contains("/desk/digests/"), "what does not fit any more leads back");
        assert!(editor.press(&at("resume"), &[]).await.contains("goes on"));
        let question = editor.page(&at("cancel")).await;
        assert!(question.contains("40 readers never get it"), "{question}");
        editor.press(&at("cancel"), &[]).await;
        assert_eq!(state(&test_app).await, DigestState::Cancelled);
        until("all are ended", async || test_app.app.status(test_app.slot()).await.expect("a status").tally.open() == 0).await;
        assert_eq!(sink.received().len(), 0);
    }

    async fn the_preview_is_the_mail_that_goes_out(test_db) {
        let test_app = test_app(test_db).await;
        let analyst = Browser::of(&test_app, Role::Analyst).await;
        test_app.app.draft_digest(&Actor::cli()).await.expect("a draft");
        let slot = test_app.slot();
        let preview = test_app.app.preview(slot, test_app.app.now()).await.expect("a preview").rendered;
        for show in ["light", "dark", "phone"] {
            let page = analyst.page(&format!("/desk/digests/{slot}/preview?show={show}")).await;
            assert!(page.contains("<iframe class=\"mail") && page.contains("aria-current=\"page\""), "{show}");
        }
        let text = analyst.page(&format!("/desk/digests/{slot}/preview?show=text")).await;
        assert!(text.contains(preview.text.lines().find(|line| line.len() > 20).expect("a line")));
        assert_eq!(analyst.get(&format!("/desk/digests/{slot}/preview?show=x")).await.status(), StatusCode::NOT_FOUND);
        let bodies = [analyst.get(&format!("/desk/digests/{slot}/mail/light")).await, analyst.get(&format!("/desk/digests/{slot}/mail/dark")).await];
        let mut texts = Vec::new();
        for body in bodies {
            let policy = body.headers()["content-security-policy"].to_str().expect("text").to_owned();
            assert!(policy.contains("sandbox") && policy.contains("frame-ancestors 'self'") && !policy.contains("script"), "{policy}");
            assert_eq!(body.headers()["x-frame-options"], "SAMEORIGIN");
            texts.push(body.text().await.expect("a page"));
        }
        let plain = preview.html.replace("<head>", "<head><base target=\"_blank\">");
        assert!(texts[0] != texts[1] && texts.iter().all(|text| !text.contains("prefers-color-scheme")));
        let skeleton = |html: &str| html.split("</style>").last().unwrap_or_default().to_owned();
        assert_eq!(skeleton(&texts[0]), skeleton(&plain), "the body is the mail's own");
    }

    async fn a_writer_changes_what_goes_out_and_an_old_page_changes_nothing(test_db) {
        let test_app = test_app(test_db).await;
        let writer = Browser::of(&test_app, Role::Writer).await;
        writer.press("/desk/draft", &[]).await;
        let slot = test_app.slot();
        let edit = format!("/desk/digests/{slot}/edit");
        let now = async || -> Vec<String> {
            let picks = test_app.app.storage.picks(slot).await.expect("picks");
            picks.into_iter().map(|pick| pick.comparison.to_string()).collect()
        };
        let first = now().await;
        let seen = first.join(" ");
        assert!(writer.press(&edit, &[("seen", &seen), ("down", &first[0])]).await.contains("The order is changed."));
        let second = now().await;
        assert_eq!((&second[0], &second[1], &second[2..]), (&first[1], &first[0], &first[2..]));
        let old = writer.post(&edit, &[("seen", &seen), ("leave_out", &first[0])]).await;
        assert_eq!((old.status(), now().await), (StatusCode::CONFLICT, second.clone()), "two at once: nothing is lost");
        writer.press(&edit, &[("seen", &second.join(" ")), ("leave_out", &first[0])]).await;
        let third = now().await;
        assert!(third.len() == second.len() - 1 && !third.contains(&first[0]));
        let page = writer.page("/desk").await;
        assert!(page.contains("it was left out by hand"), "{page}");
        writer.press(&edit, &[("seen", &third.join(" ")), ("add", &first[0])]).await;
        assert_eq!(now().await.last(), Some(&first[0]));
        let fourth = now().await.join(" ");
        test_app.app.approve_digest(&Actor::cli(), slot).await.expect("approved");
        let said = writer.press(&edit, &[("seen", &fourth), ("down", &first[1])]).await;
        assert!(said.contains("The order is changed. It was approved as it was"), "{said}");
        assert_eq!(state(&test_app).await, DigestState::Draft);
        let fourth = now().await.join(" ");
        writer.press(&edit, &[("seen", &fourth), ("up", &first[1])]).await;
        let fourth = now().await.join(" ");
        assert!(writer.press(&edit, &[("seen", &fourth), ("up", &first[1])]).await.contains("Nothing was changed."), "the first stays first");
        assert_eq!(writer.post(&edit, &[("seen", &fourth), ("up", "No Slug")]).await.status(), StatusCode::UNPROCESSABLE_ENTITY);
    }

    async fn an_analyst_sees_the_week_and_no_button(test_db) {
        let test_app = test_app(test_db).await;
        test_app.app.draft_digest(&Actor::cli()).await.expect("a draft");
        for (role, buttons) in [(Role::Owner, true), (Role::Editor, true), (Role::Writer, false), (Role::Analyst, false)] {
            let browser = Browser::of(&test_app, role).await;
            let page = browser.page("/desk").await;
            assert_eq!(page.contains("/approve\""), buttons, "{role}");
            assert_eq!(page.contains("href=\"/desk/settings\""), role == Role::Owner, "{role}");
            let answer = browser.post(&format!("/desk/digests/{}/cancel", test_app.slot()), &[]).await;
            assert_eq!(answer.status() == StatusCode::FORBIDDEN, !buttons, "{role}");
            if buttons {
                test_app.app.storage.move_digest(&Actor::cli(), test_app.slot(), &[DigestState::Cancelled], DigestState::Draft, test_app.app.now()).await.expect("a draft again");
            }
        }
    }

    async fn stopping_raced_with_publishing_is_never_both(test_db) {
        let test_app = TestApp::open_with(test_db, |settings| {
            desk(settings);
            settings.picker.max_items = 1;
            settings.picker.min_items = 1;
        }).await;
        test_app.seed_subscribers("reader", 2).await;
        let (mut stopped, mut out) = (0, 0);
        // More of them in .ci/long.
        let races = std::env::var("RACES").map_or(12, |races| races.parse().expect("a number"));
        for n in 0..races {
            test_app.seed_catalogue(&catalogue::comparison(&format!("race{n}"), "Data", test_app.app.now())).await;
            let slot = test_app.app.draft_digest(&Actor::cli()).await.expect("a draft");
            // An owner of each round, for a sign-in counts against its network.
            test_app.app.approve_digest(&Actor::cli(), slot).await.expect("approved");
            test_app.app.send_soon(&Actor::cli(), slot).await.expect("soon");
            test_app.wait(TimeDelta::minutes(6));
            let (tick, stop) = tokio::join!(test_app.app.tick(), async {
                for _ in 0..n % 24 {
                    tokio::task::yield_now().await;
                }
                test_app.app.withdraw_digest(&Actor::cli(), slot).await
            });
            tick.expect("a tick");
            let status = test_app.app.status(slot).await.expect("a status");
            let is_published = status.digest.published_at.is_some();
            assert!(stop.is_ok() != is_published, "{:?}", status.digest);
            assert_eq!(status.tally.open(), if is_published { 2 } else { 0 });
            if is_published { out += 1 } else { stopped += 1 }
            test_app.wait(TimeDelta::weeks(1));
        }
        assert_eq!(stopped + out, races);
    }
}
