//! Words in a cell that say how somebody stands, in the vocabularies of services and languages.
//!
//! To teach it a word, add it to [`WORDS`] in any spelling: case, accents and punctuation do not count ([`squeezed`]). A word that is
//! not here is never taken for "active": its row is refused.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::dates::is_date;
use crate::domain::subscriber::SubscriberState;

/// The meaning of a cell by itself, whatever its column is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    State(SubscriberState),
    Yes,
    No,
    Date,
    /// An empty cell, or one that says so in a word.
    Nothing,
}

use SubscriberState::Active;
use SubscriberState::Bounced;
use SubscriberState::Complained;
use SubscriberState::Pending;
use SubscriberState::Unsubscribed;

const WORDS: &[(Word, &str)] = &[
    (
        Word::State(Active),
        // Buttondown's kinds of readers who get mail; Kit's "cold" opens little and is subscribed.
        "active, enabled, subscribed, confirmed, regular, premium, gifted, trialed, churning, churned, past due, unpaid, free, paid, \
         upcoming, cold, opt in, opted in, double opt in, single opt in, confirmed opt in, implied, express, granted, consented, \
         marketing contact, valid, verified, aktiv, angemeldet, eingetragen, bestätigt, abonniert, actif, active, inscrit, abonné, \
         confirmé, activo, suscrito, confirmado, ativo, inscrito, assinante, attivo, iscritto, confermato, actief, ingeschreven, \
         aangemeld, aktywny, zapisany, potwierdzony, aktivní, přihlášen, aktivní odběratel, prenumererar, tilmeldt, påmeldt, \
         активен, активный, подписан, подтвержден, 有效, 已订阅, 已訂閱, 購読中, 구독",
    ),
    (
        Word::State(Pending),
        "pending, unconfirmed, unactivated, validating, needs attention, not confirmed, unverified, awaiting confirmation, \
         waiting for confirmation, awaiting activation, opt in pending, unbestätigt, nicht bestätigt, ausstehend, en attente, non confirmé, \
         pendiente, no confirmado, pendente, não confirmado, in attesa, non confermato, in afwachting, onbevestigd, oczekujący, \
         niepotwierdzony, nepotvrzený, ожидает, не подтвержден, 未确认, 待确认, 未確認",
    ),
    (
        Word::State(Unsubscribed),
        "unsubscribed, unsubscribe, unsub, inactive, cancelled, canceled, disabled, blocklisted, blacklisted, blocked, block, removed, \
         paused, deleted, archived, opt out, opted out, optout, left, suppressed, do not email, do not mail, do not contact, dnc, \
         non subscribed, not subscribed, never subscribed, transactional, deactivated, stopped, revoked, withdrawn, denied, declined, \
         no consent, non marketing contact, global opt out, temporary hold, user unsubscribed, list unsubscribe, banned, \
         abgemeldet, ausgetragen, inaktiv, gesperrt, gelöscht, abbestellt, gekündigt, widerrufen, désinscrit, désabonné, inactif, \
         supprimé, bloqué, baja, dado de baja, inactivo, cancelado, desuscrito, no suscrito, bloqueado, inativo, descadastrado, removido, \
         cancelou, disiscritto, inattivo, annullato, bloccato, uitgeschreven, afgemeld, inactief, geblokkeerd, wypisany, nieaktywny, \
         zrezygnował, odhlášen, neaktivní, avregistrerad, avslutad, avmeldt, afmeldt, peruutettu, leiratkozott, отписан, отписался, \
         неактивен, заблокирован, 已退订, 退订, 已取消订阅, 解除, 配信停止, 退会, 수신거부",
    ),
    (
        Word::State(Bounced),
        "bounced, bounce, hard bounce, hard bounced, hardbounce, cleaned, undeliverable, undelivered, invalid, unreachable, \
         nonexistent, does not exist, dead, bad address, returned, unzustellbar, ungültig, zurückgewiesen, rejeté, invalide, rebotado, \
         rebote, inválido, rimbalzato, non valido, onbestelbaar, ongeldig, odbity, nedoručitelný, недоставлен, 退信, 不達",
    ),
    (
        Word::State(Complained),
        "complained, complaint, complainer, spam, spammy, malicious, abuse, abuse report, abused, marked as spam, reported spam, \
         reported as spam, spam complaint, spam report, spam reported, beschwerde, plainte, plaint, queja, reclamação, reclamo, segnalato, klacht, \
         skarga, жалоба, 投诉",
    ),
    (
        Word::Yes,
        "true, t, yes, y, 1, x, on, checked, ja, j, wahr, oui, vrai, sí, verdadero, sim, verdadeiro, vero, tak, ano, kyllä, да, 是, はい",
    ),
    (
        Word::No,
        "false, f, no, n, 0, off, unchecked, never, nein, falsch, non, faux, falso, não, nee, onwaar, nie, ne, ei, nej, нет, 否, いいえ",
    ),
    (
        Word::Nothing,
        "null, none, nil, nan, n/a, undefined, not set",
    ),
];

