use super::*;
use crate::domain::source::EntryRemark;
use crate::domain::source::FoundTool;

const TEXT_FORM: &str = include_str!("../../tests/fixtures/sources/comparison.txt");

fn at(address: &str) -> url::Url {
    address.parse().expect("an address")
}

fn page(html: &str, mapping: &SourceMapping) -> Result<Vec<FoundEntry>, String> {
    page::read(html, true, &at("https://site.example/page"), mapping)
}

fn feed(xml: &str) -> Vec<FoundEntry> {
    feed::read(
        xml.as_bytes(),
        &at("https://site.example/feeds/all.xml"),
        &SourceMapping::default(),
    )
    .expect("a feed")
}

fn faults(entry: &FoundEntry) -> Vec<&EntryRemark> {
    let remarks = entry.remarks.iter();
    remarks
        .filter(|remark| remark.kind == RemarkKind::Fault)
        .collect()
}

#[test]
fn the_text_form_parses_without_guessing() {
    let url = at("https://site.example/compare/plumbline-2-vs-kitefern-draft");
    let read = |text: &str| page::read(text, false, &url, &SourceMapping::default());
    let entries = read(TEXT_FORM).expect("the form");
    let [entry] = entries.as_slice() else {
        panic!("{entries:?}");
    };
    let [left, right] = entry.tools.as_slice() else {
        panic!("{entry:?}");
    };
    assert_eq!(entry.title, "Plumbline 2 vs Kitefern Draft");
    assert_eq!(
        [
            &left.category,
            &left.tagline,
            &left.pricing,
            &left.entry_price
        ],
        [
            "Developer Tools",
            "Checks a schema before it is deployed",
            "Free / Open source (MIT)",
            "Free"
        ]
    );
    assert!(
        left.description.starts_with("Plumbline reads")
            && right.description.starts_with("Kitefern listens")
    );
    assert_eq!(right.entry_price, "$9 / month");
    let said = |tool: &FoundTool| {
        let reviews = tool.reviews.iter();
        reviews
            .map(|review| {
                format!(
                    "{} {} {}",
                    review.reviewer,
                    review.score,
                    review.verdict.map_or("?", Verdict::as_str)
                )
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(
        said(left),
        [
            "Builder 84 ship",
            "Skeptic 41 skip",
            "Futurist 70 ship",
            "Creator 66 ship"
        ]
    );
    assert_eq!(
        said(right),
        ["Builder 61 ship", "Skeptic 38 skip", "Founder 44 skip"]
    );
    assert_eq!(
        right.reviews[2].take,
        "Nine dollars is a lot for what a meeting's host could write."
    );
    assert!(entry.remarks.is_empty(), "{:?}", entry.remarks);
    assert_eq!(entry.comparisons[0].left, "Plumbline 2");

    let html = TEXT_FORM
        .lines()
        .map(|line| format!("<div>{line}</div>"))
        .collect::<String>();
    let of_page = page::read(&html, true, &url, &SourceMapping::default()).expect("a page");
    assert_eq!(of_page[0].tools, entry.tools, "as a page's text");

    for (from, to, fault) in [
        ("Decision", "Choice", "no line \"Decision\""),
        (
            "3 ship / 1 skip",
            "4 ship / 0 skip",
            "its reviewers 3 and 1",
        ),
        ("84/100 · ship", "84/100 · maybe", "Builder: expected"),
        ("84/100 · ship", "184/100 · ship", "Builder: expected"),
        ("\nSkeptic\n", "\nBuilder\n", "Builder comes twice"),
        (
            "The examples are small. A table of a billion rows would say more.\n",
            "",
            "no take on Plumbline 2",
        ),
        (
            "That is all that such a tool has to do.",
            "\n\nThat is all.",
            "Builder: expected",
        ),
    ] {
        assert!(TEXT_FORM.contains(from));
        let said = read(&TEXT_FORM.replacen(from, to, 1)).expect_err(fault);
        assert!(said.contains(fault), "{said}");
    }
}

#[test]
fn json_ld_is_read_from_lists_graphs_and_references() {
    let script = |json: &str| {
        format!(
            "<html><head><script type=\"application/ld+json\">{json}</script></head><body><p>x</p></body></html>"
        )
    };
    let plain = script(
        r#"{"@context": "https://schema.org", "@type": "Product", "name": "Inkwell &amp; Co", "description": "<p>Writes <b>well</b>.</p><script>alert(1)<\/script>",
        "category": "Writing", "url": "https://inkwell.example/", "offers": {"price": "0", "priceCurrency": "EUR"},
        "aggregateRating": {"ratingValue": 3},
        "review": [{"@type": "Review", "author": {"name": "builder"}, "reviewRating": {"ratingValue": 4.1, "bestRating": "5"},
          "reviewBody": "It works.", "datePublished": "2026-11-02", "additionalProperty": {"name": "verdict", "value": "Ship"}},
         {"@type": "Review", "author": "Jo Doe", "reviewRating": {"ratingValue": 2}, "positiveNotes": {"itemListElement": [{"name": "quick"}, {"name": "cheap"}]},
          "negativeNotes": ["loud"]},
         {"@type": "Review", "author": {"name": "Nobody"}, "reviewRating": {"ratingValue": 1}}]}"#,
    );
    let mapping = SourceMapping {
        reviewers: [("Jo Doe".to_owned(), Reviewer::Skeptic)].into(),
        ..SourceMapping::default()
    };
    let entries = page(&plain, &mapping).expect("a tool");
    let [entry] = entries.as_slice() else {
        panic!("{entries:?}");
    };
    let tool = &entry.tools[0];
    assert_eq!(
        [
            &tool.name,
            &tool.description,
            &tool.tagline,
            &tool.url,
            &tool.entry_price
        ],
        [
            "Inkwell & Co",
            "Writes well.",
            "Writes well.",
            "https://inkwell.example/",
            "Free"
        ]
    );
    assert_eq!(tool.published_at, time("2026-11-02"));
    assert_eq!(
        (tool.reviews[0].score.as_str(), tool.reviews[0].verdict),
        ("82", Some(Verdict::Ship))
    );
    assert_eq!(
        tool.reviews[1].take,
        "For it: quick; cheap. Against it: loud."
    );
    assert_eq!(
        (tool.reviews[1].score.as_str(), tool.reviews[1].verdict),
        ("40", None),
        "a verdict is asked, never guessed"
    );
    let kinds: Vec<RemarkKind> = entry.remarks.iter().map(|remark| remark.kind).collect();
    assert_eq!(kinds, [RemarkKind::Note, RemarkKind::Question]);
    let decided = page(
        &plain,
        &SourceMapping {
            ship_from: Some(60),
            ..mapping
        },
    )
    .expect("a tool");
    assert_eq!(decided[0].tools[0].reviews[1].verdict, Some(Verdict::Skip));

    let graph = script(
        r##"{"@context": "https://schema.org", "@graph": [{"@type": "WebPage", "name": "x"},
        {"@type": ["Thing", "https://schema.org/SoftwareApplication"], "@id": "#a", "name": "A", "description": "a", "applicationCategory": "Design", "review": {"@id": "#r"}},
        {"@type": "Review", "@id": "#r", "author": {"name": "Creator"}, "reviewRating": {"ratingValue": 70, "bestRating": 100}, "reviewBody": "Good.",
          "additionalProperty": [{"name": "verdict", "value": "skip"}]}]}"##,
    );
    let tool = &page(&graph, &SourceMapping::default()).expect("a tool")[0].tools[0];
    assert_eq!(
        (tool.reviews.len(), tool.reviews[0].verdict),
        (1, Some(Verdict::Skip))
    );
    let list = script(
        r#"[{"@type": "Product", "name": "A", "description": "a"}, {"@type": "Product", "name": "B", "description": "b"}]"#,
    );
    assert_eq!(
        page(&list, &SourceMapping::default()).expect("tools").len(),
        2
    );
    let broken = page(&script("{\"@type\": "), &SourceMapping::default()).expect_err("broken");
    assert!(broken.contains("its JSON-LD cannot be read"), "{broken}");
    let deep = format!("<div>{}", "<div>".repeat(3_000));
    assert!(page(&deep, &SourceMapping::default()).is_err());
}

