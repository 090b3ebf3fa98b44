//! Optimizers that PyTorch and optax lack, slowly and in the letters of their papers: one tensor, one
//! step, plain `f64`. Nothing here is shared with the library.

/// What Adam and its kin keep.
#[derive(Clone, Debug)]
pub struct Moments {
    pub m: Vec<f64>,
    pub v: Vec<f64>,
    pub t: i32,
}

impl Moments {
    pub fn of(n: usize) -> Self {
        Self { m: vec![0.0; n], v: vec![0.0; n], t: 0 }
    }
}

pub const BETA_1: f64 = 0.9;
pub const BETA_2: f64 = 0.999;
pub const EPSILON: f64 = 1e-8;

/// Adam's moments and its step `m̂/(√v̂ + ε)`, without the rate.
fn adam(g: &[f64], s: &mut Moments) -> Vec<f64> {
    s.t += 1;
    (0..g.len())
        .map(|i| {
            s.m[i] = BETA_1 * s.m[i] + (1.0 - BETA_1) * g[i];
            s.v[i] = BETA_2 * s.v[i] + (1.0 - BETA_2) * g[i] * g[i];
            let m_hat = s.m[i] / (1.0 - BETA_1.powi(s.t));
            let v_hat = s.v[i] / (1.0 - BETA_2.powi(s.t));
            m_hat / (v_hat.sqrt() + EPSILON)
        })
        .collect()
}

/// Wortsman et al. 2023, algorithm 2, with weight decay 0.01.
pub fn stable_adamw(theta: &mut [f64], g: &[f64], s: &mut Moments, alpha: f64, threshold: f64) {
    let r = adam(g, s);
    let u_hat = |i: usize| s.v[i] / (1.0 - BETA_2.powi(s.t));
    let square = |i: usize| g[i] * g[i] / u_hat(i).max(EPSILON * EPSILON);
    let rms = ((0..g.len()).map(square).sum::<f64>() / g.len() as f64).sqrt();
    let eta = alpha / f64::max(1.0, rms / threshold);
    for i in 0..theta.len() {
        theta[i] -= eta * 0.01 * theta[i] + eta * r[i];
    }
}

/// Kalra & Barkeshli 2024: Adam whose second moment begins at the square of the first gradient.
pub fn gi_adam(theta: &mut [f64], g: &[f64], s: &mut Moments, eta: f64) {
    if s.t == 0 {
        s.v = g.iter().map(|g| g * g).collect();
    }
    for (theta, step) in theta.iter_mut().zip(adam(g, s)) {
        *theta -= eta * step;
    }
}

/// Huang et al. 2025, algorithm 1, over all elements: spikes cut, moments reset, rate warmed up.
///
/// As the library says: with the corrected second moment, and only where there is one.
#[allow(clippy::too_many_arguments)]
pub fn spam(
    theta: &mut [f64],
    g: &[f64],
    s: &mut Moments,
    eta: f64,
    update: u64,
    (gss, interval, warmup): (f64, u64, u64),
) {
    if update > 0 && update.is_multiple_of(interval) {
        *s = Moments::of(theta.len());
    }
    let since = update % interval;
    let cut = |i: usize| {
        let v_hat = s.v[i] / (1.0 - BETA_2.powi(s.t));
        match s.t > 0 && s.v[i] > 0.0 && g[i] * g[i] > gss * v_hat {
            true => g[i].signum() * (gss * v_hat).sqrt(),
            false => g[i],
        }
    };
    let g: Vec<f64> = (0..g.len()).map(cut).collect();
    let scale = match update >= interval && since < warmup {
        true => {
            let angle = std::f64::consts::PI * since as f64 / warmup as f64;
            1.0 - 0.99 * (0.5 * (1.0 + angle.cos()))
        }
        false => 1.0,
    };
    for (theta, step) in theta.iter_mut().zip(adam(&g, s)) {
        *theta -= eta * scale * step;
    }
}

/// Yong et al. 2020 on a matrix of `rows` whose outputs are its columns, as Burn's are: descent along
/// the gradient less the mean of each column.
pub fn centralized_sgd(theta: &mut [f64], g: &[f64], rows: usize, eta: f64) {
    let columns = g.len() / rows;
    for c in 0..columns {
        let mean = (0..rows).map(|r| g[r * columns + c]).sum::<f64>() / rows as f64;
        for r in 0..rows {
            theta[r * columns + c] -= eta * (g[r * columns + c] - mean);
        }
    }
}

/// Liang et al. 2024, algorithm 1, around heavy-ball momentum of 0.9.
pub fn cautious_momentum(theta: &mut [f64], g: &[f64], velocity: &mut [f64], eta: f64) {
    for (v, g) in velocity.iter_mut().zip(g) {
        *v = 0.9 * *v + g;
    }
    let phi: Vec<f64> =
        velocity.iter().zip(g).map(|(u, g)| if u * g > 0.0 { 1.0 } else { 0.0 }).collect();
    let mean = phi.iter().sum::<f64>() / phi.len() as f64;
    for i in 0..theta.len() {
        theta[i] -= eta * velocity[i] * phi[i] / mean.max(1e-3);
    }
}

/// Kwon et al. 2021, equation 4 with `T = |w| + η`; SAM where `T` is 1. A matrix and a vector, of
/// which the vector is not scaled.
pub fn uphill(
    weights: [&[f64]; 2],
    gradients: [&[f64]; 2],
    rho: f64,
    eta: Option<f64>,
) -> [Vec<f64>; 2] {
    let t = |which: usize, w: f64| match (which, eta) {
        (0, Some(eta)) => w.abs() + eta,
        _ => 1.0,
    };
    let mut sum = 0.0;
    for which in 0..2 {
        for (w, g) in weights[which].iter().zip(gradients[which]) {
            sum += (t(which, *w) * g).powi(2);
        }
    }
    [0, 1].map(|which| {
        let pairs = weights[which].iter().zip(gradients[which]);
        pairs.map(|(w, g)| w + rho * t(which, *w).powi(2) * g / sum.sqrt()).collect()
    })
}
