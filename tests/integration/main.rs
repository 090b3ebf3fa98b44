//! The integration tests: one program, because linking one costs as much as linking each.
//!
//! A test gets a program of its own, next to this folder, only if what it measures belongs to the whole
//! process: the allocator, or the device's random numbers.

mod accumulation;
mod activations;
mod advise;
mod advise_code;
mod advise_held_out;
mod advise_page;
mod advise_resume;
mod averages;
mod blame;
mod bounds;
mod changed_policies;
mod clips;
mod coming_from;
mod common;
mod curvature;
mod doctor;
mod doctor_healthy;
mod extremes;
mod faults;
#[cfg(feature = "faults")]
mod faults_kit;
mod finder;
mod golden_clips;
mod golden_differences;
mod golden_early_stopping;
mod golden_lr_finder;
mod golden_optimizers;
mod golden_schedules;
mod half;
mod init;
#[cfg(unix)]
mod kill;
mod layering;
mod logits;
mod lr_finder;
mod misuse;
mod names;
mod newcomer;
mod notices;
mod on_device;
#[cfg(feature = "serde")]
mod optimizer_config;
mod optimizers;
#[rustfmt::skip] // indented as it is printed
mod pasted;
mod precision;
mod ranks;
mod readme;
#[cfg(feature = "progress")]
mod record_bar;
#[cfg(feature = "tracing")]
mod record_events;
#[cfg(feature = "record")]
mod record_files;
mod record_history;
mod record_keel;
#[cfg(all(unix, feature = "record"))]
mod record_kill;
mod record_page;
mod records;
mod recovery;
mod recovery_outside;
mod reference;
mod reference_optimizers;
mod resume;
mod scale_free;
#[cfg(feature = "serde")]
mod schedule_config;
mod schedule_groups;
mod schedule_properties;
mod schedules;
mod standardize;
mod step;
mod step_args;
mod step_bounds;
mod tied;
mod trust;
#[cfg(feature = "record")]
mod validation;
mod watch;
