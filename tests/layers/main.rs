//! The floors of the house: an import may only point down, rooms of one floor never name each other, and each library has
//! its home.

mod functions;
mod pages;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use syn::visit;
use syn::visit::Visit;

/// From the ground up.
const FLOORS: [&[&str]; 6] = [
    &["domain"],
    &["config", "telemetry", "dial"],
    &[
        "storage", "render", "mail", "identity", "outside", "content",
    ],
    &["app"],
    &["web", "schedule", "inbox"],
    &["cli"],
];

/// Libraries that may be named in one room only, or in a few.
const HOMES: [(&str, &str); 31] = [
    ("sqlx", "storage"),
    ("askama", "render"),
    ("pulldown_cmark", "render"),
    ("resvg", "render"),
    ("skrifa", "render"),
    ("lettre", "mail"),
    ("mail_parser", "mail"),
    ("mail_auth", "mail"),
    ("aws_lc_rs", "mail outside"),
    ("psl", "mail"),
    ("tokio_rustls", "dial mail"),
    ("webpki", "dial mail"),
    ("axum", "web"),
    ("utoipa", "web"),
    ("axum_extra", "web"),
    ("tower_http", "web"),
    ("tokio_cron_scheduler", "schedule"),
    ("clap", "cli"),
    ("clap_complete", "cli"),
    ("clap_mangen", "cli"),
    ("tar", "app"),
    ("zstd", "app"),
    ("zip", "app"),
    ("feed_rs", "content"),
    ("scraper", "content"),
    ("ego_tree", "content"),
    ("argon2", "identity"),
    ("totp_rs", "identity"),
    ("webauthn_rs", "identity"),
    ("openidconnect", "identity"),
    ("qrcode", "identity"),
];

/// What the ground floor must do without.
const NOT_IN_DOMAIN: [&str; 5] = ["tokio", "std::fs", "std::net::Tcp", "async fn", "::now("];

