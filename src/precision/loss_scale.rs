//! Dynamic loss scaling: a factor on the loss that is as large as the gradients allow.

use crate::Error;
use crate::checkpoint::{Persist, State};
use crate::error::check::Param;

/// Dynamic loss scaling.
///
/// A gradient below 6·10⁻⁸ is 0 in half precision, and one above 65504 is infinite. The loss is multiplied by a scale
/// before the backward pass, which scales all gradients up, and the gradients are divided by it afterwards, in `f32`:
///
/// ```text
/// loss · scale  →  backward  →  unscale  →  check  →  clip  →  update
/// ```
///
/// [`Keel`](crate::Keel) does the last four, always in that order. The loop does the first:
/// `(loss.clone() * keel.loss_scale()).backward()`, with the unscaled loss given to [`Keel::step`](crate::Keel::step).
///
/// ```text
/// overflow   a gradient is non-finite while the loss is finite: the step is skipped; after `hysteresis`
///            overflows in a row, scale ← max(scale · backoff, floor)
/// growth     after `every` applied updates since the last change, scale ← min(scale · growth, ceiling)
/// ```
///
/// An overflow that a lower scale can answer is not counted among the rejections in a row. An overflow at the floor is:
/// it is a fault of the model and not of the scale, and once the keel's bound is exceeded it ends in a rewind, or in a
/// halt that names the tensors at fault. In other libraries the scale falls silently without end, or stops silently at
/// the floor.
///
/// # Range
/// A scale is from 2⁻¹²⁶ to 2¹²⁶, so that neither it nor its reciprocal leaves the range of `f32`, in which gradients
/// are unscaled. The floor is at most the ceiling; [`Builder::build`](crate::Builder::build) checks this.
///
/// Defaults: scale 65536, growth 2 every 2000 updates, backoff 0.5, hysteresis 1, floor 1, ceiling 2²⁴.
///
/// Source: Micikevicius et al. 2018 (arXiv 1710.03740), section 3.2. The defaults are those of torch's `GradScaler`;
/// floor and hysteresis are from Megatron's `DynamicGradScaler`. There, a tolerated overflow is forgotten when the
/// scale grows; here, after an applied update.
///
/// ```
/// use evenkeel::precision::LossScale;
///
/// let mut scale = LossScale::dynamic().start(1024.0)?.floor(256.0)?;
/// assert!(scale.overflowed() && scale.overflowed());
/// assert_eq!(scale.value(), 256.0);
/// assert!(!scale.overflowed(), "at the floor, no lower scale will help");
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[doc(alias = "GradScaler")]
#[doc(alias = "LossScaleOptimizer")]
#[doc(alias = "MixedPrecision")]
#[doc(alias = "loss_scaling")]
#[doc(alias = "DynamicGradScaler")]
pub struct LossScale {
    value: f64,
    growth: f64,
    every: u64,
    backoff: f64,
    hysteresis: u64,
    floor: f64,
    ceiling: f64,
    /// Number of applied updates since the last change.
    calm: u64,
    /// Number of overflows in a row that haven't lowered the scale yet.
    tolerated: u64,
}

const NAME: &str = "LossScale";

/// The lowest scale: both it and its reciprocal have full precision in `f32`.
const LOWEST: f64 = f32::MIN_POSITIVE as f64;

fn in_range(name: &'static str, value: f64) -> Result<f64, Error> {
    let ok = (LOWEST..=1.0 / LOWEST).contains(&value);
    Param(NAME, name).must(ok, "from 2⁻¹²⁶ (1.2e-38) to 2¹²⁶ (8.5e37)", value)
}

impl LossScale {
    /// Creates a scale that follows the gradients.
    #[must_use]
    pub fn dynamic() -> Self {
        Self {
            value: 65536.0,
            growth: 2.0,
            every: 2000,
            backoff: 0.5,
            hysteresis: 1,
            floor: 1.0,
            ceiling: 16_777_216.0,
            calm: 0,
            tolerated: 0,
        }
    }

    /// Creates a constant scale; every overflow is a fault.
    ///
    /// # Errors
    /// If `value` is not [in range](Self).
    pub fn fixed(value: f64) -> Result<Self, Error> {
        let value = in_range("fixed", value)?;
        Ok(Self { value, floor: value, ceiling: value, ..Self::dynamic() })
    }

