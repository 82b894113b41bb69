//! `users notices` and `users mails`: what users are told, and which of it comes to them by mail.

use std::fmt::Write as _;

use serde_json::json;

use super::Output;
use crate::app::App;
use crate::app::Failure;
use crate::domain::UnknownName;
use crate::domain::actor::Actor;
use crate::domain::address::EmailAddress;
use crate::domain::user_notice::UserNoticeKind;

/// Lines of each list.
const LISTED: i64 = 50;

pub(super) fn parse_kind(text: &str) -> Result<UserNoticeKind, UnknownName> {
    text.parse()
}

pub(super) async fn list(app: &App, output: Output) -> Result<(), Failure> {
    let notices = app.storage.user_notices(None, LISTED).await?;
    let mails = app.storage.user_mails(None, LISTED).await?;
    let document = json!({
        "notices": notices.iter().map(|notice| json!({
            "kind": notice.kind, "said": notice.said, "path": notice.path, "at": notice.at,
        })).collect::<Vec<_>>(),
        "mails": mails.iter().map(|mail| json!({
            "email": mail.email, "kind": mail.kind, "state": mail.state, "at": mail.at, "reply": mail.reply,
        })).collect::<Vec<_>>(),
    });
    output.print(&document, || {
        let mut text = String::new();
        for notice in &notices {
            let at = app.local_time(notice.at);
            let _ = writeln!(text, "{at}  {}: {}", notice.kind, notice.said);
        }
        if notices.is_empty() {
            text.push_str("Nothing was told yet.\n");
        }
        for mail in &mails {
            let (at, reply) = (
                app.local_time(mail.at),
                mail.reply.as_deref().unwrap_or_default(),
            );
            let _ = writeln!(
                text,
                "{at}  mail to {}: {}, {} {reply}",
                mail.email, mail.kind, mail.state
            );
        }
        text
    })
}

pub(super) async fn choose(
    app: &App,
    email: &EmailAddress,
    off: &[UserNoticeKind],
    on: &[UserNoticeKind],
    output: Output,
) -> Result<(), Failure> {
    let user = app.user_named(email).await?;
    if !off.is_empty() || !on.is_empty() {
        let before = app.mail_choices(&user).await?;
        let wanted: Vec<UserNoticeKind> = before
            .into_iter()
            .filter(|(kind, is_on)| on.contains(kind) || (*is_on && !off.contains(kind)))
            .map(|(kind, _)| kind)
            .collect();
        app.choose_mails(&Actor::cli(), &user, &wanted).await?;
    }
    let choices = app.mail_choices(&user).await?;
    let mails: serde_json::Map<_, _> = choices
        .iter()
        .map(|(kind, is_on)| (kind.as_str().to_owned(), json!(is_on)))
        .collect();
    let document = json!({ "email": user.email.as_str(), "mails": mails });
    output.print(&document, || {
        let line = |(kind, is_on): &(UserNoticeKind, bool)| {
            let state = if *is_on { "on" } else { "off" };
            format!("{state:<3}  {:<12}  {}\n", kind.as_str(), kind.label())
        };
        choices.iter().map(line).collect()
    })
}
