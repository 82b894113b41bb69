//! The table of forms (`forms.tsv`) and of words (`words.tsv`), read once.

use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::LazyLock;

use super::fold::fold;
use super::fold::words;
use super::glob::Glob;
use super::grammar::Patterns;
use super::grammar::Things;
use super::phrases::Phrases;
use super::table::Table;
use super::table::phrases_of;

/// A field of the block above a quoted mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QuoteField {
    From,
    Sent,
    To,
    Cc,
    Subject,
}

/// The forms in which programs quote, sign and announce, by kind.
pub struct Forms {
    /// Each label with the fields that it stands for: `de` is From in French and not in others.
    labels: HashMap<String, HashSet<QuoteField>>,
    separators: HashSet<String>,
    pub attributions: Vec<Glob>,
    pub sent_from: Vec<Glob>,
    /// Names of programs and telephones, and words for sending and getting: a line with one of each advertises.
    pub programs: Phrases,
    pub sends: Phrases,
    pub banners: Vec<Glob>,
    pub disclaimers: Vec<Glob>,
    pub html_quotes: Vec<Glob>,
    pub html_rests: Vec<Glob>,
    pub html_signatures: Vec<Glob>,
    pub reply_prefixes: Vec<String>,
    pub forward_prefixes: Vec<String>,
    pub subject_tags: Vec<String>,
}

/// Phrases of people, by kind.
pub struct PhraseLists {
    pub leave: Patterns,
    pub leave_self: Patterns,
    pub leave_word: Patterns,
    /// Words of requests by language, and those that make a request one to be let go.
    pub asks: Vec<Phrases>,
    /// Words of reasons by language: a sentence or clause beside a request is made of them alone.
    pub plain: Vec<Phrases>,
    pub leaves: Phrases,
    pub leaves_list: Phrases,
    pub lists: Phrases,
    /// Parts of a mail that somebody may want removed from it.
    pub contents: Phrases,
    /// Words that restrict a request to a part.
    pub onlys: Phrases,
    pub join: Patterns,
    pub yes: Patterns,
    pub reason: Patterns,
    /// Words that affirm, by language: `was` affirms in English and asks in German.
    pub affirms: Vec<Phrases>,
    /// Words of a sentence about a link that does not work, by language, and those for the link.
    pub troubles: Vec<Phrases>,
    pub links: Phrases,
    pub polite: Phrases,
    pub greetings: Phrases,
    pub addressees: Phrases,
    pub closings: Phrases,
    pub things: Things,
    pub against: HashSet<String>,
    pub against_parts: Vec<String>,
    /// Words before a name that somebody gives as theirs.
    pub named: Phrases,
    /// Words of a wish for something beside a request.
    pub wants: Phrases,
    /// Subjects of a reason that stands beside a word with other meanings.
    pub needs: Phrases,
    /// Words that begin another clause, by what they say of it.
    pub ands: Phrases,
    pub buts: Phrases,
    pub becauses: Phrases,
    /// Words of a clause that begins without one: people dictate.
    pub begins: Phrases,
    /// Words of a sentence that is not taken apart: `só`, which is folded to `so`.
    pub wholes: Phrases,
    /// Words with which no clause beside a request begins, and those that go on with the words before.
    pub conditions: Phrases,
    pub goes_on: Phrases,
    /// Words that take a request back or change it, anywhere beside it.
    pub takes_back: Phrases,
    /// Changes in a life that are a reason to leave: a job, a full mailbox.
    pub lives: Phrases,
    /// Negations, and what they may deny beside a request.
    pub negations: Phrases,
    pub excuses: Phrases,
    /// Words by which a request speaks of its author.
    pub selves: Phrases,
    /// Words that make a request of a question, and those that do so together with a polite word.
    pub requests: Phrases,
    /// Words that end a question, with or without its mark.
    pub question_ends: Phrases,
    pub permissions: Phrases,
    /// Words that make a request of a question whose answer is about its writer.
    pub requests_me: Phrases,
    /// Words with which a where, when or why begins behind a request.
    pub adjuncts: Phrases,
    /// Words against that do not take a request back.
    pub mild: HashSet<String>,
    /// Long words that are known with one letter wrong, too.
    pub misspelt: Vec<String>,
    /// Sentences that look like a yes or a request and are none.
    pub neither: Patterns,
    /// Phrases that agree, beside a yes, and words that leave it open.
    pub agrees: Phrases,
    pub doubts: Phrases,
    /// Words that say that the author wants what follows.
    pub wishes: Phrases,
    /// Forms of verbs that ask for nothing by themselves.
    pub infinitives: Phrases,
    pub leave_stems: Vec<String>,
    pub yes_stems: Vec<String>,
    pub machine: Vec<String>,
    /// Whole sentences with which machines begin: "thank you for your message".
    pub machine_sentence: Patterns,
}

