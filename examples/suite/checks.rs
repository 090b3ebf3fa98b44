//! Measurements that are no sweep over rates: poisoned batches, half precision, and the edge of stability.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{DType, Device, Tensor};
use evenkeel::clip::GlobalNorm;
use evenkeel::curvature::{Diagonal, Lanczos};
use evenkeel::optim::{Adam, MasterWeights, Momentum, Sgd};
use evenkeel::precision::LossScale;
use evenkeel::schedule::Schedule;
use evenkeel::{Error, Keel};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rayon::prelude::*;

use crate::losses::short;
use crate::method::warm_cosine;
use crate::tasks::{Rows, Stack, Task, seeded};

const RATE: f64 = 3e-3;

/// Faults of a batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Poison {
    /// Inputs so many times too large, with the targets of other rows.
    Times(f32),
    Nan,
    Infinite,
}

impl Poison {
    pub const ALL: [Self; 4] = [Self::Times(30.0), Self::Times(1000.0), Self::Nan, Self::Infinite];

    fn name(self) -> String {
        match self {
            Self::Times(factor) => format!("×{factor}"),
            Self::Nan => "NaN".to_string(),
            Self::Infinite => "∞".to_string(),
        }
    }

    fn spoil(self, (x, y): (Tensor<2>, Tensor<2>)) -> (Tensor<2>, Tensor<2>) {
        match self {
            Self::Times(factor) => (x * factor, y.flip([0])),
            Self::Nan => (x * f32::NAN, y),
            Self::Infinite => (x * f32::INFINITY, y),
        }
    }
}

/// A run on poisoned batches: the loss over training rows, the poisoned updates that were rejected, their number, and
/// the others that were.
type Survived = (f64, u64, u64, u64);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Guarded {
    Burn,
    Clipped,
    Recommended,
}

fn poisoned(
    task: &Rows,
    poison: Option<Poison>,
    guarded: Guarded,
    (seed, updates): (u64, u64),
) -> Result<Survived, Error> {
    let device = Device::flex().autodiff();
    let mut net = task.net(seed, &device)?;
    let mut optimizer = AdamConfig::new().init();
    let keel = Keel::wrap(Adam::new());
    let mut keel = match guarded {
        Guarded::Burn => None,
        Guarded::Clipped => Some(keel.clip(GlobalNorm::at_most(1.0)?).build(&net)?),
        Guarded::Recommended => Some(keel.recommended().build(&net)?),
    };
    let mut schedule = warm_cosine(RATE, updates)?.start();
    let mut draws = StdRng::seed_from_u64(seed ^ 0x9015);
    let (mut caught, mut bad, mut falsely) = (0, 0, 0);
    for _ in 0..updates {
        let rows: Vec<usize> = (0..64).map(|_| draws.random_range(task.train())).collect();
        // The same draws without poison.
        let spoiled = draws.random_bool(0.03) && poison.is_some();
        let mut batch = task.data.batch(&rows, &device);
        if let (true, Some(poison)) = (spoiled, poison) {
            batch = poison.spoil(batch);
        }
        let loss = task.data.cost.of(net.forward(batch.0), batch.1);
        let grads = GradientsParams::from_grads(loss.backward(), &net);
        let rate = schedule.step();
        bad += u64::from(spoiled);
        let Some(keel) = &mut keel else {
            net = optimizer.step(rate, net, grads);
            continue;
        };
        let Ok(stepped) = keel.step(rate, net, grads, &loss) else {
            return Ok((f64::INFINITY, caught, bad, falsely));
        };
        net = stepped.model;
        match (stepped.report.is_applied(), spoiled) {
            (false, true) => caught += 1,
            (false, false) => falsely += 1,
            _ => {}
        }
    }
    let rows: Vec<usize> = task.train().collect();
    let loss = task.loss(&net.valid(), &rows, &device.inner()).into_scalar::<f32>();
    let loss = if loss.is_finite() { f64::from(loss) } else { f64::INFINITY };
    Ok((loss, caught, bad, falsely))
}

