//! Every check: a set-up in which it fires, and one in which it is silent.

use crate::common::{filled, noise, on_every_device};
use burn::module::Module;
use burn::nn::{BatchNorm, BatchNormConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor, TensorData};
use evenkeel::doctor::{Check, Diagnosis, Doctor, Saturation, Severity};

const ROWS: usize = 64;

/// Uniform numbers of zero mean and unit deviation, as rows.
fn sound(seed: u64, columns: usize, device: &Device) -> Tensor<2> {
    let x: Vec<f32> = noise(seed, ROWS * columns).iter().map(|x| x * 12f32.sqrt()).collect();
    Tensor::from_data(TensorData::new(x, [ROWS, columns]), device)
}

/// `sound` features, with column 1 times a factor and plus an offset.
fn with_column(factor: f64, offset: f64, device: &Device) -> Tensor<2> {
    let x = sound(1, 3, device);
    let column = x.clone().slice([0..ROWS, 1..2]) * factor + offset;
    x.slice_assign([0..ROWS, 1..2], column)
}

fn features(x: &Tensor<2>) -> Diagnosis {
    Doctor::new().features(x).unwrap().finish()
}

fn targets(y: &Tensor<2>) -> Diagnosis {
    Doctor::new().targets(y).unwrap().finish()
}

fn severity(diagnosis: &Diagnosis, check: Check) -> Option<Severity> {
    diagnosis.found(check).map(|finding| finding.severity)
}

const WARNING: Option<Severity> = Some(Severity::Warning);
const SEVERE: Option<Severity> = Some(Severity::Severe);

#[test]
fn sound_features_and_targets_have_no_findings() {
    on_every_device(|device| {
        let x = sound(1, 3, device);
        assert_eq!(features(&x).to_string(), "nothing found in what was shown");
        assert_eq!(targets(&x).worst(), None);
    });
}

#[test]
fn columns_of_other_scales_are_found() {
    on_every_device(|device| {
        let scale =
            |factor| severity(&features(&with_column(factor, 0.0, device)), Check::FeatureScale);
        let scales = [1e-4, 0.05, 0.2, 5.0, 20.0, 1e4].map(scale);
        assert_eq!(scales, [SEVERE, WARNING, None, None, WARNING, SEVERE]);

        let diagnosis = features(&with_column(1e4, 0.0, device));
        let finding = diagnosis.found(Check::FeatureScale).unwrap();
        assert!(finding.evidence.contains("column 1"), "{finding}");
        assert!(finding.remedy.contains("Standardize"));
        assert_eq!(finding.limit, 1e3);
        assert!((5e3..2e4).contains(&finding.measured), "{}", finding.measured);

        // All columns alike, and all of them large.
        let large = severity(&features(&(sound(1, 3, device) * 1e5)), Check::FeatureScale);
        assert_eq!(large, SEVERE);
    });
}

#[test]
fn columns_with_an_offset_are_found() {
    on_every_device(|device| {
        let offset = |by| severity(&features(&with_column(1.0, by, device)), Check::FeatureOffset);
        assert_eq!([-2e3, -20.0, 5.0, 20.0].map(offset), [SEVERE, WARNING, None, WARNING]);
    });
}

#[test]
fn constant_columns_and_nan_are_found() {
    on_every_device(|device| {
        let constant =
            |offset| severity(&features(&with_column(0.0, offset, device)), Check::ConstantFeature);
        assert_eq!([1.0, 50.0].map(constant), [Some(Severity::Note), WARNING]);
        assert_eq!(severity(&features(&sound(1, 3, device)), Check::ConstantFeature), None);

        for bad in [f32::NAN, f32::INFINITY] {
            let x = crate::common::with_first(sound(1, 3, device), bad);
            let diagnosis = features(&x);
            assert_eq!(severity(&diagnosis, Check::NonFiniteData), SEVERE);
            // One value does not hide what the others are like.
            assert_eq!(diagnosis.findings().len(), 1, "{diagnosis}");
            assert_eq!(severity(&targets(&x), Check::NonFiniteData), SEVERE);
        }
    });
}

#[test]
fn channels_of_images_are_columns() {
    let device = Device::flex();
    let image = Tensor::<4>::from_data(TensorData::new(noise(1, 128), [2, 2, 4, 8]), &device);
    let (dark, bright) = (image.clone().slice([0..2, 0..1]), image.slice([0..2, 1..2]) * 255.0);
    let image = Tensor::cat(vec![dark, bright], 1);
    let diagnosis = Doctor::new().features(&image).unwrap().finish();
    let finding = diagnosis.found(Check::FeatureScale).unwrap();
    assert!(finding.evidence.starts_with("column 1"), "{finding}");
}