/// The forms.
pub static FORMS: LazyLock<Forms> = LazyLock::new(|| {
    let table = Table::read(include_str!("forms.tsv"), 3);
    let globs = |kind: &str| table.of(kind).map(Glob::new).collect::<Vec<_>>();
    let folded = |kind: &str| longest_first(table.of(kind).map(fold).collect());
    let mut labels: HashMap<String, HashSet<QuoteField>> = HashMap::new();
    let fields = [
        ("from", QuoteField::From),
        ("sent", QuoteField::Sent),
        ("to", QuoteField::To),
        ("cc", QuoteField::Cc),
        ("subject", QuoteField::Subject),
    ];
    for (name, field) in fields {
        for label in table.of(&format!("label-{name}")) {
            labels.entry(fold(label)).or_default().insert(field);
        }
    }
    Forms {
        labels,
        separators: table.of("separator").map(fold).collect(),
        attributions: globs("attribution"),
        sent_from: globs("sent-from"),
        programs: Phrases::read(phrases_of(table.of("program"))),
        sends: Phrases::read(phrases_of(table.of("sends"))),
        banners: globs("banner"),
        disclaimers: globs("disclaimer"),
        html_quotes: globs("html-quote"),
        html_rests: globs("html-rest"),
        html_signatures: globs("html-signature"),
        reply_prefixes: folded("reply-prefix"),
        forward_prefixes: folded("forward-prefix"),
        subject_tags: folded("subject-tag"),
    }
});

/// The words.
pub static WORDS: LazyLock<PhraseLists> = LazyLock::new(|| {
    let table = Table::read(include_str!("words.tsv"), 2);
    let patterns = |kind: &str| Patterns::read(&table.patterns(kind));
    let list = |kind: &str| {
        phrases_of(table.of(kind))
            .map(words)
            .filter(|text| !text.is_empty())
            .collect::<Vec<_>>()
    };
    let phrases = |kind: &str| Phrases::read(phrases_of(table.of(kind)));
    PhraseLists {
        leave: patterns("leave"),
        leave_self: patterns("leave-self"),
        leave_word: patterns("leave-word"),
        asks: table.by_language(&[
            "asks",
            "thing",
            "list",
            "polite",
            "request",
            "permission",
            "leaves",
            "leaves-list",
        ]),
        plain: table.by_language(&[
            "plain",
            "life",
            "excuse",
            "negation",
            "self",
            "asks",
            "thing",
            "list",
            "polite",
            "request",
            "adjunct",
            "closing",
            "permission",
            "leaves",
            "leaves-list",
            "because",
            "and",
            "but",
            "mild",
            "trouble",
            "link",
            "wish",
            "leave-word",
        ]),
        leaves: phrases("leaves"),
        leaves_list: phrases("leaves-list"),
        lists: phrases("list"),
        contents: phrases("content"),
        onlys: phrases("only"),
        join: patterns("join"),
        yes: patterns("yes"),
        reason: patterns("reason"),
        affirms: table.by_language(&["affirms"]),
        troubles: table.by_language(&["trouble", "link"]),
        links: phrases("link"),
        polite: phrases("polite"),
        greetings: phrases("greeting"),
        addressees: phrases("addressee"),
        closings: phrases("closing"),
        things: Things::read(&table.rows("thing")),
        against: list("against").into_iter().collect(),
        against_parts: list("against-part"),
        ands: phrases("and"),
        buts: phrases("but"),
        becauses: phrases("because"),
        begins: phrases("begin"),
        wholes: phrases("whole"),
        conditions: phrases("condition"),
        goes_on: phrases("goes-on"),
        takes_back: phrases("takes-back"),
        lives: phrases("life"),
        needs: phrases("need"),
        named: phrases("named"),
        wants: phrases("want"),
        negations: phrases("negation"),
        excuses: phrases("excuse"),
        selves: phrases("self"),
        requests: phrases("request"),
        question_ends: phrases("asks-end"),
        permissions: phrases("permission"),
        requests_me: phrases("request-me"),
        adjuncts: phrases("adjunct"),
        mild: list("mild").into_iter().collect(),
        misspelt: list("misspelt"),
        neither: patterns("neither"),
        agrees: phrases("agree"),
        doubts: phrases("doubt"),
        wishes: phrases("wish"),
        infinitives: phrases("infinitive"),
        leave_stems: list("leave-stem"),
        yes_stems: list("yes-stem"),
        machine: list("machine"),
        machine_sentence: patterns("machine-sentence"),
    }
});

