//! A model's URL, the URLs that are put together beside it, and names of files that are made of any text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tfpersist::fuzzing::shard::{base_name, is_inside, likeness, safe_name, without_copy_number};
use tfpersist::fuzzing::url::{JsonUrl, ModelUrl};

fuzz_target!(|bytes: &[u8]| {
    let texts = String::from_utf8_lossy(bytes);
    let (text, path) = texts.split_once('\n').unwrap_or((&texts, ""));
    if let Ok(url) = ModelUrl::parse(text) {
        let (scheme, rest) = text.split_once("://").expect("it has a scheme");
        assert_eq!((&url.scheme, &url.path[..]), (&scheme.to_ascii_lowercase(), rest));
        let printed = url.to_string();
        assert_eq!(printed, format!("{}://{rest}", url.scheme), "it prints back, but for the scheme's capitals");
        assert_eq!(ModelUrl::parse(&printed).as_ref(), Ok(&url));
        assert_eq!(url.clone().filled().is_ok(), !rest.is_empty());
    }
    json_url(text, path);
    file_names(text, path);
});

fn json_url(text: &str, path: &str) {
    let cut = JsonUrl::cut(text);
    assert!(cut.folder.is_empty() || cut.folder.ends_with('/'));
    assert!(cut.query.is_empty() || cut.query.starts_with('?'));
    assert!(text.starts_with(cut.folder) && text.contains(cut.query) && !cut.query.contains('#'));
    let beside = cut.beside(None, path);
    assert!(beside.starts_with(cut.folder) && beside.len() <= text.len() + path.len());
    assert!(cut.beside(Some("/w/"), path).starts_with(&format!("/w/{path}")));
}

fn file_names(text: &str, path: &str) {
    let name = safe_name(text);
    assert!(!name.is_empty() && name.len() <= 200 && name != "." && name != "..");
    assert!(!name.contains(['/', '\\', ':', '\0', '%', '~']) && !name.ends_with(['.', ' ']), "{name:?}");
    assert_eq!(safe_name(&name), name, "a safe name stays");
    assert!(is_inside(&name) && is_inside(&format!("{name}.group1-shard100of100.bin")));
    assert!(!base_name(path).contains(['/', '\\']));
    assert!(without_copy_number(path).len() <= path.len());
    if is_inside(path) {
        assert!(stays_below(path), "{path:?}");
    }
    // What `find` relies on: files are only looked for among those of the same name.
    if likeness("f/", path, text) > 0 {
        let (wanted, name) = (base_name(path.trim_start_matches("./")), base_name(text));
        assert!(wanted == name || wanted == without_copy_number(name), "{path:?} {text:?}");
    }
}

/// Walks the path as a file system would, of which kind whatever.
fn stays_below(path: &str) -> bool {
    let mut depth = 0_i64;
    for (index, part) in path.split(['/', '\\']).enumerate() {
        match part {
            "" if index == 0 => return false, // absolute
            "" | "." => {}
            ".." => depth -= 1,
            _ => depth += 1,
        }
        if depth < 0 {
            return false;
        }
    }
    !path.contains(':')
}
