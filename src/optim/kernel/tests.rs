//! Compares the kernels with tensor operations: every rule, over many layouts and types.

use std::cell::RefCell;

use burn::tensor::{DType, Device, Tensor, TensorData};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::super::rule::{Erased, Now, Rule};
use super::super::{
    AdaBelief, Adam, AdamW, Adamax, Adopt, Momentum, NAdam, RAdam, ScheduleFreeAdamW,
    ScheduleFreeSgd, Sgd, Spam,
};
use super::{Buffer, Job, Plan, Queue, flex, portable, run_one, wide};

pub(super) fn rules() -> Vec<Erased> {
    let momentum = || Momentum::new(0.9).unwrap();
    let spam = Spam::default().threshold(2.0).unwrap().reset_every(2).unwrap();
    vec![
        Sgd::new().erased(),
        Sgd::new().weight_decay(0.1).unwrap().maximize().erased(),
        momentum().erased(),
        momentum().nesterov().dampening(0.2).unwrap().weight_decay(0.1).unwrap().erased(),
        momentum().weight_decay(0.1).unwrap().decoupled().erased(),
        Adam::new().weight_decay(0.1).unwrap().erased(),
        AdamW::new().erased(),
        AdamW::new().amsgrad().erased(),
        AdamW::new().cautious().erased(),
        AdamW::new().update_rms_at_most(0.5).unwrap().erased(),
        AdamW::new().amsgrad().cautious().update_rms_at_most(0.5).unwrap().erased(),
        AdamW::new().gradient_start().without_bias_correction().erased(),
        AdamW::new().spam(spam).erased(),
        AdamW::new().spam(spam).cautious().amsgrad().erased(),
        NAdam::new().erased(),
        NAdam::new().cautious().spam(spam).erased(),
        RAdam::new().beta_2(0.7).unwrap().erased(),
        AdaBelief::new().erased(),
        Adamax::new().cautious().erased(),
        Adopt::new().weight_decay(0.1).unwrap().decoupled().erased(),
        Adopt::new().without_bound().cautious().erased(),
        ScheduleFreeSgd::new().weight_decay(0.1).unwrap().erased(),
        ScheduleFreeAdamW::new().weight_decay(0.1).unwrap().erased(),
    ]
}

thread_local! {
    /// Not the device's generator: all threads share that, and tests run in parallel.
    static NUMBERS: RefCell<StdRng> = RefCell::new(StdRng::seed_from_u64(7));
}

/// Returns numbers of both signs, some of them 0, of this type, in a separate buffer; the same in every run of a test.
pub(super) fn random<const D: usize>(shape: [usize; D], dtype: DType) -> Tensor<D> {
    let numbers: Vec<f32> = NUMBERS.with_borrow_mut(|numbers| {
        let number = |_| match numbers.random_bool(0.1) {
            true => 0.0,
            false => numbers.random_range(-2.0..2.0),
        };
        (0..shape.iter().product()).map(number).collect()
    });
    Tensor::<D>::from_data(TensorData::new(numbers, shape), &Device::flex()).cast(dtype)
}

pub(super) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

/// Copies the tensor into a separate buffer, in the order of its elements.
fn copy<const D: usize>(tensor: &Tensor<D>) -> Tensor<D> {
    let dtype = tensor.dtype();
    let data = TensorData::new(values(tensor.clone()), tensor.shape());
    Tensor::<D>::from_data(data, (&Device::flex(), DType::F64)).cast(dtype)
}

pub(super) fn close(ours: &[f64], reference: &[f64], epsilon: f64, what: &str) {
    assert_eq!(ours.len(), reference.len(), "{what}");
    for (at, (a, b)) in ours.iter().zip(reference).enumerate() {
        let near = (a - b).abs() <= epsilon * (1.0 + b.abs());
        assert!(near, "{what}: element {at} is {a}, and not {b}");
    }
}

