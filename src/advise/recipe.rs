//! One way to train.

use std::fmt;

use crate::Error;
use crate::schedule::{Boxed, Constant, Cosine, Ramp, Schedule};
use crate::text::short;

/// The momentum of the recipes that have one.
pub(super) const MOMENTUM: f64 = 0.9;

/// The optimizer of a [`Recipe`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Method {
    /// [`Sgd`](crate::optim::Sgd).
    Sgd,
    /// [`Momentum`](crate::optim::Momentum) of 0.9.
    Momentum,
    /// The same after Nesterov.
    Nesterov,
    /// [`Adam`](crate::optim::Adam).
    Adam,
    /// [`AdamW`](crate::optim::AdamW) that bounds its updates: StableAdamW.
    AdamW,
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Self::Sgd => "SGD",
            Self::Momentum => "momentum",
            Self::Nesterov => "Nesterov",
            Self::Adam => "Adam",
            Self::AdamW => "AdamW, updates clipped",
        }
    }

    /// The type to import, and the expression.
    fn code(self) -> (&'static str, &'static str) {
        match self {
            Self::Sgd => ("Sgd", "Sgd::new()"),
            Self::Momentum => ("Momentum", "Momentum::new(0.9)?"),
            Self::Nesterov => ("Momentum", "Momentum::new(0.9)?.nesterov()"),
            Self::Adam => ("Adam", "Adam::new()"),
            Self::AdamW => ("AdamW", "AdamW::new().update_rms_at_most(1.0)?"),
        }
    }
}

/// The bound on gradients of a [`Recipe`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Bound {
    /// None.
    Free,
    /// [`GlobalNorm`](crate::clip::GlobalNorm) of 1.
    Global,
    /// [`AdaptiveClip`](crate::optim::AdaptiveClip) of 0.01: each unit's gradient by its weights.
    Adaptive,
    /// [`Percentile`](crate::clip::Percentile) as it is by default: AutoClip.
    Percentile,
    /// [`ZScore`](crate::clip::ZScore) as it is by default: ZClip.
    ZScore,
}

impl Bound {
    fn name(self) -> Option<&'static str> {
        match self {
            Self::Free => None,
            Self::Global => Some("clip 1"),
            Self::Adaptive => Some("adaptive clip"),
            Self::Percentile => Some("AutoClip"),
            Self::ZScore => Some("ZClip"),
        }
    }

    /// The type to import from `clip`, and the expression, of one that a keel is given.
    fn clip(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Free | Self::Adaptive => None,
            Self::Global => Some(("GlobalNorm", "GlobalNorm::at_most(1.0)?")),
            Self::Percentile => Some(("Percentile", "Percentile::default()")),
            Self::ZScore => Some(("ZScore", "ZScore::default()")),
        }
    }
}

/// One way to train: everything but the rate.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Recipe {
    /// The name of a model that was [supplied](super::Advisor::variant); empty for the one as it is.
    pub variant: String,
    /// Whether features are standardized.
    pub standardized: bool,
    /// The optimizer.
    pub method: Method,
    /// The bound on gradients.
    pub bound: Bound,
    /// Whether a [`Governor`](crate::curvature::Governor) caps the rate; for descent and momentum.
    pub governed: bool,
    /// Over how many updates the rate rises from 0.
    pub warm_up: u64,
    /// Whether it falls to 0 by half a cosine after that.
    pub cosine: bool,
}

impl Recipe {
    /// Plain descent at a constant rate.
    pub(super) fn plain() -> Self {
        Self {
            variant: String::new(),
            standardized: false,
            method: Method::Sgd,
            bound: Bound::Free,
            governed: false,
            warm_up: 0,
            cosine: false,
        }
    }

    /// The rate of a run of `over` updates, `rate` at its highest.
    pub(super) fn schedule(&self, rate: f64, over: u64) -> Result<Boxed, Error> {
        let rest = over.saturating_sub(self.warm_up);
        let main = match self.cosine {
            true => Cosine::new(rate, 0.0, rest)?.boxed(),
            false => Constant::new(rate)?.boxed(),
        };
        Ok(match self.warm_up {
            0 => main,
            n => Ramp::new(0.0, rate, n)?.then(n, main).boxed(),
        })
    }

