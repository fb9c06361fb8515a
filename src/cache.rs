//! `load(url, { cache })`: a server's model that is kept in a store, and asked for again only when the server has another one.

use js_sys::Object;
use wasm_bindgen::JsValue;

use crate::artifacts::{Header, Model};
use crate::context::Context;
use crate::error::Error;
use crate::host;
use crate::js::{self, Result};
use crate::route::Route;
use crate::store::Store;
use crate::transfer::Transfer;
use crate::transfer::http::{Fetched, Http, Version, versions_from_js, versions_to_js};
use crate::transfer::request::Requests;
use crate::weights::Weights;

/// The field of the stored artifacts that tells what they are a copy of. TF.js does not look at it.
pub const FIELD: &str = "cachedFrom";

/// Opens the model, from the store of the option `cache` when that has the server's newest. What was downloaded is stored whole or not
/// at all; when the store cannot be read or written, it is loaded all the same, and the console says why.
///
/// # Errors
/// The source's; [`Error::InvalidArgument`], [`Error::NotSupported`] for a `cache` that cannot be one.
pub async fn open(source: &Route, cx: &Context) -> Result<Model> {
    let Some(cache) = cx.options.some("cache") else { return source.open(cx).await };
    let Route::Transfer(Transfer::Http(http)) = source else {
        return Err(Error::argument("options.cache", "only models that come from a server are cached").into());
    };
    let (store, path) = Route::to_store(&cache, "options.cache", cx)?;
    if matches!(store.scheme(), "localstorage" | "file") {
        let why = "it keeps only the fields that TF.js knows; use indexeddb://".to_owned();
        return Err(Error::NotSupported { operation: "be a cache", scheme: store.scheme().to_owned(), why }.into());
    }
    let unseen = cx.unseen();
    let url = absolute(&http.url);
    let entry = match store.open(&path, &unseen).await {
        // Somebody's own model is not a server's to replace.
        Ok(model) => Some(Entry::of(model).ok_or_else(|| Error::AlreadyExists { url: store.url(&path) })?),
        Err(failure) if matches!(failure.error(), Some(Error::NotFound { .. })) => None,
        // What cannot be read is as good as none; but nobody knows what is there, so nothing is stored in its place.
        Err(failure) => {
            cx.check()?;
            web_sys::console::error_1(&failure.into());
            return source.open(cx).await;
        }
    };
    let requests = Requests::to_read(cx)?.revalidating();
    match (newest(http, entry.as_ref(), &requests).await, entry) {
        (Ok(None), Some(entry)) => kept(entry, source, cx).await,
        (Err(failure), Some(entry)) if is_offline(&failure) && entry.url == url => kept(entry, source, cx).await,
        (Ok(Some(fresh)), _) => {
            if let Err(failure) = store.put(&path, fresh.stored()?, &unseen).await {
                cx.check()?;
                web_sys::console::error_1(&failure.into());
            }
            fresh.into_model()
        }
        (Err(failure), _) => Err(failure),
        (Ok(None), None) => Err(Error::NotFound { url: http.url.clone() }.into()),
    }
}

/// The model of an entry; the server's, if only the reading of it shows that it cannot be read.
async fn kept(entry: Entry, source: &Route, cx: &Context) -> Result<Model> {
    if cx.flag("stream")? {
        return entry.into_model();
    }
    match entry.model()?.pieces(cx).await {
        Ok(weights) => Entry { weights: weights.map_or(Weights::None, Weights::Parts), ..entry }.model(),
        Err(failure) => {
            cx.check()?;
            web_sys::console::error_1(&failure.into());
            source.open(cx).await
        }
    }
}

/// The server's model, downloaded; `None` when the entry is it.
async fn newest(http: &Http, entry: Option<&Entry>, requests: &Requests) -> Result<Option<Entry>> {
    let fetched = http.json(requests).await?;
    if let Some(entry) = entry.filter(|entry| entry.url == absolute(&http.url) && entry.digest == fetched.digest)
        && fetched.is_unchanged(&entry.versions, requests).await?
    {
        return Ok(None);
    }
    let (model, versions) = fetched.weights(requests).await?;
    Entry::new(http, &fetched, model, versions, &requests.cx).await.map(Some)
}

/// The URL in the one spelling that all of its spellings mean.
fn absolute(url: &str) -> String {
    let base = js::global("location").map_or(JsValue::UNDEFINED, |location| js::get(&location, "href"));
    let parsed = host::construct("URL", &[&url.into(), &base]);
    parsed.ok().and_then(|parsed| js::text(&js::get(&parsed, "href"))).unwrap_or_else(|| url.to_owned())
}

fn is_offline(failure: &js::Failure) -> bool {
    matches!(failure.error(), Some(Error::Network { .. }))
}

/// A model, and what it is a copy of.
struct Entry {
    artifacts: Object,
    weights: Weights,
    url: String,
    digest: String,
    versions: Vec<Version>,
}

impl Entry {
    async fn new(
        http: &Http,
        fetched: &Fetched,
        mut model: Model,
        versions: Vec<Version>,
        cx: &Context,
    ) -> Result<Self> {
        let weights = model.pieces(cx).await?.map_or(Weights::None, Weights::Parts);
        let artifacts = model.header.with_weights(None);
        Ok(Self { artifacts, weights, url: absolute(&http.url), digest: fetched.digest.clone(), versions })
    }

    /// What is stored, if it is a copy. As long as it lives, so does what it is read from.
    fn of(model: Model) -> Option<Self> {
        model.weights.again()?; // what can be read only once is no copy of ours
        let weights = model.weights;
        let artifacts = model.header.with_weights(None);
        let from = js::get_some(&artifacts, FIELD)?;
        let _ = js_sys::Reflect::delete_property(&artifacts, &FIELD.into());
        let versions = versions_from_js(&js::get(&from, "versions"));
        let (url, digest) = (js::text(&js::get(&from, "url"))?, js::text(&js::get(&from, "digest"))?);
        Some(Self { artifacts, weights, url, digest, versions })
    }

    /// The model as it is stored.
    fn stored(&self) -> Result<Model> {
        let from = Object::new();
        js::set(&from, "url", &self.url.as_str().into());
        js::set(&from, "digest", &self.digest.as_str().into());
        js::set(&from, "versions", &versions_to_js(&self.versions));
        let artifacts = Object::assign(&Object::new(), &self.artifacts);
        js::set(&artifacts, FIELD, &from);
        self.build(&artifacts)
    }

    /// The model as its source has it; what it is read from is kept by the entry alone.
    fn model(&self) -> Result<Model> {
        self.build(&self.artifacts)
    }

    fn build(&self, artifacts: &Object) -> Result<Model> {
        counted(artifacts, self.weights.again().unwrap_or(Weights::None))
    }

    /// The same, and the entry is used up.
    fn into_model(self) -> Result<Model> {
        counted(&self.artifacts, self.weights)
    }
}

fn counted(artifacts: &Object, weights: Weights) -> Result<Model> {
    let mut model = Model::new(Header::of_own(artifacts)?, weights)?;
    model.is_counted = true;
    Ok(model)
}
