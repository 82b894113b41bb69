//! The catalogue, in and out of files.

use crate::support::Program;
use crate::support::TestApp;
use crate::support::TestDb;
use crate::support::catalogue::comparison;
use crate::support::catalogue::small;
use crate::support::on_both;
use crate::support::test_app::START;
use serde_json::Value;
use serde_json::json;
use verdicts::app::Clock;
use verdicts::app::catalogue::document::Catalogue;
use verdicts::app::catalogue::document::Format;
use verdicts::domain::Timestamp;

const SEED: &str = include_str!("../fixtures/seed-comparison.toml");

fn start() -> Timestamp {
    START.parse().expect("a moment")
}

fn as_json(toml: &str) -> String {
    Catalogue::parse(toml, Format::Toml)
        .expect("a catalogue")
        .write(Format::Json)
        .expect("written")
}

/// The answer to an import of so many that are all added, changed or unchanged.
fn all(what: &str, [tools, reviews, comparisons]: [u64; 3]) -> Value {
    let mut answer = json!({});
    for (kind, count) in [
        ("tools", tools),
        ("reviews", reviews),
        ("comparisons", comparisons),
    ] {
        answer[kind] = json!({ "added": 0, "changed": 0, "unchanged": 0, "removed": 0 });
        answer[kind][what] = json!(count);
    }
    answer
}

fn import(program: &Program, path: &str) -> Value {
    without_names(
        program
            .run(&["--json", "catalog", "import", path])
            .good()
            .json(),
    )
}

/// The counts of an answer alone.
fn without_names(mut answer: Value) -> Value {
    answer
        .as_object_mut()
        .expect("an object")
        .remove("differences")
        .expect("names");
    answer
}

/// What an answer names, a line each.
fn names(answer: &Value) -> Vec<String> {
    let named = answer["differences"].as_array().expect("a list").iter();
    let text = |difference: &Value, key: &str| difference[key].as_str().expect("a text").to_owned();
    named
        .map(|difference| {
            format!(
                "{} {} {}",
                text(difference, "change"),
                text(difference, "kind"),
                text(difference, "name")
            )
        })
        .collect()
}

