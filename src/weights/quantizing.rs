//! Weights that are quantised while they are pulled: no more of them is in memory than a few pieces.

use core::cell::Cell;
use std::rc::Rc;

use js_sys::Uint8Array;

use super::{Pull, Weights};
use crate::context::Context;
use crate::digest::through_window;
use crate::dtype::QuantizedDType;
use crate::error::Error;
use crate::js::{self, Result};
use crate::quantize::{Cutter, Numbers, Quantizer, Range, Run};

/// Bytes of a piece that are quantised in one go.
const STEP: u32 = 64 << 20;

/// What shall become of a weight.
pub struct Wish {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub bytes: u64,
    /// `None` leaves it as it is.
    pub dtype: Option<QuantizedDType>,
}

impl Wish {
    /// Whether it depends on all numbers what is stored for one.
    pub fn needs_range(&self) -> bool {
        self.dtype.is_some_and(|dtype| dtype != QuantizedDType::Float16)
    }

    fn planned(&self, range: Range) -> Result<Planned> {
        let why = "NaN or an infinite number, for which only float16 has a place";
        let quantizer = self.dtype.map(|dtype| Quantizer::new(dtype, range).ok_or_else(|| refused(&self.name, why)));
        let quantizer = quantizer.transpose()?;
        Ok(Planned { name: self.name.clone(), bytes: self.bytes, quantizer, max_error: Cell::new(0.0) })
    }
}

/// What becomes of one weight.
pub struct Planned {
    /// Its name.
    pub name: String,
    /// Its bytes, as they come.
    pub bytes: u64,
    /// `None` leaves it as it is.
    pub quantizer: Option<Quantizer>,
    /// The largest difference that it made to a number, so far.
    pub max_error: Cell<f64>,
}

impl Planned {
    /// Its bytes in the end.
    pub fn quantized_bytes(&self) -> u64 {
        self.place_of(self.bytes)
    }

    /// Where in the quantised weight the numbers go that are complete before this place.
    fn place_of(&self, at: u64) -> u64 {
        self.quantizer.map_or(at, |quantizer| at / 4 * quantizer.dtype().size())
    }

    /// Writes what becomes of these bytes of the weight to `target` from `offset` on, and gives the end of it.
    fn write(&self, bytes: &Uint8Array, numbers: &mut Numbers, target: &Uint8Array, offset: u32) -> Result<u32> {
        let Some(quantizer) = self.quantizer else {
            js::copy_into(target, bytes, offset)?;
            return Ok(offset + bytes.length());
        };
        let (mut stored, mut end, mut worst) = (Vec::new(), offset, self.max_error.get());
        through_window(bytes, |seen| {
            numbers.feed(seen, |numbers| {
                worst = quantizer.quantize(numbers, &mut stored).max(worst);
                let place = target.subarray(end, end + stored.len() as u32);
                place.copy_from(&stored);
                end += stored.len() as u32;
            });
        });
        self.max_error.set(worst);
        if worst.is_infinite() {
            return Err(refused(&self.name, "a number that float16 has no place for: it ends at 65504"));
        }
        Ok(end)
    }

    /// What becomes of the whole weight.
    fn write_all(&self, parts: &[Uint8Array]) -> Result<Uint8Array> {
        if self.quantizer.is_none() {
            return js::view(&super::concat(parts)?);
        }
        let target = js::view(&js::allocate(self.quantized_bytes())?)?;
        let (mut offset, mut numbers) = (0, Numbers::default());
        for part in parts {
            offset = self.write(part, &mut numbers, &target, offset)?;
        }
        Ok(target)
    }
}

/// What becomes of each weight.
pub struct Plan {
    /// In turn.
    pub weights: Vec<Planned>,
    lengths: Vec<u64>,
}

impl Plan {
    fn new(weights: Vec<Planned>) -> Self {
        let lengths = weights.iter().map(|weight| weight.bytes).collect();
        Self { weights, lengths }
    }

    /// Bytes of all weights, as they come.
    pub fn original_bytes(&self) -> u64 {
        sum(self.lengths.iter().copied())
    }

    /// Bytes of all weights in the end.
    pub fn bytes(&self) -> u64 {
        sum(self.weights.iter().map(Planned::quantized_bytes))
    }
}

/// What a weight holds that its new type cannot.
fn refused(name: &str, why: &str) -> js::Failure {
    Error::argument("options.quantize", format!("the weight \"{name}\" holds {why}")).into()
}

/// Weights, and what shall become of them.
pub struct Quantized {
    /// As they come.
    pub of: Box<Weights>,
    /// For all of them.
    pub plan: Rc<Plan>,
}

impl Quantized {
    /// The same once more.
    pub fn again(&self) -> Option<Self> {
        Some(Self { of: Box::new(self.of.again()?), plan: self.plan.clone() })
    }
}

/// [`Quantized`] that are pulled.
pub struct Quantizing {
    source: Pull,
    plan: Rc<Plan>,
    rest: Option<Uint8Array>,
    cutter: Cutter,
    numbers: Numbers,
}

