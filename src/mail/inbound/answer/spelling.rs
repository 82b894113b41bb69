//! Words with one letter wrong, and letters that are drawn out: people type on telephones.

use super::forms::WORDS;

/// The same letter as often as no word has it.
const DRAWN_OUT: usize = 3;

/// A sentence with the known long words ([`WORDS`]' `misspelt`) in place of those that differ by one letter: left out, put in, another one, or two
/// in the wrong order. Letters that stand three times or more stand once: "yesss".
pub fn spelt(sentence: &str) -> String {
    short(sentence)
        .split(' ')
        .map(spelt_word)
        .collect::<Vec<_>>()
        .join(" ")
}

/// A sentence with one letter for three or more of the same.
fn short(sentence: &str) -> String {
    let letters: Vec<char> = sentence.chars().collect();
    let shortened = |run: &[char]| match run {
        [letter, ..] if run.len() >= DRAWN_OUT && letter.is_alphabetic() => vec![*letter],
        _ => run.to_vec(),
    };
    letters
        .chunk_by(|a, b| a == b)
        .flat_map(shortened)
        .collect()
}

fn spelt_word(word: &str) -> &str {
    let is_right = WORDS.misspelt.iter().any(|known| known == word);
    WORDS
        .misspelt
        .iter()
        .find(|known| !is_right && differs_by_one(word, known))
        .map_or(word, String::as_str)
}

fn differs_by_one(word: &str, known: &str) -> bool {
    let (word, known): (Vec<char>, Vec<char>) = match word.len().abs_diff(known.len()) {
        0..=4 => (word.chars().collect(), known.chars().collect()),
        _ => return false,
    };
    let same = word.iter().zip(&known).take_while(|(a, b)| a == b).count();
    let (word, known) = (&word[same..], &known[same..]);
    match (word, known) {
        ([], []) => false,
        (_, [_, rest @ ..]) if word == rest => true,
        ([_, rest @ ..], _) if rest == known => true,
        ([a, b, rest @ ..], [c, d, others @ ..]) if a == d && b == c && rest == others => true,
        ([_, rest @ ..], [_, others @ ..]) => rest == others,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::differs_by_one;
    use super::spelt;

    #[test]
    fn one_wrong_letter_is_forgiven_in_long_words() {
        for word in [
            "unsubscibe",
            "ubsubscribe",
            "unsubcsribe",
            "unnsubscribe",
            "unsubscribr",
            "unsubscrib",
        ] {
            assert!(differs_by_one(word, "unsubscribe"), "{word}");
        }
        for word in [
            "unsubscribe",
            "subscribe",
            "unsubscribes me",
            "resubscribe",
            "",
        ] {
            assert!(!differs_by_one(word, "unsubscribe"), "{word}");
        }
        assert_eq!(
            spelt("unsubscirbe me from newsletters"),
            "unsubscribe me from newsletters"
        );
        assert_eq!(spelt("yesss jaaaa ok 1000"), "yes ja ok 1000");
        assert_eq!(
            spelt("anmelden"),
            "anmelden",
            "one letter from its opposite"
        );
    }
}
