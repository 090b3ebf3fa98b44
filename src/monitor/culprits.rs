//! Culprits: the tensors that hold non-finite values. Searched only after a fault.

use std::collections::HashSet;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Bool, Tensor};

use super::Monitor;
use crate::report::{Culprit, Part};
use crate::widen::widened;

/// Returns the tensors of `model`, and of `grads` if there are any, that hold a non-finite value or whose squares
/// overflow, the likeliest origin first.
///
/// Non-finite parameters come first, because they make everything else non-finite. Then come the gradients, from
/// the end of the model to its start, the direction in which a backward pass propagates NaN. Statistics come
/// last.
///
/// # Cost
/// Up to three readbacks for every parameter and gradient. Healthy steps do not incur it.
pub(crate) fn culprits<M: Module>(
    model: &M,
    grads: Option<&GradientsParams>,
    monitor: &Monitor,
) -> Vec<Culprit> {
    let mut search = Search {
        grads,
        monitor,
        seen: HashSet::new(),
        parameters: Vec::new(),
        gradients: Vec::new(),
        statistics: Vec::new(),
    };
    model.visit(&mut search);
    let Search { mut parameters, gradients, statistics, .. } = search;
    parameters.extend(gradients.into_iter().rev());
    parameters.extend(statistics);
    parameters
}

struct Search<'a> {
    grads: Option<&'a GradientsParams>,
    monitor: &'a Monitor,
    seen: HashSet<ParamId>,
    parameters: Vec<Culprit>,
    gradients: Vec<Culprit>,
    statistics: Vec<Culprit>,
}

impl ModuleVisitor for Search<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !self.seen.insert(param.id) {
            return;
        }
        let path = self.monitor.layout.path(param.id);
        let culprit = |part, tensor| Some(Culprit::new(path.to_string(), part, count(tensor)?));
        let value = param.base().without_autodiff();

        if self.monitor.statistics.contains(&param.id) {
            self.statistics.extend(culprit(Part::Statistic, value));
            return;
        }
        // An attention mask may hold infinities on purpose; NaN is never intended.
        let meant = |found: &Culprit| found.nan == 0 && !param.is_require_grad();
        self.parameters.extend(culprit(Part::Parameter, value).filter(|found| !meant(found)));
        if let Some(grad) = self.grads.and_then(|grads| grads.get::<D>(param.id)) {
            self.gradients.extend(culprit(Part::Gradient, grad));
        }
    }
}

/// Counts NaN elements, infinite elements, and all elements; `None` if nothing is wrong, or if the device cannot
/// be read: a failed device says nothing about culprits.
fn count<const D: usize>(tensor: Tensor<D>) -> Option<[usize; 3]> {
    let elements = tensor.shape().num_elements();
    let nan = how_many(tensor.clone().is_nan())?;
    let infinite = how_many(tensor.clone().is_inf())?;
    let overflows = || {
        let wide = widened(tensor.clone());
        let data = (wide.clone() * wide).sum().try_into_data().ok()?;
        data.convert::<f64>().iter::<f64>().next().map(|sum| !sum.is_finite())
    };
    match (nan, infinite) {
        (0, 0) => overflows()?.then_some([0, 0, elements]),
        _ => Some([nan, infinite, elements]),
    }
}

/// Counts the true elements; `None` if the device cannot be read.
pub(super) fn how_many<const D: usize>(flags: Tensor<D, Bool>) -> Option<usize> {
    let data = flags.int().sum().try_into_data().ok()?;
    data.convert::<i64>().iter::<i64>().next().and_then(|n| usize::try_from(n).ok())
}
