//! Wrong command lines, and runs that must not begin: same message, same exit status.

use std::fs;
use std::path::Path;

use crate::side::{self, Side};

/// Each of these is refused before any file is looked at. `_` stands for `in out`.
const WRONG_OPTIONS: &[&str] = &[
    "",
    "in",
    "in out map more",
    "--x",
    "--x=5",
    "--s=5",
    "--siz",
    "--si=",
    "--help=5",
    "-b",
    "-xz",
    "-Z",
    "-y5",
    "--log-",
    "--max-e",
    "--max-read _",
    "--verify",
    "--pause-on-e",
    "-i _ ",
    "-b0 _",
    "-b 268435457 _",
    "-b1s _",
    "-b x _",
    "-b 1K _",
    "-c0 _",
    "-c 2147483648 _",
    "-c1s _",
    "-c 1ki _",
    "-a x _",
    "-a -1 _",
    "-a 1kk _",
    "-E -1 _",
    "-E 1BB _",
    "-e x _",
    "-e -1 _",
    "-e + _",
    "-e +x _",
    "-e 1s _",
    "-F x in out map",
    "-F l in out map",
    "-F- -G in out map",
    "-F- --command-mode in out map",
    "-G --command-mode in out map",
    "--command-mode -F- in out map",
    "-F- in out",
    "-G in out",
    "-F- --ask in out map",
    "-G --ask in out map",
    "-F- --same-file in out map",
    "-w _",
    "-w in",
    "-w in in",
    "--command-mode -w _",
    "-F- --ask in",
    "-F- in in",
    "-F- --same-file --ask in in map",
    "-i -1 _",
    "-i 0, _",
    "-i x _",
    "-i 9223372036854775808 _",
    "-o -1 _",
    "-o x _",
    "-s -2 _",
    "-s x _",
    "-K _",
    "-K, _",
    "-K0, _",
    "-K0,65535 _",
    "-K0,65536, _",
    "-K 5 _",
    "-K65535 _",
    "-K x _",
    "-K 128Ki,64Ki _",
    "-K65536x _",
    "-K65536,65536x _",
    "-K 64x,65536 _",
    "-K 65536ki _",
    "-K 65536,70000ki _",
    "-K 9999999999999999999,65536 _",
    "-K 2Ei _",
    "-K ,65535 _",
    "-K -1 _",
    "-K ,x _",
    "-m a -m b _",
    "-H a -H b _",
    "-P0 _",
    "-P33 _",
    "-Px _",
    "-P1s _",
    "-r -2 _",
    "-r 1073741824 _",
    "-r x _",
    "-r 1s _",
    "-T x _",
    "-T 1.5 _",
    "-T -1 _",
    "-T 1/0 _",
    "-T 5x _",
    "-x 0 _",
    "-x x _",
    "-X -1 _",
    "-X x _",
    "-X 1s _",
    "-Z 0 _",
    "-Z x _",
    "--cpass=, _",
    "--cpass=1, _",
    "--cpass=-1 _",
    "--cpass=1- _",
    "--cpass=6 _",
    "--cpass=1,6 _",
    "--cpass=1-6 _",
    "--cpass=3-2 _",
    "--cpass=1x _",
    "--cpass=00 _",
    "--cpass=x _",
    "--delay-slow=x _",
    "--delay-slow=0.5 _",
    "--log-events=- _",
    "--log-rates=- _",
    "--log-reads=- _",
    "--log-events=/dev/null _",
    "--log-reads=folder _",
    "--mapfile-interval=x _",
    "--mapfile-interval=, _",
    "--mapfile-interval=30, _",
    "--mapfile-interval=30,60, _",
    "--mapfile-interval=-2 _",
    "--mapfile-interval=301 _",
    "--mapfile-interval=3,4 _",
    "--mapfile-interval=,4 _",
    "--mapfile-interval=30,10 _",
    "--mapfile-interval=1.5 _",
    "--mapfile-interval=1,7.5 _",
    "--mapfile-interval=-1, _",
    "--mapfile-interval=-1,7x _",
    "--mapfile-interval=30x,60 _",
    "--max-slow-reads=-1 _",
    "--max-slow-reads=1s _",
    "--pause-on-error=x _",
    "--pause-on-error=1.5 _",
    "--pause-on-error=s _",
    "--pause-on-error=s1x _",
    "--pause-on-error=s1/300 _",
    "--pause-on-pass=x _",
    "--pause-on-pass=0.5 _",
    "-q -b0 _",
    "-qv -b0 _",
    "-b0 -q _",
    "-b0 -V",
    "-q --x",
    "-q",
    "-qqvv in",
];

