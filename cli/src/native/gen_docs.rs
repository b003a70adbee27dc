//! `diskwright gen-docs`: manual pages, shell completions and the schema of scenarios, made from what the parsers use.
//!
//! Owns which names there are pages for. Must not know what any option means.

use std::fs;
use std::io;
use std::path::Path;

use clap::{Arg, Command, CommandFactory};
use clap_complete::{Shell, generate};
use clap_mangen::Man;
use simulator::scenario::schema;

use crate::native::Cli;
use crate::native::rescue::dialect::DIALECT as RESCUE;
use crate::personality::{ddrescue, ddrescuelog};

/// Words of a command whose options come from a table, for its manual page.
struct Page {
    name: &'static str,
    about: &'static str,
    usage: &'static str,
}

const PAGES: [Page; 3] = [
    Page {
        name: "ddrescue",
        about: "copy what can be read from a failing disk, good parts first (Diskwright)",
        usage: "[options] infile outfile [mapfile]",
    },
    Page {
        name: "ddrescuelog",
        about: "look at, combine and convert the mapfiles of rescues (Diskwright)",
        usage: "[options] mapfile",
    },
    Page {
        name: "diskwright rescue",
        about: "Read everything that can be read from a failing disk: good parts first, resumable at any moment",
        usage: "[options] SOURCE DESTINATION [MAP]",
    },
];

/// Writes `man/*.1` and `completions/*` below `folder`.
pub fn write(folder: &Path) -> io::Result<()> {
    let (man, completions) = (folder.join("man"), folder.join("completions"));
    fs::create_dir_all(&man)?;
    fs::create_dir_all(&completions)?;
    let rescue = page(&PAGES[2], RESCUE.command("rescue"), RESCUE.purpose, RESCUE.notes);
    let native =
        Cli::command().mut_subcommand("rescue", |_| rescue).mut_subcommand("gen-docs", |c| c.hide(true));
    let ddrescue = page(
        &PAGES[0],
        ddrescue::DIALECT.command("ddrescue"),
        ddrescue::DIALECT.purpose,
        ddrescue::DIALECT.notes,
    );
    let log = &ddrescuelog::DIALECT;
    let ddrescuelog = page(&PAGES[1], log.command("ddrescuelog"), log.purpose, log.notes);
    for (name, mut command) in [("diskwright", native), ("ddrescue", ddrescue), ("ddrescuelog", ddrescuelog)]
    {
        command.build();
        write_pages(&man, name, &command)?;
        for (shell, file) in [
            (Shell::Bash, format!("{name}.bash")),
            (Shell::Zsh, format!("_{name}")),
            (Shell::Fish, format!("{name}.fish")),
        ] {
            let mut text = Vec::new();
            generate(shell, &mut command.clone(), name, &mut text);
            fs::write(completions.join(file), text)?;
        }
    }
    Ok(())
}

/// Writes `schema.json` into `folder`.
pub fn write_schema(folder: &Path) -> io::Result<()> {
    fs::write(folder.join("schema.json"), schema::text())
}

fn page(page: &Page, command: Command, purpose: &'static str, notes: &'static str) -> Command {
    // A manual fills its own lines.
    let flowing = |text: &str| {
        text.split("\n\n").map(|paragraph| paragraph.replace('\n', " ")).collect::<Vec<_>>().join("\n\n")
    };
    command
        .about(page.about)
        .long_about(flowing(purpose))
        .override_usage(format!("{} {}", page.name, page.usage))
        .after_help(flowing(notes))
        .mut_arg("names", |arg: Arg| arg.value_name("FILE").value_hint(clap::ValueHint::FilePath))
        .version(env!("CARGO_PKG_VERSION"))
}

fn write_pages(folder: &Path, name: &str, command: &Command) -> io::Result<()> {
    let mut text = Vec::new();
    let man = Man::new(command.clone())
        .title(name)
        .section("1")
        .source(format!("Diskwright {}", env!("CARGO_PKG_VERSION")));
    man.render(&mut text)?;
    fs::write(folder.join(format!("{name}.1")), text)?;
    for child in command.get_subcommands().filter(|child| !child.is_hide_set() && child.get_name() != "help")
    {
        write_pages(folder, &format!("{name}-{}", child.get_name()), child)?;
    }
    Ok(())
}
