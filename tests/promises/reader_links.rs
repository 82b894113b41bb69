//! The doors of a reader around their links: what stands behind a token, pages after an erasure, an erasure in two steps, and what
//! somebody with a forwarded digest can do without being noticed.

use chrono::TimeDelta;
use reqwest::StatusCode;
use verdicts::domain::subscriber::SubscriberState;

use crate::journey::link;
use crate::support::House;
use crate::support::Place;
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

async fn house_with_a_reader(place: Place) -> House {
    let house = House::open_with(place, |settings| settings.votes.per_client = 10_000).await;
    house.stock_small().await;
    house
        .enlist_all("email,name\nreader0@example.org,Ada Lovelace\n")
        .await;
    house.send_digest().await;
    house
}

fn newest(house: &House, path: &str) -> String {
    let mails = house.mails_to(ADA);
    let with_link = mails
        .iter()
        .rev()
        .find(|mail| String::from_utf8_lossy(mail).contains(path));
    link(with_link.expect("a mail with such a link"), path)
}

async fn account(house: &House) -> String {
    house.wait(TimeDelta::minutes(11));
    house
        .post(&format!("{}/link", newest(house, "/preferences/")))
        .await;
    house.deliver_confirmations().await;
    newest(house, "/account/")
}

async fn history(house: &House) -> Vec<String> {
    let person = house
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
    async fn what_stands_behind_a_token_changes_nothing_about_its_link(place) {
        let house = house_with_a_reader(place).await;
        let confirm = house.ask_to_join("bea@example.org").await;
        let data = account(&house).await;
        house.post_form(&format!("{data}/address"), &[("email", "ada@new.example")]).await;
        house.deliver_confirmations().await;
        let moving = link(&house.mails_to("ada@new.example").pop().expect("a mail"), "/move/");
        let links = ["/preferences/", "/saved/", "/vote/t0-l/ship/", "/save/t0-l/", "/unsubscribe/"].map(|path| newest(&house, path));
        for behind in BEHIND {
            for path in links.iter().chain([&confirm, &data, &moving]) {
                assert_eq!(house.get(&format!("{path}{behind}")).await.status(), StatusCode::OK, "GET {path}{behind}");
                let page = house.page(&format!("{path}{behind}")).await;
                let token = path.rsplit('/').next().expect("a token");
                assert!(!page.contains(&format!("{token}.")) && !page.contains(&format!("{token}%")), "the page's own links are clean");
            }
        }
        for (n, behind) in BEHIND.iter().enumerate() {
            let done = |path: &str| format!("{path}{behind}");
            assert_eq!(house.post_form(&done(&links[0]), &[("rhythm", "weekly")]).await.status(), StatusCode::OK, "{behind}");
            assert_eq!(house.post(&done(&links[2])).await.status(), StatusCode::OK, "{behind}");
            assert_eq!(house.post(&done(&links[3])).await.status(), StatusCode::OK, "{behind}");
            let email = format!("reader-{n}@example.org");
            let confirm = house.ask_to_join(&email).await;
            assert_eq!(house.post(&done(&confirm)).await.status(), StatusCode::OK, "{behind}");
            assert_eq!(house.state_of(&email).await, Some(SubscriberState::Active), "{behind}");
        }
        // A letter more, or one less, is another token, and no token of ours.
        let (path, token) = links[0].rsplit_once('/').expect("a token");
        for other in [format!("{token}a"), format!("{token}a."), token[1..].to_owned(), format!("{}.", &token[..38]), format!(".{token}")] {
            assert_eq!(house.get(&format!("{path}/{other}")).await.status(), StatusCode::NOT_FOUND, "{other}");
        }
        assert_eq!(house.post(&format!("{}>", links[4])).await.status(), StatusCode::OK);
        assert_eq!(house.state_of(ADA).await, Some(SubscriberState::Unsubscribed));
    }

    async fn erasing_takes_two_steps_and_after_it_no_page_says_that_something_was_saved(place) {
        let house = house_with_a_reader(place).await;
        let preferences = newest(&house, "/preferences/");
        let data = account(&house).await;
        let erase = format!("{data}/erase");
        let before = house.place.dump().await;
        for shown in [house.post(&erase).await, house.get(&erase).await, house.post_form(&erase, &[("sure", "no")]).await] {
            assert_eq!(shown.status(), StatusCode::OK);
            let page = shown.text().await.expect("a page");
            assert!(page.contains("Erase everything for good") && page.contains("name=\"sure\" value=\"yes\""), "{page}");
        }
        assert_eq!(house.place.dump().await, before, "one press erases nothing");
        let gone = house.post_form(&erase, &[("sure", "yes")]).await;
        assert!(gone.text().await.expect("a page").contains("You are forgotten"));
        assert_eq!(house.state_of(ADA).await, None);

        let before = house.place.dump().await;
        let name = [("name", "Ada"), ("email", "ada@new.example"), ("rhythm", "weekly")];
        let answers = [
            house.post_form(&format!("{data}/name"), &name).await,
            house.post_form(&format!("{data}/address"), &name).await,
            house.post(&format!("{data}/export")).await,
            house.get(&data).await,
            house.get(&erase).await,
            house.get(&preferences).await,
            house.post_form(&preferences, &name).await,
        ];
        for answer in answers {
            let place = answer.url().path().to_owned();
            assert_eq!(answer.status(), StatusCode::GONE, "{place}");
            let page = answer.text().await.expect("a page");
            assert!(!page.contains("Kept") && !page.contains("Saved") && !page.contains("on its way"), "{place}: {page}");
        }
        assert!(house.post_form(&erase, &[("sure", "yes")]).await.text().await.expect("a page").contains("You are forgotten"), "twice is once");
        assert_eq!(house.place.dump().await, before);
    }

    async fn a_pause_by_somebody_else_is_told_noted_and_ends(place) {
        let house = house_with_a_reader(place).await;
        let preferences = newest(&house, "/preferences/");
        let began = house.app.now();
        house.post_form(&preferences, &[("rhythm", "weekly"), ("pause", "26")]).await;
        house.deliver_confirmations().await;
        let told = |house: &House| house.mails_to(ADA).iter().filter(|mail| String::from_utf8_lossy(mail).contains("Your choices were changed")).count();
        assert_eq!(told(&house), 1);
        assert!(history(&house).await.iter().any(|what| what.starts_with("paused until 2027-05-25")), "{:?}", history(&house).await);

        // Made longer as often as one likes, it ends all the same; and a day has one mail about it.
        for week in 0..30 {
            house.wait(TimeDelta::days(if week == 0 { 0 } else { 7 }));
            if house.app.preferences(reader(&house).await).await.expect("preferences").paused_until.is_none_or(|until| until <= house.app.now()) {
                break;
            }
            house.post_form(&preferences, &[("rhythm", "weekly"), ("pause", "26")]).await;
            let until = house.app.preferences(reader(&house).await).await.expect("preferences").paused_until.expect("a pause");
            assert!(until <= began + TimeDelta::weeks(26) + TimeDelta::minutes(10), "week {week}: {until}");
        }
        assert!(house.app.now() >= began + TimeDelta::weeks(26), "it lasted as long as was asked for");
        house.deliver_confirmations().await;
        assert!(told(&house) < 5, "what changes nothing is not told: {}", told(&house));

        // The mail's own link undoes it.
        house.post_form(&preferences, &[("rhythm", "weekly"), ("pause", "4")]).await;
        house.deliver_confirmations().await;
        let count = told(&house);
        assert_eq!(house.post_form(&newest(&house, "/preferences/"), &[("rhythm", "weekly"), ("pause", "0")]).await.status(), StatusCode::OK);
        assert!(history(&house).await.iter().any(|what| what.starts_with("ended the pause")));
        assert_eq!(house.waiting_confirmations().await, 0, "at most one mail a day");
        house.post_form(&preferences, &[("rhythm", "monthly"), ("category", "Data")]).await;
        assert_eq!((house.waiting_confirmations().await, told(&house)), (0, count));
        house.wait(TimeDelta::days(2));
        house.post_form(&preferences, &[("rhythm", "weekly"), ("category", "Design")]).await;
        house.deliver_confirmations().await;
        assert_eq!(told(&house), count + 1, "categories and rhythm can keep mail away too");
        assert!(history(&house).await.iter().any(|what| what == "chose Design, weekly (link of a digest)"), "{:?}", history(&house).await);
    }
}

async fn reader(house: &House) -> i64 {
    let listed = house
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
