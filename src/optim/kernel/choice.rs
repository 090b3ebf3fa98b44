//! Plans of which only the device knows which one it is.
//!
//! Where a step is decided on the device, the host does not know how many updates a tensor has seen,
//! and so which correction of bias is due. It plans for every number that is possible, and the device
//! picks by its own count.

use std::cell::RefCell;
use std::collections::HashMap;

use burn::tensor::{DType, Device, Int, Tensor};

use super::plan::Plan;

/// What is to be done to a tensor: one plan, or one for each number of updates that it may have seen.
#[derive(Clone, Copy)]
pub(crate) enum Plans<'a> {
    One(&'a Plan),
    /// Never none.
    Any(&'a [Plan], &'a Picker),
}

impl<'a> Plans<'a> {
    pub(super) fn first(self) -> &'a Plan {
        match self {
            Self::One(plan) => plan,
            Self::Any(plans, _) => &plans[0],
        }
    }

    #[cfg(feature = "cube")]
    pub(super) fn all(self) -> &'a [Plan] {
        match self {
            Self::One(plan) => std::slice::from_ref(plan),
            Self::Any(plans, _) => plans,
        }
    }

    #[cfg(feature = "cube")]
    pub(super) fn picker(self) -> Option<&'a Picker> {
        match self {
            Self::One(_) => None,
            Self::Any(_, picker) => Some(picker),
        }
    }

    /// The same for one kind of plan, with numbers for a tensor at `at`.
    pub(super) fn choice<P: Copy>(
        self,
        at: (&Device, DType),
        of: impl Fn(&Plan) -> Option<P>,
    ) -> Choice<'a, P> {
        let (plans, picker) = match self {
            Self::One(plan) => (of(plan).into_iter().collect(), None),
            Self::Any(plans, picker) => (plans.iter().filter_map(of).collect(), Some(picker)),
        };
        Choice { plans, picker, device: at.0.clone(), wide: at.1 }
    }
}

/// Plans of one kind.
pub(super) struct Choice<'a, P> {
    plans: Vec<P>,
    picker: Option<&'a Picker>,
    device: Device,
    wide: DType,
}

impl<P: Copy> Choice<'_, P> {
    pub(super) fn first(&self) -> P {
        self.plans[0]
    }

    /// A number of the plan: known if it is the same in all.
    pub(super) fn number(&self, of: impl Fn(&P) -> f64) -> Number {
        let first = of(&self.plans[0]);
        match self.picker {
            Some(picker) if self.plans.iter().any(|plan| of(plan) != first) => {
                let values = self.plans.iter().map(of).collect();
                Number::Picked(Box::new(picker.pick(values, &self.device, self.wide)))
            }
            _ => Number::Known(first),
        }
    }
}

/// A number of a plan.
pub(super) enum Number {
    Known(f64),
    /// A tensor of one element.
    Picked(Box<Tensor<1>>),
}

impl Number {
    pub(super) fn times<const D: usize>(&self, tensor: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Known(x) => tensor * *x,
            Self::Picked(x) => tensor * x.as_ref().clone().reshape([1; D]),
        }
    }

    pub(super) fn plus<const D: usize>(&self, tensor: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Known(x) => tensor + *x,
            Self::Picked(x) => tensor + x.as_ref().clone().reshape([1; D]),
        }
    }

    pub(super) fn at_least<const D: usize>(&self, tensor: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Known(x) => tensor.clamp_min(*x),
            Self::Picked(x) => {
                let x = x.as_ref().clone().reshape([1; D]).expand(tensor.shape());
                tensor.max_pair(x)
            }
        }
    }

    /// Kept within this number on both sides of 0.
    pub(super) fn within<const D: usize>(&self, tensor: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Known(x) => tensor.clamp(-x, *x),
            Self::Picked(x) => {
                let x = x.as_ref().clone().reshape([1; D]).expand(tensor.shape());
                tensor.min_pair(x.clone()).max_pair(-x)
            }
        }
    }
}

/// Picks numbers by a count on the device.
pub(crate) struct Picker {
    count: Tensor<1, Int>,
    /// What was picked already: most tensors of a model ask for the same.
    picked: RefCell<HashMap<(Vec<u64>, DType), Tensor<1>>>,
}

impl Picker {
    pub(crate) fn new(count: Tensor<1, Int>) -> Self {
        Self { count, picked: RefCell::default() }
    }

    /// The count itself.
    #[cfg(feature = "cube")]
    pub(super) fn count(&self) -> Tensor<1, Int> {
        self.count.clone()
    }

    /// The one of `values` that the count says.
    fn pick(&self, values: Vec<f64>, device: &Device, wide: DType) -> Tensor<1> {
        let bits = values.iter().map(|value| value.to_bits()).collect();
        let mut picked = self.picked.borrow_mut();
        let number = picked.entry((bits, wide)).or_insert_with(|| {
            let table = Tensor::<1>::from_data(values.as_slice(), (&self.count.device(), wide));
            table.select(0, self.count.clone())
        });
        match number.device() == *device {
            true => number.clone(),
            false => number.clone().to_device(device),
        }
    }
}