/// Poisoned batches: a line for each fault.
pub fn poison(task: &Rows, seeds: u64, updates: u64) -> Result<Vec<String>, Error> {
    let of = |poison: Option<Poison>, guarded: Guarded| -> Result<Survived, Error> {
        let runs: Vec<u64> = (0..seeds).collect();
        let mut ends: Vec<Survived> = runs
            .par_iter()
            .map(|&seed| poisoned(task, poison, guarded, (seed, updates)))
            .collect::<Result<_, _>>()?;
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        let sum = |of: fn(&Survived) -> u64| ends.iter().map(of).sum();
        Ok((ends[ends.len() / 2].0, sum(|end| end.1), sum(|end| end.2), sum(|end| end.3)))
    };
    let clean = of(None, Guarded::Recommended)?;
    let mut lines = vec![
        "| poison, 3 % of the batches | Burn's Adam | clip at 1 | recommended | caught | falsely rejected |"
            .to_string(),
        "|---|---|---|---|---|---|".to_string(),
        format!(
            "| none | {} | {} | {} | | {} |",
            short(of(None, Guarded::Burn)?.0),
            short(of(None, Guarded::Clipped)?.0),
            short(clean.0),
            clean.3
        ),
    ];
    for poison in Poison::ALL {
        let (loss, caught, bad, falsely) = of(Some(poison), Guarded::Recommended)?;
        lines.push(format!(
            "| {} | {} | {} | {} | {caught} of {bad} | {falsely} |",
            poison.name(),
            short(of(Some(poison), Guarded::Burn)?.0),
            short(of(Some(poison), Guarded::Clipped)?.0),
            short(loss)
        ));
    }
    Ok(lines)
}

struct Cast(DType);

impl ModuleMapper for Cast {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| tensor.detach().cast(self.0).detach().require_grad())
    }
}

/// Counts the elements of gradients that are 0, and all.
struct Zeros<'a>(&'a GradientsParams, [u64; 2]);

impl ModuleVisitor for Zeros<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(grad) = self.0.get::<D>(param.id) {
            let data = grad.into_data().convert::<f32>();
            self.1[0] += data.iter::<f32>().filter(|x| *x == 0.0).count() as u64;
            self.1[1] += data.num_elements() as u64;
        }
    }
}

/// A loss so small that its gradients vanish in half precision: a line for each precision.
pub fn half(task: &Rows, seeds: u64, updates: u64) -> Result<Vec<String>, Error> {
    const SMALL: f64 = 1e-8;
    let run = |dtype: DType, scaled: bool, seed: u64| -> Result<(f64, f64), Error> {
        let device = Device::flex().autodiff();
        let mut net: Stack = task.net(seed, &device)?.map(&mut Cast(dtype));
        let keel = Keel::wrap(MasterWeights::new(Momentum::new(0.9)?));
        let keel = if scaled { keel.loss_scale(LossScale::dynamic()) } else { keel };
        let mut keel = keel.build(&net)?;
        let mut draws = StdRng::seed_from_u64(seed ^ 0x41f);
        let loss_of = |net: &Stack, rows: &[usize], device: &Device| {
            let (x, y) = task.data.batch(rows, device);
            let out = net.forward(x.cast(dtype)).cast(DType::F32);
            task.data.cost.of(out, y)
        };
        let mut zeros = [0, 0];
        for _ in 0..updates {
            let rows: Vec<usize> = (0..64).map(|_| draws.random_range(task.train())).collect();
            let loss = loss_of(&net, &rows, &device) * SMALL;
            let backward = (loss.clone() * keel.loss_scale()).backward();
            let grads = GradientsParams::from_grads(backward, &net);
            let mut count = Zeros(&grads, [0, 0]);
            net.visit(&mut count);
            zeros = [zeros[0] + count.1[0], zeros[1] + count.1[1]];
            match keel.step(0.1 / SMALL, net, grads, &loss) {
                Ok(stepped) => net = stepped.model,
                Err(_) => return Ok((f64::INFINITY, f64::NAN)),
            }
        }
        let rows: Vec<usize> = task.train().collect();
        let loss = loss_of(&net.valid(), &rows, &device.inner()).into_scalar::<f32>();
        Ok((f64::from(loss), zeros[0] as f64 / zeros[1] as f64))
    };
    let mut lines = vec![
        "| precision | loss | gradients that are 0 |".to_string(),
        "|---|---|---|".to_string(),
    ];
    for (name, dtype, scaled) in [
        ("f32", DType::F32, false),
        ("f16, without a scale", DType::F16, false),
        ("f16, dynamic loss scale", DType::F16, true),
    ] {
        let mut ends: Vec<(f64, f64)> =
            (0..seeds).map(|seed| run(dtype, scaled, seed)).collect::<Result<_, _>>()?;
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (loss, zeros) = ends[ends.len() / 2];
        lines.push(format!("| {name} | {} | {:.0} % |", short(loss), 100.0 * zeros));
    }
    Ok(lines)
}

