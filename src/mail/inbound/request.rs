//! Those who join or leave by mail: to an address made for it, or in so many words.

use super::manner::Manner;
use super::mime::Parts;
use super::phrases;
use super::phrases::plain;
use crate::domain::inbound::Meaning;

const LEAVE: &[&str] = &[
    "unsubscribe",
    "unsubscribe me",
    "please unsubscribe",
    "please unsubscribe me",
    "remove",
    "remove me",
    "please remove me",
    "stop",
    "signoff",
    "sign off",
    "leave",
    "opt out",
    "opt-out",
    "cancel subscription",
    "cancel my subscription",
    "abmelden",
    "abbestellen",
    "austragen",
    "bitte abmelden",
    "newsletter abbestellen",
    "désabonnement",
    "désinscription",
    "se désabonner",
    "me désabonner",
    "désabonner",
    "désinscrire",
    "baja",
    "darme de baja",
    "darse de baja",
    "cancelar suscripción",
    "cancelar la suscripción",
    "descadastrar",
    "cancelar inscrição",
    "cancelar assinatura",
    "sair da lista",
    "cancellami",
    "cancellazione",
    "disiscrizione",
    "disiscrivimi",
    "afmelden",
    "uitschrijven",
    "avregistrera",
    "avmeld",
    "wypisz",
    "отписаться",
    "отписка",
    "配信停止",
    "登録解除",
    "退会",
    "退订",
    "取消订阅",
    "取消訂閱",
    "수신거부",
    "구독 취소",
];

const JOIN: &[&str] = &[
    "subscribe",
    "subscribe me",
    "please subscribe",
    "please subscribe me",
    "join",
    "sign up",
    "sign me up",
    "signup",
    "abonnieren",
    "anmelden",
    "newsletter abonnieren",
    "s'abonner",
    "m'abonner",
    "abonnement",
    "inscription",
    "suscribir",
    "suscribirse",
    "suscribirme",
    "alta",
    "inscrever",
    "inscrever-me",
    "assinar",
    "iscrivimi",
    "iscrizione",
    "aanmelden",
    "inschrijven",
    "zapisz",
    "подписаться",
    "подписка",
    "登録",
    "購読",
    "订阅",
    "訂閱",
    "구독",
];

/// Returns what a mail asks for by the address that it was sent to, or by the one word of a mail program that leaves for its reader and says
/// that it is a machine (Apple Mail does).
pub fn by_address(manner: &Manner, addressed: &[String]) -> Option<Meaning> {
    let by_program = manner.automatic && !manner.daemon && !manner.nobody;
    if by_program && in_words(&manner.subject, "") == Some(Meaning::Unsubscribe) {
        return Some(Meaning::Unsubscribe);
    }
    to_an_address(addressed).filter(|_| !manner.daemon && !manner.automatic && !phrases::is_auto_subject(&manner.subject))
}

/// What the addresses that a mail was sent to are for: `unsubscribe+...@` and `subscribe@`, also behind a name and a `+` or `-`.
fn to_an_address(addressed: &[String]) -> Option<Meaning> {
    let parts = |address: &String| {
        let local = address.split('@').next().unwrap_or_default().to_ascii_lowercase();
        local.split(['+', '-', '.', '_', '=']).map(String::from).collect::<Vec<_>>()
    };
    let has = |words: &[&str]| addressed.iter().any(|address| parts(address).iter().take(3).any(|part| words.contains(&part.as_str())));
    match () {
        () if has(&["unsubscribe", "unsub", "leave", "optout", "signoff"]) => Some(Meaning::Unsubscribe),
        () if has(&["subscribe", "join"]) => Some(Meaning::Subscribe),
        () => None,
    }
}

/// Words that a person answers with and hardly a machine: no "OK", "confirmed" or "please confirm", with which autoresponders,
/// ticket systems and challenges begin.
#[rustfmt::skip]
const YES: &[&str] = &[
    "yes", "yes please", "yes, please", "yes thanks", "yes, thanks", "yes, thank you", "yes i do", "yes, i do", "yes it was me",
    "yes, it was me", "yes, that was me", "yes i confirm", "yes, i confirm", "yes, confirm", "yep", "yeah", "i confirm", "ja", "ja bitte", "ja, bitte",
    "ja danke", "ja, danke", "ja gerne", "ja, gerne", "ja, das war ich", "ich bestätige", "oui", "oui merci", "oui, merci", "je confirme", "sí", "si", "sí, por favor",
    "sí, confirmo", "confirmo", "sim", "sim, por favor", "sim, confirmo", "sì", "sì, grazie", "confermo", "tak", "potwierdzam", "ano", "igen", "da", "да",
    "подтверждаю", "так", "evet", "はい", "是", "是的", "네", "예",
];

