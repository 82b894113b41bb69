//! Pages, documents and folders as sources.

use verdicts::app::sources::Answers;
use verdicts::app::sources::SourceWish;
use verdicts::domain::actor::Actor;
use verdicts::domain::catalogue::Verdict;
use verdicts::domain::source::ProposalState;
use verdicts::domain::source::SourceKind;
use verdicts::domain::source::SourceMapping;
use verdicts::domain::source::SourceMode;

use super::add;
use super::app_of;
use super::in_state;
use super::pull;
use super::stored;
use super::titles;
use super::wish;
use crate::support::TestApp;
use crate::support::catalogue::small;
use crate::support::content_host::Answer;
use crate::support::content_host::ContentHost;
use crate::support::on_both;

const TEXT_FORM: &str = include_str!("../../fixtures/sources/comparison.txt");

on_both! {
    async fn a_page_in_the_text_form_becomes_two_tools_and_their_comparison(test_db) {
        let (host, test_app) = (ContentHost::start().await, app_of(test_db).await);
        let html: String = TEXT_FORM.lines().map(|line| format!("<p>{}</p>", line.replace('&', "&amp;"))).collect();
        host.set("/compare", Answer::of("text/html", format!("<html><body>{html}</body></html>")));
        let source = add(&test_app, &wish(SourceKind::Page, &host.at("/compare"))).await;
        assert_eq!(pull(&test_app, &source).await.proposed, 1);
        let proposal = in_state(&test_app, ProposalState::New).await.pop().expect("a proposal");
        test_app.app.accept_proposal(&Actor::cli(), &proposal, Some(proposal.version), &Answers::new()).await.expect("accepted");
        let page = test_app.page("/comparisons/plumbline-2-vs-kitefern-draft").await;
        assert!(page.contains("It needs one line in the pipeline") && page.contains("Nine dollars is a lot"), "{page}");
        assert_eq!(pull(&test_app, &source).await.proposed, 0);
        host.set("/compare", Answer::of("text/html", html.replace("84/100", "74/100")));
        assert_eq!(pull(&test_app, &source).await.proposed, 1);
        let changed = in_state(&test_app, ProposalState::Changed).await.pop().expect("it changed");
        let judged = test_app.app.judge_proposal(&changed, &Answers::new()).await.expect("judged");
        let differences: Vec<String> = judged.differences().iter().filter(|difference| difference.kind == "review").map(|difference| format!("{} {:?}", difference.name, difference.fields)).collect();
        assert!(differences.len() == 1 && differences[0].contains("\"84\"") && differences[0].contains("\"74\""), "{differences:?}");
        host.set("/compare", Answer::of("text/html", "<p>We are rebuilding our site.</p>"));
        let report = pull(&test_app, &source).await;
        assert!(report.error.is_some_and(|error| error.contains("no JSON-LD")));
        assert_eq!(titles(&test_app, ProposalState::Changed).await.len(), 1, "what is known stays");
    }

    async fn a_verdict_that_nobody_says_is_asked_and_never_guessed(test_db) {
        let (host, test_app) = (ContentHost::start().await, app_of(test_db).await);
        let page = r#"<script type="application/ld+json">{"@context": "https://schema.org", "@type": "Product", "name": "Inkwell", "description": "Writes.",
            "review": {"author": {"name": "Builder"}, "reviewRating": {"ratingValue": 4}, "reviewBody": "It works."}}</script>"#;
        host.set("/tool", Answer::of("text/html", page));
        let source = add(&test_app, &SourceWish { mode: SourceMode::Publish, ..wish(SourceKind::Page, &host.at("/tool")) }).await;
        let report = pull(&test_app, &source).await;
        assert_eq!((report.proposed, report.published), (1, 0));
        let proposal = in_state(&test_app, ProposalState::New).await.pop().expect("a proposal");
        let refused = test_app.app.accept_proposal(&Actor::cli(), &proposal, None, &Answers::new()).await.expect_err("asked");
        assert!(refused.to_string().contains("inkwell Builder"), "{refused}");
        let stale = test_app.app.accept_proposal(&Actor::cli(), &proposal, Some(proposal.version + 1), &Answers::from([("inkwell Builder".to_owned(), Verdict::Ship)])).await;
        assert!(stale.is_err_and(|failure| failure.to_string().contains("changed meanwhile")));
        test_app.app.accept_proposal(&Actor::cli(), &proposal, None, &Answers::from([("inkwell Builder".to_owned(), Verdict::Ship)])).await.expect("accepted");
        let tool = test_app.app.export_catalogue().await.expect("a catalogue").tools.remove(0);
        assert_eq!((tool.reviews[0].score.points(), tool.reviews[0].verdict), (80, Verdict::Ship));
        host.set("/tool", Answer::of("text/html", page.replace("Writes.", "Writes well.")));
        assert_eq!(pull(&test_app, &source).await.published, 1, "the answer is remembered for a take that is the same");
        let tool = test_app.app.export_catalogue().await.expect("a catalogue").tools.remove(0);
        assert_eq!((tool.description.as_str(), tool.reviews[0].verdict), ("Writes well.", Verdict::Ship));
        let decided = SourceWish { name: "Other".into(), mapping: SourceMapping { ship_from: Some(90), category: "Writing".into(), ..SourceMapping::default() }, ..wish(SourceKind::Page, &host.at("/tool")) };
        let tried = test_app.app.try_source(&decided).await.expect("read");
        assert!(tried.entries[0].remarks.is_empty(), "{tried:?}");
    }

    async fn nothing_of_a_page_is_ever_markup_here(test_db) {
        let (host, test_app) = (ContentHost::start().await, app_of(test_db).await);
        let page = r#"<script type="application/ld+json">{"@type": "Product", "name": "Trap", "description": "<img src=x onerror=alert(1)>Plain &lt;b&gt;text",
            "category": "Writing", "review": {"author": {"name": "Builder"}, "reviewRating": {"ratingValue": 40, "bestRating": 100},
            "additionalProperty": {"name": "verdict", "value": "skip"}, "reviewBody": "</scr\u0069pt><script>alert(2)</scr\u0069pt> It traps."}}</script>"#;
        host.set("/trap", Answer::of("text/html", page));
        let source = add(&test_app, &SourceWish { mode: SourceMode::Publish, ..wish(SourceKind::Page, &host.at("/trap")) }).await;
        assert_eq!(pull(&test_app, &source).await.published, 1);
        let tool = test_app.app.export_catalogue().await.expect("a catalogue").tools.remove(0);
        assert_eq!((tool.description.as_str(), tool.reviews[0].take.as_str()), ("Plain <b>text", "It traps."));
        let shown = test_app.page("/tools/trap").await;
        assert!(!shown.contains("alert(") && !shown.contains("<b>text"), "{shown}");
    }

    async fn one_installation_feeds_another(test_db) {
        let first = TestApp::open(test_db).await;
        let hostile = "[[tools]]\nslug = \"quill-one\"\nname = \"Quill \\\"One\\\"\"\ncategory = \"Writing\"\ntagline = \"Writes letters\"\ndescription = \"It writes. </script><script>alert(1)</script> And well.\"\nurl = \"https://quill.example/\"\npricing = \"$9 a month, $90 a year\"\nentry_price = \"$9 / month\"\npublished_at = 2026-11-16T09:00:00Z\n[[tools.reviews]]\nreviewer = \"Builder\"\nscore = 82\nverdict = \"ship\"\ntake = \"It works.\\n\\nTwice: a < b & c.\"\n[[tools.reviews]]\nreviewer = \"Founder\"\nscore = 55\nverdict = \"skip\"\ntake = \"No business.\"\n[[tools]]\nslug = \"nib-2\"\nname = \"Nib 2\"\ncategory = \"Design\"\ntagline = \"Draws\"\ndescription = \"It draws.\"\nentry_price = \"Free\"\npublished_at = 2026-11-17T09:00:00Z\n[[comparisons]]\nslug = \"quill-or-nib\"\nleft = \"quill-one\"\nright = \"nib-2\"\npublished_at = 2026-11-18T09:00:00Z\n";
        first.seed_catalogue(hostile).await;
        let second = app_of(crate::support::TestDb::sqlite()).await;
        let url = |path: &str| format!("{}{path}", first.url);
        let source = add(&second, &SourceWish { mode: SourceMode::Publish, mapping: SourceMapping::default(), ..wish(SourceKind::Page, &url("/comparisons/quill-or-nib")) }).await;
        let report = pull(&second, &source).await;
        assert_eq!((report.error, report.published), (None, 1), "{:?}", in_state(&second, ProposalState::New).await);
        let (given, taken) = (first.app.export_catalogue().await.expect("one"), second.app.export_catalogue().await.expect("another"));
        let described = |catalogue: &verdicts::app::catalogue::document::Catalogue| {
            let tool = catalogue.tools.iter().find(|tool| tool.slug.as_str() == "quill-one").expect("it").clone();
            (tool.name, tool.category, tool.tagline, tool.url, tool.pricing, tool.entry_price, tool.published_at, tool.reviews)
        };
        assert_eq!(described(&taken), described(&given));
        assert_eq!(taken.comparisons, given.comparisons);
        let page = second.page("/tools/quill-one").await;
        assert!(!page.contains("<script>alert(1)"), "{page}");
        let alone = add(&second, &SourceWish { name: "One tool".into(), mapping: SourceMapping::default(), ..wish(SourceKind::Page, &url("/tools/nib-2")) }).await;
        assert_eq!(pull(&second, &alone).await.proposed, 0, "the catalogue has it as it is");
        assert_eq!(in_state(&second, ProposalState::Skipped).await.len(), 1);
    }

    async fn a_catalogue_document_is_taken_whole_or_not_at_all_and_removes_nothing(test_db) {
        let (host, test_app) = (ContentHost::start().await, app_of(test_db).await);
        let document = small(3, test_app.app.now());
        host.set("/catalogue.toml", Answer::of("text/plain", document.clone()).with("etag", "\"1\""));
        let source = add(&test_app, &SourceWish { mode: SourceMode::Publish, ..wish(SourceKind::Catalogue, &host.at("/catalogue.toml")) }).await;
        assert_eq!(pull(&test_app, &source).await.published, 1);
        let whole = test_app.app.export_catalogue().await.expect("a catalogue");
        assert!(!whole.tools.is_empty());
        host.set("/catalogue.toml", Answer::of("text/plain", format!("{document}\n[[comparisons]]\nleft = \"nobody\"\nright = \"no-one\"\npublished_at = 2026-11-18T09:00:00Z\n")).with("etag", "\"2\""));
        let report = pull(&test_app, &source).await;
        assert_eq!(report.published, 0);
        assert_eq!(test_app.app.export_catalogue().await.expect("a catalogue"), whole, "nothing of it");
        host.set("/catalogue.toml", Answer::of("text/plain", "[[tools]]\nslug = 3").with("etag", "\"3\""));
        assert!(pull(&test_app, &source).await.error.is_some());
        let fewer = small(2, test_app.app.now());
        host.set("/catalogue.toml", Answer::of("text/plain", fewer).with("etag", "\"4\""));
        let report = pull(&test_app, &source).await;
        assert!(report.note.as_deref().is_some_and(|note| note.contains("No longer in the document") && note.contains("t2")), "{report:?}");
        assert_eq!(test_app.app.export_catalogue().await.expect("a catalogue").tools.len(), whole.tools.len());
        assert!(pull(&test_app, &source).await.unchanged);
        assert!(stored(&test_app, &source).await.last_note.is_some(), "it is said until the document changes");
    }

    async fn a_folder_is_read_when_a_file_of_it_changes(test_db) {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().canonicalize().expect("a place");
        let allowed = root.join("allowed");
        std::fs::create_dir_all(allowed.join("sub")).expect("made");
        let kept = allowed.clone();
        let test_app = TestApp::open_with(test_db, |settings| settings.sources.folders = vec![kept]).await;
        std::fs::write(allowed.join("sub/one.toml"), small(1, test_app.app.now())).expect("written");
        let of = |path: &std::path::Path| SourceWish { mode: SourceMode::Publish, ..wish(SourceKind::Folder, &path.display().to_string()) };
        for other in [root.clone(), allowed.join("../allowed/.."), "/etc".into(), allowed.join("none")] {
            assert!(test_app.app.try_source(&of(&other)).await.is_err(), "{}", other.display());
        }
        std::os::unix::fs::symlink("/etc", allowed.join("way-out")).expect("linked");
        assert!(test_app.app.try_source(&of(&allowed.join("way-out"))).await.is_err());
        std::fs::remove_file(allowed.join("way-out")).expect("removed");
        let source = add(&test_app, &of(&allowed)).await;
        assert_eq!(pull(&test_app, &source).await.published, 1);
        assert!(pull(&test_app, &source).await.unchanged);
        let first = test_app.app.export_catalogue().await.expect("a catalogue").tools.len();
        std::fs::write(allowed.join("two.toml"), small(2, test_app.app.now()).replace("\"t0", "\"u0").replace("\"t1", "\"u1")).expect("written");
        assert_eq!(pull(&test_app, &source).await.published, 1);
        assert!(test_app.app.export_catalogue().await.expect("a catalogue").tools.len() > first);
        std::fs::write(allowed.join("two.toml"), "no document").expect("written");
        assert!(pull(&test_app, &source).await.error.is_some_and(|error| error.contains("two.toml")));
    }
}
