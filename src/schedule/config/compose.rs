//! Combinators in files.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::schedule::{
    Advance, Clamp, Max, Mean, Min, Noise, Noisy, Past, Plus, Scale, Sequence, Shift, Stretch,
    Then, Times, Until,
};

form!(
    Clamp<S> { #[serde(rename = "of")] inner: S, low: f64, high: f64 }
    => Clamp::new(inner, low, high)
);
form!(Scale<S> { #[serde(rename = "of")] inner: S, factor: f64 } => Scale::new(inner, factor));
form!(Shift<S> { #[serde(rename = "of")] inner: S, by: u64 } => Ok(Shift::new(inner, by)));
form!(Advance<S> { #[serde(rename = "of")] inner: S, by: u64 } => Ok(Advance::new(inner, by)));
form!(
    Until<S> { #[serde(rename = "of")] inner: S, at: u64; past: Past = Past::Hold }
    => Until::new(inner, at, past)
);
form!(
    Stretch<S> { #[serde(rename = "of")] inner: S, from: u64, to: u64; since: u64 = 0 }
    => Stretch::new(inner, from, to).since(since)
);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ThenForm<A, B> {
    at: u64,
    first: A,
    next: B,
}

impl<A: Clone + Serialize, B: Clone + Serialize> Serialize for Then<A, B> {
    fn serialize<Z: Serializer>(&self, to: Z) -> Result<Z::Ok, Z::Error> {
        let Self { first, at, next } = self.clone();
        ThenForm { at, first, next }.serialize(to)
    }
}

impl<'de, A: Deserialize<'de>, B: Deserialize<'de>> Deserialize<'de> for Then<A, B> {
    fn deserialize<Z: Deserializer<'de>>(from: Z) -> Result<Self, Z::Error> {
        let ThenForm { at, first, next } = ThenForm::deserialize(from)?;
        Ok(Self::new(first, at, next))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SequenceForm<S> {
    #[serde(default)]
    past: Past,
    phases: Vec<Phase<S>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Phase<S> {
    over: u64,
    curve: S,
}

impl<S: Clone + Serialize> Serialize for Sequence<S> {
    fn serialize<Z: Serializer>(&self, to: Z) -> Result<Z::Ok, Z::Error> {
        let mut begin = 0;
        let phase = |(end, curve): &(u64, S)| {
            let over = end - std::mem::replace(&mut begin, *end);
            Phase { over, curve: curve.clone() }
        };
        let phases = self.phases.iter().map(phase).collect();
        SequenceForm { past: self.past, phases }.serialize(to)
    }
}

impl<'de, S: Deserialize<'de>> Deserialize<'de> for Sequence<S> {
    fn deserialize<Z: Deserializer<'de>>(from: Z) -> Result<Self, Z::Error> {
        let SequenceForm { past, phases } = SequenceForm::deserialize(from)?;
        Sequence::of(phases.into_iter().map(|Phase { over, curve }| (over, curve)))
            .and_then(|sequence| sequence.past(past))
            .map_err(serde::de::Error::custom)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoiseForm<S> {
    of: S,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uniform: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    normal: Option<f64>,
    /// The limit of normal noise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    limit: Option<f64>,
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    from: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
}

impl<S: Clone + Serialize> Serialize for Noisy<S> {
    fn serialize<Z: Serializer>(&self, to: Z) -> Result<Z::Ok, Z::Error> {
        let Noise { deviation: normal, limit, seed, from, until } = self.noise;
        let (uniform, limit) = match normal {
            None => (Some(limit), None),
            Some(_) => (None, Some(limit)),
        };
        let of = self.inner.clone();
        NoiseForm { of, uniform, normal, limit, seed, from, until }.serialize(to)
    }
}

impl<'de, S: Deserialize<'de>> Deserialize<'de> for Noisy<S> {
    fn deserialize<Z: Deserializer<'de>>(from: Z) -> Result<Self, Z::Error> {
        let form = NoiseForm::deserialize(from)?;
        let noise = match (form.uniform, form.normal, form.limit) {
            (Some(limit), None, None) => Noise::uniform(limit),
            (None, Some(deviation), None) => Noise::normal(deviation),
            (None, Some(deviation), Some(limit)) => {
                Noise::normal(deviation).and_then(|noise| noise.limit(limit))
            }
            _ => {
                let must = "either `uniform`, or `normal` with or without a `limit`";
                return Err(serde::de::Error::custom(format_args!("noise is {must}")));
            }
        };
        let mut noise = noise.map_err(serde::de::Error::custom)?.seed(form.seed);
        (noise.from, noise.until) = (form.from, form.until);
        Ok(Self::new(form.of, noise))
    }
}

/// Writes a pair as a list of two.
macro_rules! list_of_two {
    ($($pair:ident),*) => {
        $(impl<A: Serialize, B: Serialize> Serialize for $pair<A, B> {
            fn serialize<Z: Serializer>(&self, to: Z) -> Result<Z::Ok, Z::Error> {
                (&self.0, &self.1).serialize(to)
            }
        }

        impl<'de, A: Deserialize<'de>, B: Deserialize<'de>> Deserialize<'de> for $pair<A, B> {
            fn deserialize<Z: Deserializer<'de>>(from: Z) -> Result<Self, Z::Error> {
                Deserialize::deserialize(from).map(|(a, b)| Self::new(a, b))
            }
        })*
    };
}

list_of_two!(Times, Plus, Mean, Min, Max);
