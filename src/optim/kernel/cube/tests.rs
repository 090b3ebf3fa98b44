//! Compares the kernel on a CubeCL device with tensor operations on Flex.

use burn::tensor::{DType, Device, DeviceKind, Int, Tensor, TensorData};

use super::super::super::Sgd;
use super::super::super::rule::{Erased, Now, Rule};
use super::super::choice::{Picker, Plans};
use super::super::tests::{close, random, rules, values};
use super::super::{Buffer, Done, Job, Plan, Shared, portable};
use super::{Tables, Tensors, step};
use crate::flag::Flag;

fn wgpu() -> Device {
    Device::wgpu(DeviceKind::DefaultDevice)
}

/// Returns the same numbers on the device, in the same type.
fn there<const D: usize>(tensor: &Tensor<D>) -> Tensor<D> {
    let (values, dtype) = (values(tensor.clone()), tensor.dtype());
    let values: Vec<f32> = values.into_iter().map(|x| x as f32).collect();
    let data = TensorData::new(values, tensor.shape());
    Tensor::<D>::from_data(data, (&wgpu(), DType::F32)).cast(dtype)
}

/// Returns whether there are kernels for this type.
fn has_kernels(dtype: DType) -> bool {
    match dtype {
        DType::F32 => true,
        _ => wgpu().supports_dtype(dtype),
    }
}

/// Returns the shape of the first row.
fn one_row<const D: usize>(tensor: &Tensor<D>) -> [usize; D] {
    let mut shape = tensor.dims();
    shape[0] = 1;
    shape
}

fn is_fused(plan: &Plan) -> bool {
    !matches!(plan, Plan::Adam(adam) if adam.scaling.is_needed())
}

fn plan(rule: &Erased, memory: &mut super::super::super::record::Memory, rank: usize) -> Plan {
    rule.0.plan(&Now { lr: 0.05, factor: 0.7, rank }, memory)
}

/// Compares three updates by the kernel with the same ones by operations.
fn agree<const D: usize>(rule: &Erased, param: Tensor<D>, turned: bool, what: &str) {
    agree_along(rule, param, DType::F32, turned, what);
}

/// Makes the comparison with gradients of this type.
fn agree_along<const D: usize>(
    rule: &Erased,
    param: Tensor<D>,
    along: DType,
    turned: bool,
    what: &str,
) {
    let what = format!("{what}, {:?}", rule.0);
    let epsilon = match param.dtype() {
        DType::F32 => 2e-6,
        // One unit in the last place of the parameter.
        DType::F16 => 2e-3,
        _ => 2e-2,
    };
    if !has_kernels(param.dtype()) || !has_kernels(along) {
        // The device does not support one of the types.
        return;
    }
    let mut memory = rule.0.leaves().begin();
    let tables = Tables::default();
    let (mut expected, mut state) = (param.clone(), Vec::new());
    let (mut ours, mut slots) = (there(&param), Vec::new());
    for turn in 0..3 {
        let plan = plan(rule, &mut memory, D);
        let grad = random(param.dims(), along);
        let there_grad = match turned && D == 2 {
            // The same numbers, transposed, and then inside a larger tensor.
            true if turn == 0 => there(&grad.clone().swap_dims(0, 1)).swap_dims(0, 1),
            true => {
                let above = random([1, grad.dims()[1]], along).reshape(one_row(&grad));
                let rows = grad.dims()[0];
                there(&Tensor::cat(vec![above, grad.clone()], 0)).narrow(0, 1, rows)
            }
            false => there(&grad),
        };
        let begun = portable::begun(&plan, &expected, state);
        (expected, state) = portable::step(Plans::One(&plan), expected, grad, begun);

        let begun = portable::begun(&plan, &ours, slots);
        // Shared at the second update, and so not to be written.
        let held: Vec<Tensor<D>> = match turn {
            1 => begun.iter().chain([&ours, &there_grad]).cloned().collect(),
            _ => Vec::new(),
        };
        let before: Vec<_> = held.iter().cloned().map(values).collect();
        let done = step(&tables, Plans::One(&plan), (ours, there_grad, begun));
        assert_eq!(done.is_ok(), is_fused(&plan), "{what}");
        let Ok(done) = done else { return };
        (ours, slots) = done;
        assert_eq!(before, held.into_iter().map(values).collect::<Vec<_>>(), "{what}");

        assert_eq!(ours.dtype(), expected.dtype(), "{what}");
        let epsilon = epsilon * (turn + 1) as f64;
        close(&values(ours.clone()), &values(expected.clone()), epsilon, &what);
        assert_eq!(slots.len(), rule.0.slots(), "{what}");
        for (slot, expected) in slots.iter().zip(&state) {
            close(&values(slot.clone()), &values(expected.clone()), 1e-5, &what);
        }
    }
}

