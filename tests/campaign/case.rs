//! What is drawn for one case.

use std::sync::Arc;

use burn::lr_scheduler::module_lr_scheduler::{ModuleLearningRate, ModuleLrScheduler};
use burn::module::{Module, ModuleMapper, Param, ParamGroup};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{
    AdaGradConfig, AdafactorConfig, AdamConfig, AdamWConfig, AdanConfig, LambConfig, LionConfig,
    ModuleOptimizer, RmsPropConfig, SgdConfig,
};
use burn::tensor::{DType, Device, Tensor};
use evenkeel::average::{Ema, Swa};
use evenkeel::bound::DeepRelativeTrust;
use evenkeel::clip::GlobalNorm;
use evenkeel::faults::{Harm, Injector, Place, When};
use evenkeel::guard::{
    Divergence, Guard, LayerLimit, LossSpike, NonFinite, NormSpike, Stall, UpdateRatio,
};
use evenkeel::optim as own;
use evenkeel::precision::LossScale;
use evenkeel::schedule::{Constant, Cosine, Ramp, Schedule, Step};
use evenkeel::{Builder, Decide, Error, Keel, Reading, Rewind, Verdict, tie};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::common::{Batch, filled};

/// Two layers, with BatchNorm between them or without, and with one layer in two places or without.
#[derive(Module, Debug)]
pub struct Tiny {
    pub first: Linear,
    pub norm: Option<BatchNorm>,
    pub twice: Vec<Linear>,
    pub last: Linear,
}

struct Cast(DType);

impl ModuleMapper for Cast {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let grad = param.is_require_grad();
        param.map(|t| t.detach().cast(self.0).detach().set_require_grad(grad))
    }
}

impl Tiny {
    pub fn new(case: &Case, seed: u64, device: &Device) -> Self {
        let layer: Linear = LinearConfig::new(4, 4).with_bias(false).init(device);
        let tiny = Self {
            first: LinearConfig::new(3, 4).init(device),
            norm: case.normalized.then(|| BatchNormConfig::new(4).init(device)),
            twice: if case.tied { vec![layer.clone(), layer] } else { Vec::new() },
            last: LinearConfig::new(4, 1).init(device),
        };
        tie(match case.dtype {
            DType::F32 => filled(tiny, seed),
            half => filled(tiny, seed).map(&mut Cast(half)),
        })
    }

    pub fn loss(&self, batch: Batch) -> Tensor<1> {
        let x = self.first.forward(batch.x);
        let x = match &self.norm {
            Some(norm) => norm.forward(x),
            None => x,
        };
        let x = self.twice.iter().fold(x, |x, layer| layer.forward(x).tanh());
        (self.last.forward(x.tanh()) - batch.y).powi_scalar(2).mean()
    }

    /// With the middle of it frozen, or thawed.
    pub fn frozen(mut self, frozen: bool) -> Self {
        if let Some(norm) = &mut self.norm {
            norm.gamma = norm.gamma.clone().set_require_grad(!frozen);
            norm.beta = norm.beta.clone().set_require_grad(!frozen);
        }
        for layer in &mut self.twice {
            layer.weight = layer.weight.clone().set_require_grad(!frozen);
        }
        tie(self)
    }
}

/// What is around an optimizer.
#[derive(Debug, Clone, Copy)]
pub enum Around {
    TrustRatio,
    Lars,
    AdaptiveClip,
    Lookahead,
    Cautious,
    PNorm,
    Averaging,
}

#[derive(Debug, Clone, Copy)]
pub enum Optimizer {
    Sgd,
    Momentum,
    Nesterov,
    Adam,
    AdamW,
    RmsProp,
    AdaGrad,
    Adafactor,
    Lion,
    Adan,
    Lamb,
    OwnMomentum,
    OwnAdam,
    OwnAdamW,
    OwnRAdam,
    OwnAdopt,
    OwnScheduleFree,
}

