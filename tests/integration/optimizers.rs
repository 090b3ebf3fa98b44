//! What every optimizer here must do, whatever its formula.

use burn::module::{Module, Param, ParamGroup};
use burn::optim::{GradientsParams, ModuleOptimizer, OptimizerRecord};
use burn::tensor::{Bytes, DType, Device, Tensor, TensorData};
use evenkeel::Keel;
use evenkeel::clip::GlobalNorm;
use evenkeel::optim::{
    AdaBelief, Adam, AdamW, Adamax, AdaptiveClip, Adopt, Cautious, Lars, Lookahead, ModelOptimizer,
    Momentum, NAdam, ParamGroups, RAdam, Rule, ScheduleFreeAdamW, ScheduleFreeSgd, Sgd, Spam,
    StepArgs, TrustRatio, ValueClip, biases_and_norms,
};
use evenkeel::schedule::{Ramp, Schedule};

use crate::common::{Batch, Net, bits, noise};

/// An optimizer, a rate at which it does well on what is well scaled, and whether it is one of our
/// rules, which work through our own pass too.
struct Entry {
    name: &'static str,
    rate: f64,
    burns: fn() -> ModuleOptimizer,
    ours: Option<fn() -> ParamGroups>,
}

macro_rules! rules {
    ($($name:literal, $rate:literal, $rule:expr;)*) => {
        vec![$(Entry {
            name: $name,
            rate: $rate,
            burns: || ModuleOptimizer::from($rule),
            ours: Some(|| ParamGroups::new($rule)),
        }),*]
    };
}

fn momentum() -> Momentum {
    Momentum::new(0.9).unwrap()
}

fn entries() -> Vec<Entry> {
    let mut all = rules![
        "sgd", 1.5e-3, Sgd::new();
        "momentum", 1e-3, momentum();
        "nesterov", 1e-3, momentum().nesterov().dampening(0.1).unwrap();
        "centralized", 1e-3, momentum().centralized();
        "adam", 0.05, Adam::new();
        "adam, amsgrad", 0.05, Adam::new().amsgrad();
        "adamw", 0.05, AdamW::new().weight_decay(1e-4).unwrap();
        "stable adamw", 0.05, AdamW::new().weight_decay(0.0).unwrap().update_rms_at_most(1.0).unwrap();
        "cautious adamw", 0.05, AdamW::new().weight_decay(0.0).unwrap().cautious();
        "gi-adam", 0.05, Adam::new().gradient_start();
        "spam", 0.05, Adam::new().spam(Spam::default());
        "nadam", 0.05, NAdam::new();
        "radam", 2.5e-3, RAdam::new();
        "adabelief", 0.02, AdaBelief::new();
        "adamax", 0.05, Adamax::new();
        "adopt", 0.05, Adopt::new();
        "schedule-free sgd", 2e-3, ScheduleFreeSgd::new();
        "schedule-free adamw", 0.1, ScheduleFreeAdamW::new();
    ];
    let wrapped = |name, rate, burns| Entry { name, rate, burns, ours: None };
    all.extend([
        wrapped("lookahead", 1e-3, || {
            ModuleOptimizer::from(Lookahead::new(5, 0.8, momentum()).unwrap())
        }),
        wrapped("cautious", 1e-3, || ModuleOptimizer::from(Cautious::new(momentum()))),
        wrapped("trust ratio", 0.02, || ModuleOptimizer::from(TrustRatio::new(Adam::new()))),
        wrapped("lars", 0.1, || ModuleOptimizer::from(Lars::new(0.01, momentum()).unwrap())),
        wrapped("agc", 1e-3, || ModuleOptimizer::from(AdaptiveClip::new(2.0, momentum()).unwrap())),
    ]);
    all
}

impl Entry {
    fn updates<M: Module + 'static>(&self) -> Vec<Box<dyn ModelOptimizer<M>>> {
        let mut all: Vec<Box<dyn ModelOptimizer<M>>> = vec![Box::new((self.burns)())];
        if let Some(ours) = self.ours {
            all.push(Box::new(ours()));
        }
        all
    }
}

#[derive(Module, Debug)]
struct Point {
    at: Param<Tensor<2>>,
}

impl Point {
    fn new(values: &[f64], device: &Device) -> Self {
        let shape = [values.len(), 1];
        let data = TensorData::new(values.to_vec(), shape);
        Self { at: Param::from_tensor(Tensor::from_data(data, (device, DType::F64))) }
    }

