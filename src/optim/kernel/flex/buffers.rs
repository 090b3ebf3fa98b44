//! Buffers that may be written, and what to do with those that others hold too.

use burn::backend::flex::FlexTensor;
use burn::tensor::Element;

/// Makes `tensor` one that may be written in place: over a buffer of its own, whose elements are
/// its elements, in its order.
///
/// If somebody else holds its buffer, the new values go into another one, and the old ones, which
/// are returned, are read on the way: a copy made first would be two more passes, on one core.
pub(super) fn own(tensor: &mut FlexTensor) -> Option<FlexTensor> {
    make_dense(tensor);
    match tensor.is_unique() {
        true => None,
        false => {
            let new = FlexTensor::empty(tensor.layout().shape().clone(), tensor.dtype());
            Some(std::mem::replace(tensor, new))
        }
    }
}

/// Makes `tensor` one over a buffer whose elements are its elements, in its order.
pub(super) fn make_dense(tensor: &mut FlexTensor) {
    let layout = tensor.layout();
    let whole = tensor.bytes().len() == layout.num_elements() * tensor.dtype().size();
    if !(whole && layout.is_contiguous() && layout.start_offset() == 0) {
        *tensor = tensor.to_contiguous();
    }
}

/// Elements to be written, and where their old values are if not there.
pub(super) struct Place<'a, E> {
    from: Option<&'a [E]>,
    to: &'a mut [E],
}

impl<'a, E: Element + bytemuck::Pod> Place<'a, E> {
    /// The elements of two tensors, which must be of type `E` and of one size.
    pub(super) fn new(to: &'a mut FlexTensor, from: Option<&'a FlexTensor>) -> Self {
        Self { from: from.map(FlexTensor::storage), to: to.storage_mut() }
    }
}

impl<'a, E: Copy> Place<'a, E> {
    pub(super) const fn nowhere() -> Self {
        Self { from: None, to: &mut [] }
    }

    pub(super) fn len(&self) -> usize {
        self.to.len()
    }

    /// Takes the first `n` elements off, or what there is.
    pub(super) fn split_off(&mut self, n: usize) -> Self {
        let n = n.min(self.to.len());
        Self {
            from: self.from.as_mut().and_then(|from| from.split_off(..n)),
            to: self.to.split_off_mut(..n).unwrap_or_default(),
        }
    }

    /// The elements, with their old values in them.
    pub(super) fn filled(self) -> &'a mut [E] {
        if let Some(from) = self.from {
            self.to.copy_from_slice(from);
        }
        self.to
    }
}

/// Takes the first `n` elements off, or what there is.
pub(super) fn split_off<'a, E>(slice: &mut &'a [E], n: usize) -> &'a [E] {
    let n = n.min(slice.len());
    slice.split_off(..n).unwrap_or_default()
}
