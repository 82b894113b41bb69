# The daily commands; `just` alone lists them. Each is a line that can be typed without it.

export PATH := justfile_directory() / "target/tools/bin:" + env("PATH")

# Lists the recipes
default:
    @just --list --unsorted

# Starts the service on the defaults: SQLite and a mailbox folder under data/
run *arguments="serve":
    cargo run -- {{ arguments }}

# Does it compile, tests and benchmarks too?
check:
    cargo check --all-targets

# Formats the sources
fmt:
    cargo fmt

# Under three minutes after a build: format, lints, unit tests, floors, the promises of some areas on SQLite
quick:
    .ci/quick

# Every test
test:
    cargo test

# The promises whose names have this in them, on both databases: `just test-one inbound::`
test-one name:
    cargo test --test promises {{ name }}

# Every test, each in a process of its own (target/tools has cargo-nextest after .ci/provision)
nextest *arguments:
    cargo nextest run {{ arguments }}

# Writes the snapshots of mails and commands anew; `git diff tests/snapshots` shows what changed
snapshots:
    INSTA_UPDATE=always cargo test --test promises -- snapshots:: mails::

# Licences, sources and banned crates
deny:
    cargo deny check bans licenses sources

# Mails a second beside Postfix's smtp-source, or another benchmark: `just bench --bench core`
bench *arguments="--bench wire -- rates --readers 20000 --rounds 1":
    cargo bench {{ arguments }}

# All that must hold before a change lands; installs what it needs
ci:
    .ci/run

# Every mailbox server and every relay of the trials: 20 to 30 minutes
long:
    .ci/long
