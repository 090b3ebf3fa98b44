//! Members of the Adam family: their defaults, and the coefficients of a step.

use super::super::kernel::Second;
use super::super::rule::sealed;

/// A member of the Adam family, as a type.
pub trait Kind: sealed::Sealed + Copy + Send + Sync + 'static {
    #[doc(hidden)]
    const DEFAULTS: Defaults;

    /// Returns the coefficients of an update.
    #[doc(hidden)]
    fn coefficients(now: &mut Rates<'_>) -> Coefficients {
        Coefficients::adam(now)
    }

    /// Returns a bound on the step and everything that it is computed from, divided by the rate.
    #[doc(hidden)]
    fn reach(most: &Most) -> f64 {
        most.gradient * f64::max(1.0, 1.0 / most.epsilon)
    }
}

/// Members that average the squares of gradients, as required by update-RMS clipping, spike-aware clipping and
/// initialization from the first gradient.
pub trait Squares: Kind {}

/// Defaults of a member.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct Defaults {
    pub(in super::super) name: &'static str,
    pub(super) betas: (f64, f64),
    pub(super) epsilon: f64,
    pub(super) decay: f64,
    pub(super) decoupled: bool,
    pub(super) second: Second,
    /// The settings that it has and some other members lack.
    #[cfg_attr(not(feature = "serde"), allow(dead_code))]
    pub(in super::super) own: &'static [&'static str],
}

/// Inputs of the coefficients of an update.
#[doc(hidden)]
#[derive(Debug)]
pub struct Rates<'a> {
    pub(super) lr: f64,
    pub(super) betas: (f64, f64),
    /// `Π β₁` and `Π β₂`, including this update: `βᵗ` where they are constant.
    pub(super) products: (f64, f64),
    pub(super) epsilon: f64,
    /// Updates since the moments started, counted from 1.
    pub(super) t: u64,
    /// Whether bias is corrected.
    pub(super) corrected: bool,
    /// `ψ` of NAdam.
    pub(super) momentum_decay: f64,
    /// The exponent of ADOPT's bound, if it has one.
    pub(super) bound: Option<f64>,
    /// `Π μ` of NAdam, carried from update to update.
    pub(super) momentum_product: &'a mut f64,
}

/// Inputs of a bound on a step.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct Most {
    /// Upper bound on the elements of all gradients so far, and so on those of `m` and `m̂`, which are averages.
    pub(super) gradient: f64,
    /// Upper bound on `β₁`.
    pub(super) beta_1: f64,
    /// Lower bound on `ε`.
    pub(super) epsilon: f64,
    /// Largest value of ADOPT's bound.
    pub(super) bound: Option<f64>,
}

impl Rates<'_> {
    /// Returns the divisors that correct the bias of the first and of the second moment.
    fn corrections(&self) -> (f64, f64) {
        match self.corrected {
            true => (1.0 - self.products.0, 1.0 - self.products.1),
            false => (1.0, 1.0),
        }
    }
}

/// The coefficients of an update, named as in [`kernel::Adam`](super::super::kernel::Adam).
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

/// Defines the type of a member.
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

/// The settings of members that are [`Squares`].
const SQUARES: &[&str] = &["update_rms_at_most", "gradient_start", "spam"];

member! {
    /// The kind of [`Adam`](crate::optim::Adam).
    Adam
}

impl Kind for Adam {
    const DEFAULTS: Defaults = ADAM;
}

member! {
    /// The kind of [`AdamW`](crate::optim::AdamW).
    AdamW
}

impl Kind for AdamW {
    const DEFAULTS: Defaults = Defaults { name: "AdamW", decay: 0.01, decoupled: true, ..ADAM };
}

member! {
    /// The kind of [`NAdam`](crate::optim::NAdam).
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
    /// The kind of [`RAdam`](crate::optim::RAdam).
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
            // Too few updates to estimate a variance: the step is along the mean, not normalized.
            Coefficients { k: 0.0, epsilon: 1.0, ..adam }
        }
    }
}

member! {
    /// The kind of [`AdaBelief`](crate::optim::AdaBelief).
    AdaBelief
}

impl Kind for AdaBelief {
    const DEFAULTS: Defaults =
        Defaults { name: "AdaBelief", epsilon: 1e-16, second: Second::Belief, own: &[], ..ADAM };

    fn coefficients(now: &mut Rates<'_>) -> Coefficients {
        Coefficients { extra: now.epsilon, ..Coefficients::adam(now) }
    }

    fn reach(most: &Most) -> f64 {
        // `ε` is added under the root as well.
        most.gradient * f64::max(1.0, 1.0 / (most.epsilon + most.epsilon.sqrt()))
    }
}

member! {
    /// The kind of [`Adamax`](crate::optim::Adamax).
    Adamax
}

impl Kind for Adamax {
    const DEFAULTS: Defaults =
        Defaults { name: "Adamax", second: Second::Infinity, own: &[], ..ADAM };
}

member! {
    /// The kind of [`Adopt`](crate::optim::Adopt).
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
        // The moment averages normalized gradients, and has to be finite before the rate is applied.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// After one update, `ρ∞ = 2/(1 − β₂) − 1` is 7, and `ρ = ρ∞ − 2·Πβ₂/(1 − Πβ₂)` is 5 where the product is ½.
    #[test]
    fn radam_rectifies_from_a_length_above_five() {
        let step = |product: f64| {
            RAdam::coefficients(&mut Rates {
                lr: 0.1,
                betas: (0.5, 0.75),
                products: (0.5, product),
                epsilon: 1e-8,
                t: 1,
                corrected: true,
                momentum_decay: 0.0,
                bound: None,
                momentum_product: &mut 1.0,
            })
        };
        let plain = step(0.5);
        assert_eq!((plain.b, plain.k, plain.epsilon), (0.2, 0.0, 1.0));
        let rectified = step(0.499);
        assert_eq!((rectified.k, rectified.epsilon), (1.0, 1e-8));
    }

    #[test]
    fn adopt_reaches_as_far_as_its_bound_up_to_the_end_of_the_range() {
        let reach = |bound| {
            Adopt::reach(&Most { gradient: 1.0, beta_1: 0.9, epsilon: 1e-6, bound: Some(bound) })
        };
        assert_eq!([2.0, 1e30, 1.1e30].map(reach), [2.0, 1e30, f64::INFINITY]);
    }
}
