//! The words that mail systems use, each with what it tells. Lower case, one space between words.
//!
//! Written from the systems' manuals and error texts; one that is true of an ordinary mail too does not belong here unless
//! it is only looked for where a machine has spoken.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

pub use crate::domain::refusal::plain;

fn finder(phrases: impl Iterator<Item = &'static str>) -> AhoCorasick {
    AhoCorasick::new(phrases).expect("a table of literals")
}

macro_rules! lists {
    ($($(#[$doc:meta])* $name:ident: $list:ident = [$($phrase:literal),+ $(,)?];)+) => {
        $(
            $(#[$doc])*
            pub fn $name(text: &str) -> bool {
                static FINDER: LazyLock<AhoCorasick> = LazyLock::new(|| finder($list.iter().copied()));
                FINDER.is_match(text)
            }
            const $list: &[&str] = &[$($phrase),+];
        )+
    };
}

lists! {
    /// A subject under which a mail system says that a mail did not arrive.
    is_failure_subject: FAILURE_SUBJECTS = [
        "undeliver", "undelievered", "returned mail", "returned message", "return to sender", "returned to sender", "returning message to sender",
        "mail failed", "automatically rejected", "delivery failure", "delivery failed", "delivery has failed", "delivery error", "delivery problem", "delivery report", "delivery status",
        "delivery notification", "delivery unsuccessful", "failure notice", "failed mail", "failed delivery", "failed to deliver", "mail failure",
        "mail could not be delivered", "could not be delivered", "couldn't be delivered", "cannot be delivered", "can't be delivered", "was not delivered",
        "not delivered", "non-deliver", "non deliver", "nondeliver", "non-receipt", "non recapitabile", "unable to deliver", "unable to send", "mail system error",
        "mail error", "message error", "mail delivery", "message not delivered", "message status", "bounced mail", "bounce notice", "error sending", "error mail", "error delivering",
        "user unknown", "unknown user", "rejected mail", "message rejected", "mail rejected", "message you sent blocked", "blocked by", "transport error", "nachricht unzustellbar",
        "permanent error", "failure to deliver", "dsn:", "ndn:", "wurde nicht zugestellt", "unable to reach", "e-mail bounce", "mailbox full", "email rejected",
        "unzustellbar", "nicht zugestellt", "nicht zustellbar", "zustellung fehlgeschlagen", "zustellfehler", "rückläufer", "zustellbericht", "übermittlungsfehler", "fehlgeschlagene zustellung",
        "non remis", "non délivré", "non distribuable", "non distribué", "échec de la remise", "échec de remise", "échec de livraison", "échec de distribution", "échec d'envoi", "impossible de remettre",
        "notification d'état de remise", "notification d'état de la distribution", "retour à l'expéditeur", "message d'erreur",
        "no se puede entregar", "no se pudo entregar", "no entregado", "no entregable", "no ha podido ser entregado", "no ha sido entregado", "error de entrega", "error al entregar", "fallo en la entrega",
        "fallo de entrega", "devuelto", "devolución", "notificación de estado de entrega", "entrega fallida", "falla en la entrega", "mensaje rechazado",
        "não entregue", "não foi entregue", "não pôde ser entregue", "não é possível entregar", "não entregável", "falha na entrega", "falha de entrega", "erro na entrega", "falha no envio", "devolvid", "entrega de e-mail falhou",
        "mancato recapito", "mancata consegna", "impossibile recapitare", "non consegnat", "non recapitat", "consegna fallita", "errore di consegna", "notifica di mancat",
        "onbestelbaar", "niet bezorgd", "niet afgeleverd", "kan inte levereras", "ej levererat", "olevererbart", "oleveransbart", "kunne ikke leveres", "ikke leveret", "ikke levert", "uleveret", "toimitus epäonnistui",
        "niedostarcz", "nie dostarczono", "nie została dostarczona", "zwrot wiadomości", "nedoručiteln", "nedoručen", "kézbesíthetetlen", "kézbesítési hiba", "teslim edilemedi", "teslim edilemeyen", "iletilemedi", "nelivrat", "μη παραδοτέο",
        "не доставлен", "недоставлен", "не удалось доставить", "невозможно доставить", "ошибка доставки", "не может быть доставлен", "не вдалося доставити",
        "配信不能", "配信できません", "配信エラー", "配信失敗", "配信に失敗", "配達不能", "配達できません", "送信できません", "送信エラー", "不達", "届きません", "返送", "エラーメール", "配信状況",
        "退信", "無法投遞", "无法投递", "无法送达", "無法傳遞", "无法传递", "未送达", "投递失败", "发送失败", "傳送失敗", "被退回", "邮件传输失败", "郵件無法", "邮件递送失败",
        "반송", "전송 실패", "전달할 수 없", "배달되지", "배달할 수 없", "발송 실패", "ส่งไม่สำเร็จ", "لم يتم تسليم", "تعذر التسليم", "לא נמסר",
    ];
    /// A subject under which a mail system says that a mail is late.
    is_delay_subject: DELAY_SUBJECTS = [
        "delayed", "delay notification", "delivery delay", "warning: could not send", "warning: message", "still being retried", "warning - delayed", "not yet delivered", "not yet been delivered", "(delay)",
        "verzögert", "verzögerung", "retardé", "retard de", "différé", "retrasado", "demorado", "retraso en la entrega", "demora na entrega", "atrasad", "ritardo", "ritardata", "vertraagd", "opóźnien", "задерж", "遅延", "延迟", "延遲", "지연",
    ];
    /// Words with which a mail system says in the text that it still tries.
    is_delay_notice: DELAY_WORDS = [
        "this is a warning message only", "you do not need to resend", "you don't need to resend", "no action is required on your part", "will continue to try", "will keep trying", "will be retried",
        "has not yet been delivered", "have not yet been delivered", "not been delivered yet", "still trying to deliver", "delivery attempts will continue", "will try to deliver", "will continue trying", "there's nothing you need to do",
        "the delivery will be attempted", "will retry for", "will be attempted again", "will be tried again", "has been delayed", "is delayed", "delivery is delayed", "warning: message still undelivered", "transient non-fatal errors", "delivery to the following recipients has been delayed", "delivery to the following recipient has been delayed",
        "temporary failure for one or more recipients", "will be delivered as soon as", "message is still in the queue", "zustellversuche werden fortgesetzt", "wird weiterhin versucht", "es ist keine aktion erforderlich", "continuera à essayer", "nouvelle tentative", "se seguirá intentando", "continuaremos tentando",
    ];
    /// Words with which a mail system says that it will not try again.
    is_certain_failure: CERTAIN_WORDS = [
        "permanent error", "permanent fatal error", "permanent failure", "permanently fail", "failed permanently", "could not be delivered to one or more", "giving up", "given up", "no longer be attempted", "will not be retried", "will be no further attempts", "message has been returned", "retry timeout exceeded",
    ];
    /// Words with which a mail system, in any language, says in the text that a mail did not arrive.
    is_failure_notice: FAILURE_WORDS = [
        "could not be delivered", "couldn't be delivered", "cannot be delivered", "can't be delivered", "can not be delivered", "valid recipients were found", "failed addresses", "automatically rejected", "pas pu etre", "pas pu être", "was not delivered", "wasn't delivered", "were not delivered", "not be delivered to", "has not been delivered", "unable to deliver", "not able to deliver", "failed to deliver", "unable to be delivered", "weren't able to deliver", "wasn't able to deliver",
        "undeliverable", "undelivered", "could not deliver", "couldn't deliver", "cannot deliver", "can't deliver", "delivery failed", "delivery has failed", "delivery to the following", "delevery to the following", "did not reach the following", "permanent fatal errors", "permanent error", "permanent failure", "permanently fail", "failed permanently", "fatal error",
        "returned to you", "returned to sender", "being returned", "is returned", "has been returned", "was returned", "bounced", "following address(es) failed", "following addresses failed", "following recipients did not receive", "following recipient(s)", "following recipients", "following recipient cannot be reached", "delivery error", "delivery failure", "message you sent", "unable to send your", "errors occurred", "error was encountered", "the error that the other server returned", "could not be sent", "couldn't be sent", "was not accepted", "was rejected", "has been rejected", "were rejected", "remote host said", "remote server returned", "the mail server responded", "user unknown", "unknown user",
        "nicht zugestellt", "unzustellbar", "nicht zustellbar", "konnte nicht", "zustellung", "n'a pas pu être", "n'a pu être", "n'a pas été remis", "n'a pas été délivré", "non remis", "échec", "no se pudo entregar", "no pudo ser entregado", "no ha podido", "no se ha podido", "no fue entregado", "no ha sido entregado", "não foi entregue", "não pôde ser entregue", "não pode ser entregue", "não foi possível", "falha", "non è stato possibile", "non può essere", "non è stato recapitato", "impossibile", "kon niet worden", "kunde inte", "kunne ikke", "nie może zostać", "nie została dostarczona", "nie mogła", "nepodařilo se", "nem sikerült", "teslim edilemedi", "не может быть", "не удалось", "не доставлен", "не было доставлено", "ошибка",
        "配信できません", "配信できなかった", "配信されません", "配信に失敗", "届けられません", "送信できません", "送信されません", "お届けできません", "配達できません", "エラー", "无法", "未能", "失败", "退回", "無法", "失敗", "전송", "배달", "반송", "실패",
    ];
    /// A subject under which a machine answers for a person who is away, or acknowledges a mail.
    is_auto_subject: AUTO_SUBJECTS = [
        "out of office", "out of the office", "out-of-office", "out of town", "away from my", "away from the office", "automatic reply", "automatic response", "automated reply", "automated response", "auto reply", "auto-reply", "autoreply", "auto response", "auto-response", "autoresponse", "autoresponder", "auto:", "on vacation", "vacation:", "vacation reply", "vacation notice", "vacation message", "on leave", "maternity leave", "parental leave", "annual leave", "on holiday", "holiday notice", "i am away", "i'm away", "away notice", "away message", "is away", "no longer with", "no longer works", "has left the company", "new email address", "new e-mail address", "change of address", "change of email", "changed my email", "we have received your", "we've received your", "we received your", "thank you for contacting", "thank you for your email", "thank you for your message", "thanks for contacting", "ticket received", "case received", "request received", "[ooo]", "ooo:", "ooo -",
        "abwesenheit", "abwesend", "automatische antwort", "autom. antwort", "automatische rückmeldung", "nicht im büro", "nicht im hause", "im urlaub", "eingangsbestätigung", "automatische empfangsbestätigung", "réponse automatique", "absence du bureau", "absent du bureau", "message d'absence", "je suis absent", "en congé", "en vacances", "hors du bureau", "accusé de réception", "respuesta automática", "respuesta automatica", "fuera de la oficina", "fuera de oficina", "ausente", "de vacaciones", "estoy de vacaciones", "resposta automática", "resposta automatica", "ausência temporária", "ausência do escritório", "fora do escritório", "de férias", "em férias", "risposta automatica", "fuori ufficio", "fuori sede", "assente", "in ferie", "automatisch antwoord", "afwezig", "niet aanwezig", "op vakantie", "autosvar", "automatiskt svar", "frånvaro", "automatisk svar", "fraværende", "ikke til stede", "ikke på kontoret", "fravær", "poissa", "automaattinen vastaus", "lomalla", "autoodpowiedź", "automatyczna odpowiedź", "odpowiedź automatyczna", "nieobecn", "poza biurem", "automatická odpověď", "mimo kancelář", "automatikus válasz", "házon kívül", "otomatik yanıt", "otomatik cevap", "ofis dışında", "răspuns automat", "αυτόματη απάντηση", "автоответ", "автоматический ответ", "вне офиса", "в отпуске", "автоматична відповідь", "自動応答", "自動返信", "不在通知", "不在のお知らせ", "休暇", "自动回复", "自動回覆", "自动答复", "不在办公室", "외출 중", "부재 중", "부재중", "자동 회신", "자동 응답", "ตอบกลับอัตโนมัติ", "رد تلقائي", "מענה אוטומטי",
    ];
    /// A subject that thanks for a mail: a machine's, if the mail says that it was sent to many.
    is_thanks: THANKS = [
        "thank you for", "thanks for your", "we have received your", "we received your", "vielen dank für", "danke für", "merci pour", "merci de votre", "gracias por", "obrigado por", "grazie per", "bedankt voor",
    ];
    /// Words with which a machine says in the text that a person is away.
    is_auto_notice: AUTO_WORDS = [
        "i am out of the office", "i'm out of the office", "i will be out of the office", "i am currently out of", "i'm currently out of", "i am currently away", "i am on vacation", "i'm on vacation", "i am on annual leave", "i am on leave", "i will be away", "i am away from", "this is an automatic reply", "this is an automated reply", "this is an automated response", "this is an automatic response", "this is an auto-reply", "this is an auto-generated response", "automatically generated reply", "will respond to your email when i return", "limited access to email", "limited access to my email", "ich bin derzeit nicht", "ich bin zur zeit nicht", "ich bin nicht im büro", "ich bin im urlaub", "bin ich nicht im", "außer haus", "ihre nachricht wird nicht weitergeleitet", "je suis actuellement absent", "je suis absent", "je serai absent", "absent du bureau", "estoy fuera de la oficina", "estaré fuera de la oficina", "me encuentro fuera", "estou fora do escritório", "estarei ausente", "estou de férias", "sono fuori ufficio", "sarò assente", "sono assente", "ik ben afwezig", "jag är inte på kontoret", "不在にして", "休暇をいただ", "外出中", "出張中", "我不在办公室", "я в отпуске",
    ];
    /// A challenge: a machine wants to know whether the sender is a person.
    is_challenge: CHALLENGES = [
        "confirm that you are", "verify that you are", "prove that you are", "sender verification", "sender confirmation", "challenge-response", "challenge/response", "please confirm your message", "confirm your email to", "confirm that you sent", "your message is awaiting verification", "your email requires verification", "requires verification", "awaiting your confirmation", "boxbe", "spamarrest", "spam arrest", "bluebottle", "sender validation", "verify your email address so", "to be added to my approved", "approved senders list", "approved sender list", "whitelist request", "antispam uol", "antispamuol", "active spam killer", "tmda", "added to the guest list", "confirmation required for your message", "please click the link below to confirm you", "mail quarantine: sender", "waiting for your verification", "not in my list of approved", "your message is being held",
    ];
    /// Senders of a mail system's notices: the part before the @, or the display name.
    is_daemon: DAEMONS = [
        "mailer-daemon", "mailerdaemon", "mailer_daemon", "mail-daemon", "mail daemon", "maildaemon", "mailer daemon", "mailer.daemon", "postmaster", "post master", "mail delivery", "mail administrator", "mail admin", "system administrator", "email system", "e-mail system", "mail system", "mailsystem", "mailsys", "delivery subsystem", "delivery system", "delivery service", "delivery notification", "delivery status", "delivery agent", "delivery report", "mail router", "mail transfer", "microsoft exchange", "microsoftexchange329e71ec88ae4615bbc36ab6ce41109e", "microsoft outlook", "systemadministrator", "systeemadministrator", "systemadmin", "mmdf", "smtpd", "bounce", "nondeliver", "non-deliver", "undeliver", "mdaemon", "administrateur système", "administrateur du système", "administrador del sistema", "administrador do sistema", "amministratore di sistema", "systemansvarig", "mailgateway", "mail gateway", "mail server", "mailserver", "mail-server", "mail.delivery.system", "mailadm", "mail_delivery", "ndr@",
    ];
}