/// Describes what mail programs put before the subject of a mail that is answered.
const ANSWERS: &[&str] = &[
    "re:",
    "re :",
    "re：",
    "aw:",
    "antw:",
    "sv:",
    "vs:",
    "rif:",
    "r:",
    "res:",
    "rép:",
    "ré:",
    "odp:",
    "ynt:",
    "отв:",
    "ответ:",
    "回复:",
    "回复：",
    "答复:",
    "回覆:",
    "返信:",
];

/// Signs of a machine in the lines of an answer: numbers of tickets, links, and what such mails say of themselves.
const MACHINE: &[&str] = &["#", "[", "http", "ticket", "automat", "no-reply", "noreply", "do not reply", "request", "support"];

/// Lines, and words below the first of them, that an answer may have: a greeting, a name, and what a telephone puts below every mail.
const LINES_MAX: usize = 4;
const WORDS_MAX: usize = 10;

/// Returns whether a person says yes to the mail that they answer: the subject and the header are an answer's, the first line is a word
/// for yes, and hardly another is its author's own.
pub fn agrees(mail: &Parts, subject: &str, text: &str) -> bool {
    let own = own_lines(text);
    let Some((first, rest)) = own.split_first() else { return false };
    let rest = plain(&rest.join(" "));
    let is_answer = mail.headers.has("in-reply-to") || mail.headers.has("references") || text.lines().any(|line| line.starts_with('>'));
    answered_subject(subject).is_some()
        && is_answer
        && own.len() <= LINES_MAX
        && rest.split(' ').count() <= WORDS_MAX
        && !MACHINE.iter().any(|sign| rest.contains(sign))
        && YES.contains(&bare_of(&plain(first)))
}

/// The subject of the mail that is answered by one with this subject; `None` if it is no answer.
pub fn answered_subject(subject: &str) -> Option<String> {
    let mut rest = plain(subject);
    let start = rest.clone();
    // Programs of two languages may put one each.
    for _ in 0..3 {
        let Some(behind) = ANSWERS.iter().find_map(|mark| rest.strip_prefix(mark)) else { break };
        rest = behind.trim_start().to_owned();
    }
    (rest != start && !rest.is_empty()).then_some(rest)
}

/// The first lines that are its author's own: above the mail that they answer, and above their signature.
fn own_lines(text: &str) -> Vec<&str> {
    let lines = text.lines().map(str::trim).take_while(|line| !line.starts_with('>') && *line != "--" && !line.ends_with(':'));
    lines.filter(|line| !line.is_empty()).take(5).collect()
}

fn bare_of(line: &str) -> &str {
    line.trim_matches(|c: char| c.is_whitespace() || ".!,\"'。！".contains(c))
}

/// What a subject, or a text of a line or two above the mail it answers, asks for.
pub fn in_words(subject: &str, text: &str) -> Option<Meaning> {
    let bare = subject.trim_matches(|c: char| c.is_whitespace() || ".!\"'".contains(c));
    let asks = |words: &str| match () {
        () if LEAVE.contains(&words) || words.starts_with("unsubscribe ") => Some(Meaning::Unsubscribe),
        () if JOIN.contains(&words) || words.starts_with("subscribe ") && words.split(' ').count() <= 3 => Some(Meaning::Subscribe),
        () => None,
    };
    asks(bare).or_else(|| {
        let own = own_lines(text);
        let first = plain(own.first()?);
        let first = bare_of(&first);
        let denies = ["not ", "n't ", "n’t ", "never "].iter().any(|word| first.contains(word));
        let leaves = own.len() <= 2
            && first.len() < 120
            && !denies
            && ["unsubscribe me", "unsubscribe from", "please unsubscribe", "remove me from", "take me off"]
                .iter()
                .any(|words| first.contains(words));
        asks(first).filter(|_| own.len() <= 2).or(leaves.then_some(Meaning::Unsubscribe))
    })
}
