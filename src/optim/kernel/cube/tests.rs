//! The kernel on a CubeCL device against tensor operations on Flex.

use burn::tensor::{DType, Device, DeviceKind, Int, Tensor, TensorData};

use super::super::super::rule::{Erased, Now};
use super::super::choice::{Picker, Plans};
use super::super::tests::{close, random, rules, values};
use super::super::{Plan, portable};
use super::{Tables, Tensors, step};

fn wgpu() -> Device {
    Device::wgpu(DeviceKind::DefaultDevice)
}

fn there<const D: usize>(tensor: &Tensor<D>) -> Tensor<D> {
    let data = TensorData::new(values(tensor.clone()), tensor.shape());
    Tensor::from_data(data, (&wgpu(), DType::F32))
}

/// The shape of the first row.
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

/// Three updates by the kernel and by operations, side by side.
fn agree<const D: usize>(rule: &Erased, param: Tensor<D>, turned: bool, what: &str) {
    let what = format!("{what}, {:?}", rule.0);
    let mut memory = rule.0.leaves().begin();
    let tables = Tables::default();
    let (mut expected, mut state) = (param.clone(), Vec::new());
    let (mut ours, mut slots) = (there(&param), Vec::new());
    for turn in 0..3 {
        let plan = plan(rule, &mut memory, D);
        let grad = random(param.dims(), DType::F32);
        let there_grad = match turned && D == 2 {
            // The same numbers, lying the other way round, and then inside of something larger.
            true if turn == 0 => there(&grad.clone().swap_dims(0, 1)).swap_dims(0, 1),
            true => {
                let above = random([1, grad.dims()[1]], DType::F32).reshape(one_row(&grad));
                let rows = grad.dims()[0];
                there(&Tensor::cat(vec![above, grad.clone()], 0)).narrow(0, 1, rows)
            }
            false => there(&grad),
        };
        let begun = portable::begun(&plan, &expected, state);
        (expected, state) = portable::step(Plans::One(&plan), expected, grad, begun);

        let begun = portable::begun(&plan, &ours, slots);
        // Held by somebody else too at the second update, and so not to be written.
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

        let epsilon = 2e-6 * (turn + 1) as f64;
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

/// Whichever of the plans the device says.
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

/// What is of another type, somewhere else or of no elements is given back as it was.
#[test]
fn what_has_no_kernel_is_given_back() {
    let rule = &rules()[6];
    let plan = plan(rule, &mut rule.0.leaves().begin(), 2);
    let here = || random([2, 3], DType::F32);
    let slots = || vec![there(&here()), there(&here())];
    let cases: [Tensors<2>; 5] = [
        (here(), here(), vec![here(), here()]),
        (there(&here()).cast(DType::F16), there(&here()), slots()),
        (there(&here()), there(&here()).cast(DType::F16), slots()),
        (there(&here()), there(&here()), vec![there(&here()), there(&here()).cast(DType::F16)]),
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