on_both! {
    async fn an_import_counts_what_is_added_changed_and_unchanged(test_db) {
        let (program, text) = (Program::set_up(&test_db), small(3, start()));
        program.write("c.toml", &text);
        assert_eq!(import(&program, "c.toml"), all("added", [6, 12, 3]));
        let before = test_db.dump().await;
        assert_eq!(import(&program, "c.toml"), all("unchanged", [6, 12, 3]));
        assert_eq!(test_db.dump().await, before);

        // t0 has new words of its own, t1 has new reviews, and t2 is described with one review less, which stays.
        let third = "[[tools.reviews]]\nreviewer = \"Skeptic\"\nscore = 40\nverdict = \"skip\"\ntake = \"Nobody measured t2. I would wait.\"\n";
        assert!(text.contains(third));
        let edited = text.replace("\"Does t0\"", "\"Does more\"").replace("Nobody measured t1.", "Somebody measured t1.").replace(third, "");
        program.write("c.toml", edited + &comparison("new", "Design", start()));
        let counts = |added: u64, changed: u64, unchanged: u64| json!({ "added": added, "changed": changed, "unchanged": unchanged, "removed": 0 });
        assert_eq!(
            import(&program, "c.toml"),
            json!({ "tools": counts(2, 4, 2), "reviews": counts(4, 2, 10), "comparisons": counts(1, 0, 3) })
        );
        let exported = program.run(&["catalog", "export", "-"]).good().json();
        let reviews = |slug: &str| exported["tools"].as_array().expect("a list").iter().find(|tool| tool["slug"] == slug).expect("there")["reviews"].clone();
        assert_eq!((reviews("t2-l").as_array().map(Vec::len), &reviews("t1-r")[1]["take"]), (Some(2), &"Somebody measured t1. I would wait.".into()));
        let words = program.run(&["catalog", "import", "c.toml"]).good().out;
        assert!(words.contains("Tools        0 added, 0 changed, 8 unchanged, 0 removed"), "{words}");
    }

    async fn one_new_review_leaves_the_others_and_their_order(test_db) {
        let program = Program::set_up(&test_db);
        program.write("c.toml", small(2, start()).replace("pricing = \"Free\"", "pricing = \"Free\"\nurl = \"https://tool.example/\""));
        import(&program, "c.toml");
        let tool = "[[tools]]\nslug = \"t0-l\"\nname = \"Tool t0 l\"\ncategory = \"Design\"\ntagline = \"Does t0\"\ndescription = \"It does t0 on the l side.\"\n\
                    published_at = 2026-11-24T06:30:00Z\n[[tools.reviews]]\nreviewer = \"Futurist\"\nscore = 60\nverdict = \"ship\"\ntake = \"Later.\"\n";
        program.write("one.toml", tool);
        let before = test_db.dump().await;
        let checked = program.run(&["--json", "catalog", "check", "one.toml"]).good().json();
        assert_eq!(test_db.dump().await, before, "a check changes nothing");
        assert_eq!(names(&checked), ["added review t0-l Futurist", "changed tool t0-l"]);
        assert_eq!(program.run(&["--json", "catalog", "import", "one.toml"]).good().json(), checked, "what was shown is what was done");
        let exported = program.run(&["catalog", "export", "-"]).good().json();
        let kept = exported["tools"].as_array().expect("a list").iter().find(|tool| tool["slug"] == "t0-l").expect("there").clone();
        let order: Vec<_> = kept["reviews"].as_array().expect("a list").iter().map(|review| review["reviewer"].as_str().expect("a name")).collect();
        assert_eq!((order, &kept["url"], &kept["pricing"]), (vec!["Builder", "Skeptic", "Futurist"], &"https://tool.example/".into(), &"Free".into()));
    }

    async fn replace_takes_out_what_a_document_does_not_mention_and_names_it(test_db) {
        let program = Program::set_up(&test_db);
        program.write("c.toml", small(2, start()));
        import(&program, "c.toml");
        program.write("one.toml", comparison("t0", "Design", start() - chrono::TimeDelta::hours(1)).replacen("reviewer = \"Skeptic\"", "reviewer = \"Founder\"", 1));
        let gone = [
            "added review t0-l Founder", "removed review t0-l Skeptic", "changed tool t0-l", "removed comparison t1-l-vs-t1-r", "removed tool t1-l", "removed review t1-l Builder",
            "removed review t1-l Skeptic", "removed tool t1-r", "removed review t1-r Builder", "removed review t1-r Skeptic",
        ];
        let checked = program.run(&["--json", "catalog", "check", "one.toml", "--replace"]).good().json();
        assert_eq!(names(&checked), gone);
        assert_eq!([&checked["tools"]["removed"], &checked["reviews"]["removed"], &checked["comparisons"]["removed"]], [&json!(2), &json!(5), &json!(1)]);
        let said = program.run(&["catalog", "import", "one.toml", "--replace"]).good().out;
        assert!(said.contains("removed tool t1-r\n") && said.contains("removed comparison t1-l-vs-t1-r\n"), "{said}");
        let left = program.run(&["catalog", "export", "-"]).good().json();
        assert_eq!((left["tools"].as_array().map(Vec::len), left["comparisons"].as_array().map(Vec::len)), (Some(2), Some(1)));
        program.write("bad.toml", "[[comparisons]]\nleft = \"t0-l\"\nright = \"t0-r\"\npublished_at = 2026-11-24T00:00:00Z\n");
        program.run(&["catalog", "import", "bad.toml", "--replace"]).refused(&["there is no tool t0-l", "replaces all"]);
    }

    async fn remove_takes_out_a_comparison_or_a_tool_with_what_hangs_on_it(test_db) {
        let program = Program::set_up(&test_db);
        program.write("c.toml", small(2, start()));
        import(&program, "c.toml");
        let remove = |slug: &str| names(&program.run(&["--json", "catalog", "remove", slug]).good().json());
        assert_eq!(remove("t0-l-vs-t0-r"), ["removed comparison t0-l-vs-t0-r"]);
        assert_eq!(remove("t1-l"), ["removed comparison t1-l-vs-t1-r", "removed tool t1-l", "removed review t1-l Builder", "removed review t1-l Skeptic"]);
        let before = test_db.dump().await;
        program.run(&["catalog", "remove", "t1-l"]).refused(&["no tool and no comparison t1-l", "nothing was removed"]);
        assert_eq!(test_db.dump().await, before);
    }

    async fn categories_that_differ_in_case_are_one_by_the_first_spelling(test_db) {
        let test_app = TestApp::open(test_db.again()).await;
        let program = Program::set_up(&test_db);
        program.write("a.toml", comparison("a", "Developer Tools", start()));
        program.write("b.toml", comparison("b", "developer  tools", start()) + &comparison("c", "DEVELOPER TOOLS", start()));
        import(&program, "a.toml");
        import(&program, "b.toml");
        assert_eq!(import(&program, "b.toml"), all("unchanged", [4, 8, 2]));
        assert_eq!(test_app.app.storage.categories(test_app.app.now()).await.expect("categories"), ["Developer Tools"]);
        let exported = program.run(&["catalog", "export", "-"]).good().json();
        assert!(exported["tools"].as_array().expect("a list").iter().all(|tool| tool["category"] == "Developer Tools"), "{exported}");
    }

    async fn a_file_a_folder_and_standard_input_say_the_same(test_db) {
        let program = Program::set_up(&test_db);
        let (first, second) = (comparison("a", "Design", start()), comparison("b", "Data", start()));
        let whole = format!("{first}{second}");
        std::fs::create_dir(test_db.dir.path().join("folder")).expect("a folder");
        program.write("folder/a.toml", &first);
        program.write("folder/b.JSON", as_json(&second));
        program.write("folder/README.md", "Not a catalogue.");
        program.write("whole.toml", &whole);
        program.write("whole.json", as_json(&whole));
        assert_eq!(import(&program, "folder"), all("added", [4, 8, 2]));
        assert_eq!(import(&program, "whole.toml"), all("unchanged", [4, 8, 2]));
        assert_eq!(import(&program, "whole.json"), all("unchanged", [4, 8, 2]));
        let piped = program.run_with_input(&["--json", "catalog", "import", "-"], as_json(&whole).as_bytes());
        assert_eq!(without_names(piped.good().json()), all("unchanged", [4, 8, 2]));
    }

    async fn one_broken_comparison_among_many_imports_nothing(test_db) {
        let program = Program::set_up(&test_db);
        program.write("known.toml", comparison("t0", "Data", start()));
        import(&program, "known.toml");
        let before = test_db.dump().await;
        let broken = "[[comparisons]]\nleft = \"t1-l\"\nright = \"nowhere\"\npublished_at = 2026-11-24T00:00:00Z\n";
        program.write("many.toml", small(40, start()) + broken);
        for command in ["check", "import"] {
            program.run(&["catalog", command, "many.toml"]).refused(&["t1-l-vs-nowhere", "there is no tool nowhere"]);
            assert_eq!(test_db.dump().await, before, "{command}");
        }
        program.write("many.toml", small(40, start()) + &broken.replace("nowhere", "t39-r"));
        assert_eq!(import(&program, "many.toml")["comparisons"]["added"], 40);
    }

    async fn a_check_says_what_it_read_and_changes_nothing(test_db) {
        let program = Program::set_up(&test_db);
        program.write("c.toml", small(2, start()));
        let before = test_db.dump().await;
        let said = program.run(&["--json", "catalog", "check", "c.toml"]).good();
        assert_eq!(without_names(said.json()), all("added", [4, 8, 2]));
        assert!(program.run(&["catalog", "check", "c.toml"]).good().out.contains("added comparison t0-l-vs-t0-r"));
        assert_eq!(test_db.dump().await, before);
    }

    async fn a_comparison_may_name_tools_that_only_the_database_knows(test_db) {
        let program = Program::set_up(&test_db);
        program.write("tools.toml", small(2, start()));
        import(&program, "tools.toml");
        program.write("more.toml", "[[comparisons]]\nleft = \"t0-l\"\nright = \"t1-l\"\npublished_at = 2026-11-24T00:00:00Z\n");
        assert_eq!(program.run(&["--json", "catalog", "check", "more.toml"]).good().json()["comparisons"]["added"], 1);
        assert_eq!(import(&program, "more.toml"), all("added", [0, 0, 1]));
    }

    async fn what_is_exported_imports_unchanged_here_and_whole_elsewhere(test_db) {
        let program = Program::set_up(&test_db);
        let odd = small(4, start()).replace("Does t1", "Does “t1” & <b>\\\\ 'more' \\\"too\\\"").replace("It does t2", "One.\\n\\nTwo — ünd 日本");
        program.write("odd.toml", odd.replacen("published_at = 2026-11-24T06:30:00Z", "published_at = 2026-11-24T07:30:00.125+01:00", 1) + SEED);
        import(&program, "odd.toml");
        for file in ["out.toml", "out.json"] {
            program.run(&["catalog", "export", file]).good();
            assert_eq!(import(&program, file), all("unchanged", [10, 24, 5]), "{file}");
        }
        let exported = program.run(&["catalog", "export", "-"]).good();
        assert_eq!(exported.out, std::fs::read_to_string(test_db.dir.path().join("out.json")).expect("a file"));

        let elsewhere = TestDb::sqlite();
        let other = Program::set_up(&elsewhere);
        other.write("in.toml", std::fs::read(test_db.dir.path().join("out.toml")).expect("a file"));
        assert_eq!(import(&other, "in.toml"), all("added", [10, 24, 5]));
        assert_eq!(other.run(&["catalog", "export", "-"]).good().json(), exported.json());
    }

    async fn dates_to_now_moves_all_dates_alike(test_db) {
        let program = Program::set_up(&test_db);
        program.write("old.toml", small(3, "2019-05-01T00:00:00Z".parse().expect("a moment")));
        let before = Clock::system().now();
        program.run(&["catalog", "import", "--dates-to-now", "old.toml"]).good();
        let after = Clock::system().now();
        let exported = program.run(&["catalog", "export", "-"]).good().json();
        let date = |n: usize| -> Timestamp {
            let slug = format!("t{n}-l-vs-t{n}-r");
            let found = exported["comparisons"].as_array().expect("a list").iter().find(|c| c["slug"] == slug).expect("there");
            found["published_at"].as_str().expect("a text").parse().expect("a moment")
        };
        assert!((before..=after).contains(&date(0)), "{} is not now", date(0));
        assert_eq!([(date(0) - date(1)).num_milliseconds(), (date(1) - date(2)).num_milliseconds()], [3_600_000; 2]);
    }

    async fn drop_sample_takes_out_what_is_invented_and_nothing_else(test_db) {
        let program = Program::set_up(&test_db);
        let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/content");
        let imported = import(&program, sample);
        let count = |kind: &str| imported[kind]["added"].as_u64().expect("a count");
        let (brought, compared) = (count("tools"), count("comparisons"));
        let sampled = program.run(&["catalog", "export", "-"]).good().json()["tools"][0]["slug"].as_str().expect("a slug").to_owned();
        let mixed = format!("[[comparisons]]\nleft = \"own-l\"\nright = \"{sampled}\"\npublished_at = 2026-11-24T00:00:00Z\n");
        program.write("own.toml", comparison("own", "Design", start()) + &mixed);
        import(&program, "own.toml");
        assert_eq!(program.run(&["--json", "catalog", "drop-sample"]).good().json(), json!({ "tools": brought, "comparisons": compared + 1 }));
        let left = program.run(&["catalog", "export", "-"]).good().json();
        let slugs = |kind: &str| -> Vec<&str> { left[kind].as_array().expect("a list").iter().filter_map(|x| x["slug"].as_str()).collect() };
        assert_eq!((slugs("tools"), slugs("comparisons")), (vec!["own-l", "own-r"], vec!["own-l-vs-own-r"]));
        assert_eq!(program.run(&["--json", "catalog", "drop-sample"]).good().json(), json!({ "tools": 0, "comparisons": 0 }));
    }

    async fn the_facts_of_the_seed_comparison_stand_on_its_pages_and_in_the_mail(test_db) {
        let test_app = TestApp::open(test_db).await;
        test_app.seed_catalogue(SEED).await;
        let page = test_app.page("/comparisons/llama-4-compact-12b-vs-mistral-small-3-1").await;
        let facts = ["4 ship / 0 skip", "3 ship / 1 skip", "No panel take", "No community votes yet", "Llama 4 Compact (12B)", "Mistral Small 3.1"];
        let prices = ["Free / Open weights (Llama community license)", "Free / Open Source (Apache 2.0) — API pricing via La Plateforme"];
        for fact in facts.iter().chain(&prices).chain(&["Developer Tools", "82", "75", "80", "72", "45"]) {
            assert!(page.contains(fact), "{fact} in {page}");
        }
        for (tool, panel) in [("llama-4-compact-12b", "4 ship / 0 skip"), ("mistral-small-3-1", "3 ship / 1 skip")] {
            let page = test_app.page(&format!("/tools/{tool}")).await;
            assert!(page.contains(panel) && page.matches("No panel take").count() == 1, "{page}");
        }
        let mail = test_app.app.preview(test_app.slot(), test_app.app.now()).await.expect("a digest").rendered;
        for fact in ["No panel take", "Llama 4 Compact (12B)", "Mistral Small 3.1", "82", "75", "80", "72", "45"] {
            assert!(mail.html.contains(fact) && mail.text.contains(fact), "{fact} in {} and {}", mail.html, mail.text);
        }
    }
}

