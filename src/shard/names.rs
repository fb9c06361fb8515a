//! Names of files: what of a path is one, how well a file fits a path, and which name every file system takes.

/// The last part of a path.
pub fn base_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// `m.weights (1).bin` and `m.weights(1).bin` without the number that a browser gives to a second download.
pub fn without_copy_number(name: &str) -> String {
    let (stem, end) = match name.rfind('.') {
        Some(dot) => name.split_at(dot),
        None => (name, ""),
    };
    let number = stem.strip_suffix(')').and_then(|stem| stem.rsplit_once('('));
    match number {
        Some((stem, digits)) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{}{end}", stem.trim_end())
        }
        _ => name.to_owned(),
    }
}

/// How well a file fits a path of the manifest; 0: not at all. `folder` is that of the model JSON, empty or ending in `/`.
pub fn likeness(folder: &str, path: &str, file: &str) -> u32 {
    let mut path = path;
    while let Some(rest) = path.strip_prefix("./") {
        path = rest;
    }
    if file.strip_prefix(folder) == Some(path) {
        return 4;
    }
    let whole = file == path || file.strip_suffix(path).is_some_and(|rest| rest.ends_with(['/', '\\']));
    match (base_name(path), base_name(file)) {
        _ if whole => 3,
        (wanted, name) if wanted == name => 2,
        (wanted, name) if wanted == without_copy_number(name) => 1,
        _ => 0,
    }
}

/// A name that every file system takes, and that no browser changes, since the model JSON names it: `_` for what is reserved or
/// cannot be seen, one blank for several, and not too long for what is put behind it.
pub fn safe_name(name: &str) -> String {
    let mut safe = String::new();
    for c in name.chars() {
        match c {
            c if c.is_control() || is_format(c) || r#"/\:*?"<>|%~"#.contains(c) => safe.push('_'),
            c if c.is_whitespace() && safe.ends_with(' ') => continue,
            c if c.is_whitespace() => safe.push(' '),
            c => safe.push(c),
        }
        if safe.len() > LONGEST {
            safe.pop();
            break;
        }
    }
    let trimmed = safe.trim_matches(|c: char| c == '.' || c == ' ');
    match trimmed.split('.').next().unwrap_or_default() {
        "" => "model".to_owned(),
        device if is_device(device) => {
            let mut longer = format!("_{trimmed}");
            while longer.len() > LONGEST {
                longer.pop();
            }
            longer.trim_end_matches(['.', ' ']).to_owned()
        }
        _ => trimmed.to_owned(),
    }
}

/// Bytes of a name, to which `.group1-shard100of100.bin` is added; file systems take 255.
pub(super) const LONGEST: usize = 200;

/// Characters that only direct how others are shown.
fn is_format(c: char) -> bool {
    matches!(c, '\u{AD}' | '\u{600}'..='\u{605}' | '\u{61C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{FFFE}' | '\u{FFFF}' | '\u{E0000}'..='\u{E007F}')
}

/// What Windows keeps for its devices.
fn is_device(name: &str) -> bool {
    let name = name.trim_end().to_ascii_lowercase();
    let numbered = name.strip_prefix("com").or_else(|| name.strip_prefix("lpt"));
    matches!(&name[..], "con" | "prn" | "aux" | "nul")
        || numbered.is_some_and(|n| n.len() == 1 && n.bytes().all(|byte| byte.is_ascii_digit()))
}
