//! Harm to gradients, which are found through the model.

use std::collections::HashSet;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use super::{Harm, Place, draw};
use crate::Error;
use crate::monitor::Layout;

/// Returns the gradients with `harm` done to those that `place` selects, and the paths of these.
pub(super) fn harmed<M: Module>(
    model: &M,
    grads: GradientsParams,
    harm: Harm,
    place: &Place,
    word: u64,
) -> Result<(GradientsParams, Vec<String>), Error> {
    let mut having = Having { grads: &grads, ids: Vec::new() };
    model.visit(&mut having);
    let layout = Layout::of(model);
    let mut targets: Vec<(ParamId, String)> =
        having.ids.into_iter().map(|id| (id, layout.path(id).to_string())).collect();
    match place {
        Place::Gradient(at) => {
            targets.retain(|(_, path)| is_under(path, at));
            if targets.is_empty() {
                let must = "the path of a parameter that has a gradient, or the start of one";
                return Err(Error::parameter("Place", "Gradient", must, format_args!("{at:?}")));
            }
        }
        Place::AnyGradient if !targets.is_empty() => {
            targets = vec![targets.swap_remove(draw::below(targets.len(), word))];
        }
        _ => {}
    }
    let ids = targets.iter().map(|(id, _)| *id).collect();
    let mut harming = Harming { grads, ids, harm, word };
    model.visit(&mut harming);
    let grads = harming.grads;
    Ok((grads, targets.into_iter().map(|(_, path)| path).collect()))
}

/// Returns whether `path` is `at` or under it.
fn is_under(path: &str, at: &str) -> bool {
    path.strip_prefix(at).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The parameters that have a gradient, each once.
struct Having<'a> {
    grads: &'a GradientsParams,
    ids: Vec<ParamId>,
}

impl ModuleVisitor for Having<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.grads.get::<D>(param.id).is_some() && !self.ids.contains(&param.id) {
            self.ids.push(param.id);
        }
    }
}

struct Harming {
    grads: GradientsParams,
    /// The parameters still to be harmed: a parameter used in two places is visited twice.
    ids: HashSet<ParamId>,
    harm: Harm,
    word: u64,
}

impl ModuleVisitor for Harming {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.ids.remove(&param.id)
            && let Some(grad) = self.grads.remove::<D>(param.id)
        {
            self.grads.register(param.id, self.harm.on(grad, self.word));
        }
    }
}