    fn values(&self) -> Vec<f64> {
        self.at.val().into_data().iter::<f64>().collect()
    }

    fn along(&self, gradient: &[f64], device: &Device) -> GradientsParams {
        let data = TensorData::new(gradient.to_vec(), [gradient.len(), 1]);
        let mut grads = GradientsParams::new();
        grads.register(self.at.id, Tensor::<2>::from_data(data, (device, DType::F64)));
        grads
    }
}

/// Descends, and gives the values of the weights that are to be evaluated.
fn descend(
    entry: &Entry,
    updates: u64,
    start: &[f64],
    rate: impl Fn(u64) -> f64,
    slope: impl Fn(&[f64]) -> Vec<f64>,
) -> Vec<Vec<f64>> {
    let device = Device::flex();
    entry
        .updates::<Point>()
        .into_iter()
        .map(|mut update| {
            let mut model = Point::new(start, &device.clone().autodiff());
            for t in 0..updates {
                let grads = model.along(&slope(&model.values()), &device);
                model = update.update(StepArgs::new(rate(t), 1.0, 1.0), model, grads);
            }
            update.eval_model(&model).values()
        })
        .collect()
}

/// `(1 − x)² + 100(y − x²)²`, from the usual start: a narrow and bent valley.
#[test]
fn they_find_the_end_of_rosenbrocks_valley() {
    let value = |p: &[f64]| (1.0 - p[0]).powi(2) + 100.0 * (p[1] - p[0] * p[0]).powi(2);
    let slope = |p: &[f64]| {
        let bend = p[1] - p[0] * p[0];
        vec![-2.0 * (1.0 - p[0]) - 400.0 * p[0] * bend, 200.0 * bend]
    };
    let start = [-1.2, 1.0];
    for entry in entries() {
        // Where the gradient is as it is, the rate is bounded by the steepest place of the valley.
        let updates = 8000;
        let part = |t: u64| 1.0 - t as f64 / updates as f64;
        // What averages by itself needs no schedule.
        let free = entry.name.starts_with("schedule-free");
        let rate = |t: u64| entry.rate * if free { 1.0 } else { part(t) };
        if entry.name == "centralized" {
            // On a single column the mean is most of the gradient.
            continue;
        }
        let slow = |t: u64| rate(t) * if entry.rate <= 2e-3 { 0.5 } else { 1.0 };
        for found in descend(&entry, updates, &start, slow, slope) {
            let (from, to) = (value(&start), value(&found));
            // The floor is at 4 where they reach it: they have followed it round the bend.
            assert!(to < 0.03 * from, "{}: from {from} to {to} at {found:?}", entry.name);
        }
    }
}

/// `½Σλᵢxᵢ²` with `λ` from 1 to 100.
#[test]
fn they_descend_where_curvatures_differ() {
    let curvatures = [1.0, 3.0, 10.0, 30.0, 100.0];
    let value = |p: &[f64]| 0.5 * p.iter().zip(curvatures).map(|(x, l)| l * x * x).sum::<f64>();
    let slope = |p: &[f64]| p.iter().zip(curvatures).map(|(x, l)| l * x).collect::<Vec<f64>>();
    let start = [1.0, -1.0, 1.0, -1.0, 1.0];
    for entry in entries().into_iter().filter(|entry| entry.name != "centralized") {
        let part = |t: u64| 1.0 - t as f64 / 2000.0;
        let free = entry.name.starts_with("schedule-free");
        let rate = |t: u64| entry.rate * if free { 1.0 } else { part(t) };
        for found in descend(&entry, 2000, &start, rate, slope) {
            let (from, to) = (value(&start), value(&found));
            assert!(to < 2e-3 * from, "{}: from {from} to {to} at {found:?}", entry.name);
        }
    }
}

/// A layer of every rank up to 4, an empty tensor, a frozen one, one in two places, and one that is
/// never used.
#[derive(Module, Debug)]
struct Odd {
    image: Param<Tensor<4>>,
    matrix: Param<Tensor<2>>,
    again: Param<Tensor<2>>,
    vector: Param<Tensor<1>>,
    empty: Param<Tensor<2>>,
    frozen: Param<Tensor<1>>,
    idle: Param<Tensor<1>>,
}

