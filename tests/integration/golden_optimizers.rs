//! Our optimizers against those of PyTorch, optax, timm and the authors of schedule-free, weight by
//! weight.
//!
//! `golden/optimizers.py` has run them, and written where they went to `golden/optimizers.json`.

use std::collections::BTreeMap;

use burn::module::{Module, Param};
use burn::optim::{GradientsParams, ModuleOptimizer, Optimizer};
use burn::tensor::{DType, Device, Tensor, TensorData};
use evenkeel::optim::{
    AdaBelief, Adam, AdamW, Adamax, AdaptiveClip, Adopt, Lars, Lookahead, ModelOptimizer, Momentum,
    NAdam, ParamGroups, RAdam, Rule, ScheduleFreeAdamW, ScheduleFreeSgd, Sgd, StepArgs, TrustRatio,
};
use evenkeel::{Error, Keel};

#[derive(serde::Deserialize)]
struct Golden {
    header: BTreeMap<String, String>,
    cases: Vec<Case>,
}

#[derive(serde::Deserialize)]
struct Case {
    name: String,
    call: String,
    lr: f64,
    at: Vec<u64>,
    values: Vec<Vec<f64>>,
    evaluated: Option<Vec<f64>>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../golden/optimizers.json")).unwrap()
}

/// What the trajectories are of. PyTorch has the units of a matrix in its rows, and Burn in its
/// columns: ours is the transpose of theirs.
#[derive(Module, Debug)]
struct Weights {
    matrix: Param<Tensor<2>>,
    vector: Param<Tensor<1>>,
    images: Param<Tensor<3>>,
}

const ELEMENTS: usize = 21;

/// The place among PyTorch's elements of ours of the matrix.
fn turned(at: usize) -> usize {
    (at % 2) * 3 + at / 2
}

impl Weights {
    fn start(device: &Device, dtype: DType) -> Self {
        let all: Vec<f64> = (0..ELEMENTS).map(|i| (1.0 + i as f64).sin()).collect();
        Self::from_flat(&all, device, dtype)
    }

    fn from_flat(all: &[f64], device: &Device, dtype: DType) -> Self {
        let matrix: Vec<f64> = (0..6).map(|at| all[turned(at)]).collect();
        let data = |values: &[f64], shape: &[usize]| TensorData::new(values.to_vec(), shape);
        let to = (device, dtype);
        Self {
            matrix: Param::from_tensor(Tensor::from_data(data(&matrix, &[3, 2]), to)),
            vector: Param::from_tensor(Tensor::from_data(data(&all[6..9], &[3]), to)),
            images: Param::from_tensor(Tensor::from_data(data(&all[9..], &[2, 2, 3]), to)),
        }
    }

    /// All elements, in PyTorch's order.
    fn flat(&self) -> Vec<f64> {
        let matrix: Vec<f64> = self.matrix.val().into_data().iter::<f64>().collect();
        let mut all = vec![0.0; 6];
        matrix.into_iter().enumerate().for_each(|(at, x)| all[turned(at)] = x);
        all.extend(self.vector.val().into_data().iter::<f64>());
        all.extend(self.images.val().into_data().iter::<f64>());
        all
    }

    /// The gradient of the script, in `f64` and then rounded.
    fn gradients(&self, t: u64, device: &Device, dtype: DType) -> GradientsParams {
        let slope = |(i, p): (usize, f64)| {
            let (a, b) = (0.5 + 0.1 * (i % 7) as f64, 0.4 + 0.1 * (i % 3) as f64);
            a * p + b * (0.7 * t as f64 + i as f64).cos()
        };
        let all: Vec<f64> = self.flat().into_iter().enumerate().map(slope).collect();
        let plain = device.clone().inner();
        let there = Self::from_flat(&all, &plain, dtype);
        let mut grads = GradientsParams::new();
        grads.register(self.matrix.id, there.matrix.val());
        grads.register(self.vector.id, there.vector.val());
        grads.register(self.images.id, there.images.val());
        grads
    }
}

type Boxed = Box<dyn ModelOptimizer<Weights>>;

/// A rule through our own pass over all tensors, and through Burn's.
fn rule<R: Rule>(rule: R) -> Vec<Boxed> {
    vec![Box::new(ParamGroups::new(rule.clone())), Box::new(ModuleOptimizer::from(rule))]
}

