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
}

macro_rules! shows_its_loss {
    ($($output:ty),*) => {$(
        impl TrainLoss for $output {
            fn loss(&self) -> Tensor<1> {
                self.loss.clone()
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
