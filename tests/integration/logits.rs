//! Logits that stay small, against their formulas on the host in `f64`.

use burn::tensor::{Bool, DType, Device, Tensor, TensorData};
use evenkeel::logits::{QkNorm, ZLoss, soft_cap};

use crate::common::{noise, numbers, on_every_device};

const ROWS: usize = 5;
const CLASSES: usize = 4;

fn logits(device: &Device) -> (Vec<f64>, Tensor<2>) {
    let values: Vec<f32> = noise(3, ROWS * CLASSES).iter().map(|x| 12.0 * x).collect();
    let tensor = Tensor::from_data(TensorData::new(values.clone(), [ROWS, CLASSES]), device);
    (values.into_iter().map(f64::from).collect(), tensor.require_grad())
}

fn near(ours: &[f64], theirs: &[f64], epsilon: f64) {
    assert_eq!(ours.len(), theirs.len());
    for (at, (a, b)) in ours.iter().zip(theirs).enumerate() {
        assert!((a - b).abs() <= epsilon * b.abs().max(1.0), "element {at} is {a}, not {b}");
    }
}

#[test]
fn a_soft_cap_is_a_tanh_and_so_is_its_slope() {
    on_every_device(|device| {
        let (values, x) = logits(device);
        let capped = soft_cap(x.clone(), 3.0).unwrap();
        let tanh: Vec<f64> = values.iter().map(|x| (x / 3.0).tanh()).collect();
        near(&numbers(capped.clone()), &tanh.iter().map(|t| 3.0 * t).collect::<Vec<_>>(), 1e-5);
        let slope = x.grad(&capped.sum().backward()).unwrap();
        near(&numbers(slope), &tanh.iter().map(|t| 1.0 - t * t).collect::<Vec<_>>(), 1e-5);
    });
    for cap in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = soft_cap(Tensor::<1>::zeros([1], &Device::flex()), cap).unwrap_err();
        let text = format!("`cap` of soft_cap must be a positive finite number, got {cap}");
        assert_eq!(error.to_string(), text);
    }
}

/// `log Z` of each row.
fn log_z(values: &[f64]) -> Vec<f64> {
    values.chunks(CLASSES).map(|row| row.iter().map(|x| x.exp()).sum::<f64>().ln()).collect()
}

/// `2c·log Z·softmax/n` in the rows that count.
fn slopes(values: &[f64], c: f64, counts: impl Fn(usize) -> bool) -> Vec<f64> {
    let n = (0..ROWS).filter(|row| counts(*row)).count() as f64;
    let rows = values.chunks(CLASSES).zip(log_z(values)).enumerate();
    rows.flat_map(|(at, (row, z))| {
        let of = if counts(at) { 2.0 * c * z / n } else { 0.0 };
        row.iter().map(|x| of * (x - z).exp()).collect::<Vec<_>>()
    })
    .collect()
}

#[test]
fn a_z_loss_is_its_formula_and_so_is_its_gradient() {
    on_every_device(|device| {
        let (values, x) = logits(device);
        let loss = ZLoss::new(0.1).unwrap().forward(x.clone());
        let mean = log_z(&values).iter().map(|z| z * z).sum::<f64>() / ROWS as f64;
        near(&numbers(loss.clone()), &[0.1 * mean], 1e-5);
        let grad = x.grad(&loss.backward()).unwrap();
        near(&numbers(grad), &slopes(&values, 0.1, |_| true), 1e-5);

        // Far beyond where `exp` overflows.
        let far = ZLoss::new(1.0).unwrap().forward(x.detach().add_scalar(1e4)).into_scalar::<f32>();
        assert!((far / 1e8 - 1.0).abs() < 0.01, "{far}");
    });
}