/// What only Burn's pass takes.
fn wrapped<O: Optimizer>(optimizer: O) -> Vec<Boxed> {
    vec![Box::new(ModuleOptimizer::from(optimizer))]
}

fn ours(name: &str) -> Result<Vec<Boxed>, Error> {
    let momentum = Momentum::new;
    Ok(match name {
        "sgd" => rule(Sgd::new()),
        "sgd, decay" => rule(Sgd::new().weight_decay(0.2)?),
        "sgd, maximize" => rule(Sgd::new().weight_decay(0.2)?.maximize()),
        "momentum" => rule(momentum(0.9)?),
        "momentum, dampening" => rule(momentum(0.8)?.dampening(0.3)?.weight_decay(0.1)?),
        "nesterov" => rule(momentum(0.9)?.nesterov()),
        "nesterov, decay" => rule(momentum(0.95)?.nesterov().weight_decay(0.1)?),
        "momentum, maximize" => rule(momentum(0.9)?.maximize()),
        "adam" | "adam of optax" => rule(Adam::new()),
        "adam, set" => {
            rule(Adam::new().beta_1(0.7)?.beta_2(0.95)?.epsilon(1e-3)?.weight_decay(0.1)?)
        }
        "adam, amsgrad" => rule(Adam::new().beta_1(0.8)?.beta_2(0.6)?.amsgrad()),
        "adam, maximize" => rule(Adam::new().weight_decay(0.1)?.maximize()),
        "adamw" => rule(AdamW::new()),
        "adamw, set" => {
            rule(AdamW::new().beta_1(0.7)?.beta_2(0.95)?.epsilon(1e-3)?.weight_decay(0.2)?)
        }
        "adamw, amsgrad" => rule(AdamW::new().beta_1(0.8)?.beta_2(0.6)?.amsgrad()),
        "adamw of optax" => rule(AdamW::new().beta_2(0.95)?.weight_decay(0.1)?),
        "nadam" => rule(NAdam::new()),
        "nadam, set" => rule(
            NAdam::new()
                .beta_1(0.8)?
                .beta_2(0.9)?
                .epsilon(1e-4)?
                .weight_decay(0.1)?
                .momentum_decay(0.02)?,
        ),
        "nadam, decoupled" => rule(NAdam::new().weight_decay(0.1)?.decoupled()),
        "radam" => rule(RAdam::new()),
        "radam, set" => {
            rule(RAdam::new().beta_1(0.8)?.beta_2(0.9)?.epsilon(1e-3)?.weight_decay(0.1)?)
        }
        "radam, decoupled" => rule(RAdam::new().beta_2(0.7)?.weight_decay(0.1)?.decoupled()),
        "adamax" => rule(Adamax::new()),
        "adamax, set" => {
            rule(Adamax::new().beta_1(0.8)?.beta_2(0.9)?.epsilon(1e-3)?.weight_decay(0.1)?)
        }
        "adabelief" => rule(AdaBelief::new()),
        "adabelief, set" => rule(AdaBelief::new().beta_1(0.8)?.beta_2(0.9)?.epsilon(1e-4)?),
        "adopt" => rule(Adopt::new()),
        "adopt, set" => rule(
            Adopt::new().beta_1(0.8)?.beta_2(0.95)?.epsilon(1e-3)?.weight_decay(0.1)?.decoupled(),
        ),
        "adopt, coupled" => rule(Adopt::new().weight_decay(0.1)?),
        "adopt, unbounded" => rule(Adopt::new().without_bound()),
        "cautious adamw" => rule(AdamW::new().weight_decay(0.1)?.cautious()),
        "schedule-free sgd" => rule(ScheduleFreeSgd::new()),
        "schedule-free sgd, set" => {
            rule(ScheduleFreeSgd::new().beta(0.7)?.weight_decay(0.1)?.weight_power(2.0)?)
        }
        "schedule-free adamw" => rule(ScheduleFreeAdamW::new()),
        "schedule-free adamw, set" => rule(
            ScheduleFreeAdamW::new()
                .beta(0.8)?
                .beta_2(0.95)?
                .epsilon(1e-3)?
                .weight_decay(0.1)?
                .weight_power(1.0)?,
        ),
        "lookahead" => wrapped(Lookahead::new(6, 0.5, momentum(0.9)?)?),
        "lookahead, set" => wrapped(Lookahead::new(4, 0.8, momentum(0.9)?)?),
        "lamb" => wrapped(TrustRatio::new(AdamW::new().epsilon(1e-6)?.weight_decay(0.1)?)),
        "lamb, clipped" => {
            let adamw = AdamW::new().epsilon(1e-6)?.weight_decay(0.1)?;
            wrapped(TrustRatio::new(adamw).at_most_one())
        }
        "lars" => wrapped(Lars::new(0.02, momentum(0.9)?)?.weight_decay(0.1)?),
        "lars, nesterov" => wrapped(Lars::new(0.05, momentum(0.8)?.nesterov())?.weight_decay(0.1)?),
        "agc" => wrapped(AdaptiveClip::new(0.1, momentum(0.9)?)?),
        "agc, set" => wrapped(AdaptiveClip::new(0.02, momentum(0.9)?)?.epsilon(0.5)?),
        other => panic!("nothing of ours is `{other}`"),
    })
}

