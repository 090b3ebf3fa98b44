use super::slack::GROWTH;
use super::*;

const ADAM: Direction = Direction::Normalized { size: 1.0, fades: true };

fn stepped(
    parameters: impl IntoIterator<Item = Parameter>,
    direction: Direction,
) -> Vec<Parameter> {
    parameters.into_iter().map(|parameter| parameter.with_direction(direction)).collect()
}

fn started(tau: f64) -> DeepRelativeTrust {
    let mut bound = DeepRelativeTrust::new(tau).unwrap();
    let mut frozen = Parameter::new("c.weight", [5, 5], 50.0);
    frozen.trainable = false;
    // An rms of 0.5 and of 0.25, and a matrix of zeros: 0.1/√16.
    let mut parameters = vec![
        Parameter::new("a.weight", [4, 4], 2.0),
        Parameter::new("a.bias", [4], 9.0),
        Parameter::new("b.weight", [2, 2, 4, 4], 2.0),
        Parameter::new("zero.weight", [16, 3], 0.0),
    ];
    parameters = stepped(parameters, ADAM);
    parameters.push(frozen);
    bound.start(&parameters).unwrap();
    bound
}

fn layers(of: &[(&str, f64)]) -> Layers {
    let paths: Vec<String> = of.iter().map(|(path, _)| path.to_string()).collect();
    Layers::new(paths, of.iter().map(|(_, number)| *number).collect()).unwrap()
}

fn sizes(of: &[(&str, f64)]) -> Reading {
    let mut now = Reading::new(20);
    now.sizes = layers(of);
    now
}

#[test]
fn the_bound_is_that_of_the_formula() {
    let bound = started(0.46);
    assert!((bound.cap().unwrap() - 0.46 / (2.0 + 4.0 + 40.0)).abs() < 1e-15);
    // What a reading shows counts at once, and is kept if the step is applied.
    let now = sizes(&[("a.weight", 1.0), ("a.bias", 3.0), ("c.weight", 5.0)]);
    let seen = 0.46 / (4.0 + 4.0 + 40.0 + 1.0);
    assert!((bound.rate_at_most(&now, 0.1).unwrap() - seen).abs() < 1e-15);
    for (verdict, cap) in [(Verdict::Skip, 0.01), (Verdict::Apply, seen)] {
        let mut bound = bound.clone();
        bound.record(&now, 1.0, verdict);
        assert!((bound.cap().unwrap() - cap).abs() < 1e-15, "{verdict}");
    }
    // A model without a matrix is not bounded.
    let mut none = DeepRelativeTrust::default();
    let vectors = [Parameter::new("bias", [4], 1.0), Parameter::new("empty", [0, 4], 0.0)];
    none.start(&stepped(vectors, ADAM)).unwrap();
    assert_eq!(none.rate_at_most(&Reading::new(0), 1.0), None);
}

/// A snapshot or another bound may have asked for it.
#[test]
fn what_it_did_not_ask_for_is_not_seen() {
    let before = started(0.3);
    let mut early = sizes(&[("a.weight", 1.0)]);
    early.update = 21;
    let mut late = Reading::new(20);
    late.alignments = layers(&[("a.weight", 0.5)]);
    for now in [early, late] {
        let mut bound = before.clone();
        assert_eq!(bound.rate_at_most(&now, 1.0), before.cap());
        bound.record(&now, 1.0, Verdict::Apply);
        assert_eq!(bound, before);
    }
}

/// A matrix of four times its size counts as 1.5 times its size, one of zeros as 1.5 times its minimum, and both
/// still do after resuming with the grown weights.
#[test]
fn a_bound_does_not_grow_with_the_weights() {
    let matrices = [Parameter::new("a", [4, 4], 2.0), Parameter::new("b", [16, 3], 0.0)];
    let mut bound = DeepRelativeTrust::new(0.3).unwrap();
    bound.start(&stepped(matrices.clone(), ADAM)).unwrap();
    let grown = sizes(&[("a", 8.0), ("b", 100.0)]);
    bound.record(&grown, 1.0, Verdict::Apply);
    let expected = 0.3 / (1.0 / 0.75 + 40.0 / 1.5);
    assert!((bound.cap().unwrap() - expected).abs() < 1e-15);
    // Smaller matrices count at their actual size.
    let shrunk = sizes(&[("a", 1.0), ("b", 0.0)]);
    assert!((bound.rate_at_most(&shrunk, 1.0).unwrap() - 0.3 / (4.0 + 40.0)).abs() < 1e-15);

    let mut resumed = DeepRelativeTrust::new(0.3).unwrap();
    let later = [Parameter::new("a", [4, 4], 8.0), Parameter::new("b", [16, 3], 100.0)];
    resumed.start(&stepped(later, ADAM)).unwrap();
    resumed.restore(&bound.state()).unwrap();
    assert_eq!(resumed, bound);
}

