//! A colour of the screen, and how well text of one colour reads on another.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde::Serialize;

/// The least contrast of text that is not large (WCAG 2.2, 1.4.3).
pub const TEXT_CONTRAST: f64 = 4.5;

/// A colour of sRGB, written like `#14573a`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Colour([u8; 3]);

impl Colour {
    /// White.
    pub const WHITE: Self = Self([255; 3]);
    /// Black.
    pub const BLACK: Self = Self([0; 3]);

    /// A colour by its parts of red, green and blue.
    pub const fn new(red: u8, green: u8, blue: u8) -> Self {
        Self([red, green, blue])
    }

    /// Returns the contrast with another colour: 1 for the same, 21 for black and white (WCAG 2.2, "contrast ratio").
    pub fn contrast(self, other: Self) -> f64 {
        let (one, two) = (self.luminance(), other.luminance());
        (one.max(two) + 0.05) / (one.min(two) + 0.05)
    }

    /// Relative luminance (WCAG 2.2).
    fn luminance(self) -> f64 {
        let linear = self.0.map(|part| {
            let part = f64::from(part) / 255.0;
            if part <= 0.04045 {
                part / 12.92
            } else {
                ((part + 0.055) / 1.055).powf(2.4)
            }
        });
        0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    }

    /// Returns this colour with `percent` of another one in it.
    pub fn mixed(self, other: Self, percent: u8) -> Self {
        let share = u32::from(percent.min(100));
        let mix = |i: usize| {
            let sum = u32::from(self.0[i]) * (100 - share) + u32::from(other.0[i]) * share;
            u8::try_from((sum + 50) / 100).unwrap_or(u8::MAX)
        };
        Self([mix(0), mix(1), mix(2)])
    }

    /// Returns this colour, as much lighter as text on `ground` needs for that contrast.
    pub fn lightened(self, ground: Self, contrast: f64) -> Self {
        (0..=100)
            .map(|percent| self.mixed(Self::WHITE, percent))
            .find(|colour| colour.contrast(ground) >= contrast)
            .unwrap_or(Self::WHITE)
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

/// A text that is no colour.
#[derive(Debug, thiserror::Error)]
#[error("expected a colour like \"#14573a\"")]
pub struct InvalidColour;

impl FromStr for Colour {
    type Err = InvalidColour;

    fn from_str(text: &str) -> Result<Self, InvalidColour> {
        let digits = text.trim().strip_prefix('#').ok_or(InvalidColour)?;
        if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(InvalidColour);
        }
        let number = u32::from_str_radix(digits, 16).map_err(|_| InvalidColour)?;
        let [_, red, green, blue] = number.to_be_bytes();
        Ok(Self([red, green, blue]))
    }
}

impl TryFrom<String> for Colour {
    type Error = InvalidColour;

    fn try_from(text: String) -> Result<Self, InvalidColour> {
        text.parse()
    }
}

impl From<Colour> for String {
    fn from(colour: Colour) -> Self {
        colour.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn colour(text: &str) -> Colour {
        text.parse().expect("a colour")
    }

    #[test]
    fn contrasts_are_those_of_the_guidelines() {
        assert!((Colour::BLACK.contrast(Colour::WHITE) - 21.0).abs() < 1e-9);
        assert!((colour("#777777").contrast(Colour::WHITE) - 4.48).abs() < 0.005);
        assert!((colour("#767676").contrast(Colour::WHITE) - 4.54).abs() < 0.005);
        assert!((colour("#0000ff").contrast(Colour::WHITE) - 8.59).abs() < 0.005);
        assert_eq!(colour("#123456").contrast(colour("#123456")), 1.0);
    }

    #[test]
    fn a_colour_is_read_as_it_is_written() {
        assert_eq!(colour("#14573A").to_string(), "#14573a");
        for text in [
            "14573a", "#14573", "#14573aa", "#14573g", "#+4573a", "red", "", "#é4573",
        ] {
            assert!(text.parse::<Colour>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_colour_is_made_as_light_as_a_dark_ground_needs() {
        let ground = colour("#211d19");
        for dark in ["#000000", "#7a0019", "#14573a", "#0000ff"] {
            let light = colour(dark).lightened(ground, 7.0);
            assert!(light.contrast(ground) >= 7.0, "{light}");
            assert!(
                light.contrast(ground) < 7.6,
                "no lighter than needed: {light}"
            );
        }
        assert_eq!(colour("#ffffff").lightened(ground, 7.0), Colour::WHITE);
    }
}