fn close(ours: &[f64], theirs: &[f64], epsilon: f64, what: &str) {
    assert_eq!(ours.len(), theirs.len());
    for (at, (a, b)) in ours.iter().zip(theirs).enumerate() {
        let near = (a - b).abs() <= epsilon * b.abs().max(1.0);
        assert!(near, "{what}: element {at} is {a}, and theirs {b}");
    }
}

/// The first `updates` of a trajectory.
fn follow(case: &Case, mut update: Boxed, updates: u64, device: &Device, dtype: DType) {
    let epsilon = if dtype == DType::F64 { 1e-10 } else { 1e-5 };
    let mut model = Weights::start(device, dtype);
    let mut done = 0;
    for (&until, theirs) in case.at.iter().zip(&case.values).take_while(|(at, _)| **at <= updates) {
        for t in done..until {
            let grads = model.gradients(t, device, dtype);
            model = update.update(StepArgs::new(case.lr, 1.0, 1.0), model, grads);
        }
        done = until;
        close(&model.flat(), theirs, epsilon, &format!("{} after {done} updates", case.call));
    }
    assert_eq!((done, model.matrix.val().dtype()), (updates, dtype));
}

/// The whole trajectory in `f64`, and its beginning in `f32`, in which each update reads all weights from the device.
#[test]
fn trajectories_are_those_of_other_libraries() {
    let Golden { header, cases } = golden();
    assert!(header.contains_key("torch") && cases.len() >= 44);
    for case in &cases {
        for update in ours(&case.name).unwrap() {
            follow(case, update, 50, &Device::flex().autodiff(), DType::F64);
        }
    }
    crate::common::on_every_device(|device| {
        for case in &cases {
            eprintln!("{}", case.name);
            for update in ours(&case.name).unwrap() {
                follow(case, update, 20, device, DType::F32);
            }
        }
    });
}

/// The average of the schedule-free ones, which their authors have as a mode of the optimizer.
#[test]
fn evaluation_weights_are_those_of_the_authors() {
    for case in golden().cases {
        let Some(theirs) = &case.evaluated else { continue };
        let device = Device::flex().autodiff();
        let Some(mut update) = ours(&case.name).unwrap().into_iter().next() else { unreachable!() };
        let mut model = Weights::start(&device, DType::F64);
        for t in 0..50 {
            let grads = model.gradients(t, &device, DType::F64);
            model = update.update(StepArgs::new(case.lr, 1.0, 1.0), model, grads);
        }
        let trained = model.flat();
        let average = update.eval_model(&model);
        close(&average.flat(), theirs, 1e-10, &case.call);
        // A value, not a mode: the weights that are trained are where they were.
        assert_eq!(model.flat(), trained);
        assert_ne!(average.flat(), trained);
    }
}

/// The same through a keel, which is what most people will do.
#[test]
fn a_keel_changes_nothing_about_a_sound_run() {
    let case = golden().cases.into_iter().find(|case| case.name == "adamw").unwrap();
    let device = Device::flex().autodiff();
    let mut model = Weights::start(&device, DType::F64);
    let mut keel = Keel::wrap(AdamW::new()).build(&model).unwrap();
    let loss = Tensor::<1>::from_floats([1.0], &device);
    for t in 0..50 {
        let grads = model.gradients(t, &device, DType::F64);
        let stepped = keel.step(case.lr, model, grads, &loss).unwrap();
        assert!(stepped.report.is_applied());
        model = stepped.model;
    }
    close(&model.flat(), case.values.last().unwrap(), 1e-10, &case.call);
}