    /// The momentum that a governor has to know of.
    pub(super) fn momentum(&self) -> f64 {
        match self.method {
            Method::Momentum | Method::Nesterov => MOMENTUM,
            _ => 0.0,
        }
    }

    /// The code of this recipe for a run of `over` updates at `rate`.
    pub fn code(&self, rate: f64, over: u64) -> String {
        let (import, rule) = self.method.code();
        let adaptive = self.bound == Bound::Adaptive;
        let optimizer = match adaptive {
            true => format!("ModuleOptimizer::from(AdaptiveClip::new(0.01, {rule})?)"),
            false => rule.to_string(),
        };
        let clip = self.bound.clip();
        let (curves, schedule) = self.schedule_code(rate, over);

        let mut code = String::new();
        let mut line = |text: &str| {
            code.push_str(text);
            code.push('\n');
        };
        line(match adaptive {
            true => "use burn::optim::{GradientsParams, ModuleOptimizer};",
            false => "use burn::optim::GradientsParams;",
        });
        line("use evenkeel::Keel;");
        if let Some((name, _)) = clip {
            line(&format!("use evenkeel::clip::{name};"));
        }
        if self.governed {
            line("use evenkeel::curvature::Governor;");
        }
        match adaptive {
            true => line(&format!("use evenkeel::optim::{{AdaptiveClip, {import}}};")),
            false => line(&format!("use evenkeel::optim::{import};")),
        }
        line(&format!("use evenkeel::schedule::{{{curves}}};"));
        if self.standardized {
            line("use evenkeel::standardize::Standardize;");
            line("");
            line("// Once, on the training features. As a field of the model it is saved with it.");
            line("let standardize = Standardize::fit([features.clone()])?;");
            line("let features = standardize.forward(features);");
        }
        line("");
        line(&format!("let mut schedule = {schedule};"));
        if self.governed {
            let momentum = float(&self.momentum().to_string());
            line(&format!("let governor = Governor::new({momentum})?;"));
        }
        line(&format!("let mut keel = Keel::wrap({optimizer})"));
        if let Some((_, expression)) = clip {
            line(&format!("    .clip({expression})"));
        }
        if self.governed {
            line("    .bound(governor.clone())");
        }
        line("    .build(&model)?;");
        line("");
        match self.governed {
            true => line("// For each batch, after `let loss = loss_of(&model);`:"),
            false => line("// For each batch, after `let loss = …`:"),
        }
        line("let grads = GradientsParams::from_grads(loss.backward(), &model);");
        if self.governed {
            line("governor.watch(keel.updates(), &model, &grads, loss_of)?;");
        }
        line("model = keel.step(schedule.step(), model, grads, &loss)?.model;");
        code
    }

    /// The types to import from `schedule`, and the expression.
    fn schedule_code(&self, rate: f64, over: u64) -> (String, String) {
        let rest = over.saturating_sub(self.warm_up);
        let rate = float(&short(rate));
        let (main, curve) = match self.cosine {
            true => ("Cosine", format!("Cosine::new({rate}, 0.0, {rest})?")),
            false => ("Constant", format!("Constant::new({rate})?")),
        };
        match self.warm_up {
            0 => (format!("{main}, Schedule"), format!("{curve}.start()")),
            n => (
                format!("{main}, Ramp, Schedule"),
                format!("Ramp::new(0.0, {rate}, {n})?.then({n}, {curve}).start()"),
            ),
        }
    }
}

/// A number that Rust takes for a float.
fn float(number: &str) -> String {
    match number.contains(['.', 'e']) {
        true => number.to_string(),
        false => format!("{number}.0"),
    }
}

impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = vec![self.method.name().to_string()];
        parts.extend(self.bound.name().map(String::from));
        if self.governed {
            parts.push("governor".into());
        }
        if self.warm_up > 0 {
            parts.push(format!("warm-up {}", self.warm_up));
        }
        if self.cosine {
            parts.push("cosine".into());
        }
        if self.standardized {
            parts.push("standardized".into());
        }
        if !self.variant.is_empty() {
            parts.push(self.variant.clone());
        }
        f.pad(&parts.join(" + "))
    }
}