#[test]
fn padding_is_in_neither_the_z_loss_nor_its_gradient() {
    on_every_device(|device| {
        let (mut values, _) = logits(device);
        let of = |bools: &[bool]| {
            Tensor::<2, Bool>::from_data(TensorData::new(bools.to_vec(), [ROWS, 1]), device)
        };
        let counts = [true, false, true, true, false];
        values[CLASSES] = f64::NAN;
        values[4 * CLASSES] = f64::INFINITY;
        let given: Vec<f32> = values.iter().map(|x| *x as f32).collect();
        let data = TensorData::new(given, [ROWS, CLASSES]);
        let x = Tensor::<2>::from_data(data, device).require_grad();
        let z_loss = ZLoss::new(0.1).unwrap();
        let loss = z_loss.forward_masked(x.clone(), of(&counts)).unwrap();
        let squares = log_z(&values).into_iter().zip(counts).filter(|(_, counts)| *counts);
        let mean = squares.map(|(z, _)| z * z).sum::<f64>() / 3.0;
        near(&numbers(loss.clone()), &[0.1 * mean], 1e-5);
        let grad = numbers(x.grad(&loss.backward()).unwrap());
        values[CLASSES] = 0.0;
        values[4 * CLASSES] = 0.0;
        near(&grad, &slopes(&values, 0.1, |row| counts[row]), 1e-5);

        let none = z_loss.forward_masked(x.clone(), of(&[false; ROWS])).unwrap();
        assert_eq!(numbers(none), [0.0]);
        let wrong = Tensor::<2, Bool>::from_data(TensorData::new(vec![true; 4], [4, 1]), device);
        let error = z_loss.forward_masked(x, wrong).unwrap_err();
        assert_eq!(error.to_string(), "`counts` of ZLoss must be of shape [5, 1], got [4, 1]");
    });
    assert!(ZLoss::new(0.0).unwrap_err().is_parameter());
}

/// Of sums whose terms overflow half precision.
#[test]
fn half_precision_is_summed_in_single() {
    let device = Device::flex();
    for dtype in [DType::F16, DType::BF16] {
        let logits = Tensor::<2>::full([300, 2000], 11.0, &device).cast(dtype);
        let loss = ZLoss::new(1e-4).unwrap().forward(logits);
        assert_eq!(loss.dtype(), dtype);
        let log_z = 11.0 + 2000f64.ln();
        let got = numbers(loss)[0];
        assert!((got / (1e-4 * log_z * log_z) - 1.0).abs() < 0.01, "{got}");
    }
}

#[test]
fn normalized_queries_and_keys_have_no_scale_and_bounded_logits() {
    on_every_device(|device| {
        let norm = QkNorm::new(8, device).unwrap();
        let tensor = |seed| {
            let data = TensorData::new(noise(seed, 2 * 3 * 8), [2, 3, 8]);
            Tensor::<3>::from_data(data, device)
        };
        let logits = |scale: f64| {
            let (q, k) = (tensor(1).mul_scalar(scale), tensor(2).mul_scalar(scale * 7.0));
            let (q, k) = norm.forward(q, k).unwrap();
            numbers(q.matmul(k.swap_dims(1, 2)).div_scalar(8f64.sqrt()))
        };
        near(&logits(100.0), &logits(1e5), 1e-4);
        // The cosine of each query and key, times √d.
        let (q, k) = (numbers(tensor(1)), numbers(tensor(2)));
        let mut cosines = Vec::new();
        for batch in 0..2 {
            for a in q[24 * batch..24 * (batch + 1)].chunks(8) {
                for b in k[24 * batch..24 * (batch + 1)].chunks(8) {
                    let dot =
                        |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
                    cosines.push(8f64.sqrt() * dot(a, b) / (dot(a, a) * dot(b, b)).sqrt());
                }
            }
        }
        near(&logits(100.0), &cosines, 1e-4);
    });
    let device = Device::flex();
    let of = |length| Tensor::<2>::ones([2, length], &device);
    let error = QkNorm::new(8, &device).unwrap().forward(of(8), of(6)).unwrap_err();
    assert_eq!(error.to_string(), "`k` of QkNorm must be of a last axis of 8, got [2, 6]");
    let error = QkNorm::new(0, &Device::flex()).unwrap_err();
    assert_eq!(error.to_string(), "`head_dimension` of QkNorm must be at least 1, got 0");
}
