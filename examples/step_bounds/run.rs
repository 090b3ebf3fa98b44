//! A single training run.

use std::fmt;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Device;
use evenkeel::Error;
use evenkeel::bound::DeepRelativeTrust;
use evenkeel::schedule::{Constant, Schedule};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::method::{Method, warm_cosine};
use crate::tasks::{Task, final_losses};

/// The bound between the rate and the step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Side {
    Bare,
    Recommended,
    /// The bound alone, with this value.
    Tau(f64),
    /// The bound alone, with its usual value and at most this one.
    Relaxed(f64),
    /// A bound on how far a step moves the outputs.
    Trust,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bare => f.pad("bare"),
            Self::Recommended => f.pad("recommended"),
            Self::Tau(tau) => f.pad(&format!("tau={tau}")),
            Self::Relaxed(tau) => f.pad(&format!("relaxed={tau}")),
            Self::Trust => f.pad("trust"),
        }
    }
}

#[derive(Clone, Copy)]
pub struct Setting {
    pub method: Method,
    pub side: Side,
    pub rate: f64,
    pub seed: u64,
    pub steps: u64,
    pub batch: usize,
    pub constant: bool,
}

/// The final losses, over training rows and over held-out rows; infinite after a halt.
pub fn run<T: Task>(task: &T, setting: &Setting) -> Result<[f64; 2], Error> {
    let Setting { method, side, rate, seed, steps, batch, constant } = *setting;
    let device = Device::flex().autodiff();
    let mut net = task.net(seed, &device)?;
    let keel = method.keel(&net)?;
    let trust = task.trust()?;
    let keel = match side {
        Side::Bare => keel,
        Side::Recommended => keel.recommended(),
        Side::Tau(tau) => keel.bound(DeepRelativeTrust::new(tau)?),
        Side::Relaxed(tau) => keel.bound(DeepRelativeTrust::default().relaxed_to(tau)?),
        Side::Trust => keel.bound(trust.clone()),
    };
    let mut keel = keel.build(&net)?;
    let mut schedule = match constant {
        true => Constant::new(rate)?.boxed().start(),
        false => warm_cosine(rate, steps)?.start(),
    };
    let mut draws = StdRng::seed_from_u64(seed ^ 0xba7c);
    let (train, plain) = (task.train(), device.clone().inner());
    for _ in 0..steps {
        let rows: Vec<usize> = (0..batch).map(|_| draws.random_range(train.clone())).collect();
        let loss = task.loss(&net, &rows, &device);
        let grads = GradientsParams::from_grads(loss.backward(), &net);
        if side == Side::Trust {
            let seen = |net: &T::Net| task.seen(net, &rows, &plain);
            trust.watch(keel.updates(), &net, &grads, || keel.optimizer(), seen)?;
        }
        match keel.step(schedule.step(), net, grads, &loss) {
            Ok(stepped) => net = stepped.model,
            Err(_) => return Ok([f64::INFINITY; 2]),
        }
    }
    Ok(final_losses(task, &net.valid(), &plain))
}
