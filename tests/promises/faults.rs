//! The list of faults that were found by trying, and the tests that hold their mending.

use std::collections::HashSet;
use std::path::Path;

/// Functions and `#[test]`s by name, in every Rust file below `folder`.
fn functions_below(folder: &Path, found: &mut HashSet<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            functions_below(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = std::fs::read_to_string(&path).expect("a file");
            let names = text
                .split("fn ")
                .skip(1)
                .filter_map(|rest| rest.split(['(', '<']).next());
            found.extend(names.map(|name| name.trim().to_owned()));
        }
    }
}

#[test]
fn each_fault_that_was_found_names_a_test_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut functions = HashSet::new();
    functions_below(&root.join("tests"), &mut functions);
    functions_below(&root.join("src"), &mut functions);
    let table = std::fs::read_to_string(root.join("tests/faults.tsv")).expect("the table");
    for line in table.lines().skip(1) {
        let [fault, tests, _commit, holds] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("four columns in {line:?}")
        };
        assert!(!holds.is_empty(), "{fault} says what holds now");
        for test in tests.split(", ") {
            let name = test.rsplit("::").next().unwrap_or(test);
            assert!(
                functions.contains(name) || root.join(test).exists(),
                "{fault}: there is no test {test}"
            );
        }
    }
}
