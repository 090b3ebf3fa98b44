//! What a keel says when it is in the way, and that the remedies it names are ones.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use evenkeel::clip::GlobalNorm;
use evenkeel::curvature::Governor;
use evenkeel::optim::Sgd;
use evenkeel::record::{Entry, FindingKind, History, findings};
use evenkeel::standardize::Standardize;
use evenkeel::{Keel, Verdict};

use crate::common::{filled, noise};

#[derive(Module, Debug)]
struct Line {
    layer: Linear,
}

impl Line {
    fn loss(&self, [x, y]: [Tensor<2>; 2]) -> Tensor<1> {
        (self.layer.forward(x) - y).powi_scalar(2).mean()
    }
}

/// A table as it was measured: columns of about 100 ± 40, and targets of 150 ± 80.
fn table(device: &Device) -> [Tensor<2>; 2] {
    let (rows, columns) = (64, 4);
    let x: Vec<f32> = noise(1, rows * columns).into_iter().map(|x| 100.0 + 140.0 * x).collect();
    let y = x.chunks(columns).map(|row| 150.0 + row[0] - row[1] + 0.5 * row[2] - 50.0).collect();
    [(x, columns), (y, 1)]
        .map(|(values, n)| Tensor::from_data(TensorData::new(values, [rows, n]), device))
}

/// The notices of a run, and its loss in units of the targets' variance.
fn run(data: [Tensor<2>; 2], rate: f64, governed: bool) -> (Vec<String>, f64) {
    let device = data[0].device();
    let mut model = filled(Line { layer: LinearConfig::new(4, 1).init(&device) }, 0);
    let governor = Governor::new(0.0).unwrap();
    let keel = Keel::wrap(Sgd::new());
    let mut keel = match governed {
        true => keel.bound(governor.clone()),
        false => keel.clip(GlobalNorm::at_most(1.0).unwrap()),
    }
    .build(&model)
    .unwrap();
    let (mut notices, mut history) = (Vec::new(), History::default());
    for _ in 0..200 {
        let loss_of = |model: &Line| model.loss(data.clone());
        let loss = loss_of(&model);
        let grads = GradientsParams::from_grads(loss.backward(), &model);
        if governed {
            governor.watch(keel.updates(), &model, &grads, loss_of).unwrap();
        }
        let stepped = keel.step(rate, model, grads, &loss).unwrap();
        assert_eq!(stepped.report.verdict, Verdict::Apply);
        history.push(&Entry::of(&stepped.report));
        notices.extend(stepped.report.notices);
        model = stepped.model;
    }
    let told: Vec<&str> = keel.incidents().notices().map(|(_, text)| text).collect();
    assert_eq!(told, notices);
    // What is said is in the record too, and so on the page.
    let signs =
        findings(&history).into_iter().filter(|finding| finding.check == FindingKind::Notice);
    assert_eq!(signs.count(), notices.len());
    let loss = f64::from(model.loss(data.clone()).into_scalar::<f32>());
    let y = data[1].clone();
    let variance = (y.clone() - y.mean_dim(0)).powi_scalar(2).mean().into_scalar::<f32>();
    (notices, loss / f64::from(variance))
}

#[test]
fn a_clip_that_takes_nearly_all_says_so_and_names_what_helps() {
    let device = Device::flex().autodiff();
    let (notices, loss) = run(table(&device), 1e-3, false);
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert!(notices[0].starts_with("the clips leave less than 1 % of each step: "), "{notices:?}");
    assert!(loss > 1.0, "worse than saying the mean: {loss}");

    // The first remedy: rates mean there what they usually do.
    let standardized =
        table(&device).map(|values| Standardize::fit([values.clone()]).unwrap().forward(values));
    let (notices, loss) = run(standardized, 0.1, false);
    assert!(notices.is_empty() && loss < 0.5, "{notices:?} {loss}");

    // The second.
    let (notices, loss) = run(table(&device), 1e-3, true);
    assert!(notices.is_empty() && loss < 0.9, "{notices:?} {loss}");
}
