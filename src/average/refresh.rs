//! Running statistics for weights that no forward pass has seen.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;

use crate::running::Running;
use crate::shelf::Shelf;

/// The model with the running statistics of its BatchNorm layers computed anew: the mean, over the
/// batches, of each batch's own statistics.
///
/// `model` is in training mode, and `forward` runs a batch through it; what it returns is not used.
/// Without any running statistics, or without a batch, the model is returned as it is.
///
/// Averaged weights need this, because the statistics that were kept belong to other weights. It is
/// `update_bn` of torch: every batch counts the same, where continuing the running average would give
/// the last batches more weight. A batch's own statistics are not shown by a layer, only the running
/// ones after them, `(1 − m)·r + m·b`; so the running ones are set to 0 before each batch, and `m` is
/// found by setting them to a large number before one.
///
/// # Cost
/// One forward pass for each batch, and one more.
///
/// ```
/// use burn::module::Module;
/// use burn::nn::BatchNormConfig;
/// use burn::tensor::{Device, Tensor};
/// use evenkeel::average::refresh_statistics;
///
/// let device = Device::default().autodiff();
/// let norm = BatchNormConfig::new(1).init(&device);
/// let batches = [1.0, 3.0].map(|x| Tensor::<2>::from_floats([[x], [x]], &device));
/// let norm = refresh_statistics(norm, batches, |norm, batch| drop(norm.forward(batch)));
/// let mean: f32 = norm.running_mean.value_sync().into_scalar();
/// assert!((mean - 2.0).abs() < 1e-5);
/// ```
#[doc(alias = "update_bn")]
pub fn refresh_statistics<M: Module, B: Clone>(
    model: M,
    batches: impl IntoIterator<Item = B>,
    mut forward: impl FnMut(&M, B),
) -> M {
    /// So large that a batch's statistics, which may differ from pass to pass where there is dropout,
    /// are nothing beside it.
    const LARGE: f64 = 1e6;

    let mut running = Running::of(&model);
    let ids: Vec<ParamId> = running.ids().collect();
    let mut batches = batches.into_iter().peekable();
    let Some(first) = batches.peek().cloned().filter(|_| !ids.is_empty()) else { return model };

    // r = (1 − m)·LARGE + m·b, so that r/LARGE is 1 − m but for rounding.
    let mut model = filled(model, &ids, LARGE);
    forward(&model, first);
    let kept = Seen::of(&model, &running, &ids);

    let mut sums = Shelf::default();
    let mut count = 0u64;
    for batch in batches {
        model = filled(model, &ids, 0.0);
        forward(&model, batch);
        let seen = Seen::of(&model, &running, &ids);
        model.visit(&mut Add { sums: &mut sums, seen: &seen, kept: &kept, large: LARGE });
        count += 1;
    }
    let model = model.map(&mut PutMean { sums: &sums, count });
    running.commit(&model);
    running.restore(model)
}

/// The running statistics of the model, each filled with one number.
fn filled<M: Module>(model: M, ids: &[ParamId], value: f64) -> M {
    struct Fill<'a>(&'a [ParamId], f64);

    impl ModuleMapper for Fill<'_> {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            match self.0.contains(&param.id) {
                true => param.map(|tensor| tensor.full_like(self.1)),
                false => param,
            }
        }
    }

    // An update that is still held back would come up later, over the number.
    let _ = model.valid();
    model.map(&mut Fill(ids, value))
}

/// The statistics that a forward pass has left.
struct Seen;

impl Seen {
    fn of<M: Module>(model: &M, running: &Running, ids: &[ParamId]) -> Shelf {
        struct Collect<'a>(&'a [ParamId], Shelf);

        impl ModuleVisitor for Collect<'_> {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                if self.0.contains(&param.id) {
                    self.1.put(param.id, param.base().without_autodiff());
                }
            }
        }

        running.settle(model);
        let mut collect = Collect(ids, Shelf::default());
        model.visit(&mut collect);
        collect.1
    }
}

/// Adds a batch's own statistics to their sum: `b = r/m`, with `m = 1 − kept/large`.
struct Add<'a> {
    sums: &'a mut Shelf,
    seen: &'a Shelf,
    kept: &'a Shelf,
    large: f64,
}

impl ModuleVisitor for Add<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let (Some(seen), Some(kept)) = (self.seen.get::<D>(param.id), self.kept.get::<D>(param.id))
        else {
            return;
        };
        let m = kept.div_scalar(self.large).neg().add_scalar(1.0);
        let batch = seen / m;
        let sum = match self.sums.take::<D>(param.id) {
            Some(sum) => sum + batch,
            None => batch,
        };
        self.sums.put(param.id, sum);
    }
}

struct PutMean<'a> {
    sums: &'a Shelf,
    count: u64,
}

impl ModuleMapper for PutMean<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.sums.get::<D>(param.id) {
            None => param,
            Some(sum) => param.map(|old| match old.is_autodiff() {
                true => Tensor::from_inner(sum.div_scalar(self.count as f64)),
                false => sum.div_scalar(self.count as f64),
            }),
        }
    }
}