#[test]
fn targets_far_from_zero_mean_and_unit_scale_are_found() {
    on_every_device(|device| {
        let y = sound(2, 1, device);
        let scale = |y: Tensor<2>| severity(&targets(&y), Check::TargetScale);
        assert_eq!(scale(y.clone() * 77.0 + 152.0), SEVERE);
        assert_eq!(scale(y.clone() * 30.0), WARNING);
        assert_eq!(scale(y.clone() + 5.0), WARNING);
        assert_eq!(scale(y.clone() * 0.02), WARNING);
        assert_eq!(scale(y.clone() * 1e-4), SEVERE);
        assert_eq!(scale(y.clone() * 3.0 + 1.0), None);
        // Within the reach of a fresh model's outputs, however narrow next to that.
        assert_eq!(scale(y.clone() * 0.3 + 1.2), None);
        assert_eq!(scale(y * 0.3 + 1.8), WARNING);
    });
}

/// A target of an autoencoder for each column, all of them far from 0.
#[test]
fn many_alike_are_one_finding() {
    let device = Device::flex();
    let y = sound(2, 31, &device) * 50.0 + 300.0;
    let found = targets(&y);
    assert_eq!(found.findings().len(), 1, "{found}");
    let finding = &found.findings()[0];
    assert_eq!((finding.check, finding.severity), (Check::TargetScale, Severity::Severe));
    assert!(finding.evidence.ends_with("and 30 of 30 others are like it"), "{finding}");
}

#[test]
fn a_constant_target_is_not_one_to_standardize() {
    on_every_device(|device| {
        let y = sound(2, 3, device);
        let constant = Tensor::<2>::full([ROWS, 1], 700.0, device);
        let some = targets(&Tensor::cat(vec![y, constant.clone()], 1));
        assert_eq!(severity(&some, Check::ConstantTarget), Some(Severity::Note));
        assert_eq!(severity(&some, Check::TargetScale), None, "{some}");
        assert_eq!(severity(&targets(&constant), Check::ConstantTarget), WARNING);
        assert_eq!(severity(&targets(&constant), Check::TargetScale), None);
    });
}

#[test]
fn wild_rows_are_named_and_do_not_make_a_column_wide() {
    on_every_device(|device| {
        let wild = |factor: f64| {
            let x = sound(1, 3, device);
            let column = x.clone().slice([0..ROWS, 1..2]);
            // Rows 7 and 40 of column 1.
            let rows: Vec<f32> =
                (0..ROWS).map(|row| if row == 7 || row == 40 { 1.0 } else { 0.0 }).collect();
            let at = Tensor::<2>::from_data(TensorData::new(rows, [ROWS, 1]), device);
            x.slice_assign([0..ROWS, 1..2], column + at * factor)
        };
        for (factor, expected) in
            [(2.0, None), (40.0, Some(Severity::Note)), (400.0, WARNING), (1e4, SEVERE)]
        {
            let found = features(&wild(factor));
            assert_eq!(severity(&found, Check::OutlierRows), expected, "{factor}: {found}");
            assert_eq!(severity(&found, Check::FeatureScale), None, "{found}");
            let found = targets(&wild(factor));
            assert_eq!(severity(&found, Check::OutlierRows), expected, "{found}");
            assert_eq!(severity(&found, Check::TargetScale), None, "{found}");
        }
        let found = features(&wild(1e4));
        let finding = found.found(Check::OutlierRows).unwrap();
        assert!(finding.evidence.starts_with("2 rows have features"), "{finding}");
        assert!(finding.evidence.ends_with("in column 1: row 7, 40"), "{finding}");
    });
    // Pixels at the edge: mostly 0, and that one of them is not is no mistake.
    let device = Device::flex();
    let mut ink = vec![0.0f32; ROWS];
    ink[5] = 16.0;
    let sparse = Tensor::<2>::from_data(TensorData::new(ink, [ROWS, 1]), &device);
    assert_eq!(severity(&features(&sparse), Check::OutlierRows), None);
    let picture = Tensor::cat(vec![sparse / 16.0 - 1.0, sound(1, 3, &device)], 1);
    assert_eq!(features(&picture).worst(), None, "{}", features(&picture));
}