/// The largest change counts, here that of the matrix of zeros.
#[test]
fn each_matrix_is_bounded_by_itself_where_that_is_asked_for() {
    let parameters = [
        Parameter::new("a.weight", [4, 4], 2.0),
        Parameter::new("b.weight", [2, 2, 4, 4], 2.0),
        Parameter::new("a.bias", [4], 1e-9),
    ];
    let mut bound = DeepRelativeTrust::per_matrix(0.01).unwrap();
    bound.start(&stepped(parameters, ADAM)).unwrap();
    assert!((bound.cap().unwrap() - 0.01 * 0.25).abs() < 1e-15);
    let said = DeepRelativeTrust::per_matrix(-1.0).unwrap_err().to_string();
    assert!(said.starts_with("`per_matrix` of DeepRelativeTrust must be a positive"), "{said}");
}

/// Gradients of rms 3 and 0 in two matrices, with momentum ½: sizes of 3, 4.5 and 5.25 times 2.
#[test]
fn descent_is_bounded_by_its_gradients() {
    let mut bound = DeepRelativeTrust::new(0.4).unwrap();
    let parameters = [Parameter::new("a", [4, 4], 2.0), Parameter::new("b", [4, 4], 2.0)];
    let momentum = Direction::Gradient { size: 2.0, momentum: 0.5 };
    bound.start(&stepped(parameters.clone(), momentum)).unwrap();
    assert!(bound.looks_at_gradients() && bound.cap().is_none());
    let paths = ["a".to_string(), "b".to_string()];
    let now = Reading::new(0).with_layers(Layers::new(paths, vec![24.0, 0.0]).unwrap());
    let tau = 0.4 * 0.5f64.sqrt();
    for size in [3.0, 4.5, 5.25] {
        let cap = bound.rate_at_most(&now, 0.5).unwrap();
        assert!((cap / (tau * 0.5 / (2.0 * size)) - 1.0).abs() < 1e-12, "{cap}");
        bound.record(&now, 0.5, Verdict::Skip);
        bound.record(&now, 0.5, Verdict::Apply);
    }
    // The size decays slowly.
    bound.record(&now, 0.0, Verdict::Apply);
    let cap = bound.cap().unwrap();
    assert!((cap / (tau * 0.5 / (2.0 * 5.25 * FORGET)) - 1.0).abs() < 1e-12, "{cap}");

    let said = DeepRelativeTrust::default().start(&parameters).unwrap_err().to_string();
    assert!(said.starts_with("`optimizer` of DeepRelativeTrust must be one whose"), "{said}");
    assert!(said.ends_with("got one of another kind for `a`"), "{said}");
}

