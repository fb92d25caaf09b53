//! The track table: every track with its channels, ids and schemas, as fixed by the format.
//!
//! A channel id means the same in every bundle, so a reader can make sense of a chunk even when the channel
//! records before it are lost.

use crate::messages;

/// Displays a bundle can hold.
pub const MAX_DISPLAYS: u8 = 32;
const FIRST_SCREEN_CHANNEL: u16 = 100;

/// One recorded stream as people see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Track {
    /// Pictures of display N (0-based), on two channels: keyframes and deltas.
    Screen(u8),
    /// Pointer moves, buttons, scroll.
    Pointer,
    /// Key presses and releases with the text they produced.
    Keys,
    /// The active window.
    Windows,
    /// The expert's voice.
    Narration,
    /// Markers, gaps and their ends.
    Markers,
    /// Displays and where they are.
    Geometry,
    /// Pairs of source clock and session clock.
    Clock,
    /// Life, drops and queue depth per track, each second.
    Health,
    /// How the pointer looks.
    Cursor,
    /// That something was copied.
    Clipboard,
    /// What the computer itself sounds.
    Sound,
    /// What clicks went to.
    Elements,
}

impl Track {
    /// All tracks that exist once per bundle, in the order of their channel ids.
    pub const SINGLE: [Self; 12] = [
        Self::Pointer,
        Self::Keys,
        Self::Windows,
        Self::Narration,
        Self::Markers,
        Self::Geometry,
        Self::Clock,
        Self::Health,
        Self::Cursor,
        Self::Clipboard,
        Self::Sound,
        Self::Elements,
    ];

    /// The name people see, which is also the topic: `keys`, `screen/0`.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Screen(display) => format!("screen/{display}"),
            Self::Pointer => "pointer".into(),
            Self::Keys => "keys".into(),
            Self::Windows => "windows".into(),
            Self::Narration => "narration".into(),
            Self::Markers => "markers".into(),
            Self::Geometry => "geometry".into(),
            Self::Clock => "clock".into(),
            Self::Health => "health".into(),
            Self::Cursor => "cursor".into(),
            Self::Clipboard => "clipboard".into(),
            Self::Sound => "sound".into(),
            Self::Elements => "elements".into(),
        }
    }

    /// The track of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        if let Some(display) = name.strip_prefix("screen/") {
            let display = display.parse().ok().filter(|display| *display < MAX_DISPLAYS)?;
            return Some(Self::Screen(display));
        }
        Self::SINGLE.into_iter().find(|track| track.name() == name)
    }

    /// Whether its messages are blocks of samples.
    #[must_use]
    pub fn is_audio(self) -> bool {
        matches!(self, Self::Narration | Self::Sound)
    }

    /// The channel that carries this track's ordinary messages (deltas, for a screen).
    #[must_use]
    pub fn channel(self) -> Channel {
        Channel { track: self, is_key: false }
    }

    /// The channel that carries keyframes. Only screens have one.
    #[must_use]
    pub fn key_channel(self) -> Option<Channel> {
        matches!(self, Self::Screen(_)).then_some(Channel { track: self, is_key: true })
    }
}

impl std::fmt::Display for Track {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name())
    }
}

/// One MCAP channel of a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Channel {
    /// The track it belongs to.
    pub track: Track,
    /// True for `screen/N/key`.
    pub is_key: bool,
}

impl Channel {
    /// The fixed MCAP channel id.
    #[must_use]
    pub fn id(self) -> u16 {
        match self.track {
            Track::Screen(display) => FIRST_SCREEN_CHANNEL + 2 * u16::from(display) + u16::from(self.is_key),
            Track::Pointer => 1,
            Track::Keys => 2,
            Track::Windows => 3,
            Track::Narration => 4,
            Track::Markers => 5,
            Track::Geometry => 6,
            Track::Clock => 7,
            Track::Health => 8,
            // 9 is the schema of pictures.
            Track::Cursor => 10,
            Track::Clipboard => 11,
            Track::Sound => 12,
            Track::Elements => 13,
        }
    }

    /// The channel of that id, if the format has one.
    #[must_use]
    pub fn from_id(id: u16) -> Option<Self> {
        if let Some(at) = id.checked_sub(FIRST_SCREEN_CHANNEL) {
            let display = u8::try_from(at / 2).ok().filter(|display| *display < MAX_DISPLAYS)?;
            return Some(Self { track: Track::Screen(display), is_key: at % 2 == 1 });
        }
        Track::SINGLE.into_iter().map(Track::channel).find(|channel| channel.id() == id)
    }

    /// The MCAP topic: `keys`, `screen/0`, `screen/0/key`.
    #[must_use]
    pub fn topic(self) -> String {
        let name = self.track.name();
        if self.is_key { format!("{name}/key") } else { name }
    }