#[derive(Debug, Clone, Copy)]
pub enum Judge {
    LossSpike {
        k: f64,
        warmup: u64,
    },
    NormSpike {
        k: f64,
        warmup: u64,
    },
    Divergence {
        k: f64,
        patience: u64,
    },
    Stall {
        over: u64,
    },
    LayerLimit {
        at_most: f64,
    },
    UpdateRatio {
        at_most: f64,
    },
    /// A closure that rejects losses above this.
    Closure {
        above: f64,
        answer: Verdict,
    },
    /// A spike guard that answers otherwise, or escalates.
    Answering {
        answer: Verdict,
    },
    Escalating {
        skips: u64,
        rewinds: u64,
    },
}

#[derive(Debug, Clone, Copy)]
pub enum Curve {
    /// No schedule at all.
    Plain,
    Constant,
    Warmup,
    Cosine,
    Steps,
    /// NaN at this update.
    Breaks(u64),
}

#[derive(Debug, Clone, Copy)]
pub enum Mean {
    Ema(f64),
    WarmEma(f64),
    Swa(u64),
}

#[derive(Debug, Clone)]
pub struct Case {
    pub normalized: bool,
    pub optimizer: Optimizer,
    pub guards: Vec<Judge>,
    pub clips: Vec<f64>,
    pub curve: Curve,
    pub rate: f64,
    pub on_non_finite: Verdict,
    pub skips_at_most: u64,
    pub rewind: Option<Rewind>,
    /// As in `rewind`, which does not tell.
    pub rewinds_at_most: u64,
    pub average: Option<Mean>,
    pub loss_scale: Option<LossScale>,
    pub check_parameters: Option<u64>,
    pub check_optimizer: Option<u64>,
    /// Batches for one update.
    pub micro: u64,
    pub steps: u64,
    /// Before which step it is saved, and continued by things built anew.
    pub stop: Option<u64>,
    pub faults: Injector,
    /// Decided on the device, and read after so many steps.
    pub late: Option<u64>,
    /// A layer in two places.
    pub tied: bool,
    /// From which update to which its middle is frozen.
    pub frozen: Option<(u64, u64)>,
    pub dtype: DType,
    /// With weights in `f32` behind it.
    pub master: bool,
    pub around: Option<Around>,
    pub bounded: bool,
    /// The rate of the last layer at these steps, where there is no schedule.
    pub odd_rates: Vec<(u64, f64)>,
    /// Whether it is continued with other settings.
    pub changed: bool,
    /// Which byte of the checkpoint is damaged, for once, under a right checksum.
    pub damaged: Option<u64>,
}

impl Case {
    pub fn draw(seed: u64) -> Self {
        let mut case = Self::draw_on_the_host(seed);
        // A stream of its own, so that the rest of a case does not depend on it.
        let mut rng = StdRng::seed_from_u64(!seed);
        if rng.random_bool(0.25) {
            case.late = Some(rng.random_range(1..=6));
            // What cannot be had there.
            case.check_optimizer = None;
            case.guards.retain(|guard| !matches!(guard, Judge::UpdateRatio { .. }));
        }
        case.draw_more(&mut StdRng::seed_from_u64(seed.wrapping_mul(3) ^ 0xC0FF_EE00));
        case
    }