#[test]
fn kernels_agree_with_tensor_operations() {
    for rule in rules() {
        for shape in [[1, 1], [7, 13], [32, 31]] {
            agree(&rule, random(shape, DType::F32), false, &format!("{shape:?}"));
            agree(&rule, random(shape, DType::F32), true, &format!("{shape:?}, turned"));
        }
        agree(&rule, random([5], DType::F32), false, "rank 1");
        agree(&rule, random([2, 3, 3, 5], DType::F32), false, "rank 4");
        agree(&rule, random([70_001], DType::F32), false, "large");
        agree(&rule, random([70_004], DType::F32), false, "large, by fours");
    }
}

/// Computed in `f32`, if the device has the type; otherwise left to operations.
#[test]
fn half_precision_is_computed_in_single() {
    use DType::{BF16, F16, F32};
    for rule in rules() {
        for (of, along) in [(F16, F16), (BF16, BF16), (F16, F32), (F32, F16), (F32, BF16)] {
            for shape in [[1, 1], [7, 13], [32, 32]] {
                let what = format!("{of:?} along {along:?}, {shape:?}");
                agree_along(&rule, random(shape, of), along, false, &what);
                agree_along(&rule, random(shape, of), along, true, &format!("{what}, turned"));
            }
        }
    }
}

/// It saturates there as in tensor operations, and does not become infinite.
#[test]
fn half_precision_stops_at_its_end() {
    if !has_kernels(DType::F16) {
        return;
    }
    let rule = Sgd::new().erased();
    let plan = rule.0.plan(&Now { lr: 1e3, factor: 1.0, rank: 1 }, &mut rule.0.leaves().begin());
    let device = wgpu();
    let param = Tensor::<1>::from_floats([6e4, -6e4, 1.0], &device).cast(DType::F16);
    let grad = Tensor::<1>::from_floats([-1e3, 1e3, 0.0], &device).cast(DType::F16);
    let given = (param, grad, Vec::new());
    let Ok((param, _)) = step(&Tables::default(), Plans::One(&plan), given) else {
        panic!("a kernel for f16");
    };
    assert_eq!(values(param), [65_504.0, -65_504.0, 1.0]);
}

/// Compares the result of a job with the expected one, and names the job.
type Check = Box<dyn Fn(Done, &str)>;

/// In a model with tensors of all kinds, each tensor is updated in its place, some of them on the host.
#[test]
fn all_tensors_of_a_model_are_done_in_one_go() {
    fn pair<const D: usize>(
        rule: &Erased,
        shape: [usize; D],
        dtype: DType,
        on: fn(&Tensor<D>) -> Tensor<D>,
    ) -> (Job, Check) {
        let plan = plan(rule, &mut rule.0.leaves().begin(), D);
        let (param, grad) = (random(shape, dtype), random(shape, dtype));
        let buffer = |tensor| Buffer::of(on(tensor));
        let job = Job::new(D, plan, buffer(&param), buffer(&grad), Vec::new());
        let begun = portable::begun(&plan, &param, Vec::new());
        let expected = portable::step(Plans::One(&plan), param, grad, begun);
        let check = move |done: Done, what: &str| {
            let epsilon = if dtype == DType::F16 { 2e-3 } else { 2e-6 };
            let param = done.param.into_tensor::<D>();
            assert_eq!((param.dtype(), param.dims()), (dtype, expected.0.dims()), "{what}");
            close(&values(param), &values(expected.0.clone()), epsilon, what);
            assert_eq!(done.slots.len(), expected.1.len(), "{what}");
            for (slot, expected) in done.slots.into_iter().zip(&expected.1) {
                close(&values(slot.into_tensor::<D>()), &values(expected.clone()), 1e-5, what);
            }
        };
        (job, Box::new(check))
    }
    let mut all = Vec::new();
    for rule in rules() {
        all.push(pair(&rule, [5, 7], DType::F32, there));
        all.push(pair(&rule, [1], DType::F32, there));
        all.push(pair(&rule, [3, 4], DType::F32, Tensor::clone));
        all.push(pair(&rule, [2, 3, 4], DType::F16, there));
        all.push(pair(&rule, [20_000], DType::F32, there));
    }
    let (jobs, checks): (Vec<_>, Vec<_>) = all.into_iter().unzip();
    let mut queue = super::super::Queue::default();
    jobs.into_iter().for_each(|job| queue.push(job));
    let done: Vec<_> = queue.finish().collect();
    assert_eq!(done.len(), checks.len());
    for (at, (done, check)) in done.into_iter().zip(checks).enumerate() {
        check(done, &format!("job {at}"));
    }
}