/// Two matrices of 16 elements and rms ½ whose gradients have a known slope: τ grows slowly up to what the loss
/// can bear, falls at once, and is not relaxed before the loss has fallen.
#[test]
fn it_is_relaxed_as_far_as_the_loss_bears() {
    let parameters = [Parameter::new("a", [4, 4], 2.0), Parameter::new("b", [4, 4], 2.0)];
    let started = || {
        let mut bound = DeepRelativeTrust::new(0.3).unwrap().relaxed_to(2.0).unwrap();
        bound
            .start(&stepped(parameters.clone(), Direction::Normalized { size: 0.5, fades: true }))
            .unwrap();
        bound
    };
    // A cap of ½ at τ = 1, and a slope of ½·(4 + 4)·norm.
    let step = |bound: &mut DeepRelativeTrust, loss: f64, norm: f64| {
        let paths = ["a".to_string(), "b".to_string()];
        let layers = Layers::new(paths, vec![norm; 2]).unwrap();
        let now = Reading::new(50).with_loss(loss).with_layers(layers);
        bound.record(&now, 1.0, Verdict::Apply);
    };
    let mut bound = started();
    assert_eq!(bound.cap(), Some(0.15));
    (0..12).for_each(|_| step(&mut bound, 4.0, 1.0));
    assert_eq!(bound.tau(), 0.3, "the loss has not come down");
    // The loss falls to 2, which is also what is left: 2/(4·½) = 1 for a norm of 1.
    (0..5).for_each(|_| step(&mut bound, 2.0, 1.0));
    let grown = bound.tau();
    step(&mut bound, 2.0, 1.0);
    assert!(grown > 0.3 && (bound.tau() / grown - GROWTH).abs() < 1e-9);
    (0..200).for_each(|_| step(&mut bound, 2.0, 1.0));
    assert!((bound.tau() - 1.0).abs() < 1e-9, "{}", bound.tau());
    assert!((bound.cap().unwrap() - 0.5).abs() < 1e-9);
    // With a loss of 1 left, of 4, τ is half of that, and never less than its setting.
    (0..200).for_each(|_| step(&mut bound, 1.0, 1.0));
    assert!((bound.tau() - 0.5).abs() < 1e-9, "{}", bound.tau());
    (0..200).for_each(|_| step(&mut bound, 1.0, 1e9));
    assert_eq!(bound.tau(), 0.3);
    (0..400).for_each(|_| step(&mut bound, 1.0, 1e-9));
    assert_eq!(bound.tau(), 2.0);
    // A constant added to the loss changes nothing: a loss that started 100 higher has also fallen by 3.
    let mut other = started();
    (0..10).for_each(|_| step(&mut other, 104.0, 2.0));
    (0..300).for_each(|_| step(&mut other, 101.0, 2.0));
    assert!((other.tau() - 0.75).abs() < 1e-9, "{}", other.tau());
    // Nothing is known either for a parameter that is not in the model, or for a slope of 0.
    let foreign = Layers::new(["c".to_string()], vec![1.0]).unwrap();
    bound.record(&Reading::new(9).with_layers(foreign), 1.0, Verdict::Apply);
    assert_eq!(bound.tau(), 0.3);
    let mut flat = started();
    (0..50).for_each(|k| step(&mut flat, 1.0 / f64::from(k + 1), 0.0));
    assert_eq!(flat.tau(), 0.3);

    let mut resumed = started();
    resumed.restore(&other.state()).unwrap();
    assert_eq!(resumed, other);
    let mut narrow = DeepRelativeTrust::new(0.3).unwrap().relaxed_to(0.5).unwrap();
    narrow.start(&stepped(parameters, Direction::Normalized { size: 0.5, fades: true })).unwrap();
    narrow.restore(&other.state()).unwrap();
    assert_eq!(narrow.tau(), 0.5);
    let same = DeepRelativeTrust::new(0.3).unwrap();
    assert_eq!(same.clone().relaxed_to(0.3), Ok(same));
    let said = DeepRelativeTrust::new(0.3).unwrap().relaxed_to(0.2).unwrap_err().to_string();
    assert_eq!(
        said,
        "`relaxed_to` of DeepRelativeTrust must be a finite number of at least 0.3, got 0.2"
    );
}

#[test]
fn it_looks_at_first_and_then_now_and_then() {
    let bound = DeepRelativeTrust::default();
    let looks: Vec<u64> = (0..40).filter(|&update| bound.looks_at_sizes(update)).collect();
    assert_eq!(looks, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 30]);
    let bound = bound.every(7).unwrap();
    let looks: Vec<u64> = (0..30).filter(|&update| bound.looks_at_sizes(update)).collect();
    assert_eq!(looks, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 14, 21, 28]);
}

#[test]
fn its_state_resumes_it_and_what_is_wrong_is_named() {
    let mut bound = started(0.3);
    let now = sizes(&[("c.weight", 5.0), ("b.weight", 7.0)]);
    bound.record(&now, 1.0, Verdict::Apply);
    let mut fresh = started(0.3);
    fresh.restore(&bound.state()).unwrap();
    assert_eq!(fresh, bound);
    let mut other = DeepRelativeTrust::default();
    other.start(&stepped([Parameter::new("weight", [2, 2], 1.0)], ADAM)).unwrap();
    let said = other.restore(&bound.state()).unwrap_err().to_string();
    assert!(said.contains("of 4 matrices does not fit a model of 1"), "{said}");
    let names = ["rms", "first", "active", "orthogonal", "average", "highest"];
    let broken = names.iter().fold(State::new(), |s, name| s.with_list(name, vec![f64::NAN]));
    let broken = broken.with_list("steps", vec![1.0, -1.0]);
    assert!(other.restore(&broken).is_err());
    assert!(other.rate_at_most(&Reading::new(0), 1.0).is_some_and(f64::is_finite));

    let said = DeepRelativeTrust::new(0.0).unwrap_err().to_string();
    assert!(said.starts_with("`tau` of DeepRelativeTrust must be a positive"), "{said}");
    assert!(DeepRelativeTrust::default().every(0).is_err());
}

