//! A model in transit: a header (all but the weights, opaque) and the weights. To and from ModelArtifacts, and its info as TF.js computes it.

#[cfg(feature = "sharded")]
use js_sys::Array;
use js_sys::{ArrayBuffer, Object, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};

use crate::context::Context;
use crate::digest::Digest;
use crate::error::Error;
use crate::js::{self, Result};
use crate::manifest::{self, WeightSpec};
use crate::weights::{self, Pull, Weights};

mod header;

pub use header::{Header, described};
#[cfg(feature = "transfers")]
pub use header::{raw_specs, short_text};

/// A model on its way from a source to a sink.
pub struct Model {
    /// Everything but the weights.
    pub header: Header,
    /// The weights.
    pub weights: Weights,
    specs: Option<Vec<WeightSpec>>,
    /// Bytes of the weights when they were first seen: a caller's buffers may go away before they are read.
    seen: Option<u64>,
    /// When the source stored it, in milliseconds since 1970, where the source knows.
    pub saved: Option<f64>,
    /// Whether its bytes have been counted by the progress already, as they came.
    pub is_counted: bool,
}

impl Model {
    /// Reads ModelArtifacts. The value is not changed, and its weights are not copied.
    ///
    /// # Errors
    /// [`Error::Manifest`], [`Error::SizeMismatch`] when specs and bytes do not belong together;
    /// [`Error::InvalidArgument`], [`Error::NotSupported`] for what is no model.
    pub fn from_artifacts(artifacts: &JsValue) -> Result<Self> {
        let has = |part: &&str| js::get_some(artifacts, part).is_some();
        if !["modelTopology", "weightSpecs", "weightData", "getWeightStream"].iter().any(has) {
            return Err(Error::argument(
                "model",
                "it must be a model with save(), or ModelArtifacts; a promise of one is awaited first",
            )
            .into());
        }
        let artifacts = artifacts.unchecked_ref::<Object>();
        Self::new(Header::of(artifacts)?, Weights::of(artifacts)?)
    }

    /// The same of what is our own, as a store's clone is: plain, and nobody else changes it.
    ///
    /// # Errors
    /// As [`Model::from_artifacts`].
    pub fn from_own(artifacts: &JsValue) -> Result<Self> {
        let artifacts = artifacts.unchecked_ref::<Object>();
        Self::new(Header::of_own(artifacts)?, Weights::of(artifacts)?)
    }

    /// Puts a header and weights together.
    ///
    /// # Errors
    /// As [`Model::from_artifacts`].
    pub fn new(header: Header, weights: Weights) -> Result<Self> {
        let specs = header.specs()?;
        let seen = weights.byte_length();
        let model = Self { header, weights, specs, seen, saved: None, is_counted: false };
        // How long strings are, only bytes that are here can tell.
        if let Some(received) = seen
            && (model.weights.is_here() || model.byte_length().is_some())
        {
            model.check_total(received, &model.weights)?;
        }
        Ok(model)
    }

    /// What a model JSON alone tells of a model: its specs say what is missing, so nobody takes it for a whole one.
    #[cfg(feature = "transfers")]
    pub fn without_weights(header: Header) -> Self {
        Self { header, weights: Weights::None, specs: None, seen: None, saved: None, is_counted: false }
    }

    /// All weight bytes in one buffer, checked against the specs; the weights are used up. `None` when the model has none.
    ///
    /// # Errors
    /// As [`Model::pull`]; [`Error::InvalidArgument`] when the engine has no room for one buffer.
    pub async fn join(&mut self, cx: &Context) -> Result<Option<ArrayBuffer>> {
        match self.read(cx).await? {
            None => Ok(None),
            Some(parts) => weights::concat(&parts).map(Some),
        }
    }

    /// All weight bytes in pieces, checked and counted; the weights are used up. `None` when the model has none.
    ///
    /// # Errors
    /// As [`Model::pull`].
    pub async fn read(&mut self, cx: &Context) -> Result<Option<Vec<Uint8Array>>> {
        self.read_with(self.is_counted, cx).await
    }

    /// All weight bytes in pieces, not counted.
    ///
    /// # Errors
    /// As [`Model::pull`].
    pub async fn pieces(&mut self, cx: &Context) -> Result<Option<Vec<Uint8Array>>> {
        self.read_with(true, cx).await
    }

    async fn read_with(&mut self, is_counted: bool, cx: &Context) -> Result<Option<Vec<Uint8Array>>> {
        if matches!(self.weights, Weights::None) {
            return Ok(None);
        }
        #[cfg(not(feature = "sharded"))]
        let mut pull = self.begin(cx);
        #[cfg(feature = "sharded")]
        let mut pull = self.begin(cx).of_all();
        let mut parts = Vec::new();
        while let Some(part) = pull.next(cx).await? {
            if !is_counted {
                cx.advance(part.length().into(), "read");
            }
            parts.push(part);
        }
        #[cfg(feature = "sharded")]
        if self.byte_length().is_none() {
            // Only now the lengths of strings can be known.
            let all = Weights::Parts(parts.clone());
            self.check_total(weights::length(&parts), &all)?;
        }
        Ok(Some(parts))
    }

