//! Longer texts, kept next to the code so that their links and examples are checked.

#[doc = include_str!("design.md")]
pub mod design {}

#[doc = include_str!("schedules.md")]
pub mod schedules {}

#[doc = include_str!("compare.md")]
pub mod compare {}

#[doc = include_str!("suite.md")]
pub mod suite {}

#[doc = include_str!("coming_from.md")]
pub mod coming_from {}

#[doc = include_str!("limits.md")]
pub mod limits {}

#[doc = include_str!("hand_written.md")]
pub mod hand_written {}
