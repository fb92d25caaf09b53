//! The expert's settings: a small file that is replaced as a whole, and what is allowed in it.

use std::path::Path;

use praxis_bundle::file::with_suffix;
use serde::{Deserialize, Serialize};

use super::StudioError;
use crate::sources::Hotkey;

const FILE: &str = "settings.json";

/// Light or dark.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Theme {
    /// As the system says.
    #[default]
    System,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

/// Global key combinations, as `Ctrl+Alt+R`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hotkeys {
    /// Starts a recording.
    pub record: String,
    /// Pauses, or goes on.
    pub pause: String,
    /// Sets a marker.
    pub marker: String,
    /// Stops.
    pub stop: String,
}

impl Default for Hotkeys {
    fn default() -> Self {
        let key = |letter| format!("Ctrl+Alt+{letter}");
        Self { record: key("R"), pause: key("P"), marker: key("M"), stop: key("S") }
    }
}

impl Hotkeys {
    /// All of them.
    #[must_use]
    pub fn all(&self) -> [&str; 4] {
        [&self.record, &self.pause, &self.marker, &self.stop]
    }
}

/// The expert's settings. What a file does not name has its default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Names of displays that are left out.
    pub left_out: Vec<String>,
    /// Whether the voice is recorded.
    pub has_voice: bool,
    /// Name of the microphone; none means the system's default.
    pub microphone: Option<String>,
    /// Samples per second of the narration.
    pub narration_rate_hz: u32,
    /// Most pictures per second.
    pub max_fps: u32,
    /// Seconds of count-down before a recording.
    pub countdown_seconds: u32,
    /// A recording ends while this much is still free, in MiB.
    pub keep_free_mib: u32,
    /// Global key combinations.
    pub hotkeys: Hotkeys,
    /// Light or dark.
    pub theme: Theme,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            left_out: Vec::new(),
            has_voice: true,
            microphone: None,
            narration_rate_hz: 48_000,
            max_fps: 12,
            countdown_seconds: 3,
            keep_free_mib: 64,
            hotkeys: Hotkeys::default(),
            theme: Theme::System,
        }
    }
}

impl Settings {
    /// The settings in a folder; defaults where there are none. A file that cannot be read is kept aside.
    ///
    /// # Errors
    /// `Io` if it is there and cannot be read.
    pub fn load(folder: &Path) -> Result<Self, StudioError> {
        let path = folder.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(StudioError::io(format!("reading {}", path.display()))(source)),
        };
        let read: Option<Self> = serde_json::from_str(&text).ok();
        if let Some(settings) = read.filter(|settings| settings.check().is_ok()) {
            return Ok(settings);
        }
        tracing::warn!("the settings cannot be understood: defaults are used, the file is kept aside");
        let aside = with_suffix(&path, ".unreadable");
        std::fs::rename(&path, &aside)
            .map_err(StudioError::io(format!("keeping {} aside", path.display())))?;
        Ok(Self::default())
    }

    /// Keeps them.
    ///
    /// # Errors
    /// `Setting` if one of them is out of its range; `Io`.
    pub fn save(&self, folder: &Path) -> Result<(), StudioError> {
        self.check()?;
        let path = folder.join(FILE);
        let doing = || StudioError::io(format!("writing {}", path.display()));
        std::fs::create_dir_all(folder).map_err(doing())?;
        let temporary = with_suffix(&path, ".part");
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        std::fs::write(&temporary, text).map_err(doing())?;
        std::fs::rename(&temporary, &path).map_err(doing())
    }

    fn check(&self) -> Result<(), StudioError> {
        let wrong = |why: &str| Err(StudioError::Setting(why.into()));
        let keys = self.hotkeys.all();
        let is_unknown = |key: &&str| !key.is_empty() && key.parse::<Hotkey>().is_err();
        let is_twice =
            |n: usize| keys[..n].iter().any(|key| !key.is_empty() && key.eq_ignore_ascii_case(keys[n]));
        match () {
            () if !(1..=60).contains(&self.max_fps) => wrong("pictures per second: choose 1 to 60"),
            () if !(8_000..=96_000).contains(&self.narration_rate_hz) => {
                wrong("narration: choose 8,000 to 96,000 samples per second")
            }
            () if self.countdown_seconds > 10 => wrong("count-down: choose 0 to 10 seconds"),
            () if self.keep_free_mib > 1 << 24 => wrong("room to keep free: choose at most 16 TiB"),
            () if keys.iter().any(is_unknown) => {
                wrong("a hotkey is no key combination: choose one as Ctrl+Alt+R")
            }
            () if (1..keys.len()).any(is_twice) => wrong("two hotkeys are the same: choose another one"),
            () => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_loaded_and_what_is_missing_or_broken_has_its_default() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Settings::load(folder.path()).unwrap(), Settings::default());
        let changed = Settings { max_fps: 5, microphone: Some("Yeti".into()), ..Settings::default() };
        changed.save(folder.path()).unwrap();
        assert_eq!(Settings::load(folder.path()).unwrap(), changed);
        std::fs::write(folder.path().join(FILE), r#"{"max_fps": 30, "of a later version": 1}"#).unwrap();
        assert_eq!(Settings::load(folder.path()).unwrap(), Settings { max_fps: 30, ..Settings::default() });
        for broken in ["{", r#"{"max_fps": 0}"#] {
            std::fs::write(folder.path().join(FILE), broken).unwrap();
            assert_eq!(Settings::load(folder.path()).unwrap(), Settings::default());
            let kept = std::fs::read_to_string(folder.path().join("settings.json.unreadable"));
            assert_eq!(kept.unwrap(), broken);
        }
    }

    #[test]
    fn settings_out_of_range_are_refused_and_nothing_is_changed() {
        let folder = tempfile::tempdir().unwrap();
        Settings::default().save(folder.path()).unwrap();
        let mut same_keys = Settings::default();
        same_keys.hotkeys.stop = "ctrl+alt+r".into();
        for (settings, says) in [
            (Settings { max_fps: 0, ..Settings::default() }, "1 to 60"),
            (Settings { narration_rate_hz: 1, ..Settings::default() }, "8,000"),
            (Settings { countdown_seconds: 11, ..Settings::default() }, "10 seconds"),
            (same_keys, "two hotkeys"),
        ] {
            let error = settings.save(folder.path()).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        assert_eq!(Settings::load(folder.path()).unwrap(), Settings::default());
    }
}