#[test]
fn a_softmax_too_many_is_found() {
    on_every_device(|device| {
        let labels = Tensor::<1, Int>::from_data(TensorData::new(vec![0i64, 1, 2, 0], [4]), device);
        let found = |outputs: &Tensor<2>| {
            let doctor = Doctor::new().labels(&labels, 3).unwrap();
            severity(&doctor.outputs(outputs).unwrap().finish(), Check::WrongOutput)
        };
        let logits = sound(1, 3, device);
        assert_eq!(found(&logits), None);
        assert_eq!(found(&burn::tensor::activation::softmax(logits.clone(), 1)), SEVERE);
        // Once more changes nothing, so it does no harm.
        assert_eq!(found(&burn::tensor::activation::log_softmax(logits, 1)), None);
    });
}

#[test]
fn outputs_that_cannot_reach_the_targets_are_found() {
    on_every_device(|device| {
        let y = sound(2, 1, device);
        let found = |outputs: Tensor<2>| {
            let doctor = Doctor::new().targets(&y).unwrap();
            severity(&doctor.outputs(&outputs).unwrap().finish(), Check::WrongOutput)
        };
        let said = sound(5, 1, device);
        assert_eq!(found(said.clone()), None);
        assert_eq!(found(said.clone().clamp_min(0.0)), SEVERE);
        assert_eq!(found(burn::tensor::activation::sigmoid(said)), Some(Severity::Note));
    });
}

#[test]
fn rows_that_were_not_shuffled_are_found() {
    on_every_device(|device| {
        let found = |values: Vec<f32>| {
            let n = values.len();
            let values = Tensor::<1>::from_data(TensorData::new(values, [n]), device);
            severity(&Doctor::new().order(&values).unwrap().finish(), Check::Unshuffled)
        };
        let sorted: Vec<f32> = (0..200).map(|k| (k / 20) as f32).collect();
        assert_eq!(found(sorted.clone()), SEVERE);
        let z = noise(1, 200);
        let mut shuffled: Vec<(f32, f32)> = z.into_iter().zip(sorted).collect();
        shuffled.sort_by(|a, b| a.0.total_cmp(&b.0));
        assert_eq!(found(shuffled.iter().map(|pair| pair.1).collect()), None);
        // In pairs that are alike.
        assert_eq!(found(shuffled.iter().flat_map(|pair| [pair.1; 2]).collect()), WARNING);
        assert_eq!(found(vec![1.0; 50]), None);
        assert_eq!(found(vec![1.0, 2.0, 3.0]), None);
    });
}

/// How often letters come in a text: each is about `1/rank` as frequent as the first.
#[test]
fn the_letters_of_a_text_are_no_imbalance() {
    let text: Vec<i64> = (0..60).flat_map(|rank| vec![rank; 900 / (rank as usize + 1)]).collect();
    assert_eq!(labels(text.clone(), 60).worst(), Some(Severity::Note));
    // One that is missing among others that are rare is a matter of chance, too.
    let rare: Vec<i64> = (0..60).flat_map(|rank| vec![rank; 200 / (rank as usize + 1)]).collect();
    assert_eq!(labels(rare, 61).worst(), Some(Severity::Note));
}

fn labels(labels: Vec<i64>, classes: usize) -> Diagnosis {
    let n = labels.len();
    let labels = Tensor::<1, Int>::from_data(TensorData::new(labels, [n]), &Device::flex());
    Doctor::new().labels(&labels, classes).unwrap().finish()
}

#[test]
fn classes_that_are_rare_absent_or_none_are_found() {
    let of = |counts: &[usize]| {
        counts.iter().enumerate().flat_map(|(c, n)| vec![c as i64; *n]).collect::<Vec<_>>()
    };
    assert_eq!(labels(of(&[20, 25, 30]), 3).worst(), None);
    assert_eq!(severity(&labels(of(&[200, 3]), 2), Check::ClassImbalance), WARNING);
    assert_eq!(severity(&labels(of(&[5000, 3]), 2), Check::ClassImbalance), SEVERE);
    assert_eq!(severity(&labels(of(&[20, 20]), 3), Check::ClassImbalance), WARNING);
    // Too few rows to say that a class is missing.
    assert_eq!(labels(of(&[2, 2]), 3).worst(), None);
    let outside = labels(vec![1, 2, 3, 1, 2, 3, -1], 3);
    assert_eq!(severity(&outside, Check::LabelRange), SEVERE);
    assert!(outside.findings()[0].evidence.starts_with("3 labels"), "{outside}");
}

