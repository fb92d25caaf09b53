//! The bytes of a bundle over HTTP: which part a request asks for, and what its answer says of it.

/// Which bytes an answer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// First byte.
    pub start: u64,
    /// How many.
    pub length: u64,
    /// Length of the whole.
    pub total: u64,
    /// Whether a range was asked for.
    pub is_range: bool,
}

/// Why there is no such part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// It lies outside, or is no range.
    #[error("the range is outside of the {0} bytes of the content")]
    Outside(u64),
    /// More than one.
    #[error("one range at a time")]
    Several,
}

impl Part {
    /// What a Range header asks for, of so many bytes; all of them without one.
    ///
    /// # Errors
    /// `Outside` or `Several`.
    pub fn of(range: Option<&str>, total: u64) -> Result<Self, RangeError> {
        let Some(range) = range else { return Ok(Self { start: 0, length: total, total, is_range: false }) };
        let outside = RangeError::Outside(total);
        let ranges = http_range_header::parse_range_header(range).map_err(|_| outside)?;
        let ranges = ranges.validate(total).map_err(|_| outside)?;
        match &ranges[..] {
            // Of nothing there is no part.
            [range] if *range.end() < total => {
                let (start, length) = (*range.start(), range.end() - range.start() + 1);
                Ok(Self { start, length, total, is_range: true })
            }
            [_] => Err(outside),
            _ => Err(RangeError::Several),
        }
    }

    /// Reads it from a source that fills a buffer from an offset on, if it is no longer than `most` bytes.
    ///
    /// # Errors
    /// As the source says; `FileTooLarge` for a longer one.
    pub fn read(
        &self,
        most: u64,
        fill: impl FnOnce(u64, &mut [u8]) -> std::io::Result<()>,
    ) -> std::io::Result<Vec<u8>> {
        if self.length > most {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        let mut bytes = vec![0; self.length as usize];
        fill(self.start, &mut bytes)?;
        Ok(bytes)
    }

    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> u16 {
        if self.is_range { 206 } else { 200 }
    }

    /// The headers that go with it.
    #[must_use]
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            ("content-type", "application/octet-stream".to_owned()),
            ("content-length", self.length.to_string()),
            ("accept-ranges", "bytes".to_owned()),
        ];
        if self.is_range {
            let last = self.start + self.length - 1;
            headers.push(("content-range", format!("bytes {}-{last}/{}", self.start, self.total)));
        }
        headers
    }
}

/// Session and what is wanted of it, of an address `/SESSION/content` or `/SESSION/actions`.
#[must_use]
pub fn session_address(path: &str) -> Option<(String, &str)> {
    let (id, what) = path.strip_prefix('/')?.split_once('/')?;
    let id = percent_encoding::percent_decode_str(id).decode_utf8().ok()?;
    let is_name = !id.is_empty() && !id.starts_with('.') && !id.contains(['/', '\\', '\0']);
    is_name.then(|| (id.into_owned(), what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_one_stretch_inside_of_what_there_is() {
        let part = |range: &str, total| {
            Part::of(Some(range), total).map(|part| (part.start, part.length, part.status()))
        };
        assert_eq!(part("bytes=0-9", 100), Ok((0, 10, 206)));
        assert_eq!(part("bytes=90-200", 100), Ok((90, 10, 206)));
        assert_eq!(part("bytes=5-", 100), Ok((5, 95, 206)));
        assert_eq!(part("bytes=-5", 100), Ok((95, 5, 206)));
        assert_eq!(part("bytes=100-", 100), Err(RangeError::Outside(100)));
        assert_eq!(part("bytes=9-3", 100), Err(RangeError::Outside(100)));
        assert_eq!(part("lines=1-2", 100), Err(RangeError::Outside(100)));
        assert_eq!(part("bytes=0-1", 0), Err(RangeError::Outside(0)));
        assert!(part("bytes=0-1,5-6", 100).is_err());
        let whole = Part::of(None, 0).unwrap();
        assert_eq!((whole.length, whole.status()), (0, 200));
        let headers = Part::of(Some("bytes=2-3"), 10).unwrap().headers();
        assert!(headers.contains(&("content-range", "bytes 2-3/10".into())), "{headers:?}");
    }

    #[test]
    fn an_address_names_a_session_and_never_a_place() {
        let known = |path| session_address(path).map(|(id, what)| (id, what.to_owned()));
        let some = |id: &str, what: &str| Some((id.to_owned(), what.to_owned()));
        assert_eq!(known("/0192.live.mcap/content"), some("0192.live.mcap", "content"));
        assert_eq!(known("/my%20session.mcap/actions"), some("my session.mcap", "actions"));
        for path in [
            "",
            "/",
            "/a.mcap",
            "//content",
            "/../content",
            "/%2e%2e/content",
            "/%2Fetc/content",
            "/a%5Cb/content",
        ] {
            assert_eq!(known(path), None, "{path}");
        }
    }
}