    fn draw_more(&mut self, r: &mut StdRng) {
        self.tied = r.random_bool(0.2);
        let from = r.random_range(0..6);
        self.frozen = r.random_bool(0.2).then(|| (from, from + r.random_range(1..6)));
        let half = *[DType::F16, DType::BF16].choose(r).unwrap();
        self.dtype = if r.random_bool(0.2) { half } else { DType::F32 };
        self.master = r.random_bool(if self.dtype == DType::F32 { 0.05 } else { 0.5 });
        use Around::*;
        let around = [TrustRatio, Lars, AdaptiveClip, Lookahead, Cautious, PNorm, Averaging];
        self.around = r.random_bool(0.15).then(|| *around.choose(r).unwrap());
        self.bounded = r.random_bool(0.2);
        // Burn's own are not resumed in half precision without.
        let own = matches!(
            self.optimizer,
            Optimizer::OwnMomentum
                | Optimizer::OwnAdam
                | Optimizer::OwnAdamW
                | Optimizer::OwnRAdam
                | Optimizer::OwnAdopt
                | Optimizer::OwnScheduleFree
        );
        self.master |= self.dtype != DType::F32 && !own && self.around.is_none();
        if matches!(self.curve, Curve::Plain) && r.random_bool(0.5) {
            let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.01, 0.0, 1e30, 0.02];
            let mut at = || (r.random_range(0..self.steps), *odd.choose(r).unwrap());
            self.odd_rates = (0..3).map(|_| at()).collect();
        }
        self.changed = r.random_bool(0.3);
        self.damaged = r.random_bool(0.3).then(|| r.random());
    }

    /// The case that it is continued as, if with other settings.
    pub fn continued(&self, seed: u64) -> Self {
        let mut r = StdRng::seed_from_u64(seed);
        let mut other = self.clone();
        match r.random_range(0..4) {
            0 => drop(other.guards.pop()),
            1 => other.guards.push(judge(&mut r)),
            2 => other.clips = vec![0.5],
            _ => other.clips = Vec::new(),
        }
        if other.late.is_some() {
            other.guards.retain(|guard| !matches!(guard, Judge::UpdateRatio { .. }));
        }
        other.skips_at_most = r.random_range(0..=6);
        other.rewind = r.random_bool(0.6).then(|| {
            let rewind = Rewind::every(r.random_range(1..=4)).unwrap();
            rewind.keep(r.random_range(1..=4)).unwrap().at_most(self.rewinds_at_most).unwrap()
        });
        other.bounded = self.bounded && r.random_bool(0.5);
        other
    }

    /// What a step is told, where there is no schedule.
    pub fn plain(&self, step: u64) -> ModuleLearningRate {
        let rates = ModuleLrScheduler::new(self.rate);
        match self.odd_rates.iter().find(|(at, _)| *at == step) {
            Some((_, odd)) => rates.with_group(ParamGroup::from_predicate("last"), *odd).step(),
            None => self.rate.into(),
        }
    }

    /// Whether its middle is frozen after so many updates.
    pub fn is_frozen(&self, updates: u64) -> Option<bool> {
        self.frozen.map(|(from, to)| (from..to).contains(&updates))
    }

    fn draw_on_the_host(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let r = &mut rng;
        use Optimizer::*;
        let optimizers = [
            Sgd,
            Momentum,
            Nesterov,
            Adam,
            AdamW,
            RmsProp,
            AdaGrad,
            Adafactor,
            Lion,
            Adan,
            Lamb,
            OwnMomentum,
            OwnAdam,
            OwnAdamW,
            OwnRAdam,
            OwnAdopt,
            OwnScheduleFree,
        ];
        let steps = r.random_range(6..=18);
        let micro = if r.random_bool(0.3) { r.random_range(2..=3) } else { 1 };
        let maybe =
            |r: &mut StdRng, p: f64, most: u64| r.random_bool(p).then(|| r.random_range(1..=most));
        let rejection = |r: &mut StdRng| {
            use Verdict::*;
            *[Skip, Skip, Skip, Rewind, Halt].choose(r).unwrap()
        };
        let rewinds_at_most = r.random_range(1..=4);
        Self {
            normalized: r.random_bool(0.6),
            optimizer: *optimizers.choose(r).unwrap(),
            guards: (0..r.random_range(0..=3)).map(|_| judge(r)).collect(),
            clips: (0..r.random_range(0..=2))
                .map(|_| 10f64.powf(r.random_range(-2.0..1.0)))
                .collect(),
            curve: match r.random_range(0..12) {
                0..=2 => Curve::Plain,
                3..=4 => Curve::Constant,
                5..=6 => Curve::Warmup,
                7..=8 => Curve::Cosine,
                9..=10 => Curve::Steps,
                _ => Curve::Breaks(r.random_range(0..steps)),
            },
            // Mostly sensible; now and then absurd.
            rate: match r.random_range(0..16) {
                0 => 0.0,
                1 => 10f64.powf(r.random_range(1.0..36.0)),
                // Here updates overflow, from gradients and rates that are finite.
                2 => 10f64.powf(r.random_range(36.0..41.0)),
                _ => 10f64.powf(r.random_range(-4.0..0.5)),
            },
            on_non_finite: rejection(r),
            skips_at_most: r.random_range(0..=6),
            rewinds_at_most,
            rewind: r.random_bool(0.6).then(|| {
                Rewind::every(r.random_range(1..=4))
                    .and_then(|rewind| rewind.keep(r.random_range(1..=4)))
                    .and_then(|rewind| rewind.backoff(r.random_range(0.1..=1.0)))
                    .and_then(|rewind| rewind.at_most(rewinds_at_most))
                    .unwrap()
                    .age(r.random_range(0..=6))
                    .warmup(r.random_range(0..=4))
            }),
            average: match r.random_range(0..6) {
                0 => Some(Mean::Ema(r.random_range(0.0..0.999))),
                1 => Some(Mean::WarmEma(r.random_range(0.0..0.999))),
                2 => Some(Mean::Swa(r.random_range(0..6))),
                _ => None,
            },
            loss_scale: match r.random_range(0..6) {
                0 => Some(LossScale::fixed(1024.0).unwrap()),
                // So high that only an overflow brings it down.
                1 | 2 => Some(
                    LossScale::dynamic()
                        .start(2f64.powi(*[4, 16, 24].choose(r).unwrap()))
                        .and_then(|scale| scale.growth(2.0, r.random_range(1..=5)))
                        .and_then(|scale| scale.hysteresis(r.random_range(1..=2)))
                        .unwrap(),
                ),
                _ => None,
            },
            check_parameters: maybe(r, 0.2, 3),
            check_optimizer: maybe(r, 0.2, 3),
            micro,
            steps,
            stop: r.random_bool(0.4).then(|| r.random_range(0..steps)),
            faults: faults(r, seed, steps * micro),
            late: None,
            tied: false,
            frozen: None,
            dtype: DType::F32,
            master: false,
            around: None,
            bounded: false,
            odd_rates: Vec::new(),
            changed: false,
            damaged: None,
        }
    }

    fn wrapped(&self) -> Builder<Tiny> {
        let adam = own::AdamW::new;
        let burns = match self.around {
            None => return self.optimized(),
            Some(Around::TrustRatio) => ModuleOptimizer::from(own::TrustRatio::new(adam())),
            Some(Around::Lars) => ModuleOptimizer::from(own::Lars::new(0.01, adam()).unwrap()),
            Some(Around::AdaptiveClip) => {
                ModuleOptimizer::from(own::AdaptiveClip::new(0.1, adam()).unwrap())
            }
            Some(Around::Lookahead) => {
                ModuleOptimizer::from(own::Lookahead::new(3, 0.5, adam()).unwrap())
            }
            Some(Around::Cautious) => ModuleOptimizer::from(own::Cautious::new(adam())),
            Some(Around::PNorm) => {
                ModuleOptimizer::from(own::PNormClip::new(3.0, 0.1, adam()).unwrap())
            }
            Some(Around::Averaging) => ModuleOptimizer::from(own::ScheduleFreeSgd::new()),
        };
        self.mastered(burns)
    }

    fn mastered<By>(&self, optimizer: impl own::IntoModelOptimizer<Tiny, By>) -> Builder<Tiny> {
        match self.master {
            true => Keel::wrap(own::MasterWeights::new(optimizer)),
            false => Keel::wrap(optimizer),
        }
    }

    /// The keel's builder around the optimizer: one of Burn's, or one that vouches for its updates.
    fn optimized(&self) -> Builder<Tiny> {
        let momentum = |nesterov| {
            let momentum = MomentumConfig::new().with_nesterov(nesterov).with_dampening(0.0);
            SgdConfig::new().with_momentum(Some(momentum)).init()
        };
        let burns: ModuleOptimizer = match self.optimizer {
            Optimizer::OwnMomentum => return self.mastered(own::Momentum::new(0.9).unwrap()),
            Optimizer::OwnAdam => return self.mastered(own::Adam::new().amsgrad()),
            Optimizer::OwnAdamW => {
                return self
                    .mastered(own::AdamW::new().update_rms_at_most(1.0).unwrap().cautious());
            }
            Optimizer::OwnRAdam => return self.mastered(own::RAdam::new()),
            Optimizer::OwnAdopt => return self.mastered(own::Adopt::new()),
            Optimizer::OwnScheduleFree => return self.mastered(own::ScheduleFreeAdamW::new()),
            Optimizer::Sgd => SgdConfig::new().init(),
            Optimizer::Momentum => momentum(false),
            Optimizer::Nesterov => momentum(true),
            Optimizer::Adam => AdamConfig::new().init(),
            Optimizer::AdamW => AdamWConfig::new().init(),
            Optimizer::RmsProp => RmsPropConfig::new().init(),
            Optimizer::AdaGrad => AdaGradConfig::new().init(),
            Optimizer::Adafactor => AdafactorConfig::new().init(),
            Optimizer::Lion => LionConfig::new().init(),
            Optimizer::Adan => AdanConfig::new().init(),
            Optimizer::Lamb => LambConfig::new().init(),
        };
        self.mastered(burns)
    }

    pub fn schedule(&self) -> Option<Arc<dyn Schedule + Send + Sync>> {
        let rate = self.rate;
        Some(match self.curve {
            Curve::Plain => return None,
            Curve::Constant => Constant::new(rate).unwrap().boxed(),
            Curve::Warmup => {
                let cosine = Cosine::new(rate, 0.0, 20).unwrap();
                Ramp::new(0.0, rate, 3).unwrap().then(3, cosine).boxed()
            }
            Curve::Cosine => Cosine::new(rate, rate / 10.0, 10).unwrap().boxed(),
            Curve::Steps => Step::new(rate, 0.5, 4).unwrap().boxed(),
            Curve::Breaks(at) => {
                (move |update: u64| if update == at { f64::NAN } else { rate }).boxed()
            }
        })
    }

    pub fn keel(&self, net: &Tiny) -> Keel<Tiny> {
        match self.build(net, self.bounded) {
            // Not every optimizer can be bounded, and on the device few.
            Err(_) if self.bounded => self.build(net, false).unwrap(),
            built => built.unwrap(),
        }
    }

    fn build(&self, net: &Tiny, bounded: bool) -> Result<Keel<Tiny>, Error> {
        let mut keel =
            self.wrapped().on_non_finite(self.on_non_finite).skips_at_most(self.skips_at_most);
        for clip in &self.clips {
            keel = keel.clip(GlobalNorm::at_most(*clip).unwrap());
        }
        for guard in &self.guards {
            let spike = || LossSpike::above(4.0).unwrap().warmup(3).unwrap();
            keel = match *guard {
                Judge::LossSpike { k, warmup } => {
                    keel.guard(LossSpike::above(k).unwrap().warmup(warmup).unwrap())
                }
                Judge::NormSpike { k, warmup } => {
                    keel.guard(NormSpike::above(k).unwrap().warmup(warmup).unwrap())
                }
                Judge::Divergence { k, patience } => {
                    let guard = Divergence::above(k).unwrap().patience(patience);
                    keel.guard(guard.warmup(2).unwrap().smoothing(0.5).unwrap())
                }
                Judge::Stall { over } => {
                    keel.guard(Stall::over(over).unwrap().smoothing(0.0).unwrap())
                }
                Judge::LayerLimit { at_most } => keel.guard(LayerLimit::at_most(at_most).unwrap()),
                Judge::UpdateRatio { at_most } => {
                    keel.guard(UpdateRatio::at_most(at_most).unwrap())
                }
                Judge::Closure { above, answer } => {
                    keel.guard(
                        move |now: &Reading| {
                            if now.loss > above { answer } else { Verdict::Apply }
                        },
                    )
                }
                Judge::Answering { answer } => keel.guard(spike().answering(answer).unwrap()),
                Judge::Escalating { skips, rewinds } => keel
                    .guard(NonFinite.escalating(skips, rewinds))
                    .guard(spike().escalating(skips, rewinds)),
            };
        }
        keel = match self.average {
            Some(Mean::Ema(decay)) => keel.average(Ema::new(decay).unwrap()),
            Some(Mean::WarmEma(decay)) => keel.average(Ema::new(decay).unwrap().warmup()),
            Some(Mean::Swa(at)) => keel.average(Swa::from(at).every(2).unwrap()),
            None => keel,
        };
        if let Some(scale) = &self.loss_scale {
            keel = keel.loss_scale(scale.clone());
        }
        if let Some(n) = self.check_parameters {
            keel = keel.check_parameters_every(n);
        }
        if let Some(n) = self.check_optimizer {
            keel = keel.check_optimizer_every(n);
        }
        if let Some(rewind) = self.rewind {
            keel = keel.rewind(rewind);
        }
        if let Some(every) = self.late {
            keel = keel.decide(Decide::OnDevice { every });
        }
        if bounded {
            keel = keel.bound(DeepRelativeTrust::default());
        }
        keel.build(net)
    }
}

