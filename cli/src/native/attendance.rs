//! Staying until somebody says that it is enough.
//!
//! Owns signals, the PID file, and the command of `--run`. Must not know what is served meanwhile.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use clap::Args;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::Failure;
use super::output::failed;

/// What a process exits with that a signal ends, but for the signal's number: as shells have it.
const SIGNAL_STATUS: i32 = 128;

/// How long to stay, and who is told.
#[derive(Clone, Debug, Default, Args)]
pub struct AttendanceOptions {
    /// Write the number of this process to this file when everything is ready; removed at the end
    #[arg(short = 'P', long, value_name = "FILE")]
    pub pidfile: Option<PathBuf>,
    /// Run this shell command when everything is ready, end when it ends, and exit with its status
    #[arg(long, value_name = "COMMAND")]
    pub run: Option<OsString>,
    /// Stay in the foreground, as is done anyway
    #[arg(short, long)]
    pub foreground: bool,
}

/// Something to act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Somebody wants the end.
    Signal(i32),
    /// What is served has ended by itself.
    Over,
    /// The command of `--run` has ended.
    Left,
}

/// What SIGHUP means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hangup {
    /// The end, like the others.
    Ends,
    /// Something else: it is an event each time.
    IsTold,
}

/// Variables that are meant for this process, and not for its children.
const OURS: [&str; 4] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "NOTIFY_SOCKET"];

/// Waits for signals and for others.
pub struct Attendance {
    sender: Sender<Event>,
    events: Receiver<Event>,
    /// What is left undone when there is no time.
    last: Arc<Mutex<Vec<LastDeed>>>,
    pidfile: Option<PidFile>,
    child: Option<Child>,
}

type LastDeed = Box<dyn FnOnce() + Send>;

impl Attendance {
    /// Begins to listen: the first signal is an event; a second one ends the process at once.
    pub fn listen(hangup: Hangup) -> Result<Attendance, Failure> {
        let (sender, events) = channel();
        let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])
            .map_err(|error| failed("listen to signals", Path::new("diskwright"), &error))?;
        let last: Arc<Mutex<Vec<LastDeed>>> = Arc::default();
        let (deeds, wanted) = (last.clone(), sender.clone());
        std::thread::spawn(move || {
            let mut is_first = true;
            for signal in signals.forever() {
                if signal == SIGHUP && hangup == Hangup::IsTold {
                    let _ = wanted.send(Event::Signal(signal));
                    continue;
                }
                if std::mem::take(&mut is_first) {
                    let _ = wanted.send(Event::Signal(signal));
                    continue;
                }
                let deeds = std::mem::take(&mut *deeds.lock().unwrap_or_else(PoisonError::into_inner));
                deeds.into_iter().rev().for_each(|deed| deed());
                std::process::exit(SIGNAL_STATUS + signal);
            }
        });
        Ok(Attendance { sender, events, last, pidfile: None, child: None })
    }

    /// Adds something that is done when a second signal ends everything; it must not wait. The last one comes first.
    pub fn at_once(&self, deed: impl FnOnce() + Send + 'static) {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(deed));
    }

    /// Where others tell of events.
    pub fn teller(&self) -> Sender<Event> {
        self.sender.clone()
    }

    /// Everything is ready: writes the PID file, and runs the command with these variables in its environment.
    pub fn ready(
        &mut self,
        options: &AttendanceOptions,
        variables: &[(&str, &OsStr)],
    ) -> Result<(), Failure> {
        if let Some(path) = &options.pidfile {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            self.pidfile =
                Some(PidFile::write(path.clone()).map_err(|error| failed("write it", &path, &error))?);
            self.at_once(move || drop(PidFile(path)));
        }
        if let Some(command) = &options.run {
            let mut shell = Command::new("/bin/sh");
            shell.arg("-c").arg(command).envs(variables.iter().copied());
            for name in OURS {
                shell.env_remove(name);
            }
            let child = shell.spawn().map_err(|error| failed("run it", Path::new("/bin/sh"), &error))?;
            let (id, sender) = (child.id(), self.sender.clone());
            self.child = Some(child);
            std::thread::spawn(move || {
                let id = Pid::from_raw(id as i32);
                // Its number stays its own until we have taken its status.
                let how = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
                while waitid(Id::Pid(id), how) == Err(Errno::EINTR) {}
                let _ = sender.send(Event::Left);
            });
        }
        Ok(())
    }

    /// Waits for the next event.
    pub fn wait(&self) -> Event {
        // We hold a sender ourselves: it never fails.
        self.events.recv().unwrap_or(Event::Over)
    }

    /// Asks the command to end, if it has not.
    pub fn end_command(&self) {
        if let Some(child) = &self.child {
            let _ = kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM);
        }
    }

    /// Waits for the end of the command; returns the exit status that becomes ours: 0 if there was none.
    pub fn status(&mut self) -> u8 {
        let status = self.child.take().map(|mut child| child.wait());
        match status {
            None => 0,
            Some(Ok(status)) => status_of(status),
            Some(Err(_)) => 4,
        }
    }
}

fn status_of(status: ExitStatus) -> u8 {
    let number = status.code().or_else(|| status.signal().map(|signal| SIGNAL_STATUS + signal));
    number.and_then(|number| u8::try_from(number).ok()).unwrap_or(4)
}

/// A file with the number of this process, removed on drop if it still has it.
struct PidFile(PathBuf);

impl PidFile {
    fn write(path: PathBuf) -> io::Result<PidFile> {
        // Whoever waits for it must not find half of it.
        let mut half = path.clone().into_os_string();
        half.push(format!(".{}", std::process::id()));
        fs::write(&half, PidFile::text())?;
        fs::rename(&half, &path).inspect_err(|_| drop(fs::remove_file(&half)))?;
        Ok(PidFile(path))
    }

    fn text() -> String {
        format!("{}\n", std::process::id())
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if fs::read_to_string(&self.0).is_ok_and(|text| text == PidFile::text()) {
            let _ = fs::remove_file(&self.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_is_whole_and_goes_unless_it_is_somebody_elses() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pid");
        let file = PidFile::write(path.clone()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        drop(file);
        assert!(fs::read_dir(folder.path()).unwrap().next().is_none());
        let file = PidFile::write(path.clone()).unwrap();
        fs::write(&path, "1\n").unwrap();
        drop(file);
        assert!(path.exists());
    }

    #[test]
    fn the_status_of_the_command_is_ours() {
        for (command, expected) in [("exit 7", 7), ("kill -9 $$", 137), ("test \"$file\" = /x", 0)] {
            let mut attendance = Attendance::listen(Hangup::Ends).unwrap();
            let options = AttendanceOptions { run: Some(command.into()), ..AttendanceOptions::default() };
            attendance.ready(&options, &[("file", OsStr::new("/x"))]).unwrap();
            assert_eq!(attendance.wait(), Event::Left);
            assert_eq!(attendance.status(), expected, "{command}");
        }
    }
}
