//! The way of the pointer in a drag, with a bounded number of points.

use crate::PathPoint;

/// Most points that are kept. When there are more, those near the line between their neighbours go.
pub(crate) const MAX_POINTS: usize = 4096;

/// Points in order of time.
#[derive(Debug)]
pub(crate) struct Path {
    points: Vec<PathPoint>,
    /// Furthest from the first point, on the axis where it is further.
    pub(crate) reach_px: u64,
}

impl Path {
    pub(crate) fn new(first: PathPoint) -> Self {
        Self { points: vec![first], reach_px: 0 }
    }

    pub(crate) fn first(&self) -> PathPoint {
        self.points[0]
    }

    pub(crate) fn last(&self) -> PathPoint {
        self.points[self.points.len() - 1]
    }

    /// Adds a point; one that has not moved since the last says nothing new.
    pub(crate) fn push(&mut self, point: PathPoint) {
        let last = self.last();
        if (last.x_px, last.y_px) == (point.x_px, point.y_px) {
            return;
        }
        self.reach_px = self.reach_px.max(distance_px(self.first(), point));
        self.points.push(point);
        let mut tolerance_px = 0.5;
        while self.points.len() > MAX_POINTS {
            self.drop_near_lines(tolerance_px, MAX_POINTS / 2);
            tolerance_px *= 2.0;
        }
    }

    /// All of it, with the last point at the time of the release.
    pub(crate) fn finish(mut self, last: PathPoint) -> Vec<PathPoint> {
        let end = self.points.len() - 1;
        if end > 0 && (self.points[end].x_px, self.points[end].y_px) == (last.x_px, last.y_px) {
            self.points.pop();
        }
        self.points.push(last);
        self.points
    }

    /// Drops inner points that are no further than this from the line through the kept one before and the next, until so
    /// many are left. A tolerance beyond all coordinates leaves the ends.
    fn drop_near_lines(&mut self, tolerance_px: f64, enough: usize) {
        let mut kept = vec![self.first()];
        let mut left = self.points.len();
        for pair in self.points.windows(2).skip(1) {
            let &[point, next] = pair else { continue };
            let before = kept[kept.len() - 1];
            if left > enough && from_line_px(point, before, next) <= tolerance_px {
                left -= 1;
            } else {
                kept.push(point);
            }
        }
        kept.extend(self.points.last());
        self.points = kept;
    }
}

/// Distance on the axis where it is larger.
pub(crate) fn distance_px(a: PathPoint, b: PathPoint) -> u64 {
    let along = |a: i32, b: i32| (i64::from(a) - i64::from(b)).unsigned_abs();
    along(a.x_px, b.x_px).max(along(a.y_px, b.y_px))
}

/// How far a point is from the stretch between two others.
fn from_line_px(point: PathPoint, start: PathPoint, end: PathPoint) -> f64 {
    let between = |a: PathPoint, b: PathPoint| {
        (f64::from(b.x_px) - f64::from(a.x_px), f64::from(b.y_px) - f64::from(a.y_px))
    };
    let ((line_x, line_y), (x, y)) = (between(start, end), between(start, point));
    let squared = line_x * line_x + line_y * line_y;
    let along = if squared > 0.0 { ((x * line_x + y * line_y) / squared).clamp(0.0, 1.0) } else { 0.0 };
    (x - along * line_x).hypot(y - along * line_y)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(n: u64, x_px: i32, y_px: i32) -> PathPoint {
        PathPoint { nanos: n, x_px, y_px }
    }

    #[test]
    fn a_long_way_keeps_its_corners_and_a_bounded_number_of_points() {
        let mut path = Path::new(point(0, 0, 0));
        for n in 1..=50_000 {
            path.push(point(n, n as i32, 0));
        }
        for n in 1..=50_000 {
            path.push(point(50_000 + n, 50_000, n as i32));
        }
        assert_eq!(path.reach_px, 50_000);
        let points = path.finish(point(100_001, 50_000, 50_000));
        assert!(points.len() <= MAX_POINTS, "{}", points.len());
        assert!(points.iter().any(|point| (point.x_px, point.y_px) == (50_000, 0)), "the corner is there");
        assert_eq!((points[0], points[points.len() - 1]), (point(0, 0, 0), point(100_001, 50_000, 50_000)));
    }

    #[test]
    fn a_way_without_any_line_in_it_is_bounded_too() {
        let mut path = Path::new(point(0, 0, 0));
        let mut seed = 1u32;
        for n in 1..=20_000 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            path.push(point(n, seed as i32, seed.rotate_left(16) as i32));
        }
        assert!(path.finish(point(20_001, 0, 0)).len() <= MAX_POINTS + 1);
    }
}