    /// The weights, to be pulled, checked against the specs; they are used up.
    ///
    /// # Errors
    /// [`Error::SizeMismatch`], the signal's reason, what the source says: then, or by what is pulled.
    #[cfg(feature = "sharded")]
    pub async fn pull(&mut self, cx: &Context) -> Result<Pull> {
        if self.byte_length().is_none() && !self.weights.is_here() {
            // Strings: how many bytes there must be only they can tell.
            self.weights = self.pieces(cx).await?.map_or(Weights::None, Weights::Parts);
        }
        Ok(self.begin(cx))
    }

    /// The weights, to be pulled; they are used up. The lengths of strings that are not here are not checked.
    pub fn begin(&mut self, cx: &Context) -> Pull {
        let weights = core::mem::replace(&mut self.weights, Weights::None);
        let expected = self.bytes();
        if !self.is_counted {
            cx.expect(expected);
        }
        Pull::new(weights, expected)
    }

    /// Bytes of the weights, as far as they are known before they are read.
    pub fn bytes(&self) -> Option<u64> {
        self.seen.or_else(|| self.byte_length())
    }

    /// Bytes that the specs describe; `None` without specs, and when strings hide it.
    pub fn byte_length(&self) -> Option<u64> {
        self.specs.as_deref().and_then(manifest::byte_length)
    }

    /// The specs, checked.
    #[cfg(feature = "sharded")]
    pub fn specs(&self) -> Option<&[WeightSpec]> {
        self.specs.as_deref()
    }

    /// The weights' bytes, spec by spec; `None` without specs, and when strings hide it.
    #[cfg(feature = "sharded")]
    pub fn weight_lengths(&self) -> Option<Vec<u64>> {
        self.specs.as_ref()?.iter().map(WeightSpec::byte_length).collect()
    }

    /// The whole as ModelArtifacts, with `weightData` in one buffer where the source had it.
    ///
    /// # Errors
    /// As [`Model::join`].
    pub async fn into_artifacts(mut self, cx: &Context) -> Result<Object> {
        let data = self.join(cx).await?;
        Ok(self.header.with_weights(data.as_ref().map(AsRef::as_ref)))
    }

    /// The whole as a load gives it: `weightData` is one buffer, or a list where the model is stored in several; TF.js takes both.
    ///
    /// # Errors
    /// As [`Model::pull`].
    pub async fn into_loaded(mut self, cx: &Context) -> Result<Object> {
        let parts = self.read(cx).await?;
        #[cfg(feature = "sharded")]
        if let Some(parts) = parts.as_ref().filter(|parts| parts.len() > 1)
            && !cx.flag("joined")?
        {
            let buffers: Result<Vec<ArrayBuffer>> =
                parts.iter().map(|part| weights::concat(core::slice::from_ref(part))).collect();
            return Ok(self.header.with_weights(Some(&buffers?.iter().collect::<Array>())));
        }
        let data = parts.map(|parts| weights::concat(&parts)).transpose()?;
        Ok(self.header.with_weights(data.as_ref().map(AsRef::as_ref)))
    }

    /// The model with `getWeightStream` instead of its weights. Each call opens a stream, of a stream's the only one.
    ///
    /// # Errors
    /// None.
    #[cfg(feature = "sharded")]
    pub fn into_streamed(mut self, cx: &Context) -> Result<Object> {
        let artifacts = self.header.with_weights(None);
        if matches!(self.weights, Weights::None) {
            return Ok(artifacts);
        }
        let expected = self.byte_length().filter(|_| !self.weights.is_here());
        let weights = core::mem::replace(&mut self.weights, Weights::None);
        js::set(&artifacts, "getWeightStream", &weights::stream::opener(weights, expected, cx.unseen()));
        Ok(artifacts)
    }

    /// A checksum of everything that the model holds, the same wherever it is stored: what a store could not keep shows.
    ///
    /// # Errors
    /// As [`Model::pull`].
    pub async fn digest(mut self, cx: &Context) -> Result<String> {
        let mut digest = Digest::default();
        digest.text(Some(&self.header.canonical()?));
        let mut pull = self.begin(cx);
        while let Some(part) = pull.next(cx).await? {
            digest.bytes(&part);
            pull.release(&part);
        }
        Ok(digest.finish())
    }

    /// That there are specs of its weights: without them nobody could load it.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`].
    pub fn check_specs(&self) -> Result<()> {
        let is_sound = self.specs.is_some() || self.weights.byte_length() == Some(0);
        if is_sound { Ok(()) } else { Err(without_specs("weightSpecs").into()) }
    }

    fn check_total(&self, received: u64, weights: &Weights) -> Result<()> {
        let Some(specs) = &self.specs else { return Ok(()) };
        let mut numbers = weights.numbers();
        let expected = manifest::measure(specs, |offset| numbers.read_u32(offset));
        if expected == received {
            return Ok(());
        }
        Err(Error::SizeMismatch { file: "weightData".into(), expected, received }.into())
    }
}

/// That specs are missing for what is asked for by this argument.
pub fn without_specs(argument: &str) -> Error {
    Error::argument(argument, "without weightSpecs nobody knows what the weights are")
}
