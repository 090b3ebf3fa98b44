//! The split into training and held-out batches.

/// Batches by position.
pub(super) type Batches<'a, B> = Box<dyn Fn(u64) -> B + 'a>;

pub(super) enum Split<'a, B> {
    /// Nothing is held out: recipes are ranked by training loss.
    Training,
    /// This number of separate batches.
    Given(u64, Batches<'a, B>),
    /// The positions of the held-out batches among the training batches, and of those that remain for training.
    Of { held_out: Vec<u64>, training: Vec<u64> },
}

/// One batch in this many is held out.
const EVERY: u64 = 5;

impl<B> Split<'_, B> {
    /// Holds out every fifth of `n` batches, and at least one.
    pub(super) fn of(n: u64) -> Self {
        let every = EVERY.min(n);
        let (held_out, training) = (0..n).partition(|k| k % every == every - 1);
        Self::Of { held_out, training }
    }

    /// The number of held-out batches.
    pub(super) fn held_out(&self) -> Option<u64> {
        match self {
            Self::Training => None,
            Self::Given(n, _) => Some(*n),
            Self::Of { held_out, .. } => Some(held_out.len() as u64),
        }
    }

    /// The `k`th of the batches to train on.
    pub(super) fn training(&self, k: u64, batch: &dyn Fn(u64) -> B) -> B {
        match self {
            Self::Training | Self::Given(..) => batch(k),
            Self::Of { training, .. } => batch(training[(k % training.len() as u64) as usize]),
        }
    }

    /// The `k`th held-out batch; if none are held out, the `k`th of all.
    pub(super) fn held(&self, k: u64, batch: &dyn Fn(u64) -> B) -> B {
        match self {
            Self::Training => batch(k),
            Self::Given(_, held) => held(k),
            Self::Of { held_out, .. } => batch(held_out[(k % held_out.len() as u64) as usize]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_batch_is_on_both_sides_and_none_is_left_out() {
        for n in 2..30 {
            let split = Split::<u64>::of(n);
            let held = split.held_out().unwrap();
            assert!(held >= 1 && held < n && held == (n / 5).max(1), "{n}: {held}");
            let mut all: Vec<u64> = (0..held).map(|k| split.held(k, &|k| k)).collect();
            // Two passes over the data.
            let mut trained: Vec<u64> =
                (0..2 * (n - held)).map(|k| split.training(k, &|k| k)).collect();
            trained.sort_unstable();
            trained.dedup();
            all.extend(trained);
            all.sort_unstable();
            assert_eq!(all, (0..n).collect::<Vec<_>>(), "{n}");
        }
    }
}