fn judge(r: &mut StdRng) -> Judge {
    use Verdict::*;
    let warmup = r.random_range(3..=5);
    let answer = *[Skip, Rewind, Halt].choose(r).unwrap();
    match r.random_range(0..9) {
        0 => Judge::LossSpike { k: r.random_range(2.0..8.0), warmup },
        1 => Judge::NormSpike { k: r.random_range(2.0..8.0), warmup },
        2 => Judge::Divergence { k: r.random_range(1.1..3.0), patience: r.random_range(0..=2) },
        3 => Judge::Stall { over: r.random_range(3..=12) },
        4 => Judge::LayerLimit { at_most: 10f64.powf(r.random_range(-1.0..3.0)) },
        5 => Judge::UpdateRatio { at_most: 10f64.powf(r.random_range(-2.0..1.0)) },
        6 => Judge::Closure { above: 10f64.powf(r.random_range(-1.0..3.0)), answer },
        7 => Judge::Answering { answer },
        _ => Judge::Escalating { skips: r.random_range(0..=2), rewinds: r.random_range(0..=2) },
    }
}

fn faults(r: &mut StdRng, seed: u64, batches: u64) -> Injector {
    let mut faults = Injector::new(seed);
    for _ in 0..r.random_range(0..=4) {
        let spike = Harm::Spike(10f64.powf(r.random_range(0.5..36.0)));
        let sign = if r.random_bool(0.5) { spike } else { Harm::Spike(-1e3) };
        let harms = [
            Harm::Nan,
            Harm::Infinity,
            Harm::NegativeInfinity,
            Harm::Overflow,
            Harm::Zero,
            spike,
            sign,
        ];
        let harm = *harms.choose(r).unwrap();
        let path = *["first", "last.weight", "last.bias"].choose(r).unwrap();
        let places = [
            Place::Batch,
            Place::Loss,
            Place::Gradients,
            Place::AnyGradient,
            Place::gradient(path),
        ];
        let place = places.choose(r).unwrap().clone();
        let when = match r.random_bool(0.5) {
            true => When::chance(r.random_range(0.02..0.4)).unwrap(),
            false => {
                let steps: Vec<u64> =
                    (0..r.random_range(1..=3)).map(|_| r.random_range(0..batches)).collect();
                When::at(steps)
            }
        };
        faults = match r.random_range(0..10) {
            0 => faults.stuck(when.over(r.random_range(2..=5)).unwrap()).unwrap(),
            1 => faults.dead(path, when.over(r.random_range(2..=5)).unwrap()).unwrap(),
            2 => faults.inject(harm, place, when.over(r.random_range(2..=8)).unwrap()).unwrap(),
            _ => faults.inject(harm, place, when).unwrap(),
        };
    }
    faults
}