static VOCABULARY: LazyLock<HashMap<String, Word>> = LazyLock::new(|| {
    let pairs = WORDS.iter().flat_map(|(word, texts)| {
        texts
            .split(',')
            .map(|text| (squeezed(text).into_owned(), *word))
    });
    pairs.collect()
});

/// The meaning of a cell; `None` where it is not known.
pub fn word(cell: &str) -> Option<Word> {
    let text = squeezed(cell);
    if text.is_empty() {
        return match cell.trim() {
            "" | "-" | "--" | "–" | "—" | "\\N" => Some(Word::Nothing),
            "✓" | "✔" | "☑" | "✅" => Some(Word::Yes),
            "✗" | "✘" | "☐" | "❌" => Some(Word::No),
            _ => None,
        };
    }
    // MySQL's way to say "never": 0000-00-00 00:00:00.
    if text.len() >= 8 && text.bytes().all(|b| b == b'0') {
        return Some(Word::Nothing);
    }
    VOCABULARY
        .get(&*text)
        .copied()
        .or_else(|| is_date(cell).then_some(Word::Date))
}

/// Returns whether a cell says beyond doubt that somebody is over, in whatever column it stands.
pub fn is_farewell(cell: &str) -> bool {
    const CLEAR: [&str; 14] = [
        "unsubscribed",
        "optedout",
        "optout",
        "bounced",
        "hardbounce",
        "hardbounced",
        "complained",
        "spamcomplaint",
        "donotemail",
        "blacklisted",
        "blocklisted",
        "abgemeldet",
        "desinscrit",
        "desabonne",
    ];
    (6..=40).contains(&cell.len()) && CLEAR.contains(&&*squeezed(cell))
}

/// Lower case letters and digits, without accents and all that stands between them: how names and words are compared.
pub fn squeezed(text: &str) -> Cow<'_, str> {
    if text
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    {
        return text.into();
    }
    if text.is_ascii() {
        return text
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|c| c.to_ascii_lowercase())
            .collect::<String>()
            .into();
    }
    text.nfkd()
        .filter(|c| c.is_alphanumeric() && !is_combining_mark(*c))
        .flat_map(char::to_lowercase)
        .collect::<String>()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_known_in_any_spelling_and_stands_in_one_list_only() {
        for (text, meaning) in [
            ("UNSUBSCRIBED", Word::State(Unsubscribed)),
            ("Opted-Out", Word::State(Unsubscribed)),
            ("Désabonné", Word::State(Unsubscribed)),
            ("hard_bounce", Word::State(Bounced)),
            ("Marked as Spam", Word::State(Complained)),
            ("Double Opt-In", Word::State(Active)),
            ("SÍ", Word::Yes),
            ("0000-00-00 00:00:00", Word::Nothing),
            ("2026-01-02", Word::Date),
        ] {
            assert_eq!(word(text), Some(meaning), "{text}");
        }
        for unknown in [
            "perhaps",
            "soft bounced",
            "2",
            "not unsubscribed",
            "?",
            "x1",
        ] {
            assert_eq!(word(unknown), None, "{unknown}");
        }
        for (meaning, texts) in WORDS {
            for text in texts.split(',') {
                assert_eq!(word(text), Some(*meaning), "{text} stands in two lists");
            }
        }
    }
}
