//! Encode, decode, compare: every picture comes back exactly, and broken messages are refused.

use proptest::prelude::*;

use super::*;

/// What a display shows, changed by rectangles of one colour.
struct Canvas {
    width: u32,
    height: u32,
    bgrx: Vec<u8>,
}

impl Canvas {
    fn new(width: u32, height: u32) -> Self {
        Self { width, height, bgrx: vec![7; (width * height * 4) as usize] }
    }

    fn fill(&mut self, (x, y, w, h): (u32, u32, u32, u32), colour: [u8; 3]) -> (u32, u32, u32, u32) {
        let (x, y) = (x % self.width, y % self.height);
        let (w, h) = (w.clamp(1, self.width - x), h.clamp(1, self.height - y));
        for row in y..y + h {
            for column in x..x + w {
                let at = ((row * self.width + column) * 4) as usize;
                self.bgrx[at..at + 3].copy_from_slice(&colour);
            }
        }
        (x, y, w, h)
    }

    fn cut(&self, (x, y, w, h): (u32, u32, u32, u32)) -> Vec<u8> {
        let row = |row: u32| {
            let at = ((row * self.width + x) * 4) as usize;
            &self.bgrx[at..at + (w * 4) as usize]
        };
        (y..y + h).flat_map(|y| row(y).to_vec()).collect()
    }

    fn bgr(&self) -> Vec<u8> {
        self.bgrx.chunks_exact(4).flat_map(|pixel| pixel[..3].to_vec()).collect()
    }
}

fn at(nanos: u64) -> Times {
    Times { first_damage: nanos, capture_start: nanos + 1, capture_end: nanos + 2 }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn every_picture_of_a_sequence_comes_back_exactly(
        (width, height) in (1u32..150, 1u32..150),
        changes in prop::collection::vec((any::<(u16, u16, u16, u16)>(), any::<[u8; 3]>(), any::<bool>()), 1..20),
    ) {
        let mut canvas = Canvas::new(width, height);
        let mut encoder = Encoder::new(width, height).unwrap();
        let mut decoder = Decoder::new(0);
        encoder.update(0, 0, width, height, &canvas.bgrx);
        let first = encoder.keyframe(at(0));
        prop_assert_eq!(&decoder.apply(0, &first).unwrap().bgr, &canvas.bgr());
        for (n, ((x, y, w, h), colour, is_key)) in changes.into_iter().enumerate() {
            let area = canvas.fill((x.into(), y.into(), (w % 80).into(), (h % 80).into()), colour);
            encoder.update(area.0, area.1, area.2, area.3, &canvas.cut(area));
            let times = at(n as u64 * 10);
            let message = if is_key { encoder.keyframe(times) } else { encoder.delta(times) };
            let picture = decoder.apply(n as u32 + 1, &message).unwrap();
            prop_assert_eq!(&picture.bgr, &canvas.bgr());
            prop_assert_eq!(picture.times, times);
        }
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(key in prop::collection::vec(any::<u8>(), 0..200), flip in any::<(u16, u8)>()) {
        let _ = Decoder::new(0).apply(0, &key);
        let mut encoder = Encoder::new(40, 40).unwrap();
        let mut message = encoder.keyframe(at(1));
        let position = usize::from(flip.0) % message.len();
        message[position] ^= flip.1;
        let _ = Decoder::new(0).apply(0, &message);
    }
}

#[test]
fn a_delta_after_a_lost_picture_is_refused_until_the_next_keyframe() {
    let mut encoder = Encoder::new(64, 64).unwrap();
    let mut decoder = Decoder::new(0);
    let key = encoder.keyframe(at(0));
    decoder.apply(0, &key).unwrap();
    encoder.update(0, 0, 1, 1, &[1, 2, 3, 0]);
    let lost = encoder.delta(at(1));
    encoder.update(0, 0, 1, 1, &[4, 5, 6, 0]);
    let after = encoder.delta(at(2));
    assert!(matches!(decoder.apply(2, &after), Err(Error::LostPicture { needed: 1, .. })));
    assert!(decoder.picture().is_none());
    assert!(matches!(decoder.apply(1, &lost), Err(Error::LostPicture { .. })), "not even in the wrong order");
    assert!(decoder.apply(3, &key).is_ok());
}

#[test]
fn unchanged_pixels_make_no_tiles() {
    let mut encoder = Encoder::new(100, 100).unwrap();
    encoder.keyframe(at(0));
    assert_eq!(encoder.update(0, 0, 100, 100, &vec![0; 100 * 100 * 4]), 0);
    assert_eq!(encoder.update(31, 31, 2, 2, &[9; 16]), 4, "a square over the corner of four tiles");
    let message = encoder.delta(at(1));
    assert_eq!(Header::parse(&message).unwrap().0.num_ops, 4);
}

#[test]
fn displays_that_do_not_fit_are_refused_with_both_numbers() {
    let text = Encoder::new(16_384, 16_384).err().unwrap().to_string();
    assert!(text.contains("268435456") && text.contains("21000000"), "{text}");
    assert!(Encoder::new(0, 10).is_err());
}
