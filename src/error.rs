//! The error type of the crate, with messages that a user can act on.

use std::fmt;

/// An error for an invalid argument, or for a saved state that does not fit.
///
/// Training events are never errors: a spike or a NaN is a [`Verdict`](crate::Verdict), and a run that stops is a
/// [`Halted`](crate::Halted). An `Error` means that a value passed to the crate could not be used; nothing has been
/// changed when it is returned.
///
/// ```
/// use evenkeel::clip::GlobalNorm;
///
/// let error = GlobalNorm::at_most(-1.0).unwrap_err();
/// assert!(error.is_parameter());
/// assert_eq!(error.to_string(), "`at_most` of GlobalNorm must be a positive finite number, got -1");
/// ```
///
/// [`Debug`](fmt::Debug) prints the same text, so that a `main` that returns the error ends with a sentence; `{:#?}`
/// shows the parts.
#[derive(Clone, PartialEq, thiserror::Error)]
#[error(transparent)]
pub struct Error(Box<Kind>);

/// Boxed so that a `Result` carrying it stays one word wide.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
enum Kind {
    #[error("`{name}` of {owner} must be {must}, got {got}")]
    Parameter { owner: &'static str, name: &'static str, must: String, got: String },
    #[error("the model cannot be trained: {0}")]
    Model(String),
    #[error("the saved state does not fit: {0}")]
    Record(String),
    #[error("{doing}: {cause}")]
    Io { doing: String, cause: String },
}

// Written by hand, because `main` prints the error it returns by `Debug`.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match f.alternate() {
            true => f.debug_tuple("Error").field(&self.0).finish(),
            false => fmt::Display::fmt(self, f),
        }
    }
}

impl Error {
    pub(crate) fn parameter(
        owner: &'static str,
        name: &'static str,
        must: impl fmt::Display,
        got: impl fmt::Display,
    ) -> Self {
        Self(Box::new(Kind::Parameter {
            owner,
            name,
            must: must.to_string(),
            got: got.to_string(),
        }))
    }

    pub(crate) fn model(why: impl fmt::Display) -> Self {
        Self(Box::new(Kind::Model(why.to_string())))
    }

    pub(crate) fn record(why: impl fmt::Display) -> Self {
        Self(Box::new(Kind::Record(why.to_string())))
    }

    pub(crate) fn io(doing: impl fmt::Display, cause: impl fmt::Display) -> Self {
        Self(Box::new(Kind::Io { doing: doing.to_string(), cause: cause.to_string() }))
    }

    /// Returns whether an argument was outside its allowed range.
    #[must_use]
    pub fn is_parameter(&self) -> bool {
        matches!(*self.0, Kind::Parameter { .. })
    }

    /// Returns whether the model can't be trained in its present form.
    #[must_use]
    pub fn is_model(&self) -> bool {
        matches!(*self.0, Kind::Model(_))
    }

    /// Returns whether a saved state is damaged, or belongs to something else.
    #[must_use]
    pub fn is_record(&self) -> bool {
        matches!(*self.0, Kind::Record(_))
    }

    /// Returns whether a file could not be read or written.
    #[must_use]
    pub fn is_io(&self) -> bool {
        matches!(*self.0, Kind::Io { .. })
    }
}

/// Argument checks shared by constructors. Each returns its value, or an error that names the parameter.
pub(crate) mod check {
    use std::fmt::Display;

    use super::Error;

    /// The parameter being checked: the type that owns it, and its name there.
    #[derive(Clone, Copy)]
    pub(crate) struct Param(pub(crate) &'static str, pub(crate) &'static str);

    impl Param {
        pub(crate) fn must<T: Display>(
            self,
            ok: bool,
            must: impl Display,
            got: T,
        ) -> Result<T, Error> {
            match ok {
                true => Ok(got),
                false => Err(Error::parameter(self.0, self.1, must, got)),
            }
        }

        pub(crate) fn finite(self, x: f64) -> Result<f64, Error> {
            self.must(x.is_finite(), "a finite number", x)
        }

        pub(crate) fn positive(self, x: f64) -> Result<f64, Error> {
            self.must(x.is_finite() && x > 0.0, "a positive finite number", x)
        }

        pub(crate) fn non_negative(self, x: f64) -> Result<f64, Error> {
            self.must(x.is_finite() && x >= 0.0, "a finite number of at least 0", x)
        }

        /// In `(0, 1]`: a factor that can only lower what it multiplies, and never to zero.
        pub(crate) fn fraction(self, x: f64) -> Result<f64, Error> {
            self.must(x > 0.0 && x <= 1.0, "above 0 and at most 1", x)
        }

        /// In `[0, 1)`: a momentum, or another weight of the past.
        pub(crate) fn below_one(self, x: f64) -> Result<f64, Error> {
            self.must((0.0..1.0).contains(&x), "at least 0 and below 1", x)
        }

        pub(crate) fn at_least(self, least: u64, x: u64) -> Result<u64, Error> {
            match x >= least {
                true => Ok(x),
                false => Err(Error::parameter(self.0, self.1, format_args!("at least {least}"), x)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::check::Param;

    const P: Param = Param("Thing", "size");

    #[test]
    fn messages_name_the_parameter_what_it_must_be_and_what_it_got() {
        let said = |e: Result<f64, super::Error>| e.unwrap_err().to_string();
        assert_eq!(said(P.finite(f64::NAN)), "`size` of Thing must be a finite number, got NaN");
        assert_eq!(
            said(P.positive(0.0)),
            "`size` of Thing must be a positive finite number, got 0"
        );
        assert_eq!(
            said(P.non_negative(f64::INFINITY)),
            "`size` of Thing must be a finite number of at least 0, got inf"
        );
        assert_eq!(said(P.fraction(1.5)), "`size` of Thing must be above 0 and at most 1, got 1.5");
        assert_eq!(
            P.at_least(1, 0).unwrap_err().to_string(),
            "`size` of Thing must be at least 1, got 0"
        );
    }

    #[test]
    fn nan_passes_no_check() {
        for checked in [
            P.finite(f64::NAN),
            P.positive(f64::NAN),
            P.non_negative(f64::NAN),
            P.fraction(f64::NAN),
            P.below_one(f64::NAN),
        ] {
            assert!(checked.is_err());
        }
    }
}