impl Odd {
    fn new(device: &Device, dtype: DType) -> Self {
        let to = (device, dtype);
        let data = |seed: u64, shape: &[usize]| {
            TensorData::new(noise(seed, shape.iter().product()), shape)
        };
        let matrix = Param::from_tensor(Tensor::from_data(data(2, &[5, 3]), to));
        Self {
            image: Param::from_tensor(Tensor::from_data(data(1, &[2, 3, 2, 2]), to)),
            again: matrix.clone(),
            matrix,
            vector: Param::from_tensor(Tensor::from_data(data(3, &[3]), to)),
            empty: Param::from_tensor(Tensor::from_data(data(4, &[0, 3]), to)),
            frozen: Param::from_tensor(Tensor::from_data(data(5, &[3]), to))
                .set_require_grad(false),
            idle: Param::from_tensor(Tensor::from_data(data(6, &[4]), to)),
        }
    }

    fn gradients(&self, t: u64, device: &Device, dtype: DType) -> GradientsParams {
        let plain = device.clone().inner();
        let to = (&plain, dtype);
        let data = |seed: u64, shape: &[usize]| {
            TensorData::new(noise(100 * t + seed, shape.iter().product()), shape)
        };
        let mut grads = GradientsParams::new();
        grads.register(self.image.id, Tensor::<4>::from_data(data(1, &[2, 3, 2, 2]), to));
        grads.register(self.matrix.id, Tensor::<2>::from_data(data(2, &[5, 3]), to));
        grads.register(self.vector.id, Tensor::<1>::from_data(data(3, &[3]), to));
        grads.register(self.empty.id, Tensor::<2>::from_data(data(4, &[0, 3]), to));
        grads
    }
}

fn values<const D: usize>(param: &Param<Tensor<D>>) -> Vec<f64> {
    param.val().into_data().iter::<f64>().collect()
}

/// What is to be evaluated of a schedule-free rule is its average, in Burn's driver and with wrappers around it too.
#[test]
fn averages_are_found_inside_burns_driver() {
    crate::common::on_every_device(|device| {
        let start = Net::new(device);
        let run = |keel: evenkeel::Builder<Net>| {
            let mut net = start.twin();
            let mut keel = keel.build(&net).unwrap();
            for k in 0..8 {
                let (loss, grads) = net.backward(Batch::number(k, device));
                net = keel.step(0.05, net, grads, &loss).unwrap().model;
            }
            (bits(&keel.eval_model(&net)), bits(&net))
        };
        let rule = || ScheduleFreeAdamW::new().beta(0.8).unwrap();
        let (expected, trained) = run(Keel::wrap(rule()));
        assert_ne!(expected, trained);
        let plain = ModuleOptimizer::from(rule());
        // It clips nothing.
        let clipped = ModuleOptimizer::from(ValueClip::new(1e9, rule()).unwrap());
        for optimizer in [plain, clipped] {
            assert_eq!(run(Keel::wrap(optimizer)).0, expected);
        }
        // Under slow weights they are other weights, and these are not evaluated as they are either.
        let ahead = Lookahead::new(3, 0.5, ScheduleFreeSgd::new()).unwrap();
        let (evaluated, trained) = run(Keel::wrap(ModuleOptimizer::from(ahead)));
        assert_ne!(evaluated, trained);
        let (evaluated, trained) = run(Keel::wrap(ModuleOptimizer::from(Adam::new())));
        assert_eq!(evaluated, trained);
    });
}

#[test]
fn a_rate_of_zero_changes_nothing() {
    crate::common::on_every_device(|device| {
        for entry in entries() {
            for mut update in entry.updates::<Odd>() {
                let mut model = Odd::new(device, DType::F32);
                let before = bits(&model);
                for t in 0..3 {
                    let mut grads = model.gradients(t, device, DType::F32);
                    if entry.ours.is_none() {
                        // Tensor operations over nothing are not for every device of Burn's.
                        grads.remove::<2>(model.empty.id);
                    }
                    model = update.update(StepArgs::new(0.0, 1.0, 1.0), model, grads);
                }
                assert_eq!(bits(&model), before, "{}", entry.name);
                assert_eq!(bits(&update.eval_model(&model)), before, "{}", entry.name);
            }
        }
    });
}

