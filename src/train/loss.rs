//! Where the loss of a step is found.

use burn::tensor::Tensor;
use burn::train::{
    ClassificationOutput, MultiLabelClassificationOutput, RegressionOutput, SequenceOutput,
};

/// An output of a [`TrainStep`](burn::train::TrainStep) that shows its loss: Burn's are, and one of your own
/// [becomes one](super#an-output-of-your-own) by one line.
pub trait TrainLoss {
    /// The loss whose gradients the step has made, of one element.
    fn loss(&self) -> Tensor<1>;

    /// How much this batch counts among those of one update, if the [trainer accumulates](super::KeelTrainer::accumulate):
    /// its samples or its tokens, if the loss is a mean over them. 1 unless overridden; the rows, of Burn's outputs.
    fn weight(&self) -> f64 {
        1.0
    }
}

macro_rules! shows_its_loss {
    ($($output:ident),*) => {$(
        impl TrainLoss for $output {
            fn loss(&self) -> Tensor<1> {
                self.loss.clone()
            }

            fn weight(&self) -> f64 {
                self.targets.dims()[0].max(1) as f64
            }
        }
    )*};
}

shows_its_loss!(
    ClassificationOutput,
    MultiLabelClassificationOutput,
    RegressionOutput,
    SequenceOutput
);