#[test]
fn the_first_loss_is_held_against_chance() {
    let device = Device::flex();
    let loss = |loss: f32| Tensor::<1>::from_floats([loss], &device);
    let classes = |of: f32| {
        let labels = Tensor::<1, Int>::from_ints([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], &device);
        let doctor = Doctor::new().labels(&labels, 10).unwrap();
        severity(&doctor.loss(&loss(of)).unwrap().finish(), Check::InitialLoss)
    };
    // ln 10 is 2.303.
    let seen = [0.9, 2.2, 3.0, 5.0, 20.0, f32::NAN].map(classes);
    assert_eq!(seen, [WARNING, None, None, WARNING, SEVERE, SEVERE]);

    let y = sound(2, 1, &device) * 2.0;
    let regression = |of: f32| {
        let doctor = Doctor::new().targets(&y).unwrap().loss(&loss(of)).unwrap();
        severity(&doctor.finish(), Check::InitialLoss)
    };
    // The variance is about 4.
    let seen = [1.0, 4.5, 10.0, 18.0, 100.0].map(regression);
    assert_eq!(seen, [WARNING, None, Some(Severity::Note), WARNING, SEVERE]);
    let given = Doctor::new().loss_against(&loss(1.0), 0.1).unwrap().finish();
    assert_eq!(severity(&given, Check::InitialLoss), SEVERE);
    assert!(Doctor::new().loss_against(&loss(1.0), 0.0).unwrap_err().is_parameter());
    // One class: there is nothing to guess.
    let labels = Tensor::<1, Int>::from_ints([0, 0], &device);
    let doctor = Doctor::new().labels(&labels, 1).unwrap();
    let found = doctor.loss(&loss(0.0)).unwrap().finish();
    assert_eq!(severity(&found, Check::InitialLoss), None);
    // Nothing to compare with.
    assert_eq!(Doctor::new().loss(&loss(1e9)).unwrap().finish().worst(), None);
}

#[derive(Module, Debug)]
struct Stack {
    layers: Vec<Linear>,
    norm: Option<LayerNorm>,
    batch: Option<BatchNorm>,
}

impl Stack {
    fn new(depth: usize, device: &Device) -> Self {
        let layers = (0..depth).map(|_| LinearConfig::new(3, 3).init(device)).collect();
        filled(Self { layers, norm: None, batch: None }, 4)
    }

    /// With weights times `gain`, and tanh between layers, if `bends`.
    fn forward(&self, x: Tensor<2>, gain: f64, bends: bool) -> Tensor<2> {
        let layer = |x: Tensor<2>, layer: &Linear| {
            let x = layer.forward(x) * gain;
            if bends { x.tanh() } else { x }
        };
        self.layers.iter().fold(x, layer)
    }

    fn gradients(&self, x: Tensor<2>, gain: f64, bends: bool) -> Diagnosis {
        let loss = self.forward(x, gain, bends).powi_scalar(2).mean();
        let grads = GradientsParams::from_grads(loss.backward(), self);
        Doctor::new().gradients(self, &grads).unwrap().finish()
    }
}

fn model(model: &Stack) -> Diagnosis {
    Doctor::new().model(model).unwrap().finish()
}

#[test]
fn parameters_that_are_shared_equal_empty_zero_or_frozen_are_found() {
    on_every_device(|device| {
        let sound = Stack::new(3, device);
        assert_eq!(model(&sound).worst(), None, "{}", model(&sound));

        let mut cloned = sound.clone();
        cloned.layers[2] = cloned.layers[0].clone();
        let found = model(&cloned);
        let shared = found.found(Check::SharedParameter).unwrap();
        assert!(shared.evidence.contains("layers.0.weight = layers.2.weight"), "{shared}");
        assert_eq!(severity(&found, Check::EqualParameters), None, "it is the same one");

        let mut equal = sound.clone();
        equal.layers[1].weight =
            burn::module::Param::from_tensor(equal.layers[0].weight.val().detach());
        let found = model(&equal);
        assert_eq!(severity(&found, Check::EqualParameters), WARNING);
        assert_eq!(severity(&found, Check::SharedParameter), None);

        let mut empty = sound.clone();
        empty.layers[1].weight = burn::module::Param::from_tensor(Tensor::zeros([0, 3], device));
        assert_eq!(severity(&model(&empty), Check::EmptyParameter), SEVERE);

        let mut zero = sound.clone();
        let nothing = || burn::module::Param::from_tensor(Tensor::zeros([3, 3], device));
        zero.layers[1].weight = nothing();
        assert_eq!(severity(&model(&zero), Check::ZeroWeights), Some(Severity::Note));
        zero.layers[2].weight = nothing();
        assert_eq!(severity(&model(&zero), Check::ZeroWeights), WARNING);
        assert_eq!(severity(&model(&zero), Check::EqualParameters), None);

        assert_eq!(severity(&model(&sound.clone().no_grad()), Check::NothingTrains), SEVERE);
    });
}