#[derive(Module, Debug)]
struct Smooth {
    first: Linear,
    last: Linear,
}

impl Smooth {
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.last.forward(self.first.forward(x).tanh())
    }
}

/// Training with all rows at once: how far the sharpness ends from what the rate allows, for each rate.
pub fn edge(task: &Rows, updates: u64) -> Result<Vec<String>, Error> {
    let device = Device::flex().autodiff();
    let rows: Vec<usize> = (0..256).collect();
    let (x, y) = task.data.batch(&rows, &device);
    let loss_of =
        |net: &Smooth| (net.forward(x.clone()) - y.clone()).powi_scalar(2).sum_dim(1).mean();
    let run = |adam: bool, rate: f64| -> Result<f64, Error> {
        let mut net = seeded(0, &device, || {
            let linear = |from, to| LinearConfig::new(from, to).init(&device);
            Ok(Smooth { first: linear(64, 32), last: linear(32, 10) })
        })?;
        let mut keel = match adam {
            true => Keel::wrap(Adam::new().beta_2(0.99)?).build(&net)?,
            false => Keel::wrap(Sgd::new()).build(&net)?,
        };
        let mut diagonal = Diagonal::new(0.99, 1e-8)?;
        // Between two updates the sharpness swings around its edge.
        let mut ratios = Vec::new();
        for update in 0..updates {
            let loss = loss_of(&net);
            let grads = GradientsParams::from_grads(loss.backward(), &net);
            diagonal.take(&net, &grads);
            match keel.step(rate, net, grads, &loss) {
                Ok(stepped) => net = stepped.model,
                Err(_) => return Ok(f64::NAN),
            }
            if update + 100 >= updates && update % 10 == 0 {
                let lanczos = Lanczos::new();
                let allowed = match adam {
                    true => lanczos.measure_scaled(&net, &diagonal, loss_of)?.adam(0.9)?,
                    false => lanczos.measure(&net, loss_of)?.descent(),
                };
                ratios.extend(allowed.map(|allowed| rate / allowed));
            }
        }
        ratios.sort_by(f64::total_cmp);
        Ok(ratios.get(ratios.len() / 2).copied().unwrap_or(f64::NAN))
    };
    let mut lines = vec![
        "| optimizer | rate | sharpness × rate ÷ its edge |".to_string(),
        "|---|---|---|".to_string(),
    ];
    for (adam, rate) in [(false, 0.05), (false, 0.1), (false, 0.2), (true, 1e-3), (true, 3e-3)] {
        let name = if adam { "Adam, edge 38/η" } else { "descent, edge 2/η" };
        lines.push(format!("| {name} | {rate} | {:.2} |", run(adam, rate)?));
    }
    Ok(lines)
}