/// The factor that only the device knows is applied; if the device says that the update does not count, nothing
/// changes, whatever the gradient.
#[test]
fn the_device_has_a_factor_and_a_verdict() {
    for rule in rules() {
        let plan = plan(&rule, &mut rule.0.leaves().begin(), 2);
        for held in [false, true] {
            let (param, grad) = (random([7, 5], DType::F32), random([7, 5], DType::F32));
            let slots = portable::begun(&plan, &param, Vec::new());
            let slots: Vec<_> =
                slots.iter().map(|_| random([7, 5], DType::F32).abs() + 0.1).collect();
            let given = |grad: &Tensor<2>| -> Tensors<2> {
                (there(&param), there(grad), slots.iter().map(there).collect())
            };
            let gate = |counts: bool| {
                let factor = Tensor::<1>::from_floats([0.25], &wgpu());
                let counts = Tensor::<1>::from_floats([1.0], &wgpu()).equal_elem(f32::from(counts));
                let picker = Picker::new(Tensor::zeros([1], &wgpu()));
                picker.gated(Some(factor), Flag::of(counts))
            };
            let run = |counts: bool, grad: &Tensor<2>| {
                let tensors = given(grad);
                let others = held.then(|| tensors.clone());
                let (plans, picker) = ([plan], gate(counts));
                let any = Plans::Any(&plans, &picker);
                let done =
                    super::super::step(&Shared::default(), any, tensors.0, tensors.1, tensors.2);
                if let Some((p, _, s)) = others {
                    assert_eq!(values(p), values(there(&param)), "{:?}", rule.0);
                    for (s, before) in s.into_iter().zip(&slots) {
                        assert_eq!(values(s), values(there(before)), "{:?}", rule.0);
                    }
                }
                done
            };
            let (p, s) = run(true, &grad);
            let quarter = grad.clone() * 0.25;
            let (p_expected, s_expected) =
                portable::step(Plans::One(&plan), param.clone(), quarter, slots.clone());
            close(&values(p), &values(p_expected), 2e-6, &format!("{:?}", rule.0));
            for (s, expected) in s.into_iter().zip(s_expected) {
                close(&values(s), &values(expected), 1e-5, &format!("{:?}", rule.0));
            }
            let (p, s) = run(false, &(grad * f32::NAN));
            assert_eq!(values(p), values(there(&param)), "{:?}", rule.0);
            for (s, before) in s.into_iter().zip(&slots) {
                assert_eq!(values(s), values(there(before)), "{:?}", rule.0);
            }
        }
    }
}

/// The device picks one of the plans.
#[test]
fn the_device_picks_the_plan() {
    for rule in rules() {
        let mut memory = rule.0.leaves().begin();
        let plans: Vec<Plan> = (0..4).map(|_| plan(&rule, &mut memory, 2)).collect();
        let tensor = || there(&random([3, 4], DType::F32));
        let (param, grad, m, v, w) = (tensor(), tensor(), tensor(), tensor().abs(), tensor().abs());
        let given = || -> Tensors<2> {
            let slots = [&m, &v, &w].map(Clone::clone).into_iter().take(plans[1].slots());
            (param.clone(), grad.clone(), slots.collect())
        };
        for (at, one) in plans.iter().enumerate().skip(1) {
            let count = Tensor::<1, Int>::from_ints([at as i32], &wgpu());
            let picker = Picker::new(count);
            let picked = step(&Tables::default(), Plans::Any(&plans, &picker), given());
            let known = step(&Tables::default(), Plans::One(one), given());
            match (picked, known) {
                (Ok(picked), Ok(known)) => {
                    assert_eq!(values(picked.0), values(known.0), "{:?}", rule.0);
                    for (a, b) in picked.1.into_iter().zip(known.1) {
                        assert_eq!(values(a), values(b), "{:?}", rule.0);
                    }
                }
                (picked, known) => assert!(picked.is_err() && known.is_err(), "{:?}", rule.0),
            }
        }
    }
}

/// Tensors of another type, on another device or without elements are returned unchanged.
#[test]
fn what_has_no_kernel_is_given_back() {
    let rule = &rules()[6];
    let plan = plan(rule, &mut rule.0.leaves().begin(), 2);
    let here = || random([2, 3], DType::F32);
    let slots = || vec![there(&here()), there(&here())];
    let half = || there(&here()).cast(DType::F16);
    let other = || Tensor::cat(vec![there(&here()), there(&here())], 0);
    let cases: [Tensors<2>; 5] = [
        (here(), here(), vec![here(), here()]),
        (there(&here()), here(), slots()),
        (there(&here()), other(), slots()),
        (there(&here()), there(&here()), vec![there(&here()), half()]),
        (there(&here()), there(&here()), vec![there(&here()), here()]),
    ];
    for (at, (param, grad, slots)) in cases.into_iter().enumerate() {
        let all = || [&param, &grad].into_iter().chain(&slots).cloned().map(values);
        let before: Vec<_> = all().collect();
        let given = (param.clone(), grad.clone(), slots.clone());
        let Err((p, g, s)) = step(&Tables::default(), Plans::One(&plan), given) else {
            panic!("case {at}");
        };
        let after: Vec<_> = [p, g].into_iter().chain(s).map(values).collect();
        assert_eq!(before, after, "case {at}");
    }
    let empty = || Tensor::<2>::zeros([0, 3], &wgpu());
    let given = (empty(), empty(), vec![empty(), empty()]);
    assert!(step(&Tables::default(), Plans::One(&plan), given).is_err());
}
