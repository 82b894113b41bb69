//! Examples at the end of each `--help` and man page. A test parses each by the same commands.

use clap::Command;

/// Commands with their examples; a group shows the first two of what is in it.
pub(super) const EXAMPLES: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "verdicts serve",
            "verdicts --json digest list",
            "verdicts --utc digest show 2026-W48",
        ],
    ),
    (
        "serve",
        &[
            "verdicts serve",
            "verdicts --config /etc/verdicts/verdicts.toml serve --role web,schedule",
        ],
    ),
    ("migrate", &["verdicts migrate"]),
    ("catalog check", &["verdicts catalog check catalogue/"]),
    (
        "catalog import",
        &[
            "verdicts catalog import tools.toml",
            "verdicts catalog import catalogue/ --replace",
        ],
    ),
    ("catalog list", &["verdicts catalog list"]),
    (
        "catalog export",
        &["verdicts catalog export catalogue.toml"],
    ),
    ("catalog remove", &["verdicts catalog remove example-tool"]),
    ("catalog drop-sample", &["verdicts catalog drop-sample"]),
    (
        "digest pick",
        &[
            "verdicts digest pick",
            "verdicts digest pick --as-of 2026-12-01T09:00:00Z",
        ],
    ),
    (
        "digest preview",
        &["verdicts digest preview --out preview/"],
    ),
    ("digest draft", &["verdicts digest draft"]),
    (
        "digest edit",
        &[
            "verdicts digest edit 2026-W49 --leave-out a-vs-b --subject '{answer}: {pair}'",
            "verdicts digest edit --introduction introduction.md",
        ],
    ),
    (
        "digest correct",
        &["verdicts digest correct 2026-W49 --note 'The entry price is 9 EUR.' --with-catalogue"],
    ),
    (
        "digest send",
        &[
            "verdicts digest send",
            "verdicts digest send --to me@example.org",
            "verdicts digest send 2026-W49 --yes",
        ],
    ),
    ("digest list", &["verdicts digest list"]),
    ("digest show", &["verdicts digest show 2026-W49"]),
    ("digest results", &["verdicts digest results 2026-W49"]),
    ("digest ledger", &["verdicts digest ledger 2026-W49"]),
    ("digest approve", &["verdicts digest approve 2026-W49"]),
    (
        "digest send-back",
        &["verdicts digest send-back 2026-W49 --note 'The second comparison is old.'"],
    ),
    (
        "digest skip",
        &["verdicts digest skip 2026-W52 --reason 'Holidays'"],
    ),
    ("digest notes", &["verdicts digest notes 2026-W49"]),
    (
        "digest review-link",
        &["verdicts digest review-link 2026-W49"],
    ),
    (
        "digest test-group",
        &["verdicts digest test-group ada@example.org grace@example.org"],
    ),
    ("digest withdraw", &["verdicts digest withdraw 2026-W49"]),
    ("digest pause", &["verdicts digest pause 2026-W49"]),
    (
        "digest resume",
        &[
            "verdicts digest resume 2026-W49",
            "verdicts digest resume --accept-gap",
        ],
    ),
    ("digest cancel", &["verdicts digest cancel 2026-W49"]),
    (
        "digest audit",
        &["verdicts digest audit", "verdicts digest audit 2026-W49"],
    ),
    (
        "subscribers import",
        &[
            "verdicts subscribers import members.csv --consent 'Ghost, form on example.org' --confirmed --dry-run",
            "verdicts subscribers import list.csv --consent 'At the fair' --map email=Mail,name=2 --refused refused.csv",
        ],
    ),
    (
        "subscribers export",
        &["verdicts subscribers export subscribers.csv"],
    ),
    ("subscribers segments", &["verdicts subscribers segments"]),
    ("subscribers list", &["verdicts subscribers list"]),
    ("subscribers count", &["verdicts subscribers count"]),
    ("subscribers growth", &["verdicts subscribers growth"]),
    (
        "subscribers show",
        &["verdicts subscribers show ada@example.org"],
    ),
    (
        "subscribers add",
        &["verdicts subscribers add ada@example.org --consent 'By letter'"],
    ),
    (
        "subscribers unsubscribe",
        &[
            "verdicts subscribers unsubscribe ada@example.org",
            "verdicts subscribers unsubscribe --tokens access.log",
        ],
    ),
    (
        "subscribers edit",
        &["verdicts subscribers edit ada@example.org --end-pause"],
    ),
    (
        "subscribers resend",
        &["verdicts subscribers resend ada@example.org"],
    ),
    (
        "subscribers data",
        &["verdicts subscribers data ada@example.org"],
    ),
    (
        "subscribers reports",
        &["verdicts subscribers reports ada@example.org"],
    ),
    (
        "subscribers suppressed",
        &["verdicts subscribers suppressed"],
    ),
    (
        "subscribers lift",
        &["verdicts subscribers lift ada@example.org --note 'New mailbox, by phone'"],
    ),
    (
        "subscribers erase",
        &["verdicts subscribers erase ada@example.org"],
    ),
    ("tokens list", &["verdicts tokens list"]),
    (
        "tokens add",
        &[
            "verdicts tokens add dashboard --scopes read",
            "verdicts tokens add publisher --scopes read,digests:write --user ada@example.org",
        ],
    ),
    ("tokens rotate", &["verdicts tokens rotate t-x1"]),
    ("tokens revoke", &["verdicts tokens revoke t-x1"]),
    ("sources list", &["verdicts sources list"]),
    (
        "sources add",
        &["verdicts sources add panel https://panel.example.org/feed.xml --kind feed"],
    ),
    ("sources edit", &["verdicts sources edit panel --every 2h"]),
    ("sources remove", &["verdicts sources remove panel"]),
    ("sources pull", &["verdicts sources pull panel"]),
    ("sources pause", &["verdicts sources pause panel"]),
    ("sources resume", &["verdicts sources resume panel"]),
    ("proposals list", &["verdicts proposals list"]),
    ("proposals show", &["verdicts proposals show p-x1"]),
    ("proposals accept", &["verdicts proposals accept p-x1"]),
    ("proposals reject", &["verdicts proposals reject p-x1"]),
    ("webhooks list", &["verdicts webhooks list"]),
    (
        "webhooks add",
        &["verdicts webhooks add crm https://crm.example.org/hook --kinds digest.sent"],
    ),
    (
        "webhooks edit",
        &["verdicts webhooks edit crm --url https://crm.example.org/other"],
    ),
    ("webhooks remove", &["verdicts webhooks remove crm"]),
    ("webhooks test", &["verdicts webhooks test crm"]),
    ("webhooks rotate", &["verdicts webhooks rotate crm"]),
    ("webhooks enable", &["verdicts webhooks enable crm"]),
    ("webhooks disable", &["verdicts webhooks disable crm"]),
    (
        "webhooks deliveries",
        &["verdicts webhooks deliveries crm --state failed"],
    ),
    (
        "webhooks replay",
        &["verdicts webhooks replay crm --from 2026-11-24T09:00:00Z"],
    ),
    ("events list", &["verdicts events list --limit 20"]),
    ("users setup", &["verdicts users setup"]),
    ("users list", &["verdicts users list"]),
    (
        "users add",
        &["verdicts users add ada@example.org --role editor"],
    ),
    ("users role", &["verdicts users role ada@example.org owner"]),
    ("users disable", &["verdicts users disable ada@example.org"]),
    ("users enable", &["verdicts users enable ada@example.org"]),
    (
        "users reset-password",
        &["verdicts users reset-password ada@example.org"],
    ),
    (
        "users reset-second-factor",
        &["verdicts users reset-second-factor ada@example.org"],
    ),
    (
        "users passkeys",
        &["verdicts users passkeys ada@example.org"],
    ),
    (
        "users remove-passkey",
        &["verdicts users remove-passkey ada@example.org 1"],
    ),
    (
        "users identities",
        &["verdicts users identities ada@example.org"],
    ),
    (
        "users link",
        &["verdicts users link ada@example.org https://id.example.org 248289761001"],
    ),
    ("users unlink", &["verdicts users unlink ada@example.org 1"]),
    ("users notices", &["verdicts users notices"]),
    ("users mails", &["verdicts users mails ada@example.org"]),
    (
        "users sign-out",
        &["verdicts users sign-out ada@example.org"],
    ),
    (
        "inbound",
        &["verdicts inbound bounce.eml", "verdicts inbound --apply -"],
    ),
    ("bounces list", &["verdicts bounces list"]),
    ("bounces count", &["verdicts bounces count 2026-W49"]),
    ("bounces refused", &["verdicts bounces refused 2026-W49"]),
    ("bounces accept", &["verdicts bounces accept example.org"]),
    ("bounces dismiss", &["verdicts bounces dismiss example.org"]),
    ("relays list", &["verdicts relays list"]),
    ("relays try", &["verdicts relays try first"]),
    ("dns", &["verdicts dns", "verdicts dns --now"]),
    (
        "audit list",
        &[
            "verdicts audit list --what digest.approved",
            "verdicts audit list --limit 20",
        ],
    ),
    ("audit export", &["verdicts audit export"]),
    ("audit verify", &["verdicts audit verify"]),
    ("keys dkim", &["verdicts keys dkim --out dkim.pem"]),
    ("keys secret", &["verdicts keys secret --accept-loss"]),
    ("doctor", &["verdicts doctor", "verdicts doctor --support"]),
    ("config", &["verdicts config", "verdicts --json config"]),
    ("config set", &["verdicts config set picker.max_items 4"]),
    ("config unset", &["verdicts config unset picker.max_items"]),
    (
        "backup",
        &[
            "verdicts backup /var/backups/verdicts-2026-12-01.tar.zst",
            "verdicts backup backup.age --encrypt age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p",
            "verdicts backup --verify /var/backups/verdicts-2026-12-01.tar.zst",
        ],
    ),
    (
        "restore",
        &[
            "verdicts restore backup.tar.zst",
            "verdicts restore backup.age --identity key.txt --into restored/",
        ],
    ),
    (
        "health",
        &[
            "verdicts health",
            "verdicts health --url https://example.org/readyz",
        ],
    ),
    (
        "completions",
        &["verdicts completions bash", "verdicts completions zsh"],
    ),
    ("man", &["verdicts man --out /usr/local/share/man/man1"]),
];

