//! Fitting in parts against two passes in `f64`, and the layer inside a model.

use crate::common::{bits, noise, numbers, on_every_device};
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Device, Tensor, TensorData};
use evenkeel::standardize::{Moments, Quantiles, Standardize};
use proptest::prelude::*;

fn matrix(values: &[f32], columns: usize, device: &Device) -> Tensor<2> {
    let shape = [values.len() / columns, columns];
    Tensor::from_data(TensorData::new(values.to_vec(), shape), device)
}

/// The textbook's two passes.
fn two_pass(values: &[f32], columns: usize) -> Vec<(f64, f64)> {
    let column = |c: usize| values.iter().skip(c).step_by(columns).map(|x| f64::from(*x));
    let n = (values.len() / columns) as f64;
    let moments = |c| {
        let mean = column(c).sum::<f64>() / n;
        (mean, (column(c).map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt())
    };
    (0..columns).map(moments).collect()
}

/// Four columns whose means and scales are far apart.
fn rows(seed: u64, n: usize) -> Vec<f32> {
    let scale = [(0.0, 1.0), (1e4, 0.5), (-3e-3, 1e-5), (0.0, 1e6)];
    let of = |(at, x): (usize, f32)| scale[at % 4].0 + x * scale[at % 4].1;
    noise(seed, 4 * n).into_iter().enumerate().map(of).collect()
}

fn close(got: f64, wanted: f64) -> bool {
    (got - wanted).abs() <= 1e-9 * wanted.abs().max(1e-12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However the data is parted, and in whatever order the parts are merged.
    #[test]
    fn parts_give_what_two_passes_give(seed: u64, n in 2usize..60, cuts in prop::collection::vec(1usize..20, 0..6)) {
        let device = Device::flex();
        let data = rows(seed, n);
        let (mut rest, mut parts) = (&data[..], Vec::new());
        for cut in cuts {
            let (part, after) = rest.split_at((4 * cut).min(rest.len()));
            parts.push(part);
            rest = after;
        }
        parts.push(rest);
        let mut merged = Moments::new();
        for part in parts.iter().rev() {
            let mut moments = Moments::new();
            moments.push(matrix(part, 4, &device)).unwrap();
            merged.merge(&moments).unwrap();
        }
        prop_assert_eq!(merged.count(), n as u64);
        for (c, (mean, deviation)) in two_pass(&data, 4).into_iter().enumerate() {
            // The first column's mean is near 0, where only the deviation gives a scale.
            prop_assert!((merged.means()[c] - mean).abs() <= 1e-12 * (mean.abs() + deviation));
            prop_assert!(close(merged.deviations()[c], deviation));
        }
    }
}

#[test]
fn the_layer_gives_zero_mean_and_unit_deviation_and_its_inverse_the_data() {
    on_every_device(|device| {
        let data = rows(3, 500);
        let x = matrix(&data, 4, device);
        let layer = Standardize::fit(x.clone().chunk(7, 0)).unwrap();
        let z = layer.forward(x.clone());
        let standardized: Vec<f32> = numbers(z.clone()).iter().map(|z| *z as f32).collect();
        for (mean, deviation) in two_pass(&standardized, 4) {
            assert!(mean.abs() < 2e-3 && (deviation - 1.0).abs() < 2e-3, "{mean} ± {deviation}");
        }
        for (got, wanted) in numbers(layer.inverse(z)).iter().zip(numbers(x)) {
            assert!((got - wanted).abs() <= 1e-5 * wanted.abs().max(1e-5), "{got}, not {wanted}");
        }
    });
}

#[test]
fn a_constant_column_is_zero_even_where_it_moves_later() {
    on_every_device(|device| {
        let layer = Standardize::fit([matrix(&[0.1, 1.0, 0.1, 3.0, 0.1, 5.0], 2, device)]).unwrap();
        let z = numbers(layer.forward(matrix(&[0.1, 3.0, 1e30, 3.0], 2, device)));
        assert_eq!([z[0], z[2]], [0.0, 0.0]);
        let back = numbers(layer.inverse(matrix(&[7.0, 0.0], 2, device)));
        assert!((back[0] - 0.1).abs() < 1e-7 && (back[1] - 3.0).abs() < 1e-6);
        // What is not a number is not made to look like one.
        assert!(numbers(layer.forward(matrix(&[f32::NAN, 3.0], 2, device)))[0].is_nan());
    });
}

#[test]
fn outputs_are_bounded_where_that_is_asked_for() {
    let device = Device::flex();
    let layer = Standardize::fit([matrix(&[-1.0, 1.0], 1, &device)]).unwrap();
    let layer = layer.at_most(2.5).unwrap();
    let z = numbers(layer.forward(matrix(&[-100.0, 0.5, 100.0], 1, &device)));
    assert_eq!(z, [-2.5, 0.5, 2.5]);
    assert!(layer.at_most(0.0).unwrap_err().is_parameter());
}

#[test]
fn channels_are_columns_along_another_axis() {
    on_every_device(|device| {
        // Two images of two channels: one around 0, one around 100.
        let data: Vec<f32> = (0..2 * 2 * 9)
            .map(|i| (i % 9) as f32 + if i / 9 % 2 == 1 { 100.0 } else { 0.0 })
            .collect();
        let x = Tensor::<4>::from_data(TensorData::new(data, [2, 2, 3, 3]), device);
        let mut moments = Moments::along(1);
        moments.push(x.clone()).unwrap();
        let means = moments.means();
        assert!(close(means[0], 4.0) && close(means[1], 104.0), "{means:?}");
        assert_eq!(moments.count(), 18);
        let z = moments.standardize().unwrap().forward(x);
        assert_eq!(z.dims(), [2, 2, 3, 3]);
        let z = numbers(z);
        assert!(z[..9].iter().zip(&z[9..18]).all(|(a, b)| (a - b).abs() < 1e-5));
    });
}

#[test]
fn what_does_not_fit_is_an_error_and_changes_nothing() {
    let device = Device::flex();
    let mut moments = Moments::new();
    moments.push(matrix(&[1.0, 2.0, 3.0, 5.0], 2, &device)).unwrap();
    let before = moments.clone();
    let said = moments.push(matrix(&[1.0, 2.0, 3.0], 3, &device)).unwrap_err().to_string();
    assert_eq!(said, "`columns` of Moments must be 2, got 3");
    let said = moments.push(matrix(&[9.0, f32::NAN], 2, &device)).unwrap_err().to_string();
    assert_eq!(said, "`batch` of Moments must be finite, got NaN in column 1");
    assert!(Moments::along(2).push(matrix(&[1.0], 1, &device)).unwrap_err().is_parameter());
    assert!(moments.merge(&Moments::along(0)).unwrap_err().is_parameter());
    assert!(Moments::new().standardize().unwrap_err().is_parameter());
    moments.push(Tensor::<2>::zeros([0, 2], &device)).unwrap();
    assert_eq!(moments, before);
}

#[derive(Module, Debug)]
struct Model {
    standardize: Standardize,
    output: Linear,
}

#[test]
fn it_is_saved_with_the_model_and_never_trained() {
    on_every_device(|device| {
        let x = matrix(&rows(1, 50), 4, device);
        let output = LinearConfig::new(4, 1).init(device);
        let mut model =
            Model { standardize: Standardize::fit([x.clone()]).unwrap(), output: output.clone() };
        let fitted = bits(&model.standardize);
        let first = bits(&model.output);
        let mut optimizer = AdamWConfig::new().with_weight_decay(0.5).init();
        for _ in 0..3 {
            let loss = model.output.forward(model.standardize.forward(x.clone())).mean();
            let grads = GradientsParams::from_grads(loss.backward(), &model);
            assert_eq!(grads.len(), 2, "only the output's weight and bias");
            model = optimizer.step(0.1, model, grads);
        }
        assert_eq!(bits(&model.standardize), fitted);
        assert_ne!(bits(&model.output), first);
        assert_eq!(bits(&model.valid().train().standardize), fitted);

        let fresh = Model { standardize: Standardize::identity(4, device), output };
        assert_ne!(bits(&fresh.standardize), fitted);
        let loaded = fresh.load_record(model.clone().into_record());
        assert_eq!(bits(&loaded), bits(&model));
        let loss = loaded.output.forward(loaded.standardize.forward(x)).mean();
        assert_eq!(GradientsParams::from_grads(loss.backward(), &loaded).len(), 2);
    });
}

/// scikit-learn 1.5's `RobustScaler(unit_variance=True)` on these columns: center and scale.
#[test]
fn quantiles_are_those_of_the_definition() {
    let device = Device::flex();
    let values = vec![4.0f32, 0.0, 1.0, 0.0, 3.0, 0.0, 2.0, 0.0, 1e6, 5.0, 0.5, 0.0];
    let x = Tensor::<2>::from_data(TensorData::new(values, [6, 2]), &device);
    let mut quantiles = Quantiles::new();
    // In parts, which change nothing.
    quantiles.push(x.clone().slice(0..2)).unwrap();
    quantiles.push(x.clone().slice(2..6)).unwrap();
    assert_eq!(quantiles.count(), 6);
    // Sorted 0.5, 1, 2, 3, 4, 10⁶: the quartiles lie a quarter of the way from 1 to 2, and three from 3 to 4.
    assert_eq!(quantiles.medians(), [2.5, 0.0]);
    let spreads = quantiles.spreads();
    assert!((spreads[0] - (3.75 - 1.25) / 1.3489795003921634).abs() < 1e-12, "{spreads:?}");
    // Five zeros of six have no quartiles apart: the deviation of 0, 0, 0, 0, 5, 0.
    assert!((spreads[1] - (25.0f64 / 6.0 - 25.0 / 36.0).sqrt()).abs() < 1e-12, "{spreads:?}");
}

#[test]
fn a_robust_fit_holds_what_is_wild_and_takes_the_rest_to_one_scale() {
    let device = Device::flex();
    let z = noise(1, 400);
    let with = |wild: bool| {
        let x: Vec<f32> = z
            .iter()
            .enumerate()
            .map(|(at, z)| if wild && at % 50 == 0 { 1e6 } else { 150.0 + 12f32.sqrt() * 7.0 * z })
            .collect();
        Tensor::<2>::from_data(TensorData::new(x, [400, 1]), &device)
    };
    let layer = Standardize::fit_robust([with(true)]).unwrap();
    let out: Vec<f32> = layer.forward(with(true)).into_data().iter::<f32>().collect();
    assert!(out.iter().step_by(50).all(|z| *z == 10.0));
    // A uniform distribution's quartiles are √3 deviations apart.
    let sane = layer.forward(with(false));
    let deviation: f32 = sane.clone().powi_scalar(2).mean().sqrt().into_scalar();
    assert!((deviation - 1.349 / 3f32.sqrt()).abs() < 0.06, "{deviation}");
    // Mean and deviation are led by eight rows of four hundred.
    let led = Standardize::fit([with(true)]).unwrap();
    let led = led.forward(with(false));
    let apart: f32 = (led.clone().max() - led.min()).into_scalar();
    assert!(apart < 1e-3, "{apart}");
    let back: Vec<f32> = layer.inverse(sane).into_data().iter::<f32>().collect();
    let given: Vec<f32> = with(false).into_data().iter::<f32>().collect();
    assert!(back.iter().zip(&given).all(|(a, b)| (a - b).abs() < 1e-3));
}

#[test]
fn quantiles_refuse_what_moments_refuse() {
    let device = Device::flex();
    let mut quantiles = Quantiles::new();
    assert!(quantiles.standardize().unwrap_err().is_parameter());
    quantiles.push(Tensor::<2>::zeros([2, 3], &device)).unwrap();
    let said = quantiles.push(Tensor::<2>::zeros([2, 2], &device)).unwrap_err().to_string();
    assert_eq!(said, "`columns` of Quantiles must be 3, got 2");
    let nan = Tensor::<2>::full([1, 3], f32::NAN, &device);
    assert!(quantiles.push(nan).unwrap_err().to_string().starts_with("`batch` of Quantiles"));
    assert!(
        Quantiles::along(5).push(Tensor::<2>::zeros([1, 1], &device)).unwrap_err().is_parameter()
    );
    assert_eq!(quantiles.count(), 2);
}
