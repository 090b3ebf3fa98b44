//! The state of a schedule that contains several others.

use crate::Error;
use crate::checkpoint::State;
use crate::schedule::Schedule;

/// Returns the states of all parts, each under its name. Parts without a state are left out.
pub(super) fn state<'a>(parts: impl IntoIterator<Item = (String, &'a dyn Schedule)>) -> State {
    parts.into_iter().fold(State::new(), |all, (name, part)| all.with_part(&name, part.state()))
}

/// Rewinds each part to its own state.
pub(super) fn rewound<'a>(
    parts: impl IntoIterator<Item = (String, &'a dyn Schedule)>,
    then: &State,
) -> Result<(), Error> {
    parts.into_iter().try_for_each(|(name, part)| part.rewound(&then.part(&name)))
}

/// Restores each part from its own state; if one fails, those before it get back the state that
/// they had.
pub(super) fn restore<'a>(
    parts: impl IntoIterator<Item = (String, &'a dyn Schedule)>,
    state: &State,
) -> Result<(), Error> {
    let parts: Vec<_> = parts.into_iter().collect();
    let rest = parts.iter().fold(state.clone(), |rest, (name, _)| rest.without_part(name));
    rest.only(&[])?;

    let mut before = Vec::new();
    for (name, part) in &parts {
        let own = part.state();
        if let Err(error) = part.restore(&state.part(name)) {
            for ((_, part), own) in parts.iter().zip(&before) {
                // A part accepts the state that it has just returned.
                let _ = part.restore(own);
            }
            return Err(error);
        }
        before.push(own);
    }
    Ok(())
}
