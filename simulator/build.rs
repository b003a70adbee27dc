//! Makes a scenario that is added or taken away be noticed: the compiler looks only at those that were there.

fn main() {
    println!("cargo:rerun-if-changed=../scenarios");
}
