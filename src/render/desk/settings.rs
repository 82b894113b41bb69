//! The settings at the desk.

use askama::Template;

use super::DeskFrame;
use crate::render::RenderError;

/// A setting.
pub struct SettingLine {
    /// Key.
    pub key: String,
    /// Effect, of those that can be set.
    pub words: &'static str,
    /// Value in force.
    pub value: String,
    /// Value where nobody sets one, if it is another.
    pub default: Option<String>,
    /// Origin.
    pub origin: String,
    /// Address of its form, if it can be set now.
    pub href: Option<String>,
    /// True if a change needs a restart.
    pub needs_restart: bool,
}

/// Settings of one section.
pub struct SettingSection {
    /// Its name.
    pub name: String,
    /// Settings that may be set at the desk.
    pub open: Vec<SettingLine>,
    /// The others.
    pub fixed: Vec<SettingLine>,
}

#[derive(Template)]
#[template(path = "desk/settings.html", whitespace = "minimize")]
struct SettingsPage<'a> {
    frame: DeskFrame<'a>,
    sections: Vec<SettingSection>,
}

/// Every setting.
pub fn settings(
    frame: DeskFrame<'_>,
    sections: Vec<SettingSection>,
) -> Result<String, RenderError> {
    Ok(SettingsPage { frame, sections }.render()?)
}

/// Form of one setting.
pub struct SettingForm {
    /// Key.
    pub key: &'static str,
    /// Effect.
    pub words: &'static str,
    /// Value as it is typed.
    pub value: String,
    /// Hint for filling it in.
    pub hint: &'static str,
    /// Values to choose from; none: any.
    pub choices: &'static [&'static str],
    /// Value where nobody sets one.
    pub default: String,
    /// True if the desk sets it.
    pub is_set: bool,
    /// True if a change needs a restart.
    pub needs_restart: bool,
    /// Reason why it was not saved.
    pub problem: Option<String>,
}

#[derive(Template)]
#[template(path = "desk/setting.html", whitespace = "minimize")]
struct SettingPage<'a> {
    frame: DeskFrame<'a>,
    form: SettingForm,
}

/// The form of one setting.
pub fn setting(frame: DeskFrame<'_>, form: SettingForm) -> Result<String, RenderError> {
    Ok(SettingPage { frame, form }.render()?)
}
