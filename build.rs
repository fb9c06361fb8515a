//! The text of the worker, which the wasm carries for where its file is not to be had, goes without comments.

use std::path::PathBuf;
use std::{env, fs};

const SCRIPT: &str = "js/worker.js";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed={SCRIPT}");
    let text = fs::read_to_string(SCRIPT)?;
    let is_code = |line: &&str| !["//", "/**"].iter().any(|comment| line.trim_start().starts_with(comment));
    let code: Vec<&str> = text.lines().filter(is_code).filter(|line| !line.is_empty()).collect();
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("worker.js"), code.join("\n"))?;
    Ok(())
}
