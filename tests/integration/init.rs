//! Initial weights that fit the depth and the data.

use burn::module::{Module, ParamGroup};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, TensorData};
use evenkeel::init::{Lsuv, scale_residuals};
use evenkeel::monitor::Probe;

use crate::common::{bits, filled, noise, numbers, on_every_device, poke};

/// Every kind of layer that has a weight, and running statistics.
#[derive(Module, Debug)]
struct Mixed {
    conv: Conv2d,
    norm: BatchNorm,
    hidden: Vec<Linear>,
    last: Linear,
}

const LAYERS: [&str; 4] = ["conv", "hidden.0", "hidden.1", "last"];

impl Mixed {
    fn new(device: &Device) -> Self {
        let linear = |inputs, outputs| LinearConfig::new(inputs, outputs).init(device);
        let net = Self {
            conv: Conv2dConfig::new([1, 3], [2, 2]).init(device),
            norm: BatchNormConfig::new(3).init(device),
            hidden: vec![linear(27, 16), linear(16, 16)],
            last: linear(16, 2),
        };
        filled(net, 1)
    }

    /// The outputs of all layers that have a weight, before their activation functions.
    fn outputs(&self, x: Tensor<4>, probe: &Probe) -> Vec<Tensor<2>> {
        let conv = probe.watch("conv", self.conv.forward(x));
        let x = relu(self.norm.forward(conv.clone())).flatten(1, 3);
        let first = probe.watch("hidden.0", self.hidden[0].forward(x));
        let second = probe.watch("hidden.1", self.hidden[1].forward(relu(first.clone())));
        let last = probe.watch("last", self.last.forward(relu(second.clone())));
        vec![conv.flatten(1, 3), first, second, last]
    }
}

fn images(scale: f64, device: &Device) -> Tensor<4> {
    let data = TensorData::new(noise(9, 32 * 16), [32, 1, 4, 4]);
    Tensor::from_data(data, device).mul_scalar(scale)
}

