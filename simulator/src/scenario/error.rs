//! What is wrong with a scenario, and where.
//!
//! Owns lines and columns. Must not know what scenarios say.

use std::fmt;
use std::ops::Range;

/// A scenario that cannot be used. Prints file, line, column, what is wrong, and the line itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScenarioError {
    /// The file.
    pub file: String,
    /// Line and column from 1, and the text of the line, if it is known where.
    pub place: Option<(usize, usize, String)>,
    /// What is wrong, and what would be right.
    pub reason: String,
}

impl ScenarioError {
    /// Makes an error about a span of bytes of `text`.
    pub fn at(file: &str, text: &str, span: Option<Range<usize>>, reason: String) -> ScenarioError {
        let place = span.map(|span| {
            let start = (0..=span.start.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
            let before = &text[..start.unwrap_or(0)];
            let line_start = before.rfind('\n').map_or(0, |at| at + 1);
            let line = text[line_start..].lines().next().unwrap_or("").to_owned();
            (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1, line)
        });
        ScenarioError { file: file.to_owned(), place, reason }
    }
}

/// What is wrong with a part of a scenario, before it is known which file that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Where, in bytes of the text.
    pub span: Option<Range<usize>>,
    /// What is wrong, and what would be right.
    pub reason: String,
}

impl From<toml::de::Error> for Wrong {
    fn from(error: toml::de::Error) -> Wrong {
        Wrong { span: error.span(), reason: plainly(error.message()) }
    }
}

/// Says in people's words what a parser says in a programmer's, and what may have been meant.
fn plainly(message: &str) -> String {
    let types = [
        (&["u16", "u32", "u64", "usize", "i64"][..], "a whole number"),
        (&["f64"], "a number"),
        (&["bool", "a boolean"], "true or false"),
    ];
    if let Some((start, expected)) = message.rsplit_once("expected ")
        && let Some((_, words)) = types.iter().find(|(names, _)| names.contains(&expected))
    {
        return format!("{start}expected {words}");
    }
    let mut quoted = message.split('`').skip(1).step_by(2);
    let suggestion = match (message.starts_with("unknown "), quoted.next()) {
        (true, Some(given)) => nearest(given, quoted),
        _ => None,
    };
    match suggestion {
        Some(nearest) => format!("{message}; did you mean `{nearest}`?"),
        None => message.to_owned(),
    }
}

/// The word of `known` that looks most like `given`, if one does.
pub(super) fn nearest<T: AsRef<str>>(given: &str, known: impl IntoIterator<Item = T>) -> Option<T> {
    let alike = |known: &T| strsim::jaro_winkler(&known.as_ref().to_lowercase(), &given.to_lowercase());
    let scored = known.into_iter().map(|known| (alike(&known), known)).filter(|(alike, _)| *alike > 0.75);
    scored.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, known)| known)
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            None => write!(f, "{}: {}", self.file, self.reason),
            Some((line, column, text)) => {
                writeln!(f, "{}:{line}:{column}: {}", self.file, self.reason)?;
                writeln!(f, "{line:5} | {text}")?;
                write!(f, "      | {}^", " ".repeat(column - 1))
            }
        }
    }
}

impl std::error::Error for ScenarioError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_shows_where_it_is() {
        let text = "a = 1\nbé = 2\n";
        let error = ScenarioError::at("x.toml", text, Some(11..12), "wrong".into());
        assert_eq!(error.to_string(), "x.toml:2:5: wrong\n    2 | bé = 2\n      |     ^");
        // Inside a character, and behind the end.
        ScenarioError::at("x.toml", text, Some(8..9), "wrong".into());
        ScenarioError::at("x.toml", text, Some(900..901), "wrong".into());
    }
}
