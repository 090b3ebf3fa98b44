//! Where the loss of a step is found.

use burn::tensor::Tensor;
use burn::train::{
    ClassificationOutput, MultiLabelClassificationOutput, RegressionOutput, SequenceOutput,
};

/// An output of a [`TrainStep`](burn::train::TrainStep) that shows its loss. Burn's outputs are; for one of your own:
///
/// ```
/// use burn::tensor::Tensor;
/// use evenkeel::train::TrainLoss;
///
/// struct Output {
///     loss: Tensor<1>,
/// }
///
/// impl TrainLoss for Output {
///     fn loss(&self) -> Tensor<1> {
///         self.loss.clone()
///     }
/// }
/// ```
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