/// Types stay, what has no gradient stays, and what is in two places stays one.
#[test]
fn odd_parameters_are_treated_as_they_should_be() {
    let device = Device::flex().autodiff();
    for entry in entries() {
        for dtype in [DType::F32, DType::F64, DType::F16, DType::BF16] {
            for mut update in entry.updates::<Odd>() {
                let mut model = Odd::new(&device, dtype);
                let start = model.clone();
                for t in 0..3 {
                    let grads = model.gradients(t, &device, dtype);
                    model = update.update(StepArgs::new(0.05, 0.5, 1.0), model, grads);
                }
                let name = entry.name;
                assert_eq!(model.image.val().dtype(), dtype, "{name}");
                assert_eq!(model.vector.val().dtype(), dtype, "{name}");
                assert_eq!(model.empty.val().dims(), [0, 3]);
                assert_ne!(values(&model.image), values(&start.image), "{name} {dtype:?}");
                assert_ne!(values(&model.vector), values(&start.vector), "{name} {dtype:?}");
                assert!(values(&model.image).iter().all(|x| x.is_finite()));
                assert_eq!(values(&model.frozen), values(&start.frozen));
                assert_eq!(values(&model.idle), values(&start.idle));
                assert!(model.image.is_require_grad() && !model.frozen.is_require_grad());
            }
        }
        // Burn updates what is in two places at the first of them only.
        if let Some(ours) = entry.ours {
            let mut model = Odd::new(&device, DType::F32);
            let mut ours = ours();
            for t in 0..3 {
                let grads = model.gradients(t, &device, DType::F32);
                model = ours.step(0.05, model, grads);
            }
            assert_eq!(values(&model.matrix), values(&model.again), "{}", entry.name);
        }
    }
}

/// Both ways through a module take the same steps.
#[test]
fn our_pass_and_burns_agree() {
    crate::common::on_every_device(|device| {
        for entry in entries().iter().filter(|entry| entry.ours.is_some()) {
            let start = Net::new(device);
            let ends = entry.updates::<Net>().into_iter().map(|mut update| {
                let mut model = start.clone();
                for k in 0..5 {
                    let (_, grads) = model.twin().backward(Batch::number(k, device));
                    model = update.update(StepArgs::new(0.01, 1.0, 1.0), model, grads);
                }
                values(&model.first.weight)
            });
            let ends: Vec<_> = ends.collect();
            assert_eq!(ends[0], ends[1], "{}", entry.name);
        }
    });
}

/// A copy is not touched by what becomes of the original, whose buffers are written in place.
#[test]
fn a_copy_has_a_fate_of_its_own() {
    crate::common::on_every_device(|device| {
        for entry in entries() {
            for mut update in entry.updates::<Net>() {
                let mut model = Net::new(device);
                let step = |update: &mut Box<dyn ModelOptimizer<Net>>, model: Net, k: u64| {
                    let (_, grads) = model.twin().backward(Batch::number(k, device));
                    update.update(StepArgs::new(0.01, 1.0, 1.0), model, grads)
                };
                for k in 0..3 {
                    model = step(&mut update, model, k);
                }
                let (mut copy, held) = (update.boxed(), model.clone());
                let (state, weights) = (copy.state().unwrap(), bits(&held));
                let after = step(&mut update, model, 3);
                assert!(copy.state().unwrap() == state, "{}", entry.name);
                assert_eq!(bits(&held), weights, "{}", entry.name);
                let again = step(&mut copy, held, 3);
                assert_eq!(bits(&again), bits(&after), "{}", entry.name);
            }
        }
    });
}

/// The state of one goes into another, which then takes the same next step, bit by bit.
#[test]
fn they_resume_exactly() {
    crate::common::on_every_device(|device| {
        for entry in entries() {
            for (mut update, mut fresh) in
                entry.updates::<Net>().into_iter().zip(entry.updates::<Net>())
            {
                let mut model = Net::new(device);
                let step = |update: &mut Box<dyn ModelOptimizer<Net>>, model: Net, k: u64| {
                    let (_, grads) = model.twin().backward(Batch::number(k, device));
                    update.update(StepArgs::new(0.01, 0.5, 1.0), model, grads)
                };
                for k in 0..4 {
                    model = step(&mut update, model, k);
                }
                let state = update.state().unwrap();
                fresh.restore(&state).unwrap();
                assert!(fresh.state().unwrap() == state, "{}", entry.name);
                let (mut a, mut b) = (model.clone(), model);
                for k in 4..6 {
                    a = step(&mut update, a, k);
                    b = step(&mut fresh, b, k);
                    assert_eq!(bits(&a), bits(&b), "{}", entry.name);
                }
            }
        }
    });
}

