//! What can go wrong, told to a program (`code`, fields) and to a person (the message).

use thiserror::Error;

/// Every failure that has a cause we know. The boundary turns it into a JavaScript `Error`.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is not `scheme://path`.
    #[error("\"{url}\" is not a model URL: {why}")]
    InvalidUrl {
        /// What was given.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// No medium answers to the scheme.
    #[error("There is no \"{scheme}://\"; known are {}", schemes(.known))]
    UnknownScheme {
        /// What was given.
        scheme: String,
        /// The schemes that exist.
        known: Vec<String>,
    },
    /// The medium exists, but cannot do this, or not here.
    #[error("{scheme} cannot {operation}: {why}")]
    NotSupported {
        /// The verb.
        operation: &'static str,
        /// The medium, for example `localstorage://`.
        scheme: String,
        /// The reason.
        why: String,
    },
    /// Nothing is stored there.
    #[error("There is no model at \"{url}\"")]
    NotFound {
        /// Where we looked.
        url: String,
    },
    /// Something is stored there, and `overwrite` is false.
    #[error("There is a model at \"{url}\" already, which this call may not replace; choose another URL, or remove it")]
    AlreadyExists {
        /// The occupied place.
        url: String,
    },
    /// The engine refused for lack of room.
    #[error(
        "\"{url}\" needs {needed} bytes, and the browser has no room for them; what was stored before is unchanged"
    )]
    QuotaExceeded {
        /// The destination.
        url: String,
        /// Bytes that the save needs.
        needed: u64,
        /// Bytes in use, as the engine reports it.
        usage: Option<f64>,
        /// Bytes allowed, as the engine reports it.
        quota: Option<f64>,
    },
    /// The weight specs or the model JSON break a rule of the format.
    #[error("{file} is not valid: expected {expected}, found {received}")]
    Manifest {
        /// Which part, for example `weightSpecs[3].shape[1]`.
        file: String,
        /// What the format wants.
        expected: String,
        /// What is there.
        received: String,
    },
    /// The bytes are not as many as the specs say.
    #[error("{file} holds {received} bytes, but the weight specs describe {expected}")]
    SizeMismatch {
        /// Which part, for example `weightData`.
        file: String,
        /// Bytes that the specs describe.
        expected: u64,
        /// Bytes that are there.
        received: u64,
    },
    /// The bytes are not those that were written.
    #[error("{file} is damaged: expected {expected}, found {received}")]
    Checksum {
        /// Which file.
        file: String,
        /// The checksum that was written with it.
        expected: String,
        /// That of what is there.
        received: String,
    },
    /// A stored model is damaged.
    #[error("The model at \"{url}\" is damaged: {file}: expected {expected}, found {received}")]
    Corrupt {
        /// The model.
        url: String,
        /// Which key or record.
        file: String,
        /// What should be there.
        expected: String,
        /// What is there.
        received: String,
    },
    #[cfg(feature = "transfers")]
    /// Files that a person chose, or a folder or zip holds, are not those that the model JSON names.
    #[error("These files do not make a model: {}", list(.problems))]
    Files {
        /// All that is wrong, at least one.
        problems: Vec<FileProblem>,
    },
    #[cfg(feature = "transfers")]
    /// A server answered with a status that is not a success.
    #[error("{url} answered {status}{}", reason(.why))]
    HttpStatus {
        /// The request's.
        url: String,
        /// The status, for example 404.
        status: u16,
        /// The beginning of what the server sent with it.
        why: String,
    },
    /// A request got no answer, or not all of it.
    #[error("{url} could not be fetched (network, or a server that does not allow it by CORS): {why}")]
    Network {
        /// The request's.
        url: String,
        /// The host's own words.
        why: String,
    },
    /// The caller passed something that makes no sense.
    #[error("{argument}: {why}")]
    InvalidArgument {
        /// Which argument or option.
        argument: String,
        /// What is wrong with it.
        why: String,
    },
    /// The engine's storage failed for a reason of its own; the cause has it.
    #[error("The storage failed at \"{url}\": {why}")]
    Storage {
        /// The model, or the store.
        url: String,
        /// The engine's own words.
        why: String,
    },
}

/// What is wrong with one of the files that are to be a model.
#[derive(Clone, Debug, PartialEq)]
pub struct FileProblem {
    /// Its name, or that of the shards together.
    pub file: String,
    /// `missing`, `superfluous`, `duplicate`, `truncated` or `oversized`.
    pub problem: &'static str,
    /// Bytes that it should have and that it has, where that is the problem.
    pub sizes: Option<(u64, u64)>,
}

impl FileProblem {
    /// A file of a wrong size.
    pub fn size(file: impl Into<String>, expected: u64, received: u64) -> Self {
        let problem = if received < expected { "truncated" } else { "oversized" };
        Self { file: file.into(), problem, sizes: Some((expected, received)) }
    }
}