#[test]
fn a_fault_names_the_file_and_the_place_in_it() {
    let test_db = TestDb::sqlite();
    let program = Program::set_up(&test_db);
    let good = comparison("a", "Design", start());
    let broken = [
        (
            "score.toml",
            good.replacen("score = 80", "score = 101", 1),
            vec!["score.toml", "line 12", "101"],
        ),
        (
            "slug.toml",
            good.replacen("\"a-l\"", "\"A l\"", 1),
            vec!["slug.toml", "line 2", "A l"],
        ),
        (
            "key.toml",
            format!("{good}colour = \"red\"\n"),
            vec!["key.toml", "colour"],
        ),
        (
            "gone.toml",
            good.replacen("name = \"Tool a l\"\n", "", 1),
            vec!["gone.toml", "name"],
        ),
        (
            "twice.toml",
            format!("{good}{good}"),
            vec!["twice.toml", "a-l", "twice"],
        ),
        (
            "syntax.toml",
            "[[tools]\n".into(),
            vec!["syntax.toml", "line 1"],
        ),
        (
            "syntax.json",
            "{\"tools\": [\n  {]}".into(),
            vec!["syntax.json", "line 2"],
        ),
        (
            "score.json",
            as_json(&good).replacen("\"score\": 80", "\"score\": -1", 1),
            vec!["score.json", "line "],
        ),
        (
            "wrong.yaml",
            good.clone(),
            vec!["wrong.yaml", ".toml or .json"],
        ),
    ];
    for (name, text, words) in broken {
        program.write(name, text);
        program.run(&["catalog", "import", name]).refused(&words);
        program.run(&["catalog", "check", name]).refused(&words);
    }
    program
        .run(&["catalog", "import", "nowhere.toml"])
        .refused(&["nowhere.toml", "cannot be read"]);
    program
        .run_with_input(&["catalog", "import", "-"], b"{\"tools\": 5}")
        .refused(&["standard input", "line 1"]);
    program
        .run(&["catalog", "export", "nowhere/out.toml"])
        .refused(&["nowhere/out.toml", "cannot be written"]);
    assert_eq!(
        program.run(&["--json", "catalog", "check", "-"]).code,
        1,
        "an empty input is no document"
    );
}