/// Through Burn's own records, in their bytes.
#[test]
fn burns_records_resume_exactly() {
    let device = Device::flex().autodiff();
    for entry in entries() {
        let mut optimizer = (entry.burns)();
        let mut model = Net::new(&device);
        for k in 0..7 {
            let (_, grads) = model.twin().backward(Batch::number(k, &device));
            model = optimizer.step(0.01, model, grads);
        }
        let bytes = optimizer.to_record().into_bytes().unwrap().to_vec();
        let record = OptimizerRecord::from_bytes(Bytes::from_bytes_vec(bytes)).unwrap();
        let mut fresh = (entry.burns)().load_record(record);
        let (_, grads) = model.twin().backward(Batch::number(7, &device));
        let (_, same) = model.twin().backward(Batch::number(7, &device));
        let a = optimizer.step(0.01, model.clone(), grads);
        let b = fresh.step(0.01, model, same);
        assert_eq!(bits(&a), bits(&b), "{}", entry.name);
    }
}

#[test]
fn a_state_that_does_not_fit_is_an_error() {
    let device = Device::flex().autodiff();
    let model = Net::new(&device);
    let (_, grads) = model.backward(Batch::number(0, &device));
    let mut adamw: Box<dyn ModelOptimizer<Net>> = Box::new(ParamGroups::new(AdamW::new()));
    adamw.update(StepArgs::new(0.01, 1.0, 1.0), model, grads);
    let state = adamw.state().unwrap();

    let mut other: Box<dyn ModelOptimizer<Net>> = Box::new(ParamGroups::new(momentum()));
    let said = other.restore(&state).unwrap_err().to_string();
    assert!(said.contains("was trained by AdamW, and here it is Momentum's"), "{said}");
    let mut amsgrad: Box<dyn ModelOptimizer<Net>> =
        Box::new(ParamGroups::new(AdamW::new().amsgrad()));
    let said = amsgrad.restore(&state).unwrap_err().to_string();
    assert!(said.contains("largest"), "{said}");
    let cut = evenkeel::checkpoint::State::new()
        .with_number("longest", 1.0)
        .with_bytes("groups", state.bytes("groups").unwrap()[..100].to_vec());
    assert!(adamw.restore(&cut).is_err());
    assert!(adamw.state().unwrap() == state);
}

/// Rules by group, rates by group, and no decay for biases.
#[test]
fn groups_have_rules_and_rates_of_their_own() {
    let device = Device::flex().autodiff();
    let start = Net::new(&device);
    let (_, grads) = start.twin().backward(Batch::number(0, &device));
    let last = || ParamGroup::from_predicate("last");

    let mut groups = ParamGroups::new(Sgd::new()).with_group(last(), AdamW::new());
    let model = groups.step(0.01, start.clone(), grads);
    let (_, grads) = start.twin().backward(Batch::number(0, &device));
    let sgd = ParamGroups::new(Sgd::new()).step(0.01, start.clone(), grads);
    let (_, grads) = start.twin().backward(Batch::number(0, &device));
    let adamw = ParamGroups::new(AdamW::new()).step(0.01, start.clone(), grads);
    assert_eq!(values(&model.first.weight), values(&sgd.first.weight));
    assert_eq!(values(&model.last.weight), values(&adamw.last.weight));
    assert_ne!(values(&sgd.last.weight), values(&adamw.last.weight));

    let (_, grads) = start.twin().backward(Batch::number(0, &device));
    let rates = burn::lr_scheduler::module_lr_scheduler::ModuleLrScheduler::new(0.01)
        .with_group(last(), 0.0)
        .step();
    let model = ParamGroups::new(Sgd::new()).step(rates, start.clone(), grads);
    assert_eq!(values(&model.last.weight), values(&start.last.weight));
    assert_eq!(values(&model.first.weight), values(&sgd.first.weight));

    // A gradient of 0 leaves the decay alone.
    let mut grads = GradientsParams::new();
    let plain = Device::flex();
    grads.register(start.first.weight.id, Tensor::<2>::zeros([3, 5], &plain));
    let bias = start.first.bias.as_ref().unwrap();
    grads.register(bias.id, Tensor::<1>::zeros([5], &plain));
    let rule = AdamW::new().weight_decay(0.5).unwrap().decay_matrices_only();
    let model = ParamGroups::new(rule).step(0.1, start.clone(), grads);
    let shrunk: Vec<f64> = values(&start.first.weight).iter().map(|w| w * 0.95).collect();
    for (w, shrunk) in values(&model.first.weight).iter().zip(shrunk) {
        assert!((w - shrunk).abs() < 1e-7);
    }
    assert_eq!(values(model.first.bias.as_ref().unwrap()), values(bias));

    let biases = biases_and_norms(&start);
    assert!(biases.matches(&bias.id, None) && !biases.matches(&start.first.weight.id, None));
}

