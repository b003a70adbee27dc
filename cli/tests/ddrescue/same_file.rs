//! Copies within one file, whose ranges may overlap: what is read may have been written just before.

use std::fs;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::side::{self, Side};

const CASES: u64 = 150;

#[test]
fn random_copies_within_one_file_leave_the_same() {
    for seed in 0..CASES {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let size = rng.random_range(1000..400_000u64);
        let (from, length) = (rng.random_range(0..size), rng.random_range(1..=size));
        // Near enough to overlap, mostly.
        let to = (from + rng.random_range(0..length + 100)).saturating_sub(length / 2);
        let mut words = vec!["--same-file".to_owned()];
        words.extend([format!("-i{from}"), format!("-s{length}"), format!("-o{to}")]);
        for (share, option) in
            [(0.5, "-R"), (0.2, "-u"), (0.5, "-c1"), (0.3, "-c5"), (0.2, "-b1000"), (0.2, "-S"), (0.2, "-W")]
        {
            if rng.random_bool(share) {
                words.push(option.to_owned());
            }
        }
        let has_damage = rng.random_bool(0.3);
        if has_damage {
            words.push("-Hdamage".to_owned());
        }
        words.extend(["--log-reads=reads", "image", "image", "map"].map(str::to_owned));
        let [original, ours] = [Side::Original, Side::Ours].map(|side| {
            let folder = tempfile::tempdir().unwrap();
            let content: Vec<u8> = (0..size).map(|i| (i * 7 + i / 251 * (i % 3000 / 700)) as u8).collect();
            fs::write(folder.path().join("image"), content).unwrap();
            let bad = size / 3;
            let damage = format!("0 ?\n0 {bad} +\n{bad} 3000 -\n{} {size} +\n", bad + 3000);
            fs::write(folder.path().join("damage"), damage).unwrap();
            side::run(side, folder.path(), &words, b"")
        });
        let text = side::difference(&original, &ours).unwrap_or_default();
        assert!(text.is_empty(), "seed {seed}, {size} bytes\nddrescue {}\n{text}", words.join(" "));
    }
}