impl Quantizing {
    /// Begins.
    pub fn new(quantized: Quantized) -> Self {
        let Quantized { of, plan } = quantized;
        let source = Pull::new(*of, Some(plan.original_bytes()));
        Self { source, plan, rest: None, cutter: Cutter::default(), numbers: Numbers::default() }
    }

    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a number that has no place in float16; as [`Pull::next`].
    pub async fn next(&mut self, cx: &Context) -> Result<Option<Uint8Array>> {
        loop {
            let piece = match self.rest.take() {
                Some(rest) => rest,
                None => match Box::pin(self.source.next(cx)).await? {
                    Some(piece) => piece,
                    None => return Ok(None),
                },
            };
            // One that was transferred away meanwhile has no bytes any more; who counts them will see.
            if piece.length() == 0 {
                continue;
            }
            let step = js::part(&piece, 0, piece.length().min(STEP))?;
            if piece.length() > STEP {
                self.rest = Some(js::part(&piece, STEP, piece.length())?);
            }
            let quantized = self.quantize(step)?;
            if quantized.length() > 0 {
                return Ok(Some(quantized));
            }
        }
    }

    fn quantize(&mut self, piece: Uint8Array) -> Result<Uint8Array> {
        let runs = self.cutter.cut(&self.plan.lengths, piece.length());
        let runs: Vec<_> = runs.iter().filter_map(|run| Some((run, self.plan.weights.get(run.weight)?))).collect();
        if runs.iter().all(|(_, weight)| weight.quantizer.is_none()) {
            return Ok(piece);
        }
        let end = |run: &Run| run.at + u64::from(run.end - run.start);
        let bytes = runs.iter().map(|(run, weight)| weight.place_of(end(run)) - weight.place_of(run.at));
        let target = js::view(&js::allocate(bytes.sum())?)?;
        let mut offset = 0;
        for (run, weight) in runs {
            offset = weight.write(&js::part(&piece, run.start, run.end)?, &mut self.numbers, &target, offset)?;
        }
        Ok(target)
    }
}

/// The plan for weights that can be read again: if need be, they are read once for their ranges.
///
/// # Errors
/// [`Error::InvalidArgument`] for a weight that cannot be quantised so; as [`Pull::next`].
pub async fn plan(weights: &Weights, wishes: &[Wish], cx: &Context) -> Result<Plan> {
    let mut ranges = vec![Range::default(); wishes.len()];
    if wishes.iter().any(Wish::needs_range)
        && let Some(weights) = weights.again()
    {
        let mut numbers = Numbers::default();
        let see = |wish: &Wish, run: Run, bytes: Uint8Array| {
            if let Some(range) = ranges.get_mut(run.weight).filter(|_| wish.needs_range()) {
                through_window(&bytes, |seen| numbers.feed(seen, |numbers| range.see(numbers)));
            }
            Ok(())
        };
        // They are counted when they are read to be stored.
        each_run(weights, wishes, &cx.unseen(), see).await?;
    }
    let planned: Result<_> = wishes.iter().zip(ranges).map(|(wish, range)| wish.planned(range)).collect();
    Ok(Plan::new(planned?))
}

/// Quantises into memory what can be read only once: a weight is held until its range is known.
///
/// # Errors
/// As [`plan`].
pub async fn gather(weights: Weights, wishes: &[Wish], cx: &Context) -> Result<(Weights, Plan)> {
    let (mut planned, mut parts) = (Vec::new(), Vec::new());
    let (mut held, mut range, mut numbers) = (Vec::new(), Range::default(), Numbers::default());
    let without_bytes = |planned: &mut Vec<Planned>, until: usize| -> Result<()> {
        for wish in wishes.iter().take(until).skip(planned.len()) {
            planned.push(wish.planned(Range::default())?);
        }
        Ok(())
    };
    let see = |wish: &Wish, run: Run, bytes: Uint8Array| {
        if wish.needs_range() {
            through_window(&bytes, |seen| numbers.feed(seen, |numbers| range.see(numbers)));
        }
        let is_end = run.at + u64::from(bytes.length()) == wish.bytes;
        held.push(bytes);
        if is_end {
            let weight = wish.planned(core::mem::take(&mut range))?;
            parts.push(weight.write_all(&core::mem::take(&mut held))?);
            without_bytes(&mut planned, run.weight)?;
            planned.push(weight);
        }
        Ok(())
    };
    each_run(weights, wishes, cx, see).await?;
    without_bytes(&mut planned, wishes.len())?;
    Ok((Weights::Parts(parts), Plan::new(planned)))
}

/// Pulls all weights and shows the parts of each in turn.
async fn each_run(
    weights: Weights,
    wishes: &[Wish],
    cx: &Context,
    mut see: impl FnMut(&Wish, Run, Uint8Array) -> Result<()>,
) -> Result<()> {
    let lengths: Vec<u64> = wishes.iter().map(|wish| wish.bytes).collect();
    let mut pull = Pull::new(weights, Some(sum(lengths.iter().copied())));
    let mut cutter = Cutter::default();
    while let Some(piece) = pull.next(cx).await? {
        for run in cutter.cut(&lengths, piece.length()) {
            if let Some(wish) = wishes.get(run.weight) {
                see(wish, run, js::part(&piece, run.start, run.end)?)?;
            }
        }
    }
    Ok(())
}

fn sum(bytes: impl Iterator<Item = u64>) -> u64 {
    bytes.fold(0, u64::saturating_add)
}
