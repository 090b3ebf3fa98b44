//! A single training run: bare, or through evenkeel with any of its remedies.

use std::sync::Mutex;

use burn::module::Module;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::{Device, Tensor};
use evenkeel::clip::GlobalNorm;
use evenkeel::guard::LossSpike;
use evenkeel::schedule::{Constant, Cosine, Ramp, Schedule};
use evenkeel::{Error, Keel, Rewind, Verdict};

use crate::data::{Split, Table};
use crate::model::Mlp;

pub const BATCH: usize = 64;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Optimizer {
    Sgd,
    Momentum,
    Adam,
}

/// The remedies of a run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Remedy {
    /// Whether evenkeel is used at all.
    pub guarded: bool,
    /// The recommended set-up, which includes rewinding.
    pub recommended: bool,
    pub clip: bool,
    pub warmup: bool,
    pub cosine: bool,
    pub rewind: bool,
    pub optimizer: Optimizer,
    pub standardized: bool,
    pub batch_norm: bool,
}

/// The usual training loop, with Burn's SGD.
pub const BARE: Remedy = Remedy {
    guarded: false,
    recommended: false,
    clip: false,
    warmup: false,
    cosine: false,
    rewind: false,
    optimizer: Optimizer::Sgd,
    standardized: false,
    batch_norm: false,
};

/// The outcome of a run.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The loss of every step.
    pub losses: Vec<f64>,
    /// The first step whose loss was not finite.
    pub broke_at: Option<usize>,
    /// Mean squared error on the test rows; infinite if the model is broken.
    pub error: f64,
    pub skipped: usize,
    pub rewound: usize,
    /// The factor by which rewinds have reduced the rate.
    pub lowered_to: f64,
    /// The reason why training stopped early, if it did.
    pub halted: Option<String>,
}

/// The settings that all runs share.
pub struct Setting {
    pub split: Split,
    pub device: Device,
    pub steps: usize,
}

/// Weights are drawn from the device's only generator: seeding and drawing must not be interrupted.
static DRAWING: Mutex<()> = Mutex::new(());

impl Setting {
    pub fn run(&self, remedy: Remedy, rate: f64, seed: u64) -> Result<Outcome, Error> {
        let Split { train, test } = &self.split;
        let prepared = |table: &Table| match remedy.standardized {
            true => table.standardized(train),
            false => table.clone(),
        };
        let rows = prepared(train);
        let batches = (0..self.steps).map(|k| rows.batch(k, BATCH, &self.device));
        let model = {
            let _alone = DRAWING.lock();
            Mlp::new(remedy.batch_norm, seed, &self.device)
        };
        let optimizer: ModuleOptimizer = match remedy.optimizer {
            Optimizer::Sgd => SgdConfig::new().init(),
            Optimizer::Momentum => {
                let momentum = MomentumConfig::new().with_dampening(0.0);
                SgdConfig::new().with_momentum(Some(momentum)).init()
            }
            Optimizer::Adam => AdamConfig::new().init(),
        };
        let mut outcome = Outcome { lowered_to: 1.0, ..Outcome::default() };
        let model = match remedy.guarded {
            false => bare(model, optimizer, rate, batches, &mut outcome),
            true => {
                let curve = Curve { remedy, rate, steps: self.steps as u64 };
                guarded(model, optimizer, curve, batches, &mut outcome)?
            }
        };
        let error = value(&model.valid().loss(prepared(test).all(&self.device.clone().inner())));
        outcome.error = if error.is_finite() { error } else { f64::INFINITY };
        Ok(outcome)
    }
}

type Batch = (Tensor<2>, Tensor<2>);

/// Without evenkeel.
fn bare(
    mut model: Mlp,
    mut optimizer: ModuleOptimizer,
    rate: f64,
    batches: impl Iterator<Item = Batch>,
    outcome: &mut Outcome,
) -> Mlp {
    for batch in batches {
        let loss = model.loss(batch);
        outcome.saw(value(&loss));
        let grads = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(rate, model, grads);
    }
    model
}

struct Curve {
    remedy: Remedy,
    rate: f64,
    steps: u64,
}

/// The same loop through evenkeel.
fn guarded(
    mut model: Mlp,
    optimizer: ModuleOptimizer,
    Curve { remedy, rate, steps }: Curve,
    batches: impl Iterator<Item = Batch>,
    outcome: &mut Outcome,
) -> Result<Mlp, Error> {
    let warmup = if remedy.warmup { steps / 10 } else { 0 };
    let main = match remedy.cosine {
        true => Cosine::new(rate, 0.0, steps - warmup)?.boxed(),
        false => Constant::new(rate)?.boxed(),
    };
    let mut schedule = Ramp::new(0.0, rate, warmup)?.then(warmup, main).start();

    let mut keel = Keel::wrap(optimizer);
    if remedy.clip {
        keel = keel.clip(GlobalNorm::at_most(1.0)?);
    }
    if remedy.rewind {
        keel = keel.guard(LossSpike::default()).rewind(Rewind::every(100)?);
    }
    if remedy.recommended {
        keel = keel.recommended();
    }
    let mut keel = keel.build(&model)?;

    for batch in batches {
        let loss = model.loss(batch);
        let grads = GradientsParams::from_grads(loss.backward(), &model);
        match keel.step(schedule.step(), model, grads, &loss) {
            Ok(stepped) => {
                outcome.saw(stepped.report.reading.loss);
                match stepped.report.verdict {
                    Verdict::Skip => outcome.skipped += 1,
                    Verdict::Rewind => outcome.rewound += 1,
                    _ => {}
                }
                model = stepped.model;
            }
            Err(halted) => {
                outcome.saw(halted.report().reading.loss);
                outcome.halted = Some(halted.to_string());
                model = halted.into_model();
                break;
            }
        }
    }
    outcome.lowered_to = schedule.gain();
    Ok(model)
}

impl Outcome {
    fn saw(&mut self, loss: f64) {
        if !loss.is_finite() && self.broke_at.is_none() {
            self.broke_at = Some(self.losses.len());
        }
        self.losses.push(loss);
    }
}

fn value(loss: &Tensor<1>) -> f64 {
    loss.to_data().convert::<f64>().iter::<f64>().next().unwrap_or(f64::NAN)
}
