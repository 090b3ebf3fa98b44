//! Final losses of several seeds, as `[training, held out]`.

/// The median of the training losses, or of the held-out losses.
pub fn median(ends: &[[f64; 2]], of: usize) -> f64 {
    let mut values: Vec<f64> = ends.iter().map(|end| end[of]).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

pub fn short(loss: f64) -> String {
    match loss {
        x if !x.is_finite() => "∞".to_string(),
        x if x >= 1000.0 => format!("{x:.1e}"),
        x => format!("{x:.4}"),
    }
}
