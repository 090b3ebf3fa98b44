//! Random numbers without a generator: a pure function of seed, rule and step.

/// 64 well mixed bits. Source: the finalizer of SplitMix64, Steele, Lea & Flood 2014.
pub(super) fn word(seed: u64, rule: u64, at: u64) -> u64 {
    mix(mix(mix(seed) ^ rule) ^ at)
}

/// A number in `[0, 1)`.
pub(super) fn unit(seed: u64, rule: u64, at: u64) -> f64 {
    (word(seed, rule, at) >> 11) as f64 / (1u64 << 53) as f64
}

/// An index below `len`, which is not 0.
pub(super) fn below(len: usize, word: u64) -> usize {
    (word % len.max(1) as u64) as usize
}

fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first two outputs of the reference generator seeded with 0: its state is a counter.
    #[test]
    fn it_mixes_as_splitmix64_does() {
        assert_eq!(mix(0), 0xE220_A839_7B1D_CDAF);
        assert_eq!(mix(0x9E37_79B9_7F4A_7C15), 0x6E78_9E6A_A1B9_65F4);
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
