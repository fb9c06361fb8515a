//! `scheme://path`, split at the first `://`. The path is an arbitrary string: `/`, spaces, `://` and a query are part of it.

use core::fmt;

use crate::error::Error;

/// Where a model lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelUrl {
    /// Lower-case, without `://`.
    pub scheme: String,
    /// All the rest, as it is.
    pub path: String,
}

impl ModelUrl {
    /// Splits the text; the path may be empty here (a store asks for [`ModelUrl::filled`]).
    ///
    /// # Errors
    /// [`Error::InvalidUrl`] when there is no `://` or the scheme is not a letter followed by letters, digits, `+`, `-`, `.`.
    ///
    /// ```
    /// let url = tfpersist::ModelUrl::parse("indexeddb://shop/a b?v=1://2")?;
    /// assert_eq!((url.scheme.as_str(), url.path.as_str()), ("indexeddb", "shop/a b?v=1://2"));
    /// # Ok::<(), tfpersist::Error>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, Error> {
        let invalid = |why| Error::InvalidUrl { url: text.to_owned(), why };
        let parts = text.split_once(':').and_then(|(scheme, rest)| Some((scheme, rest.strip_prefix("//")?)));
        let (scheme, path) = parts.ok_or_else(|| {
            invalid("it has no scheme: indexeddb://, file:///folder, or browserHTTPRequest() for a relative URL")
        })?;
        let mut letters = scheme.chars();
        let first = letters.next().is_some_and(|c| c.is_ascii_alphabetic());
        if !first || !letters.all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')) {
            return Err(invalid("what stands before :// is not a scheme"));
        }
        Ok(Self { scheme: scheme.to_ascii_lowercase(), path: path.to_owned() })
    }

    /// The same URL, when its path is not empty.
    ///
    /// # Errors
    /// [`Error::InvalidUrl`] for `scheme://`.
    pub fn filled(self) -> Result<Self, Error> {
        if self.path.is_empty() {
            return Err(Error::InvalidUrl { url: self.to_string(), why: "the path after :// is empty" });
        }
        Ok(self)
    }
}

/// `text.contains(part)`, with a search that is slow and small: what the library has for texts is 2 KB of wasm after gzip.
pub fn holds(text: &str, part: &str) -> bool {
    text.as_bytes().windows(part.len()).any(|piece| piece == part.as_bytes())
}

/// The URL of a model JSON, cut where the URLs of its weight files are put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonUrl<'a> {
    /// All up to the file's name: `https://host/models/`. Empty for a bare name.
    pub folder: &'a str,
    /// `?` and what follows, up to a `#`; empty when there is none. It may hold `/`.
    pub query: &'a str,
}

impl<'a> JsonUrl<'a> {
    /// Cuts the URL.
    pub fn cut(url: &'a str) -> Self {
        let url = url.split_once('#').map_or(url, |(url, _)| url);
        let (file, query) = url.split_at(url.find('?').unwrap_or(url.len()));
        let (folder, _) = file.split_at(file.rfind('/').map_or(0, |slash| slash + 1));
        Self { folder, query }
    }

    /// The URL of a file beside it, in `folder` or in another one; the query goes along, unless the file has its own.
    pub fn beside(&self, folder: Option<&str>, path: &str) -> String {
        let query = if path.contains('?') { "" } else { self.query };
        format!("{}{path}{query}", folder.unwrap_or(self.folder))
    }
}

impl fmt::Display for ModelUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.path)
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_not_a_url_is_refused() {
        for text in ["", "model", "://m", "a b://m", "1x://m", "index:eddb//m", "é://m"] {
            assert_eq!(ModelUrl::parse(text).map_err(|e| e.code()), Err("ERR_INVALID_URL"), "{text}");
        }
        assert!(ModelUrl::parse("indexeddb://").is_ok_and(|url| url.filled().is_err()));
    }

    #[test]
    fn weight_files_lie_beside_the_json() {
        for (url, path, whole) in [
            ("https://h/a/m.json", "./s.bin", "https://h/a/./s.bin"),
            ("https://h/a/m.json?t=x/y&u=1", "s.bin", "https://h/a/s.bin?t=x/y&u=1"),
            ("https://h/a/m.json?t=1#top/x", "s.bin?own=1", "https://h/a/s.bin?own=1"),
            ("m.json", "s.bin", "s.bin"),
            ("?model=a/b", "s.bin", "s.bin?model=a/b"),
        ] {
            assert_eq!(JsonUrl::cut(url).beside(None, path), whole);
        }
        assert_eq!(JsonUrl::cut("https://h/m.json?q").beside(Some("/w/"), "s.bin"), "/w/s.bin?q");
    }

    proptest! {
        #[test]
        fn any_path_survives(scheme in "[a-z][a-z0-9+.-]{0,9}", path in ".*") {
            let text = format!("{scheme}://{path}");
            let url = ModelUrl::parse(&text)?;
            prop_assert_eq!(url.to_string(), text);
            prop_assert_eq!(url.path, path);
        }

        #[test]
        fn nothing_panics(text in ".*") {
            let _ = (ModelUrl::parse(&text), JsonUrl::cut(&text).beside(None, &text));
        }
    }
}
