//! Names of columns: what each holds, in the exports of services and in several languages.
//!
//! Names are compared as [`squeezed`] text: `Unsubscribed At`, `unsubscribed_at` and `unsubscribedAt` are one. Within a list the better
//! name comes first: a file with `confirm_time` and `created_at` is read by the first.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::words::squeezed;
use crate::domain::subscriber::SubscriberState;

/// Content of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnRole {
    Email,
    Name,
    FirstName,
    LastName,
    ConfirmedAt,
    Source,
    Timezone,
    Standing(StateEncoding),
}

/// Encoding of a subscription's state in a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateEncoding {
    /// A word like "unsubscribed".
    State,
    /// A date, `1`, `true` or `yes` for those who left in that way.
    Left(SubscriberState),
    /// `true`, `yes` or a date for those who get mail, and `no` for those who left.
    Subscribed,
    /// `no` for those who have not confirmed yet.
    Confirmed,
    /// Any text for those who left in that way: why, or how.
    Reason(SubscriberState),
    /// A word about the mailbox: only a bad one counts.
    Mailbox,
}

use SubscriberState::Bounced;
use SubscriberState::Complained;
use SubscriberState::Unsubscribed;

const NAMES: &[(ColumnRole, &str)] = &[
    (
        ColumnRole::Email,
        "email, email address, e-mail, e-mail address, subscriber email, subscriber, contact email, primary email, user email, email 1, \
         email id, e-mail-adresse, emailadresse, mailadresse, adresse e-mail, adresse email, adresse mail, courriel, adresse courriel, \
         correo electrónico, correo, dirección de correo electrónico, dirección de correo, email do contato, endereço de email, \
         endereço de e-mail, indirizzo email, indirizzo e-mail, indirizzo di posta elettronica, e-mailadres, emailadres, adres e-mail, \
         adres email, e-postadress, e-post, e-postadresse, e-mailová adresa, sähköposti, sähköpostiosoite, адрес электронной почты, \
         электронная почта, эл. почта, почта, メールアドレス, 电子邮件, 电子邮件地址, 邮箱, 邮箱地址, 電子郵件, 이메일, 이메일 주소",
    ),
    (
        ColumnRole::Name,
        "name, full name, display name, subscriber name, contact name, vollständiger name, nom complet, nombre completo, nome completo, nome e cognome, volledige naam, naam, imię i nazwisko, имя",
    ),
    (
        ColumnRole::FirstName,
        "first name, first, fname, given name, forename, vorname, prénom, nombre, nome, voornaam, imię, förnamn, fornavn, jméno, etunimi, 名",
    ),
    (
        ColumnRole::LastName,
        "last name, last, lname, surname, family name, nachname, familienname, nom, nom de famille, apellido, apellidos, sobrenome, cognome, achternaam, nazwisko, efternamn, etternavn, příjmení, фамилия, 姓",
    ),
    (
        ColumnRole::ConfirmedAt,
        "confirmed at, confirm time, confirmed on, confirmation date, confirmation time, confirmed date, date confirmed, confirmed opt-in date, \
         doi date, doi time, double optin date, double opt-in date, double opt-in at, double opt-in time, optin confirmed at, bestätigt am, \
         bestätigungsdatum, date de confirmation, fecha de confirmación, data de confirmação, data di conferma, \
         consent date, consent timestamp, consent time, consent given at, consented at, consented on, date of consent, gdpr consent date, \
         email marketing consent timestamp, email consent date, marketing consent date, accepts email marketing updated at, email marketing updated at, \
         date de consentement, fecha de consentimiento, einwilligung am, datum der einwilligung, \
         opt-in date, opt-in time, optin date, optin time, opt-in timestamp, optin timestamp, opted in at, opted in on, opt-in at, initial opt-in date, \
         subscribed at, subscribed on, subscribe date, subscription date, subscribe time, subscription time, date subscribed, subscribed date, \
         email subscribed at, signup date, sign-up date, signup time, signed up at, signed up on, signed up, joined at, joined on, join date, joined, \
         date joined, anmeldedatum, angemeldet am, anmeldung am, eingetragen am, registriert am, date d'inscription, date inscription, inscrit le, \
         date d'abonnement, fecha de alta, fecha alta, fecha de suscripción, fecha suscripción, fecha de inscripción, data de inscrição, \
         data inscrição, data di iscrizione, data iscrizione, inschrijfdatum, aanmelddatum, ingeschreven op, data zapisu, data subskrypcji, datum přihlášení, дата подписки, \
         登録日, 订阅时间, activation date, activated at, created at, created on, create date, created, created date, date created, \
         creation date, created time, registered, registered at, registration date, registration time, date added, added at, added on, added time, add date, \
         date added to list, entered, import date, erstellt am, hinzugefügt am, date de création, date d'ajout, fecha de creación, data de criação, data di creazione, aangemaakt op, \
         data dodania, дата создания, 创建时间",
    ),
    (
        ColumnRole::Source,
        "source, signup source, sign-up source, opt-in source, subscription source, subscribe source, consent source, acquisition source, quelle, origine, origen",
    ),
    (
        ColumnRole::Timezone,
        "timezone, time zone, timezone name, zeitzone, fuseau horaire, zona horaria, fuso horário, fuso orario, tijdzone",
    ),
    (
        ColumnRole::Standing(StateEncoding::State),
        "state, status, subscription status, subscriber status, subscription state, subscriber state, subscriber type, member status, contact status, \
         email status, e-mail status, email subscription status, email state, list status, global status, mailing status, newsletter status, marketing status, \
         email marketing status, email marketing state, email permission status, permission status, marketing contact status, email subscriber status, \
         abo-status, abostatus, anmeldestatus, statut, statut d'abonnement, statut de l'abonnement, estado, estado de suscripción, estado de la suscripción, \
         status da assinatura, stato, stato iscrizione, statusmelding, статус, 状态, 订阅状态, 状態, 상태",
    ),
    (
        ColumnRole::Standing(StateEncoding::Left(Unsubscribed)),
        "unsub time, unsubscribed at, unsubscribed on, unsubscribed, unsubscribe, is unsubscribed, has unsubscribed, unsubscribed date, unsubscribe date, \
         unsubscribe time, unsubscribed time, unsubscription date, unsubscription time, date unsubscribed, date of unsubscription, time unsubscribed, unsub date, unsub, unsubbed, unsubscribed from all, \
         unsubscribed from all email, unsubscribed from all emails, unsubscribed from emails, unsubscribed from email, email unsubscribed, globally unsubscribed, global unsubscribe, \
         opted out, opt out, optout, is opted out, has opted out, opted out at, opted out on, opt-out date, opt-out time, opted-out date, opt-out at, email opt out, \
         email opted out, email opt-out, opted out of email, has opted out of email, opt out of email, opt out of emails, confirmed opt-out date, marketing opt out, \
         do not email, do not e-mail, do not mail, do not contact, do not send, no email, no emails, no mail, dnc, dne, email disabled, mail disabled, emails disabled, \
         disabled, is disabled, blacklisted, is blacklisted, email blacklisted, emailblacklisted, blacklist, blacklisted at, blocklisted, blocklist, email blocklisted, email blocked, is blocked, blocked, blocked at, \
         suppressed, is suppressed, email suppressed, suppressed at, excluded, is excluded, is excluded from campaigns, excluded from campaigns, deactivated, deactivated at, \
         deactivation date, inactive, is inactive, inactive since, left, left at, left on, has left, date left, removed, removed at, removed on, date removed, deleted, deleted at, \
         is deleted, date deleted, cancelled, canceled, cancelled at, canceled at, cancelled on, stop time, stopped at, quit, archived, archived at, revoked at, consent revoked, consent revoked at, consent withdrawn, \
         consent withdrawn at, withdrawn at, email address quarantined, quarantined, \
         abgemeldet, abgemeldet am, abmeldung, abmeldedatum, abmeldung am, austragung, ausgetragen, ausgetragen am, austragungsdatum, widerruf, widerrufen, widerrufen am, \
         gesperrt, inaktiv, gelöscht, gelöscht am, désinscrit, désinscrit le, désinscription, date de désinscription, date désinscription, désabonné, désabonné le, désabonnement, \
         date de désabonnement, date désabonnement, baja, fecha de baja, fecha baja, dado de baja, desuscrito, cancelado, fecha de cancelación, cancelamento, data de cancelamento, \
         descadastrado, descadastro, data de descadastro, disiscritto, disiscrizione, data disiscrizione, data di disiscrizione, cancellato, data cancellazione, \
         data di cancellazione, uitgeschreven, uitgeschreven op, uitschrijfdatum, afgemeld, afgemeld op, afmelddatum, wypisany, data wypisania, data rezygnacji, rezygnacja, avregistrerad, avmeldt, \
         afmeldt, odhlášen, datum odhlášení, отписан, отписался, дата отписки, отписка, 退订, 退订时间, 退订日期, 解除日, 配信停止, 配信停止日, 退会日, 수신거부",
    ),
    (
        ColumnRole::Standing(StateEncoding::Left(Bounced)),
        "bounced, is bounced, has bounced, bounced at, bounced on, bounce date, bounce time, date bounced, hard bounced, hard bounce, hard bounced at, hard bounce date, email bounced, \
         email hard bounced, bounced email, clean time, cleaned, cleaned at, undeliverable, undeliverable at, undeliverability date, invalid email, invalid email address, \
         is invalid, unreachable, unzustellbar, rebotado, rebote, rimbalzato, недоставлен",
    ),
    (
        ColumnRole::Standing(StateEncoding::Left(Complained)),
        "complained, has complained, complained at, complained on, complaint, complaint date, complaint time, date complained, spam complaint, is spam complaining, spam complaining, marked as spam, \
         marked spam, marked as spam at, marked spam at, reported spam, reported as spam, spam report, spam reported, spam reported at, abuse, abuse report, beschwerde, plainte, queja",
    ),
    (
        ColumnRole::Standing(StateEncoding::Subscribed),
        "subscribed, is subscribed, subscribed to emails, subscribed to email, subscribed to newsletter, newsletter, newsletter subscription, newsletter subscribed, email subscribed, email subscription, receives newsletter, \
         receive newsletter, receive emails, receives emails, wants email, accepts email marketing, accepts marketing, accepts marketing emails, accepts email, accepts newsletter, accept marketing, \
         accepts emails, email marketing, email marketing consent, email consent, marketing consent, consent, consent given, has consent, gdpr consent, eu consent, consent status, \
         email consent status, email marketing consent status, consent to email, marketing permission, marketing permissions, email permission, permission, gdpr, gdpr permission, marketing emails, \
         marketing opt-in, email marketing opt-in, opt-in, opt in, optin, opted in, is opted in, email opt in, email opted in, email opt-in, opt in status, optin status, opt-in status, opt in to email, mailing list, \
         enabled, is enabled, email enabled, active, is active, angemeldet, abonniert, aktiv, einwilligung, newsletter-einwilligung, abonné, inscrit, consentement, optin email, suscrito, suscripción, consentimiento, inscrito, assinante, \
         iscritto, consenso, consenso marketing, ingeschreven, toestemming, zgoda, zapisany, подписан, согласие, 已订阅, 購読中",
    ),
    (
        ColumnRole::Standing(StateEncoding::Confirmed),
        "confirmed, activated, is activated, is confirmed, email confirmed, email verified, verified, is verified, double opt-in, double optin, doi, optin confirmed, opt-in confirmed, bestätigt, confirmé, confirmado, confermato",
    ),
    (
        ColumnRole::Standing(StateEncoding::Reason(Unsubscribed)),
        "unsub reason, unsubscribe reason, unsubscribed reason, unsubscription reason, reason for unsubscribing, unsubscribe source, unsubscribed source, unsubscribe method, unsubscribed via, opt-out reason, opt out source, \
         opted out reason, confirmed opt-out reason, confirmed opt-out source, opt-out source, email opt-out reason, stop status, suppression reason, email suppressions, suppressions, suppression, email suppression reason, blacklist reason, \
         block reason, blocked reason, abmeldegrund, motif de désinscription, motif désinscription, motivo de baja, motivo baja, reden uitschrijving",
    ),
    (
        ColumnRole::Standing(StateEncoding::Reason(Bounced)),
        "bounce reason, bounced reason, hard bounce reason, email hard bounce reason, email hard bounce reason enum, undeliverability reason",
    ),
    (
        ColumnRole::Standing(StateEncoding::Mailbox),
        "email deliverability status, deliverability status, deliverability, email validity, email validation status, email deliverability",
    ),
];

