//! The publisher's logo: a PNG or JPEG, checked, and rid of what does not belong to the picture.
//!
//! It is not drawn anew: a picture that is decoded and encoded again loses its colour profile or its quality. Its parts are
//! walked, those that readers need are kept, and the rest (Exif with its places, comments, previews, what follows the end) is left out.

use sha2::Digest as _;
use sha2::Sha256;

/// Largest file, in bytes: it is loaded with each mail.
const BYTES_MAX: usize = 256 << 10;
/// Least and largest side, in pixels.
const SIDES: std::ops::RangeInclusive<u32> = 16..=2000;
/// Largest height and width at which it is shown, in pixels.
const SHOWN: (u32, u32) = (220, 40);
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
/// Chunks of a PNG that belong to its picture (PNG 3rd edition, 11).
const PNG_KEPT: [&[u8; 4]; 11] = [
    b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"sBIT",
    b"pHYs",
];

/// A logo as it is served.
#[derive(Debug, Clone)]
pub struct Logo {
    /// Path at which it is served. It changes with the picture, so it may be cached for ever.
    pub path: String,
    /// Its media type.
    pub kind: &'static str,
    /// The picture.
    pub bytes: Vec<u8>,
    /// Words in its place.
    pub alt: String,
    /// Width at which it is shown, in pixels.
    pub width: u32,
    /// Height at which it is shown, in pixels.
    pub height: u32,
}

/// A file that cannot be a logo, as a sentence without its end.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct LogoFault(String);

fn fault<T>(words: impl Into<String>) -> Result<T, LogoFault> {
    Err(LogoFault(words.into()))
}

/// A picture without what does not belong to it, and its sides.
struct Cleaned {
    bytes: Vec<u8>,
    sides: (u32, u32),
}

impl Logo {
    /// Checks and cleans a file's bytes.
    pub fn read(bytes: &[u8], alt: &str) -> Result<Self, LogoFault> {
        if bytes.len() > BYTES_MAX {
            return fault(format!(
                "the file has {} KiB, and at most {} are taken: each reader loads it",
                bytes.len().div_ceil(1024),
                BYTES_MAX >> 10
            ));
        }
        let (kind, ending, cleaned) = if bytes.starts_with(PNG) {
            ("image/png", "png", png(bytes))
        } else if bytes.starts_with(&[0xff, 0xd8, 0xff]) {
            ("image/jpeg", "jpg", jpeg(bytes))
        } else if is_svg(bytes) {
            return fault(
                "the file is an SVG, which mail programs do not show and which can hold scripts; export it as PNG",
            );
        } else {
            return fault("expected a PNG or JPEG file");
        };
        let Some(Cleaned { bytes, sides }) = cleaned else {
            return fault(format!("the {} file is damaged", ending.to_uppercase()));
        };
        let (width, height) = sides;
        if !SIDES.contains(&width) || !SIDES.contains(&height) {
            return fault(format!(
                "the picture has {width} by {height} pixels; each side needs {} to {}",
                SIDES.start(),
                SIDES.end()
            ));
        }
        let hash = Sha256::digest(&bytes);
        let hash = data_encoding::HEXLOWER.encode(&hash[..6]);
        let (width, height) = shown(sides);
        Ok(Self {
            path: format!("/assets/logo-{hash}.{ending}"),
            kind,
            bytes,
            alt: alt.to_owned(),
            width,
            height,
        })
    }

    /// The picture itself as an address, for frames that may ask nobody for anything.
    pub(super) fn data_url(&self) -> String {
        let text = data_encoding::BASE64.encode(&self.bytes);
        format!("data:{};base64,{text}", self.kind)
    }
}

/// Returns the size at which a picture is shown: never larger than it is.
fn shown((width, height): (u32, u32)) -> (u32, u32) {
    let (most_wide, most_high) = SHOWN;
    let (w, h) = if height > most_high {
        (width * most_high / height, most_high)
    } else {
        (width, height)
    };
    if w > most_wide {
        (most_wide, (h * most_wide / w).max(1))
    } else {
        (w.max(1), h)
    }
}

