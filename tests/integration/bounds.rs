//! An optimizer that vouches for its update is believed: nobody looks at the parameters afterwards.
//! So whatever it vouches for must be true, at the ends of every range.

use burn::module::{Module, Param};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Device, Tensor, TensorData};
use evenkeel::optim::{
    AdaBelief, Adam, AdamW, Adamax, Adopt, ModelOptimizer, Momentum, NAdam, ParamGroups, RAdam,
    Rule, ScheduleFreeAdamW, Sgd, Spam, StepArgs,
};
use evenkeel::{Error, Keel};

#[derive(Module, Debug)]
struct Line {
    at: Param<Tensor<2>>,
}

impl Line {
    fn new(values: &[f64], device: &Device, dtype: DType) -> Self {
        let data = TensorData::new(values.to_vec(), [values.len(), 1]);
        Self { at: Param::from_tensor(Tensor::from_data(data, (device, dtype))) }
    }

    fn along(&self, values: &[f64], dtype: DType) -> GradientsParams {
        let mut grads = GradientsParams::new();
        grads.register(self.at.id, Self::new(values, &Device::flex(), dtype).at.val());
        grads
    }

    fn is_finite(&self) -> bool {
        self.at.val().into_data().iter::<f64>().all(|x| x.is_finite())
    }
}

fn boxed<R: Rule>(rule: R) -> Box<dyn ModelOptimizer<Line>> {
    Box::new(ParamGroups::new(rule))
}