fn std(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    (values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
}

#[test]
fn every_layer_has_an_output_of_variance_1_and_orthonormal_rows() {
    on_every_device(|device| {
        let net = Mixed::new(device);
        let before = bits(&net);
        let x = images(300.0, device);
        let fit = Lsuv::new(LAYERS)
            .unwrap()
            .tolerance(0.02)
            .unwrap()
            .fit(&net, |net, probe| drop(net.outputs(x.clone(), probe)))
            .unwrap();
        assert_eq!(fit.layers.iter().map(|layer| &layer.name[..]).collect::<Vec<_>>(), LAYERS);
        // The running statistics are those from before, of both.
        let statistics = |net: &Mixed| -> Vec<(String, Vec<u64>)> {
            bits(net).into_iter().filter(|(path, _)| path.contains("running")).collect()
        };
        assert_eq!(before, bits(&net));
        assert_eq!(statistics(&fit.model), statistics(&net));
        for (layer, output) in fit.layers.iter().zip(fit.model.outputs(x.clone(), &Probe::off())) {
            let std = std(&numbers(output));
            assert!((std * std - 1.0).abs() <= 0.021, "{layer:?}: {std}");
            assert!((std / layer.std - 1.0).abs() < 1e-3, "{layer:?}: {std}");
        }
        // WᵀW is a multiple of the identity, where W is square; biases are as they were.
        let (weight, factor) = (&fit.model.hidden[1].weight, fit.layers[2].factor);
        let product = numbers(weight.val().transpose().matmul(weight.val()));
        for (at, x) in product.iter().enumerate() {
            let identity = if at % 17 == 0 { factor * factor } else { 0.0 };
            assert!((x - identity).abs() < 1e-3 * factor * factor, "element {at} is {x}");
        }
        let bias = |net: &Mixed| numbers(net.last.bias.as_ref().unwrap().val());
        assert_eq!(bias(&fit.model), bias(&net));
        assert!(weight.is_require_grad());
    });
}

#[test]
fn weights_that_are_kept_are_only_scaled() {
    let device = Device::flex().autodiff();
    let (net, x) = (Mixed::new(&device), images(1e-3, &device));
    let before = bits(&net);
    let lsuv = Lsuv::new(["hidden.0", "last"]).unwrap().keep_weights().attempts(30).unwrap();
    // Their biases alone would give outputs of a variance below 1.
    let fit = lsuv.fit(&net, |net, probe| drop(net.outputs(x.clone(), probe))).unwrap();
    let ratio = |of: fn(&Mixed) -> &Linear, factor: f64| {
        let (now, was) = (numbers(of(&fit.model).weight.val()), numbers(of(&net).weight.val()));
        now.iter().zip(was).for_each(|(a, b)| assert!((a - factor * b).abs() < 1e-5 * factor));
    };
    ratio(|net| &net.hidden[0], fit.layers[0].factor);
    ratio(|net| &net.last, fit.layers[1].factor);
    ratio(|net| &net.hidden[1], 1.0);
    assert_eq!(bits(&net), before);
}

#[test]
fn what_cannot_be_fitted_is_said_and_nothing_is_changed() {
    let device = Device::flex().autodiff();
    let net = Mixed::new(&device);
    let before = bits(&net);
    let said = |lsuv: Lsuv, net: &Mixed, x: Tensor<4>| {
        lsuv.fit(net, |net, probe| drop(net.outputs(x.clone(), probe))).unwrap_err().to_string()
    };
    let of = |layers: &[&str]| Lsuv::new(layers.iter().copied()).unwrap();
    let x = images(1.0, &device);
    for layer in ["norm", "nowhere", "last.weight"] {
        assert_eq!(
            said(of(&[layer]), &net, x.clone()),
            format!(
                "`layers` of Lsuv must be the path of a layer with a weight of at least two dimensions, got `{layer}`"
            )
        );
    }
    let unseen = of(&["last"]).fit(&net, |_, _| ()).unwrap_err();
    assert_eq!(
        unseen.to_string(),
        "`layers` of Lsuv must be the name of an activation that the forward pass watches, got `last`"
    );
    let nan = poke(net.clone(), "hidden.0.bias", f32::NAN);
    let text = said(of(&LAYERS), &nan, x.clone());
    assert_eq!(text, "the model cannot be trained: the output of `hidden.0` is not finite");
    // A batch of zeros: a convolution without a bias says 0 to all of it.
    let mut plain = net.clone();
    plain.conv.bias = None;
    let text = said(of(&["conv"]), &plain, x.mul_scalar(0.0));
    assert_eq!(text, "the model cannot be trained: the output of `conv` is constant");
    // Biases that differ by more than 1 leave nothing for the weight to do.
    let biased = poke(net.clone(), "last.bias", 50.0);
    let text = said(of(&["last"]), &biased, images(1.0, &device));
    assert!(text.contains("`last` has a standard deviation of 2"), "{text}");
    assert!(text.contains("scaled 10 times (before, it was 2"), "{text}");
    assert_eq!(bits(&net), before);

    let shared: Linear = LinearConfig::new(2, 2).init(&device);
    let tied = vec![shared.clone(), shared];
    let error = of(&["0", "1"]).fit(&tied, |_, _| ()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`layers` of Lsuv must be layers that don't share a weight, got `1`, whose weight an earlier one has"
    );

    let none: [&str; 0] = [];
    assert!(Lsuv::new(none).unwrap_err().to_string().contains("at least one path, got none"));
    let twice = Lsuv::new(["a", "b", "a"]).unwrap_err().to_string();
    assert_eq!(twice, "`layers` of Lsuv must be different paths, got `a` twice");
    assert!(of(&["a"]).tolerance(0.0).unwrap_err().is_parameter());
    assert!(of(&["a"]).attempts(0).unwrap_err().is_parameter());
}

#[test]
fn residual_branches_are_scaled_together() {
    on_every_device(|device| {
        let linear = |seed| {
            let layer: Linear = LinearConfig::new(6, 6).with_bias(false).init(device);
            filled(layer, seed)
        };
        // One weight is used in two places.
        let shared = linear(3);
        let net = vec![linear(1), linear(2), shared.clone(), shared];
        let last = ParamGroup::from_predicate("weight");
        let scaled = scale_residuals(net.clone(), 9, &last).unwrap();
        for (now, was) in scaled.iter().zip(&net) {
            let (now, was) = (numbers(now.weight.val()), numbers(was.weight.val()));
            now.iter().zip(was).for_each(|(a, b)| assert!((3.0 * a - b).abs() < 1e-6));
        }
        assert_eq!(scaled[2].weight.id, scaled[3].weight.id);
        let none = scale_residuals(net.clone(), 9, &ParamGroup::from_predicate("head"));
        assert_eq!(
            none.unwrap_err().to_string(),
            "`last` of scale_residuals must be a group that some parameter of the model is in, got one without any"
        );
        assert!(scale_residuals(net, 0, &last).unwrap_err().is_parameter());
    });
}