/// The start of an XML document, or of an SVG without one.
fn is_svg(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(1024)];
    let text = String::from_utf8_lossy(head).to_lowercase();
    text.contains("<svg")
        || text
            .trim_start_matches('\u{feff}')
            .trim_start()
            .starts_with("<?xml")
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let part = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(part.try_into().ok()?))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let part = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes(part.try_into().ok()?))
}

/// Walks the chunks of a PNG: length, name, data, checksum.
fn png(bytes: &[u8]) -> Option<Cleaned> {
    let mut kept = PNG.to_vec();
    let mut at = PNG.len();
    let mut sides = None;
    let mut has_data = false;
    loop {
        let length = usize::try_from(u32_at(bytes, at)?).ok()?;
        let end = at.checked_add(12)?.checked_add(length)?;
        let chunk = bytes.get(at..end)?;
        let name = &chunk[4..8];
        if (sides.is_none()) != (name == b"IHDR") {
            return None;
        }
        match name {
            b"IHDR" if length == 13 => sides = Some((u32_at(chunk, 8)?, u32_at(chunk, 12)?)),
            b"IHDR" => return None,
            b"IDAT" => has_data = true,
            _ => {}
        }
        if u32_at(chunk, length + 8)? != checksum(&chunk[4..length + 8]) {
            return None;
        }
        if PNG_KEPT.iter().any(|known| known.as_slice() == name) {
            kept.extend_from_slice(chunk);
        }
        if name == b"IEND" {
            let sides = sides.filter(|_| has_data)?;
            return Some(Cleaned { bytes: kept, sides });
        }
        at = end;
    }
}

/// CRC-32 of a chunk (PNG 3rd edition, 5.5), bit by bit: a logo is read once.
fn checksum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            (sum >> 1) ^ (0xedb8_8320 * (sum & 1))
        })
    })
}

/// Walks the segments of a JPEG (ITU-T T.81, annex B). Of those of applications it keeps JFIF, colour profile and Adobe's.
fn jpeg(bytes: &[u8]) -> Option<Cleaned> {
    let mut kept = bytes.get(..2)?.to_vec();
    let mut at = 2;
    let mut sides = None;
    loop {
        if *bytes.get(at)? != 0xff {
            return None;
        }
        let marker = *bytes.get(at + 1)?;
        // A marker may be preceded by any number of fill bytes.
        if marker == 0xff {
            at += 1;
            continue;
        }
        if marker == 0xd9 {
            kept.extend_from_slice(&[0xff, 0xd9]);
            return Some(Cleaned {
                bytes: kept,
                sides: sides?,
            });
        }
        let length = usize::from(u16_at(bytes, at + 2)?);
        let end = at.checked_add(2)?.checked_add(length)?;
        let segment = bytes.get(at..end).filter(|_| length >= 2)?;
        match marker {
            // Start of frame; C4, C8 and CC are other tables.
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                let (height, width) = (u16_at(segment, 5)?, u16_at(segment, 7)?);
                sides = Some((width.into(), height.into()));
                kept.extend_from_slice(segment);
            }
            0xe1 | 0xe3..=0xed | 0xef | 0xfe => {}
            _ => kept.extend_from_slice(segment),
        }
        at = end;
        if marker == 0xda {
            let scan = scan_length(&bytes[at..])?;
            kept.extend_from_slice(&bytes[at..at + scan]);
            at += scan;
        }
    }
}

