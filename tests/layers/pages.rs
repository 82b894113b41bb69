//! Links between the pages of the documentation.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;

/// The pages at the top and below `docs`.
fn pages() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut dirs = vec![PathBuf::from("docs")];
    let is_page = |path: &Path| path.extension().is_some_and(|ending| ending == "md");
    let top = fs::read_dir(".").expect("the project");
    found.extend(top.map(|entry| PathBuf::from(entry.expect("an entry").file_name())));
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.retain(|path| is_page(path));
    found
}

/// Text outside of code blocks.
fn prose(text: &str) -> String {
    let mut is_code = false;
    text.lines()
        .filter(|line| {
            let fence = line.trim_start().starts_with("```");
            is_code ^= fence;
            !is_code && !fence
        })
        .collect::<Vec<_>>()
        .join("\n")
}

/// The name by which GitHub and mdBook link to a heading.
fn anchor(heading: &str) -> String {
    heading
        .trim()
        .to_lowercase()
        .chars()
        .filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'))
        .map(|letter| if letter == ' ' { '-' } else { letter })
        .collect()
}

/// `docs/../README.md` as `README.md`.
fn normal(path: &Path) -> PathBuf {
    let mut parts = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                parts.pop();
            }
            Component::CurDir => {}
            part => parts.push(part),
        }
    }
    parts
}

#[test]
fn each_link_of_a_page_leads_somewhere() {
    let texts: BTreeMap<PathBuf, String> = pages()
        .into_iter()
        .map(|path| {
            let text = prose(&fs::read_to_string(&path).expect("a page"));
            (path, text)
        })
        .collect();
    let anchors = |path: &Path| -> BTreeSet<String> {
        let lines = texts.get(path).into_iter().flat_map(|text| text.lines());
        lines
            .filter(|line| line.starts_with('#'))
            .map(|line| anchor(line.trim_start_matches('#')))
            .collect()
    };
    let (mut links, mut broken) = (0, Vec::new());
    for (page, text) in &texts {
        for rest in text.split("](").skip(1) {
            let Some((link, _)) = rest.split_once(')') else {
                continue;
            };
            if link.contains(':') || link.contains(char::is_whitespace) {
                continue;
            }
            links += 1;
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() {
                page.clone()
            } else {
                normal(&page.parent().unwrap_or(Path::new("")).join(file))
            };
            let is_known = heading.is_empty() || anchors(&target).contains(heading);
            if !target.exists() || !is_known {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(links > 50, "the links were found");
    assert!(broken.is_empty(), "{broken:#?}");
}