    /// Sets the initial scale.
    ///
    /// # Errors
    /// If `value` is not [in range](Self).
    pub fn start(mut self, value: f64) -> Result<Self, Error> {
        self.value = in_range("start", value)?;
        Ok(self)
    }

    /// Sets the growth: the scale is multiplied by `factor` after every `every` applied updates.
    ///
    /// # Errors
    /// If `factor` is below 1 or not finite, or `every` is 0.
    pub fn growth(mut self, factor: f64, every: u64) -> Result<Self, Error> {
        if !(factor >= 1.0 && factor.is_finite()) {
            return Err(Error::parameter(NAME, "growth", "at least 1 and finite", factor));
        }
        self.every = Param(NAME, "every").at_least(1, every)?;
        self.growth = factor;
        Ok(self)
    }

    /// Sets the factor that an overflow multiplies the scale by.
    ///
    /// # Errors
    /// If `factor` is not above 0 and below 1.
    pub fn backoff(mut self, factor: f64) -> Result<Self, Error> {
        if !(factor > 0.0 && factor < 1.0) {
            return Err(Error::parameter(NAME, "backoff", "above 0 and below 1", factor));
        }
        self.backoff = factor;
        Ok(self)
    }

    /// Sets how many overflows in a row lower the scale.
    ///
    /// # Errors
    /// If `overflows` is 0, or above 1000: that many overflows in a row are not caused by the scale.
    pub fn hysteresis(mut self, overflows: u64) -> Result<Self, Error> {
        let ok = (1..=1000).contains(&overflows);
        self.hysteresis = Param(NAME, "hysteresis").must(ok, "from 1 to 1000", overflows)?;
        Ok(self)
    }

    /// Sets the lowest scale.
    ///
    /// # Errors
    /// If `value` is not [in range](Self).
    pub fn floor(mut self, value: f64) -> Result<Self, Error> {
        self.floor = in_range("floor", value)?;
        Ok(self)
    }

    /// Sets the highest scale.
    ///
    /// # Errors
    /// If `value` is not [in range](Self).
    pub fn ceiling(mut self, value: f64) -> Result<Self, Error> {
        self.ceiling = in_range("ceiling", value)?;
        Ok(self)
    }

    /// Checks what a single setting can't show.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let must = format_args!("at most the ceiling, which is {}", self.ceiling);
        Param(NAME, "floor").must(self.floor <= self.ceiling, must, self.floor).map(|_| ())
    }

    /// Returns the factor to multiply the loss by.
    #[must_use]
    pub fn value(&self) -> f64 {
        self.value
    }

    /// Records that a gradient overflowed. Returns `true` if a lower scale answers it, now or once the hysteresis is
    /// used up, and `false` if the scale is already at its floor.
    pub fn overflowed(&mut self) -> bool {
        if self.value <= self.floor {
            return false;
        }
        self.calm = 0;
        self.tolerated += 1;
        if self.tolerated >= self.hysteresis {
            self.tolerated = 0;
            self.value = (self.value * self.backoff).max(self.floor);
        }
        true
    }

    /// Records that an update was applied.
    pub fn applied(&mut self) {
        self.tolerated = 0;
        self.calm += 1;
        if self.calm >= self.every {
            self.calm = 0;
            // An initial scale above the ceiling is kept, and doesn't grow.
            self.value = (self.value * self.growth).min(self.ceiling.max(self.value));
        }
    }
}

impl Persist for LossScale {
    fn state(&self) -> State {
        State::new()
            .with_number("value", self.value)
            .with_count("calm", self.calm)
            .with_count("tolerated", self.tolerated)
    }

