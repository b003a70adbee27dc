//! Command lines in the GNU manner, driven by a table of options.
//!
//! Owns grouping, abbreviation, attached and optional arguments, the exact texts of parse errors, and the help text.
//! Must not know what any option means: the whole line is parsed before the first option is acted on.
//!
//! Not built on `lexopt`, which yields one option at a time and leaves it to the caller to ask for a value. Here one
//! table must answer three questions that lexopt cannot see: which long options an abbreviation could mean, whether
//! two of those are names of one option, and what the full name is that a message must quote.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use thiserror::Error;

/// One option of a table.
#[derive(Clone, Copy, Debug)]
pub struct OptionSpec<K: 'static> {
    /// What the dialect calls it.
    pub id: K,
    /// Its letter, if it has one.
    pub short: Option<char>,
    /// Its long names without dashes. The first one is shown in the help; the others are synonyms.
    pub longs: &'static [&'static str],
    /// Whether it takes an argument.
    pub value: Value,
    /// What it does, one sentence in lower case, for the help and the manual.
    pub help: &'static str,
}

/// Whether an option takes an argument, and what the help calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// None.
    None,
    /// Always; attached or in the next word; never empty.
    Required(&'static str),
    /// Perhaps; attached only.
    Optional(&'static str),
}

/// All that a program understands, and how it describes itself.
#[derive(Clone, Copy, Debug)]
pub struct Dialect<K: 'static> {
    /// What the program is for: lines above the usage.
    pub purpose: &'static str,
    /// What follows the program's name in the usage line.
    pub usage: &'static str,
    /// The options in the order of the help.
    pub options: &'static [OptionSpec<K>],
    /// Lines below the options.
    pub notes: &'static str,
}

/// An option as found on a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given<K> {
    /// Which one.
    pub id: K,
    /// Its name for messages: `-b`, or `--block-size` in full however it was abbreviated.
    pub name: String,
    /// Its argument; `None` if it takes none or none was given.
    pub value: Option<OsString>,
}

impl<K> Given<K> {
    /// The argument's bytes; nothing if there is none.
    pub fn bytes(&self) -> &[u8] {
        self.value.as_deref().map_or(b"", OsStr::as_bytes)
    }

    /// The argument as text to show in a message.
    pub fn shown(&self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }
}

/// A parsed command line: options in order, then everything that is not one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine<K> {
    /// The options from left to right.
    pub options: Vec<Given<K>>,
    /// The other words from left to right.
    pub names: Vec<OsString>,
}