/// Puts the examples behind the help of each command.
pub(super) fn add(command: Command) -> Command {
    add_below(command, "")
}

fn add_below(command: Command, path: &str) -> Command {
    let own = EXAMPLES.iter().find(|(known, _)| *known == path);
    let below = EXAMPLES.iter().filter(|(known, _)| {
        known
            .strip_prefix(path)
            .is_some_and(|rest| rest.starts_with(' '))
    });
    let lines: Vec<&str> = match own {
        Some((_, lines)) => lines.to_vec(),
        None => below
            .filter_map(|(_, lines)| lines.first().copied())
            .take(2)
            .collect(),
    };
    let names: Vec<String> = command
        .get_subcommands()
        .map(|below| below.get_name().to_owned())
        .collect();
    let command = names.iter().fold(command, |command, name| {
        let path = format!("{path} {name}").trim_start().to_owned();
        command.mut_subcommand(name, |below| add_below(below, &path))
    });
    if lines.is_empty() {
        return command;
    }
    command.after_help(format!("Examples:\n  {}", lines.join("\n  ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words of a command line, with single quotes as a shell reads them.
    fn words(line: &str) -> Vec<String> {
        let mut words = Vec::new();
        for (index, part) in line.split('\'').enumerate() {
            match index % 2 {
                0 => words.extend(part.split_whitespace().map(str::to_owned)),
                _ => words.push(part.to_owned()),
            }
        }
        words
    }

    fn without(command: &Command, path: &str, found: &mut Vec<String>) {
        if command.get_after_help().is_none() {
            found.push(path.to_owned());
        }
        for below in command.get_subcommands() {
            without(below, &format!("{path} {}", below.get_name()), found);
        }
    }

    #[test]
    fn every_help_ends_with_an_example_that_the_command_takes() {
        let command = super::super::command();
        let mut found = Vec::new();
        without(&command, "verdicts", &mut found);
        assert_eq!(found, [""; 0], "each needs a line in src/cli/examples.rs");
        for (path, lines) in EXAMPLES {
            assert!(!lines.is_empty(), "{path}");
            for line in *lines {
                let begins = format!("verdicts {path}");
                let names = words(line);
                let bare: Vec<&String> = names
                    .iter()
                    .filter(|word| !word.starts_with("--json") && !word.starts_with("--utc"))
                    .collect();
                let rest = bare
                    .iter()
                    .map(|word| word.as_str())
                    .collect::<Vec<_>>()
                    .join(" ");
                let rest = rest.replace("--config /etc/verdicts/verdicts.toml ", "");
                assert!(rest.starts_with(begins.trim()), "{line} is no {path}");
                if let Err(error) = super::super::command().try_get_matches_from(&names) {
                    panic!("{line}: {error}");
                }
            }
        }
    }
}
