//! A scenario's disk as an SVG image.
//!
//! Owns the order of its parts. Must not know how the facts are found.

use super::describe::{filled, rate};
use super::survey::{HEALTHY, Survey};
use crate::native::picture::Image;

/// The image's text.
pub(super) fn drawing(survey: &Survey) -> String {
    let mut image = Image::new(&survey.title());
    image.lines(&survey.cells(Image::CELLS * Image::LINES), |line| survey.position(line, Image::LINES));
    let mut legend = survey.legend();
    legend.push((HEALTHY, "healthy; pale: less than half of it is damaged".to_owned()));
    image.legend(&legend);
    let rates = survey.rates();
    image.steps(&rates, &rate(rates.iter().copied().fold(0.0, f64::max)));
    for line in filled(&survey.facts.description, 150, "").lines() {
        image.line(line);
    }
    for (word, said) in survey.lines() {
        image.line(&format!("{word}: {said}"));
    }
    image.line("");
    image.finish()
}