    fn restore(&mut self, state: &State) -> Result<(), Error> {
        state.only(&["value", "calm", "tolerated"])?;
        let value = state.number("value")?;
        if in_range("value", value).is_err() {
            return Err(Error::record(format_args!("a loss scale of {value}")));
        }
        let (calm, tolerated) = (state.counter("calm")?, state.counter("tolerated")?);
        (self.value, self.calm, self.tolerated) = (value, calm, tolerated);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(scale: &mut LossScale, times: u64) -> f64 {
        (0..times).for_each(|_| scale.applied());
        scale.value()
    }

    /// The sequence that torch's `GradScaler` gives for the same events.
    #[test]
    fn it_grows_and_backs_off() {
        let mut scale = LossScale::dynamic().start(8.0).unwrap().growth(2.0, 3).unwrap();
        assert_eq!(applied(&mut scale, 2), 8.0);
        assert_eq!(applied(&mut scale, 1), 16.0);
        assert_eq!(applied(&mut scale, 2), 16.0);
        assert!(scale.overflowed());
        assert_eq!(scale.value(), 8.0);
        assert_eq!(applied(&mut scale, 2), 8.0, "growth is counted from the overflow");
        assert_eq!(applied(&mut scale, 1), 16.0);
    }

    #[test]
    fn hysteresis_counts_overflows_in_a_row() {
        let mut scale = LossScale::dynamic().start(8.0).unwrap().hysteresis(2).unwrap();
        for _ in 0..5 {
            assert!(scale.overflowed());
            assert_eq!(applied(&mut scale, 1), 8.0);
        }
        assert!(scale.overflowed() && scale.overflowed());
        assert_eq!(scale.value(), 4.0);
    }

    #[test]
    fn it_stays_between_floor_and_ceiling() {
        let scale = LossScale::dynamic().start(6.0).unwrap().growth(2.0, 1).unwrap();
        let mut scale = scale.floor(4.0).unwrap().ceiling(10.0).unwrap();
        assert!(scale.overflowed());
        assert_eq!(scale.value(), 4.0);
        assert!(!scale.overflowed());
        assert_eq!(scale.value(), 4.0);
        assert_eq!(applied(&mut scale, 9), 10.0);
        let mut fixed = LossScale::fixed(128.0).unwrap();
        assert!(!fixed.overflowed());
        assert_eq!(applied(&mut fixed, 5000), 128.0);
    }

    #[test]
    fn wrong_arguments_are_named() {
        let said = |e: Result<LossScale, Error>| e.unwrap_err().to_string();
        let scale = LossScale::dynamic;
        assert!(said(scale().start(0.0)).starts_with("`start` of LossScale must be from 2"));
        for bad in [1e-40, 1e38, f64::NAN] {
            assert!(scale().floor(bad).is_err() && scale().start(bad).is_err());
        }
        assert!(said(scale().hysteresis(u64::MAX)).contains("must be from 1 to 1000, got 1844"));
        let crossed = scale().floor(16.0).unwrap().ceiling(8.0).unwrap();
        let said_late = crossed.check().unwrap_err().to_string();
        assert_eq!(
            said_late,
            "`floor` of LossScale must be at most the ceiling, which is 8, got 16"
        );
        assert!(
            said(scale().growth(0.5, 1)).starts_with("`growth` of LossScale must be at least 1")
        );
        assert_eq!(said(scale().growth(2.0, 0)), "`every` of LossScale must be at least 1, got 0");
        assert!(said(scale().backoff(1.0)).starts_with("`backoff` of LossScale must be above 0"));
        assert!(said(scale().hysteresis(0)).starts_with("`hysteresis` of LossScale"));
        assert!(said(scale().floor(f64::NAN)).starts_with("`floor` of LossScale"));
        assert!(said(scale().ceiling(-1.0)).starts_with("`ceiling` of LossScale"));
        assert!(said(LossScale::fixed(f64::INFINITY)).starts_with("`fixed` of LossScale"));
    }

    #[test]
    fn its_state_resumes_it() {
        let mut scale = LossScale::dynamic().hysteresis(3).unwrap();
        applied(&mut scale, 7);
        scale.overflowed();
        let mut fresh = LossScale::dynamic().hysteresis(3).unwrap();
        fresh.restore(&scale.state()).unwrap();
        assert_eq!(fresh, scale);
    }

    #[test]
    fn the_ends_of_the_ranges_are_where_the_docs_say() {
        assert!(LossScale::dynamic().growth(1.0, 5).is_ok());
        for bad in [0.999, f64::INFINITY, f64::NAN] {
            assert!(LossScale::dynamic().growth(bad, 5).is_err(), "{bad}");
        }
        for bad in [0.0, 1.0, f64::NAN] {
            assert!(LossScale::dynamic().backoff(bad).is_err(), "{bad}");
        }
    }
}