/// A setting that is a curve is read at the number of the tensor's updates before.
#[test]
fn settings_follow_curves() {
    let device = Device::flex().autodiff();
    let curve = Ramp::new(0.0, 0.9, 4).unwrap();
    let mut follows = ParamGroups::new(Momentum::new(move |t| curve.at(t)).unwrap());
    let (mut model, mut velocity) = (Net::new(&device), 0.0);
    let mut expected = values(&model.last.weight)[0];
    for t in 0..8 {
        let (_, grads) = model.twin().backward(Batch::number(t, &device));
        let grad = grads.get::<2>(model.last.weight.id).unwrap();
        let g = grad.into_data().iter::<f64>().next().unwrap();
        velocity = curve.at(t) * velocity + g;
        expected -= 0.1 * velocity;
        model = follows.step(0.1, model, grads);
        let found = values(&model.last.weight)[0];
        assert!((found - expected).abs() < 1e-5, "at {t}: {found} is not {expected}");
    }
}

/// The clips' factor goes into the update, to the same end as scaled gradients.
#[test]
fn a_clip_is_folded_into_the_update() {
    crate::common::on_every_device(|device| {
        let train = |keel: &mut Keel<Net>| {
            let mut model = Net::new(device);
            let mut clipped = 0;
            for k in 0..10 {
                let (loss, grads) = model.backward(Batch::number(k, device));
                let stepped = keel.step(0.05, model, grads, &loss).unwrap();
                clipped += u32::from(stepped.report.is_clipped());
                model = stepped.model;
            }
            assert!(clipped > 5);
            values(&model.first.weight)
        };
        let model = Net::new(device);
        let clip = || GlobalNorm::at_most(0.1).unwrap();
        let ours = train(&mut Keel::wrap(momentum()).clip(clip()).build(&model).unwrap());
        let burns = ModuleOptimizer::from(momentum());
        let burns = train(&mut Keel::wrap(burns).clip(clip()).build(&model).unwrap());
        for (a, b) in ours.iter().zip(&burns) {
            assert!((a - b).abs() < 1e-5, "{a} is not {b}");
        }
    });
}

#[test]
fn arguments_out_of_range_are_named() {
    let said = |error: evenkeel::Error| error.to_string();
    assert!(said(Momentum::new(1.0).unwrap_err()).contains("`momentum` of Momentum"));
    assert!(said(AdamW::new().epsilon(0.0).unwrap_err()).contains("`epsilon` of AdamW"));
    assert!(said(Adopt::new().beta_2(1.0).unwrap_err()).contains("`beta_2` of Adopt"));
    assert!(said(ScheduleFreeSgd::new().beta(0.0).unwrap_err()).contains("`beta`"));
    assert!(said(ScheduleFreeSgd::new().beta(1.0).unwrap_err()).contains("`beta`"));
    assert!(said(Lookahead::new(0, 0.5, Sgd::new()).unwrap_err()).contains("`every`"));
    assert!(said(Lookahead::new(5, 0.0, Sgd::new()).unwrap_err()).contains("`share`"));
    assert!(said(Lars::new(f64::NAN, Sgd::new()).unwrap_err()).contains("`trust`"));
    assert!(said(AdaptiveClip::new(0.0, Sgd::new()).unwrap_err()).contains("`share`"));
    assert!(said(evenkeel::optim::Sam::new(-1.0).unwrap_err()).contains("`radius`"));
    fn is_rule<R: Rule>(_: R) {}
    is_rule(Sgd::new());
}
