//! Mail addresses in running text, and what is worth an address in a field of a report.

/// An address in a text, and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundAddress<'a> {
    pub at: usize,
    pub address: &'a str,
}

/// Every address in a text, in order.
pub fn find(text: &str) -> Vec<FoundAddress<'_>> {
    memchr::memchr_iter(b'@', text.as_bytes())
        .filter_map(|at| around(text, at))
        .collect()
}

/// The first address in a text.
pub fn first(text: &str) -> Option<&str> {
    find(text).first().map(|found| found.address)
}

/// The address around the `@` at that place.
fn around(text: &str, at: usize) -> Option<FoundAddress<'_>> {
    const LONGEST: usize = 320;
    let before = &text[..at];
    let local = match before
        .strip_suffix('"')
        .and_then(|quoted| quoted.rfind('"'))
    {
        // "quoted local part"@example.org, on one line.
        Some(quote) if at - quote < 66 && !before[quote..].contains('\n') => &before[quote..],
        _ => {
            let start = before
                .char_indices()
                .rev()
                .take(LONGEST)
                .take_while(|(_, c)| is_in_local(*c))
                .last()?
                .0;
            let local = before[start..].trim_start_matches([
                '.', '\'', '*', '-', '/', '|', '`', '{', '=', '+', '?', '!', '#',
            ]);
            // `to=ada@example.org` of a log line; a return path with the reader's address in it has more before its `=`.
            let names = [
                "to=",
                "orig_to=",
                "rcpt=",
                "recipient=",
                "addr=",
                "address=",
                "email=",
                "rcpt-to=",
                "for=",
                "smtp=",
                "dd.rfc-822=",
                "dd.rfc822=",
                "rfc-822=",
            ];
            let stripped = names.iter().find_map(|name| {
                local
                    .get(..name.len())
                    .filter(|start| start.eq_ignore_ascii_case(name))
            });
            stripped.map_or(local, |name| &local[name.len()..])
        }
    };
    let after = &text[at + 1..];
    let end = after
        .char_indices()
        .take(LONGEST)
        .find(|(_, c)| !is_in_domain(*c))
        .map_or(after.len().min(floor(after, LONGEST)), |(end, _)| end);
    let domain = after[..end].trim_end_matches(['.', '-', '_']);
    let name = domain.rsplit('.').next().unwrap_or_default();
    let good = !local.is_empty()
        && local.len() <= 200
        && domain.len() <= 253
        && domain.contains('.')
        && !domain.contains("..")
        && !local.contains("...")
        && name.chars().any(char::is_alphabetic);
    good.then(|| {
        let start = at - local.len();
        FoundAddress {
            at: start,
            address: &text[start..at + 1 + domain.len()],
        }
    })
}

fn floor(text: &str, most: usize) -> usize {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    end
}

fn is_in_local(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+/=?^_`{|}~.-".contains(c) || is_letter_beyond_ascii(c)
}

fn is_in_domain(c: char) -> bool {
    c.is_ascii_alphanumeric() || ".-_".contains(c) || is_letter_beyond_ascii(c)
}

/// Addresses beyond ASCII exist (RFC 6531), but Japanese and Chinese set no space between one and the sentence around it.
fn is_letter_beyond_ascii(c: char) -> bool {
    let alphabetic = ('\u{c0}'..'\u{2000}').contains(&c) && c.is_alphanumeric();
    alphabetic && c != '\u{d7}' && c != '\u{f7}'
}

/// The address in a field like `Final-Recipient: rfc822; <ada@example.org>`; what is there instead of one is none.
pub fn of_field(value: &str) -> Option<String> {
    let value = value
        .split_once(';')
        .map_or(value, |(_, address)| address)
        .trim();
    // RFC 6533: what is not ASCII stands there as \x{...}.
    let value = if value.contains("\\x{") {
        unescaped(value)
    } else {
        value.to_owned()
    };
    // X.400 writes an Internet address as an attribute, with (a) for the sign that it has not.
    let value = if value.contains("(a)") && !value.contains('@') {
        value.replacen("(a)", "@", 1)
    } else {
        value
    };
    if let Some(address) = first(&value) {
        return Some(address.to_owned());
    }
    let bare = value.trim_matches(['<', '>', '"', '\'', ' ', '(', ')']);
    let shape = bare
        .split_once('@')
        .is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty());
    (shape
        && bare.len() <= 320
        && !bare.contains("...")
        && !bare.chars().any(|c| c.is_whitespace() || c.is_control()))
    .then(|| bare.to_owned())
}

/// Returns whether it is an address as RFC 5321 writes it, as far as dots go: outside quotes none begins or ends the local part, or follows another.
pub fn is_well_formed(address: &str) -> bool {
    let local = address.rsplit_once('@').map_or(address, |(local, _)| local);
    local.starts_with('"')
        || !(local.starts_with('.') || local.ends_with('.') || local.contains(".."))
}

fn unescaped(value: &str) -> String {
    let mut text = String::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once("\\x{") {
        text.push_str(before);
        let Some((digits, behind)) = after.split_once('}') else {
            break;
        };
        text.extend(
            u32::from_str_radix(digits, 16)
                .ok()
                .and_then(char::from_u32),
        );
        rest = behind;
    }
    text + rest
}

/// Returns true if two addresses are one, as far as letters go.
pub fn same(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || a.to_lowercase() == b.to_lowercase()
}

#[cfg(test)]
mod tests {
    #[test]
    fn addresses_are_found_whatever_stands_around_them() {
        let all = |text| {
            super::find(text)
                .into_iter()
                .map(|found| found.address)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            all("<ada@example.org>: no; (bob@example.org), mailto:eve@example.org."),
            ["ada@example.org", "bob@example.org", "eve@example.org"]
        );
        assert_eq!(
            all("to=<a+b@example.co.uk>, orig_to=x.y@example.org"),
            ["a+b@example.co.uk", "x.y@example.org"]
        );
        assert_eq!(all("宛先ada@example.jpは存在しません"), ["ada@example.jp"]);
        assert_eq!(all("grüße@exämple.org"), ["grüße@exämple.org"]);
        assert_eq!(all("\"odd one\"@example.org"), ["\"odd one\"@example.org"]);
        assert_eq!(
            all("c=US;a= ;p=Reader;SMTP=ada@example.org;"),
            ["ada@example.org"]
        );
        assert!(all("@ a@ @b.c a@b ada@localhost @@ d...@example.org 1@2.3").is_empty());
    }

    #[test]
    fn a_reports_field_may_hold_an_address_in_many_ways() {
        let of = |value| super::of_field(value).unwrap_or_default();
        assert_eq!(of("rfc822; ada@example.org"), "ada@example.org");
        assert_eq!(of("RFC822;<Ada@Example.org> (Ada)"), "Ada@Example.org");
        assert_eq!(of("ada@localhost"), "ada@localhost");
        assert_eq!(
            of("X400; /DD.RFC-822=ada(a)example.org/O=X/C=DE/"),
            "ada@example.org"
        );
        assert_eq!(of("utf-8; gr\\x{FC}n@example.org"), "grün@example.org");
        assert_eq!(
            (of("rfc822; /C=DE/O=X"), of("unknown"), of("")),
            (String::new(), String::new(), String::new())
        );
    }
}