static DICTIONARY: LazyLock<HashMap<String, (ColumnRole, usize)>> = LazyLock::new(|| {
    let mut names = HashMap::new();
    for (role, texts) in NAMES {
        for (rank, text) in texts.split(',').enumerate() {
            names
                .entry(squeezed(text).into_owned())
                .or_insert((*role, rank));
        }
    }
    names
});

/// Returns what a column with that squeezed name holds, and how good a name it is: the lower the better.
pub fn role(name: &str) -> Option<(ColumnRole, usize)> {
    if let Some(known) = DICTIONARY.get(name) {
        return Some(*known);
    }
    // HubSpot and others name a column for each kind of mail: "Opted out of email: Marketing Information".
    let by_kind = [
        "optedoutofemail",
        "optoutofemail",
        "unsubscribedfrom",
        "optedoutof",
    ]
    .iter()
    .any(|start| name.starts_with(start));
    by_kind.then_some((
        ColumnRole::Standing(StateEncoding::Left(Unsubscribed)),
        usize::MAX,
    ))
}

/// Parts of words that speak of leaving, of mail that came back or of consent. Where a column has one and is not read, the file is
/// refused: a wrong guess costs the operator one option, an overlooked column mails people who left.
const SPEAKING: &str = "unsub, optout, optedout, outopt, donotemail, donotmail, donotcontact, donotsend, blacklist, blocklist, blocked, suppress, bounce, complain, \
    spam, abuse, undeliver, unreachable, deactivat, inactiv, cancel, revoke, withdraw, withdrew, churn, goodbye, quarantin, consent, optin, optedin, subscribed, \
    acceptsmarketing, acceptsemail, emailmarketing, abmeld, abgemeld, austrag, ausgetrag, widerruf, kündig, gekündigt, abbestell, gesperrt, sperr, unzustell, einwillig, zustimm, désinscri, désabonn, \
    desabonn, résili, rebond, consentement, baja, desuscri, desinscri, descadastr, cancelad, rebot, rechaz, disiscri, cancellat, rimbalz, annullat, uitgeschr, uitschr, afgemeld, afmeld, \
    opzeg, toestemming, wypis, rezygn, zgoda, avregist, avprenum, avmeld, afmeldt, odhlas, odhlás, leirat, peruut, отпис, жалоб, блокир, соглас, \
    退订, 退訂, 取消订阅, 取消訂閱, 解除, 配信停止, 退会, 수신거부, 구독취소";

