use burn::data::dataloader::{DataLoaderBuilder, batcher::Batcher};
use burn::data::dataset::InMemDataset;
use burn::module::Module;
use burn::nn::loss::{MseLoss, Reduction};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use burn::train::metric::LossMetric;
use burn::train::{InferenceStep, RegressionOutput, SupervisedTraining, TrainOutput, TrainStep};
use evenkeel::Keel;
use evenkeel::optim::AdamW;
use evenkeel::schedule::{Cosine, Schedule};
use evenkeel::train::KeelTrainer;

#[derive(Module, Debug)]
struct Net {
    layer: Linear,
}

impl Net {
    fn output(&self, x: Tensor<2>) -> RegressionOutput {
        let (output, targets) = (self.layer.forward(x.clone()), x.sum_dim(1));
        let loss = MseLoss::new().forward(output.clone(), targets.clone(), Reduction::Mean);
        RegressionOutput { loss, output, targets }
    }
}

impl TrainStep for Net {
    type Input = Tensor<2>;
    type Output = RegressionOutput;

    fn step(&self, x: Tensor<2>) -> TrainOutput<RegressionOutput> {
        let output = self.output(x);
        TrainOutput::new(self, output.loss.backward(), output)
    }
}

impl InferenceStep for Net {
    type Input = Tensor<2>;
    type Output = RegressionOutput;

    fn step(&self, x: Tensor<2>) -> RegressionOutput {
        self.output(x)
    }
}

#[derive(Clone)]
struct Pairs;

impl Batcher<[f32; 2], Tensor<2>> for Pairs {
    fn batch(&self, items: Vec<[f32; 2]>, device: &Device) -> Tensor<2> {
        Tensor::<1>::from_floats(items.concat().as_slice(), device).reshape([-1, 2])
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pairs = |n: u16| (0..n).map(|k| [f32::from(k % 7) / 7.0, f32::from(k % 5) / 5.0]);
    let loader = |n| {
        let items = InMemDataset::new(pairs(n).collect());
        DataLoaderBuilder::new(Pairs).batch_size(32).build(items)
    };
    let (training, validation) = (loader(640), loader(160));
    let net = Net { layer: LinearConfig::new(2, 1).init(&Device::default().autodiff()) };

    let training = SupervisedTraining::new("run", training, validation)
        .metrics((LossMetric::new(),))
        .num_epochs(5);
    let schedule = Cosine::new(1.0, 0.0, 100)?.start();
    let keel = Keel::wrap(AdamW::new()).recommended();
    let trainer = KeelTrainer::new(schedule, keel).checkpoints("run");
    let net = trainer.launch(training, net).model.into_inner();
    println!("{} updates, weights: {}", trainer.updates(), net.layer.weight.val().into_data());
    Ok(())
}
