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

fn snapshot((x_px, y_px, width_px, height_px): (u32, u32, u32, u32), pixels: &[u8]) -> Snapshot<'_> {
    Snapshot { x_px, y_px, width_px, height_px, pixels }
}

fn whole(canvas: &Canvas) -> Snapshot<'_> {
    snapshot((0, 0, canvas.width, canvas.height), &canvas.bgrx)
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
        let (mut decoder, mut sequence) = (Decoder::new(0), 0);
        encoder.update(&[whole(&canvas)]);
        let first = encoder.keyframe(at(0));
        prop_assert_eq!(&decoder.apply(0, &first).unwrap().bgr, &canvas.bgr());
        for (n, ((x, y, w, h), colour, is_key)) in changes.into_iter().enumerate() {
            let area = canvas.fill((x.into(), y.into(), (w % 80).into(), (h % 80).into()), colour);
            encoder.update(&[snapshot(area, &canvas.cut(area))]);
            let times = at(n as u64 * 10);
            let message = if is_key { Some(encoder.keyframe(times)) } else { encoder.delta(times) };
            let Some(message) = message else {
                prop_assert_eq!(&decoder.picture().unwrap().bgr, &canvas.bgr());
                continue;
            };
            sequence += 1;
            let picture = decoder.apply(sequence, &message).unwrap();
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
    encoder.update(&[snapshot((0, 0, 1, 1), &[1, 2, 3, 0])]);
    let lost = encoder.delta(at(1)).unwrap();
    encoder.update(&[snapshot((0, 0, 1, 1), &[4, 5, 6, 0])]);
    let after = encoder.delta(at(2)).unwrap();
    assert!(matches!(decoder.apply(2, &after), Err(Error::LostPicture { needed: 1, .. })));
    assert!(decoder.picture().is_none());
    assert!(matches!(decoder.apply(1, &lost), Err(Error::LostPicture { .. })), "not even in the wrong order");
    assert!(decoder.apply(3, &key).is_ok());
}

#[test]
fn unchanged_pixels_make_no_tiles() {
    let mut encoder = Encoder::new(100, 100).unwrap();
    encoder.keyframe(at(0));
    assert_eq!(encoder.update(&[snapshot((0, 0, 100, 100), &[0; 100 * 100 * 4])]), 0);
    assert_eq!(
        encoder.update(&[snapshot((31, 31, 2, 2), &[9; 16])]),
        4,
        "a square over the corner of four tiles"
    );
    let message = encoder.delta(at(1)).unwrap();
    assert_eq!(Header::parse(&message).unwrap().0.num_ops, 4);
}

#[test]
fn displays_that_do_not_fit_are_refused_with_both_numbers() {
    let text = Encoder::new(16_384, 16_384).err().unwrap().to_string();
    assert!(text.contains("268435456") && text.contains("21000000"), "{text}");
    assert!(Encoder::new(0, 10).is_err());
}

/// Random numbers that are the same each time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, bound: u32) -> u32 {
        (self.next() % u64::from(bound)) as u32
    }
}

impl Canvas {
    /// Rows of marks that look like text: no two alike.
    fn write_text(&mut self, (x, y, w, h): (u32, u32, u32, u32), random: &mut Random) {
        for row in y..y + h {
            for column in x..x + w {
                let is_ink = row % 14 < 9 && random.next().is_multiple_of(3);
                self.fill((column, row, 1, 1), if is_ink { [20, 20, 20] } else { [250, 250, 250] });
            }
        }
    }

    fn write_noise(&mut self, (x, y, w, h): (u32, u32, u32, u32), random: &mut Random) {
        for row in y..y + h {
            for column in x..x + w {
                let bytes = random.next().to_le_bytes();
                self.fill((column, row, 1, 1), [bytes[0], bytes[1], bytes[2]]);
            }
        }
    }

    /// Shows what is in an area somewhere else as well.
    fn copy(&mut self, (x, y, w, h): (u32, u32, u32, u32), to_x: u32, to_y: u32) {
        let before = self.bgrx.clone();
        for row in 0..h {
            let from = (((y + row) * self.width + x) * 4) as usize;
            let to = (((to_y + row) * self.width + to_x) * 4) as usize;
            let bytes = (w * 4) as usize;
            self.bgrx[to..to + bytes].copy_from_slice(&before[from..from + bytes]);
        }
    }
}

