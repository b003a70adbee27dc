//! The command. Looks at the name it was called by and hands over.

use std::env;
use std::path::Path;
use std::process::ExitCode;

use diskwright::{native, personality};

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().collect();
    let name = arguments.first().and_then(|name| Path::new(name).file_name());
    let run = name.and_then(personality::find).unwrap_or(native::run);
    run(arguments)
}
