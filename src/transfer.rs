//! Where models go through but do not stay under a path: servers, downloads, files of a person's. Each medium is one file
//! below `transfer/`; they know nothing of each other but that a zip holds files.

use js_sys::Array;
use wasm_bindgen::JsValue;

use crate::artifacts::Model;
use crate::context::Context;
use crate::error::Error;
use crate::js::{self, Result};
use crate::model_json;
use crate::url::ModelUrl;

mod body;
pub mod download;
pub mod downloads;
pub mod files;
pub mod http;
pub mod laid;
mod one_version;
pub mod remote;
pub mod request;
pub mod upload;
pub mod zip;

use http::Http;

/// One of the media.
#[derive(PartialEq)]
pub enum Transfer {
    /// A server: `http://`, `https://`, a relative URL, or what `browserHTTPRequest` was given.
    Http(Http),
    /// An object store: the caller's `sign`, which gives the URL of each file.
    Signed(JsValue),
    /// Downloads whose names begin so.
    Downloads(String),
    /// Files of a person's; whether they were not chosen one by one.
    Files(Array, bool),
    /// A model JSON and its weights, `{ modelJSON, weights }`.
    InMemory(JsValue),
}

impl Transfer {
    /// The medium of a URL.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for options of a wrong type.
    pub fn of_url(url: &ModelUrl, text: &str, cx: &Context) -> Result<Option<Self>> {
        match &url.scheme[..] {
            "http" | "https" => Http::new(text.to_owned(), cx).map(Transfer::Http).map(Some),
            "downloads" => Ok(Some(Transfer::Downloads(url.path.clone()))),
            _ => Ok(None),
        }
    }

    /// The medium of a URL that only a page knows the beginning of.
    ///
    /// # Errors
    /// As [`Transfer::of_url`].
    pub fn of_relative(url: String, cx: &Context) -> Result<Option<Self>> {
        Http::new(url, cx).map(Transfer::Http).map(Some)
    }

    /// The medium of what is no URL: files, `{ http }`, `{ sign }`, `{ modelJSON, weights }`.
    ///
    /// # Errors
    /// As [`Transfer::of_url`].
    pub fn of_value(value: &JsValue, cx: &Context) -> Result<Option<Self>> {
        if !value.is_object() {
            return Ok(None);
        }
        if let Some(url) = js::text(&js::get(value, "http")) {
            return Http::new(url, cx).map(Transfer::Http).map(Some);
        }
        if let Some(sign) = js::method(value, "sign") {
            return Ok(Some(Transfer::Signed(sign.into())));
        }
        if js::get_some(value, "modelJSON").is_some() {
            return Ok(Some(Transfer::InMemory(value.clone())));
        }
        Ok(files::picked(value).map(|(files, is_loose)| Transfer::Files(files, is_loose)))
    }

    /// Opens the model.
    ///
    /// # Errors
    /// The medium's.
    pub async fn open(&self, cx: &Context) -> Result<Model> {
        match self {
            Transfer::Http(http) => http.open(cx).await,
            Transfer::Files(files, is_loose) => files::open(files, *is_loose, cx).await,
            Transfer::InMemory(source) => model_json::from_memory(source, cx),
            Transfer::Signed(_) | Transfer::Downloads(_) => {
                Err(Error::argument("source", "nothing comes from there").into())
            }
        }
    }

    /// Sends the model and gives the SaveResult.
    ///
    /// # Errors
    /// The medium's.
    pub async fn put(&self, model: Model, cx: &Context) -> Result<JsValue> {
        match self {
            Transfer::Http(http) => upload::put(http, model, cx).await,
            Transfer::Signed(sign) => upload::put_signed(sign, model, cx).await,
            Transfer::Downloads(stem) => downloads::put(stem, model, cx).await,
            Transfer::Files(..) | Transfer::InMemory(_) => {
                Err(Error::argument("target", "nothing can be saved there").into())
            }
        }
    }
}
