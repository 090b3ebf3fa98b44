//! Serialization of an entry as a flat map.

use std::fmt;

use serde::de::{Error, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Entry;

/// Serialized flat: `attempt`, `update`, `verdict`, `why` if there is one, and then the numbers by name,
/// non-finite ones as strings.
impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let fields = 3 + usize::from(self.why.is_some()) + self.len();
        let mut map = to.serialize_map(Some(fields))?;
        map.serialize_entry("attempt", &self.attempt)?;
        map.serialize_entry("update", &self.update)?;
        map.serialize_entry("verdict", &self.verdict)?;
        if let Some(why) = &self.why {
            map.serialize_entry("why", why)?;
        }
        for (name, value) in self.iter() {
            map.serialize_entry(name, &Number(value))?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Flat)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Number(#[serde(with = "crate::incident::any_number")] f64);

struct Flat;

impl<'de> Visitor<'de> for Flat {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a step: attempt, update, verdict and numbers by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entry, A::Error> {
        let (mut attempt, mut update, mut verdict) = (None, None, None);
        let mut entry = Entry::new(0, 0);
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                "attempt" => attempt = Some(map.next_value()?),
                "update" => update = Some(map.next_value()?),
                "verdict" => verdict = Some(map.next_value()?),
                "why" => entry.why = map.next_value()?,
                _ => entry = entry.value(&name, map.next_value::<Number>()?.0),
            }
        }
        entry.attempt = attempt.ok_or_else(|| A::Error::missing_field("attempt"))?;
        entry.update = update.ok_or_else(|| A::Error::missing_field("update"))?;
        entry.verdict = verdict.ok_or_else(|| A::Error::missing_field("verdict"))?;
        Ok(entry)
    }
}
