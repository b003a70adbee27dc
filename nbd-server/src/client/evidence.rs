//! What the chunks of one reply prove.
//!
//! Owns the rule which bytes of a request were read. Must not know how chunks come, nor where bytes go.
//!
//! A byte was read if a content chunk carried it, and nothing else makes it so. An error with a place spoils the chunk that
//! it lies in from there on: a server that had promised the bytes before it read them fills up with anything. An
//! error without a place spoils the whole reply.

use std::ops::Range;

use super::Violation;

/// Evidence about one request for bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Evidence {
    range: Range<u64>,
    /// Content chunks, in order, apart or touching.
    chunks: Vec<Range<u64>>,
    /// Places of errors.
    spoiled: Vec<u64>,
    /// The first error, and its place.
    error: Option<(u32, Option<u64>)>,
    /// Whether some error had no place.
    is_void: bool,
}

/// What a reply has proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// What was read: in order, not empty, apart or touching.
    pub(crate) good: Vec<Range<u64>>,
    /// Why not everything: the first error, and the first place that failed if one was told.
    pub(crate) error: Option<(u32, Option<u64>)>,
}

impl Evidence {
    /// About a request for the bytes of `range`.
    pub(crate) fn new(range: Range<u64>) -> Evidence {
        Evidence { range, chunks: Vec::new(), spoiled: Vec::new(), error: None, is_void: false }
    }

    /// What was asked for.
    pub(crate) fn range(&self) -> Range<u64> {
        self.range.clone()
    }

    /// Takes note of a content chunk that announces itself; its bytes need not be there yet.
    pub(crate) fn content(&mut self, start: u64, length: u64) -> Result<(), Violation> {
        let end = start.checked_add(length).ok_or(Violation::Outside)?;
        if length == 0 {
            return Err(Violation::Empty);
        }
        if start < self.range.start || end > self.range.end {
            return Err(Violation::Outside);
        }
        let index = self.chunks.partition_point(|chunk| chunk.end <= start);
        if self.chunks.get(index).is_some_and(|next| next.start < end) {
            return Err(Violation::Overlap);
        }
        self.make_room()?;
        self.chunks.insert(index, start..end);
        Ok(())
    }

    /// Takes note of an error.
    pub(crate) fn error(&mut self, errno: u32, at: Option<u64>) -> Result<(), Violation> {
        match at {
            Some(at) if !self.range.contains(&at) => return Err(Violation::Outside),
            Some(at) => {
                self.make_room()?;
                self.spoiled.push(at);
            }
            None => self.is_void = true,
        }
        let (_, first) = self.error.get_or_insert((errno, None));
        *first = match (*first, at) {
            (Some(first), Some(at)) => Some(first.min(at)),
            (first, at) => first.or(at),
        };
        Ok(())
    }

    /// A reply that says less than a sector at a time is no help, and would cost more memory than its bytes.
    fn make_room(&self) -> Result<(), Violation> {
        let most = (self.range.end - self.range.start) / 512 + 16;
        let count = (self.chunks.len() + self.spoiled.len()) as u64;
        if count < most { Ok(()) } else { Err(Violation::TooMany) }
    }