/// Each of these finds something wrong with its files, or nothing to do.
const WRONG_FILES: &[&str] = &[
    "in in",
    "./in in",
    "in link",
    "in out in",
    "in out out",
    "map.bak out map",
    "in map.bak map",
    "in out /dev/null",
    "in out folder",
    "in folder",
    "in /dev/full",
    "-p -f in /dev/full",
    "-S -f in /dev/full",
    "-x3 -f in /dev/full",
    "-p -S -x3 -f in /dev/full",
    "nope out",
    "nope out nope",
    "--same-file -t in in",
    "-m nope in out",
    "-H nope in out",
    "-m bad in out",
    "-H bad in out",
    "in out bad",
    "-L in out bad",
    "-Lm bad in out nope",
    "-Lm overlap in out",
    "-LH overlap in out",
    "-m overlap in out",
    "in out gap",
    "in out empty -C",
    "-q in out bad",
    "-i 400000 in out",
    "-i 300000 in out",
    "-i 9E -s 9E in out",
    "-I in out nope",
    "-I in out empty",
    "-C in out nope",
    "-C in out blank",
    "-s0 in out",
    "-m none in out",
    "-t in out full",
    "-t in out part",
    "in out long",
    "in out behind",
    "-I in out long",
    "-I in out short",
    "-I -C in out short",
    "-C -i 250000 in out short",
    "-C -i 250000 -s 10 in out short",
    "--log-events=nope/x in out",
    "--log-rates=nope/x in out",
    "--log-reads=nope/x in out",
    "in nope/out",
    "in out nope/map",
    "-F- nope out full",
    "-F- empty out full",
    "-F- folder out full",
    "-F- in nope/out full",
    "-F- in out nope",
    "-F- in out empty",
    "-F- in out bad",
    "-F- -i 500000 in out full",
    "-F- -s0 in out full",
    "-F- in folder full",
    "-F- -f in folder full",
    "-G nope part gen",
    "-G in nope gen",
    "-G -i 400000 in part gen",
    "-G in part full",
    "-G in part bad",
    "-G -s0 in part gen",
    "-G in part long",
    "-m empty -s 0 in out",
    "-q -s0 in out",
    "-d nope out",
    "--command-mode nope out",
    "--command-mode -s0 in out",
    "--command-mode in in",
];

#[test]
fn wrong_options_are_refused_in_the_same_words() {
    compare_all(WRONG_OPTIONS);
}

#[test]
fn wrong_files_are_refused_in_the_same_words() {
    compare_all(WRONG_FILES);
}

fn compare_all(lines: &[&str]) {
    let mut different = String::new();
    for line in lines {
        let words: Vec<String> = line.replace('_', "in out").split_whitespace().map(str::to_owned).collect();
        let words = if *line == "-K _" { vec!["-K".to_owned(), String::new()] } else { words };
        let [original, ours] = [Side::Original, Side::Ours].map(|side| {
            let folder = tempfile::tempdir().unwrap();
            lay_out(folder.path());
            side::run(side, folder.path(), &words, b"")
        });
        if let Some(text) = side::difference(&original, &ours) {
            different.push_str(&format!("ddrescue {line}\n{text}\n"));
        }
        assert!(
            original.status != 0 || !original.messages.is_empty() || line.contains("-q"),
            "{line} is right"
        );
    }
    assert!(different.is_empty(), "{different}");
}

fn lay_out(folder: &Path) {
    let write = |name: &str, content: &[u8]| fs::write(folder.join(name), content).unwrap();
    let content: Vec<u8> = (0..300_000u32).map(|i| (i * 7 + i / 251) as u8).collect();
    write("in", &content);
    write("part", &content[..200_000]);
    write("map", b"0 ?\n0 300000 ?\n");
    write("map.bak", b"0 ?\n");
    write("bad", b"x\n");
    write("overlap", b"0 ?\n0 10 +\n10 10 +\n5 3 -\n");
    write("gap", b"# a comment\n0 ?\n\n0 10 +\n20 10 +\n");
    write("empty", b"");
    write("blank", b"# nothing\n0 ?\n");
    write("none", b"0 ?\n0 300000 -\n");
    write("full", b"0 +\n0 1000 +\n1000 1000 -\n2000 298000 +\n");
    write("long", b"0 ?\n0 400000 +\n");
    write("behind", b"0 ?\n0 300000 +\n300000 4 +\n");
    write("short", b"0 ?\n0 200000 +\n");
    fs::create_dir(folder.join("folder")).unwrap();
    fs::hard_link(folder.join("in"), folder.join("link")).unwrap();
}