/// Why a command line cannot be parsed. The texts are those of GNU programs.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ParseError {
    /// No long option begins like this.
    #[error("unrecognized option '--{0}'")]
    Unrecognized(String),
    /// Several different ones do.
    #[error("option '--{0}' is ambiguous")]
    Ambiguous(String),
    /// An argument is missing or empty.
    #[error("option '--{0}' requires an argument")]
    LongNeedsArgument(&'static str),
    /// An argument where none is allowed.
    #[error("option '--{0}' doesn't allow an argument")]
    LongTakesNone(&'static str),
    /// No option has this letter.
    #[error("invalid option -- '{0}'")]
    InvalidLetter(String),
    /// An argument is missing or empty.
    #[error("option requires an argument -- '{0}'")]
    LetterNeedsArgument(char),
}

/// Parses `arguments`, the words after the program's name.
///
/// Errors: the first one from left to right. Options and other words may be mixed; `--` ends the options.
pub fn parse<K: Copy + PartialEq>(
    table: &'static [OptionSpec<K>],
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<CommandLine<K>, ParseError> {
    let mut line = CommandLine { options: Vec::new(), names: Vec::new() };
    let mut words = arguments.into_iter();
    while let Some(word) = words.next() {
        match word.as_bytes() {
            b"--" => {
                line.names.extend(words);
                break;
            }
            [b'-', b'-', long @ ..] => line.options.push(parse_long(table, long, &mut words)?),
            [b'-', letters @ ..] if !letters.is_empty() => {
                parse_letters(table, letters, &mut words, &mut line.options)?;
            }
            _ => line.names.push(word),
        }
    }
    Ok(line)
}

fn parse_long<K: Copy + PartialEq>(
    table: &'static [OptionSpec<K>],
    text: &[u8],
    words: &mut impl Iterator<Item = OsString>,
) -> Result<Given<K>, ParseError> {
    let shown = || String::from_utf8_lossy(text).into_owned();
    let (typed, attached) = match text.iter().position(|byte| *byte == b'=') {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let (name, spec) = find_long(table, typed).map_err(|kind| kind(shown()))?;
    let value = match (spec.value, attached) {
        (Value::None, None) | (Value::Optional(_), None | Some(b"")) => None,
        (Value::None, Some(_)) => return Err(ParseError::LongTakesNone(name)),
        (Value::Optional(_), Some(value)) => Some(OsString::from_vec(value.to_vec())),
        (Value::Required(_), Some(value)) => Some(OsString::from_vec(value.to_vec())),
        (Value::Required(_), None) => words.next(),
    };
    if matches!(spec.value, Value::Required(_)) && value.as_ref().is_none_or(|v| v.is_empty()) {
        return Err(ParseError::LongNeedsArgument(name));
    }
    Ok(Given { id: spec.id, name: format!("--{name}"), value })
}

/// Makes an error from the option as typed.
type Refusal = fn(String) -> ParseError;

/// Finds the option that `typed` names or abbreviates. A full name wins over longer ones; otherwise everything that
/// begins like `typed` must be one option.
fn find_long<K: Copy + PartialEq>(
    table: &'static [OptionSpec<K>],
    typed: &[u8],
) -> Result<(&'static str, &'static OptionSpec<K>), Refusal> {
    let names = || table.iter().flat_map(|spec| spec.longs.iter().map(move |name| (*name, spec)));
    if let Some(exact) = names().find(|(name, _)| name.as_bytes() == typed) {
        return Ok(exact);
    }
    let mut similar = names().filter(|(name, _)| name.as_bytes().starts_with(typed));
    let Some(first) = similar.next() else { return Err(ParseError::Unrecognized) };
    if similar.any(|(_, spec)| spec.id != first.1.id) {
        return Err(ParseError::Ambiguous);
    }
    Ok(first)
}

fn parse_letters<K: Copy>(
    table: &'static [OptionSpec<K>],
    letters: &[u8],
    words: &mut impl Iterator<Item = OsString>,
    options: &mut Vec<Given<K>>,
) -> Result<(), ParseError> {
    for (at, letter) in letters.iter().enumerate() {
        let spec = table.iter().find(|spec| spec.short == Some(*letter as char) && letter.is_ascii());
        let Some(spec) = spec else {
            return Err(ParseError::InvalidLetter(String::from_utf8_lossy(&[*letter]).into_owned()));
        };
        let letter = *letter as char;
        let attached = Some(&letters[at + 1..]).filter(|rest| !rest.is_empty());
        let attached = attached.map(|rest| OsString::from_vec(rest.to_vec()));
        let value = match spec.value {
            Value::None => None,
            Value::Optional(_) => attached,
            Value::Required(_) => match attached.or_else(|| words.next()) {
                Some(value) if !value.is_empty() => Some(value),
                _ => return Err(ParseError::LetterNeedsArgument(letter)),
            },
        };
        options.push(Given { id: spec.id, name: format!("-{letter}"), value });
        if !matches!(spec.value, Value::None) {
            break;
        }
    }
    Ok(())
}

impl<K> Dialect<K> {
    /// Column at which the explanation of an option begins.
    const HELP_COLUMN: usize = 34;
    /// Columns of a help text.
    const HELP_WIDTH: usize = 80;

    /// The text of `--help` of a program called as `argv0`.
    pub fn help(&self, argv0: &str) -> String {
        let Dialect { purpose, usage, notes, .. } = self;
        let mut text = format!("{purpose}\n\nUsage: {argv0} {usage}\n\nOptions:\n");
        for spec in self.options {
            let mut head = match spec.short {
                Some(letter) => format!("  -{letter}, "),
                None => "      ".to_owned(),
            };
            let long = spec.longs[0];
            let _ = match spec.value {
                Value::None => write!(head, "--{long}"),
                Value::Required(metavar) => write!(head, "--{long}=<{metavar}>"),
                Value::Optional(metavar) => write!(head, "--{long}[=<{metavar}>]"),
            };
            let mut column = head.len();
            text.push_str(&head);
            if column + 1 >= Self::HELP_COLUMN {
                text.push('\n');
                column = 0;
            }
            for word in spec.help.split(' ') {
                if column > Self::HELP_COLUMN && column + 1 + word.len() >= Self::HELP_WIDTH {
                    text.push('\n');
                    column = 0;
                }
                let gap = if column > Self::HELP_COLUMN { 1 } else { Self::HELP_COLUMN - column };
                text.extend(std::iter::repeat_n(' ', gap));
                text.push_str(word);
                column += gap + word.len();
            }
            text.push('\n');
        }
        text.push('\n');
        text.push_str(notes);
        text.push('\n');
        text
    }

    /// The same table as a `clap` command called `name`, from which manual pages and completions are made.
    pub fn command(&self, name: &'static str) -> clap::Command {
        let arguments = self.options.iter().map(|spec| {
            let argument = clap::Arg::new(spec.longs[0])
                .long(spec.longs[0])
                .aliases(spec.longs[1..].iter().copied())
                .help(spec.help);
            let argument = match spec.short {
                Some(letter) => argument.short(letter),
                None => argument,
            };
            match spec.value {
                Value::None => argument.action(clap::ArgAction::Count),
                Value::Required(metavar) => argument.value_name(metavar),
                Value::Optional(metavar) => argument.value_name(metavar).num_args(0..=1).require_equals(true),
            }
        });
        clap::Command::new(name)
            .about(self.purpose)
            .override_usage(format!("{name} {}", self.usage))
            .after_help(self.notes)
            .disable_help_flag(true)
            .disable_version_flag(true)
            .args(arguments)
            .arg(clap::Arg::new("names").num_args(0..))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Id {
        Block,
        Create,
        Complete,
        Invert,
        Size,
    }

    const TABLE: &[OptionSpec<Id>] = &[
        OptionSpec {
            id: Id::Block,
            short: Some('b'),
            longs: &["block-size", "block-bytes"],
            value: Value::Required("bytes"),
            help: "size of a block",
        },
        OptionSpec {
            id: Id::Create,
            short: Some('c'),
            longs: &["create"],
            value: Value::Optional("types"),
            help: "create a map",
        },
        OptionSpec {
            id: Id::Complete,
            short: None,
            longs: &["create-all"],
            value: Value::None,
            help: "a word that is long enough that it has to be broken where the line ends",
        },
        OptionSpec {
            id: Id::Invert,
            short: Some('n'),
            longs: &["invert"],
            value: Value::None,
            help: "invert",
        },
        OptionSpec {
            id: Id::Size,
            short: Some('s'),
            longs: &["size"],
            value: Value::Required("bytes"),
            help: "size",
        },
    ];

    const DIALECT: Dialect<Id> =
        Dialect { purpose: "Tests options.", usage: "[options] file", options: TABLE, notes: "Notes." };

    fn line(words: &[&str]) -> Result<CommandLine<Id>, ParseError> {
        parse(TABLE, words.iter().map(OsString::from))
    }

    fn given(id: Id, name: &str, value: Option<&str>) -> Given<Id> {
        Given { id, name: name.to_owned(), value: value.map(OsString::from) }
    }

    #[test]
    fn letters_group_until_one_takes_the_rest_as_its_argument() {
        let parsed = line(&["-nnb2048", "x", "-c", "y"]).unwrap();
        assert_eq!(
            parsed.options,
            [
                given(Id::Invert, "-n", None),
                given(Id::Invert, "-n", None),
                given(Id::Block, "-b", Some("2048")),
                given(Id::Create, "-c", None),
            ]
        );
        assert_eq!(parsed.names, ["x", "y"]);
    }

    #[test]
    fn an_abbreviation_may_mean_two_names_of_one_option() {
        let parsed = line(&["--block=5", "--block-b", "6"]).unwrap();
        assert_eq!(parsed.options[0], given(Id::Block, "--block-size", Some("5")));
        assert_eq!(parsed.options[1], given(Id::Block, "--block-bytes", Some("6")));
    }

    #[test]
    fn a_full_name_wins_over_a_longer_one() {
        assert_eq!(line(&["--create"]).unwrap().options, [given(Id::Create, "--create", None)]);
        assert_eq!(line(&["--create-"]).unwrap().options, [given(Id::Complete, "--create-all", None)]);
    }

    #[test]
    fn two_dashes_end_the_options_and_one_dash_is_a_name() {
        assert_eq!(line(&["-", "--", "-n", "--"]).unwrap().names, ["-", "-n", "--"]);
    }

    #[test]
    fn an_argument_may_look_like_an_option() {
        assert_eq!(line(&["-s", "--", "--size", "-n"]).unwrap().options.len(), 2);
    }

    #[test]
    fn every_parse_error_has_the_words_of_gnu_programs() {
        let cases: &[(&[&str], &str)] = &[
            (&["--x=5"], "unrecognized option '--x=5'"),
            (&["--crea=5"], "option '--crea=5' is ambiguous"),
            (&["--=5"], "option '--=5' is ambiguous"),
            (&["--si"], "option '--size' requires an argument"),
            (&["--si", ""], "option '--size' requires an argument"),
            (&["--si="], "option '--size' requires an argument"),
            (&["--inv="], "option '--invert' doesn't allow an argument"),
            (&["-nx"], "invalid option -- 'x'"),
            (&["-ns"], "option requires an argument -- 's'"),
            (&["-s", ""], "option requires an argument -- 's'"),
            (&["-x", "--x"], "invalid option -- 'x'"),
        ];
        for (words, text) in cases {
            assert_eq!(line(words).unwrap_err().to_string(), *text, "{words:?}");
        }
    }

    #[test]
    fn the_help_lists_every_option_within_eighty_columns() {
        let help = DIALECT.help("tool");
        for spec in TABLE {
            assert!(help.contains(&format!("--{}", spec.longs[0])));
        }
        assert!(help.lines().all(|line| line.len() < 80), "{help}");
        assert!(help.contains("      --create-all                a word that is long"));
    }

    #[test]
    fn the_table_makes_a_sound_clap_command() {
        DIALECT.command("tool").debug_assert();
    }

    proptest! {
        #[test]
        fn any_words_are_parsed_or_refused_without_panic(
            words in prop::collection::vec(
                prop_oneof!["-[bcns=x-]{0,4}", "--[a-z=-]{0,8}", "\\PC{0,5}"], 0..6)
        ) {
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            if let Ok(parsed) = parse(TABLE, words.clone()) {
                prop_assert!(parsed.names.len() <= words.len());
            }
        }

        #[test]
        fn attached_and_separate_arguments_mean_the_same(value in "[a-z0-9-]{1,8}", name in "[a-z]{1,5}") {
            let long = line(&[&format!("--size={value}"), &name]);
            prop_assert_eq!(&long, &line(&["--size", &value, &name]));
            let short = line(&[&format!("-s{value}"), &name]).unwrap();
            prop_assert_eq!(&short, &line(&["-s", &value, &name]).unwrap());
            prop_assert_eq!(&short.options[0].value, &long.unwrap().options[0].value);
        }

        #[test]
        fn words_after_two_dashes_are_names(words in prop::collection::vec("\\PC{0,5}", 0..6)) {
            let all = std::iter::once("--").chain(words.iter().map(String::as_str)).collect::<Vec<_>>();
            let parsed = line(&all).unwrap();
            prop_assert!(parsed.options.is_empty());
            prop_assert!(parsed.names.iter().eq(words.iter().map(OsString::from).collect::<Vec<_>>().iter()));
        }
    }
}