fn floor_of(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// Every file of a room, with its text less comments.
fn rooms() -> Vec<(String, PathBuf, String)> {
    let mut files = Vec::new();
    sources(Path::new("src"), &mut files);
    let code = |path: &PathBuf| {
        let text = fs::read_to_string(path).expect("a source");
        text.lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .collect::<Vec<_>>()
            .join("\n")
    };
    let room = |path: &PathBuf| {
        path.iter()
            .nth(1)
            .expect("a room")
            .to_string_lossy()
            .trim_end_matches(".rs")
            .to_owned()
    };
    files
        .into_iter()
        .filter(|path| path.components().count() > 2)
        .map(|path| (room(&path), path.clone(), code(&path)))
        .collect()
}

#[test]
fn an_import_points_down_and_never_sideways() {
    let rooms = rooms();
    assert!(rooms.len() > 40, "the sources were found");
    for (room, path, code) in &rooms {
        let here =
            floor_of(room).unwrap_or_else(|| panic!("{} stands on no floor", path.display()));
        for named in code.split("crate::").skip(1) {
            let named: String = named
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            let Some(there) = floor_of(&named) else {
                continue;
            };
            assert!(
                &named == room || there < here,
                "{} names {named}, which is not below {room}",
                path.display()
            );
        }
    }
}

#[test]
fn a_library_is_named_in_its_home_only() {
    for (room, path, code) in rooms() {
        for (library, home) in HOMES {
            let names =
                code.contains(&format!("{library}::")) || code.contains(&format!("use {library};"));
            assert!(
                home.split(' ').any(|home| home == room) || !names,
                "{} names {library}, whose home is {home}",
                path.display()
            );
        }
    }
}

/// A name with a dead address before a good one is met at every door, so there is one way out of the house.
#[test]
fn connections_to_other_hosts_are_made_in_one_place() {
    for (room, path, code) in rooms() {
        for word in [
            "TcpStream::connect",
            "TcpSocket::",
            "lookup_host",
            "to_socket_addrs",
            "ToSocketAddrs",
        ] {
            let is_test = path
                .file_name()
                .is_some_and(|name| name.to_string_lossy().ends_with("tests.rs"));
            assert!(
                room == "dial" || is_test || !code.contains(word),
                "{} has {word}: use dial::Destination",
                path.display()
            );
        }
    }
}

#[test]
fn the_ground_floor_has_no_doors_and_no_clock() {
    for (_, path, code) in rooms().into_iter().filter(|(room, ..)| room == "domain") {
        for word in NOT_IN_DOMAIN {
            assert!(!code.contains(word), "{} has {word}", path.display());
        }
    }
}

/// Upper bound on the lines of a file.
const LINES_MAX: usize = 450;

/// Files that are longer still, with a length beyond which they must not grow. A file that is split leaves this list.
const LONGER: [(&str, usize); 6] = [
    ("src/app/issue/digests.rs", 560),
    ("src/app/mod.rs", 480),
    ("src/storage/ledger/batches.rs", 465),
    ("src/storage/refusals.rs", 480),
    ("tests/promises/carrying_over.rs", 640),
    ("tests/promises/plans/mod.rs", 482),
];

#[test]
fn a_file_is_short_enough_to_be_read() {
    let mut files = Vec::new();
    for dir in ["src", "tests", "benches"] {
        sources(Path::new(dir), &mut files);
    }
    assert!(files.len() > 400, "the sources were found");
    let too_long: Vec<String> = files
        .iter()
        .filter_map(|path| {
            let most = LONGER
                .iter()
                .find(|(longer, _)| path == Path::new(longer))
                .map_or(LINES_MAX, |(_, most)| *most);
            let lines = fs::read_to_string(path).expect("a source").lines().count();
            (lines > most).then(|| format!("{}: {lines} lines of {most}", path.display()))
        })
        .collect();
    assert!(
        too_long.is_empty(),
        "split by what they hold: {too_long:#?}"
    );
}

/// One source file, parsed, and the path of its module: `["app", "issue", "digests"]`.
fn parsed() -> Vec<(Vec<String>, PathBuf, syn::File)> {
    let mut files = Vec::new();
    sources(Path::new("src"), &mut files);
    let module = |path: &Path| {
        let mut parts: Vec<String> = path
            .with_extension("")
            .iter()
            .skip(1)
            .map(|part| part.to_string_lossy().into_owned())
            .collect();
        parts.pop_if(|last| last == "mod");
        parts
    };
    files
        .into_iter()
        .filter(|path| !path.to_string_lossy().contains("test"))
        .map(|path| {
            let text = fs::read_to_string(&path).expect("a source");
            let file = syn::parse_file(&text).expect("a source that compiles");
            (module(&path), path, file)
        })
        .collect()
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Ident>()
                .is_ok_and(|of| of == "test")
    })
}

/// Names of types that one file defines, and modules that it names, without what is compiled for tests alone.
#[derive(Default)]
struct Names {
    types: Vec<String>,
    paths: Vec<Vec<String>>,
}

impl Names {
    /// Takes in `a::{b, c::d}` as `a::b` and `a::c::d`.
    fn take_use(&mut self, tree: &syn::UseTree, before: &[String]) {
        match tree {
            syn::UseTree::Path(path) => {
                let before = [before, &[path.ident.to_string()]].concat();
                self.take_use(&path.tree, &before);
            }
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.take_use(tree, before);
                }
            }
            syn::UseTree::Name(name) => {
                self.paths
                    .push([before, &[name.ident.to_string()]].concat());
            }
            syn::UseTree::Rename(name) => {
                self.paths
                    .push([before, &[name.ident.to_string()]].concat());
            }
            syn::UseTree::Glob(_) => self.paths.push(before.to_vec()),
        }
    }
}

impl<'ast> Visit<'ast> for Names {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.types.push(item.ident.to_string());
        visit::visit_item_struct(self, item);
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.types.push(item.ident.to_string());
        visit::visit_item_enum(self, item);
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.types.push(item.ident.to_string());
        visit::visit_item_trait(self, item);
    }

    fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
        self.types.push(item.ident.to_string());
        visit::visit_item_type(self, item);
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.take_use(&item.tree, &[]);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments = path.segments.iter();
        self.paths
            .push(segments.map(|part| part.ident.to_string()).collect());
        visit::visit_path(self, path);
    }
}

