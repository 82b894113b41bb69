//! The reader of subscriber files.

use super::*;
use proptest::prelude::*;

fn rows(text: impl AsRef<[u8]>) -> Vec<Result<ParsedRow, UnreadableRow>> {
    let bytes = text.as_ref().to_vec();
    let mut sheet =
        Spreadsheet::open(std::io::Cursor::new(bytes), &Mapping::default()).expect("a header");
    std::iter::from_fn(|| sheet.next_row())
        .map(|row| row.expect("readable"))
        .collect()
}

#[test]
fn a_plain_file_is_read_whatever_program_wrote_it() {
    let plain = "email,name,confirmed_at,source\nada@example.org,\"Lovelace, Ada\",2026-01-02T03:04:05Z,fair\n";
    let excel = "\u{feff}email;name;confirmed_at;source\r\nada@example.org;\"Lovelace, Ada\";2026-01-02T03:04:05Z;fair\r\n";
    let row = rows(plain).remove(0).expect("good");
    assert_eq!(
        (
            row.email.as_str(),
            row.name.as_deref(),
            row.source.as_deref()
        ),
        ("ada@example.org", Some("Lovelace, Ada"), Some("fair"))
    );
    assert_eq!(rows(excel), [Ok(row)]);
}

#[test]
fn a_broken_row_is_refused_with_its_line_and_the_rest_is_read() {
    let read = rows(b"email,name,state\nada@example.org,Ad\xc3\xa4,active\nnonsense,x,\nbob@example.org\neve@example.org,\xff,\nmax@example.org,M,gone\n,x,\nzoe@example.org,,unsubscribed\n");
    let faults: Vec<(u64, &str)> = read
        .iter()
        .filter_map(|row| row.as_ref().err())
        .map(|r| (r.line, r.reason.as_str()))
        .collect();
    assert_eq!(read.iter().filter(|row| row.is_ok()).count(), 2);
    assert_eq!(
        faults.iter().map(|(line, _)| *line).collect::<Vec<_>>(),
        [3, 4, 5, 6, 7]
    );
    assert!(
        faults[1].1.contains("ends before \"state\"")
            && faults[2].1.contains("UTF-8")
            && faults[3].1.contains("pending, active")
    );
}

#[test]
fn a_file_without_addresses_is_refused_as_a_whole() {
    assert!(
        Spreadsheet::open("name,mail\n".as_bytes(), &Mapping::default())
            .err()
            .expect("refused")
            .contains("a column \"email\"")
    );
    assert!(Spreadsheet::open("".as_bytes(), &Mapping::default()).is_err());
}

#[test]
fn a_quote_that_is_never_closed_ends_the_whole_and_one_inside_a_field_is_a_letter() {
    let faults = |text: &str| {
        let mut sheet =
            Spreadsheet::open(std::io::Cursor::new(text.to_owned()), &Mapping::default())
                .expect("a header");
        std::iter::from_fn(|| sheet.next_row()).find_map(Result::err)
    };
    let rest = "r@example.org,R\n".repeat(9_000);
    assert!(
        faults(&format!(
            "email,name\na@example.org,A\n\"b@example.org,B\n{rest}"
        ))
        .is_some_and(|fault| fault.contains("line 3"))
    );
    assert!(
        faults("email,name\n\"b@example.org,B\n")
            .is_some_and(|fault| fault.contains("line 2 opens a quote"))
    );
    assert_eq!(
        faults(&format!("email,name\na@example.org,5\" pipe\n{rest}")),
        None
    );
    assert_eq!(
        faults("email,name\na@example.org,\"A \"\"B\"\"\nC\"\n"),
        None
    );
}

#[test]
fn what_a_spreadsheet_would_compute_is_written_as_text() {
    for formula in [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "'=1",
        "=cmd|'/C'!A0@example.org",
    ] {
        assert!(defused(formula).starts_with('\''), "{formula:?}");
    }
    for plain in ["Ada", "O'Neil", "'t Hooft", "", "1 + 1"] {
        assert_eq!(defused(plain), plain);
    }
}

proptest! {
    #[test]
    fn what_was_defused_is_taken_back_as_it_was(text in "['=+@a-]{0,5}.{0,3}") {
        let cell = defused(&text).into_owned();
        prop_assert_eq!(taken(&cell), text.as_str());
        prop_assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400), header: bool) {
        let mut file = if header { b"email,name,confirmed_at\n".to_vec() } else { Vec::new() };
        file.extend(&bytes);
        if let Ok(mut sheet) = Spreadsheet::open(file.as_slice(), &Mapping::default()) {
            while sheet.next_row().is_some_and(|row| row.is_ok()) {}
        }
    }
}