/// Compares four updates by the kernel with the same ones by operations.
fn agree<const D: usize>(rule: &Erased, param: Tensor<D>, grads: &[Tensor<D>], what: &str) {
    let rule = &rule.0;
    let what = format!("{what}, {rule:?}");
    let wide = wide(param.dtype());
    // Half precision may round a parameter to the next number; a tenth of that, the decay of the rules here, goes into
    // the state.
    let (epsilon, of_state) = match param.dtype() {
        DType::F64 => (1e-12, 1e-5),
        DType::F32 => (2e-6, 1e-5),
        DType::F16 => (2e-3, 2e-4),
        _ => (2e-2, 2e-3),
    };
    let mut memory = rule.leaves().begin();
    let (mut expected, mut slots) = (copy(&param), Vec::new());
    let mut done = (Buffer::of(param), Vec::new());
    for (turn, grad) in grads.iter().enumerate() {
        let plan = rule.plan(&Now { lr: 0.05, factor: 0.7, rank: D }, &mut memory);
        let mut job = Job::new(D, plan, done.0, Buffer::of(grad.clone()), done.1);
        flex::step(&mut job);
        // The kernel may leave a job to operations only for these reasons.
        let left = !job.done;
        let expects = match plan {
            Plan::Free(_) => turn == 0,
            Plan::Adam(plan) => {
                plan.scaling.is_needed() && plan.spike.is_finite() && plan.by_gradient != 0.0
            }
            Plan::Momentum(_) => false,
        };
        assert_eq!(left, expects, "{what}, update {turn}");
        let finished = run_one(job);
        (expected, slots) = portable::step(
            super::Plans::One(&plan),
            expected.clone(),
            copy(grad),
            portable::begun(&plan, &expected, slots),
        );

        let epsilon = epsilon * (turn + 1) as f64;
        close(
            &values(finished.param.clone().into_tensor::<D>()),
            &values(expected.clone()),
            epsilon,
            &what,
        );
        assert_eq!([finished.slots.len(), slots.len()], [rule.slots(); 2], "{what}");
        for (slot, expected) in finished.slots.iter().zip(&slots) {
            let slot = slot.clone().into_tensor::<D>();
            assert_eq!((slot.dtype(), slot.dims()), (wide, expected.dims()), "{what}");
            close(&values(slot), &values(expected.clone()), of_state, &what);
        }
        done = (finished.param, finished.slots);
    }
}

#[test]
fn kernels_agree_with_tensor_operations() {
    for rule in rules() {
        let four = |make: &dyn Fn() -> Tensor<2>| [(); 4].map(|()| make());
        for dtype in [DType::F64, DType::F32, DType::F16, DType::BF16] {
            for shape in [[0, 3], [1, 1], [7, 13], [33, 31]] {
                let grads = four(&|| random(shape, dtype));
                agree(&rule, random(shape, dtype), &grads, &format!("{dtype:?} {shape:?}"));
            }
        }
        // Scalars, vectors, and images.
        let dtype = DType::F32;
        agree(&rule, random([5], dtype), &[(); 3].map(|()| random([5], dtype)), "rank 1");
        let shape = [2, 3, 3, 5];
        agree(&rule, random(shape, dtype), &[(); 3].map(|()| random(shape, dtype)), "rank 4");

        // Parameters and gradients that are transposed, or part of a larger tensor.
        let turned = || random([9, 4], dtype).transpose();
        let inside = || random([9, 20], dtype).narrow(0, 2, 4).narrow(1, 5, 9);
        let front = || random([9, 9], dtype).narrow(0, 0, 4);
        let flipped = || random([4, 9], dtype).flip([0, 1]);
        let spread = || random([1, 9], dtype).expand([4, 9]);
        let plain = || random([4, 9], dtype);
        let layouts: [&dyn Fn() -> Tensor<2>; 6] =
            [&plain, &turned, &inside, &front, &flipped, &spread];
        for (at, param) in layouts.iter().enumerate() {
            for (with, grad) in layouts.iter().enumerate() {
                agree(&rule, param(), &four(grad), &format!("layout {at} with {with}"));
            }
        }

        // Gradients of another type than the parameter's.
        for (param, grad) in [
            (DType::F32, DType::F16),
            (DType::F32, DType::BF16),
            (DType::F16, DType::F32),
            (DType::BF16, DType::F32),
            (DType::F64, DType::F32),
            (DType::F32, DType::F64),
        ] {
            let grads = four(&|| random([7, 13], grad));
            agree(&rule, random([7, 13], param), &grads, &format!("{param:?} with {grad:?}"));
        }
    }
}