impl Forms {
    /// The fields that a label stands for.
    pub fn fields(&self, label: &str) -> impl Iterator<Item = QuoteField> + '_ {
        self.labels.get(label).into_iter().flatten().copied()
    }

    /// Returns whether folded words stand between the dashes of a separator.
    pub fn is_separator(&self, text: &str) -> bool {
        self.separators.contains(text)
    }
}

fn longest_first(mut list: Vec<String>) -> Vec<String> {
    list.sort_by_key(|text| std::cmp::Reverse(text.len()));
    list.dedup();
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_tables_are_read_and_speak_of_25_languages() {
        let rows = |text: &'static str| {
            text.lines()
                .filter(|line| !line.starts_with('#'))
                .map(|line| line.split('\t').collect::<Vec<_>>())
        };
        for row in rows(include_str!("forms.tsv")) {
            assert!(
                row.len() == 5 && row.iter().all(|field| !field.is_empty()),
                "{row:?}"
            );
        }
        for row in rows(include_str!("words.tsv")) {
            assert!(
                row.len() == 3 && row.iter().all(|field| !field.is_empty()),
                "{row:?}"
            );
        }
        let languages: HashSet<&str> = rows(include_str!("forms.tsv"))
            .filter(|row| row[0].starts_with("label-"))
            .map(|row| row[2])
            .collect();
        assert!(languages.len() >= 25, "{languages:?}");
        for list in [
            &FORMS.attributions,
            &FORMS.sent_from,
            &FORMS.banners,
            &FORMS.disclaimers,
            &FORMS.html_quotes,
            &FORMS.html_rests,
            &FORMS.html_signatures,
        ] {
            assert!(!list.is_empty());
        }
        for list in [
            &WORDS.leave,
            &WORDS.leave_self,
            &WORDS.leave_word,
            &WORDS.join,
            &WORDS.yes,
            &WORDS.reason,
        ] {
            assert!(!list.is_empty());
        }
        for (list, phrase) in [
            (&WORDS.polite, "please"),
            (&WORDS.greetings, "hello"),
            (&WORDS.addressees, "all"),
            (&WORDS.closings, "regards"),
            (&WORDS.leaves, "unsubscribe"),
            (&WORDS.leaves_list, "remove me"),
            (&WORDS.lists, "newsletter"),
            (&WORDS.contents, "ads"),
            (&WORDS.onlys, "only"),
            (&WORDS.ands, "and"),
            (&WORDS.buts, "but"),
            (&WORDS.becauses, "because"),
            (&WORDS.begins, "my name is"),
            (&WORDS.wholes, "receber so"),
            (&WORDS.conditions, "if"),
            (&WORDS.goes_on, "is"),
            (&WORDS.takes_back, "joking"),
            (&WORDS.negations, "not"),
            (&WORDS.excuses, "need"),
            (&WORDS.selves, "i"),
            (&WORDS.requests, "could you"),
            (&WORDS.permissions, "may i"),
            (&WORDS.doubts, "vielleicht"),
            (&WORDS.wishes, "would like"),
            (&WORDS.infinitives, "abzumelden"),
        ] {
            assert!(list.stand_in(phrase), "{phrase}");
        }
        for list in [
            &WORDS.against_parts,
            &WORDS.leave_stems,
            &WORDS.yes_stems,
            &WORDS.machine,
        ] {
            assert!(!list.is_empty());
        }
        assert!(
            WORDS.affirms.iter().any(|list| list.make("yes i did"))
                && WORDS
                    .asks
                    .iter()
                    .any(|list| list.make("ich bitte um abmeldung"))
        );
        assert!(WORDS.affirms.len() >= 10 && WORDS.asks.len() >= 10);
        assert!(
            FORMS.fields("gesendet").eq([QuoteField::Sent])
                && FORMS.is_separator("message d'origine")
        );
    }
}