/// What a message is made of: copies, tiles, lossy rectangles.
fn counts(message: &[u8]) -> (usize, usize, usize) {
    let (header, bytes) = Header::parse(message).unwrap();
    operations(&header, bytes).fold((0, 0, 0), |(copies, tiles, lossy), operation| match operation.unwrap() {
        Operation::Copy(_) => (copies + 1, tiles, lossy),
        Operation::Tile { .. } => (copies, tiles + 1, lossy),
        Operation::Lossy { .. } => (copies, tiles, lossy + 1),
    })
}

/// Every tile that is said to be exact is; returns how many are not said to be.
fn assert_exact(picture: &Picture, canvas: &Canvas) -> usize {
    let (shown, across) = (canvas.bgr(), canvas.width.div_ceil(TILE_PX));
    for (tile, _) in picture.is_lossy.iter().enumerate().filter(|(_, is_lossy)| !**is_lossy) {
        let area = Area::of_tile(tile as u32 % across, tile as u32 / across, canvas.width, canvas.height);
        for y in area.y..area.bottom() {
            let start = ((y * canvas.width + area.x) * 3) as usize;
            let row = start..start + area.width as usize * 3;
            assert_eq!(picture.bgr[row.clone()], shown[row], "tile {tile}, row {y}");
        }
    }
    picture.num_lossy_tiles()
}

#[test]
fn scrolled_text_and_a_dragged_window_are_copied() {
    let mut random = Random(1);
    let mut canvas = Canvas::new(640, 480);
    canvas.write_text((0, 0, 640, 480), &mut random);
    let mut encoder = Encoder::new(640, 480).unwrap();
    let mut decoder = Decoder::new(0);
    encoder.update(&[whole(&canvas)]);
    decoder.apply(0, &encoder.keyframe(at(0))).unwrap();
    // Scrolled by 45 rows below a bar of 21 rows: everything moves but the bar; what is new is at the bottom.
    canvas.copy((0, 66, 640, 414), 0, 21);
    canvas.write_text((0, 435, 640, 45), &mut random);
    assert!(encoder.update(&[whole(&canvas)]) > 280);
    let message = encoder.delta(at(1)).unwrap();
    let (copies, tiles, lossy) = counts(&message);
    assert!(copies > 0 && tiles <= 2 * 20 && lossy == 0, "{copies} copies, {tiles} tiles");
    assert_exact(decoder.apply(1, &message).unwrap(), &canvas);
    // A window moved aside and down, by an odd distance.
    canvas.write_text((100, 100, 200, 150), &mut random);
    encoder.update(&[whole(&canvas)]);
    decoder.apply(2, &encoder.delta(at(2)).unwrap()).unwrap();
    canvas.copy((100, 100, 200, 150), 113, 107);
    encoder.update(&[whole(&canvas)]);
    let message = encoder.delta(at(3)).unwrap();
    let (copies, tiles, _) = counts(&message);
    assert!(copies > 0 && tiles < 20, "{copies} copies, {tiles} tiles");
    assert_exact(decoder.apply(3, &message).unwrap(), &canvas);
}

#[test]
fn scrolling_is_found_right_after_a_scroll_bar_has_faded() {
    let mut random = Random(2);
    let mut canvas = Canvas::new(640, 480);
    canvas.write_text((0, 0, 640, 480), &mut random);
    let mut encoder = Encoder::new(640, 480).unwrap();
    encoder.update(&[whole(&canvas)]);
    encoder.keyframe(at(0));
    for n in 0..20 {
        canvas.fill((630, 0, 8, 480), [250 - 10 * n; 3]);
        encoder.update(&[whole(&canvas)]);
        encoder.delta(at(1 + u64::from(n))).unwrap();
    }
    canvas.copy((0, 12, 620, 468), 0, 0);
    encoder.update(&[whole(&canvas)]);
    let (copies, tiles, _) = counts(&encoder.delta(at(30)).unwrap());
    assert!(copies > 0 && tiles <= 2 * 20, "{copies} copies, {tiles} tiles");
}

