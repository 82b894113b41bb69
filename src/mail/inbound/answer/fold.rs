//! Text made comparable: what people see as the same letters is the same text.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Folds case, accents, width, and presentation forms, and drops marks that nobody sees: mail programs and telephones put byte order
/// marks, joiners, direction marks and soft hyphens between letters, and two of them may write one letter in two ways (UAX #15).
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let visible = text
        .nfkd()
        .filter(|c| !is_invisible(*c) && !is_accent(*c))
        .flat_map(char::to_lowercase);
    // Lower case of one letter (U+0130) has a mark again; composed last, for Japanese marks make other letters and stay.
    visible
        .filter(|c| !is_accent(*c))
        .map(plain_letter)
        .nfc()
        .collect()
}

/// The words of a text, folded: letters and digits with one space between words, and none beside letters of scripts that set none.
/// An apostrophe is dropped, for half of the people leave it out.
pub fn words(text: &str) -> String {
    let mut words = String::with_capacity(text.len());
    let mut is_apart = false;
    for c in fold(text).chars() {
        match c {
            '\'' | '\u{2019}' | '\u{2018}' | '`' | '\u{b4}' => {}
            // Combining marks of Hindi or Thai are parts of words.
            c if c.is_alphanumeric() || is_combining_mark(c) => {
                let joins = is_unspaced(c) || words.chars().next_back().is_none_or(is_unspaced);
                if is_apart && !joins {
                    words.push(' ');
                }
                words.push(c);
                is_apart = false;
            }
            _ => is_apart = true,
        }
    }
    words
}

/// Returns whether a script sets no spaces between words: Chinese, Japanese, and Korean, which people space as they like.
pub fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{1100}'..='\u{11ff}' | '\u{2e80}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// Characters without a shape of their own: Unicode's default ignorable code points as far as mails have them.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// Accents of Latin, Greek and Cyrillic letters, and Arabic vowel marks and lengthening, which are written or not as people like.
fn is_accent(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{610}'..='\u{61a}' | '\u{640}' | '\u{64b}'..='\u{65f}' | '\u{670}')
}

/// Letters that people replace by another one, or that have no decomposition.
fn plain_letter(c: char) -> char {
    match c {
        'ł' => 'l',
        'ø' => 'o',
        'đ' => 'd',
        'ı' => 'i',
        // Arabic: two endings that many write alike.
        'ى' => 'ي',
        'ة' => 'ه',
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        '\u{2018}' | '\u{2019}' | '\u{2bc}' | '\u{b4}' => '\'',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::fold;
    use super::words;

    #[test]
    fn what_looks_the_same_is_the_same() {
        let seen = [
            "Désabonner",
            "De\u{301}sabonner",
            "DÉSABONNER",
            "\u{feff}Désa\u{ad}bon\u{200b}ner\u{200e}",
            "Ｄésabonner",
        ];
        assert!(
            seen.iter().all(|text| fold(text) == "desabonner"),
            "{:?}",
            seen.map(fold)
        );
        assert_eq!(
            (fold("ŁÓDŹ İstanbul"), fold("الأُولى")),
            ("lodz istanbul".into(), fold("الاولي"))
        );
        assert_eq!(
            fold("が"),
            fold("か\u{3099}"),
            "Japanese marks make other letters"
        );
        assert_ne!(fold("が"), fold("か"));
    }

    #[test]
    fn words_are_letters_with_one_space_between() {
        assert_eq!(words("  “I’d like”  to opt-out!! 🙏"), "id like to opt out");
        assert_eq!(
            words("配信停止を、 お願いします。"),
            "配信停止をお願いします"
        );
        assert_eq!(words("メール の 配信"), "メールの配信");
        assert_eq!((words(""), words("…!?")), (String::new(), String::new()));
    }
}