/// A name that stands for two things has to be looked up each time it is read.
#[test]
fn no_two_types_share_a_name() {
    let mut homes: BTreeMap<String, BTreeSet<PathBuf>> = BTreeMap::new();
    for (_, path, file) in parsed() {
        let mut names = Names::default();
        names.visit_file(&file);
        for name in names.types {
            homes.entry(name).or_default().insert(path.clone());
        }
    }
    assert!(homes.len() > 500, "the types were found");
    homes.retain(|_, paths| paths.len() > 1);
    assert!(homes.is_empty(), "give each a name of its own: {homes:#?}");
}

/// The part of a room that a module belongs to: its folder, or its file where it is in none.
fn part_of(module: &[String], parts: &BTreeSet<Vec<String>>) -> Option<Vec<String>> {
    let part = module.get(..2)?.to_vec();
    parts.contains(&part).then_some(part)
}

/// Resolves `crate::...` and `super::...` as they stand in a module.
fn resolved(path: &[String], module: &[String]) -> Option<Vec<String>> {
    let above = path.iter().take_while(|part| *part == "super").count();
    match path.first()?.as_str() {
        "crate" => Some(path[1..].to_vec()),
        "super" => {
            let base = module.get(..module.len().checked_sub(above)?)?;
            Some([base, &path[above..]].concat())
        }
        _ => None,
    }
}

/// Parts that need one another can only be understood together.
#[test]
fn parts_of_a_room_import_each_other_one_way() {
    let files = parsed();
    let parts: BTreeSet<Vec<String>> = files
        .iter()
        .filter_map(|(module, ..)| module.get(..2).map(<[String]>::to_vec))
        .collect();
    let mut imports: BTreeMap<Vec<String>, BTreeSet<Vec<String>>> = BTreeMap::new();
    for (module, _, file) in &files {
        let Some(here) = part_of(module, &parts) else {
            continue;
        };
        let mut names = Names::default();
        names.visit_file(file);
        let there = names.paths.iter();
        let there = there.filter_map(|path| part_of(&resolved(path, module)?, &parts));
        let there: BTreeSet<Vec<String>> = there
            .filter(|there| *there != here && there[0] == here[0])
            .collect();
        imports.entry(here).or_default().extend(there);
    }
    assert!(
        imports.values().map(BTreeSet::len).sum::<usize>() > 100,
        "the imports were found"
    );
    // What imports nothing that is left cannot be on a circle; in the end only circles, and what leads into them, are left.
    while let Some(leaf) = imports
        .iter()
        .find(|(_, there)| there.iter().all(|there| !imports.contains_key(there)))
        .map(|(part, _)| part.clone())
    {
        imports.remove(&leaf);
    }
    let left: Vec<String> = imports
        .iter()
        .map(|(part, there)| {
            let there: Vec<String> = there
                .iter()
                .filter(|there| imports.contains_key(*there))
                .map(|there| there.join("::"))
                .collect();
            format!("{} imports {}", part.join("::"), there.join(", "))
        })
        .collect();
    assert!(left.is_empty(), "these lead in circles: {left:#?}");
}

/// A page that names a file or a type which has moved on misleads whoever reads it first.
#[test]
fn the_places_that_the_pages_name_exist() {
    let files = parsed();
    let mut types = BTreeSet::new();
    for (_, _, file) in &files {
        let mut names = Names::default();
        names.visit_file(file);
        types.extend(names.types);
    }
    let mut missing = Vec::new();
    for page in ["ARCHITECTURE.md", "docs/GLOSSARY.md"] {
        let text = fs::read_to_string(page).expect("a page");
        for place in text.split('`').skip(1).step_by(2) {
            let room = place.split('/').next().unwrap_or_default();
            let is_path = place.contains('/') && floor_of(room).is_some();
            let is_type = page.ends_with("GLOSSARY.md")
                && place.starts_with(char::is_uppercase)
                && place.contains(char::is_lowercase)
                && place.chars().all(char::is_alphanumeric);
            let path = Path::new("src").join(place);
            let exists =
                path.exists() || path.with_extension("rs").exists() || Path::new(place).exists();
            // Codes and other enums are made by the macro `named!`, which a parser does not look into.
            let is_named = |place: &str| {
                files.iter().any(|(_, path, _)| {
                    fs::read_to_string(path)
                        .is_ok_and(|text| text.contains(&format!("    {place} {{")))
                })
            };
            if is_path && !exists || is_type && !types.contains(place) && !is_named(place) {
                missing.push(format!("{page}: {place}"));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}
