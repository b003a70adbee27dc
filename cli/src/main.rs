//! The command. Looks at the name it was called by and hands over.

use std::env;
use std::panic;
use std::path::Path;
use std::process::ExitCode;

use diskwright::{native, personality};

/// What tools of every name here exit with when the program contradicts itself.
const INTERNAL_ERROR_STATUS: u8 = 3;

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().collect();
    let name = arguments.first().and_then(|name| Path::new(name).file_name());
    let run = name.and_then(personality::find).unwrap_or(native::run);
    // An error in the program itself has told about itself by now.
    panic::catch_unwind(|| run(arguments)).unwrap_or(ExitCode::from(INTERNAL_ERROR_STATUS))
}