/// Whole words that do so.
const SPEAKING_WORDS: [&str; 30] = [
    "left",
    "leave",
    "leaver",
    "exit",
    "exited",
    "quit",
    "dead",
    "dnc",
    "dne",
    "removed",
    "deleted",
    "disabled",
    "stopped",
    "banned",
    "gone",
    "invalid",
    "archived",
    "expired",
    "ended",
    "paused",
    "optout",
    "bounced",
    "unsubscribed",
    "rejected",
    "refused",
    "baja",
    "geloscht",
    "supprime",
    "eliminado",
    "cessation",
];

/// Words that make a column one about something else: another channel, or a link, an address of the network, a number.
const ELSEWHERE: [&str; 37] = [
    "sms", "phone", "mobile", "whatsapp", "push", "mms", "viber", "telegram", "postal", "fax",
    "telefon", "call", "calls", "url", "link", "ip", "id", "token", "hash", "key", "page", "text",
    "version", "form", "language", "browser", "agent", "country", "campaign", "title", "lat",
    "long", "stripe", "plan", "payment", "refused", "score",
];

/// Returns whether a column's name suggests that it says who left, or who may get mail.
pub fn speaks_of_leaving(name: &str) -> bool {
    static STEMS: LazyLock<Vec<String>> = LazyLock::new(|| {
        SPEAKING
            .split(',')
            .map(|stem| squeezed(stem).into_owned())
            .collect()
    });
    let words: Vec<String> = words_of(name);
    if words.iter().any(|word| ELSEWHERE.contains(&&**word)) {
        return false;
    }
    let whole = squeezed(name);
    STEMS.iter().any(|stem| whole.contains(stem.as_str()))
        || words.iter().any(|word| SPEAKING_WORDS.contains(&&**word))
}

