//! Access to the loss of a step.

use burn::tensor::Tensor;
use burn::train::{
    ClassificationOutput, MultiLabelClassificationOutput, RegressionOutput, SequenceOutput,
};

/// An output of a [`TrainStep`](burn::train::TrainStep) that exposes its loss. Burn's outputs implement it, and one of
/// your own [can implement it](super#an-output-of-your-own) in one line.
pub trait TrainLoss {
    /// Returns the loss whose gradients the step has computed, a tensor of one element.
    fn loss(&self) -> Tensor<1>;

    /// Returns the weight of this batch among those of one update, if the
    /// [trainer accumulates](super::KeelTrainer::accumulate): its number of samples or tokens, if the loss is a mean
    /// over them. The default is 1; Burn's outputs return their number of rows.
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