    /// The schema of its messages.
    #[must_use]
    pub fn schema(self) -> Schema {
        match self.track {
            Track::Screen(_) => Schema::Screen,
            Track::Narration | Track::Sound => Schema::Narration,
            json => Schema::Json(json),
        }
    }
}

/// What the messages of a channel look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Schema {
    /// JSON text of a track.
    Json(Track),
    /// Binary screen picture.
    Screen,
    /// Binary narration block.
    Narration,
}

impl Schema {
    /// The fixed MCAP schema id: that of the track's channel, 4 for all audio, 9 for pictures.
    #[must_use]
    pub fn id(self) -> u16 {
        match self {
            Self::Json(track) => track.channel().id(),
            Self::Narration => Track::Narration.channel().id(),
            Self::Screen => 9,
        }
    }

    /// The schema's name: `praxis.Keys`.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Screen => "praxis.Screen".into(),
            Self::Narration => "praxis.Narration".into(),
            Self::Json(track) => {
                let name = track.name();
                let (first, rest) = name.split_at(1);
                format!("praxis.{}{rest}", first.to_uppercase())
            }
        }
    }

    /// MCAP schema encoding; binary tracks name the section of the format document instead.
    #[must_use]
    pub fn encoding(self) -> &'static str {
        match self {
            Self::Json(_) => "jsonschema",
            Self::Screen | Self::Narration => "praxis-binary",
        }
    }

    /// MCAP message encoding.
    #[must_use]
    pub fn message_encoding(self) -> &'static str {
        match self {
            Self::Json(_) => "json",
            Self::Screen => "praxis-screen",
            Self::Narration => "praxis-narration",
        }
    }

    /// The schema text: JSON Schema, or one line on the binary layout.
    #[must_use]
    pub fn text(self) -> String {
        let schema = match self {
            Self::Screen => {
                return "little-endian binary picture: docs/bundle-format.md, part Screen messages".into();
            }
            Self::Narration => {
                return "little-endian binary samples: docs/bundle-format.md, part Narration".into();
            }
            Self::Json(Track::Pointer) => schemars::schema_for!(messages::PointerMessage),
            Self::Json(Track::Keys) => schemars::schema_for!(messages::KeyMessage),
            Self::Json(Track::Windows) => schemars::schema_for!(messages::WindowsMessage),
            Self::Json(Track::Markers) => schemars::schema_for!(messages::MarkersMessage),
            Self::Json(Track::Geometry) => schemars::schema_for!(messages::GeometryMessage),
            Self::Json(Track::Clock) => schemars::schema_for!(messages::ClockMessage),
            Self::Json(Track::Cursor) => schemars::schema_for!(messages::CursorMessage),
            Self::Json(Track::Clipboard) => schemars::schema_for!(messages::ClipboardMessage),
            Self::Json(Track::Elements) => schemars::schema_for!(messages::ElementsMessage),
            Self::Json(_) => schemars::schema_for!(messages::HealthMessage),
        };
        serde_json::to_string(&schema).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_names_lead_back_to_the_channel() {
        let screens = (0..MAX_DISPLAYS).map(Track::Screen);
        let mut ids = std::collections::HashSet::new();
        for track in Track::SINGLE.into_iter().chain(screens) {
            assert_eq!(Track::from_name(&track.name()), Some(track));
            for channel in [Some(track.channel()), track.key_channel()].into_iter().flatten() {
                assert_eq!(Channel::from_id(channel.id()), Some(channel));
                assert!(ids.insert(channel.id()), "{} has a used id", channel.topic());
            }
        }
        assert_eq!(Channel::from_id(0), None);
        assert_eq!(Channel::from_id(9), None);
        assert_eq!(Track::from_name("screen/99"), None);
    }

    #[test]
    fn the_format_document_lists_exactly_these_channels() {
        let document = include_str!("../../docs/bundle-format.md");
        let rows: Vec<&str> = document.lines().filter(|line| line.starts_with("| `")).collect();
        for channel in Track::SINGLE.map(Track::channel) {
            let schema = channel.schema();
            let row = format!(
                "| `{}` | {} | {} | `{}` | `{}` |",
                channel.topic(),
                channel.id(),
                schema.id(),
                schema.name(),
                schema.message_encoding()
            );
            assert!(rows.iter().any(|line| line.starts_with(&row)), "docs/bundle-format.md lacks {row}");
        }
        for (topic, id) in [("screen/N", "100 + 2 N"), ("screen/N/key", "101 + 2 N")] {
            let row = format!("| `{topic}` | {id} | 9 | `praxis.Screen` | `praxis-screen` |");
            assert!(rows.iter().any(|line| line.starts_with(&row)), "docs/bundle-format.md lacks {row}");
        }
    }
}
