//! Sending by hand: nobody is mailed unasked, and what somebody looked at is what goes out.

use crate::support::Behaviour;
use crate::support::House;
use crate::support::Place;
use crate::support::Program;
use crate::support::Script;
use crate::support::SmtpSink;
use crate::support::catalogue::comparison;
use crate::support::catalogue::small;
use crate::support::house::START;
use crate::support::on_both;
use crate::support::this_week;
use chrono::TimeDelta;
use mail_parser::MessageParser;
use std::collections::HashMap;
use std::io::Write;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use verdicts::app::Clock;
use verdicts::app::deliver::Ending;
use verdicts::app::digests::Sent;
use verdicts::app::preflight::Preflight;
use verdicts::app::sending::SendOrder;
use verdicts::config::Approval;
use verdicts::domain::Timestamp;
use verdicts::domain::digest::DigestState;

fn start() -> Timestamp {
    START.parse().expect("a moment")
}

/// The machine's clock, by which the program goes.
fn now() -> Timestamp {
    Clock::system().now()
}

async fn tick_at(house: &House, moment: &str) {
    house.set_clock(moment);
    house.app.tick().await.expect("a tick");
}

/// A program with five new comparisons and two readers, whose mail goes to `sink`.
fn ready(place: &Place, sink: &SmtpSink) -> Program {
    let program = Program::set_up(place)
        .with("VERDICTS_MAIL__TRANSPORT", &sink.url())
        .with("VERDICTS_MAIL__FROM", "News <news@verdicts.example>");
    program.write("c.toml", small(5, now()));
    program.write("l.csv", "email\nada@example.org\nbob@example.org\n");
    program.run(&["catalog", "import", "c.toml"]).good();
    program
        .run(&[
            "subscribers",
            "import",
            "l.csv",
            "--consent",
            "x",
            "--confirmed",
        ])
        .good();
    program
}

/// Runs the program on a terminal of its own, where somebody types `answer`; gives the exit code and all that was shown.
fn on_a_terminal(program: &Program, arguments: &str, answer: &str) -> (i32, String) {
    let line = format!("{} {arguments}", env!("CARGO_BIN_EXE_verdicts"));
    let mut script = Command::new("script");
    script
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .current_dir(&program.dir)
        .envs(program.variables());
    let mut child = script
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script(1) starts");
    child
        .stdin
        .take()
        .expect("a pipe")
        .write_all(answer.as_bytes())
        .expect("typed");
    let output = child.wait_with_output().expect("it ends");
    (
        output.status.code().unwrap_or(-1),
        String::from_utf8_lossy(&output.stdout).into_owned(),
    )
}

fn order(slot: Option<&str>, other_week: bool) -> SendOrder {
    SendOrder {
        slot: slot.map(|slot| slot.parse().expect("a slot")),
        other_week,
        preflight: Preflight::Heeded,
    }
}

/// The sentence with which a send is refused.
async fn refused(house: &House, order: SendOrder) -> String {
    let (stop, progress) = (Default::default(), Default::default());
    match house.app.send_digest(order, &stop, &progress, |_| {}).await {
        Err(failure) => failure.to_string(),
        Ok(sent) => panic!("not refused: {sent:?}"),
    }
}

/// The picks of the slot as three doors show them: `digest pick`, `digest show`, and the links in `digest preview`.
fn as_shown(program: &Program, slot: &str) -> [Vec<String>; 3] {
    let slugs = |picks: &serde_json::Value| -> Vec<String> {
        picks
            .as_array()
            .expect("a list")
            .iter()
            .map(|pick| pick["comparison"].as_str().expect("a slug").to_owned())
            .collect()
    };
    let picked = program.run(&["--json", "digest", "pick"]).good().json();
    let shown = program
        .run(&["--json", "digest", "show", slot])
        .good()
        .json();
    program.run(&["digest", "preview", "--out", "out"]).good();
    let text = std::fs::read_to_string(program.dir.join("out/digest.txt")).expect("a file");
    [
        slugs(&picked["picks"]),
        slugs(&shown["picks"]),
        links_in(&text),
    ]
}

