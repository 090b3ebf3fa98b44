//! Initial weights of residual branches.

use burn::module::{Module, ParamGroup};

use super::{Change, Changes};
use crate::error::check::Param;
use crate::{Error, fit, tie};

/// Multiplies the last weight of each residual branch by `1/√branches`, so that the sum over all branches has the variance
/// of one.
///
/// ```text
/// x ← x + f₁(x), …, x ← x + f_n(x)      W_last ← W_last/√n
/// ```
///
/// Without it the variance of the residual stream grows with the number of branches. `last` selects the weights: in a
/// transformer the output projections of attention and feed-forward layers, two branches for each block.
///
/// ```
/// use burn::module::ParamGroup;
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::{Device, Tensor};
/// use evenkeel::init::scale_residuals;
///
/// let device = Device::default().autodiff();
/// let branches: Vec<Linear> = (0..4).map(|_| LinearConfig::new(3, 3).init(&device)).collect();
/// let number = |branches: &[Linear]| branches[0].weight.val().into_data().iter::<f32>().next();
///
/// let before = number(&branches).unwrap();
/// let branches = scale_residuals(branches, 4, &ParamGroup::from_predicate("weight"))?;
/// assert_eq!(number(&branches), Some(before / 2.0));
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// # Errors
/// If there is no branch, or `last` contains no float parameter of the model.
///
/// # Cost
/// Two passes over the parameters, and one over the elements of those selected. A weight that is used in several places
/// is scaled once.
///
/// # Source
/// Radford et al., "Language models are unsupervised multitask learners" (GPT-2), 2019, section 2.3.
pub fn scale_residuals<M: Module>(model: M, branches: u64, last: &ParamGroup) -> Result<M, Error> {
    let branches = Param("scale_residuals", "branches").at_least(1, branches)?;
    let times = Change::Times((branches as f64).sqrt().recip());
    let places = fit::places(&model).into_iter();
    let matching = places.filter(|(id, path)| last.matches(id, Some(path)));
    let of: Vec<_> = matching.map(|(id, _)| (id, times)).collect();
    let must = "a group that some parameter of the model is in";
    Param("scale_residuals", "last").must(!of.is_empty(), must, "one without any")?;
    Ok(tie(model.map(&mut Changes { of: &of })))
}