impl Error {
    /// The `code` that a program compares.
    pub fn code(&self) -> &'static str {
        match self {
            Error::InvalidUrl { .. } => "ERR_INVALID_URL",
            Error::UnknownScheme { .. } => "ERR_UNKNOWN_SCHEME",
            Error::NotSupported { .. } => "ERR_NOT_SUPPORTED",
            Error::NotFound { .. } => "ERR_NOT_FOUND",
            Error::AlreadyExists { .. } => "ERR_ALREADY_EXISTS",
            Error::QuotaExceeded { .. } => "ERR_QUOTA_EXCEEDED",
            Error::Manifest { .. } => "ERR_MANIFEST",
            Error::SizeMismatch { .. } => "ERR_SIZE_MISMATCH",
            Error::Checksum { .. } => "ERR_CHECKSUM",
            Error::Corrupt { .. } => "ERR_CORRUPT",
            #[cfg(feature = "transfers")]
            Error::Files { problems } if problems.iter().all(|problem| problem.sizes.is_some()) => "ERR_SIZE_MISMATCH",
            #[cfg(feature = "transfers")]
            Error::Files { .. } => "ERR_MANIFEST",
            #[cfg(feature = "transfers")]
            Error::HttpStatus { .. } => "ERR_HTTP_STATUS",
            Error::Network { .. } => "ERR_NETWORK",
            Error::InvalidArgument { .. } => "ERR_INVALID_ARGUMENT",
            Error::Storage { .. } => "ERR_STORAGE",
        }
    }

    /// The `name` of the JavaScript error, after the platform's own names.
    pub fn name(&self) -> &'static str {
        match self {
            Error::InvalidUrl { .. } | Error::InvalidArgument { .. } => "TypeError",
            Error::UnknownScheme { .. } | Error::NotSupported { .. } => "NotSupportedError",
            Error::NotFound { .. } => "NotFoundError",
            Error::AlreadyExists { .. } => "ConstraintError",
            Error::QuotaExceeded { .. } => "QuotaExceededError",
            Error::Manifest { .. } | Error::SizeMismatch { .. } | Error::Checksum { .. } | Error::Corrupt { .. } => {
                "DataError"
            }
            #[cfg(feature = "transfers")]
            Error::Files { .. } => "DataError",
            #[cfg(feature = "transfers")]
            Error::HttpStatus { .. } => "NetworkError",
            Error::Network { .. } => "NetworkError",
            Error::Storage { .. } => "OperationError",
        }
    }

    /// An [`Error::InvalidArgument`].
    pub fn argument(argument: impl Into<String>, why: impl Into<String>) -> Self {
        Error::InvalidArgument { argument: argument.into(), why: why.into() }
    }

    /// An [`Error::Manifest`].
    pub fn manifest(file: impl Into<String>, expected: impl Into<String>, received: impl Into<String>) -> Self {
        Error::Manifest { file: file.into(), expected: expected.into(), received: shortened(received.into()) }
    }

    /// The same failure, told of a model that is stored at `url`: what was a fault of the caller's is damage there.
    #[must_use]
    pub fn at_rest(self, url: &str) -> Self {
        let url = url.to_owned();
        match self {
            Error::Manifest { file, expected, received } => Error::Corrupt { url, file, expected, received },
            Error::SizeMismatch { file, expected, received } => Error::Corrupt {
                url,
                file,
                expected: format!("{expected} bytes"),
                received: format!("{received} bytes"),
            },
            #[cfg(feature = "transfers")]
            Error::Files { problems } => {
                let file = problems.iter().take(SHOWN.1).map(|problem| problem.file.as_str()).collect::<Vec<_>>();
                let file = file.join(" and ");
                let sizes = problems.first().and_then(|problem| problem.sizes).unwrap_or_default();
                let [expected, received] = [sizes.0, sizes.1].map(|bytes| format!("{bytes} bytes"));
                Error::Corrupt { url, file, expected, received }
            }
            other => other,
        }
    }
}

/// Bytes that an error shows of what it found, and problems that its message lists.
const SHOWN: (usize, usize) = (1000, 20);

/// A text that somebody else chose, no longer than a person would read.
fn shortened(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(SHOWN.0));
    text
}

#[cfg(feature = "transfers")]
fn reason(why: &str) -> String {
    if why.is_empty() { String::new() } else { format!(": {why}") }
}

#[cfg(feature = "transfers")]
fn list(problems: &[FileProblem]) -> String {
    let told = |problem: &FileProblem| match problem.sizes {
        None => format!("{} is {}", problem.file, problem.problem),
        Some((expected, received)) => format!("{} has {received} bytes instead of {expected}", problem.file),
    };
    let mut all: Vec<String> = problems.iter().take(SHOWN.1).map(told).collect();
    if problems.len() > SHOWN.1 {
        all.push(format!("and {} more", problems.len() - SHOWN.1));
    }
    all.join("; ")
}

fn schemes(known: &[String]) -> String {
    let quoted: Vec<String> = known.iter().map(|scheme| format!("{scheme}://")).collect();
    quoted.join(", ")
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_what_where_and_how_much() {
        let error = Error::SizeMismatch { file: "weightData".into(), expected: 8, received: 4 };
        assert_eq!(error.to_string(), "weightData holds 4 bytes, but the weight specs describe 8");
        let error = Error::UnknownScheme { scheme: "idb".into(), known: vec!["indexeddb".into(), "memory".into()] };
        assert_eq!(error.to_string(), "There is no \"idb://\"; known are indexeddb://, memory://");
    }

    #[test]
    fn what_somebody_else_chose_does_not_flood_a_message() {
        let error = Error::manifest("m.json", "a name", "ü".repeat(1 << 20));
        assert!(error.to_string().len() < 2000);
        let problems: Vec<_> = (0..5000).map(|i| FileProblem::size(i.to_string(), 1, 2)).collect();
        let message = Error::Files { problems: problems.clone() }.to_string();
        assert!(message.len() < 2000 && message.ends_with("; and 4980 more"), "{message}");
        assert!(Error::Files { problems }.at_rest("file:///m").to_string().len() < 2000);
    }

    #[test]
    fn a_bad_manifest_at_rest_is_damage() {
        let error = Error::manifest("weightSpecs[0].dtype", "a dtype", "\"f32\"").at_rest("indexeddb://m");
        assert_eq!((error.code(), error.name()), ("ERR_CORRUPT", "DataError"));
        let error = Error::NotFound { url: "x".into() }.at_rest("indexeddb://m");
        assert_eq!(error.code(), "ERR_NOT_FOUND");
    }
}