#[test]
fn selectors_read_what_they_name_and_a_wrong_one_is_refused() {
    let mapping = SourceMapping {
        select: [
            ("tool", "article.tool"),
            ("name", "h2"),
            ("description", ".about"),
            ("category", "[data-category]@data-category"),
            ("url", "a.home"),
            ("review", ".review"),
            ("reviewer", "cite"),
            ("score", ".score"),
            ("verdict", ".score"),
            ("take", "q"),
        ]
        .map(|(name, selector)| (name.to_owned(), selector.to_owned()))
        .into(),
        ..SourceMapping::default()
    };
    check_mapping(&mapping).expect("good");
    let tool = |name: &str, score: &str| {
        format!(
            "<article class=tool data-x><h2>{name}</h2><p class=about>About <i>it</i>.<script>x()</script></p><i data-category=Design></i>
             <a class=home href=/{name}>home</a><div class=review><cite>Founder</cite><b class=score>{score}</b><q>So it is.</q></div></article>"
        )
    };
    let html = format!(
        "<main>{}{}</main>",
        tool("a", "7.5/10 · ship"),
        tool("b", "20 skip")
    );
    let entries = page(&html, &mapping).expect("tools");
    let scores: Vec<_> = entries
        .iter()
        .map(|entry| {
            (
                entry.tools[0].reviews[0].score.as_str(),
                entry.tools[0].reviews[0].verdict,
            )
        })
        .collect();
    assert_eq!(
        scores,
        [("75", Some(Verdict::Ship)), ("20", Some(Verdict::Skip))]
    );
    let first = &entries[0].tools[0];
    assert_eq!(
        [&first.description, &first.category, &first.url],
        ["About it.", "Design", "https://site.example/a"]
    );
    for (name, selector) in [("score", "p["), ("colour", "p")] {
        let mut wrong = mapping.clone();
        wrong.select.insert(name.into(), selector.into());
        let fault = check_mapping(&wrong).expect_err("refused");
        assert!(fault.contains(&format!("select.{name}")), "{fault}");
    }
}

