//! Those who join or leave by mail: to an address made for it, or in so many words.

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

/// What the addresses that a mail was sent to are for: `unsubscribe+...@` and `subscribe@`, also behind a name and a `+` or `-`.
pub fn to_an_address(addressed: &[String]) -> Option<Meaning> {
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

#[rustfmt::skip]
const YES: &[&str] = &[
    "yes", "yes please", "yes, please", "yes thanks", "yes, thank you", "yes i do", "yes, i do", "yes it was me", "yes, it was me",
    "yes, that was me", "yes i confirm", "yes, i confirm", "yep", "yeah", "sure", "ok", "okay", "ok thanks", "confirm", "confirmed",
    "i confirm", "i agree", "agreed", "please confirm", "confirm my subscription", "ja", "ja bitte", "ja, bitte", "ja gerne", "ja, gerne",
    "ich bestätige", "bestätigt", "oui", "oui, merci", "je confirme", "d'accord", "sí", "si", "sí, confirmo", "confirmo", "confirmado",
    "sim", "sim, confirmo", "confermo", "sì", "va bene", "tak", "potwierdzam", "ano", "igen", "da", "да", "подтверждаю", "так", "evet",
    "はい", "確認しました", "是", "是的", "好的", "确认", "確認", "네", "예", "확인",
];

/// Whether the text says yes: its first line does, and hardly another is its author's own.
pub fn agrees(text: &str) -> bool {
    let own = own_lines(text);
    // A name below it, and what a telephone puts below every mail.
    own.len() <= 4 && own.first().is_some_and(|first| YES.contains(&bare_of(&plain(first))) || JOIN.contains(&bare_of(&plain(first))))
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
        let leaves = own.len() <= 2
            && first.len() < 120
            && ["unsubscribe me", "unsubscribe from", "please unsubscribe", "remove me from", "take me off"]
                .iter()
                .any(|words| first.contains(words));
        asks(first).filter(|_| own.len() <= 2).or(leaves.then_some(Meaning::Unsubscribe))
    })
}