type Named = (&'static str, Box<dyn ModelOptimizer<Line>>);

/// Every rule, at usual and at absurd settings.
fn rules() -> Result<Vec<Named>, Error> {
    let momentum = |mu: f64| Momentum::new(mu);
    Ok(vec![
        ("sgd", boxed(Sgd::new())),
        ("sgd, centralized", boxed(Sgd::new().centralized())),
        ("sgd, decay", boxed(Sgd::new().weight_decay(1e-4)?)),
        ("sgd, a huge decay", boxed(Sgd::new().weight_decay(1e25)?)),
        ("sgd, a decay past f32", boxed(Sgd::new().weight_decay(1e39)?)),
        ("sgd, decoupled", boxed(Sgd::new().weight_decay(100.0)?.decoupled())),
        ("sgd, a huge decoupled decay", boxed(Sgd::new().weight_decay(1e39)?.decoupled())),
        ("momentum", boxed(momentum(0.9)?)),
        ("long momentum", boxed(momentum(1.0 - 1e-12)?.nesterov())),
        ("adam", boxed(Adam::new())),
        ("adam, decay", boxed(Adam::new().weight_decay(0.1)?)),
        ("adam, amsgrad", boxed(Adam::new().amsgrad())),
        ("adam, uncorrected", boxed(Adam::new().without_bias_correction())),
        ("adam, a vanishing epsilon", boxed(Adam::new().epsilon(1e-42)?)),
        ("adam, an epsilon past f32", boxed(Adam::new().epsilon(1e39)?)),
        ("adam, no memory", boxed(Adam::new().beta_1(0.0)?.beta_2(0.0)?)),
        ("adam, a long memory", boxed(Adam::new().beta_1(1.0 - 1e-12)?.beta_2(1.0 - 1e-15)?)),
        ("adam, wild curves", boxed(Adam::new().beta_2(|t| (t % 2) as f64)?.epsilon(|_| 0.0)?)),
        ("adamw", boxed(AdamW::new())),
        ("cautious", boxed(AdamW::new().cautious().weight_decay(10.0)?)),
        ("stable", boxed(AdamW::new().update_rms_at_most(1e-30)?)),
        ("spam", boxed(AdamW::new().spam(Spam::default().threshold(1e-3)?.reset_every(2)?))),
        ("nadam", boxed(NAdam::new().momentum_decay(1e3)?)),
        ("radam", boxed(RAdam::new())),
        ("radam, short", boxed(RAdam::new().beta_2(0.5)?)),
        ("adabelief", boxed(AdaBelief::new())),
        ("adabelief, an epsilon past f32", boxed(AdaBelief::new().epsilon(1e39)?)),
        ("adamax", boxed(Adamax::new())),
        ("adopt", boxed(Adopt::new())),
        ("adopt, unbounded", boxed(Adopt::new().without_bound())),
        ("adopt, unbounded, vanishing", boxed(Adopt::new().without_bound().epsilon(1e-30)?)),
        ("schedule-free", boxed(ScheduleFreeAdamW::new())),
    ])
}

/// The ends of the range of a type, and what is usual.
fn extremes(dtype: DType) -> [f64; 6] {
    let most = match dtype {
        DType::F16 => 65504.0,
        DType::BF16 => 3.3895313892515355e38,
        DType::F32 => f64::from(f32::MAX),
        _ => f64::MAX,
    };
    [most, -most, 1.0, -1.0, 0.0, 1e-7]
}

/// Every rule, from the ends of every range, along gradients up to the largest that a keel lets
/// through, at every rate: if it vouches for the update, all is finite afterwards, the state too.
#[test]
fn what_it_vouches_for_is_finite() {
    let device = Device::flex().autodiff();
    let rates = [0.0, 1e-30, 1e-3, 1.0, 1e5, 1e12, 1e20, 1e24, 1e30, 1e39, f64::MAX, -1e-3, -1.0];
    let sizes: [f64; 8] = [0.0, 1e-45, 1e-30, 1e-10, 1.0, 1e4, 1e10, 7.5e18];
    let (mut vouched, mut refused) = (0, 0);
    for dtype in [DType::F32, DType::F64, DType::F16, DType::BF16] {
        let most_of_grad = if dtype == DType::F16 { 65504.0 } else { f64::INFINITY };
        for (name, rule) in rules().unwrap() {
            for lr in rates {
                for size in sizes {
                    let mut update = rule.boxed();
                    let mut model = Line::new(&extremes(dtype), &device, dtype);
                    for turn in 0..3 {
                        // Along every direction, and a sudden change after nothing.
                        let size: f64 = if turn == 0 { size.min(1e-3) } else { size };
                        let size = size.min(most_of_grad);
                        let late = if turn == 0 { 0.0 } else { 1.0 };
                        let signs = [1.0, -1.0, -1.0, 1.0, late, 1.0];
                        let grad = signs.map(|sign| sign * size / 6_f64.sqrt());
                        let factor = if turn == 2 { 0.5 } else { 1.0 };
                        let norm = grad.iter().map(|g| g * g).sum::<f64>().sqrt() * (1.0 + 1e-3);
                        let args = StepArgs::new(lr, factor, norm);
                        if !update.is_bounded(&args) {
                            refused += 1;
                            break;
                        }
                        vouched += 1;
                        let grads = model.along(&grad, dtype);
                        model = update.update(args, model, grads);
                        let at = || {
                            let values: Vec<f64> =
                                model.at.val().into_data().iter::<f64>().collect();
                            format!("{name}, {dtype:?}, rate {lr}, size {size}: {values:?}")
                        };
                        assert!(model.is_finite(), "{}", at());
                        assert!(update.is_finite().unwrap(), "{}", at());
                    }
                }
            }
        }
    }
    assert!(vouched > 3000 && refused > 1000, "{vouched} {refused}");
}

/// A bound that is never met would be no gain: at what is usual, all but the schedule-free ones vouch.
#[test]
fn it_vouches_for_what_is_usual() {
    let args = || StepArgs::new(1e-3, 1.0, 10.0);
    let absurd = |name: &str| {
        ["huge", "past", "long memory", "wild", "vanishing"].iter().any(|word| name.contains(word))
    };
    for (name, rule) in rules().unwrap() {
        let vouches = rule.is_bounded(&args());
        assert!(vouches || absurd(name) || name == "schedule-free", "{name}");
        assert!(!rule.is_bounded(&StepArgs::new(1e39, 1.0, 10.0)), "{name}");
        assert!(!rule.is_bounded(&StepArgs::new(f64::NAN, 1.0, 10.0)), "{name}");
        assert!(!rule.is_bounded(&StepArgs::new(-1.0, 1.0, 10.0)), "{name}");
    }
    // Its moments may outgrow every gradient, if only after a billion updates.
    let long = Adam::new().beta_1(0.9999999).unwrap();
    assert!(!boxed(long).is_bounded(&args()));
    // A large gradient is remembered: the velocity has it still.
    let device = Device::flex().autodiff();
    let model = Line::new(&[1.0], &device, DType::F32);
    let mut momentum = boxed(Momentum::new(0.9).unwrap());
    let wild = StepArgs::new(1e14, 1.0, 1.0);
    assert!(momentum.is_bounded(&wild));
    let grads = model.along(&[1e18], DType::F32);
    let _ = momentum.update(StepArgs::new(1e-20, 1.0, 1e18), model, grads);
    assert!(!momentum.is_bounded(&wild));
    // And so it is after the state went into another one.
    let mut fresh = boxed(Momentum::new(0.9).unwrap());
    fresh.restore(&momentum.state().unwrap()).unwrap();
    assert!(!fresh.is_bounded(&wild));
}

/// What is not vouched for is checked, on every device: an absurd rate ends in a halt, with the weights
/// as they were.
#[test]
fn an_absurd_rate_is_caught() {
    crate::common::on_every_device(|device| {
        for rate in [1e38, 1e39, f64::MAX] {
            let model = crate::common::Net::new(device);
            let before = crate::common::bits(&model);
            let mut keel = Keel::wrap(Momentum::new(0.9).unwrap()).build(&model).unwrap();
            let (loss, grads) = model.backward(crate::common::Batch::number(0, device).scaled(1e3));
            let halted = keel.step(rate, model, grads, &loss).unwrap_err();
            assert_eq!(crate::common::bits(halted.model()), before);
        }
    });
}

/// Half precision has a small range: what would leave it stops at its end, and what is squared is
/// squared in `f32`.
#[test]
fn half_precision_stops_at_its_end() {
    let device = Device::flex().autodiff();
    for rule in [boxed(Sgd::new()), boxed(Adam::new())] {
        let mut update = rule.boxed();
        let model = Line::new(&[65000.0, -65000.0, 1.0], &device, DType::F16);
        let grads = model.along(&[-60000.0, 60000.0, 300.0], DType::F16);
        let model = update.update(StepArgs::new(1e4, 1.0, 1e5), model, grads);
        let values: Vec<f64> = model.at.val().into_data().iter::<f64>().collect();
        assert_eq!(values[..2], [65504.0, -65504.0]);
        assert!(values[2].is_finite());
        assert!(!update.squares_in_own_type());
    }
}