#[test]
fn random_changes_of_every_kind_come_back_exactly_but_where_they_are_said_not_to() {
    for seed in 0..24 {
        let mut random = Random(seed);
        let (width, height) = (40 + random.below(300), 40 + random.below(200));
        let mut canvas = Canvas::new(width, height);
        let mut encoder = Encoder::new(width, height).unwrap();
        if seed % 2 == 0 {
            encoder = encoder.with_governor();
        }
        let (mut decoder, mut sequence, mut now) = (Decoder::new(0), 0, 0);
        encoder.update(&[whole(&canvas)]);
        decoder.apply(0, &encoder.keyframe(at(0))).unwrap();
        for _ in 0..40 {
            now += 1_000_000 * u64::from(1 + random.below(200));
            let (x, y) = (random.below(width - 20), random.below(height - 20));
            let (w, h) = (1 + random.below(width - x), 1 + random.below(height - y));
            match random.below(5) {
                0 => drop(canvas.fill((x, y, w, h), [random.next() as u8; 3])),
                1 => canvas.write_noise((x, y, w, h), &mut random),
                2 => canvas.write_text((x, y, w, h), &mut random),
                _ => canvas.copy((x, y, w, h), random.below(width - w + 1), random.below(height - h + 1)),
            }
            // As one snapshot, or as two halves that part anywhere.
            let cut = 1 + random.below(height - 1);
            let (upper, lower) = ((0, 0, width, cut), (0, cut, width, height - cut));
            let (upper_pixels, lower_pixels) = (canvas.cut(upper), canvas.cut(lower));
            match random.below(2) {
                0 => encoder.update(&[whole(&canvas)]),
                _ => encoder.update(&[snapshot(upper, &upper_pixels), snapshot(lower, &lower_pixels)]),
            };
            // Now and then two changes go into one message.
            let message = match random.below(8) {
                0 => continue,
                1 => Some(encoder.keyframe(at(now))),
                _ => encoder.delta(at(now)),
            };
            if let Some(message) = message {
                sequence += 1;
                decoder.apply(sequence, &message).unwrap();
            }
            let num_lossy = assert_exact(decoder.picture().unwrap(), &canvas);
            assert!(num_lossy == 0 || seed % 2 == 0, "seed {seed}");
        }
    }
}

#[test]
fn a_film_becomes_lossy_text_beside_it_does_not_and_all_is_exact_soon_after_the_end() {
    // Lossy rectangles come with every third picture: one of these films ends with one.
    (120..123).for_each(show_film);
}

fn show_film(num_frames: u64) {
    const FRAME: u64 = 83_333_333;
    let mut random = Random(3);
    let mut canvas = Canvas::new(800, 480);
    let film = (32, 32, 512, 320);
    canvas.write_text((560, 32, 200, 300), &mut random);
    let mut encoder = Encoder::new(800, 480).unwrap().with_governor();
    let (mut decoder, mut sequence, mut bytes, mut most_lossy, mut copies) = (Decoder::new(0), 0, 0, 0, 0);
    encoder.update(&[whole(&canvas)]);
    decoder.apply(0, &encoder.keyframe(at(0))).unwrap();
    for frame in 1..=num_frames {
        canvas.write_noise(film, &mut random);
        if frame == num_frames {
            // Something from beside it is shown over the film: copied, and perhaps covered by the film's lossy rectangle.
            encoder.search_again();
            canvas.copy((576, 64, 160, 192), 96, 64);
        }
        // Someone types beside the film.
        if frame % 2 == 0 {
            canvas.write_text((560 + (frame as u32 % 19) * 10, 400, 9, 14), &mut random);
        }
        encoder.update(&[whole(&canvas)]);
        if let Some(message) = encoder.delta(at(frame * FRAME)) {
            sequence += 1;
            decoder.apply(sequence, &message).unwrap();
            // Noise does not compress: what is sent is what is stored. The last five seconds.
            bytes += if frame + 60 > num_frames { message.len() } else { 0 };
            copies += counts(&message).0;
        }
        let picture = decoder.picture().unwrap();
        most_lossy = most_lossy.max(assert_exact(picture, &canvas));
        let is_in_film = |tile: usize| (tile % 25) < 17 && tile / 25 < 11;
        let outside =
            (0..picture.is_lossy.len()).filter(|tile| picture.is_lossy[*tile] && !is_in_film(*tile));
        assert_eq!(outside.count(), 0, "text became lossy in frame {frame}");
    }
    assert_eq!(most_lossy, 16 * 10, "all of the film and nothing else");
    assert!(bytes < 5 * 1_000_000, "{bytes} bytes in five seconds");
    assert!(copies > 0, "nothing was copied");
    // The film stops. The recorder looks every 200 ms.
    let end = num_frames * FRAME;
    for wait in [200_000_000, 400_000_000] {
        if let Some(message) = encoder.delta(at(end + wait)) {
            sequence += 1;
            decoder.apply(sequence, &message).unwrap();
        }
    }
    assert_eq!(assert_exact(decoder.picture().unwrap(), &canvas), 0, "exact within half a second");
    assert!(!encoder.is_dirty());
}

