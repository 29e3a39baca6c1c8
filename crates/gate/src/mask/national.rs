//! National numbers that are looked for only where the configuration names them, each with its own check.

use super::number::{ends_here, luhn};
use smallvec::SmallVec;

/// A country's number for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NationalId {
    /// United Kingdom, national insurance.
    UkNino,
    /// United Kingdom, health service.
    UkNhs,
    /// Germany, tax.
    DeTax,
    /// France, social security.
    FrNir,
    /// Spain, identity (also of foreigners).
    EsNif,
    /// Netherlands, citizens' service.
    NlBsn,
    /// Poland, population register.
    PlPesel,
    /// Brazil, tax.
    BrCpf,
    /// Canada, social insurance.
    CaSin,
    /// India, identity.
    InAadhaar,
}

impl NationalId {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::UkNino,
        Self::UkNhs,
        Self::DeTax,
        Self::FrNir,
        Self::EsNif,
        Self::NlBsn,
        Self::PlPesel,
        Self::BrCpf,
        Self::CaSin,
        Self::InAadhaar,
    ];

    /// The name the configuration has for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::UkNino => "uk-nino",
            Self::UkNhs => "uk-nhs",
            Self::DeTax => "de-tax",
            Self::FrNir => "fr-nir",
            Self::EsNif => "es-nif",
            Self::NlBsn => "nl-bsn",
            Self::PlPesel => "pl-pesel",
            Self::BrCpf => "br-cpf",
            Self::CaSin => "ca-sin",
            Self::InAadhaar => "in-aadhaar",
        }
    }

    /// All names, for messages.
    pub fn names() -> Vec<&'static str> {
        Self::ALL.iter().map(|id| id.name()).collect()
    }

    /// The number of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|id| id.name() == name)
    }

    fn length(self) -> usize {
        match self {
            Self::UkNino | Self::EsNif | Self::NlBsn | Self::CaSin => 9,
            Self::UkNhs => 10,
            Self::DeTax | Self::PlPesel | Self::BrCpf => 11,
            Self::InAadhaar => 12,
            Self::FrNir => 15,
        }
    }

    fn fits(self, id: &[u8]) -> bool {
        let shape = match self {
            Self::UkNino => "AA999999A",
            Self::EsNif => "X9999999A",
            Self::FrNir => "99999X999999999",
            _ => "999999999999999",
        };
        let fits = |(byte, shape): (&u8, u8)| match shape {
            b'A' => byte.is_ascii_uppercase(),
            b'9' => byte.is_ascii_digit(),
            _ => byte.is_ascii_digit() || byte.is_ascii_uppercase(),
        };
        id.iter().zip(shape.bytes()).all(fits) && self.checks(id)
    }

    fn checks(self, id: &[u8]) -> bool {
        let digit = |at: usize| u32::from(id[at].wrapping_sub(b'0'));
        let weighed = |weights: &[u32]| weights.iter().enumerate().map(|(at, weight)| weight * digit(at)).sum::<u32>();
        match self {
            Self::UkNino => matches!(id[8], b'A'..=b'D') && !matches!(id[0], b'D' | b'F' | b'I' | b'Q' | b'U' | b'V'),
            Self::UkNhs => (11 - weighed(&[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11) % 11 == digit(9),
            Self::DeTax => digit(0) != 0 && mod_11_10(id),
            Self::FrNir => matches!(digit(0), 1 | 2) && fr_key(id),
            Self::EsNif => es_letter(id),
            Self::NlBsn => {
                digit(8) < 10
                    && (weighed(&[9, 8, 7, 6, 5, 4, 3, 2]) + 10 * 11 - digit(8)).is_multiple_of(11)
                    && id != b"000000000"
            }
            Self::PlPesel => (10 - weighed(&[1, 3, 7, 9, 1, 3, 7, 9, 1, 3]) % 10) % 10 == digit(10),
            Self::BrCpf => br_keys(id),
            Self::CaSin => luhn(id) && !matches!(digit(0), 0 | 8),
            Self::InAadhaar => digit(0) >= 2 && verhoeff(id),
        }
    }
}

/// The end of the number of this kind that begins at `start`, if one does. Single spaces, dots and hyphens may divide it.
pub(super) fn match_at(text: &[u8], start: usize, id: NationalId) -> Option<usize> {
    let mut signs: SmallVec<[u8; 16]> = SmallVec::new();
    let mut end = start;
    let mut divided = true;
    while signs.len() < id.length() {
        match *text.get(end)? {
            byte if byte.is_ascii_alphanumeric() => {
                signs.push(byte);
                divided = false;
            }
            b' ' | b'-' | b'.' if !divided => divided = true,
            _ => return None,
        }
        end += 1;
    }
    (id.fits(&signs) && ends_here(text, end)).then_some(end)
}

fn mod_11_10(id: &[u8]) -> bool {
    let product = id[..10].iter().fold(10, |product, byte| {
        let sum = (u32::from(byte - b'0') + product) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    (11 - product) % 10 == u32::from(id[10] - b'0')
}

fn fr_key(id: &[u8]) -> bool {
    let corsica = match id[6] {
        b'A' => 1_000_000,
        b'B' => 2_000_000,
        _ => 0,
    };
    let number = |part: &[u8]| {
        part.iter().fold(0_u64, |sum, byte| sum * 10 + u64::from(if byte.is_ascii_digit() { byte - b'0' } else { 0 }))
    };
    number(&id[13..]) == 97 - (number(&id[..13]).wrapping_sub(corsica)) % 97
}

fn es_letter(id: &[u8]) -> bool {
    let first = match id[0] {
        b'X' => 0,
        b'Y' => 1,
        b'Z' => 2,
        byte if byte.is_ascii_digit() => u32::from(byte - b'0'),
        _ => return false,
    };
    let number = id[1..8].iter().fold(first, |sum, byte| sum * 10 + u32::from(byte - b'0'));
    b"TRWAGMYFPDXBNJZSQVHLCKE"[number as usize % 23] == id[8]
}

fn br_keys(id: &[u8]) -> bool {
    let key = |len: usize| {
        let sum: usize = id[..len].iter().enumerate().map(|(at, byte)| (len + 1 - at) * usize::from(byte - b'0')).sum();
        (sum * 10 % 11 % 10) as u8 + b'0'
    };
    id.iter().any(|byte| *byte != id[0]) && key(9) == id[9] && key(10) == id[10]
}

fn verhoeff(id: &[u8]) -> bool {
    const TIMES: [[u8; 10]; 10] = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        [1, 2, 3, 4, 0, 6, 7, 8, 9, 5],
        [2, 3, 4, 0, 1, 7, 8, 9, 5, 6],
        [3, 4, 0, 1, 2, 8, 9, 5, 6, 7],
        [4, 0, 1, 2, 3, 9, 5, 6, 7, 8],
        [5, 9, 8, 7, 6, 0, 4, 3, 2, 1],
        [6, 5, 9, 8, 7, 1, 0, 4, 3, 2],
        [7, 6, 5, 9, 8, 2, 1, 0, 4, 3],
        [8, 7, 6, 5, 9, 3, 2, 1, 0, 4],
        [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
    ];
    const STEP: [u8; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let check = id.iter().rev().enumerate().fold(0_u8, |check, (at, byte)| {
        let moved = (0..at % 8).fold(byte - b'0', |digit, _| STEP[usize::from(digit)]);
        TIMES[usize::from(check)][usize::from(moved)]
    });
    check == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_has_its_check() {
        for (id, good, bad) in [
            (NationalId::UkNino, "AB 12 34 56 C", "AB123456E"),
            (NationalId::UkNhs, "943 476 5919", "943 476 5918"),
            (NationalId::DeTax, "86095742719", "86095742718"),
            (NationalId::FrNir, "2 55 08 14 168 025 38", "2 55 08 14 168 025 39"),
            (NationalId::EsNif, "12345678Z", "12345678A"),
            (NationalId::NlBsn, "111222333", "111222334"),
            (NationalId::PlPesel, "44051401359", "44051401358"),
            (NationalId::BrCpf, "111.444.777-35", "111.444.777-36"),
            (NationalId::CaSin, "130 692 544", "130 692 545"),
            (NationalId::InAadhaar, "2341 2341 2346", "2341 2341 2347"),
        ] {
            assert_eq!(match_at(good.as_bytes(), 0, id), Some(good.len()), "{}", id.name());
            assert_eq!(match_at(bad.as_bytes(), 0, id), None, "{}", id.name());
            assert_eq!(NationalId::named(id.name()), Some(id));
        }
    }
}