/// Tensors that are divided among cores, into uneven blocks.
#[test]
fn kernels_agree_over_large_tensors() {
    for rule in rules() {
        let grads = [(); 3].map(|()| random([70_001], DType::F32));
        agree(&rule, random([70_001], DType::F32), &grads, "large");
    }
}

/// A shared buffer is left unchanged: parameter, gradient and state.
#[test]
fn what_others_hold_is_not_written() {
    for rule in rules() {
        for dtype in [DType::F32, DType::F16] {
            let (param, grad) = (random([40, 50], dtype), random([40, 50], dtype));
            let mut memory = rule.0.leaves().begin();
            let now = Now { lr: 0.05, factor: 0.7, rank: 2 };
            let mut state: Vec<Buffer> = Vec::new();
            for _ in 0..3 {
                let plan = rule.0.plan(&now, &mut memory);
                let held: Vec<Tensor<2>> =
                    state.iter().map(|slot| slot.clone().into_tensor()).collect();
                let before: Vec<_> = [&param, &grad]
                    .into_iter()
                    .chain(&held)
                    .map(|tensor| values(copy(tensor)))
                    .collect();
                let (p, g) = (Buffer::of(param.clone()), Buffer::of(grad.clone()));
                let done = run_one(Job::new(2, plan, p, g, state));
                let after: Vec<_> = [&param, &grad]
                    .into_iter()
                    .chain(&held)
                    .map(|tensor| values(tensor.clone()))
                    .collect();
                assert_eq!(before, after, "{:?}", rule.0);
                state = done.slots;
            }
        }
    }
}

/// A buffer that nothing else holds is reused: memory that a step requests has to be mapped, page by page, which costs
/// more than the arithmetic.
#[test]
fn what_nobody_else_holds_is_written_in_place() {
    let at = |buffer: &Buffer| match buffer {
        Buffer::Flex(tensor) => tensor.bytes().as_ptr() as usize,
        Buffer::Other(_) => 0,
    };
    for rule in rules() {
        let mut memory = rule.0.leaves().begin();
        let now = Now { lr: 0.05, factor: 1.0, rank: 2 };
        let (mut param, mut state) = (Buffer::of(random([40, 50], DType::F32)), Vec::new());
        for turn in 0..4 {
            let places: Vec<usize> = [&param].into_iter().chain(&state).map(at).collect();
            let grad = Buffer::of(random([40, 50], DType::F32));
            let job = Job::new(2, rule.0.plan(&now, &mut memory), param, grad, state);
            let fused = {
                let mut job = job;
                flex::step(&mut job);
                (job.done, job)
            };
            let done = run_one(fused.1);
            if fused.0 && turn > 0 {
                let after: Vec<usize> =
                    [&done.param].into_iter().chain(&done.slots).map(at).collect();
                assert_eq!(places, after, "{:?}", rule.0);
            }
            (param, state) = (done.param, done.slots);
        }
    }
}

/// The bits are the same whichever core was first.
#[test]
fn many_tensors_at_once_give_the_bits_of_each_alone() {
    let rule = AdamW::new().cautious().update_rms_at_most(0.1).unwrap().erased();
    let shapes = [[300, 300], [1, 1], [64, 64], [257, 129], [0, 4], [64, 65]];
    let tensors: Vec<_> =
        shapes.iter().map(|s| (random(*s, DType::F32), random(*s, DType::F32))).collect();
    let job = |(param, grad): &(Tensor<2>, Tensor<2>)| {
        let plan =
            rule.0.plan(&Now { lr: 0.1, factor: 1.0, rank: 2 }, &mut rule.0.leaves().begin());
        Job::new(2, plan, Buffer::of(param.clone()), Buffer::of(grad.clone()), Vec::new())
    };
    let mut queue = Queue::default();
    tensors.iter().map(job).for_each(|job| queue.push(job));
    let together: Vec<_> =
        queue.finish().map(|done| values(done.param.into_tensor::<2>())).collect();
    assert_eq!(together.len(), tensors.len());
    for (pair, together) in tensors.iter().zip(together) {
        let alone = run_one(job(pair));
        assert_eq!(values(alone.param.into_tensor::<2>()), together);
    }
}