#[test]
fn what_the_operations_may_not_do_is_refused() {
    let mut encoder = Encoder::new(100, 70).unwrap();
    let key = encoder.keyframe(at(0));
    let delta = |operations: &[&[u8]]| {
        let mut message = Vec::new();
        let num_ops = operations.len() as u32;
        Header { is_key: false, width_px: 100, height_px: 70, times: at(1), num_ops }.write(&mut message);
        operations.iter().for_each(|operation| message.extend_from_slice(operation));
        message
    };
    let copy = |to: Area, from_x, from_y| {
        let mut out = Vec::new();
        operation::write_copy(&mut out, &Copy { to, from_x, from_y });
        out
    };
    let area = |x, y, width, height| Area { x, y, width, height };
    let jpeg = {
        let pixels = vec![90; 64 * 32 * 4];
        lossy::encode(tile::Bgrx { width: 64, bytes: &pixels }, area(0, 0, 64, 32)).unwrap()
    };
    let lossy = |tiles: Area, jpeg: &[u8]| {
        let mut out = Vec::new();
        operation::write_lossy(&mut out, tiles, jpeg);
        out
    };
    let apply = |message: &[u8]| {
        let mut decoder = Decoder::new(0);
        decoder.apply(0, &key).unwrap();
        decoder.apply(1, message).map(Picture::num_lossy_tiles).map_err(|error| error.to_string())
    };
    let fine = copy(area(0, 0, 100, 35), 0, 35);
    assert_eq!(apply(&delta(&[&fine, &lossy(area(1, 0, 2, 1), &jpeg)])), Ok(2));
    let mut lossy_base = Decoder::new(0);
    lossy_base.apply(0, &key).unwrap();
    lossy_base.apply(1, &delta(&[&lossy(area(1, 0, 2, 1), &jpeg)])).unwrap();
    assert!(
        lossy_base
            .apply(2, &delta(&[&copy(area(0, 0, 8, 8), 90, 0)]))
            .is_err_and(|e| e.to_string().contains("exact"))
    );
    let whole = copy(area(0, 0, 100, 70), 0, 0);
    for (refused, why) in [
        (delta(&[&copy(area(0, 0, 101, 1), 0, 0)]), "copy outside"),
        (delta(&[&copy(area(0, 0, 8, 8), 93, 0)]), "copy outside"),
        (delta(&[&copy(area(0, 0, 0, 8), 0, 0)]), "copy outside"),
        (delta(&[&whole, &copy(area(0, 0, 1, 1), 0, 0)]), "copy outside"),
        (delta(&[&lossy(area(1, 0, 2, 1), &jpeg), &fine]), "out of order"),
        (delta(&[&lossy(area(2, 0, 2, 1), &jpeg)]), "width limit"),
        (delta(&[&lossy(area(3, 0, 2, 1), &jpeg)]), "lossy rectangle outside"),
        (delta(&[&lossy(area(1, 0, 2, 1), &jpeg[..jpeg.len() / 2])]), "JPEG"),
        (delta(&[&lossy(area(1, 0, 2, 1), b"no picture")]), "JPEG"),
        (delta(&[&[9]]), "unknown operation"),
    ] {
        let error = apply(&refused).unwrap_err();
        assert!(error.contains(why), "{error}, not {why}");
    }
}