/// The words of a name, squeezed: `unsubscribedAt`, `Unsubscribed-At` and `UNSUBSCRIBED_AT` are two each.
fn words_of(name: &str) -> Vec<String> {
    let mut spaced = String::with_capacity(name.len() + 4);
    let mut after_small = false;
    for c in name.chars() {
        if after_small && c.is_uppercase() {
            spaced.push(' ');
        }
        after_small = c.is_lowercase() || c.is_numeric();
        spaced.push(if c.is_alphanumeric() { c } else { ' ' });
    }
    spaced
        .split_whitespace()
        .map(|word| squeezed(word).into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_name_is_known_in_any_spelling() {
        for name in [
            "unsubscribed_at",
            "Unsubscribed At",
            "unsubscribedAt",
            "UNSUB_TIME",
            "Désinscrit le",
            "Email Opt Out",
            "Opted out of email: News",
            "退订时间",
        ] {
            assert_eq!(
                role(&squeezed(name)).map(|(role, _)| role),
                Some(ColumnRole::Standing(StateEncoding::Left(Unsubscribed))),
                "{name}"
            );
        }
        let rank = |name: &str| role(&squeezed(name)).map(|(_, rank)| rank);
        assert!(rank("confirm_time") < rank("created_at"));
        assert_eq!(role("tags"), None);
    }

    #[test]
    fn a_name_stands_in_one_list_only() {
        for (role, texts) in NAMES {
            let other = |text: &str| {
                NAMES.iter().any(|(o, texts)| {
                    o != role && texts.split(',').any(|t| squeezed(t) == squeezed(text))
                })
            };
            let twice: HashSet<&str> = texts.split(',').filter(|text| other(text)).collect();
            assert!(twice.is_empty(), "{twice:?}");
        }
    }

    #[test]
    fn a_column_that_speaks_of_leaving_is_noticed_and_others_are_not() {
        for name in [
            "unsubscribeEvent",
            "OptOutFlag",
            "Global opt-outs",
            "bounce_count",
            "Hard bounces",
            "Spam flag",
            "Abgemeldet?",
            "Kündigungsdatum",
            "désinscription newsletter",
            "Motivo de la baja",
            "Data de cancelamento 2",
            "uitgeschreven via",
            "list_leave_date",
            "date.removed",
            "GDPR consent 2",
            "marketing_optin_flag",
            "отписка 2",
            "退订原因",
            "DeletedOn",
        ] {
            assert!(speaks_of_leaving(name), "{name}");
        }
        for name in [
            "Tags",
            "Notes",
            "Open rate",
            "City",
            "unsubscribe_link",
            "Unsubscribe URL",
            "SMS_BLACKLISTED",
            "smsConsent",
            "Phone opt out",
            "OPTIN_IP",
            "subscriber_id",
            "Company",
            "Birthday",
            "Member rating",
            "leftover_units",
            "Lists",
            "Stripe plan",
            "subscription tier",
        ] {
            assert!(!speaks_of_leaving(name), "{name}");
        }
    }
}
