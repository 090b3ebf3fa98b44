//! What is called wrongly says so, and changes nothing.

use std::error::Error;

use crate::common::{Batch, Net, on_every_device};
use burn::optim::SgdConfig;
use evenkeel::clip::GlobalNorm;
use evenkeel::{Keel, Verdict};

/// What `main` prints of an error that it returns.
fn printed(error: impl Into<Box<dyn Error>>) -> String {
    format!("{:?}", error.into())
}

#[test]
fn an_error_that_main_returns_is_printed_as_a_sentence() {
    let error = GlobalNorm::at_most(-1.0).unwrap_err();
    assert_eq!(printed(error.clone()), error.to_string());
    assert!(format!("{error:#?}").contains("Parameter"), "{error:#?}");
}

#[test]
fn a_halt_that_main_returns_is_printed_as_a_sentence() {
    on_every_device(|device| {
        let net = Net::new(device);
        let mut keel =
            Keel::wrap(SgdConfig::new().init()).on_non_finite(Verdict::Halt).build(&net).unwrap();
        let (loss, grads) = net.backward(Batch::number(0, device).scaled(f64::NAN));
        let halted = keel.step(0.1, net, grads, &loss).unwrap_err();
        let said = halted.to_string();
        assert!(said.starts_with("training halted at update 0: non-finite"), "{said}");
        assert!(format!("{halted:#?}").contains("reading"), "{halted:#?}");
        assert_eq!(format!("{halted:?}"), said);
    });
}

#[cfg(feature = "faults")]
#[test]
fn a_broken_loop_that_main_returns_is_printed_as_a_sentence() {
    let broken = evenkeel::faults::Broken::Unharmed { steps: 3 };
    assert_eq!(printed(broken.clone()), broken.to_string());
}