/// Each parameter is bounded as it is stepped: rms ½ and steps of ⅛ in one, by its gradient in another, and a
/// vector for which the step is unknown, so nothing is relaxed.
#[test]
fn each_parameter_is_bounded_as_it_is_stepped() {
    let muon = Parameter::new("a", [4, 4], 2.0);
    let muon = muon.with_direction(Direction::Normalized { size: 0.125, fades: false });
    let descent = Parameter::new("b", [4, 4], 2.0);
    let descent = descent.with_direction(Direction::Gradient { size: 1.0, momentum: 0.0 });
    let mut thawed = Parameter::new("c", [4, 4], 2.0);
    thawed.trainable = false;
    let mut bound = DeepRelativeTrust::new(0.3).unwrap().relaxed_to(2.0).unwrap();
    let known = [muon, descent, thawed, Parameter::new("bias", [4], 1.0)];
    bound.start(&known[..3]).unwrap();
    assert!(bound.looks_at_gradients());
    let step = |bound: &mut DeepRelativeTrust, norms: &[f64], loss: f64| {
        let paths = ["a", "b", "c", "bias"].map(String::from);
        let layers = Layers::new(paths[..norms.len()].to_vec(), norms.to_vec()).unwrap();
        let now = Reading::new(50).with_loss(loss).with_layers(layers);
        let cap = bound.rate_at_most(&now, 0.5).unwrap();
        bound.record(&now, 0.5, Verdict::Apply);
        cap
    };
    // Three quarters each for the first and the third, which is stepped like the first: steps of ⅛ that don't fade count
    // as ⅜. And ½·8/4/½ for the second.
    let cap = step(&mut bound, &[1.0, 8.0], 4.0);
    assert!((cap / (0.3 / (0.75 + 2.0)) - 1.0).abs() < 1e-12, "{cap}");
    let cap = step(&mut bound, &[1.0, 8.0, 1.0], 4.0);
    assert!((cap / (0.3 / (0.75 + 2.0 + 0.75)) - 1.0).abs() < 1e-12, "{cap}");
    // τ is relaxed to 1/(slope·cap of 1): ⅛·4·1 for the first and the third, ½·8² for the second.
    (0..10).for_each(|_| _ = step(&mut bound, &[1.0, 8.0, 1.0], 4.0));
    (0..300).for_each(|_| _ = step(&mut bound, &[1.0, 0.5, 1.0], 1.0));
    let slope = 0.125 * 4.0 + 0.5 * 0.25 + 0.125 * 4.0;
    let unit = 1.0 / (0.75 + 0.125 + 0.75);
    assert!((bound.tau() / (1.0 / (slope * unit)) - 1.0).abs() < 1e-6, "{}", bound.tau());

    let mut unsure = DeepRelativeTrust::new(0.3).unwrap().relaxed_to(2.0).unwrap();
    unsure.start(&known).unwrap();
    (0..300).for_each(|k| _ = step(&mut unsure, &[1e-3; 4], 1.0 / f64::from(k + 1)));
    assert_eq!(unsure.tau(), 0.3);
}

/// Momentum of ½ doubles what a step changes, and the loss has fallen by 1 from a mean of 4 over the first ten.
#[test]
fn what_momentum_carries_over_counts_and_the_first_losses_by_their_mean() {
    let mut bound = DeepRelativeTrust::new(0.01).unwrap().relaxed_to(1e3).unwrap();
    let momentum = Direction::Gradient { size: 1.0, momentum: 0.5 };
    bound.start(&stepped([Parameter::new("a", [4, 4], 2.0)], momentum)).unwrap();
    for k in 0..400 {
        let loss = if k >= 10 { 3.0 } else { 2.0 + 4.0 * f64::from(k % 2) };
        let now = Reading::new(50).with_loss(loss).with_layers(layers(&[("a", 1.0)]));
        bound.record(&now, 1.0, Verdict::Apply);
    }
    // An average of ½ over √½, in a matrix of rms ½.
    let (slope, unit) = (2.0, 0.5f64.sqrt());
    assert!((bound.tau() / (1.0 / (slope * unit)) - 1.0).abs() < 1e-6, "{}", bound.tau());
}