    /// The reply has ended.
    pub(crate) fn conclude(self) -> Result<Verdict, Violation> {
        let Evidence { range, chunks, mut spoiled, error, is_void } = self;
        if is_void {
            return Ok(Verdict { good: Vec::new(), error });
        }
        if error.is_none() {
            let carried: u64 = chunks.iter().map(|chunk| chunk.end - chunk.start).sum();
            if carried != range.end - range.start {
                return Err(Violation::Uncovered);
            }
        }
        spoiled.sort_unstable();
        let cut = |chunk: Range<u64>| {
            let first = spoiled.get(spoiled.partition_point(|at| *at < chunk.start)).copied();
            chunk.start..first.map_or(chunk.end, |at| at.min(chunk.end))
        };
        let good = chunks.into_iter().map(cut).filter(|chunk| !chunk.is_empty()).collect();
        Ok(Verdict { good, error })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EIO: u32 = 5;

    fn evidence() -> Evidence {
        Evidence::new(100..200)
    }

    fn good(evidence: Evidence) -> Vec<(u64, u64)> {
        let verdict = evidence.conclude().expect("a verdict");
        verdict.good.iter().map(|range| (range.start, range.end)).collect()
    }

    #[test]
    fn data_before_and_behind_an_error_is_kept_and_nothing_between() {
        let mut evidence = evidence();
        evidence.content(100, 20).unwrap();
        evidence.error(EIO, Some(120)).unwrap();
        evidence.content(150, 50).unwrap();
        assert_eq!(good(evidence), [(100, 120), (150, 200)]);
    }

    #[test]
    fn an_error_inside_a_chunk_spoils_it_from_there_on_wherever_it_comes() {
        for order in [true, false] {
            let mut evidence = evidence();
            if order {
                evidence.error(EIO, Some(130)).unwrap();
            }
            evidence.content(100, 60).unwrap();
            evidence.content(160, 40).unwrap();
            if !order {
                evidence.error(EIO, Some(130)).unwrap();
            }
            assert_eq!(good(evidence), [(100, 130), (160, 200)]);
        }
    }

    #[test]
    fn an_error_without_a_place_leaves_nothing() {
        let mut evidence = evidence();
        evidence.content(100, 100).unwrap();
        evidence.error(EIO, None).unwrap();
        let verdict = evidence.conclude().unwrap();
        assert_eq!(verdict, Verdict { good: Vec::new(), error: Some((EIO, None)) });
    }

    #[test]
    fn the_first_error_is_told_with_the_first_place() {
        let mut evidence = evidence();
        evidence.error(EIO, Some(150)).unwrap();
        evidence.error(22, Some(120)).unwrap();
        assert_eq!(evidence.conclude().unwrap().error, Some((EIO, Some(120))));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let mut evidence = evidence();
        assert_eq!(evidence.content(99, 2), Err(Violation::Outside));
        assert_eq!(evidence.content(199, 2), Err(Violation::Outside));
        assert_eq!(evidence.content(u64::MAX, 2), Err(Violation::Outside));
        assert_eq!(evidence.content(150, 0), Err(Violation::Empty));
        assert_eq!(evidence.error(EIO, Some(200)), Err(Violation::Outside));
        evidence.content(110, 10).unwrap();
        assert_eq!(evidence.content(119, 1), Err(Violation::Overlap));
        assert_eq!(evidence.content(105, 6), Err(Violation::Overlap));
        assert_eq!(evidence.content(100, 100), Err(Violation::Overlap));
        assert_eq!(evidence.clone().conclude(), Err(Violation::Uncovered));
        for at in 120..135 {
            evidence.content(at, 1).unwrap();
        }
        assert_eq!(evidence.content(135, 1), Err(Violation::TooMany));
    }

    proptest! {
        /// Against a model with one answer a byte.
        #[test]
        fn only_bytes_that_a_chunk_carried_are_good(
            chunks in prop::collection::vec((0u64..60, 0u64..30, 0u8..4), 0..12),
        ) {
            let mut evidence = Evidence::new(10..50);
            let (mut owner, mut spoiled, mut is_void, mut has_error) = ([None; 60], Vec::new(), false, false);
            for (index, (start, length, kind)) in chunks.into_iter().enumerate() {
                match kind {
                    0 if (10..50).contains(&start) => {
                        evidence.error(EIO, Some(start)).unwrap();
                        spoiled.push(start);
                        has_error = true;
                    }
                    1 if length == 0 => {
                        evidence.error(EIO, None).unwrap();
                        (is_void, has_error) = (true, true);
                    }
                    _ => {
                        let range = start as usize..(start + length) as usize;
                        let fits = length > 0 && start >= 10 && start + length <= 50;
                        let is_free = fits && owner[range.clone()].iter().all(Option::is_none);
                        prop_assert_eq!(evidence.content(start, length).is_ok(), is_free);
                        if is_free {
                            owner[range].fill(Some((index, start, start + length)));
                        }
                    }
                }
            }
            let covers = owner[10..50].iter().all(Option::is_some);
            let verdict = evidence.conclude();
            prop_assert_eq!(verdict.is_ok(), covers || has_error);
            let Ok(verdict) = verdict else { return Ok(()) };
            for at in 0..60 {
                let is_good = verdict.good.iter().any(|good| good.contains(&at));
                let is_carried = owner[at as usize].is_some_and(|(_, start, end)| {
                    !spoiled.iter().any(|bad| (start..end).contains(bad) && *bad <= at)
                });
                prop_assert_eq!(is_good, is_carried && !is_void, "byte {}", at);
            }
        }
    }
}
