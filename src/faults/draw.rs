//! Random numbers without a generator: a pure function of seed, rule and step.

use crate::random;

/// Returns 64 well-mixed bits.
pub(super) fn word(seed: u64, rule: u64, at: u64) -> u64 {
    next(next(next(seed) ^ rule) ^ at)
}

/// Returns a number in `[0, 1)`.
pub(super) fn unit(seed: u64, rule: u64, at: u64) -> f64 {
    random::unit(word(seed, rule, at))
}

/// Returns an index below `len`, which is not 0.
pub(super) fn below(len: usize, word: u64) -> usize {
    (word % len.max(1) as u64) as usize
}

/// Returns the output of SplitMix64 at this state.
fn next(state: u64) -> u64 {
    random::mix(state.wrapping_add(random::GOLDEN))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first two outputs of the reference generator seeded with 0: its state is a counter.
    #[test]
    fn it_mixes_as_splitmix64_does() {
        assert_eq!(next(0), 0xE220_A839_7B1D_CDAF);
        assert_eq!(next(0x9E37_79B9_7F4A_7C15), 0x6E78_9E6A_A1B9_65F4);
    }

    #[test]
    fn numbers_are_even() {
        let n = 10_000;
        let mean = (0..n).map(|at| unit(3, 1, at)).sum::<f64>() / n as f64;
        assert!((mean - 0.5).abs() < 0.01, "{mean}");
        let hits = (0..n).filter(|&at| below(5, word(9, 2, at)) == 4).count();
        assert!((1800..2200).contains(&hits), "{hits}");
    }
}