/// Returns how long the data of a scan are: up to a marker that is neither a stuffed zero nor a restart.
fn scan_length(bytes: &[u8]) -> Option<usize> {
    let is_end = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0x00 | 0xd0..=0xd7 | 0xff);
    bytes.windows(2).position(is_end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
        let mut chunk = u32::try_from(data.len())
            .expect("short")
            .to_be_bytes()
            .to_vec();
        chunk.extend_from_slice(name);
        chunk.extend_from_slice(data);
        let sum = checksum(&chunk[4..]);
        chunk.extend_from_slice(&sum.to_be_bytes());
        chunk
    }

    fn small_png(width: u32, height: u32, more: &[Vec<u8>]) -> Vec<u8> {
        let mut head = width.to_be_bytes().to_vec();
        head.extend_from_slice(&height.to_be_bytes());
        head.extend_from_slice(&[8, 0, 0, 0, 0]);
        let mut parts = vec![PNG.to_vec(), chunk(b"IHDR", &head)];
        parts.extend_from_slice(more);
        parts.extend([chunk(b"IDAT", b"data"), chunk(b"IEND", b"")]);
        parts.concat()
    }

    fn small_jpeg() -> Vec<u8> {
        [
            &b"\xff\xd8\xff\xe0\x00\x04JF"[..],
            b"\xff\xe1\x00\x0aExif:GPS",
            b"\xff\xfe\x00\x08secret",
            b"\xff\xff\xc0\x00\x0b\x08\x00\x40\x00\x80\x01\x01\x11\x00",
            b"\xff\xda\x00\x02scan\xff\x00more\xff\xd0end",
            b"\xff\xd9what follows",
        ]
        .concat()
    }

    #[test]
    fn the_checksum_is_the_standards() {
        assert_eq!(checksum(b"IEND"), 0xae42_6082);
        assert_eq!(checksum(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn what_does_not_belong_to_a_picture_is_left_out() {
        let places = [chunk(b"eXIf", b"GPS"), chunk(b"tEXt", b"Author\0Ada")];
        let mut file = small_png(640, 160, &places);
        file.extend_from_slice(b"<script>");
        let logo = Logo::read(&file, "Acme").expect("a logo");
        assert_eq!(logo.bytes, small_png(640, 160, &[]));
        assert_eq!((logo.kind, logo.width, logo.height), ("image/png", 160, 40));
        assert!(logo.path.starts_with("/assets/logo-") && logo.path.ends_with(".png"));

        let logo = Logo::read(&small_jpeg(), "Acme").expect("a logo");
        let text = String::from_utf8_lossy(&logo.bytes).into_owned();
        for gone in ["Exif", "GPS", "secret", "follows"] {
            assert!(!text.contains(gone), "{gone}");
        }
        assert!(text.contains("scan") && text.contains("end"));
        assert_eq!((logo.kind, logo.width, logo.height), ("image/jpeg", 80, 40));
    }

    #[test]
    fn what_is_no_picture_or_too_large_is_refused() {
        let said = |bytes: &[u8]| Logo::read(bytes, "x").expect_err("refused").to_string();
        assert!(said(b"<?xml version=\"1.0\"?><svg onload=\"x\"/>").contains("SVG"));
        assert!(said(b"\n <svg xmlns='http://www.w3.org/2000/svg'/>").contains("SVG"));
        assert!(said(b"GIF89a").contains("PNG or JPEG"));
        assert!(said(b"").contains("PNG or JPEG"));
        assert!(said(&small_png(8, 100, &[])).contains("8 by 100"));
        assert!(said(&small_png(2001, 100, &[])).contains("2001 by 100"));
        assert!(said(&vec![0; BYTES_MAX + 1]).contains("257 KiB"));
        let whole = small_png(100, 100, &[]);
        for cut in PNG.len()..whole.len() {
            assert!(said(&whole[..cut]).contains("damaged"), "{cut}");
        }
        let mut turned = whole;
        let last = turned.len() - 20;
        turned[last] ^= 1;
        assert!(said(&turned).contains("damaged"));
        let whole = small_jpeg();
        let end = whole.len() - "what follows".len();
        for cut in 3..end {
            assert!(said(&whole[..cut]).contains("damaged"), "{cut}");
        }
    }
}
