//! Where non-finite values come from.

use crate::common::{Batch, Net, bits, on_every_device, poke, with_first};
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{DType, Device, Tensor};
use evenkeel::Part;
use evenkeel::monitor::{Blame, Origin, Probe, blame};

/// A net that shows its activations, with a place in the middle where something can go wrong.
fn loss(
    net: &Net,
    batch: Batch,
    probe: &Probe,
    spoil: impl Fn(Tensor<2>) -> Tensor<2>,
) -> Tensor<1> {
    let x = probe.watch("input", batch.x);
    let x = probe.watch("first", net.first.forward(x));
    let x = probe.watch("norm", net.norm.forward(x));
    let x = probe.watch("middle", spoil(x));
    let x = probe.watch("tanh", x.tanh());
    let x = probe.watch("last", net.last.forward(x));
    (x - batch.y).powi_scalar(2).mean()
}

fn of(net: Net, batch: Batch, spoil: impl Fn(Tensor<2>) -> Tensor<2>) -> Blame {
    blame(&net, |net, probe| loss(net, batch, probe, spoil))
}

fn of_healthy(device: &Device, spoil: impl Fn(Tensor<2>) -> Tensor<2>) -> Blame {
    of(Net::new(device), Batch::number(0, device), spoil)
}

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    on_every_device(|device| {
        let found = of_healthy(device, |x| x);
        assert_eq!(found.origin(), Origin::None);
        assert!(found.culprits.is_empty() && found.loss_is_finite);
        let names: Vec<&str> = found.activations.iter().map(|a| a.name.as_str()).collect();
        assert_eq!(names, ["input", "first", "norm", "middle", "tanh", "last"]);
        assert_eq!(found.gradients, 6);
        let largest = found.largest_parameter.unwrap();
        assert!(largest.largest <= 0.5 && largest.name.contains('.'), "{largest:?}");
    });
}

#[test]
fn the_producer_is_told_from_those_who_pass_it_on() {
    on_every_device(|device| {
        let found = of_healthy(device, |x| (x.abs() * 1e6 + 1e6).exp());
        assert_eq!(found.origin(), Origin::Activation("middle".to_string()));
        let middle = &found.activations[3];
        assert_eq!((middle.nan, middle.infinite, middle.elements), (0, 20, 20));
        let text = found.to_string();
        assert!(
            text.contains("> middle                   20 of 20 infinite: produced here"),
            "{text}"
        );
        assert!(text.ends_with("`middle` turns finite values into non-finite ones"), "{text}");
        // tanh of infinity is 1: what comes after may well be finite again.
        assert!(found.activations[4].is_finite());

        let found = of_healthy(device, |x| x.clone() - x.clone() + f32::NAN);
        assert_eq!(found.origin(), Origin::Activation("middle".to_string()));
        let text = found.to_string();
        assert!(text.contains("tanh                     20 of 20 NaN: passed on"), "{text}");
        assert!(text.contains("loss                     NaN or infinite"), "{text}");
    });
}

#[test]
fn a_bad_batch_a_bad_parameter_and_a_bad_loss_are_told_apart() {
    on_every_device(|device| {
        let mut batch = Batch::number(0, device);
        batch.x = with_first(batch.x, f32::NAN);
        let found = of(Net::new(device), batch, |x| x);
        assert_eq!(found.origin(), Origin::Batch("input".to_string()));

        let broken = poke(Net::new(device), "last.weight", f32::INFINITY);
        let found = of(broken, Batch::number(0, device), |x| x);
        assert_eq!(found.origin(), Origin::Parameter("last.weight".to_string()));
        assert!(found.to_string().contains("broken: parameter `last.weight`: 1 of 5 infinite"));

        let mut batch = Batch::number(0, device);
        batch.y = with_first(batch.y, f32::NAN);
        let found = of(Net::new(device), batch, |x| x);
        assert_eq!(found.origin(), Origin::Loss);
    });
}

/// The forward pass vanishes, and the derivative overflows: the same factors from the other end.
#[test]
fn a_backward_pass_that_breaks_is_named() {
    on_every_device(|device| {
        let found = of_healthy(device, |x| x.clone() * 1e-30 * 1e-30 * 1e30 * 1e30 + x);
        assert!(found.activations.iter().all(|a| a.is_finite()) && found.loss_is_finite);
        // Seen from the end, the gradients are finite up to the layer before that.
        assert_eq!(found.origin(), Origin::Gradient("norm.beta".to_string()));
        let text = found.to_string();
        assert!(
            text.contains("non-finite in 4 of 6; from the end of the model: `norm.beta`, …"),
            "{text}"
        );
        assert!(found.culprits.iter().all(|c| c.part == Part::Gradient));
    });
}

#[test]
fn headroom_counts_doublings_to_overflow() {
    on_every_device(|device| {
        let model: Linear = LinearConfig::new(2, 1).init(device);
        let types =
            [(DType::F32, 128.0 - 10.0), (DType::F16, 16.0 - 10.0), (DType::F64, 1024.0 - 10.0)];
        for (dtype, expected) in types {
            if !device.clone().inner().supports_dtype(dtype) {
                continue;
            }
            let found = blame(&model, |model, probe| {
                let x = Tensor::<2>::from_floats([[-1024.0, 2.0]], device).cast(dtype);
                let _ = probe.watch("x", x.clone());
                model.forward(x.cast(DType::F32)).mean()
            });
            let seen = &found.activations[0];
            assert_eq!(seen.largest, 1024.0);
            assert!((seen.headroom - expected).abs() < 0.01, "{dtype:?}: {}", seen.headroom);
        }
    });
}

/// Looking changes nothing: not the model, whose statistics the replay moves, and not the gradients.
#[test]
fn looking_leaves_no_trace() {
    on_every_device(|device| {
        let net = Net::new(device);
        let _ = net.forward(Batch::number(3, device).x);
        let before = bits(&net);
        let _ = blame(&net, |net, probe| loss(net, Batch::number(0, device), probe, |x| x));
        assert_eq!(bits(&net), before);
    });
    let device = Device::flex().autodiff();
    let x = Tensor::<2>::from_floats([[1.0, -2.0]], &device).require_grad();
    let off = Probe::off();
    assert!(!off.is_on());
    let y = off.watch("x", x.clone());
    let grads = (y * 3.0).sum().backward();
    assert_eq!(x.grad(&grads).unwrap().into_data().try_to_vec::<f32>().unwrap(), [3.0, 3.0]);
    let _ = Net::new(&device).num_params();
}
