//! Set-ups of a run: an optimizer, and what it is given against high rates.

use burn::module::Module;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{
    AdamConfig, AdamWConfig, GradientsParams, LionConfig, ModuleOptimizer, SgdConfig,
};
use burn::tensor::{Device, Tensor};
use evenkeel::bound::DeepRelativeTrust;
use evenkeel::clip::GlobalNorm;
use evenkeel::curvature::Governor;
use evenkeel::schedule::{Boxed, Constant, Schedule, Scheduler};
use evenkeel::trust::TrustRegion;
use evenkeel::{Error, Keel};

use crate::method::{Method, muon, warm_cosine};
use crate::tasks::Task;

/// What there is between the optimizer and the model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum With {
    /// Burn's optimizer, without evenkeel.
    Nothing,
    /// A clip of the global norm at 1.
    Clip,
    /// `Builder::recommended`.
    Recommended,
    /// Each matrix moves by at most 1 % of its own size.
    PerMatrix,
    /// A bound from the curvature along the gradient.
    Governor,
    /// A bound on how far a step moves the outputs.
    Trust,
}

#[derive(Debug, Clone, Copy)]
pub struct Setup {
    pub method: Method,
    /// A warmup over a twentieth of the updates and then a cosine to 0, instead of a constant rate.
    pub scheduled: bool,
    pub with: With,
}

impl Setup {
    pub fn schedule(&self, rate: f64, updates: u64) -> Result<Scheduler<Boxed>, Error> {
        Ok(match self.scheduled {
            false => Constant::new(rate)?.boxed().start(),
            true => warm_cosine(rate, updates)?.start(),
        })
    }

    pub fn stepper<M: Module + 'static>(
        &self,
        net: &M,
        trust: TrustRegion,
    ) -> Result<Stepper<M>, Error> {
        let keel = self.method.keel(net)?;
        let momentum = if self.method == Method::Momentum { 0.9 } else { 0.0 };
        let (mut governor, mut region) = (None, None);
        let keel = match self.with {
            With::Nothing => return Ok(Stepper::Bare(burns(self.method, net))),
            With::Clip => keel.clip(GlobalNorm::at_most(1.0)?),
            With::Recommended => keel.recommended(),
            With::PerMatrix => keel.bound(DeepRelativeTrust::per_matrix(0.01)?),
            With::Governor => keel.bound(governor.insert(Governor::new(momentum)?).clone()),
            With::Trust => keel.bound(region.insert(trust).clone()),
        };
        Ok(Stepper::Kept(Box::new(Kept { keel: keel.build(net)?, governor, region })))
    }
}

fn burns<M: Module>(method: Method, net: &M) -> ModuleOptimizer {
    match method {
        Method::Sgd => SgdConfig::new().init(),
        Method::Momentum => {
            let momentum = MomentumConfig::new().with_dampening(0.0);
            SgdConfig::new().with_momentum(Some(momentum)).init()
        }
        Method::Adam => AdamConfig::new().init(),
        Method::AdamW => AdamWConfig::new().init(),
        Method::Lion => LionConfig::new().init(),
        Method::Muon => muon(net),
    }
}

/// An optimizer with what belongs to it.
pub enum Stepper<M: Module> {
    Bare(ModuleOptimizer),
    Kept(Box<Kept<M>>),
}

pub struct Kept<M: Module> {
    keel: Keel<M>,
    governor: Option<Governor>,
    region: Option<TrustRegion>,
}

impl<M: Module + 'static> Stepper<M> {
    /// The model after the step; `None` after a halt.
    pub fn step<T: Task<Net = M>>(
        &mut self,
        task: &T,
        (rate, rows): (f64, &[usize]),
        net: M,
        loss: Tensor<1>,
    ) -> Result<Option<M>, Error> {
        let device = Device::flex().autodiff();
        let grads = GradientsParams::from_grads(loss.backward(), &net);
        let Kept { keel, governor, region } = match self {
            Self::Bare(optimizer) => return Ok(Some(optimizer.step(rate, net, grads))),
            Self::Kept(kept) => kept.as_mut(),
        };
        if let Some(governor) = governor {
            governor.watch(keel.updates(), &net, &grads, |net| task.loss(net, rows, &device))?;
        }
        if let Some(region) = region {
            let plain = device.inner();
            let seen = |net: &M| task.seen(net, rows, &plain);
            region.watch(keel.updates(), &net, &grads, || keel.optimizer(), seen)?;
        }
        Ok(keel.step(rate, net, grads, &loss).ok().map(|stepped| stepped.model))
    }
}