#[test]
fn depth_without_normalization_is_found() {
    on_every_device(|device| {
        let none = |depth| severity(&model(&Stack::new(depth, device)), Check::NoNormalization);
        assert_eq!([7, 8].map(none), [None, WARNING]);
        let norm = Some(LayerNormConfig::new(3).init(device));
        let normalized = Stack { norm, ..Stack::new(8, device) };
        assert_eq!(severity(&model(&normalized), Check::NoNormalization), None);
    });
}

#[test]
fn batches_too_small_for_batch_norm_are_found() {
    on_every_device(|device| {
        let with =
            Stack { batch: Some(BatchNormConfig::new(3).init(device)), ..Stack::new(2, device) };
        let rows = |stack: &Stack, n: usize| {
            let x = sound(1, 3, device).slice(0..n);
            let doctor = Doctor::new().features(&x).unwrap().model(stack).unwrap();
            severity(&doctor.finish(), Check::SmallBatch)
        };
        assert_eq!([1, 4, 8].map(|n| rows(&with, n)), [SEVERE, WARNING, None]);
        assert_eq!(rows(&Stack::new(2, device), 1), None);
        // All of the data is shown, and training takes a few rows of it at a time.
        let batches = |stack: &Stack, n: usize| {
            let doctor = Doctor::new().features(&sound(1, 3, device)).unwrap();
            let doctor = doctor.model(stack).unwrap().batch(n).unwrap();
            severity(&doctor.finish(), Check::SmallBatch)
        };
        assert_eq!([1, 4, 8].map(|n| batches(&with, n)), [SEVERE, WARNING, None]);
        assert_eq!(batches(&Stack::new(2, device), 1), None);
        assert!(Doctor::new().batch(0).unwrap_err().is_parameter());
        // Sixteen pixels a row are enough.
        let image = Tensor::<4>::from_data(TensorData::new(noise(1, 48), [1, 3, 4, 4]), device);
        let doctor = Doctor::new().features(&image).unwrap().model(&with).unwrap();
        assert_eq!(severity(&doctor.finish(), Check::SmallBatch), None);
    });
}

#[test]
fn gradients_that_vanish_explode_or_are_missing_are_found() {
    on_every_device(|device| {
        let (x, deep) = (sound(1, 3, device), Stack::new(6, device));
        let shallow = Stack::new(2, device);
        assert_eq!(shallow.gradients(x.clone(), 1.0, true).worst(), None);

        // Behind a tiny gain every layer's gradient is that much smaller than the next one's.
        let vanishing = deep.gradients(x.clone(), 0.1, true);
        assert!(vanishing.found(Check::VanishingGradient).is_some(), "{vanishing}");
        assert!(vanishing.found(Check::ExplodingGradient).is_none());
        assert!(vanishing.found(Check::NoGradient).is_none());

        let exploding = shallow.gradients(x.clone() * 1e4, 1.0, false);
        let finding = exploding.found(Check::ExplodingGradient).unwrap();
        assert_eq!(finding.severity, Severity::Severe, "{exploding}");
        assert!(finding.measured > 1e6);

        let loss = shallow.layers[0].forward(x).mean();
        let grads = GradientsParams::from_grads(loss.backward(), &shallow);
        let missing = Doctor::new().gradients(&shallow, &grads).unwrap().finish();
        let finding = missing.found(Check::NoGradient).unwrap();
        assert!(finding.evidence.contains("layers.1.weight"), "{finding}");
        assert_eq!((finding.measured, finding.severity), (2.0, Severity::Warning));
    });
}