#[test]
fn a_feed_keeps_its_entries_whatever_is_wrong_with_one() {
    let rss = |items: &str| {
        format!(
            "<?xml version=\"1.0\"?><rss version=\"2.0\"><channel><title>T</title><link>https://site.example/</link>{items}</channel></rss>"
        )
    };
    let good = |n: u32| {
        format!(
            "<item><title>Tool {n}</title><guid isPermaLink=\"false\">g{n}</guid><link>/tools/{n}?utm_source=rss</link><description>&lt;p&gt;Does {n}. And more.&lt;/p&gt;</description></item>"
        )
    };
    let entries = feed(&rss(&(good(1) + &good(2))));
    assert_eq!(
        (
            entries[0].guid.as_str(),
            entries[0].url.as_deref(),
            entries[0].title.as_str()
        ),
        ("g1", Some("https://site.example/tools/1"), "Tool 1")
    );
    let tool = &entries[0].tools[0];
    assert_eq!(
        [&tool.tagline, &tool.description],
        ["Does 1.", "Does 1. And more."]
    );
    assert_eq!(tool.published_at, None, "no date is no date");

    let bad = "<item><title>Broken</title><description>a < b && c</description><x></y></item>";
    let entries = feed(&rss(&(good(1) + bad + &good(2))));
    let titles: Vec<(&str, usize)> = entries
        .iter()
        .map(|entry| (entry.title.as_str(), faults(entry).len()))
        .collect();
    assert_eq!(titles, [("Tool 1", 0), ("Broken", 1), ("Tool 2", 0)]);
    assert!(
        entries[1].remarks[0].detail.contains("cannot be read"),
        "{entries:?}"
    );
    let untitled = feed(&rss("<item><link>https://a.example/</link></item>"));
    assert_eq!(faults(&untitled[0]).len(), 1);

    let based = "<feed xmlns=\"http://www.w3.org/2005/Atom\" xml:base=\"https://other.example/blog/\"><title>T</title><id>f</id><updated>2026-11-02T00:00:00Z</updated>
        <entry><title type=\"html\">A &amp;amp; B</title><id>e1</id><updated>2026-11-02T10:00:00Z</updated><link href=\"one\"/><content type=\"xhtml\"><div xmlns=\"http://www.w3.org/1999/xhtml\"><p>One<br/>two</p></div></content></entry></feed>";
    let entry = &feed(based)[0];
    assert_eq!(
        (
            entry.title.as_str(),
            entry.url.as_deref(),
            entry.tools[0].description.as_str()
        ),
        ("A & B", Some("https://other.example/blog/one"), "One\ntwo")
    );

    let json = r#"{"version": "https://jsonfeed.org/version/1.1", "title": "T", "items": [{"id": 7, "url": "https://a.example/7", "title": "Seven", "content_text": "S."},
        {"id": "8", "url": "https://a.example/8", "title": "Eight", "content_text": "E.", "date_published": "never"}]}"#;
    let entries = feed(json);
    assert_eq!(
        (entries[0].guid.as_str(), entries.len()),
        ("7", 2),
        "{entries:?}"
    );
    assert!(
        feed::read(
            b"<html><body>no</body></html>",
            &at("https://a.example/"),
            &SourceMapping::default()
        )
        .is_err()
    );
    assert!(feed::read(b"", &at("https://a.example/"), &SourceMapping::default()).is_err());
}

