//! What tells the members of the family apart: their defaults, and the coefficients of a step.

use super::super::kernel::Second;
use super::super::rule::sealed;

/// A member of the Adam family, as a type.
pub trait Kind: sealed::Sealed + Copy + Send + Sync + 'static {
    #[doc(hidden)]
    const DEFAULTS: Defaults;

    /// The coefficients of an update.
    #[doc(hidden)]
    fn coefficients(now: &mut Rates<'_>) -> Coefficients {
        Coefficients::adam(now)
    }

    /// A bound on the step and on all that it is made of, over the rate.
    #[doc(hidden)]
    fn reach(most: &Most) -> f64 {
        most.gradient * f64::max(1.0, 1.0 / most.epsilon)
    }
}

/// Members that average the squares of gradients, which is what update-RMS clipping, spike-aware
/// clipping and the initialisation by the first gradient are about.
pub trait Squares: Kind {}

/// What a member begins with.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct Defaults {
    pub(in super::super) name: &'static str,
    pub(super) betas: (f64, f64),
    pub(super) epsilon: f64,
    pub(super) decay: f64,
    pub(super) decoupled: bool,
    pub(super) second: Second,
    /// The settings that it has and not every member.
    #[cfg_attr(not(feature = "serde"), allow(dead_code))]
    pub(in super::super) own: &'static [&'static str],
}

/// What the coefficients of an update depend on.
#[doc(hidden)]
#[derive(Debug)]
pub struct Rates<'a> {
    pub(super) lr: f64,
    pub(super) betas: (f64, f64),
    /// `Π β₁` and `Π β₂`, this update included: `βᵗ` where they are constant.
    pub(super) products: (f64, f64),
    pub(super) epsilon: f64,
    /// Updates since the moments began, counted from 1.
    pub(super) t: u64,
    /// Whether bias is corrected.
    pub(super) corrected: bool,
    /// `ψ` of NAdam.
    pub(super) momentum_decay: f64,
    /// The power of ADOPT's bound, if it has one.
    pub(super) bound: Option<f64>,
    /// `Π μ` of NAdam, kept from update to update.
    pub(super) momentum_product: &'a mut f64,
}

/// What a bound on a step depends on.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct Most {
    /// No element of a gradient was ever larger. So neither is any of `m`, nor any of `m̂`: they are
    /// averages.
    pub(super) gradient: f64,
    /// `β₁`, at most.
    pub(super) beta_1: f64,
    /// `ε`, at least.
    pub(super) epsilon: f64,
    /// ADOPT's bound, at most.
    pub(super) bound: Option<f64>,
}

impl Rates<'_> {
    /// What corrects the bias of the first and of the second moment.
    fn corrections(&self) -> (f64, f64) {
        match self.corrected {
            true => (1.0 - self.products.0, 1.0 - self.products.1),
            false => (1.0, 1.0),
        }
    }
}

/// The coefficients of an update, in the letters of [`kernel::Adam`](super::super::kernel::Adam).
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coefficients {
    pub(super) a: f64,
    pub(super) b: f64,
    pub(super) k: f64,
    pub(super) epsilon: f64,
    pub(super) extra: f64,
    /// Whether decoupled decay is applied as well.
    pub(super) decays: bool,
}

impl Coefficients {
    /// `γ·m̂/(√v̂ + ε)`
    fn adam(now: &Rates<'_>) -> Self {
        let (first, second) = now.corrections();
        Self {
            a: 0.0,
            b: now.lr / first,
            k: 1.0 / second.sqrt(),
            epsilon: now.epsilon,
            extra: 0.0,
            decays: true,
        }
    }
}

/// Makes the type of a member.
macro_rules! member {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name;

        impl sealed::Sealed for $name {}
    };
}

const ADAM: Defaults = Defaults {
    name: "Adam",
    betas: (0.9, 0.999),
    epsilon: 1e-8,
    decay: 0.0,
    decoupled: false,
    second: Second::Square,
    own: &["amsgrad", "update_rms_at_most", "gradient_start", "spam"],
};

/// What [`Squares`] is about.
const SQUARES: &[&str] = &["update_rms_at_most", "gradient_start", "spam"];

member! {
    /// [`Adam`](crate::optim::Adam).
    Adam
}

impl Kind for Adam {
    const DEFAULTS: Defaults = ADAM;
}

member! {
    /// [`AdamW`](crate::optim::AdamW).
    AdamW
}

impl Kind for AdamW {
    const DEFAULTS: Defaults = Defaults { name: "AdamW", decay: 0.01, decoupled: true, ..ADAM };
}