/// The comparisons that a mail's text links to, in order.
fn links_in(text: &str) -> Vec<String> {
    let mut slugs: Vec<String> = Vec::new();
    for link in text.split("/comparisons/").skip(1) {
        let slug: String = link
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '-')
            .collect();
        if !slugs.contains(&slug) {
            slugs.push(slug);
        }
    }
    slugs
}

fn links_of(mail: &[u8]) -> Vec<String> {
    links_in(
        &MessageParser::default()
            .parse(mail)
            .expect("a mail")
            .body_text(0)
            .expect("a text"),
    )
}

on_both! {
    async fn a_send_takes_no_time_and_says_what_to_do_instead(place) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let program = ready(&place, &sink);
        for time in [&["--at", "2026-12-08T09:00:00Z"][..], &["--at"], &["--at=tomorrow"]] {
            let said = program.run(&[&["digest", "send"], time].concat());
            assert_eq!((said.code, said.out.as_str()), (2, ""), "{said:?}");
            assert!(said.err.contains("--as-of TIME") && said.err.contains("--send-at TIME"), "{said:?}");
        }
        assert_eq!(sink.mails(), 0);
        assert!(program.run(&["--json", "digest", "list"]).good().json()["digests"].as_array().is_some_and(Vec::is_empty));
    }

    async fn on_a_terminal_a_send_asks_first_and_only_a_yes_is_one(place) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let program = ready(&place, &sink);
        let question = format!("Send {} to 2 readers now? [y/N]", this_week());
        for answer in ["n\n", "\n", "yesterday\n", "\u{4}"] {
            let (code, shown) = on_a_terminal(&program, "digest send", answer);
            assert!(code == 1 && shown.contains(&question) && shown.contains("Nothing was sent."), "{answer:?}: {code} {shown}");
        }
        assert!(program.run(&["--json", "digest", "list"]).good().json()["digests"].as_array().is_some_and(Vec::is_empty));
        assert_eq!(sink.mails(), 0);
        let (code, shown) = on_a_terminal(&program, "digest send", "y\n");
        assert!(code == 0 && shown.contains(&question), "{code} {shown}");
        assert_eq!(sink.mails(), 2);
        let (code, shown) = on_a_terminal(&program, "digest send", "");
        assert!(code == 0 && !shown.contains("[y/N]") && shown.contains("was sent already"), "nothing to ask about: {code} {shown}");
    }

    async fn with_yes_nothing_is_asked(place) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let program = ready(&place, &sink);
        let (code, shown) = on_a_terminal(&program, "digest send --yes", "");
        assert!(code == 0 && !shown.contains("[y/N]"), "{code} {shown}");
        assert_eq!(sink.mails(), 2);
    }

    async fn another_week_is_sent_only_when_it_is_meant(place) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let house = House::open_to(place, &sink).await;
        house.stock_small().await;
        house.enlist("reader", 2).await;
        for slot in ["2026-W47", "2026-W49"] {
            let words = refused(&house, order(Some(slot), false)).await;
            assert!(words.contains("not this week, which is 2026-W48") && words.contains("--other-week"), "{words}");
        }
        assert_eq!((sink.mails(), house.app.storage.digests().await.expect("digests").len()), (0, 0));
        let (stop, progress) = (Default::default(), Default::default());
        let sent = house.app.send_digest(order(Some("2026-W49"), true), &stop, &progress, |_| {}).await.expect("sent");
        assert!(matches!(sent, Sent::Delivered(status, Ending::Final) if status.digest.slot.to_string() == "2026-W49"));
    }

    async fn a_clock_set_back_sends_no_week_from_before_one_that_was_sent(place) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let house = House::open_to(place, &sink).await;
        house.stock(&small(5, start() - TimeDelta::days(14))).await;
        house.stock(&comparison("young", "Data", start() - TimeDelta::hours(2))).await;
        house.enlist("reader", 2).await;
        house.send_digest().await;
        assert_eq!(sink.mails(), 2);
        house.stock(&(0..9).map(|n| comparison(&format!("old{n}"), "Data", start() - TimeDelta::days(15))).collect::<String>()).await;

        // Eight days back: 2026-W47 has no digest yet.
        house.set_clock("2026-11-16T07:30:00Z");
        for other_week in [false, true] {
            let words = refused(&house, order(None, other_week)).await;
            assert!(words.contains("2026-W47 comes before 2026-W48, which was sent already") && words.contains("clock"), "{words}");
        }
        for moment in ["2026-11-17T07:59:00Z", "2026-11-17T08:00:00Z", "2026-11-17T09:00:00Z", "2026-11-17T12:00:00Z"] {
            tick_at(&house, moment).await;
        }
        house.deliver_while("a look", async || true).await;
        assert_eq!((sink.mails(), house.app.storage.digests().await.expect("digests").len()), (2, 1));
    }

    async fn after_a_clock_that_ran_ahead_a_forced_send_puts_the_schedule_right(place) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let house = House::open_to(place, &sink).await;
        house.stock(&small(12, start())).await;
        house.enlist("reader", 2).await;
        house.set_clock("2026-12-10T07:30:00Z");
        house.send_digest().await;
        // Right again, and later than the sign-ups: whoever joins after a digest is frozen waits for the next.
        house.set_clock("2026-11-24T08:30:00Z");
        let words = refused(&house, order(None, false)).await;
        assert!(words.contains("comes before 2026-W50") && words.contains("digest send 2026-W48 --force"), "{words}");
        let (stop, progress) = (Default::default(), Default::default());
        let forced = SendOrder { preflight: Preflight::Forced, ..order(None, false) };
        assert!(matches!(house.app.send_digest(forced, &stop, &progress, |_| {}).await, Ok(Sent::Delivered(_, Ending::Final))));
        assert_eq!(sink.mails(), 4);
        for moment in ["2026-12-01T08:00:00Z", "2026-12-01T09:00:00Z"] {
            tick_at(&house, moment).await;
        }
        let next = house.app.status("2026-W49".parse().expect("a slot")).await.expect("a digest");
        assert_eq!(next.digest.state, DigestState::Sending);
    }

    async fn a_retry_that_a_clock_ahead_put_off_for_a_year_goes_out_when_the_clock_is_right(place) {
        let sink = SmtpSink::start(Script::accept_all().reply_to("reader0", Behaviour::reply("451 4.3.0 later").times(1))).await;
        let house = House::open_to(place, &sink).await;
        house.enlist("reader", 2).await;
        house.set_clock("2027-11-23T07:30:00Z");
        house.stock_small().await;
        tick_at(&house, "2027-11-23T08:00:00Z").await;
        tick_at(&house, "2027-11-23T09:00:00Z").await;
        house.deliver_while("the first try of both", async || sink.mails() == 1).await;
        house.set_clock("2026-11-25T09:00:00Z");
        let next = house.app.status("2027-W47".parse().expect("a slot")).await.expect("a digest").next_due.expect("a retry");
        assert!(next > house.app.now() + TimeDelta::days(360), "{next}");
        house.app.tick().await.expect("a tick");
        house.deliver_while("the retry", async || sink.mails() == 2).await;
        assert_eq!(sink.received_by("reader0@example.org").len(), 1);
    }

    async fn an_approved_week_from_before_one_that_was_sent_is_not_published(place) {
        let house = House::open(place).await;
        house.stock(&small(12, start())).await;
        house.enlist("reader", 2).await;
        tick_at(&house, "2026-11-24T08:00:00Z").await;
        house.set_clock("2026-12-01T07:00:00Z");
        house.send_digest().await;
        tick_at(&house, "2026-11-24T09:00:00Z").await;
        let old = house.app.status("2026-W48".parse().expect("a slot")).await.expect("a digest");
        assert_eq!((old.digest.state, old.digest.published_at), (DigestState::Approved, None));
    }

    async fn where_approval_is_required_only_what_was_approved_is_sent(place) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let house = House::open_with(place, |settings| {
            settings.mail.transport = sink.url();
            settings.schedule.approval = Approval::Required;
        })
        .await;
        house.stock_small().await;
        house.enlist("reader", 2).await;
        let words = refused(&house, order(None, false)).await;
        assert!(words.contains("not approved") && words.contains("digest draft") && words.contains("digest approve 2026-W48"), "{words}");
        assert!(house.app.storage.digests().await.expect("digests").is_empty(), "and nothing was made");
        tick_at(&house, "2026-11-24T08:00:00Z").await;
        let words = refused(&house, order(None, false)).await;
        assert!(words.contains("not approved") && !words.contains("digest draft"), "{words}");
        assert_eq!(house.app.status(house.slot()).await.expect("a digest").digest.state, DigestState::Draft);
        house.app.approve_digest(house.slot()).await.expect("approved");
        assert!(matches!(house.send_digest().await, Sent::Delivered(_, Ending::Final)));
        assert_eq!(sink.mails(), 2);
    }

    async fn several_test_copies_go_to_their_addresses_and_change_nothing(place) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let program = ready(&place, &sink);
        let before = place.dump().await;
        let said = program.run(&["--json", "digest", "send", "--to", "ed@example.org", "di@example.org"]).good().json();
        assert_eq!((&said["copies"][0]["to"], &said["copies"][1]["to"]), (&"ed@example.org".into(), &"di@example.org".into()));
        assert_eq!((place.dump().await, sink.mails()), (before, 2));
    }

    async fn pick_show_preview_and_the_mail_have_the_drafts_comparisons(place) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let program = ready(&place, &sink);
        program.run(&["digest", "draft"]).good();
        // Hotter than all in the draft, and too late for it.
        program.write("one.toml", comparison("later", "Data", now() - TimeDelta::minutes(1)));
        program.run(&["catalog", "import", "one.toml"]).good();
        let slot = this_week();
        let [picked, shown, previewed] = as_shown(&program, &slot);
        assert_eq!((picked.len(), &picked, &picked), (5, &shown, &previewed));
        assert!(!picked.iter().any(|slug| slug.starts_with("later")), "{picked:?}");
        let shown = program.run(&["--json", "digest", "show", &slot]).good().json();
        assert_eq!(shown["readers"], 2);
        let subject = shown["subject"].as_str().expect("a subject").to_owned();
        let text = program.run(&["digest", "show", &slot]).good().out;
        assert!(text.contains(&subject) && text.contains("to 2 readers") && text.contains(&picked[0]), "{text}");
        program.run(&["digest", "send"]).good();
        let mail = &sink.received()[0].data;
        assert_eq!((links_of(mail), MessageParser::default().parse(mail).expect("a mail").subject()), (picked, Some(subject.as_str())));
    }

    async fn what_was_postponed_or_withdrawn_after_the_draft_never_goes_out_and_is_named(place) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let program = ready(&place, &sink);
        program.run(&["digest", "draft"]).good();
        let postponed = comparison("t0", "Design", now() + TimeDelta::days(20));
        program.write("postponed.toml", &postponed[postponed.find("[[comparisons]]").expect("one")..]);
        program.run(&["catalog", "import", "postponed.toml"]).good();
        crate::support::behind_its_back(&place, "delete from comparisons where slug = 't1-l-vs-t1-r'").await;
        crate::support::behind_its_back(&place, "delete from reviews where tool in ('t2-l', 't2-r')").await;
        let slot = this_week();
        let [picked, shown, previewed] = as_shown(&program, &slot);
        assert_eq!((picked.len(), &picked, &picked), (2, &shown, &previewed));
        let text = program.run(&["digest", "show", &slot]).good().out;
        for words in ["t0-l-vs-t0-r, for it is published only on", "t1-l-vs-t1-r, for it was taken out", "t2-l-vs-t2-r, for no reviewer judges"] {
            assert!(text.contains(words), "{words}: {text}");
        }
        let said = program.run(&["digest", "send"]).good();
        assert!(said.err.contains("Not in it: t0-l-vs-t0-r"), "{said:?}");
        assert_eq!(links_of(&sink.received()[0].data), picked);
    }

    async fn a_scheduled_digest_leaves_out_what_has_no_page_and_every_link_in_it_opens(place) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let house = House::open_to(place, &sink).await;
        house.stock_small().await;
        house.enlist("reader", 1).await;
        tick_at(&house, "2026-11-24T08:00:00Z").await;
        let postponed = comparison("t0", "Design", start() + TimeDelta::days(2));
        house.stock(&postponed[postponed.find("[[comparisons]]").expect("one")..]).await;
        tick_at(&house, "2026-11-24T09:00:00Z").await;
        house.deliver_while("the digest", async || sink.mails() == 1).await;
        let links = links_of(&sink.received()[0].data);
        assert_eq!(links.len(), 4);
        for slug in links {
            house.page(&format!("/comparisons/{slug}")).await;
        }
    }

    async fn a_paused_digest_with_a_dead_link_is_not_resumed(place) {
        let house = House::open(place).await;
        house.stock_small().await;
        house.enlist("reader", 2).await;
        for moment in ["2026-11-24T08:00:00Z", "2026-11-24T09:00:00Z"] {
            tick_at(&house, moment).await;
        }
        house.app.pause_digest(house.slot()).await.expect("paused");
        crate::support::behind_its_back(&house.place, "delete from comparisons where slug = 't1-l-vs-t1-r'").await;
        let failure = house.app.resume_digest(house.slot(), Preflight::Heeded).await.expect_err("refused").to_string();
        assert!(failure.contains("t1-l-vs-t1-r: it was taken out of the catalogue") && failure.contains("--force"), "{failure}");
        house.app.resume_digest(house.slot(), Preflight::Forced).await.expect("resumed");
    }

    async fn a_preview_of_a_week_without_a_digest_is_refused(place) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let program = ready(&place, &sink);
        program.run(&["digest", "preview", "--id", "2026-W30", "--out", "out"]).refused(&["There is no digest 2026-W30", "digest list"]);
        assert!(!program.dir.join("out").exists());
    }

    async fn what_came_since_the_last_digest_leads_before_what_is_of_this_week(place) {
        let house = House::open(place).await;
        house.enlist("reader", 1).await;
        house.stock(&small(2, start())).await;
        house.send_digest().await;
        // A week on: Sunday's pair is contested, Monday's is dull, and the last digest went out on Tuesday.
        house.set_clock("2026-12-01T07:30:00Z");
        let sunday = comparison("sunday", "Data", "2026-11-29T12:00:00Z".parse().expect("a moment"));
        let monday = comparison("monday", "Design", "2026-11-30T12:00:00Z".parse().expect("a moment"));
        house.stock(&sunday).await;
        house.stock(&monday.replace("verdict = \"skip\"", "verdict = \"ship\"")).await;
        let picks = house.app.picks_at(house.app.now()).await.expect("picks");
        assert_eq!(picks[0].comparison.as_str(), "sunday-l-vs-sunday-r");
        assert!(picks.iter().all(|pick| pick.reasons[0] == "new this week" && pick.score >= 100.0), "{picks:?}");
    }

    async fn a_pair_that_no_reviewer_judged_is_not_mailed_alone_or_with_others(place) {
        let house = House::open(place).await;
        house.enlist("reader", 1).await;
        let unjudged: String = comparison("bare", "Data", start() - TimeDelta::hours(1))
            .split("[[")
            .filter(|part| !part.starts_with("tools.reviews"))
            .map(|part| if part.is_empty() { String::new() } else { format!("[[{part}") })
            .collect();
        house.stock(&unjudged).await;
        assert!(house.app.picks_at(house.app.now()).await.expect("picks").is_empty());
        house.stock(&comparison("judged", "Data", start() - TimeDelta::hours(2))).await;
        let picks = house.app.picks_at(house.app.now()).await.expect("picks");
        assert_eq!(picks.iter().map(|pick| pick.comparison.as_str()).collect::<Vec<_>>(), ["judged-l-vs-judged-r"]);
    }

    async fn a_draft_by_hand_is_changed_and_goes_out_as_changed(place) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let program = ready(&place, &sink);
        program.write("more.toml", comparison("extra", "Data", now() - TimeDelta::days(40)));
        program.run(&["catalog", "import", "more.toml"]).good();
        program.run(&["digest", "edit", "--subject", "x"]).refused(&["There is no digest", "digest draft"]);
        program.run(&["digest", "draft"]).good();
        program.run(&["digest", "draft"]).refused(&["has a digest already"]);
        let slot = this_week();
        let before = place.dump().await;
        for (arguments, words) in [
            (&["--leave-out", "nowhere"][..], &["nowhere is not in"][..]),
            (&["--add", "nowhere"], &["cannot be added", "taken out of the catalogue"]),
            (&["--add", "t1-l-vs-t1-r"], &["in it already"]),
            (&["--subject", "{pear}"], &["--subject", "{pear}"]),
            (&["--send-at", "2020-01-01T00:00:00Z"], &["is over"]),
            (&["--leave-out", "t0-l-vs-t0-r", "--order", "t0-l-vs-t0-r"], &["t0-l-vs-t0-r is not in"]),
            (&[], &["Say what to change"]),
        ] {
            program.run(&[&["digest", "edit", &slot], arguments].concat()).refused(words);
        }
        assert_eq!(place.dump().await, before, "a refused change changes nothing");
        program
            .run(&[
                "digest", "edit", "--leave-out", "t0-l-vs-t0-r,t3-l-vs-t3-r", "--add", "extra-l-vs-extra-r", "--order", "extra-l-vs-extra-r",
                "t4-l-vs-t4-r", "--subject", "Week {week}, by hand",
            ])
            .good();
        let [picked, shown, previewed] = as_shown(&program, &slot);
        assert_eq!(picked[..2], ["extra-l-vs-extra-r", "t4-l-vs-t4-r"]);
        assert_eq!((picked.len(), &picked, &picked), (4, &shown, &previewed));
        let late = now() + TimeDelta::days(9);
        let moved = program.run(&["--json", "digest", "edit", &slot, "--send-at", &late.to_rfc3339()]).good().json();
        assert_eq!(moved["send_at"].as_str().expect("a time")[..16], late.to_rfc3339()[..16]);
        program.run(&["digest", "send"]).good();
        let mail = &sink.received()[0].data;
        let subject = format!("Week {slot}, by hand");
        assert_eq!((links_of(mail), MessageParser::default().parse(mail).expect("a mail").subject()), (picked, Some(subject.as_str())));
        program.run(&["digest", "edit", "--subject", "too late"]).refused(&["is sent", "only a draft or an approved"]);
    }

    async fn a_change_after_the_approval_must_be_approved_again_where_it_is_required(place) {
        let sink = SmtpSink::start(Script::accept_all()).await;
        let program = ready(&place, &sink).with("VERDICTS_SCHEDULE__APPROVAL", "required");
        let slot = this_week();
        program.run(&["digest", "draft"]).good();
        program.run(&["digest", "approve", &slot]).good();
        assert_eq!(program.run(&["--json", "digest", "edit", "--subject", "Other"]).good().json()["state"], "draft");
        program.run(&["digest", "send"]).refused(&["not approved"]);
        program.run(&["digest", "approve", &slot]).good();
        program.run(&["digest", "send"]).good();
        assert_eq!(sink.mails(), 2);
    }

    async fn times_are_shown_by_the_clocks_of_the_site_and_in_utc_for_programs(place) {
        let house = House::open(place.again()).await;
        house.stock_small().await;
        tick_at(&house, "2026-11-24T08:00:00Z").await;
        let program = Program::set_up(&place).with("VERDICTS_SITE__TIMEZONE", "America/New_York");
        let text = program.run(&["digest", "list"]).good().out;
        assert!(text.contains("due 2026-11-24 04:00:00 -05:00"), "{text}");
        house.enlist("reader", 1).await;
        for command in [&["subscribers", "list"][..], &["subscribers", "show", "reader0@example.org"]] {
            let text = program.run(command).good().out;
            assert!(text.contains("2026-11-24 03:00:0") && text.contains(" -05:00") && !text.contains("Z "), "{text}");
        }
        assert_eq!(program.run(&["--json", "digest", "list"]).good().json()["digests"][0]["send_at"], "2026-11-24T09:00:00Z");
        let text = program.with("VERDICTS_SITE__TIMEZONE", "UTC").run(&["digest", "list"]).good().out;
        assert!(text.contains("due 2026-11-24 09:00:00 UTC"), "{text}");
    }

    async fn a_hangup_in_mid_send_ends_it_in_order_and_nobody_gets_it_twice(place) {
        let sink = SmtpSink::start(Script::accept_all().delay(Duration::from_millis(15))).await;
        let program = ready(&place, &sink).with("VERDICTS_MAIL__CONNECTIONS", "4");
        let rows: String = (0..298).map(|n| format!("reader{n}@example.org\n")).collect();
        program.write("more.csv", format!("email\n{rows}"));
        program.run(&["subscribers", "import", "more.csv", "--consent", "x", "--confirmed"]).good();
        let mut sending = program.start_on_hangup("--default-signal", "send", &["digest", "send"]);
        sink.wait_for(40, Duration::from_secs(60)).await;
        sending.signal("HUP");
        // A terminal that closes may say it twice.
        sending.signal("HUP");
        assert_eq!(sending.end(), Some(1), "it ended in order, and says that it is not done");
        let words = std::fs::read_to_string(program.dir.join("send.err")).expect("a file");
        assert!(words.contains("Stopped; ") && words.contains("Send again to go on"), "{words}");
        assert!(sink.mails() < 300, "in mid-send");
        let shown = program.run(&["--json", "digest", "send"]).good().json();
        assert_eq!((&shown["state"], &shown["deliveries"]["sent"]), (&"sent".into(), &300.into()));
        let mut copies: HashMap<String, usize> = HashMap::new();
        for mail in sink.received() {
            *copies.entry(mail.to).or_default() += 1;
        }
        assert!(copies.len() == 300 && copies.values().all(|count| *count == 1), "{copies:?}");
        assert_eq!(program.run(&["--json", "digest", "audit"]).good().json()["holds"], true);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serve_goes_on_after_a_hangup_and_says_so() {
    let place = Place::sqlite();
    let program = Program::set_up(&place).with("VERDICTS_SITE__LISTEN", "127.0.0.1:0");
    let mut serving = program.start_on_hangup("--default-signal", "serve", &["serve"]);
    let said = || std::fs::read_to_string(program.dir.join("serve.err")).unwrap_or_default();
    crate::support::until("it listens", async || {
        said().contains("verdicts is running")
    })
    .await;
    for count in 1..=2 {
        serving.signal("HUP");
        crate::support::until("the line", async || {
            said().matches("SIGHUP changes nothing").count() == count
        })
        .await;
    }
    assert!(!serving.has_ended());
    let mut under_nohup = program
        .clone()
        .with("VERDICTS_SITE__LISTEN", "127.0.0.1:0")
        .start_on_hangup("--ignore-signal", "nohup", &["serve"]);
    let heard = || std::fs::read_to_string(program.dir.join("nohup.err")).unwrap_or_default();
    crate::support::until("it listens", async || {
        heard().contains("verdicts is running")
    })
    .await;
    under_nohup.signal("HUP");
    assert_eq!(under_nohup.terminate(), Some(0));
    assert!(
        !heard().contains("SIGHUP"),
        "ignored from the start, it stays so: {}",
        heard()
    );
    assert_eq!(serving.terminate(), Some(0), "{}", said());
}