#[test]
fn dead_and_saturated_units_are_found() {
    on_every_device(|device| {
        let x = sound(1, 5, device);
        let look = |saturation, x: &Tensor<2>| {
            Doctor::new().activation("hidden", saturation, x).unwrap().finish()
        };
        let rectified =
            |offset: f64| look(Saturation::Rectified, &x.clone().add_scalar(offset).clamp_min(0.0));
        assert_eq!(rectified(0.0).worst(), None);
        assert_eq!(severity(&rectified(-5.0), Check::DeadUnits), SEVERE);

        let tanh = |gain: f64| look(Saturation::Tanh, &x.clone().mul_scalar(gain).tanh());
        assert_eq!(tanh(1.0).worst(), None);
        assert_eq!(severity(&tanh(6.0), Check::SaturatedUnits), WARNING);
        assert_eq!(severity(&tanh(100.0), Check::SaturatedUnits), SEVERE);
        let sigmoid = |gain: f64| {
            look(Saturation::Sigmoid, &burn::tensor::activation::sigmoid(x.clone() * gain))
        };
        assert_eq!(sigmoid(1.0).worst(), None);
        assert_eq!(severity(&sigmoid(100.0), Check::SaturatedUnits), SEVERE);
    });
}

#[test]
fn a_network_that_is_only_a_line_is_found() {
    on_every_device(|device| {
        let (x, stack) = (sound(1, 3, device), Stack::new(3, device));
        let function = |stack: &Stack, gain: f64, bends| {
            let doctor = Doctor::new().model(stack).unwrap();
            doctor.function(&x, |x| stack.forward(x, gain, bends)).unwrap().finish()
        };
        assert_eq!(severity(&function(&stack, 1.0, false), Check::MissingNonlinearity), SEVERE);
        assert_eq!(function(&stack, 1.0, true).worst(), None);
        // One layer may be a line.
        assert_eq!(function(&Stack::new(1, device), 1.0, false).worst(), None);
        assert_eq!(severity(&function(&stack, 0.0, false), Check::DeadUnits), SEVERE);
        let one = x.clone().slice(0..1);
        assert!(Doctor::new().function(&one, |x| x).unwrap_err().is_parameter());
    });
}

#[test]
fn decay_and_epsilon_are_held_against_the_model() {
    on_every_device(|device| {
        let stack = Stack::new(2, device);
        let decay = |decay| {
            let doctor = Doctor::new().model(&stack).unwrap().weight_decay(decay).unwrap();
            severity(&doctor.finish(), Check::DecayedVectors)
        };
        assert_eq!([0.0, 0.1].map(decay), [None, Some(Severity::Note)]);

        let loss = stack.forward(sound(1, 3, device), 1.0, true).powi_scalar(2).mean();
        let grads = GradientsParams::from_grads(loss.backward(), &stack);
        let epsilon = |epsilon| {
            let doctor = Doctor::new().gradients(&stack, &grads).unwrap().epsilon(epsilon).unwrap();
            severity(&doctor.finish(), Check::LargeEpsilon)
        };
        assert_eq!([1e-8, 1e3].map(epsilon), [None, SEVERE]);
        assert!(Doctor::new().epsilon(-1.0).unwrap_err().is_parameter());
    });
}

#[test]
fn the_worst_comes_first() {
    on_every_device(|device| {
        let diagnosis = features(&with_column(0.0, 1.0, device));
        assert_eq!(diagnosis.worst(), Some(Severity::Note));
        let x = crate::common::with_first(with_column(0.0, 1.0, device), f32::NAN);
        let said = features(&x).to_string();
        assert!(said.starts_with("severe") && said.contains("\nnote"), "{said}");
    });
}

/// What is said to do takes the finding away.
#[test]
fn remedies_work() {
    use evenkeel::standardize::Standardize;
    let device = Device::flex();
    let warned = |diagnosis: &Diagnosis| diagnosis.worst() > Some(Severity::Note);

    let raw = with_column(1e4, 3e4, &device);
    assert!(warned(&features(&raw)));
    let standardize = Standardize::fit_robust([raw.clone()]).unwrap();
    assert_eq!(features(&standardize.forward(raw)).worst(), None);

    let far = sound(2, 1, &device) * 77.0 + 152.0;
    assert!(warned(&targets(&far)));
    let standardize = Standardize::fit_robust([far.clone()]).unwrap();
    assert_eq!(targets(&standardize.forward(far)).worst(), None);

    let wild = crate::common::with_first(sound(1, 3, &device), 1e6);
    assert!(warned(&features(&wild)));
    let standardize = Standardize::fit_robust([wild.clone()]).unwrap();
    assert!(!warned(&features(&standardize.forward(wild))));
}
