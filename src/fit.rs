//! Checks that per-parameter settings and state fit a model.

use std::collections::HashMap;

use burn::module::{Module, ModuleVisitor, Param, ParamGroup, ParamId};
use burn::tensor::Tensor;

use crate::Error;

/// Checks that each group given to `owner` contains some float parameter of `model`: a group with a misspelt path would
/// otherwise be ignored silently.
pub(crate) fn check_groups<'a, M: Module>(
    owner: &'static str,
    groups: impl IntoIterator<Item = &'a ParamGroup>,
    model: &M,
) -> Result<(), Error> {
    let found = places(model);
    let is_empty =
        |group: &&ParamGroup| !found.iter().any(|(id, path)| group.matches(id, Some(path)));
    match groups.into_iter().find(is_empty) {
        None => Ok(()),
        Some(group) => {
            let must = "a group that some parameter of the model is in";
            Err(Error::parameter(owner, "with_group", must, name(group)))
        }
    }
}

/// Returns the ids and paths of the float parameters of `model`, in every place of each.
pub(crate) fn places<M: Module>(model: &M) -> Vec<(ParamId, String)> {
    let mut walk = Walk::default();
    model.visit(&mut walk);
    walk.found
}

/// Returns the shapes of the float parameters of `model`.
pub(crate) fn shapes<M: Module>(model: &M) -> HashMap<ParamId, Vec<usize>> {
    struct Shapes(HashMap<ParamId, Vec<usize>>);

    impl ModuleVisitor for Shapes {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.insert(param.id, param.base().dims().to_vec());
        }
    }

    let mut found = Shapes(HashMap::new());
    model.visit(&mut found);
    found.0
}

/// Returns a name that distinguishes a group from others; Burn shows it only by `Debug`.
fn name(group: &ParamGroup) -> String {
    const LONGEST: usize = 80;
    let text = format!("{group:?}");
    let text = text.strip_prefix("ParamGroup { matcher: ").unwrap_or(&text);
    let text = text.strip_suffix(", excludes: None }").unwrap_or(text);
    match text.char_indices().nth(LONGEST) {
        // The ids of a whole model would be too long for a name.
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_string(),
    }
}

#[derive(Default)]
struct Walk {
    path: Vec<String>,
    found: Vec<(ParamId, String)>,
}

impl ModuleVisitor for Walk {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.found.push((param.id, self.path.join(".")));
    }
}
