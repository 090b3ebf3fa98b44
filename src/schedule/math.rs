//! Arithmetic that stays finite.

/// `a + (b − a)·w`: exactly `a` where `w = 0` or `a = b`, exactly `b` where `w = 1`, and finite
/// wherever `a`, `b` and `w` are.
pub(super) fn lerp(a: f64, b: f64, w: f64) -> f64 {
    // `a + (b − a)` need not round to `b`.
    if w == 1.0 {
        return b;
    }
    let span = b - a;
    match span.is_finite() {
        true => saturate(a + span * w),
        false => saturate(a * (1.0 - w) + b * w),
    }
}

/// Keeps a product or a power representable: infinity, of either sign, becomes the largest finite
/// number. Unbounded growth would otherwise reach infinity at some update.
pub(super) fn saturate(x: f64) -> f64 {
    x.clamp(f64::MIN, f64::MAX)
}

/// `t/over`, for `t < over`.
pub(super) fn progress(t: u64, over: u64) -> f64 {
    t as f64 / over as f64
}

/// `base^exponent`, kept finite so that it can be multiplied by 0.
pub(super) fn power(base: f64, exponent: f64) -> f64 {
    saturate(base.powf(exponent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_a_lerp_are_exact() {
        assert_ne!(0.55 + (0.1 - 0.55), 0.1, "else there would be nothing to test");
        for (a, b) in [(0.55, 0.1), (0.1, 0.55), (f64::MIN, f64::MAX), (1e-300, 1e300)] {
            assert_eq!((lerp(a, b, 0.0), lerp(a, b, 1.0)), (a, b));
            assert!(lerp(a, b, 0.5).is_finite());
        }
        assert_eq!(lerp(0.2, 0.2, 0.123), 0.2);
        assert!(lerp(f64::MAX, f64::MIN, f64::MAX).is_finite());
    }

    #[test]
    fn products_saturate() {
        assert_eq!(saturate(f64::NEG_INFINITY), f64::MIN);
        assert_eq!(power(10.0, 1e9), f64::MAX);
        assert_eq!(0.0 * power(10.0, 1e9), 0.0);
    }
}
