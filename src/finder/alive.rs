//! Detects whether a network has died, from the norms of its gradients: see [`LossCurve`](super::LossCurve).

use std::collections::HashMap;

/// The share of the whole gradient's norm below which a weight has no gradient. Rounding leaves 10⁻⁷, and
/// features at 10⁶ times the scale of another the same again.
const NONE: f64 = 1e-12;
/// The number of updates without a gradient after which a weight is considered dead.
const LAST: u64 = 5;
/// A whole gradient that was this small relative to the first one, and then 0, has converged.
const CONVERGED: f64 = 1e-6;

/// The weights of one run.
#[derive(Debug, Clone)]
pub(super) struct Alive {
    weights: Vec<Weight>,
    /// The number of updates seen.
    seen: u64,
    /// The first norm of the whole gradient, and the last that was not 0.
    norms: Option<(f64, f64)>,
}

#[derive(Debug, Clone)]
struct Weight {
    path: String,
    /// The last update in which the weight had a gradient.
    last: Option<u64>,
}

impl Alive {
    /// Returns a detector for the weights at these paths.
    pub(super) fn new(paths: impl IntoIterator<Item = String>) -> Self {
        let weights = paths.into_iter().map(|path| Weight { path, last: None }).collect();
        Self { weights, seen: 0, norms: None }
    }

    /// Adds one update: its loss, the norm of the whole gradient, and each parameter's norm with its path.
    pub(super) fn push<'a>(
        &mut self,
        loss: f64,
        whole: f64,
        layers: impl Iterator<Item = (&'a str, f64)>,
    ) {
        let (first, before) = self.norms.unwrap_or((whole, whole));
        let learned = loss == 0.0 || (whole == 0.0 && before < CONVERGED * first);
        let norms: HashMap<&str, f64> = layers.collect();
        for weight in &mut self.weights {
            // A parameter that took no part has no entry.
            let norm = norms.get(weight.path.as_str()).copied().unwrap_or(0.0);
            if learned || norm > NONE * whole {
                weight.last = Some(self.seen);
            }
        }
        self.norms = Some((first, if whole > 0.0 { whole } else { before }));
        self.seen += 1;
    }

    /// Returns the update from which the network was dead.
    pub(super) fn dead_from(&self) -> Option<u64> {
        let since = self.seen.checked_sub(LAST)?;
        let lasts: Vec<u64> = self.weights.iter().filter_map(|weight| weight.last).collect();
        match lasts.iter().min() {
            Some(last) => Some(last + 1).filter(|from| *from <= since),
            None => (!self.weights.is_empty()).then_some(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two weights and a bias: `(loss, [norm of each])` for each update.
    fn dead_from(updates: &[(f64, [f64; 3])]) -> Option<u64> {
        let mut alive = Alive::new(["a".to_string(), "b".to_string()]);
        for (loss, norms) in updates {
            let whole = norms.iter().map(|norm| norm * norm).sum::<f64>().sqrt();
            alive.push(*loss, whole, ["a", "b", "bias"].into_iter().zip(*norms));
        }
        alive.dead_from()
    }

    #[test]
    fn a_weight_whose_gradient_is_gone_for_good_is_dead() {
        let live = (1.0, [1.0, 1.0, 1.0]);
        let one = (1.0, [1.0, 0.0, 1.0]);
        assert_eq!(dead_from(&[[live; 3].as_slice(), &[one; 5]].concat()), Some(3));
        // Not yet, and not for good.
        assert_eq!(dead_from(&[[live; 3].as_slice(), &[one; 4]].concat()), None);
        assert_eq!(dead_from(&[[live; 3].as_slice(), &[one; 9], &[live; 1]].concat()), None);
        // The earliest of several.
        let none = (1.0, [0.0, 0.0, 1.0]);
        let all = [[live; 3].as_slice(), &[none; 4], &[(1.0, [0.0, 1.0, 1.0]); 2]].concat();
        assert_eq!(dead_from(&all), Some(3));
        // Next to a large gradient a small one still counts; at 10⁻¹² of it, it does not.
        assert_eq!(dead_from(&[(1.0, [1e-11, 1.0, 0.0]); 9]), None);
        let faint = (1.0, [1e-13, 1.0, 0.0]);
        assert_eq!(dead_from(&[[live; 1].as_slice(), &[faint; 8]].concat()), Some(1));
    }

    #[test]
    fn what_never_had_a_gradient_is_dead_only_if_nothing_has() {
        assert_eq!(dead_from(&[(1.0, [0.0, 0.0, 1.0]); 5]), Some(0));
        assert_eq!(dead_from(&[(1.0, [0.0, 0.0, 0.0]); 5]), Some(0));
        assert_eq!(dead_from(&[(1.0, [1.0, 0.0, 1.0]); 5]), None);
        assert_eq!(dead_from(&[(1.0, [0.0, 0.0, 1.0]); 4]), None);
        let mut nothing = Alive::new([]);
        (0..9).for_each(|_| nothing.push(1.0, 0.0, std::iter::empty()));
        assert_eq!(nothing.dead_from(), None);
    }

    #[test]
    fn what_has_learned_all_there_is_has_not_died() {
        let live = (1.0, [1.0, 1.0, 1.0]);
        // A margin loss with every margin satisfied.
        assert_eq!(dead_from(&[[live; 3].as_slice(), &[(0.0, [0.0; 3]); 9]].concat()), None);
        // A gradient that shrank to 0 gradually, and one that vanished at once.
        let least = (1.0, [1e-7, 1e-7, 1e-7]);
        let gone = (1.0, [0.0; 3]);
        assert_eq!(dead_from(&[&[live, least], [gone; 9].as_slice()].concat()), None);
        assert_eq!(dead_from(&[&[live], [gone; 9].as_slice()].concat()), Some(1));
    }
}
