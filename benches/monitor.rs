//! The overhead of watching a training run: ten steps, one of them sampled, with a watch and without.
//!
//!     cargo bench --bench monitor
//!     cargo bench --bench monitor --features wgpu -- --device wgpu
//!
//! The model is a perceptron of 4.2 million parameters, with batches of 64 and the same guarded optimizer on both
//! sides. `--only NAME` runs the cases whose name contains it; `--seconds S` sets the time for each case.

mod common;

use std::time::{Duration, Instant};

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Distribution, Tensor};
use common::{argument, device, heading, median, paired, report, timed};
use evenkeel::Keel;
use evenkeel::monitor::{Probe, Watch};

const WIDTH: usize = 1024;
const BATCH: usize = 64;
const EVERY: u64 = 10;

#[derive(Module, Debug)]
struct Perceptron {
    layers: Vec<Linear>,
}

impl Perceptron {
    fn new(device: &Device) -> Self {
        Self { layers: (0..4).map(|_| LinearConfig::new(WIDTH, WIDTH).init(device)).collect() }
    }

    fn backward(&self, x: Tensor<2>, probe: &Probe) -> (Tensor<1>, GradientsParams) {
        const NAMES: [&str; 4] = ["first", "second", "third", "last"];
        let layers = self.layers.iter().zip(NAMES);
        let y =
            layers.fold(x.clone(), |x, (layer, name)| probe.watch(name, relu(layer.forward(x))));
        let loss = (y - x).powi_scalar(2).mean();
        let grads = GradientsParams::from_grads(loss.backward(), self);
        (loss, grads)
    }
}

/// One side of a comparison.
struct Side {
    keel: Keel<Perceptron>,
    model: Option<Perceptron>,
    watch: Option<Watch>,
    /// The time inside the watch's own calls, and in total.
    within: [Duration; 2],
    /// Seconds of sampled steps, and of the others.
    steps: [Vec<f64>; 2],
}

impl Side {
    fn new(device: &Device, ours: bool, watch: Option<Watch>) -> Self {
        let model = Perceptron::new(device);
        let builder = match ours {
            true => Keel::wrap(evenkeel::optim::AdamW::default()),
            false => Keel::wrap(AdamWConfig::new().init()),
        };
        Self {
            keel: builder.build(&model).expect("a keel"),
            model: Some(model),
            watch,
            within: Default::default(),
            steps: Default::default(),
        }
    }

    fn ten(&mut self, x: &Tensor<2>, plain: &Device) -> Duration {
        let mut model = self.model.take().expect("the model");
        let probe = self.watch.as_ref().map_or_else(Probe::off, Watch::probe);
        let (model, time) = timed(|| {
            for at in 0..EVERY {
                let begun = Instant::now();
                let (loss, grads) = model.backward(x.clone(), &probe);
                if let Some(watch) = &mut self.watch {
                    self.within[0] += timed(|| watch.look(&model, &grads)).1;
                }
                let stepped = self.keel.step(1e-4, model, grads, &loss).expect("a step");
                if let Some(watch) = &mut self.watch {
                    let (seen, time) = timed(|| {
                        watch.second_moments(|| self.keel.second_moments());
                        watch.observe(&stepped.model, &stepped.report)
                    });
                    std::hint::black_box(seen.expect("a device"));
                    self.within[0] += time;
                }
                model = stepped.model;
                self.steps[usize::from(at > 0)].push(begun.elapsed().as_secs_f64());
            }
            plain.sync().expect("a device");
            model
        });
        self.model = Some(model);
        self.within[1] += time;
        time
    }
}

fn main() {
    let plain = device();
    let device = plain.clone().autodiff();
    let seconds = argument("--seconds").map_or(10.0, |s| s.parse().expect("a number of seconds"));
    let only = argument("--only").unwrap_or_default();
    println!("on {plain:?}");
    heading("ten steps, one of them sampled", "the same ten steps, unwatched");

    let x = Tensor::random([BATCH, WIDTH], Distribution::Normal(0.0, 1.0), &device);
    let every = || Watch::every(EVERY).expect("a setting").group("layers");
    let directions = || every().directions(10).expect("a setting");
    type Case<'a> = (&'a str, bool, &'a dyn Fn() -> Watch);
    let cases: [Case<'_>; 4] = [
        ("Burn's AdamW, norms", false, &every),
        ("Burn's AdamW, everything", false, &directions),
        ("our AdamW, norms", true, &every),
        ("our AdamW, everything", true, &directions),
    ];
    for (case, ours, watch) in cases.into_iter().filter(|(case, ..)| case.contains(&only)) {
        let mut watched = Side::new(&device, ours, Some(watch()));
        let mut bare = Side::new(&device, ours, None);
        let budget = Duration::from_secs_f64(seconds);
        report(
            "monitor",
            case,
            &paired(2, budget, || watched.ten(&x, &plain), || bare.ten(&x, &plain)),
        );
        // Less noisy than the ratio: first the time in the watch's own calls, which excludes what the watch costs
        // others by holding tensors; then the extra time of the sampled step, apart from the other steps, whose
        // difference is noise.
        let [within, all] = watched.within.map(|time| time.as_secs_f64());
        println!("    in the watch's own calls: {:.2} % of the ten steps", 100.0 * within / all);
        let [sampled, other] = watched.steps.map(|mut seconds| median(&mut seconds));
        let [first, bare] = bare.steps.map(|mut seconds| median(&mut seconds));
        let all = first + 9.0 * bare;
        println!(
            "    by medians of single steps: the sampled one {:.2} % of ten, the others {:.2} %",
            100.0 * (sampled - first) / all,
            900.0 * (other - bare) / all,
        );
    }
}