/// How the optimizer steps is found by trying it, on weights that differ when a run is resumed: LAMB's step is as
/// large as the weights.
#[test]
fn how_the_optimizer_steps_is_saved_unless_it_is_set_differently() {
    let of = |direction| {
        let mut bound = DeepRelativeTrust::new(0.3).unwrap();
        bound.start(&stepped([Parameter::new("weight", [2, 2], 1.0)], direction)).unwrap();
        bound
    };
    let adam = |size| Direction::Normalized { size, fades: true };
    let lion = Direction::Normalized { size: 1.0, fades: false };
    let momentum = |momentum| Direction::Gradient { size: 1.0, momentum };
    for (then, now, goes_on) in [
        (adam(1.001), adam(0.999), true),
        (momentum(0.899), momentum(0.901), true),
        (momentum(0.9), momentum(0.99), false),
        (adam(1.0), adam(0.1), true),
        (adam(1.0), momentum(0.0), false),
        (lion, lion, true),
        // Averages of earlier gradients may hide it.
        (adam(1.0), lion, true),
        (lion, momentum(0.0), false),
    ] {
        let (then, mut resumed) = (of(then), of(now));
        resumed.restore(&then.state()).unwrap();
        assert_eq!(resumed, if goes_on { then } else { of(now) }, "{now:?}");
    }
}

#[test]
fn each_number_of_a_damaged_state_is_refused() {
    let bound = started(0.3);
    let good = bound.state();
    for name in ["rms", "first", "active", "average", "highest"] {
        for bad in [f64::NAN, f64::INFINITY, -1.0] {
            let mut list = good.list(name).unwrap().to_vec();
            list[1] = bad;
            let damaged = good.clone().with_list(name, list);
            assert!(bound.clone().restore(&damaged).is_err(), "{name} = {bad}");
        }
    }
    for name in ["tau", "first"] {
        let slack = good.part("slack").with_number(name, f64::INFINITY);
        let damaged = good.clone().without_part("slack").with_part("slack", slack);
        assert!(bound.clone().restore(&damaged).is_err(), "{name}");
    }
}

fn angles(of: &[(&str, f64)]) -> Reading {
    let mut now = Reading::new(3);
    now.alignments = layers(of);
    now
}

/// Shares of 2, 4 and 40: those whose gradients are at right angles add up as the sides of one.
#[test]
fn matrices_without_a_scale_add_up_at_right_angles() {
    let near = |bound: &DeepRelativeTrust, all: f64| {
        let cap = bound.cap().unwrap();
        assert!((cap - 0.3 / all).abs() < 1e-15, "{cap} for {}", 0.3 / all);
    };
    // 16 elements and 64: what is left of an angle counts times 4 and 8.
    let (just, over) = ([0.02 / 4.0, 0.02 / 8.0], [0.0201 / 4.0, 0.0201 / 8.0]);
    let right = angles(&[("a.weight", just[0]), ("b.weight", just[1]), ("zero.weight", 1.0)]);
    let mut bound = started(0.3);
    // A gradient of 0, as behind a gain that starts at 0, says nothing.
    bound.record(&angles(&[("a.weight", f64::NAN), ("b.weight", f64::NAN)]), 1.0, Verdict::Apply);
    for seen in 0..5 {
        near(&bound, 46.0);
        bound.record(&right, 1.0, if seen == 2 { Verdict::Skip } else { Verdict::Apply });
    }
    near(&bound, 46.0);
    bound.record(&right, 1.0, Verdict::Apply);
    near(&bound, 40.0 + 20f64.sqrt());
    let mut resumed = started(0.3);
    resumed.restore(&bound.state()).unwrap();
    assert_eq!(resumed, bound);

    // Another angle, once, and it has a scale for good.
    bound.record(&angles(&[("a.weight", over[0]), ("b.weight", over[1])]), 1.0, Verdict::Apply);
    near(&bound, 46.0);
    (0..9).for_each(|_| bound.record(&right, 1.0, Verdict::Apply));
    near(&bound, 46.0);

    let bound = DeepRelativeTrust::default();
    assert!((0..10).all(|update| bound.looks_at_alignments(update)));
    assert!(!bound.looks_at_alignments(10));
    assert!(!DeepRelativeTrust::per_matrix(0.01).unwrap().looks_at_alignments(0));
}
