//! How a command line names a disk.
//!
//! Owns the rule which words are simulated disks, and which are images and devices. Must not know what is done with them.
//!
//! The rule, for every command of this program that takes any disk: `sim:...` is the address of a scenario. Of the rest, a
//! word with a slash in it, with `.toml` at its end, or that is the name of a file that exists, is a path: of a scenario
//! if it ends in `.toml`, else of an image or a device. Everything else is the name of a scenario: `NAME`, `NAME@SEED`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use simulator::Scenario;
use simulator::scenario::address::{Address, AddressError, Named, PREFIX};

use super::{Failure, scenario};

/// What the rule says, for the help of commands.
pub const RULE: &str = "\
A word with a / in it, with .toml at its end, or that names an existing file, is a path: of a scenario if it ends in .toml, \
else of an image or a device. sim:NAME, or any other word, is a scenario of 'diskwright scenario list'; with @7 behind it, \
its disk with seed 7; with -small, its twin of at most 256 MiB.";

/// A disk, named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiskArgument {
    /// A simulated one.
    Simulated(Address),
    /// An image or a device.
    Path(PathBuf),
}

impl DiskArgument {
    /// Reads a word. Looks at the file system for files, and at nothing in them.
    ///
    /// Errors: [`Failure::Usage`] where an address cannot be one.
    pub fn read(word: &OsStr) -> Result<DiskArgument, Failure> {
        // A folder may well have a scenario's name.
        read(word, |path| path.metadata().is_ok_and(|metadata| !metadata.is_dir()))
    }
}

/// Opens the scenario of an address; says the seed of its disk, too.
///
/// Errors: as of `diskwright scenario`.
pub fn open(address: &Address) -> Result<(Scenario, u64), Failure> {
    let scenario = address.scenario().map_err(failure)?;
    let seed = address.seed.unwrap_or(scenario.seed());
    Ok((scenario, seed))
}

/// What the file of a scenario ends with; its small twin's has `-small` behind it.
const ENDINGS: [&str; 2] = [".toml", ".toml-small"];

fn read(word: &OsStr, is_file: impl Fn(&Path) -> bool) -> Result<DiskArgument, Failure> {
    // Scenarios have names that can be read.
    let Some(text) = word.to_str() else { return Ok(DiskArgument::Path(word.into())) };
    if text.is_empty() {
        return Err(Failure::Usage("a disk has a name: this one is empty".into()));
    }
    if let Some(address) = Address::parse(text) {
        return address.map(DiskArgument::Simulated).map_err(failure);
    }
    let is_path = is_file(Path::new(text));
    let is_scenario = text.ends_with(ENDINGS[0]) || text.ends_with(ENDINGS[1]) && !is_path;
    if is_scenario {
        let address = Address { scenario: Named::File(text.into()), seed: None, access: None };
        return Ok(DiskArgument::Simulated(address));
    }
    if is_path || text.contains('/') {
        return Ok(DiskArgument::Path(text.into()));
    }
    match Address::parse(&format!("{PREFIX}{text}")) {
        Some(address) => address.map(DiskArgument::Simulated).map_err(failure),
        None => Ok(DiskArgument::Path(text.into())),
    }
}