member! {
    /// [`NAdam`](crate::optim::NAdam).
    NAdam
}

impl Kind for NAdam {
    const DEFAULTS: Defaults = Defaults {
        name: "NAdam",
        own: &["momentum_decay", "update_rms_at_most", "gradient_start", "spam"],
        ..ADAM
    };

    fn coefficients(now: &mut Rates<'_>) -> Coefficients {
        let t = now.t as f64;
        let mu = |t: f64| now.betas.0 * (1.0 - 0.5 * 0.96_f64.powf(t * now.momentum_decay));
        let (mu, next) = (mu(t), mu(t + 1.0));
        *now.momentum_product *= mu;
        let product = *now.momentum_product;
        let (one, two) = match now.corrected {
            true => (1.0 - product, 1.0 - product * next),
            false => (1.0, 1.0),
        };
        let (a, b) = (now.lr * (1.0 - mu) / one, now.lr * next / two);
        Coefficients { a, b, ..Coefficients::adam(now) }
    }

    fn reach(most: &Most) -> f64 {
        // `b` is at most the rate over `1 − μ`, and no `μ` is above `β₁`.
        let top = most.gradient * (1.0 + 1.0 / (1.0 - most.beta_1));
        top * f64::max(1.0, 1.0 / most.epsilon)
    }
}

member! {
    /// [`RAdam`](crate::optim::RAdam).
    RAdam
}

impl Kind for RAdam {
    const DEFAULTS: Defaults = Defaults { name: "RAdam", own: SQUARES, ..ADAM };

    fn coefficients(now: &mut Rates<'_>) -> Coefficients {
        let adam = Coefficients::adam(now);
        let (t, (_, beta_2)) = (now.t as f64, now.betas);
        let rho_inf = 2.0 / (1.0 - beta_2) - 1.0;
        let rho = rho_inf - 2.0 * t * now.products.1 / (1.0 - now.products.1);
        if rho > 5.0 {
            let rect = ((rho - 4.0) * (rho - 2.0) * rho_inf
                / ((rho_inf - 4.0) * (rho_inf - 2.0) * rho))
                .sqrt();
            // As in torch, ε is added to the root of `v` before its bias is corrected.
            Coefficients { b: adam.b * rect / adam.k, k: 1.0, ..adam }
        } else {
            // Too few updates for a variance: a step along the mean, not normalised.
            Coefficients { k: 0.0, epsilon: 1.0, ..adam }
        }
    }
}

member! {
    /// [`AdaBelief`](crate::optim::AdaBelief).
    AdaBelief
}

impl Kind for AdaBelief {
    const DEFAULTS: Defaults =
        Defaults { name: "AdaBelief", epsilon: 1e-16, second: Second::Belief, own: &[], ..ADAM };

    fn coefficients(now: &mut Rates<'_>) -> Coefficients {
        Coefficients { extra: now.epsilon, ..Coefficients::adam(now) }
    }

    fn reach(most: &Most) -> f64 {
        // `ε` is under the root as well.
        most.gradient * f64::max(1.0, 1.0 / (most.epsilon + most.epsilon.sqrt()))
    }
}

member! {
    /// [`Adamax`](crate::optim::Adamax).
    Adamax
}

impl Kind for Adamax {
    const DEFAULTS: Defaults =
        Defaults { name: "Adamax", second: Second::Infinity, own: &[], ..ADAM };
}

member! {
    /// [`Adopt`](crate::optim::Adopt).
    Adopt
}

impl Kind for Adopt {
    const DEFAULTS: Defaults = Defaults {
        name: "Adopt",
        betas: (0.9, 0.9999),
        epsilon: 1e-6,
        second: Second::Adopt,
        own: &["bound"],
        ..ADAM
    };

    fn coefficients(now: &mut Rates<'_>) -> Coefficients {
        let before = (now.t - 1) as f64;
        // The first gradient only fills the second moment.
        let first = now.t == 1;
        Coefficients {
            a: 0.0,
            b: if first { 0.0 } else { now.lr },
            k: 0.0,
            epsilon: now.epsilon,
            extra: now.bound.map_or(f64::INFINITY, |power| before.powf(power)),
            decays: !first,
        }
    }

    fn reach(most: &Most) -> f64 {
        // The moment is made of normalised gradients, and has to be finite before the rate is applied.
        match most.bound.unwrap_or(most.gradient / most.epsilon) {
            reach if reach <= 1e30 => reach,
            _ => f64::INFINITY,
        }
    }
}

impl Squares for Adam {}
impl Squares for AdamW {}
impl Squares for NAdam {}
impl Squares for RAdam {}
