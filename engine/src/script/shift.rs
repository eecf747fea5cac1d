//! A script that is read with additions to its text, and what stands where without them.

use std::collections::BTreeMap;

use rhai::Position;

/// What was added to a text, by line: before which column, from 1, and how many characters.
#[derive(Debug, Default)]
pub(super) struct Shift(BTreeMap<usize, Vec<(usize, usize)>>);

impl Shift {
    /// Something is added before a character of the text as it was written. In a line, what
    /// comes first is added first.
    pub(super) fn add(&mut self, line: usize, column: usize, length: usize) {
        self.0.entry(line).or_default().push((column, length));
    }

    /// Where a place of what is read stands in what was written.
    pub(super) fn written(&self, place: Position) -> Position {
        self.moved(place, |column, additions| {
            let mut added = 0;
            for (before, length) in additions {
                if column < before + added {
                    break;
                }
                if column < before + added + length {
                    return *before;
                }
                added += length;
            }
            column - added
        })
    }

    /// Where a place of what was written stands in what is read.
    pub(super) fn read(&self, place: Position) -> Position {
        self.moved(place, |column, additions| {
            let before = additions.iter().filter(|(before, _)| *before <= column);
            column + before.map(|(_, length)| length).sum::<usize>()
        })
    }

    fn moved(
        &self,
        place: Position,
        to: impl Fn(usize, &[(usize, usize)]) -> usize,
    ) -> Position {
        let (Some(line), Some(column)) = (place.line(), place.position()) else { return place };
        let Some(additions) = self.0.get(&line) else { return place };
        let clip = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
        Position::new(clip(line), clip(to(column, additions)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_found_again() {
        // `a { b }` is read as `a {xx b yyy}`.
        let mut shift = Shift::default();
        shift.add(1, 4, 2);
        shift.add(1, 7, 3);
        for (written, read) in [(1, 1), (3, 3), (4, 6), (5, 7), (6, 8), (7, 12), (8, 13)] {
            assert_eq!(shift.read(Position::new(1, written)), Position::new(1, read));
            assert_eq!(shift.written(Position::new(1, read)), Position::new(1, written));
        }
        assert_eq!(shift.written(Position::new(1, 4)), Position::new(1, 4));
        assert_eq!(shift.written(Position::new(2, 9)), Position::new(2, 9));
        assert_eq!(shift.written(Position::NONE), Position::NONE);
    }
}
