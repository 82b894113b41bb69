//! Settings from files: `VERDICTS_SECTION__KEY_FILE` names one, and `$CREDENTIALS_DIRECTORY` holds one for each key.
//!
//! So a secret reaches the process without standing in its environment, which `/proc` and `docker inspect` show: containers mount
//! secrets as files, and systemd hands credentials over in a folder (systemd.exec(5), LoadCredential). An empty file counts as not set,
//! for a unit names credentials that need not be there (`SetCredential=site.secret:`).

use std::path::Path;

use figment::Figment;
use figment::value::Value;

use super::ConfigError;

/// Largest file that is read.
const SIZE_MAX: u64 = 256 << 10;
/// Variable in which systemd names the folder of credentials.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";
const SUFFIX: &str = "_FILE";

/// Variables as the program got them, with the content of each file that they name in place of its name; and behind, as (key, text, file),
/// the credentials.
pub(super) struct GivenValues {
    pub(super) variables: Vec<(String, String)>,
    pub(super) credentials: Vec<(String, String, String)>,
}

/// Reads the files that variables name.
///
/// # Errors
/// A sentence that names the variable: its file cannot be read, or the key is set twice.
pub(super) fn read(
    defaults: &Figment,
    variables: impl Iterator<Item = (String, String)>,
) -> Result<GivenValues, ConfigError> {
    let given: Vec<(String, String)> = variables.collect();
    let mut values = GivenValues {
        variables: Vec::new(),
        credentials: Vec::new(),
    };
    for (name, text) in &given {
        if name == CREDENTIALS {
            values.credentials = credentials(defaults, Path::new(text))?;
            continue;
        }
        let Some(plain) = plain_name(defaults, name) else {
            values.variables.push((name.clone(), text.clone()));
            continue;
        };
        if given.iter().any(|(other, _)| other == plain) {
            return Err(ConfigError(format!(
                "The environment variables {plain} and {name} set the same key: keep one of them."
            )));
        }
        if text.is_empty() {
            continue;
        }
        let content = content(Path::new(text)).map_err(|why| {
            ConfigError(format!(
                "The environment variable {name}: the file {text} {why}."
            ))
        })?;
        if !content.is_empty() {
            values.variables.push((plain.to_owned(), content));
        }
    }
    Ok(values)
}

/// Returns the name without `_FILE`, where that makes it a setting's and it is none itself (`mail.dkim` has a `key_file`).
fn plain_name<'a>(defaults: &Figment, name: &'a str) -> Option<&'a str> {
    let plain = name.strip_suffix(SUFFIX)?;
    let key = |name: &str| {
        let path = name.strip_prefix("VERDICTS_")?;
        path.contains("__")
            .then(|| super::webhooks_in::new_name(path.to_lowercase().replace("__", ".")))
    };
    let is_setting = |key: String| defaults.find_value(&key).is_ok();
    (key(plain).is_some_and(is_setting) && !key(name).is_some_and(is_setting)).then_some(plain)
}

/// The credentials whose names are keys. Others are left alone, as keys that `mail.dkim` names by their path; one that begins like a key
/// and is none is a slip.
fn credentials(
    defaults: &Figment,
    folder: &Path,
) -> Result<Vec<(String, String, String)>, ConfigError> {
    let fault =
        |words: String| ConfigError(format!("The credentials in {}: {words}.", folder.display()));
    let entries = std::fs::read_dir(folder)
        .map_err(|error| fault(format!("they cannot be read ({error})")))?;
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort_unstable();
    let mut found = Vec::new();
    for name in names {
        let Some((section, _)) = name.split_once('.') else {
            continue;
        };
        match defaults.find_value(&name) {
            Ok(Value::Dict(..)) | Err(_) if defaults.find_value(section).is_ok() => {
                return Err(fault(format!(
                    "{name} is no setting; `verdicts config` lists them all"
                )));
            }
            Ok(_) => {}
            Err(_) => continue,
        }
        let file = folder.join(&name);
        let text = content(&file).map_err(|why| fault(format!("{name} {why}")))?;
        if !text.is_empty() {
            found.push((name, text, file.display().to_string()));
        }
    }
    Ok(found)
}

/// The file's text without the newline at its end.
fn content(file: &Path) -> Result<String, String> {
    let size = std::fs::metadata(file).map_err(|error| format!("cannot be read ({error})"))?;
    if size.len() > SIZE_MAX {
        return Err("is larger than 256 KiB".into());
    }
    let text =
        std::fs::read_to_string(file).map_err(|error| format!("cannot be read ({error})"))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
