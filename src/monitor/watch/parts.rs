//! Sums that can be added up over parameters, and the numbers that follow from them.

use super::Observation;

/// Sums over the elements of one parameter, or of several.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Parts {
    pub(super) elements: f64,
    /// `Σg²`.
    pub(super) gradient: f64,
    /// `Σp²`, before the update.
    pub(super) parameter: f64,
    /// `ΣΔp²`; `None` if there was no update.
    pub(super) update: Option<f64>,
    /// `Σg²/max(v̂, ε²)`, with the gradient as the optimizer saw it, and `Σv̂`, after the update.
    pub(super) moment: Option<(f64, f64)>,
    pub(super) zeros: f64,
    pub(super) broken: f64,
    /// `Σ g·h` with the gradient `h` of the previous sample, and `Σh²`.
    pub(super) before: Option<(f64, f64)>,
    /// For a full window: the number of samples, `Σ(Σₜgₜ)²`, and `Σₜ Σgₜ²`.
    pub(super) window: Option<(f64, f64, f64)>,
}

impl Parts {
    pub(super) fn plus(self, other: Self) -> Self {
        // A number that either of the two lacks is missing from the sum.
        let both = |a: Option<f64>, b: Option<f64>| Some(a? + b?);
        let before = self.before.zip(other.before).map(|(a, b)| (a.0 + b.0, a.1 + b.1));
        let moment = self.moment.zip(other.moment).map(|(a, b)| (a.0 + b.0, a.1 + b.1));
        // A parameter that had no gradient in some sample has a different number of samples.
        let same = |(a, b): &((f64, f64, f64), (f64, f64, f64))| a.0 == b.0;
        let window = self.window.zip(other.window).filter(same);
        let window = window.map(|(a, b)| (a.0, a.1 + b.1, a.2 + b.2));
        Self {
            elements: self.elements + other.elements,
            gradient: self.gradient + other.gradient,
            parameter: self.parameter + other.parameter,
            update: both(self.update, other.update),
            moment,
            zeros: self.zeros + other.zeros,
            broken: self.broken + other.broken,
            before,
            window,
        }
    }

    /// Returns the same sums for an optimizer that saw the gradient times `factor`.
    pub(super) fn seen_times(self, factor: f64) -> Self {
        let moment = self.moment.map(|(ratio, average)| (ratio * factor * factor, average));
        Self { moment, ..self }
    }

    /// Adds the numbers that follow from the sums, under names that end in `of`.
    pub(super) fn tell(&self, of: &str, to: &mut Observation) {
        let mut push = |name: &str, value: f64| to.push(format!("{name}{of}"), value);
        push("grad_norm", self.gradient.sqrt());
        push("param_norm", self.parameter.sqrt());
        if self.elements > 0.0 {
            push("grad_zeros", self.zeros / self.elements);
            push("grad_nonfinite", self.broken / self.elements);
        }
        if let Some(update) = self.update {
            push("update_norm", update.sqrt());
            if self.parameter > 0.0 {
                push("update_ratio", (update / self.parameter).sqrt());
            }
        }
        if let Some((ratio, average)) = self.moment.filter(|_| self.elements > 0.0) {
            push("second_moment_rms", (ratio / self.elements).sqrt());
            push("second_moment", (average / self.elements).sqrt());
        }
        if let Some(cosine) = self.cosine() {
            push("grad_cosine", cosine);
        }
        if let Some(ratio) = self.signal_to_noise() {
            push("grad_snr", ratio);
        }
    }

    fn cosine(&self) -> Option<f64> {
        let (product, before) = self.before?;
        let norms = self.gradient.sqrt() * before.sqrt();
        // Rounding may put the cosine slightly outside its range.
        let cosine = (product / norms).clamp(-1.0, 1.0);
        (norms > 0.0 && cosine.is_finite()).then_some(cosine)
    }

    fn signal_to_noise(&self) -> Option<f64> {
        let (n, of_sum, of_each) = self.window.filter(|(n, ..)| *n > 1.0)?;
        let (mean, squares) = (of_sum / (n * n), of_each / n);
        let noise = n / (n - 1.0) * (squares - mean);
        let signal = (mean - noise / n).max(0.0);
        (noise > 0.0 && signal.is_finite()).then(|| signal / noise)
    }
}