fn failure(error: AddressError) -> Failure {
    match error {
        AddressError::Grammar(text) => Failure::Usage(text),
        AddressError::Open(error) => scenario::failure(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    /// As in a folder that has these files.
    fn beside(files: &[&str], word: &str) -> DiskArgument {
        let is_file = |path: &Path| files.iter().any(|file| path == Path::new(file));
        read(OsStr::new(word), is_file).unwrap_or_else(|failure| panic!("{word}: {failure}"))
    }

    fn library(name: &str, seed: Option<u64>) -> DiskArgument {
        DiskArgument::Simulated(Address { scenario: Named::Library(name.into()), seed, access: None })
    }

    fn file(path: &str, seed: Option<u64>) -> DiskArgument {
        DiskArgument::Simulated(Address { scenario: Named::File(path.into()), seed, access: None })
    }

    fn path(path: &str) -> DiskArgument {
        DiskArgument::Path(path.into())
    }

    #[test]
    fn a_word_is_an_address_a_path_or_a_name() {
        for (word, expected) in [
            ("sim:dead-head", library("dead-head", None)),
            ("sim:dead-head@7", library("dead-head", Some(7))),
            ("sim:./mine.toml?seed=3", file("./mine.toml", Some(3))),
            ("dead-head", library("dead-head", None)),
            ("S06-small@7", library("S06-small", Some(7))),
            ("dead-head?seed=7", library("dead-head", Some(7))),
            ("mine.toml", file("mine.toml", None)),
            ("mine.toml-small", file("mine.toml-small", None)),
            ("a/b@c?d.toml", file("a/b@c?d.toml", None)),
            ("mine.toml@7", file("mine.toml", Some(7))),
            ("./dead-head", path("./dead-head")),
            ("/dev/sda", path("/dev/sda")),
            ("folder/disk.img", path("folder/disk.img")),
        ] {
            assert_eq!(beside(&[], word), expected, "{word}");
        }
    }

    #[test]
    fn a_file_that_exists_comes_before_a_scenario_of_its_name() {
        let files = ["dead-head", "disk.img", "clean@7", "copy.toml-small", "sim:clean", "mine.toml"];
        for (word, expected) in [
            ("dead-head", path("dead-head")),
            ("disk.img", path("disk.img")),
            ("clean@7", path("clean@7")),
            ("clean@8", library("clean", Some(8))),
            ("copy.toml-small", path("copy.toml-small")),
            ("mine.toml", file("mine.toml", None)),
            ("mine.toml-small", file("mine.toml-small", None)),
            // What says that it is an address is one.
            ("sim:clean", library("clean", None)),
            ("./sim:clean", path("./sim:clean")),
        ] {
            assert_eq!(beside(&files, word), expected, "{word}");
        }
    }

    #[test]
    fn files_are_looked_for_on_the_disk_and_folders_are_none() {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("clean");
        std::fs::write(&image, "bytes").unwrap();
        assert_eq!(DiskArgument::read(image.as_os_str()).unwrap(), DiskArgument::Path(image));
        // Tests run in the crate's folder, which has one of this name.
        assert_eq!(DiskArgument::read(OsStr::new("src")).unwrap(), library("src", None));
        assert_eq!(DiskArgument::read(OsStr::new("Cargo.toml")).unwrap(), file("Cargo.toml", None));
    }

    #[test]
    fn what_cannot_be_is_told() {
        for (word, expected) in [
            ("", "this one is empty"),
            ("sim:", "followed by a scenario's name"),
            ("clean@x", "\"x\" is not a seed"),
            ("clean?speed=1", "the keys are seed and access"),
        ] {
            let failure = DiskArgument::read(OsStr::new(word)).expect_err(word);
            assert!(failure.to_string().contains(expected), "{word}: {failure}");
            assert_eq!(failure.status(), 2);
        }
        let told = |word: &str| match beside(&[], word) {
            DiskArgument::Simulated(address) => open(&address).map(|_| ()).unwrap_err(),
            DiskArgument::Path(path) => panic!("{} is no scenario", path.display()),
        };
        assert!(told("clea").to_string().contains("did you mean \"clean\"?"), "{}", told("clea"));
        assert_eq!((told("clea").status(), told("no-such.toml").status()), (2, 4));
        let word = OsStr::from_bytes(b"\xff.toml");
        assert_eq!(DiskArgument::read(word).unwrap(), DiskArgument::Path(word.into()));
    }

    #[test]
    fn the_seed_is_the_scenarios_own_unless_it_is_given() {
        let open = |word: &str| match beside(&[], word) {
            DiskArgument::Simulated(address) => open(&address).unwrap(),
            DiskArgument::Path(path) => panic!("{} is no scenario", path.display()),
        };
        let (scenario, seed) = open("medium-small");
        assert_eq!((scenario.name.as_str(), seed), ("medium-small", scenario.seed()));
        assert_eq!(open("medium-small@77").1, 77);
    }
}
