//! The command. Looks at the name it was called by and hands over.

use std::env;
use std::panic;
use std::path::Path;
use std::process::ExitCode;

use diskwright::{native, personality};

/// What GNU's tools exit with when the program contradicts itself.
const INTERNAL_ERROR_STATUS: u8 = 3;
/// What our own commands exit with then (EX_SOFTWARE of sysexits.h).
const NATIVE_INTERNAL_ERROR_STATUS: u8 = 70;

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().collect();
    let name = arguments.first().and_then(|name| Path::new(name).file_name());
    let (run, status) = match name.and_then(personality::find) {
        Some(run) => (run, INTERNAL_ERROR_STATUS),
        None => (native::run as personality::Run, NATIVE_INTERNAL_ERROR_STATUS),
    };
    // An error in the program itself has told about itself by now.
    panic::catch_unwind(|| run(arguments)).unwrap_or(ExitCode::from(status))
}
