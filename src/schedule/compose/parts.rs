//! The state of a schedule with several others inside.

use crate::Error;
use crate::checkpoint::State;
use crate::schedule::Schedule;

/// The states of all parts, each under its name. Parts without a state leave nothing.
pub(super) fn state<'a>(parts: impl IntoIterator<Item = (String, &'a dyn Schedule)>) -> State {
    parts.into_iter().fold(State::new(), |all, (name, part)| all.with_part(&name, part.state()))
}

/// Each part goes back to its own.
pub(super) fn rewound<'a>(
    parts: impl IntoIterator<Item = (String, &'a dyn Schedule)>,
    then: &State,
) -> Result<(), Error> {
    parts.into_iter().try_for_each(|(name, part)| part.rewound(&then.part(&name)))
}

/// Gives each part its own; if one refuses, those before it take back what they had.
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
                // What a part has just given, it takes back.
                let _ = part.restore(own);
            }
            return Err(error);
        }
        before.push(own);
    }
    Ok(())
}