#[test]
fn entities_are_never_expanded() {
    let bomb = "<?xml version=\"1.0\"?><!DOCTYPE rss [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;\"><!ENTITY c \"&b;&b;&b;&b;\">]><rss version=\"2.0\"><channel><title>&c;</title></channel></rss>";
    let refuse =
        |text: &[u8]| feed::read(text, &at("https://a.example/"), &SourceMapping::default());
    let fault = refuse(bomb.as_bytes()).expect_err("refused");
    assert!(fault.contains("declares entities"), "{fault}");
    let wide: Vec<u8> = bomb.bytes().flat_map(|byte| [byte, 0]).collect();
    assert!(refuse(&wide).is_err(), "in UTF-16 too");
    let external = bomb.replace(
        "[<!ENTITY a \"ha\">",
        "[<!ENTITY a SYSTEM \"file:///etc/passwd\">",
    );
    assert!(refuse(external.as_bytes()).is_err());
    let typed = "<?xml version=\"1.0\"?><!DOCTYPE rss PUBLIC \"-//Netscape//DTD RSS 0.91//EN\" \"http://my.example/rss.dtd\"><rss version=\"0.91\"><channel><title>T</title><item><title>One</title><link>https://a.example/1</link><description>D.</description></item></channel></rss>";
    assert_eq!(
        feed(typed).len(),
        1,
        "a document type by its public name is harmless"
    );
}

#[test]
fn scores_and_first_sentences() {
    for (text, expected) in [
        ("82", "82"),
        ("82/100", "82"),
        ("4.1/5", "82"),
        (" 7 / 10 ", "70"),
        ("90%", "90"),
        ("good", "good"),
        ("1/0", "1/0"),
        ("-1", "-1"),
        ("150", "150"),
    ] {
        assert_eq!(score(text), expected, "{text}");
    }
    assert_eq!(first_sentence("One. Two."), "One.");
    assert_eq!(first_sentence("Version 2.0 is out"), "Version 2.0 is out");
    assert!(first_sentence(&"word ".repeat(100)).chars().count() <= 201);
    assert_eq!(verdict("Ship or skip?"), None);
}
