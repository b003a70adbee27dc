//! The command. Looks at the name it was called by and hands over.

use std::env;
use std::path::Path;
use std::process::ExitCode;

use diskwright::personality;

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().collect();
    let name = arguments.first().and_then(|name| Path::new(name).file_name());
    match name.and_then(personality::find) {
        Some(run) => run(arguments),
        None => ExitCode::FAILURE,
    }
}
