//! Where a search starts: what is wrong there, and the first weights of its seeds.

use burn::nn::Linear;
use burn::tensor::Device;
use evenkeel::finder::{Refusal, ShortRun, StableRange, StableRate, fresh_run, short_run};
use evenkeel::optim::Sgd;

use super::dead::Raw;
use super::{bowl, geometric, loss, near, search};
use crate::common::{Batch, Net, filled, on_every_device};

/// What is wrong before any update is told at once, and named.
#[test]
fn a_loss_that_is_not_finite_from_the_start_is_no_search() {
    let told = |found: StableRange, why: Refusal, seed: u64| {
        assert_eq!(found.refusal(), Some(why), "{found}");
        assert_eq!((found.rate(), found.interval()), (None, None));
        assert_eq!(found.edges().len() as u64, seed);
        assert!(found.is_complete());
        assert!(
            found.to_string().contains(&format!("no rate: the {}", why.to_string().split_at(4).1))
        );
        assert!(found.to_string().contains(&format!("(seed {seed})")), "{found}");
    };
    for bad in [f64::NAN, f64::INFINITY] {
        let found = search().find(|_| Ok::<_, ()>(vec![bad])).unwrap();
        assert_eq!((found.updates(), found.points().len()), (1, 0));
        told(found, Refusal::NotFinite, 0);
    }
    // For the second seed alone.
    let second = |run: &ShortRun<'_>| {
        Ok::<_, ()>(match run.seed {
            1 => vec![f64::NAN],
            _ => geometric(run, |rate| 0.99 + 0.01 * (rate / 0.3)),
        })
    };
    let found = StableRate::new(200).unwrap().find(second).unwrap();
    told(found.clone(), Refusal::NotFinite, 1);
    // Mended, it goes on.
    let mended = |run: &ShortRun<'_>| Ok::<_, ()>(geometric(run, |rate| 0.99 + rate / 30.0));
    let found = StableRate::new(200).unwrap().resume(found, mended).unwrap();
    assert_eq!((found.refusal(), found.edges().len()), (None, 3));

    on_every_device(|device| {
        let find = |model: &Raw, poison: f32, power: f32| {
            let batch = |k| {
                let (x, y) = Raw::batch(k, device);
                (x * poison, y)
            };
            let loss = |model: &Raw, batch| model.loss(batch).powf_scalar(power);
            search().find(|run| short_run(model, Sgd::new(), run, batch, loss)).unwrap()
        };
        let sound = Raw::new(0, 8, device);
        told(find(&sound, f32::NAN, 1.0), Refusal::NotFinite, 0);
        told(find(&Raw::dead(device), 1.0, 1.0), Refusal::Dead { updates: 0 }, 0);
        // A finite loss with a gradient that is not: 0 times what overflows. By operations that every device has
        // exactly: what 1/√0 times 0 is, shader compilers do not agree on.
        let model = bowl(device);
        let zero = |m: &Linear, ()| {
            let w = m.weight.val();
            ((w.clone() - w.detach()) * 1e30 * 1e30).sum()
        };
        let found = search().find(|run| short_run(&model, Sgd::new(), run, |_| (), zero)).unwrap();
        told(found, Refusal::NotFinite, 0);
    });
}

/// An update that overflows, be it the first one, is the work of its rate.
#[test]
fn a_rate_that_overflows_at_once_is_no_fault_of_the_start() {
    let model = bowl(&Device::flex().autodiff());
    let short = StableRate::new(60).unwrap().seeds(1).unwrap();
    let wide = short.between(1e-10, 3e38).unwrap().start(2e38).unwrap();
    let found = wide
        .find(|run| short_run(&model, Sgd::new(), run, |_| (), |m, ()| loss(m, [0.5, 8.0])))
        .unwrap();
    assert_eq!(found.refusal(), None, "{found}");
    near(found.rate().unwrap(), 0.25);
    assert!(found.points()[0].lost && found.points()[0].start.is_finite());
}

/// The first loss of a seed is that of its first weights, as every seed has the same batch here.
#[test]
fn seeds_have_other_first_weights() {
    on_every_device(|device| {
        let model = Net::new(device);
        let batch = |_| Batch::number(0, device);
        let starts = |found: StableRange| -> Vec<f64> {
            let points = found.points().iter();
            let start = |seed| points.clone().filter(move |p| p.seed == seed).map(|p| p.start);
            (0..3)
                .map(|seed| {
                    // At every rate a seed begins at the same place.
                    assert!(start(seed).all(|x| x == start(seed).next().unwrap()));
                    start(seed).next().unwrap()
                })
                .collect()
        };
        let short = StableRate::new(10).unwrap();
        let own = f64::from(Net::loss(&model, batch(0)).into_scalar::<f32>());
        let one =
            starts(short.find(|run| short_run(&model, Sgd::new(), run, batch, Net::loss)).unwrap());
        assert_eq!(one[0], own);
        for other in [one[1], one[2]] {
            let moved = (other / own - 1.0).abs();
            assert!(moved > 1e-6 && moved < 0.1, "{one:?}");
        }
        assert_ne!(one[1], one[2]);
        // A model that is made for its seed is left as it is.
        let fresh = |seed| filled(Net::new(device), seed + 1);
        let of = |seed| f64::from(Net::loss(&fresh(seed), batch(0)).into_scalar::<f32>());
        let many =
            starts(short.find(|run| fresh_run(fresh, Sgd::new(), run, batch, Net::loss)).unwrap());
        assert_eq!(many, [of(0), of(1), of(2)]);
    });
}
