//! Words of the command line, whole: `--help` of every command and the main outputs, held against `tests/snapshots/cli`. `just snapshots`
//! writes them anew; read the difference before you commit it.

use crate::support::Program;
use crate::support::TestDb;
use crate::support::catalogue;
use crate::support::this_week;

/// What differs from run to run, and what stands in its place.
const MASKS: [(&str, &str); 11] = [
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z?", "[moment]"),
    (r"\d{4}-\d\d-\d\d( \d\d:\d\d(:\d\d)?)?", "[moment]"),
    (r"\d{4}-W\d\d", "[week]"),
    (r"/\S*/\.tmp[A-Za-z0-9]+", "[folder]"),
    (r"\d+\.\d points", "[n] points"),
    (r"\d+ a minute", "[n] a minute"),
    (r"\b\d+ (bytes|KB)\b", "[n] $1"),
    (r#""id": "[a-z0-9]{26}""#, r#""id": "[id]""#),
    // By the hour of the week, and by what the machine and the build have.
    (r"(?m)^   [a-z ]+; the panel", "   [age]; the panel"),
    (r"(?m)^good    (time_zones|compiled_data) .*\n", ""),
    (r"(?m)^.* UTC \|.*\n", ""),
];

/// Holds a text against its snapshot.
fn matches_snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots/cli");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    MASKS
        .iter()
        .for_each(|(pattern, mask)| settings.add_filter(pattern, *mask));
    settings.bind(|| insta::assert_snapshot!(name, text));
}

fn help_of(program: &Program, command: &[String], found: &mut Vec<(String, String)>) {
    let mut arguments: Vec<&str> = command.iter().map(String::as_str).collect();
    arguments.push("--help");
    let text = program.run(&arguments).good().out;
    let listed = text.split("\nCommands:\n").nth(1).unwrap_or_default();
    let names = listed
        .lines()
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  "));
    let names: Vec<String> = names
        .filter(|line| !line.starts_with(' '))
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .filter(|name| name != "help")
        .collect();
    found.push((command.join(" "), text));
    for name in names {
        help_of(program, &[command, &[name]].concat(), found);
    }
}

#[test]
fn the_help_of_every_command_is_what_it_was() {
    let test_db = TestDb::sqlite();
    let mut found = Vec::new();
    help_of(&Program::in_place(&test_db), &[], &mut found);
    assert!(found.len() > 30, "{} commands", found.len());
    let top = |command: &str| command.split(' ').next().unwrap_or_default().to_owned();
    let mut at = 0;
    while at < found.len() {
        let group: Vec<_> = found[at..]
            .iter()
            .take_while(|(command, _)| top(command) == top(&found[at].0))
            .collect();
        let text: String = group
            .iter()
            .map(|(command, text)| {
                format!(
                    "$ {} --help\n{text}\n",
                    format!("verdicts {command}").trim_end()
                )
            })
            .collect();
        matches_snapshot(
            format!("help-{}", top(&found[at].0)).trim_end_matches('-'),
            &text,
        );
        at += group.len();
    }
}

#[test]
fn the_main_outputs_are_what_they_were() {
    let test_db = TestDb::sqlite();
    let program = Program::set_up(&test_db)
        .with("VERDICTS_MAIL__FROM", "news@verdicts.example")
        .with("VERDICTS_MAIL__TRANSPORT", "mailbox:mailbox")
        .with("VERDICTS_MAIL__RESOLVER", "127.0.0.1:9")
        .with("VERDICTS_LOG", "off");
    let an_hour_ago = verdicts::app::Clock::system().now();
    program.write("catalog.toml", catalogue::small(5, an_hour_ago));
    program.write(
        "people.csv",
        "email\nada@reader.example\ngrace@reader.example\nno address\n",
    );
    let week = this_week();
    let told = |name: &str, commands: &[&[&str]]| {
        let said: String = commands
            .iter()
            .map(|command| {
                let said = program.run(command);
                format!(
                    "$ verdicts {}\n{}{}exit code {}\n\n",
                    command.join(" "),
                    said.out,
                    said.err,
                    said.code
                )
            })
            .collect();
        matches_snapshot(name, &said);
    };
    told(
        "catalog",
        &[
            &["catalog", "check", "catalog.toml"],
            &["catalog", "import", "catalog.toml"],
            &["catalog", "check", "nowhere.toml"],
        ],
    );
    told(
        "subscribers",
        &[
            &[
                "subscribers",
                "import",
                "people.csv",
                "--consent",
                "at the fair",
                "--confirmed",
            ],
            &[
                "subscribers",
                "add",
                "carol@reader.example",
                "--consent",
                "by letter",
            ],
            &["subscribers", "add", "no address", "--consent", "by letter"],
            &["subscribers", "list"],
            &["subscribers", "show", "ada@reader.example"],
            &["--json", "subscribers", "show", "ada@reader.example"],
            &["subscribers", "show", "nobody@reader.example"],
        ],
    );
    told(
        "digest",
        &[
            &["digest", "list"],
            &["digest", "pick"],
            &["digest", "send", "--yes", "--force"],
            &["digest", "show", &week],
            &["digest", "list"],
            &["digest", "audit"],
            &["digest", "cancel", &week],
            &["digest", "show", "1999-W01"],
        ],
    );
    told("doctor", &[&["doctor"]]);
    told(
        "others",
        &[
            &["migrate"],
            &["bounces", "list"],
            &["inbound", "nowhere.eml"],
            &["keys", "secret"],
            &["subscribers", "erase", "ada@reader.example"],
            &["frobnicate"],
            &["digest", "frobnicate"],
            &["--config", "nowhere.toml", "config"],
        ],
    );
}