#[test]
fn two_files_of_a_folder_that_describe_one_tool_are_refused_by_name() {
    let test_db = TestDb::sqlite();
    let program = Program::set_up(&test_db);
    std::fs::create_dir(test_db.dir.path().join("folder")).expect("a folder");
    program.write("folder/1.toml", comparison("a", "Design", start()));
    program.write("folder/2.toml", comparison("a", "Design", start()));
    program
        .run(&["catalog", "import", "folder"])
        .refused(&["2.toml", "a-l", "twice"]);
}

#[test]
fn a_check_names_every_fault_and_an_empty_folder_is_one() {
    let test_db = TestDb::sqlite();
    let program = Program::set_up(&test_db);
    std::fs::create_dir(test_db.dir.path().join("folder")).expect("a folder");
    for command in ["check", "import"] {
        program
            .run(&["catalog", command, "folder"])
            .refused(&["folder", "there are none"]);
    }
    let good = comparison("a", "Design", start());
    program.write(
        "folder/1.toml",
        good.replacen("score = 80", "score = 101", 2).replacen(
            "slug = \"a-r\"",
            "slug = \"A r\"",
            1,
        ),
    );
    program.write("folder/2.toml", "[[tools]\n");
    program.write(
        "folder/3.toml",
        comparison("b", "Design", start()).replace("verdict = \"ship\"", "verdict = \"maybe\""),
    );
    let said = program.run(&["catalog", "check", "folder"]).refused(&[
        "1.toml: line 12",
        "1.toml: line",
        "A r",
        "2.toml: line 1",
        "3.toml: line",
        "maybe",
    ]);
    assert_eq!(
        (
            said.matches("101").count(),
            said.matches("1.toml").count(),
            said.matches("3.toml").count()
        ),
        (2, 3, 3),
        "{said}"
    );
    let unknown: String =
        (0..60).map(|n| format!("[[comparisons]]\nleft = \"x{n}\"\nright = \"y{n}\"\npublished_at = 2026-11-24T00:00:00Z\n")).collect();
    program.write("many.toml", unknown);
    let said = program.run(&["catalog", "check", "many.toml"]).refused(&[
        "x0-vs-y0",
        "x49-vs-y49",
        "and 10 more",
    ]);
    assert!(!said.contains("x50"), "{said}");
    program.write("empty.toml", "");
    program
        .run(&["catalog", "import", "empty.toml", "--replace"])
        .refused(&["empty.toml", "there are none"]);
}
