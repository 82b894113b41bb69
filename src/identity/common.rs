//! Passwords that everybody tries first.
//!
//! Published lists hold ten thousand, of which those that are long enough here are words of [`WORDS`] with digits and marks around them, words
//! said twice, keyboard rows and counted digits. So the list is one of words and rows, written down for this program from what such
//! lists are known to begin with, and the rest is a rule: it refuses more than the list would. It is no measure of strength.

/// Words that common passwords are made of.
const WORDS: &[&str] = &[
    "abc",
    "access",
    "admin",
    "administrator",
    "adobe",
    "amanda",
    "andrew",
    "angel",
    "apple",
    "arsenal",
    "ashley",
    "asshole",
    "austin",
    "babygirl",
    "bailey",
    "barcelona",
    "baseball",
    "basketball",
    "batman",
    "bitcoin",
    "blink",
    "buster",
    "butterfly",
    "charlie",
    "chelsea",
    "chocolate",
    "computer",
    "cookie",
    "daniel",
    "default",
    "demo",
    "dragon",
    "dubsmash",
    "family",
    "flower",
    "football",
    "freedom",
    "friends",
    "fuckyou",
    "ginger",
    "google",
    "guest",
    "harley",
    "hello",
    "hockey",
    "hunter",
    "iloveyou",
    "jasmine",
    "jennifer",
    "jessica",
    "jordan",
    "joshua",
    "killer",
    "letmein",
    "linkedin",
    "liverpool",
    "login",
    "london",
    "love",
    "lovely",
    "maggie",
    "manager",
    "marina",
    "master",
    "matrix",
    "matthew",
    "michael",
    "michelle",
    "monkey",
    "mustang",
    "myspace",
    "naruto",
    "newsletter",
    "nicole",
    "ninja",
    "nothing",
    "office",
    "orange",
    "pass",
    "passphrase",
    "passw",
    "password",
    "passwort",
    "pepper",
    "pokemon",
    "princess",
    "private",
    "qazwsx",
    "querty",
    "qwer",
    "qwert",
    "qwerty",
    "ranger",
    "robert",
    "root",
    "samantha",
    "samsung",
    "secret",
    "secure",
    "server",
    "shadow",
    "soccer",
    "starwars",
    "summer",
    "sunshine",
    "superman",
    "support",
    "system",
    "taylor",
    "temp",
    "test",
    "testing",
    "the",
    "thomas",
    "thunder",
    "tigger",
    "trustno",
    "user",
    "verdicts",
    "welcome",
    "whatever",
    "william",
    "winter",
    "world",
    "xxx",
    "yankees",
    "you",
    "your",
    "my",
    "is",
    "i",
    "a",
    "changeme",
    "change",
    "me",
    "letme",
    "in",
    "god",
    "jesus",
    "money",
    "spring",
    "autumn",
    "monday",
    "friday",
    "january",
    "company",
    "website",
    "this",
];

/// Rows of keyboards and counted characters; also read backwards.
const ROWS: &[&str] = &[
    "01234567890123456789",
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiopasdfghjklzxcvbnm",
    "qwertzuiopasdfghjklyxcvbnm",
    "azertyuiopqsdfghjklmwxcvbn",
    "1q2w3e4r5t6y7u8i9o0p",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm",
    "qazwsxedcrfvtgbyhnujm",
    "asdfghjkl",
    "zxcvbnm",
    "qweasdzxc",
    "123qweasdzxc",
];

/// Returns whether a password is one that everybody tries, or made of words about its user.
pub fn is_common(password: &str, about: &[&str]) -> bool {
    let plain = plain_of(password);
    if period(password) <= 4 || period(&plain) <= 4 {
        return true;
    }
    // An address is tried whole, and as its parts.
    let own: Vec<String> = about
        .iter()
        .flat_map(|text| [*text, text.split('@').next().unwrap_or_default()])
        .map(plain_of)
        .filter(|word| word.len() >= 3)
        .collect();
    let words: Vec<&str> = WORDS
        .iter()
        .copied()
        .chain(own.iter().map(String::as_str))
        .collect();
    [password.to_lowercase(), plain]
        .iter()
        .any(|text| is_made_of(text, &words))
}

/// The letters and digits of a text, with letters in the place of the marks and digits that stand for them.
fn plain_of(text: &str) -> String {
    let letters: Vec<char> = text.to_lowercase().chars().collect();
    let last_letter = letters.iter().rposition(|c| c.is_alphabetic());
    let read = |(at, c): (usize, &char)| {
        // Behind the last letter they are what they are.
        let stands_for = last_letter.is_some_and(|last| at < last);
        match c {
            '@' | '4' if stands_for => Some('a'),
            '0' if stands_for => Some('o'),
            '1' | '!' if stands_for => Some('i'),
            '3' if stands_for => Some('e'),
            '$' | '5' if stands_for => Some('s'),
            '7' if stands_for => Some('t'),
            c if c.is_alphanumeric() => Some(*c),
            _ => None,
        }
    };
    letters.iter().enumerate().filter_map(read).collect()
}

/// The length of the piece that a text repeats; its own where it repeats none.
fn period(text: &str) -> usize {
    let chars: Vec<char> = text.chars().collect();
    (1..chars.len())
        .find(|step| chars.iter().zip(&chars[*step..]).all(|(a, b)| a == b))
        .unwrap_or(chars.len())
}

/// Returns whether a text falls into words, pieces of rows of four characters or more, digits and marks, with nothing left over but
/// up to two letters.
fn is_made_of(text: &str, words: &[&str]) -> bool {
    let chars: Vec<char> = text.chars().collect();
    // Fewest letters left over up to each place.
    let mut left_over = vec![usize::MAX; chars.len() + 1];
    left_over[0] = 0;
    for at in 0..chars.len() {
        let here = left_over[at];
        if here == usize::MAX {
            continue;
        }
        let mut reach = |length: usize, cost: usize| {
            let end = &mut left_over[at + length];
            *end = (*end).min(here + cost);
        };
        reach(1, usize::from(chars[at].is_alphabetic()));
        let rest: String = chars[at..].iter().collect();
        for word in words.iter().filter(|word| rest.starts_with(**word)) {
            reach(word.chars().count(), 0);
        }
        for row in ROWS {
            let backwards: String = row.chars().rev().collect();
            for row in [*row, backwards.as_str()] {
                for length in 4..=rest.chars().count().min(row.len()) {
                    let piece: String = chars[at..at + length].iter().collect();
                    if row.contains(&piece) {
                        reach(length, 0);
                    }
                }
            }
        }
    }
    let letters = chars.iter().filter(|c| c.is_alphabetic()).count();
    // Digits with a letter or two among them are many to try, unless they count.
    left_over[chars.len()] <= 2 && (letters > 2 || is_row(text))
}

/// Digits that count up or down, or repeat, for the most part.
fn is_row(text: &str) -> bool {
    let digits: Vec<i32> = text
        .chars()
        .filter_map(|c| c.to_digit(10))
        .map(|digit| digit as i32)
        .collect();
    let steps = digits
        .windows(2)
        .filter(|pair| matches!((pair[1] - pair[0]).rem_euclid(10), 0 | 1 | 9))
        .count();
    digits.len() < 6 || steps * 4 >= (digits.len() - 1) * 3
}
